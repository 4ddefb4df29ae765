"""Degrees in closed form against P from brute force, TensorFlow and finite differences."""

import importlib.util
from itertools import pairwise

import numpy as np
import oracles
import pytest
from cases import TARGETS, random_case

import edgedyn as ed
from edgedyn.mlp import coupling_block, coupling_matrix

SIZES = [(3, 4, 2), (4, 5, 3, 2), (3, 4, 1, 3, 2), (2, 3, 4, 3, 2, 3)]
DIRECT = [("direct", s) for s in ("magnitude", "absolute", "signed")]
KINDS = [*DIRECT, ("full", "signed")]

needs_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="install the extra 'tf'"
)


def flat_degrees(net, X, y, chunks=1, **kinds):
    accumulator = net.degree_accumulator(**kinds)
    for part in np.array_split(np.arange(len(X)), chunks):
        accumulator.update(X[part], y[part])
    ins, outs = zip(*(layer.flat() for layer in accumulator.degrees()), strict=True)
    return np.concatenate(ins), np.concatenate(outs)


def assert_same(actual, expected, rtol):
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


def assert_sums(ins, outs, P, rtol):
    # The softmax gauge makes exact zeros of some sums; compare on the scale of what is summed.
    scale = rtol * np.abs(P).sum(axis=1).max()
    np.testing.assert_allclose(ins, P.sum(axis=1), rtol=rtol, atol=scale)
    np.testing.assert_allclose(outs, P.sum(axis=0), rtol=rtol, atol=scale)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("strength", ["magnitude", "absolute", "signed"])
def test_direct_degrees_and_blocks_equal_entry_by_entry_sums(sizes, targets, bias, nodes, strength):
    net, X, y, dense = random_case(1, sizes, bias, targets)
    P = oracles.direct_matrix(net.weights, net.biases, X, dense, net.loss, strength, nodes)
    kinds = {"coupling": "direct", "strength": strength, "nodes": nodes}
    assert_same(coupling_matrix(net, X, y, **kinds).toarray(), P, 1e-12)
    ins, outs = flat_degrees(net, X, y, chunks=3, **kinds)
    assert_sums(ins, outs, P, 1e-12)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("nodes", ["kernels", "all"])
def test_full_degrees_equal_sums_of_the_block_and_finite_differences(sizes, targets, bias, nodes):
    net, X, y, dense = random_case(2, sizes, bias, targets)
    kinds = {"coupling": "full", "strength": "signed", "nodes": nodes}
    P = coupling_matrix(net, X, y, **kinds).toarray()
    numeric = oracles.finite_difference_full(net.weights, net.biases, X, dense, net.loss, nodes)
    assert_same(P, numeric, 1e-6)
    ins, outs = flat_degrees(net, X, y, chunks=2, **kinds)
    assert_sums(ins, outs, P, 1e-12)


@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("nodes", ["kernels", "all"])
def test_direct_signed_equals_finite_differences_with_held_errors(targets, nodes):
    net, X, y, dense = random_case(3, (4, 5, 3, 2), True, targets)
    numeric = oracles.finite_difference_direct(net.weights, net.biases, X, dense, net.loss, nodes)
    P = coupling_matrix(net, X, y, strength="signed", nodes=nodes).toarray()
    assert_same(P, numeric, 1e-6)


@needs_tensorflow
@pytest.mark.tensorflow
@pytest.mark.parametrize("bias", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "targets", [t if t == "labels" else pytest.param(t, marks=pytest.mark.slow) for t in TARGETS]
)
# Kernels are a part of all.
@pytest.mark.parametrize("nodes", [pytest.param("kernels", marks=pytest.mark.slow), "all"])
@pytest.mark.parametrize(("coupling", "strength"), KINDS)
def test_everything_equals_automatic_differentiation(coupling, strength, nodes, targets, bias):
    net, X, y, dense = random_case(4, (3, 4, 3, 2), bias, targets, n_samples=3)
    P = oracles.tensorflow_matrix(
        net.weights, net.biases, X, dense, net.loss, coupling, strength, nodes
    )
    kinds = {"coupling": coupling, "strength": strength, "nodes": nodes}
    assert_same(coupling_matrix(net, X, y, **kinds).toarray(), P, 1e-12)
    ins, outs = flat_degrees(net, X, y, **kinds)
    assert_sums(ins, outs, P, 1e-12)


@pytest.mark.parametrize("targets", TARGETS)
def test_gradients_are_contractions_of_the_direct_coupling(targets):
    net, X, y, _ = random_case(5, (4, 5, 3, 2), True, targets)
    _, vector = net.gradient(X, y)
    kernels, biases = net.views(vector)
    for layer in (1, 2):
        block = coupling_block(net, X, y, layer, strength="signed", nodes="all")
        n, m = net.weights[layer - 1].shape
        n_next = net.weights[layer].shape[0]
        P = block.toarray()[:, : n * n_next].reshape(n * m + n, n_next, n)
        W, b, W_next = net.weights[layer - 1], net.biases[layer - 1], net.weights[layer]
        rows = P[: n * m].reshape(n, m, n_next, n)
        np.testing.assert_allclose(
            np.einsum("ki,ijki->ij", W_next, rows), kernels[layer - 1], atol=1e-13
        )
        np.testing.assert_allclose(
            np.einsum("ki,iki->i", W_next, P[n * m :]), biases[layer - 1], atol=1e-13
        )
        from_rows = np.einsum("ij,ijki->ki", W, rows) + np.einsum("i,iki->ki", b, P[n * m :])
        np.testing.assert_allclose(from_rows, kernels[layer], atol=1e-13)


@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize(("coupling", "strength"), KINDS)
def test_merged_accumulators_equal_one_pass(coupling, strength, nodes):
    net, X, y, _ = random_case(6, (3, 4, 3, 4, 2), n_samples=40)
    kinds = {"coupling": coupling, "strength": strength, "nodes": nodes}
    parts = []
    for rows in np.array_split(np.arange(40), 4):
        parts.append(net.degree_accumulator(groups=10, **kinds))
        parts[-1].update(X[rows], y[rows], rows)
    merged = parts[0]
    for other in parts[1:]:
        merged = merged.merge(other)
    whole = ed.neural_capacitance(net, X, y, stderr=True, **kinds)
    actual = merged.capacitance()
    assert actual.status == whole.status
    np.testing.assert_allclose(actual.value, whole.value, rtol=1e-11)
    np.testing.assert_allclose(actual.stderr, whole.stderr, rtol=1e-9)


def test_accumulators_of_different_things_do_not_merge():
    net, X, y, _ = random_case(6, (3, 4, 2))
    with pytest.raises(ValueError, match="cannot merge"):
        net.degree_accumulator().merge(net.degree_accumulator(nodes="all"))


def test_an_empty_accumulator_has_no_capacitance():
    net, *_ = random_case(6, (3, 4, 2))
    with pytest.raises(ValueError, match="no samples yet"):
        net.degree_accumulator().capacitance()


def test_full_coupling_has_signed_strengths_only():
    net, X, y, _ = random_case(6, (3, 4, 3, 2))
    with pytest.raises(ValueError, match="pass strength='signed'"):
        ed.neural_capacitance(net, X, y, coupling="full")


@pytest.mark.parametrize("bad", [0, 3, 7])
def test_blocks_exist_between_layers_only(bad):
    net, X, y, _ = random_case(6, (3, 4, 3, 2))
    with pytest.raises(ValueError, match="layer must be"):
        coupling_block(net, X, y, bad)


def test_diverged_weights_are_refused_and_nothing_is_added():
    net, X, y, _ = random_case(6, (3, 4, 3, 2))
    net.parameters[...] = 1e200
    accumulator = net.degree_accumulator()
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="not finite"):
        accumulator.update(X, y)
    assert accumulator.n_samples == 0


@pytest.mark.parametrize("with_bias", [(0, 1, 0, 1), (1, 0, 1, 0), (0, 0, 1, 1)])
@pytest.mark.parametrize("strength", ["magnitude", "signed"])
def test_biases_of_some_layers_only(with_bias, strength):
    rng, sizes = np.random.default_rng(0), (3, 4, 3, 3, 2)
    W = [rng.standard_normal((n, m)) for m, n in pairwise(sizes)]
    B = [rng.standard_normal(len(w)) if own else None for w, own in zip(W, with_bias, strict=True)]
    net, X, y = ed.ReLUMLP(W, B), rng.standard_normal((5, 3)), [0, 1, 0, 1, 1]
    P = oracles.direct_matrix(W, B, X, np.eye(2)[y], "cross_entropy", strength, "all")
    found = net.interaction(X, y, nodes="all", strength=strength).operator
    v = rng.standard_normal(len(P))
    np.testing.assert_allclose(found @ v, P @ v, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.T @ v, P.T @ v, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(
        coupling_matrix(net, X, y, nodes="all", strength=strength).toarray(), P, atol=1e-14
    )
