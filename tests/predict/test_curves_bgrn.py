"""BGRN against scikit-learn on features made here, and the specified vectors."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import BayesianRidge
from sklearn.metrics import r2_score
from sklearn.svm import NuSVR
from test_curves import family, spec_curves

from edgedyn.predict.bgrn import BGRN, FOLDS

FIXED = {"C": 1.0, "gamma": 0.5, "nu": 0.5}


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        ("curve", [.8331829772, .8066645702, .6179607223, .7867185889, .5868430283, .5133218021,
                   .8498643481, .8353870742]),
        ("curve+summary", [.8351883634, .8080117723, .6155828966, .78714424, .5842353618,
                           .5129775913, .8518987416, .8357515203]),
        ("summary", [.8102759734, .7908139082, .6527369478, .7756315603, .6294386614, .5599894247,
                     .8271104928, .8104106540]),
    ],
)  # fmt: skip
def test_the_vectors(features, expected):
    Y = spec_curves()
    reg = BGRN(features, **FIXED).fit(Y[:16])
    np.testing.assert_allclose(reg.predict_final(Y[16:, :6], 30), expected, atol=1e-6)


def features_of(y):
    """Values, first and second differences."""
    d = [b - a for a, b in zip(y, y[1:], strict=False)]
    return [*y, *d, *(b - a for a, b in zip(d, d[1:], strict=False))]


def test_small_C_predicts_constants():
    Y = spec_curves()
    value = BGRN(C=1e-5, gamma=0.5, nu=0.5).fit(Y[:16]).predict_final(Y[16:, :6], 30)
    assert np.ptp(value) < 1e-3


def test_scaling_standardises_features_and_targets():
    done, new = family(16), family(4, seed=1)[:, :5]
    value = BGRN(scale=True, **FIXED).fit(done).predict_final(new, 15)
    X, Z = (np.array([features_of(y) for y in rows]) for rows in (done[:, :5], new))
    y = done[:, -1]
    svr = NuSVR(**FIXED).fit((X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std())
    expected = y.mean() + y.std() * svr.predict((Z - X.mean(0)) / X.std(0))
    np.testing.assert_allclose(value, expected, rtol=1e-9)


def test_the_search_takes_the_best_draw():
    done = family(14)
    reg = BGRN(n_draws=20, seed=3).fit(done)
    _, std = reg.predict_final(done[:2, :5], 15, return_std=True)
    model = reg.models_[5, 15]
    X, y = np.array([features_of(c[:5]) for c in done]), done[:, -1]
    rng = np.random.default_rng(3)
    folds = np.array_split(rng.permutation(14), FOLDS)
    found = []
    for _ in range(20):
        C, gamma = 10 ** rng.uniform(-5, 1, 2)
        svr, scores, errors = NuSVR(C=C, gamma=gamma, nu=1 - rng.random()), [], []
        for fold in folds:
            rest = [k for k in range(14) if k not in fold]
            held = clone(svr).fit(X[rest], y[rest]).predict(X[fold])
            scores.append(r2_score(y[fold], held))
            errors.extend(held - y[fold])
        found.append((np.mean(scores), np.sqrt(np.mean(np.square(errors)))))
    score, error = max(found)
    assert model.score == pytest.approx(score, rel=1e-6)
    np.testing.assert_allclose(std, error, rtol=1e-6)
    assert 1e-5 <= model.settings["C"] <= 10 and 0 < model.settings["nu"] <= 1


def test_fixed_settings_stay_beside_searched_ones():
    reg = BGRN(C=2.0, n_draws=4).fit(family())
    reg.predict_final(family()[:, :5], 15)
    assert reg.models_[5, 15].settings["C"] == 2.0


def test_one_model_a_number_of_epochs_and_target():
    reg = BGRN(n_draws=2).fit(family())
    for tau, target in ((4, 15), (5, 15), (5, 10), (5, 15)):
        reg.predict_final(family()[:, :tau], target)
    assert set(reg.models_) == {(4, 15), (5, 15), (5, 10)}
    assert reg.fit(family()).models_ == {}


@pytest.mark.parametrize("n", [2, 3, 5])
def test_few_curves_get_a_ridge(n):
    done, new = family(n), family(3, seed=1)[:, :5]
    reg = BGRN().fit(done)
    value, std = reg.predict_final(new, 15, return_std=True)
    assert set(reg.status_) == {"ridge"}
    X, Z = (np.array([features_of(y) for y in rows]) for rows in (done[:, :5], new))
    y, centre, spread = done[:, -1], X.mean(0), X.std(0)
    ridge = BayesianRidge().fit((X - centre) / spread, (y - y.mean()) / y.std())
    mean, deviation = ridge.predict((Z - centre) / spread, return_std=True)
    np.testing.assert_allclose(reg.raw_, y.mean() + y.std() * mean, rtol=1e-9)
    np.testing.assert_allclose(std, y.std() * deviation, rtol=1e-9)
    np.testing.assert_array_equal(value, np.clip(reg.raw_, 0, 1))


def test_one_curve_or_equal_ends_are_returned_without_deviation():
    for done in (family(1), np.hstack([family(4)[:, :-1], np.full((4, 1), 0.8)])):
        reg = BGRN().fit(done)
        value, std = reg.predict_final(family(3, seed=1)[:, :5], 15, return_std=True)
        np.testing.assert_allclose(value, done[0, -1])
        assert np.isnan(std).all()
        assert set(reg.status_) == {"ridge"}


def test_noise_is_called_weak():
    rng = np.random.default_rng(0)
    reg = BGRN(C=10.0, gamma=10.0, nu=0.9).fit(rng.uniform(0, 1, (30, 8)))
    reg.predict_final(rng.uniform(0, 1, (2, 5)), 8)
    assert set(reg.status_) == {"weak"}


def test_predictions_outside_are_clipped_and_kept_raw():
    t = np.arange(1, 12)
    slopes = np.linspace(0.01, 0.08, 12)[:, None]
    reg = BGRN(scale=True, C=10.0, gamma=0.01, nu=0.9).fit(0.1 + slopes * t)
    steep = 0.1 + 0.12 * t[None, :5]
    value = reg.predict_final(steep, 11)
    assert (value[0], reg.status_[0]) == (1.0, "clipped")
    assert reg.raw_[0] > 1


def test_architecture_columns_help_where_the_curve_says_nothing():
    rng = np.random.default_rng(0)
    size = rng.uniform(1, 100, 40)
    done = np.hstack([np.full((40, 4), 0.3), (0.5 + 0.004 * size)[:, None]])
    reg = BGRN(scale=True, n_draws=30).fit(done[:30], architecture=size[:30, None])
    value = reg.predict_final(done[30:, :4], 5, architecture=size[30:, None])
    assert np.abs(value - done[30:, -1]).max() < 0.02
    gap = size[30:, None].copy()
    gap[1] = np.nan
    value = reg.predict_final(done[30:, :4], 5, architecture=gap)
    assert np.isnan(value[1]) and reg.status_[1] == "missing"
    for wrong in (None, size[30:, None].repeat(2, axis=1)):
        with pytest.raises(ValueError, match="the 1 columns it had in fit"):
            reg.predict_final(done[30:, :4], 5, architecture=wrong)


@pytest.mark.parametrize(
    ("architecture", "error", "match"),
    [
        ([1.0] * 12, ValueError, r"shape \(12, columns\)"),
        ([[1.0]] * 11, ValueError, r"got \(11, 1\)"),
        ([[np.inf]] * 12, ValueError, "infinity"),
        ([["deep"]] * 12, TypeError, "real numbers"),
    ],
)
def test_bad_architecture(architecture, error, match):
    with pytest.raises(error, match=match):
        BGRN().fit(family(), architecture=architecture)


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"features": "moments"}, ValueError, "features must be one of"),
        ({"C": 0}, ValueError, "C must be above 0"),
        ({"gamma": -1.0}, ValueError, "gamma must be above 0"),
        ({"nu": 0}, ValueError, "nu must be above 0"),
        ({"nu": 1.5}, ValueError, r"nu must be in \(0, 1\]"),
        ({"n_draws": 0}, ValueError, "n_draws must be at least 1"),
        ({"n_draws": 1.5}, TypeError, "n_draws must be an integer"),
    ],
)
def test_bad_parameters(parameters, error, match):
    with pytest.raises(error, match=match):
        BGRN(**parameters).fit(family())
