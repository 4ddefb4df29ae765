"""Figures of runs: curves, accuracy against beta_eff, layers' contributions, times."""

from math import inf, nan
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from edgedyn.report import figures

LINE = (np.linspace(0, 1, 5), np.linspace(0.9, 0.5, 5), np.full(5, 0.1))


@pytest.fixture
def ax():
    return Figure().subplots()


def labelled(ax):
    return {line.get_label(): line for line in ax.lines}


def legend_of(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def words_in(ax):
    return [text.get_text() for text in ax.texts]


def test_curves_count_epochs_from_one(ax):
    assert figures.curves(ax, {"a": [0.1, 0.2, 0.3]}, "accuracy", observed=2) is ax
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("epoch", "accuracy")
    assert legend_of(ax) == ["a", "observed"]
    (span,) = ax.patches
    np.testing.assert_allclose([span.get_x(), span.get_x() + span.get_width()], [0.5, 2.5])


def test_missing_epochs_are_gaps_and_missing_candidates_are_named(ax):
    figures.curves(ax, {"gap": [0.1, None, 0.3, 0.4], "none": [nan, nan]}, "accuracy")
    lines = labelled(ax)
    np.testing.assert_array_equal(lines["gap"].get_ydata(), [0.1, nan, 0.3, 0.4])
    assert "none, no values" in lines
    assert lines["gap"].get_marker() == "o"  # a lone value has no line to be seen by


def test_many_curves_can_be_told_apart_in_colour_and_in_grey(ax):
    figures.curves(ax, {f"model {k}": [0.1 * k, 0.2] for k in range(20)}, "accuracy")
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 20
    assert len({(line.get_linestyle(), line.get_marker()) for line in ax.lines}) == 20
    assert ax.get_legend().get_bbox_to_anchor().x0 >= ax.bbox.x1  # beside, not on the curves


@pytest.mark.parametrize(
    "series, observed, error, words",
    [
        ({}, None, ValueError, "series is empty"),
        ({"a": []}, None, ValueError, r"series\['a'\] is empty"),
        ({"a": [[0.1]]}, None, ValueError, r"shape \(n,\); got shape \(1, 1\)"),
        ({"a": ["high"]}, None, TypeError, "real numbers"),
        ([0.1], None, TypeError, "mapping of names; got list"),
        ({"a": [0.1]}, 0, ValueError, "observed must be at least 1"),
    ],
)
def test_wrong_curves_are_refused(ax, series, observed, error, words):
    with pytest.raises(error, match=words):
        figures.curves(ax, series, "accuracy", observed)
    assert not ax.lines


def test_the_fit_shows_both_ends_at_zero(ax):
    figures.accuracy_fit(ax, [0.8, 0.6], [0.6, 0.7], LINE, truth=0.95)
    ends = {m.get_label(): (*m.get_xdata(), *m.get_ydata()) for m in ax.lines[2:4]}
    assert ends == {"predicted 0.900": (0, 0.9), "true 0.950": (0, 0.95)}
    marks = {m.get_marker() for m in ax.lines[2:4]}
    assert len(marks) == 2 and len({m.get_color() for m in ax.lines[2:4]}) == 2
    (band,) = ax.collections
    corners = band.get_paths()[0].vertices
    np.testing.assert_allclose([corners[:, 1].min(), corners[:, 1].max()], [0.4, 1.0])
    np.testing.assert_allclose([corners[:, 0].min(), corners[:, 0].max()], [0, 1])


def test_observations_before_the_window_are_hollow(ax):
    figures.accuracy_fit(ax, [0.9, 0.8, 0.6], [0.2, 0.6, 0.7], LINE, 0.95, "VGG16", t0=2)
    lines = labelled(ax)
    before, after = lines["before the window"], lines["observed epochs"]
    assert before.get_fillstyle() == "none" and after.get_fillstyle() == "full"
    np.testing.assert_array_equal(before.get_ydata(), [0.2])
    np.testing.assert_array_equal(after.get_xdata(), [0.8, 0.6])
    assert ax.get_title() == "VGG16"


def test_a_wide_band_does_not_push_the_points_together(ax):
    wide = (*LINE[:2], np.array([inf, inf, 1e6, 0.1, 0.1]))
    figures.accuracy_fit(ax, [0.8, 0.6], [0.6, 0.7], wide, truth=0.95)
    low, high = ax.get_ylim()
    assert 0.4 < low < 0.5 and 0.95 < high < 1.05
    assert any("else infinite" in text for text in legend_of(ax))
    ax.figure.canvas.draw()


def test_a_fit_that_could_not_be_made(ax):
    figures.accuracy_fit(ax, [0.8, nan], [0.6, 0.7], None, truth=nan)
    assert legend_of(ax) == ["observed epochs"]
    other = Figure().subplots()
    figures.accuracy_fit(other, [nan, nan], [0.6, 0.7], None, truth=nan)
    assert words_in(other) == ["no values"]
    other.figure.canvas.draw()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"accuracy": [0.5]}, "accuracy must have 2 values like the others; got 1"),
        ({"beta": [], "accuracy": []}, "beta is empty"),
        ({"t0": 3}, r"t0 must be in 1\.\.2"),
        ({"t0": 0}, "t0 must be at least 1"),
        ({"line": ([0, 1], [0.9], [0.1, 0.1])}, "the line's mean must have 2 values"),
    ],
)
def test_wrong_fits_are_refused(ax, change, words):
    right = {"beta": [0.8, 0.6], "accuracy": [0.6, 0.7], "line": LINE, "truth": 0.9}
    with pytest.raises(ValueError, match=words):
        figures.accuracy_fit(ax, **(right | change))


MODEL = {
    "accuracy": [0.2, 0.65, 0.74, 0.9],
    "beta": [0.9, 0.6, 0.4, 0.1],
    "line": LINE,
    "truth": 0.93,
    "t0": 2,
}


def test_one_column_a_model_of_three_rows():
    axes = Figure().subplots(3, 2)
    found = figures.model_columns(axes, {"VGG16": MODEL, "ResNet50": MODEL}, observed=3)
    assert found.shape == (3, 2) and (found == axes).all()
    assert [ax.get_title() for ax in axes[0]] == ["VGG16", "ResNet50"]
    for top, middle, bottom in axes.T:
        np.testing.assert_array_equal(top.lines[0].get_ydata(), MODEL["accuracy"])
        np.testing.assert_array_equal(top.lines[1].get_xdata(), [1, 2, 3])
        assert labelled(top)["true 0.930"].get_xdata() == [4]
        np.testing.assert_array_equal(middle.lines[0].get_ydata(), MODEL["beta"])
        assert middle.get_yscale() == "log"
        np.testing.assert_array_equal(labelled(bottom)["observed epochs"].get_xdata(), [0.6, 0.4])
        assert legend_of(bottom) == ["predicted 0.900", "true 0.930"]
    assert axes[0, 0].get_ylabel() and not axes[0, 1].get_ylabel()
    flat = Figure().subplots(3, 1).ravel()
    assert figures.model_columns(flat, {"VGG16": MODEL}, 3)[1, 0] is flat[1]


def test_a_model_without_beta_eff_is_drawn_as_far_as_it_goes():
    axes = Figure().subplots(3, 1)
    model = MODEL | {"beta": [nan] * 4, "line": None, "truth": nan}
    figures.model_columns(axes, {"VGG16": model}, observed=3)
    assert words_in(axes[0]) == []
    assert words_in(axes[1]) == words_in(axes[2]) == ["no values"]
    axes[0].figure.canvas.draw()


@pytest.mark.parametrize(
    "models, shape, words",
    [
        ({}, (3, 1), "models is empty"),
        ({"a": MODEL, "b": MODEL}, (3, 1), "2 models need 6 axes; got 3"),
        ({"a": {"accuracy": [0.1]}}, (3, 1), "needs the field 'beta'"),
        ({"a": MODEL | {"beta": [0.1]}}, (3, 1), "beta of 'a' must have 4 values"),
    ],
)
def test_wrong_columns_are_refused(models, shape, words):
    with pytest.raises(ValueError, match=words):
        figures.model_columns(Figure().subplots(*shape), models, observed=3)


def layers(*contributions, names=None):
    """One epoch's layers."""
    return [
        SimpleNamespace(layer=k, name=names[k - 1] if names else "", contribution=value)
        for k, value in enumerate(contributions, start=1)
    ]


def test_contributions_of_layers_and_their_sum(ax):
    epochs = [layers(0, 0.25, 0.5, 0), layers(0, 0.125, 0.25, 0)]
    figures.layer_capacitances(ax, epochs)
    lines = labelled(ax)
    assert list(lines) == [r"sum, $\beta_{eff}$", "layer 2", "layer 3"]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), [0.75, 0.375])
    np.testing.assert_array_equal(lines["layer 3"].get_ydata(), [0.5, 0.25])
    np.testing.assert_array_equal(lines["layer 3"].get_xdata(), [1, 2])
    assert ax.get_yscale() == "log"
    styles = {(line.get_color(), line.get_linestyle()) for line in ax.lines}
    assert len(styles) == 3


def test_small_layers_of_a_deep_network_are_grey_and_counted(ax):
    values = 2.0 ** np.arange(10)
    names = [f"block{k}" for k in range(10)]
    figures.layer_capacitances(ax, [layers(*values, names=names)] * 3, epochs=[5, 10, 15])
    lines = labelled(ax)
    assert [name for name in lines if name.startswith("block")] == names[4:]
    grey = lines["4 other layers"]
    assert len(set(to_rgb(grey.get_color()))) == 1
    assert len(ax.lines) == 11
    np.testing.assert_array_equal(grey.get_xdata(), [5, 10, 15])


def test_signed_contributions_and_degenerate_epochs(ax):
    epochs = [layers(0.5, -0.25), [{"layer": 1, "name": "", "contribution": None}] * 2,
              layers(-0.001, 0.002)]  # fmt: skip
    figures.layer_capacitances(ax, epochs)
    assert ax.get_yscale() == "symlog"
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0.25, nan, 0.001])
    other = Figure().subplots()
    figures.layer_capacitances(other, [layers(nan, nan)])
    assert words_in(other) == ["no values"]
    other.figure.canvas.draw()


@pytest.mark.parametrize(
    "epochs, words",
    [
        ([], "layers is empty"),
        ([[]], "the same layers, at least one; got 0"),
        ([layers(1.0), layers(1.0, 2.0)], "the same layers, at least one; got 1, 2"),
        ([[{"layer": 1, "name": "a"}]], "needs the field 'contribution'"),
    ],
)
def test_wrong_layers_are_refused(ax, epochs, words):
    with pytest.raises(ValueError, match=words):
        figures.layer_capacitances(ax, epochs)


def test_times_are_stacked_with_their_ratio(ax):
    figures.time_per_epoch(ax, ["a", "b", "c"], [20, 8, nan], [2, 1, 0.5])
    bars = [(bar.get_x(), bar.get_width()) for bar in ax.patches]
    np.testing.assert_allclose(bars, [(0, 20), (0, 8), (0, 0), (20, 2), (8, 1), (0, 0.5)])
    assert words_in(ax) == ["c = 0.1", "c = 0.125", "not measured"]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    low, high = ax.get_ylim()
    assert low > high  # the first on top
    assert ax.get_xlim()[1] > 22
    assert {bar.get_hatch() for bar in ax.patches} == {None, "////"}  # seen in grey, too


@pytest.mark.parametrize(
    "models, train, beta, words",
    [
        ([], [], [], "models is empty"),
        (["a"], [1, 2], [1], "train must have 1 values"),
        (["a"], [1], [-1], "beta must hold seconds of at least 0; got -1"),
    ],
)
def test_wrong_times_are_refused(ax, models, train, beta, words):
    with pytest.raises(ValueError, match=words):
        figures.time_per_epoch(ax, models, train, beta)
