"""Perturbed networks: what is left, that it is reproducible, full against reduced."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

import edgedyn as ed
from edgedyn.reduction import (
    gene_regulation,
    linear_diffusion,
    mutualistic,
    perturb,
    remove_links,
    remove_nodes,
    weaken,
)


def directed(n=30, seed=0):
    rng = np.random.default_rng(seed)
    return rng.exponential(1, (n, n)) * (rng.random((n, n)) < 0.3)


def generator(seed=0):
    return np.random.default_rng(seed)


def test_nodes_leave_with_their_links():
    labels = np.arange(1, 901, dtype=float).reshape(30, 30)
    left = remove_nodes(labels, 0.4, generator()).toarray()
    assert left.shape == (18, 18)
    kept = ((left[:, 0] - 1) // 30).astype(int)
    assert (np.diff(kept) > 0).all()
    assert (left == labels[np.ix_(kept, kept)]).all()
    assert remove_nodes(labels, 0.999, generator()).shape == (1, 1)


def test_directed_links_leave_one_by_one():
    A = directed()
    left = remove_links(A, 0.25, generator())
    links = int((A > 0).sum())
    assert left.nnz == links - round(0.25 * links)
    dense = left.toarray()
    assert (dense[dense > 0] == A[dense > 0]).all()
    assert remove_links(A, 1.0, generator()).nnz == 0
    assert (remove_links(A, 0.0, generator()) != sp.csr_array(A)).nnz == 0


def test_undirected_links_leave_in_pairs():
    A = directed() + directed().T + np.diag(np.ones(30))
    left = remove_links(A, 0.5, generator()).toarray()
    assert (left == left.T).all()
    assert (left[left > 0] == A[left > 0]).all()
    links = int((np.triu(A) > 0).sum())
    assert int((np.triu(left) > 0).sum()) == links - round(0.5 * links)


def test_weaker_links_lower_beta_by_the_same_fraction():
    A = directed()
    assert_allclose(ed.reduce(weaken(A, 0.3)).beta_eff, 0.7 * ed.reduce(A).beta_eff, rtol=1e-13)


def test_the_seed_decides_and_more_realisations_keep_the_first():
    A = directed()

    def study(n, seed=0):
        return perturb(
            A, linear_diffusion(), fractions=[0.0, 0.3], n_realisations=n, seed=seed,
            starts=["low"],
        ).to_frame()  # fmt: skip

    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first, longer = study(2), study(4)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert first.equals(study(2))
    kept = longer[longer.realisation < 2].reset_index(drop=True)
    assert kept.equals(first)
    assert not study(2, seed=1).beta_eff.equals(first.beta_eff)
    assert len(first) == (1 + 2) * 2 + 2


def test_full_and_reduced_agree_where_the_reduction_is_exact():
    ring = 2.0 * (np.roll(np.eye(24), 1, axis=1) + np.roll(np.eye(24), 5, axis=1))
    study = perturb(
        ring, gene_regulation(), perturbations=["weights"], fractions=[0, 0.2, 0.4, 0.6]
    )
    frame = study.to_frame()
    assert (frame.status == "converged").all()
    assert_allclose(frame.x_eff, frame.x_predicted, rtol=1e-8, atol=1e-10)
    assert (frame.x_eff[frame.beta_eff < 2] == 0).sum() >= 1


def test_records_against_the_single_steps():
    graph = nx.gnp_random_graph(60, 0.2, seed=1)
    study = perturb(graph, mutualistic(), perturbations=["nodes"], fractions=[0.0], starts=["high"])
    (record,) = study.records
    A = nx.to_numpy_array(graph)
    full = ed.reduction.steady_state(A, mutualistic(), "high")
    assert_allclose(record.x_eff, ed.reduce(A).x_eff(full.x), rtol=1e-9)
    assert_allclose(record.beta_eff, ed.reduce(A).beta_eff, rtol=1e-13)
    assert_allclose(record.x_eff, record.x_predicted, rtol=0.05)
    assert study.to_dict()["system"] == "mutualistic"
    assert record.n_links == int(A.sum())


def test_nothing_left_is_said_so():
    study = perturb(np.eye(2, k=1), gene_regulation(), perturbations=["nodes"], fractions=[0.5],
                    n_realisations=1)  # fmt: skip
    assert {r.status for r in study.records} == {"empty"}
    assert np.isnan(study.records[0].x_eff)


def test_progress_is_told():
    told = []
    perturb(np.ones((3, 3)), linear_diffusion(), fractions=[0.0], n_realisations=1,
            progress=lambda done, word: told.append((round(done, 3), word)))  # fmt: skip
    assert told == [(0.333, "nodes"), (0.667, "links"), (1.0, "weights")]


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"perturbations": ["heat"]}, ValueError, "a perturbation must be one of"),
        ({"fractions": [1.0]}, ValueError, "fraction must be below 1"),
        ({"fractions": [-0.1]}, ValueError, "at least 0"),
        ({"starts": ["middle"]}, ValueError, "a start must be one of"),
        ({"n_realisations": 0}, ValueError, "at least 1"),
        ({"A": np.ones((2, 3))}, ValueError, "square"),
    ],
)
def test_refusals(arguments, error, words):
    with pytest.raises(error, match=words):
        perturb(**({"A": np.ones((2, 2)), "system": linear_diffusion()} | arguments))


def test_global_random_state_is_refused():
    for remove in (remove_nodes, remove_links):
        with pytest.raises(TypeError, match="numpy.random.Generator"):
            remove(np.ones((2, 2)), 0.5, np.random)
    with pytest.raises(ValueError, match="at most 1"):
        remove_links(np.ones((2, 2)), 1.5, generator())
    with pytest.raises(ValueError, match="at most 1"):
        weaken(np.ones((2, 2)), 1.5)
