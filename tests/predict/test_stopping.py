"""The stopping rule on lines whose end is known; packages that are absent."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, t

from edgedyn.predict.stopping import Run, StoppingRule

BETA = 0.8 ** np.arange(1, 13)


def line(final, epochs=5, noise=1e-4, slope=0.4, seed=0):
    """Return a run whose accuracy goes straight to `final` as beta_eff goes to 0."""
    beta = BETA[:epochs]
    wobble = noise * np.random.default_rng(seed).standard_normal(epochs)
    return Run(final - slope * beta + wobble, beta)


@pytest.mark.parametrize("confidence", [0.6, 0.95, 0.99])
@pytest.mark.parametrize("seed", range(3))
def test_the_bound_is_that_of_an_ordinary_line(confidence, seed):
    run = line(0.8, epochs=12, noise=1e-3, seed=seed)
    fit = linregress(run.beta_eff, run.accuracy)
    expected = fit.intercept + t.ppf(confidence, 12 - 2) * fit.intercept_stderr
    # The window is all there is: straight lines drop nothing; the prior of the slope is weak.
    assert StoppingRule(confidence=confidence).bound(run) == pytest.approx(expected, abs=1e-5)


def test_few_validation_samples_widen_the_bound():
    run = line(0.8)
    assert StoppingRule(n_validation=100).bound(run) > StoppingRule().bound(run) + 0.05


def test_a_run_ends_where_it_is_predicted_below_what_others_have_reached():
    rule = StoppingRule()
    for final in (0.45, 0.6, 0.75):
        assert rule.stops(line(final), [Run([0.8], [0.1])])
    for final in (0.85, 0.95):
        assert not rule.stops(line(final), [Run([0.8], [0.1])])
    assert not rule.stops(line(0.5), [])
    assert not rule.stops(line(0.5, epochs=4), [Run([0.8], [0.1])])


def test_predictions_of_others_do_not_count():
    rising, promising = line(0.6), Run([0.30, 0.35, 0.4, 0.45, 0.5], [0.5, 0.47, 0.44, 0.41, 0.38])
    assert StoppingRule().bound(promising) > 1 > StoppingRule().bound(rising)
    assert not StoppingRule().stops(rising, [promising])


def test_so_many_others_must_be_better():
    others = [Run([value], [0.1]) for value in (0.9, 0.3, 0.8, 0.7)]
    for keep, stopped in ((1, True), (2, True), (3, True), (4, False), (5, False)):
        assert StoppingRule(keep=keep).stops(line(0.5), others) is stopped


def test_degenerate_epochs_are_left_out_of_the_line():
    whole = line(0.5, epochs=8)
    beta = np.array(whole.beta_eff)
    beta[[1, 6]] = np.nan, np.inf
    kept = [0, 2, 3, 4, 5, 7]
    rule = StoppingRule()
    without = Run(np.array(whole.accuracy)[kept], BETA[kept])
    assert rule.bound(Run(whole.accuracy, beta)) == rule.bound(without)
    beta[2:6] = np.nan
    assert rule.bound(Run(whole.accuracy, beta)) == np.inf
    assert not rule.stops(Run(whole.accuracy, beta), [Run([0.9], [0.1])])


def test_where_beta_does_not_change_nothing_is_predicted():
    assert StoppingRule().bound(Run([0.30, 0.31, 0.29, 0.3, 0.3], [0.5] * 5)) == np.inf


def test_a_line_that_predicts_a_loss_while_the_run_gains_is_no_prediction():
    transient = Run([0.3, 0.4, 0.5, 0.6, 0.7], [0.2, 0.25, 0.3, 0.35, 0.4])
    assert StoppingRule().bound(transient) == np.inf
    plateau = Run([0.50, 0.502, 0.499, 0.501, 0.5], BETA[:5])  # may wobble either way
    assert StoppingRule().stops(plateau, [Run([0.6], [0.1])])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_diverged_run_is_stopped_at_once(bad):
    assert StoppingRule().stops(Run([0.5, bad], [0.4, 0.3]), [])
    assert not StoppingRule().stops(Run([bad, 0.5], [0.4, 0.3]), [])


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([np.nan, 0.1, 0.2, 0.3, 0.5])), max_size=9),
    st.lists(st.lists(st.floats(0, 1), max_size=3), max_size=4),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_only_runs_behind_are_stopped_whatever_the_order_of_the_others(run, best, keep, random):
    run = Run([a for a, _ in run], [b for _, b in run])
    others = [Run(values, [0.1] * len(values)) for values in best]
    rule = StoppingRule(keep=keep)
    stopped = rule.stops(run, others)
    ahead = sum(max(values, default=0) > max(run.accuracy, default=0) for values in best)
    assert not stopped or (ahead >= keep and len(run.accuracy) >= 5)
    random.shuffle(others)
    assert rule.stops(run, others) is stopped
    assert not stopped or rule.stops(run, [*others, Run([1.0], [0.1])])


@pytest.mark.parametrize(
    ("options", "error", "sentence"),
    [
        ({"observed": 2}, ValueError, "observed must be at least 3; got 2"),
        ({"observed": 3.0}, TypeError, "observed must be an integer"),
        ({"confidence": 0.5}, ValueError, "confidence must be above 0.5"),
        ({"confidence": 1}, ValueError, "confidence must be below 1"),
        ({"keep": 0}, ValueError, "keep must be at least 1"),
        ({"n_validation": 0}, ValueError, "n_validation must be at least 1"),
    ],
)
def test_parameters_out_of_range_are_refused(options, error, sentence):
    with pytest.raises(error, match=sentence):
        StoppingRule(**options)


def test_what_is_no_run_is_refused():
    with pytest.raises(ValueError, match="one entry an epoch each; got 2 and 1"):
        Run([0.5, 0.6], [0.4])
    with pytest.raises(ValueError, match="divide percentages by 100"):
        Run([56.0], [0.4])


def test_without_the_packages_the_rule_works_and_the_classes_say_what_to_install():
    code = (
        "import sys; sys.modules['optuna'] = sys.modules['ray'] = None\n"
        "from edgedyn.predict import stopping\n"
        "print(stopping.StoppingRule().stops(stopping.Run([0.5], [0.4]), []))\n"
        "for name in ('CapacitancePruner', 'report_epoch', 'CapacitanceStopper'):\n"
        "    try: getattr(stopping, name)\n"
        "    except ImportError as error: print(error)\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines() == [
        "False",
        "CapacitancePruner needs the package 'optuna'; install it: pip install optuna.",
        "report_epoch needs the package 'optuna'; install it: pip install optuna.",
        "CapacitanceStopper needs the package 'ray'; install it: pip install 'ray[tune]'.",
    ]


def test_the_packages_are_loaded_on_first_use_only():
    code = (
        "import sys; from edgedyn.predict import stopping\n"
        "print([name for name in ('optuna', 'ray') if name in sys.modules], dir(stopping))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.startswith("[] ['CapacitancePruner'")
    with pytest.raises(AttributeError, match="no attribute 'Pruner'"):
        from edgedyn.predict import stopping

        stopping.Pruner  # noqa: B018
