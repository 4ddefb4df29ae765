"""beta_eff and its parts for every kind of network, against dense sums and known values."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from oracles import exact_spread
from scipy.sparse.linalg import LinearOperator, aslinearoperator

import edgedyn as ed
from edgedyn.reduction import reduce_csr, spectral_reduce
from edgedyn.reduction.matrices import zeros

RTOL = 1e-12
MATRIX = st.integers(1, 7).flatmap(
    lambda n: arrays(np.float64, (n, n), elements=st.floats(0, 8, width=16))
)


def dense(rng, n=23, density=0.3, signed=False):
    A = rng.exponential(1.0, (n, n)) * (rng.random((n, n)) < density)
    return A * np.where(rng.random((n, n)) < 0.3, -1, 1) if signed else A


def brute_force(A):
    """beta_eff, <s>, S, H by double loops and population moments."""
    n = len(A)
    into = [sum(A[i, j] for j in range(n)) for i in range(n)]
    out = [sum(A[i, j] for i in range(n)) for j in range(n)]
    beta = sum(a * b for a, b in zip(into, out, strict=True)) / sum(into)
    mean = sum(into) / n
    covariance = np.mean(np.multiply(into, out)) - mean**2
    spread = np.std(into) * np.std(out)
    return beta, mean, covariance / spread, spread / mean


def same(first, second, rtol=RTOL):
    for name in ("beta_eff", "mean_strength", "symmetry", "heterogeneity", "total"):
        np.testing.assert_allclose(getattr(first, name), getattr(second, name), rtol=rtol)
    for name in ("in_degree", "out_degree"):
        a, b = getattr(first, name), getattr(second, name)
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-15 * np.abs(b).max())
    assert first.n_nodes == second.n_nodes
    assert first.status == second.status


@pytest.mark.parametrize("signed", [False, True])
def test_parts_equal_brute_force(signed):
    A = dense(np.random.default_rng(0), signed=signed)
    r = ed.reduce(A)
    found = r.beta_eff, r.mean_strength, r.symmetry, r.heterogeneity
    np.testing.assert_allclose(found, brute_force(A), rtol=1e-11)
    assert r.beta_eff == pytest.approx(r.mean_strength + r.symmetry * r.heterogeneity, rel=1e-13)
    np.testing.assert_allclose(r.conditioning, abs(A.sum()) / np.abs(A).sum(), rtol=RTOL)
    assert r.status == "ok"


@pytest.mark.parametrize(
    "form",
    [
        np.asfortranarray,
        lambda A: A.tolist(),
        sp.csr_array,
        sp.csc_array,
        sp.coo_array,
        sp.lil_array,
        sp.csr_matrix,
    ],
)
def test_forms_of_a_matrix_agree(form):
    A = dense(np.random.default_rng(1), signed=True)
    r = ed.reduce(form(A))
    same(r, ed.reduce(A))
    np.testing.assert_allclose(r.conditioning, ed.reduce(A).conditioning, rtol=RTOL)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int64, np.float32, np.longdouble])
def test_numbers_of_other_types_are_summed_in_float64(dtype):
    A = (np.random.default_rng(2).random((200, 200)) < 0.9).astype(dtype)
    for form in (A, sp.csr_array(A)):
        same(ed.reduce(form), ed.reduce(A.astype(np.float64)))


@pytest.mark.parametrize("dtype", [np.float16, ">f8"])
def test_exotic_numbers(dtype):
    A = np.array([[0, 2], [1, 0]], dtype)
    assert ed.reduce(A).beta_eff == 4 / 3
    assert reduce_csr(np.array([2, 1], dtype), [1, 0], [0, 1, 2]).beta_eff == 4 / 3
    assert ed.reduction.sis().rhs(A, [0.5, 0.5]).tolist() == [0.0, -0.25]


def test_operators_without_entries():
    A = dense(np.random.default_rng(3))
    r = ed.reduce(aslinearoperator(A))
    same(r, ed.reduce(A))
    assert np.isnan(r.conditioning)
    cancelling = aslinearoperator(np.array([[0.0, 1, -1], [1, 0, -1], [0, 0, 0]]))
    assert ed.reduce(cancelling).status == "ill_conditioned"


def test_graphs_are_transposed_and_weighted():
    graph = nx.gnp_random_graph(30, 0.2, seed=0, directed=True)
    rng = np.random.default_rng(0)
    for edge in list(graph.edges)[:-5]:
        graph.edges[edge]["weight"] = rng.exponential()
    r = ed.reduce(graph)
    same(r, ed.reduce(nx.to_numpy_array(graph).T))
    np.testing.assert_allclose(r.in_degree, [d for _, d in graph.in_degree(weight="weight")])
    np.testing.assert_allclose(r.out_degree, [d for _, d in graph.out_degree(weight="weight")])
    assert ed.reduce(nx.star_graph(3)).beta_eff == 2.0
    with pytest.raises(ValueError, match="without nodes"):
        ed.reduce(nx.DiGraph())
    graph.edges[edge]["weight"] = "heavy"
    with pytest.raises(TypeError, match="weights of the graph must be real"):
        ed.reduce(graph)


def test_transposition_exchanges_degrees_and_changes_x_eff():
    A = dense(np.random.default_rng(4))
    r, t = ed.reduce(A), ed.reduce(A.T)
    np.testing.assert_allclose(r.beta_eff, t.beta_eff, rtol=RTOL)
    np.testing.assert_allclose(r.in_degree, t.out_degree, rtol=RTOL)
    assert not np.allclose(r.in_degree, t.in_degree)
    x = np.arange(len(A), dtype=float)
    np.testing.assert_allclose(r.x_eff(x), A.sum(axis=0) @ x / A.sum(), rtol=RTOL)
    assert abs(r.x_eff(x) - t.x_eff(x)) > 0.1


def test_x_eff_of_degrees_is_beta_eff_and_of_a_constant_the_constant():
    r = ed.reduce(dense(np.random.default_rng(5)))
    np.testing.assert_allclose(r.x_eff(r.in_degree), r.beta_eff, rtol=RTOL)
    np.testing.assert_allclose(r.x_eff(np.full(r.n_nodes, 2.5)), 2.5, rtol=RTOL)
    with pytest.raises(ValueError, match="one value for each of the 23 nodes"):
        r.x_eff([1.0])


@settings(deadline=None, max_examples=60)
@given(MATRIX, st.randoms(use_true_random=False), st.floats(0.01, 100))
def test_permutation_homogeneity_identity_and_bounds(A, random, factor):
    r = ed.reduce(A)
    if r.status != "ok":
        assert not A.any()
        return
    order = list(range(len(A)))
    random.shuffle(order)
    np.testing.assert_allclose(ed.reduce(A[np.ix_(order, order)]).beta_eff, r.beta_eff, rtol=RTOL)
    np.testing.assert_allclose(ed.reduce(factor * A).beta_eff, factor * r.beta_eff, rtol=RTOL)
    np.testing.assert_allclose(
        r.mean_strength + r.symmetry * r.heterogeneity, r.beta_eff, rtol=1e-11, atol=1e-13 * A.max()
    )
    bound = min(r.in_degree.max(), r.out_degree.max())
    assert -1e-12 <= r.beta_eff <= bound * (1 + 1e-12)
    assert r.conditioning == pytest.approx(1, rel=1e-12)


def test_isolated_nodes_change_the_parts_but_not_beta():
    A = dense(np.random.default_rng(6))
    wider = np.zeros((40, 40))
    wider[:23, :23] = A
    r, w = ed.reduce(A), ed.reduce(wider)
    np.testing.assert_allclose(w.beta_eff, r.beta_eff, rtol=RTOL)
    assert w.mean_strength < r.mean_strength


def test_homogeneous_networks_have_no_spread():
    circulant = 0.1 * sum(np.roll(np.eye(12), k, axis=1) for k in (1, 2, 5))
    r = ed.reduce(circulant)
    assert (r.symmetry, r.heterogeneity) == (0.0, 0.0)
    np.testing.assert_allclose(r.beta_eff, 0.3, rtol=RTOL)


def test_the_spread_of_degrees_that_hardly_differ_keeps_its_digits():
    rng = np.random.default_rng(0)
    A = np.full((40, 40), 1 / 40) * (1 + 1e-6 * rng.standard_normal((40, 1)))
    r = ed.reduce((A + A[rng.permutation(40)].T) / 2)
    found = r.symmetry, r.heterogeneity
    assert found == pytest.approx(exact_spread(r.in_degree, r.out_degree), rel=1e-9, abs=0)
    assert 1e-14 < r.heterogeneity < 1e-11


def test_negative_totals_have_a_value():
    A = dense(np.random.default_rng(7))
    r = ed.reduce(-A)
    np.testing.assert_allclose(r.beta_eff, -ed.reduce(A).beta_eff, rtol=RTOL)
    assert r.status == "ok" and r.conditioning == pytest.approx(1) and r.total < 0
    assert r.heterogeneity < 0
    np.testing.assert_allclose(r.mean_strength + r.symmetry * r.heterogeneity, r.beta_eff)


def test_statuses():
    empty = ed.reduce(np.zeros((3, 3)))
    assert empty.status == "empty" and np.isnan(empty.beta_eff) and np.isnan(empty.x_eff([1, 2, 3]))
    cancels = ed.reduce([[0.0, 1.0], [-1.0 + 1e-12, 0.0]])
    assert cancels.status == "ill_conditioned" and np.isnan(cancels.beta_eff)
    assert 0 < cancels.conditioning < 1e-11
    assert "ill_conditioned" in str(cancels)
    assert set(empty.to_dict()) == {
        "beta_eff", "status", "conditioning", "mean_strength", "symmetry", "heterogeneity",
        "n_nodes", "total",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("A", "error", "words"),
    [
        (np.ones((2, 3)), ValueError, r"square.*\(2, 3\)"),
        (np.ones(3), ValueError, "square"),
        (np.ones((0, 0)), ValueError, "no nodes"),
        (sp.csr_array((2, 3)), ValueError, "square"),
        (np.array([[1, np.nan], [0, 1]]), ValueError, "NaN or infinity"),
        (np.array([[1, np.inf], [-np.inf, 1]]), ValueError, "NaN or infinity"),
        (sp.csr_array([[1, np.nan], [0, 1]]), ValueError, "NaN or infinity"),
        (aslinearoperator(np.array([[1, np.nan], [0, 1]])), ValueError, "NaN or infinity"),
        (np.ones((2, 2), complex), TypeError, "real numbers; got complex128"),
        (sp.csr_array(np.ones((2, 2), complex)), TypeError, "real numbers"),
        ("network.csv", TypeError, "got str"),
        (None, TypeError, "got NoneType"),
        ([["a", "b"], ["c", "d"]], TypeError, "real numbers"),
        (LinearOperator((2, 2), matvec=lambda v: v, dtype=float), TypeError, "rmatvec"),
    ],
)
def test_refusals(A, error, words):
    with pytest.raises(error, match=words):
        ed.reduce(A)


# CSR arrays as they are --------------------------------------------------------------------------


def test_memory_mapped_arrays_are_read_as_they_are(tmp_path):
    A = sp.random_array((500, 500), density=0.05, rng=np.random.default_rng(0), format="csr")
    maps = []
    for name in ("data", "indices", "indptr"):
        np.save(tmp_path / f"{name}.npy", getattr(A, name).astype("f4" if name == "data" else "i8"))
        maps.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
    same(reduce_csr(*maps), ed.reduce(A.astype(np.float32)))
    same(reduce_csr(*maps, shape=(500, 500)), ed.reduce(A.astype(np.float32)))


def test_many_links_are_read_in_two_parts():
    n, each = 4096, 4200  # 17 million links, above the threshold
    indices = np.tile(np.arange(each, dtype=np.uint16) % n, n)
    data = np.ones(len(indices), np.int8)
    r = reduce_csr(data, indices, np.arange(n + 1) * each)
    assert r.total == n * each
    assert r.in_degree.tolist() == [each] * n
    assert r.out_degree.tolist() == [2 * n] * (each - n) + [n] * (2 * n - each)


@pytest.mark.parametrize("n", [2**18 - 1, 2**18, 2**18 + 1, 600_001])
@pytest.mark.parametrize("kind", [np.int32, np.uint64])
def test_degrees_of_many_nodes(n, kind):
    rng = np.random.default_rng(n)
    places, weights = rng.integers(0, n, (2, 3 * n)), rng.standard_normal(3 * n)
    A = sp.coo_array((weights, tuple(places)), shape=(n, n)).tocsr()
    r = reduce_csr(A.data, A.indices, A.indptr.astype(kind))
    out = np.bincount(places[1], weights, n)
    np.testing.assert_allclose(r.out_degree, out, rtol=0, atol=1e-13)
    np.testing.assert_allclose(r.in_degree, A @ np.ones(n), rtol=0, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2**18, 700_001])
def test_zeros_for_additions(n):
    found = zeros(n)
    assert (found.shape, found.dtype, found.any()) == ((n,), np.float64, False)
    assert found.flags.c_contiguous and found.flags.writeable
    assert n < 2**18 or found.ctypes.data % 2**21 == 0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (
            {"indices": np.array([1, 2])},
            ValueError,
            r"indices must lie in 0\.\.1; got 2 at entry 1",
        ),
        ({"indices": np.array([1, -1])}, ValueError, "got -1 at entry 1"),
        ({"indices": np.array([1.0, 0.0])}, TypeError, "indices must hold integers"),
        ({"indices": np.array([1])}, ValueError, "one length"),
        ({"indptr": np.array([0, 1, 3])}, ValueError, "rise from 0 to at most 2"),
        ({"indptr": np.array([0, 2, 1])}, ValueError, "rise from 0"),
        ({"shape": (3, 3)}, ValueError, "4 entries"),
        ({"shape": (2, 3)}, ValueError, "square"),
        ({"data": np.array([1, 1j])}, TypeError, "real numbers"),
        ({"data": np.array([1, np.nan])}, ValueError, "NaN"),
    ],
)
def test_csr_refusals(change, error, words):
    arrays_ = {
        "data": np.ones(2), "indices": np.array([1, 0]), "indptr": np.array([0, 1, 2])
    } | change  # fmt: skip
    with pytest.raises(error, match=words):
        reduce_csr(**arrays_)


# The bridge to neural networks -------------------------------------------------------------------


@pytest.mark.parametrize("nodes", ["kernels", "all"])
def test_interactions_reduce_to_the_neural_capacitance(nodes):
    rng = np.random.default_rng(8)
    net = ed.ReLUMLP.random([6, 9, 7, 5, 3], seed=1)
    X, y = rng.standard_normal((40, 6)), np.arange(40) % 3
    for strength in ("magnitude", "signed"):
        P = net.interaction(X, y, strength=strength, nodes=nodes)
        cap = ed.neural_capacitance(net, X, y, strength=strength, nodes=nodes)
        r = ed.reduce(P)
        np.testing.assert_allclose(r.beta_eff, cap.value, rtol=RTOL if strength[0] == "m" else 1e-9)
        np.testing.assert_allclose(r.mean_strength, cap.mean_strength, rtol=1e-9)
        assert (r.conditioning == 1) == (strength == "magnitude")
        same(r, ed.reduce(P.to_scipy()), rtol=1e-9)


def test_the_softmax_gauge_is_ill_conditioned():
    net = ed.ReLUMLP.random([6, 9, 3], seed=1)
    X = np.random.default_rng(9).standard_normal((40, 6))
    P = net.interaction(X, np.arange(40) % 3, strength="signed")
    assert ed.reduce(P).status == "ill_conditioned"


@pytest.mark.parametrize("sizes", [[4, 5, 3], [6, 5, 4, 3], [8, 7, 9, 6, 5]])
def test_line_graphs_are_exact(sizes):
    gb = ed.line_graph(sizes)
    r = ed.reduce(gb)
    assert r.beta_eff == gb.beta_eff
    assert r.total == gb.n_links
    same(r, ed.reduce(gb.to_scipy()))
    np.testing.assert_allclose(ed.reduce(gb.to_networkx()).out_degree, gb.out_degree())
    assert spectral_reduce(gb).status == "no_cycles"


@pytest.mark.tensorflow
def test_keras_interactions_reduce_to_the_neural_capacitance():
    keras = pytest.importorskip("keras", reason="install the extra 'tf'")
    from edgedyn import nn

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(4, 3, activation="relu", dtype="float64"),
            keras.layers.MaxPooling2D(dtype="float64"),
            keras.layers.Flatten(dtype="float64"),
            keras.layers.Dense(6, activation="relu", dtype="float64"),
            keras.layers.Dense(3, activation="softmax", dtype="float64"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    x, y = np.random.default_rng(0).standard_normal((9, 8, 8, 2)), np.arange(9) % 3
    r = ed.reduce(nn.interaction(model, x, y))
    np.testing.assert_allclose(
        r.beta_eff, nn.neural_capacitance(model, x, y, scope="network").value, rtol=RTOL
    )


# The spectral reduction --------------------------------------------------------------------------


def test_spectral_and_mean_field_agree_on_homogeneous_networks():
    circulant = 0.7 * sum(np.roll(np.eye(20), k, axis=1) for k in (1, 3))
    s, r = spectral_reduce(circulant), ed.reduce(circulant)
    np.testing.assert_allclose((s.alpha, s.beta), (r.beta_eff, 1.0), rtol=1e-10)
    x = np.random.default_rng(0).random(20)
    np.testing.assert_allclose(s.observable(x), r.x_eff(x), rtol=1e-10)
    system = ed.reduction.mutualistic()
    np.testing.assert_allclose(
        s.steady_state(system, "high"),
        ed.reduction.steady_state_1d(r.beta_eff, system, "high"),
        rtol=1e-10,
    )


@pytest.mark.parametrize("n", [40, 700])  # LAPACK, ARPACK
def test_spectral_definitions(n):
    A = sp.random_array((n, n), density=10 / n, rng=np.random.default_rng(1), format="csr")
    s = spectral_reduce(A)
    a, K = s.weights, A.sum(axis=1)
    np.testing.assert_allclose(A.T @ a, s.alpha * a, atol=1e-10 * s.alpha)
    np.testing.assert_allclose(a.sum(), 1, rtol=1e-12)
    np.testing.assert_allclose(a @ K, s.alpha, rtol=1e-8)
    np.testing.assert_allclose(s.beta, (a * K) @ a / (s.alpha * (a @ a)), rtol=1e-10)
    np.testing.assert_allclose(s.alpha, np.linalg.eigvals(A.toarray()).real.max(), rtol=1e-9)
    assert s.to_dict()["n_nodes"] == n


def test_spectral_statuses():
    chain = spectral_reduce(np.eye(6, k=1))
    assert (chain.status, chain.alpha) == ("no_cycles", 0.0)
    with pytest.raises(ValueError, match="no_cycles"):
        chain.steady_state(ed.reduction.sis())
    assert spectral_reduce([[0.0, 1.0], [-1.0, 0.0]]).status == "complex_eigenvalue"
    with pytest.raises(ValueError, match="6 nodes"):
        chain.observable([1.0])


@pytest.mark.parametrize("power", [-540, -1000, 520, 900])
def test_weights_of_any_size_scale_the_value_exactly(power):
    A = np.random.default_rng(0).uniform(0.5, 2, (5, 5))
    once, scaled = ed.reduce(A), ed.reduce(A * 2.0**power)
    assert scaled.status == "ok" and scaled.symmetry == once.symmetry
    for name in ("beta_eff", "mean_strength", "heterogeneity", "total"):
        assert getattr(scaled, name) == getattr(once, name) * 2.0**power, name
    np.testing.assert_array_equal(scaled.in_degree, once.in_degree * 2.0**power)


def test_sums_that_overflow_are_refused():
    with pytest.raises(ValueError, match="overflow"):
        ed.reduce(np.full((5, 5), 1e308))
