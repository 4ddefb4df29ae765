"""Theorem 1: the bound as a property, a small honest run, the floors and the counterexamples."""

import json
from dataclasses import replace

import numpy as np
import pytest
from cases import TARGETS, random_case
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import edgedyn as ed
from edgedyn._data import digits
from edgedyn._files import to_json
from edgedyn.mlp import capacitance_bound
from edgedyn.mlp.counterexamples import counterexamples, gauge_table
from edgedyn.mlp.theorem1 import log_log_slope

LAYERS = [64, 24, 16, 12, 10]


@settings(max_examples=80, deadline=None, derandomize=True)
@given(
    st.integers(0, 10_000),
    st.tuples(st.lists(st.integers(1, 6), min_size=3, max_size=5), st.integers(2, 4)),
    st.booleans(),
    st.sampled_from(TARGETS),
    st.sampled_from(["kernels", "all"]),
)
def test_bound(seed, sizes, bias, targets, nodes):
    net, X, y, _ = random_case(seed, (*sizes[0], sizes[1]), bias, targets)
    cap = ed.neural_capacitance(net, X, y, nodes=nodes)
    assume(cap.status == "ok")
    K, eps = capacitance_bound(net, X, y, nodes=nodes)
    assert cap.value <= K * eps * (1 + 1e-12)
    # what the proof says on its way: every interior out-degree is bounded
    accumulator = net.degree_accumulator(nodes=nodes)
    accumulator.update(X, y)
    for layer in accumulator.degrees()[1:-1]:
        assert layer.flat()[1].max() <= K * eps * (1 + 1e-12)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(0, 10_000), st.sampled_from(["squared_error", "labels"]))
def test_signed_values_are_bounded_over_their_conditioning(seed, targets):
    net, X, y, _ = random_case(seed, (3, 4, 4, 3, 2), True, targets)
    cap = ed.neural_capacitance(net, X, y, strength="signed")
    assume(cap.status == "ok")
    K, eps = capacitance_bound(net, X, y)
    assert abs(cap.value) <= K * eps / cap.conditioning * (1 + 1e-9)


def test_bound_is_reached_by_a_chain_in_the_limit():
    net = ed.ReLUMLP([[[1.0]], [[1.0]], [[1e-9]]], loss="squared_error")
    K, eps = capacitance_bound(net, [[1.0]], [1.0])
    assert ed.neural_capacitance(net, [[1.0]], [1.0]).value == pytest.approx(K * eps, rel=1e-6)


def test_too_few_layers_have_bound_zero():
    net, X, y, _ = random_case(0, (3, 4, 2))
    assert capacitance_bound(net, X, y)[0] == 0
    with pytest.raises(ValueError, match="nodes must be one of"):
        capacitance_bound(net, X, y, nodes="both")
    with pytest.raises(ValueError, match="X has 2 features"):
        capacitance_bound(net, X[:, :2], y)


@pytest.fixture(scope="module")
def progress():
    return []


@pytest.fixture(scope="module")
def report(progress):
    X, y = digits()
    return ed.verify_theorem1(
        X[:300],
        y[:300],
        layers=LAYERS,
        epochs=350,
        seed=0,
        progress=lambda fraction, what: progress.append((fraction, what)),
    )


@pytest.mark.slow
def test_capacitance_vanishes_where_the_network_interpolates(report):
    points = report.interpolating
    assert points[-1].accuracy == 1.0
    assert report.fall == max(p.beta for p in points) / points[-1].beta
    assert report.fall > 100
    assert all(p.beta <= p.bound for p in points)
    assert 0.3 < report.slope < 1.2
    assert 0 < report.slope_stderr < 0.1
    slope, _ = np.polyfit(
        np.log([p.mean_error for p in points]), np.log([p.beta for p in points]), 1
    )
    assert report.slope == pytest.approx(slope, rel=1e-9)


@pytest.mark.slow
def test_brute_force_agrees(report):
    built = [p for p in report.interpolating if np.isfinite(p.brute_force)]
    assert len(built) == 4
    assert all(p.brute_force == pytest.approx(p.beta, rel=1e-12) for p in built)
    assert report.brute_force_error < 1e-12


@pytest.mark.slow
def test_floors_stay(report):
    for points in report.floors.values():
        assert points[-1].beta > 0.01
        assert points[-1].beta > 2 * report.interpolating[-1].beta
        assert points[-1].accuracy < 1
        assert all(p.beta <= p.bound for p in points)
    stationary = report.floors["20 % label noise, weight decay"]
    assert stationary[-1].gradient_norm < 0.5 * stationary[0].gradient_norm


@pytest.mark.slow
def test_report_reads_well(report, progress):
    read = json.loads(to_json(report.to_dict()))
    assert read["sizes"] == LAYERS
    assert len(read["interpolating"]) == len(report.interpolating)
    frame = report.to_frame()
    assert set(frame["run"]) == {"interpolating", *report.floors}
    assert len(frame) == sum(map(len, [report.interpolating, *report.floors.values()]))
    assert "64-24-16-12-10" in str(report)
    assert report.sign_changes >= 0
    fractions = [fraction for fraction, _ in progress]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.slow
def test_dynamics_in_the_report(report):
    rest, teacher = report.dynamics.values()
    assert teacher.direct_norm < 1e-9
    assert rest.direct_norm > 1e-6
    assert teacher.nilpotent_residual == rest.nilpotent_residual == 0


@pytest.mark.parametrize("eta", [0.5, 0.25, 2**-10])
def test_counterexamples_are_exact(eta):
    chain, softmax = counterexamples(eta)
    assert chain.magnitude == chain.predicted == eta / 2
    assert softmax.magnitude == pytest.approx(0.5, rel=1e-15)
    for point in (chain, softmax):
        assert point.gradient_norm < 1e-15
        assert point.signed_norm < 1e-15
        assert point.absolute_norm < 1e-15
        assert point.to_dict()["name"] == point.name


def test_gauge_table():
    rows = gauge_table(0)
    assert len(rows) == 4 * 2 * 2
    for row in rows:
        softmax = row.loss == "cross_entropy"
        expected = {2: "no_interior_layer", 3: "gauge_degenerate" if softmax else "ok"}
        assert row.status == expected.get(row.n_layers, "ok")
        assert np.isnan(row.value) == (row.status != "ok")
        if softmax:
            assert row.last_block_row_sum < 1e-13
        else:
            assert row.last_block_row_sum > 1e-3


def test_slope():
    x = np.array([1.0, 2.0, 5.0, 7.0])
    slope, error = log_log_slope(x, 3 * x**0.7)
    assert slope == pytest.approx(0.7, rel=1e-12)
    assert error == pytest.approx(0, abs=1e-12)
    slope, error = log_log_slope([1, 2], [1, 4])
    assert slope == pytest.approx(2)
    assert np.isnan(error)
    assert all(np.isnan(log_log_slope([1, 1], [1, 4])))


def small(**options):
    """Return a report on a few samples after a few epochs."""
    X, y = digits()
    chosen = np.flatnonzero(y < 3)[:30]
    return ed.verify_theorem1(X[chosen], y[chosen], **{"epochs": 2, **options})


def test_layers_follow_from_data():
    assert small().sizes == (64, 48, 32, 24, 3)
    X = np.random.default_rng(0).standard_normal((60, 5))
    many = ed.verify_theorem1(X, np.arange(60) % 40, epochs=2)
    assert many.sizes == (5, 48, 40, 40, 40)
    words = ed.verify_theorem1(X, np.array(["yes", "no"])[np.arange(60) % 2], epochs=2)
    assert words.sizes[-1] == 2
    same = ed.verify_theorem1(X, 1 - np.arange(60) % 2, epochs=2)  # "no" is the first of them
    assert words.interpolating == same.interpolating


def test_the_verdict_of_a_run_that_does_not_interpolate():
    report = small()
    assert report.interpolating[-1].accuracy < 1
    assert report.verdict.startswith("Not decided: after 2 epochs")
    assert report.to_dict()["verdict"] == report.verdict == str(report).splitlines()[-1]


@pytest.mark.slow
def test_the_verdict_where_it_does(report):
    n = len(report.interpolating)
    assert report.verdict.startswith("Theorem 1 holds where the network interpolates")
    assert f"in {n} of {n} measurements" in report.verdict
    for points in report.floors.values():
        assert f"{points[-1].beta:.3g}" in report.verdict


def test_the_verdict_where_the_bound_is_broken():
    report = small()
    points = tuple(replace(p, accuracy=1.0, bound=p.beta / 2) for p in report.interpolating)
    assert "bound is broken" in replace(report, interpolating=points).verdict
    floors = {"dead": (replace(points[0], beta=np.nan, beta_status="dead"),)}
    dead = replace(report, interpolating=points, floors=floors)
    assert "no floor was found" in dead.verdict and "dead: beta_eff is dead" in str(dead)
    assert "nan" not in str(dead)


X, Y = np.random.default_rng(0).standard_normal((12, 3)), np.arange(12) % 2


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        ({"y": None}, ValueError, "give both X and y, or neither"),
        ({"layers": [3, 4, 2]}, ValueError, "at least four sizes"),
        ({"layers": [3, 4, 0, 2]}, ValueError, r"sizes\[2\] must be at least 1"),
        ({"layers": [4, 4, 4, 2]}, ValueError, "X has 3 features, but layers begins with 4"),
        ({"X": np.where(X > 1, np.nan, X)}, ValueError, "X contains nan"),
        ({"y": Y[:3]}, ValueError, "one integer label for each of the 12 samples"),
        ({"y": np.eye(2)[Y]}, ValueError, "one integer label for each of the 12 samples"),
        ({"y": Y * 0}, ValueError, "one class only"),
        ({"y": Y * 2}, ValueError, r"labels must be integers in 0\.\.1; y contains 2"),
        ({"y": Y + 0.5}, ValueError, "labels must be integers"),
        ({"epochs": 1}, ValueError, "epochs must be at least 2"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"epochs": 2.5}, TypeError, "epochs must be an integer"),
    ],
)
def test_bad_input_is_refused(change, error, sentence):
    with pytest.raises(error, match=sentence):
        ed.verify_theorem1(**{"X": X, "y": Y, "layers": [3, 4, 4, 2], **change})
