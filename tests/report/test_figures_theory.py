"""Figures of Theorem 1 and of the reduction to one dimension."""

from math import nan
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

import edgedyn as ed
from edgedyn.report import figures

RUNS = {
    "interpolating": [(0.1, 0.5, 9.0), (0.01, 0.05, 0.9), (0.001, 0.005, 0.09)],
    "too narrow": [(0.2, 0.6, 20.0), (0.15, 0.4, 15.0)],
}


@pytest.fixture
def ax():
    return Figure().subplots()


def labelled(ax):
    return {line.get_label(): line for line in ax.lines}


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_runs_show_value_bound_end_and_floor(ax):
    figures.theorem1_runs(ax, RUNS, floors=["too narrow"])
    assert legend_of(ax)[:2] == ["interpolating", "too narrow, floor 0.4"]
    run = labelled(ax)["interpolating"]
    np.testing.assert_array_equal(run.get_xydata(), [p[:2] for p in RUNS["interpolating"]])
    same = [line for line in ax.lines if line.get_color() == run.get_color()]
    end, bound = same[1:]
    np.testing.assert_array_equal(end.get_xydata(), [(0.001, 0.005)])
    np.testing.assert_array_equal(bound.get_ydata(), [9.0, 0.9, 0.09])
    assert bound.get_linestyle() == ":"
    floors = [line for line in ax.lines if list(line.get_ydata()) == [0.4, 0.4]]
    assert len(floors) == 1 and list(floors[0].get_xdata()) == [0, 1]  # from side to side
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    markers = {labelled(ax)[name].get_marker() for name in list(labelled(ax)) if "in" in name[:2]}
    assert labelled(ax)["too narrow, floor 0.4"].get_marker() not in markers


def test_more_runs_than_colours_are_all_drawn(ax):
    figures.theorem1_runs(ax, {f"run {k}": RUNS["interpolating"] for k in range(9)})
    assert sum(name.startswith("run") for name in labelled(ax)) == 9


@pytest.mark.parametrize(
    "runs, floors, words",
    [
        ({}, (), "runs is empty"),
        ({"a": [(0.1, 0.2)]}, (), "'a' must be triples"),
        ({"a": []}, (), "'a' must be triples"),
        (RUNS, ["noisy"], r"floors must name runs.*'noisy'"),
    ],
)
def test_wrong_runs_are_refused(ax, runs, floors, words):
    with pytest.raises(ValueError, match=words):
        figures.theorem1_runs(ax, runs, floors=floors)


def test_signed_values_stand_beside_the_magnitude(ax):
    figures.signed_run(ax, [1, 2, 3], [0.5, nan, -20.0], [0.9, 0.5, 0.1])
    lines = labelled(ax)
    np.testing.assert_array_equal(lines["signed"].get_ydata(), [0.5, nan, -20.0])
    np.testing.assert_array_equal(lines["magnitude"].get_ydata(), [0.9, 0.5, 0.1])
    assert ax.get_yscale() == "symlog"
    assert ax.get_ylim()[0] < -20 and ax.get_ylim()[1] > 20
    ax.figure.canvas.draw()
    with pytest.raises(ValueError, match="signed must have 2 values"):
        figures.signed_run(ax, [1, 2], [0.1], [0.1, 0.2])


def test_flows_share_their_axes(ax):
    flows = {f"flow {k}": [0.01 * (k + 1), 0.5] for k in range(5)}
    figures.flow_deviations(ax, [0.1, 1.0], flows, "interpolating")
    lines = [line for name, line in labelled(ax).items() if name.startswith("flow")]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 5
    np.testing.assert_array_equal(lines[2].get_ydata(), [0.03, 0.5])
    assert ax.get_title() == "interpolating"
    for wrong in ({}, {"a": [0.1]}, {"a": []}):
        with pytest.raises(ValueError, match="empty|2 values"):
            figures.flow_deviations(ax, [0.1, 1.0], wrong, "")


@pytest.fixture(scope="module")
def curve():
    return ed.reduction.gene_regulation().resilience_curve(np.linspace(0.5, 4.0, 36))


def test_resilience_shows_branches_tipping_point_and_states(ax, curve):
    states = [{"start": "low", "x_eff": 0.0}, {"start": "high", "x_eff": 2.5}]
    figures.resilience(ax, curve, 3.0, states)
    lines = labelled(ax)
    branches = [line for line in ax.lines if len(line.get_xdata()) > 2]
    assert sum(len(line.get_xdata()) for line in branches) == len(curve.beta)
    dashed = [line for line in branches if line.get_linestyle() == "--"]
    beta, x = np.concatenate([line.get_xydata() for line in dashed]).T
    # The unstable states of -x + beta x^2 / (1 + x^2), by hand.
    np.testing.assert_allclose(x, (beta - np.sqrt(beta**2 - 4)) / 2, rtol=1e-6)
    np.testing.assert_allclose(lines["critical 2"].get_xdata(), [2, 2], rtol=1e-6)
    assert list(lines["this network 3"].get_xdata()) == [3, 3]
    low, high = lines["full network, low start"], lines["full network, high start"]
    assert (*low.get_data(), *high.get_data()) == ([3], [0], [3], [2.5])
    assert low.get_marker() != high.get_marker()
    assert ax.get_xlim()[0] == 0


def test_a_network_without_tipping_points_and_states(ax):
    beta = np.array([1.0, 2.0])
    ones = np.ones(2, dtype=int)
    curve = SimpleNamespace(beta=beta, x=beta, stable=ones > 0, branch=ones, critical=())
    figures.resilience(ax, curve, -0.5)
    assert legend_of(ax) == ["stable", "this network -0.5"]
    assert ax.get_xlim()[0] == -0.5
    curve.beta = np.array([])
    with pytest.raises(ValueError, match="no points"):
        figures.resilience(ax, curve, 1.0)
    with pytest.raises(ValueError, match="beta must be finite"):
        figures.resilience(ax, curve, nan)


def test_collapse_tells_perturbations_and_starts_apart(ax, curve):
    records = [
        {"perturbation": p, "start": s, "beta_eff": k + 1.0, "x_eff": k / 2}
        for k, (p, s) in enumerate(
            [("nodes", "low"), ("nodes", "high"), ("links", "low"), ("links", "high")]
        )
    ]
    figures.collapse(ax, curve, [SimpleNamespace(**r) for r in records])
    points = {name: line for name, line in labelled(ax).items() if "start" in name}
    assert list(points) == [
        "nodes, low start", "nodes, high start", "links, low start", "links, high start",
    ]  # fmt: skip
    for record, line in zip(records, points.values(), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), [(record["beta_eff"], record["x_eff"])])
    looks = [(line.get_marker(), line.get_fillstyle()) for line in points.values()]
    assert len(set(looks)) == 4  # seen in grey, too
    with pytest.raises(ValueError, match="records is empty"):
        figures.collapse(ax, curve, [])
    with pytest.raises(ValueError, match="needs the field 'x_eff'"):
        figures.collapse(ax, curve, [{"perturbation": "nodes", "start": "low", "beta_eff": 1.0}])
