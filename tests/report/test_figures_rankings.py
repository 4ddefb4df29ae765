"""Figures of rankings: predictions against truths, rho with its intervals, methods."""

from dataclasses import asdict
from math import nan

import numpy as np
import pytest
from matplotlib.figure import Figure

import edgedyn as ed
from edgedyn.report import figures
from edgedyn.studies import EpochRecord, TrialRecord

METHODS = ("capacitance", "last_value", "best_value", "logme")


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(scope="module")
def ranking():
    """Six candidates with known curves; one of them has no score."""
    records = []
    for k in range(6):
        final = 0.6 + 0.05 * k
        beta = [1.0, 0.8, 0.7, 0.6, 0.1]
        accuracy = [final - (0.3 + 0.02 * ((k * 3) % 5)) * b for b in beta]
        epochs = tuple(
            EpochRecord(n, 1.0, a, a, b, "ok")
            for n, (a, b) in enumerate(zip(accuracy, beta, strict=True), start=1)
        )
        scores = {"logme": 10.0 * k} if k else {}
        records.append(TrialRecord(f"m{k}", "d", 0, {}, epochs, "completed", 1.0, 0.1, scores))
    return ed.rank(records, METHODS, observed=4, n_bootstrap=20, seed=0)


def labelled(ax):
    return {line.get_label(): line for line in ax.lines}


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_predictions_outside_the_unit_interval_are_marked(ax):
    truth = [0.6, 0.7, 0.8, 0.9, 0.95]
    figures.predicted_against_true(ax, [0.5, 1.25, 1.7, -2.0, nan], truth, "x")
    lines = labelled(ax)
    np.testing.assert_array_equal(lines["in [0, 1]"].get_ydata(), [0.5])
    np.testing.assert_array_equal(lines["outside [0, 1]"].get_ydata(), [1.25])
    np.testing.assert_array_equal(lines["beyond the axis"].get_ydata(), [1.5, -0.5])
    np.testing.assert_array_equal(lines["beyond the axis"].get_xdata(), [0.8, 0.9])
    x, y = lines["predicted = true"].get_data()
    np.testing.assert_array_equal(x, y)
    assert lines["in [0, 1]"].get_marker() != lines["outside [0, 1]"].get_marker()
    assert ax.get_legend() is not None
    low, high = ax.get_ylim()
    assert low < -0.5 and high > 1.5


def test_predictions_in_the_unit_interval_need_no_legend(ax):
    figures.predicted_against_true(ax, [0.5, 0.7], [0.6, 0.7], "x")
    assert ax.get_legend() is None and ax.get_title() == "x"


@pytest.mark.parametrize("draw", [figures.predicted_against_true, figures.scores_against_true])
def test_no_predictions_are_said_to_be_none(ax, draw):
    draw(ax, [nan, 0.5], [0.5, None], "x")
    assert texts(ax) == ["no values"]
    with pytest.raises(ValueError, match="as many; got 2 and 1"):
        draw(ax, [0.1, 0.2], [0.1], "x")
    with pytest.raises(ValueError, match="is empty"):
        draw(ax, [], [], "x")
    ax.figure.canvas.draw()


def test_scores_are_drawn_as_they_are(ax):
    figures.scores_against_true(ax, [-300.0, 1200.0, nan], [0.5, 0.6, 0.7], "logme")
    (points,) = ax.lines
    np.testing.assert_array_equal(points.get_ydata(), [-300, 1200])
    np.testing.assert_array_equal(points.get_xdata(), [0.5, 0.6])


@pytest.mark.parametrize("as_json", [False, True])
def test_one_panel_a_method_with_its_rho(ranking, as_json):
    axes = Figure().subplots(1, 5)
    given = ranking.to_dict() if as_json else ranking
    drawn = figures.predicted_by_method(axes, given, scores=["logme"])
    assert drawn == list(axes[:4])
    assert not axes[4].axison
    names = ("neural capacitance", "last value", "best value", "LogME")
    for ax, method, name in zip(drawn, ranking.methods, names, strict=True):
        assert ax.get_title().startswith(rf"{name}: $\rho$ = {method.rho:.2f}")
        assert f"{method.rho_low:.2f} .. {method.rho_high:.2f}" in ax.get_title()
        rows = [r for r in ranking.rows if r.method == method.method and np.isfinite(r.prediction)]
        points = np.concatenate(
            [line.get_xydata() for line in ax.lines if line.get_label() != "predicted = true"]
        )
        expected = [(r.truth, min(r.prediction, 1.5) if name != "LogME" else r.prediction)
                    for r in rows]  # fmt: skip
        assert sorted(map(tuple, points.tolist())) == sorted(expected)
    assert drawn[3].get_ylabel() == "score"


def test_wrong_rankings_are_refused(ranking):
    axes = Figure().subplots(1, 3)
    with pytest.raises(ValueError, match="4 methods need 4 axes; got 3"):
        figures.predicted_by_method(axes, ranking)
    with pytest.raises(ValueError, match=r"scores must name methods.*'naswot'"):
        figures.predicted_by_method(axes, ranking, scores=["naswot"])
    with pytest.raises(TypeError, match="needs the field 'methods'; got a int"):
        figures.predicted_by_method(axes, 5)
    with pytest.raises(ValueError, match="methods is empty"):
        figures.predicted_by_method(axes, {"methods": [], "rows": []})


SERIES = {
    "5 epochs": ([1, 2, 4], [0.4, nan, 0.5], [0.1, nan, 0.2], [0.6, nan, 0.7]),
    "10 epochs": ([1, 2, 4], [0.5, 0.6, -0.2]),
}


@pytest.mark.parametrize(
    "draw, xlabel, scale",
    [
        (figures.rho_against_t0, "first observation used, $t_0$", "linear"),
        (figures.rho_against_training_size, "training samples", "log"),
    ],
)
def test_rho_curves_have_bands_gaps_and_the_level_of_chance(ax, draw, xlabel, scale):
    assert draw(ax, SERIES) is ax
    lines = labelled(ax)
    assert list(lines) == ["chance", "5 epochs", "10 epochs"]
    np.testing.assert_array_equal(lines["5 epochs"].get_ydata(), [0.4, nan, 0.5])
    np.testing.assert_array_equal(lines["10 epochs"].get_xdata(), [1, 2, 4])
    np.testing.assert_array_equal(lines["chance"].get_ydata(), [0, 0])
    assert len(ax.collections) == 1
    assert (ax.get_xlabel(), ax.get_xscale()) == (xlabel, scale)
    assert ax.get_ylim()[0] < -0.2 and ax.get_ylim()[1] > 1
    one, other = lines["5 epochs"], lines["10 epochs"]
    assert one.get_linestyle() != other.get_linestyle() and one.get_marker() != other.get_marker()
    ax.figure.canvas.draw()


def test_training_sizes_are_ticks(ax):
    series = {"capacitance": ([100, 50_000], [0.4, 0.6]), "last value": ([100, 1000], [0.5, nan])}
    figures.rho_against_training_size(ax, series)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["100", "1 000", "50 000"]


@pytest.mark.parametrize(
    "series, words",
    [
        ({}, "series is empty"),
        ({"a": ([1, 2], [0.5])}, "rho of 'a' must have 2 values"),
        ({"a": ([1], [0.5], [0.4])}, r"\(x, rho\) or \(x, rho, low, high\); got 3 parts"),
        ({"a": ([1], [1.5])}, r"rho of 'a' must lie in \[-1, 1\]"),
        ({"a": ([], [])}, "x of 'a' is empty"),
    ],
)
def test_wrong_rho_curves_are_refused(ax, series, words):
    with pytest.raises(ValueError, match=words):
        figures.rho_against_t0(ax, series)
    with pytest.raises(ValueError, match="positive; got 0"):
        figures.rho_against_training_size(ax, {"a": ([0, 1], [0.1, 0.2])})


def test_a_curve_without_rho_is_named(ax):
    figures.rho_against_t0(ax, {"a": ([1, 2], [nan, None])})
    assert "a, no values" in labelled(ax)


def judgement(method, rho, lead=0.0, status="ok"):
    return {
        "method": method, "status": status,
        "rho": rho, "rho_low": rho - 0.2, "rho_high": rho + 0.1,
        "lead": lead, "lead_low": lead - 0.3, "lead_high": lead + 0.3,
    }  # fmt: skip


def test_methods_stand_from_the_best_down_with_their_intervals():
    axes = Figure().subplots(1, 2)
    judged = [judgement("last_value", 0.3), judgement("capacitance", 0.6, 0.3)]
    left, right = figures.methods_compared(axes, {"digits": judged})
    names = ["neural capacitance", "last value"]
    assert [text.get_text() for text in left.get_yticklabels()] == names
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the best on top
    np.testing.assert_allclose(labelled(left)["digits"].get_xydata(), [(0.6, 0), (0.3, 1)])
    segments = left.collections[0].get_segments()
    np.testing.assert_allclose(segments, [[(0.4, 0), (0.7, 0)], [(0.1, 1), (0.4, 1)]])
    np.testing.assert_allclose(labelled(right)["digits"].get_xydata(), [(0.3, 0)])
    (own,) = [line for line in right.lines if line.get_markerfacecolor() == "white"]
    np.testing.assert_allclose(own.get_xydata(), [(0, 1)])  # the last value leads itself by 0
    assert left.get_legend() is None and right.get_legend() is None


def test_several_tasks_stand_side_by_side():
    axes = Figure().subplots(1, 2)
    tasks = {
        "CIFAR-10": [judgement("capacitance", 0.6), judgement("logme", 0.1)],
        "SVHN": [judgement("capacitance", 0.2), judgement("bgrn", 0.5)],
    }
    left, right = figures.methods_compared(axes, tasks)
    order = ["BGRN", "neural capacitance", "LogME"]
    assert [text.get_text() for text in left.get_yticklabels()] == order
    one, other = (labelled(left)[task] for task in tasks)
    assert (np.round(one.get_ydata()) == [1, 2]).all()
    assert (np.round(other.get_ydata()) == [0, 1]).all()
    assert one.get_ydata()[0] != other.get_ydata()[1]
    assert one.get_marker() != other.get_marker() and one.get_color() != other.get_color()
    assert [text.get_text() for text in right.get_legend().get_texts()] == list(tasks)


def test_a_method_without_rho_says_why():
    axes = Figure().subplots(1, 2)
    silent = judgement("bgrn", nan, nan, "no truth to judge by")
    left, _ = figures.methods_compared(axes, {"digits": [silent, judgement("capacitance", -0.4)]})
    (text,) = left.texts
    assert text.get_text() == "no truth to judge by" and text.get_position()[1] == 1
    half = {"a": [judgement("bgrn", 0.2)], "b": [silent]}
    left, _ = figures.methods_compared(Figure().subplots(1, 2), half)
    assert not left.texts


def test_real_judgements_are_read_as_objects_and_as_json(ranking):
    drawn = []
    for methods in (ranking.methods, [asdict(m) for m in ranking.methods]):
        left, right = figures.methods_compared(Figure().subplots(1, 2), {"d": methods})
        drawn.append([line.get_xydata().tolist() for ax in (left, right) for line in ax.lines])
        left.figure.canvas.draw()
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(
    "tasks, error, words",
    [
        ({}, ValueError, "tasks is empty"),
        ({"digits": []}, ValueError, r"tasks\['digits'\] is empty"),
        ({"digits": [{"method": "a"}]}, ValueError, "needs the field"),
        ([judgement("a", 0.1)], TypeError, "tasks must be a mapping"),
    ],
)
def test_wrong_comparisons_are_refused(tasks, error, words):
    with pytest.raises(error, match=words):
        figures.methods_compared(Figure().subplots(1, 2), tasks)
    with pytest.raises(ValueError, match="needs? 2 axes; got 1"):
        figures.methods_compared(Figure().subplots(), {"d": [judgement("a", 0.1)]})
