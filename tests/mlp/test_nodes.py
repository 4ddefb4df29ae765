"""Node dynamics: its fixed point is the forward pass; the way there, a polynomial times e^-t."""

import json
from math import factorial

import numpy as np
import pytest
from cases import random_case

import edgedyn as ed
from edgedyn._files import to_json
from edgedyn.mlp import node_dynamics
from edgedyn.mlp.nodes import image

SIZES = (3, 4, 5, 3, 2)


def forward(net, X):
    """Return all activations, neuron by neuron."""
    found, z = [], X
    for k, (W, b) in enumerate(zip(net.weights, net.biases, strict=True)):
        a = np.array(
            [[sum(w * v for w, v in zip(row, one, strict=True)) for row in W] for one in z]
        )
        a = a if b is None else a + b
        z = a if k == net.n_layers - 1 else np.where(a > 0, a, 0.0)
        found.append(z)
    return found


def velocity_jacobian(net, X, x, step=1e-6):
    """Return the Jacobian of ``-x + sigma(W x + b)`` for one sample, by central differences."""
    sizes = [z.size for z in x]
    flat = np.concatenate([z.ravel() for z in x])

    def velocity(v):
        layers = [a[None] for a in np.split(v, np.cumsum(sizes)[:-1])]
        return np.concatenate([a.ravel() for a in image(net, X, layers)]) - v

    columns = [(velocity(flat + e) - velocity(flat - e)) / (2 * step)
               for e in step * np.eye(len(flat))]  # fmt: skip
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("distance", [1e-3, 10.0])
def test_the_fixed_point_is_the_forward_pass(bias, distance):
    net, X, _, _ = random_case(0, SIZES, bias)
    way = node_dynamics(net, X, distance=distance, times=[1.0, 50.0], seed=1)
    for state, wanted in zip(way.state, forward(net, X), strict=True):
        np.testing.assert_allclose(state, wanted, atol=1e-10)
    assert way.distance[-1] < 1e-10


def test_the_map_arrives_after_as_many_steps_as_layers():
    net, X, _, _ = random_case(1, SIZES)
    way = node_dynamics(net, X, seed=0)
    assert len(way.map_distance) == net.n_layers + 1
    assert min(way.map_distance[:-1]) > 1e-3 and way.map_distance[-1] < 1e-13
    # Layer l is right after l steps, whatever the start.
    x = [np.full(z.shape, 7.0) for z in forward(net, X)]
    for step in range(1, net.n_layers + 1):
        x = image(net, X, x)
        for layer, (z, wanted) in enumerate(zip(x, forward(net, X), strict=True), start=1):
            assert np.allclose(z, wanted, atol=1e-12) == (layer <= step)


def test_the_linearisation_is_nilpotent_but_for_the_decay():
    net, X, _, _ = random_case(2, SIZES)
    one = X[:1]
    N = velocity_jacobian(net, one, forward(net, one)) + np.eye(sum(SIZES[1:]))
    N = np.where(np.abs(N) < 1e-8, 0.0, N)
    assert np.linalg.matrix_power(N, net.n_layers - 1).any()
    assert not np.linalg.matrix_power(N, net.n_layers).any()


def test_near_the_fixed_point_the_way_is_a_polynomial_times_the_decay():
    net, X, _, _ = random_case(2, SIZES)
    one, times, distance = X[:1], np.array([0.5, 2.0, 8.0, 20.0]), 1e-6
    way = node_dynamics(net, one, distance=distance, times=times, seed=3)
    fixed = np.concatenate([z.ravel() for z in forward(net, one)])
    u = np.random.default_rng(3).standard_normal(len(fixed))
    u *= distance / np.linalg.norm(u)
    N = velocity_jacobian(net, one, forward(net, one)) + np.eye(len(fixed))
    for t, found in zip(times, way.distance, strict=True):
        terms = [t**r / factorial(r) * np.linalg.matrix_power(N, r) @ u for r in range(4)]
        assert found == pytest.approx(np.linalg.norm(sum(terms)) * np.exp(-t), rel=1e-5, abs=1e-13)
    assert max(way.linear_distance) < 1e-6 * distance
    # Slower than e^-t alone: the degree of the polynomial is that of the deepest path.
    growth = np.array(way.distance[:3]) * np.exp(times[:3])
    assert (np.diff(growth) > 0).all() and growth[2] > 10 * growth[0]


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_holds_from_far_where_masks_change(seed):
    net, X, _, _ = random_case(seed, SIZES, bool(seed % 2))
    way = node_dynamics(net, X, distance=30.0, seed=seed)
    assert max(way.linear_distance[:5]) > 0.1  # the linearisation fails here
    slack = 1 + 1e-9
    assert all(d <= b * slack + 1e-11 for d, b in zip(way.distance, way.bound, strict=True))


def test_one_layer_only_decays():
    net = ed.ReLUMLP([[[1.0, 2.0]]])
    way = node_dynamics(net, [[1.0, 1.0]], distance=2.0, times=[1.0, 3.0], seed=0)
    np.testing.assert_allclose(way.distance, 2 * np.exp([-1.0, -3.0]), rtol=1e-10)
    np.testing.assert_allclose(way.bound, way.distance, rtol=1e-10)
    stored = json.loads(to_json(way.to_dict()))
    np.testing.assert_allclose(stored["state"][0], way.state[0])


def test_gradients_are_taken_at_the_fixed_point():
    """Eq. 3 beside Eq. 4: the relaxed state is all that the edge dynamics needs of the nodes."""
    net, X, y, _ = random_case(3, SIZES)
    x = list(node_dynamics(net, X, times=[60.0], seed=0).state)
    p = np.exp(x[-1] - x[-1].max(axis=1, keepdims=True))
    e = p / p.sum(axis=1, keepdims=True) - np.eye(SIZES[-1])[y]
    _, slope = net.gradient(X, y)
    kernels, _ = net.views(slope)
    for k in range(net.n_layers - 1, -1, -1):
        np.testing.assert_allclose(e.T @ ([X, *x][k]) / len(X), kernels[k], atol=1e-10)
        if k:
            e = (e @ net.weights[k]) * (x[k - 1] > 1e-9)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"distance": 0}, ValueError, "distance must be above 0"),
        ({"times": [2.0, 1.0]}, ValueError, "times must be positive and increasing"),
        ({"X": np.ones((2, 7))}, ValueError, "X has 7 features"),
        ({"X": np.ones((10**4, 3))}, ValueError, "at most 100000; got 140000"),
    ],
)
def test_bad_input_is_refused(change, error, sentence):
    net, X, _, _ = random_case(4, SIZES)
    with pytest.raises(error, match=sentence):
        node_dynamics(net, **{"X": X, **change})


def test_single_precision_is_refused():
    net, X, _, _ = random_case(4, SIZES)
    with pytest.raises(ValueError, match="needs a network in float64"):
        node_dynamics(ed.ReLUMLP(net.weights, net.biases, dtype="float32"), X)
