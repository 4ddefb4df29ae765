"""Forecasts of the final accuracy: the formula, what is learnt, how often intervals hold."""

import json
from dataclasses import replace
from math import exp, isnan, log
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgedyn.predict.forecast import Completed, Lesson, forecast, learn, shipped

LESSON = Lesson((0.3, 0.4), (0.2, 0.5), ((1.0, 0.0), (0.0, 1.0)), log(15), 50, 3)
CURVE = [0.2, 0.35, 0.42, 0.47, 0.5]
RESULTS = Path(__file__).parents[2] / "validation" / "results" / "forecast.json"


def logit(p):
    return log(p / (1 - p))


def expit(x):
    return 1 / (1 + exp(-x))


def by_hand(curve, target, trained, n, lesson):
    """Return the median and the ends of both intervals, written out."""
    smooth = [(a * n + 0.5) / (n + 1) for a in curve]
    k = len(curve)
    slope = (logit(smooth[-1]) - logit(smooth[0])) / log(k)
    c0, c1 = lesson.coefficients
    middle = logit(smooth[-1]) + (1 - trained) * log(target / k) * (c0 + c1 * slope)
    variance = 1 / (n * smooth[-1] * (1 - smooth[-1]))
    found = [expit(middle)]
    for w, z in zip(lesson.half_widths, (0.994457883, 1.959963985), strict=True):
        half = ((w * log(target / k)) ** 2 + z**2 * variance) ** 0.5
        found += [expit(middle - half), expit(middle + half)]
    return found


@pytest.mark.parametrize("trained", [None, 0.0, 0.6, 1.0])
@pytest.mark.parametrize("n", [50, 10_000])
def test_the_formula(trained, n):
    found = forecast(CURVE, 30, training=trained, n_samples=n, lesson=LESSON)
    ends = [found.value, found.low_68, found.high_68, found.low_95, found.high_95]
    np.testing.assert_allclose(ends, by_hand(CURVE, 30, trained or 0.0, n, LESSON), rtol=1e-8)
    assert found.status == "ok"


@given(
    st.lists(st.floats(0, 1), min_size=2, max_size=12),
    st.integers(0, 200),
    st.floats(0, 1),
    st.integers(1, 10**6),
)
def test_intervals_are_nested_and_inside(curve, more, trained, n):
    found = forecast(curve, len(curve) + more, training=trained, n_samples=n)
    ends = [found.low_95, found.low_68, found.value, found.high_68, found.high_95]
    assert 0 <= ends[0] and ends[-1] <= 1 and ends == sorted(ends)


def test_at_the_last_epoch_only_sampling_is_left():
    found = forecast(CURVE, 5, n_samples=400, training=0.5, lesson=LESSON)
    p = (0.5 * 400 + 0.5) / 401
    assert found.value == pytest.approx(p)
    assert found.high_95 == pytest.approx(expit(logit(p) + 1.959964 / (400 * p * (1 - p)) ** 0.5))


def test_beyond_what_was_learnt_it_says_so_and_widens():
    near = forecast(CURVE, 75, lesson=LESSON, training=0.5, n_samples=10**9)
    far = forecast(CURVE, 500, lesson=LESSON, training=0.5, n_samples=10**9)
    assert near.status == "ok"
    assert far.status == "500 epochs of which 5 seen: further than was learnt"
    half = logit(far.high_68) - logit(far.value)
    assert half == pytest.approx(0.2 * log(100) ** 2 / log(15))


def test_without_training_accuracy_the_other_lesson_speaks():
    found = forecast(CURVE, 30)
    assert found.value == forecast(CURVE, 30, lesson=shipped(False)).value
    assert found.value != forecast(CURVE, 30, lesson=shipped(True)).value


@pytest.mark.parametrize(
    ("curve", "why"),
    [([0.5], "fewer than two epochs"), ([], "fewer than two epochs"),
     ([0.2, np.nan], "accuracy not in [0, 1]"), ([20.0, 30.0], "accuracy not in [0, 1]")],
)  # fmt: skip
def test_no_forecast_says_why(curve, why):
    found = forecast(curve, 30)
    assert isnan(found.value) and found.status == why
    assert str(found) == f"no forecast: {why}"


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match="target must be at least the 5 epochs seen; got 4"):
        forecast(CURVE, 4)
    with pytest.raises(ValueError, match=r"accuracy must have shape \(n_observed,\)"):
        forecast([CURVE], 30)
    with pytest.raises(ValueError, match="n_samples"):
        forecast(CURVE, 30, n_samples=0)


# Learning ---------------------------------------------------------------------------------------


def made(rng, c, *, sd=0.0, n=12, epochs=30, tasks="abc", families="uvw"):
    """Return curves whose end follows the formula from every epoch: lines in log t."""
    found = []
    for task in tasks:
        for k in range(n):
            slope = rng.uniform(0.2, 1.0)
            logits = rng.uniform(-2, 0) + slope * np.log(np.arange(1, epochs + 1))
            rise = log(epochs / 5) * (c[0] + c[1] * slope + sd * rng.standard_normal())
            curve = 1 / (1 + np.exp(-logits))
            truth = expit(logits[4] + rise)
            found.append(Completed(curve, truth, None, 10**9, task, families[k % len(families)]))
    return found


def look(curves, prior=None):
    """Learn from curves looked at after five epochs."""
    return learn(curves, prior, (5,))


def test_the_coefficients_are_found_again():
    lesson = look(made(np.random.default_rng(0), (0.2, 0.7)))
    np.testing.assert_allclose(lesson.coefficients, (0.2, 0.7), atol=1e-6)
    assert max(lesson.half_widths) < 1e-6
    assert (lesson.n_curves, lesson.n_tasks) == (36, 3)
    assert lesson.largest == pytest.approx(log(6))


def test_every_task_weighs_the_same():
    rng = np.random.default_rng(1)
    few, many = made(rng, (0.5, 0.0), n=6, tasks="a"), made(rng, (0.1, 0.0), n=60, tasks="b")
    both = look([*few, *many])
    alone = look([*few, *many, *many])
    np.testing.assert_allclose(both.coefficients, alone.coefficients, atol=1e-9)


def test_a_prior_counts_as_ten_curves():
    rng = np.random.default_rng(2)
    own = made(rng, (0.6, 0.1), n=5, tasks="a")
    many = made(rng, (0.6, 0.1), n=2000, tasks="a")
    prior = replace(LESSON, gram=look(many).gram)
    x = np.array([[1, (np.log(a[4] / (1 - a[4])) - np.log(a[0] / (1 - a[0]))) / log(5)]
                  for a in (c.accuracy for c in own)])  # fmt: skip
    y = x @ (0.6, 0.1)
    held = 10 * np.array(prior.gram)
    expected = np.linalg.solve(x.T @ x + held, x.T @ y + held @ prior.coefficients)
    np.testing.assert_allclose(look(own, prior).coefficients, expected, rtol=1e-6)
    np.testing.assert_allclose(look(many, prior).coefficients, (0.6, 0.1), atol=5e-3)
    assert look(own[:1], prior).n_curves == LESSON.n_curves + 1


def test_intervals_hold_for_tasks_never_seen():
    rng = np.random.default_rng(3)
    lesson = look(made(rng, (0.3, 0.4), sd=0.2, n=60))
    new = made(rng, (0.3, 0.4), sd=0.2, n=1500, tasks="z")
    found = [forecast(c.accuracy[:5], 30, n_samples=10**9, lesson=lesson) for c in new]
    truth = np.array([c.truth for c in new])
    for low, high, share in (("low_68", "high_68", 0.68), ("low_95", "high_95", 0.95)):
        ends = np.array([[getattr(f, low), getattr(f, high)] for f in found])
        inside = ((truth >= ends[:, 0]) & (truth <= ends[:, 1])).mean()
        assert abs(inside - share) < 0.05


def test_widths_come_from_tasks_and_families_left_out():
    # Each task rises in its own way: what is learnt on two says little of the third.
    rng = np.random.default_rng(4)
    tasks = [made(rng, (c, 0.4), tasks=t) for c, t in ((0.1, "a"), (0.3, "b"), (0.5, "c"))]
    lesson = look([curve for found in tasks for curve in found])
    assert lesson.half_widths[0] > 0.15  # within a task there is no error at all


@pytest.mark.parametrize("families", ["u", "uvw"])
def test_one_task_leaves_out_families_or_candidates(families):
    rng = np.random.default_rng(5)
    lesson = look(made(rng, (0.3, 0.4), sd=0.2, n=40, tasks="a", families=families))
    assert 0.1 < lesson.half_widths[0] < 0.35


def test_too_little_to_learn_from_is_refused():
    curves = made(np.random.default_rng(6), (0.3, 0.4), n=2, tasks="a")
    with pytest.raises(ValueError, match="takes at least 5 curves of 4 epochs; got 2"):
        learn(curves)
    with pytest.raises(ValueError, match="no completed curve of 4 epochs or more"):
        learn([Completed([0.1, 0.2, 0.3], 0.3)] * 9)


def test_what_is_shipped_is_what_the_study_found():
    found = json.loads(RESULTS.read_text(encoding="utf-8"))["prior"]
    for name, known in (("with_training", True), ("without_training", False)):
        assert json.loads(json.dumps(shipped(known).to_dict())) == found[name]
