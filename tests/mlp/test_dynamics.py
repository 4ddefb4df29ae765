"""Edge dynamics: the Hessian and its blocks, and where the linear flows agree or part."""

import json

import numpy as np
import pytest
from cases import TARGETS, random_case

import edgedyn as ed
from edgedyn._files import to_json
from edgedyn.mlp import coupling_matrix, edge_dynamics
from edgedyn.mlp.dynamics import FLOWS, hessian, layer_of_parameter, linear_operators

COMPLETE, BOTH, ONE, DIRECT = FLOWS
SIZES = (3, 4, 3, 2)


def finite_difference_hessian(net, X, y, step=1e-5):
    columns = []
    for p in range(net.n_parameters):
        pair = []
        for sign in (1, -1):
            moved = net.copy()
            moved.parameters[p] += sign * step
            pair.append(moved.gradient(X, y)[1])
        columns.append((pair[0] - pair[1]) / (2 * step))
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", TARGETS)
def test_hessian_equals_finite_differences(targets, bias):
    net, X, y, _ = random_case(0, SIZES, bias, targets)
    H = hessian(net, X, y)
    scale = np.abs(H).max()
    np.testing.assert_allclose(H, finite_difference_hessian(net, X, y), atol=1e-7 * scale)
    np.testing.assert_allclose(H, H.T, atol=1e-13 * scale)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("targets", TARGETS)
def test_adjacent_blocks_are_the_full_coupling(targets, bias):
    net, X, y, _ = random_case(1, (3, 4, 3, 4, 2), bias, targets)
    H, layer = hessian(net, X, y), layer_of_parameter(net)
    P = coupling_matrix(net, X, y, coupling="full", strength="signed", nodes="all").toarray()
    adjacent = layer[None, :] == layer[:, None] + 1
    np.testing.assert_allclose(np.where(adjacent, H, 0), P, atol=1e-13 * np.abs(P).max())
    operators = linear_operators(net, X, y)
    np.testing.assert_allclose(operators[ONE], P, atol=1e-13 * np.abs(P).max())
    np.testing.assert_allclose(operators[BOTH], P + P.T, atol=1e-13 * np.abs(P).max())
    direct = coupling_matrix(net, X, y, strength="signed", nodes="all").toarray()
    np.testing.assert_array_equal(operators[DIRECT], direct)


def test_layers_of_parameters_with_some_biases():
    net = ed.ReLUMLP([np.ones((2, 3)), np.ones((1, 2))], [None, [0.0]])
    np.testing.assert_array_equal(layer_of_parameter(net), [1] * 6 + [2] * 3)


@pytest.mark.parametrize("targets", TARGETS)
def test_one_direction_is_nilpotent_and_both_are_unstable(targets):
    net, X, y, _ = random_case(2, SIZES, True, targets)
    A = linear_operators(net, X, y)
    for name in (ONE, DIRECT):
        power = np.linalg.matrix_power(A[name], net.n_layers)
        assert not power.any()
        assert np.linalg.matrix_power(A[name], net.n_layers - 1).any()
    assert np.trace(A[BOTH]) == 0
    eigenvalues = np.linalg.eigvalsh(-A[BOTH])
    assert eigenvalues.max() > 1e-3
    assert eigenvalues.sum() == pytest.approx(0, abs=1e-10 * np.abs(eigenvalues).sum())


@pytest.fixture(scope="module")
def teacher():
    """Return data that the network itself has made, so that its weights interpolate."""
    net, X, _, _ = random_case(3, SIZES, True, "squared_error", n_samples=40)
    return net, X, net.logits(X)


@pytest.fixture(scope="module")
def near(teacher):
    return edge_dynamics(*teacher, distance=1e-5, seed=0)


def test_an_interpolating_equilibrium_has_no_direct_coupling(near):
    assert near.direct_norm < 1e-12
    assert near.equilibrium_loss < 1e-20
    assert near.equilibrium_gradient < 1e-10


def test_the_complete_hessian_captures_the_flow_and_the_line_graph_does_not(near):
    times = np.array(near.times)
    assert (np.diff(times) > 0).all()
    short = slice(0, 13)
    assert max(near.deviations[COMPLETE][short]) < 0.01
    assert near.parting_time[COMPLETE] > near.parting_time[BOTH]
    for name in (ONE, DIRECT):
        assert near.deviations[name][0] > 0.1
        assert near.parting_time[name] == times[0]
    # without a coupling and at zero gradient the flow stands still: all of the motion is missed
    np.testing.assert_allclose(near.deviations[DIRECT], 1, atol=1e-4)


def test_growth_rates(near):
    assert near.growth_rate[COMPLETE] < 1e-6
    assert near.growth_rate[BOTH] > 0
    assert near.growth_rate[ONE] == near.growth_rate[DIRECT] == 0
    assert near.nilpotent_residual == 0
    assert near.true_distance[-1] < near.start_distance


def test_integration_is_accurate_and_times_may_be_chosen(teacher):
    result = edge_dynamics(*teacher, distance=1e-4, times=[0.01, 0.1, 1.0], seed=1)
    assert result.times == (0.01, 0.1, 1.0)
    assert result.integration_error < 1e-3
    assert json.loads(to_json(result.to_dict()))["start_distance"] == pytest.approx(1e-4)
    again = edge_dynamics(*teacher, distance=1e-4, times=[0.01, 0.1, 1.0], seed=1)
    assert again == result


def test_the_network_is_left_as_it_is(teacher):
    net, X, _ = teacher
    before = net.parameters.copy()
    edge_dynamics(net, X, net.logits(X) + 0.1, times=[0.1], seed=0)
    np.testing.assert_array_equal(net.parameters, before)


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"distance": 0}, ValueError, "distance must be above 0"),
        ({"distance": "far"}, TypeError, "distance must be a real number"),
        ({"times": []}, ValueError, "times must be positive and increasing"),
        ({"times": [0.0, 1.0]}, ValueError, "times must be positive and increasing"),
        ({"times": [2.0, 1.0]}, ValueError, "times must be positive and increasing"),
        ({"times": [[1.0]]}, ValueError, "times must be positive and increasing"),
        ({"times": [1.0, np.nan]}, ValueError, "times must be positive and increasing"),
        ({"times": [1.0, np.inf]}, ValueError, "times must be positive and increasing"),
        ({"X": np.full((6, 3), np.nan)}, ValueError, "X contains nan"),
        ({"y": np.zeros(5, int)}, ValueError, "each of the 6 samples"),
    ],
)
def test_bad_input_is_refused(change, error, sentence):
    net, X, y, _ = random_case(4, SIZES)
    with pytest.raises(error, match=sentence):
        edge_dynamics(net, **{"X": X, "y": y, **change})


def test_precision_and_size_are_limited():
    net, X, y, _ = random_case(4, SIZES)
    single = ed.ReLUMLP(net.weights, net.biases, dtype="float32")
    with pytest.raises(ValueError, match="needs a network in float64"):
        edge_dynamics(single, X, y)
    large = ed.ReLUMLP.random([50, 40, 10], seed=0)
    with pytest.raises(ValueError, match="at most 2000 parameters; this network has"):
        hessian(large, np.ones((2, 50)), [0, 1])
