"""The vectorised lines are the regressors', number by number."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgedyn as ed
from edgedyn.predict import lines
from edgedyn.predict.window import bic_scores, scores

NAN = float("nan")


def agree(found, k, one, scale):
    """Compare one curve with the regressor."""
    assert (found.t0[k], found.flat[k]) == (one.t0_, one.status_ == "flat")
    assert found.final[k] == pytest.approx(one.final_, abs=1e-12)
    assert found.slope[k] * scale == pytest.approx(one.coef_[0] * scale, rel=1e-11, abs=1e-12)
    assert found.std[k] == pytest.approx(one.final_std_, rel=1e-9, abs=1e-15)
    assert found.noise[k] == pytest.approx(one.noise_std_, rel=1e-9, abs=1e-15)
    assert found.dof[k] == pytest.approx(one.dof_, abs=1e-9)
    at = np.linspace(-0.5, 1.5, 7) * scale
    for mine, own in zip(found.band(np.tile(at, (len(found.n), 1))), one.band(at[:, None]),
                         strict=True):  # fmt: skip
        np.testing.assert_allclose(mine[k], own, rtol=1e-9, atol=1e-11)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(3, 12),
    noise=st.sampled_from([0.0, 1e-3, 0.05]),
    scale=st.sampled_from([1e-6, 1.0, 1e4]),
    t0=st.sampled_from(["bic", 1]),
    n_validation=st.sampled_from([500, None]),
)
def test_each_line_is_the_regressors(seed, n, noise, scale, t0, n_validation):
    rng = np.random.default_rng(seed)
    beta = np.sort(rng.uniform(0.1, 2.0, (6, n)), axis=1)[:, ::-1] * scale
    accuracy = 0.8 - 0.3 * beta / scale + noise * rng.standard_normal((6, n))
    beta[3] = beta[3, ::-1]  # one that slopes the other way
    beta[4] = rng.choice([0.0, scale])  # one that says nothing of the slope
    accuracy[5] = 0.5  # one without noise
    found = lines.fit(beta, accuracy, n_validation, t0)
    for k in range(6):
        one = ed.NeuralCapacitanceRegressor(t0=t0, n_validation=n_validation)
        agree(found, k, one.fit(beta[k, :, None], accuracy[k]), scale)


def test_observations_that_are_no_numbers_are_left_out():
    beta = np.array([[NAN, 1.0, 0.8, np.inf, 0.5, 0.4], [1.0, 0.9, 0.8, 0.7, 0.5, 0.3]])
    accuracy = np.array([[0.3, 0.4, 0.5, 0.6, 0.62, 0.7], [0.2, 0.3, NAN, 0.4, 0.6, 0.7]])
    for t0 in ("bic", 2):
        found = lines.fit(beta, accuracy, 200, t0)
        for k in range(2):
            kept = np.isfinite(beta[k]) & np.isfinite(accuracy[k])
            one = ed.NeuralCapacitanceRegressor(t0=t0, n_validation=200)
            agree(found, k, one.fit(beta[k, kept, None], accuracy[k, kept]), 1.0)
            assert found.n[k] == kept.sum() - one.t0_ + 1


def test_too_few_observations_have_no_line():
    beta, accuracy = np.array([[1.0, NAN, 0.5, NAN], [1.0, 0.8, 0.5, 0.4]]), np.full((2, 4), 0.5)
    found = lines.fit(beta, accuracy)
    assert np.isnan([found.final[0], found.std[0]]).all() and found.n.tolist() == [0, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean, std = found.band([[0.0], [0.0]])
    assert np.isnan([mean[0, 0], std[0, 0]]).all() and mean[1, 0] == pytest.approx(0.5)
    assert not lines.fit(beta, accuracy, t0=3).n.any()
    assert lines.fit(np.empty((0, 5)), np.empty((0, 5))).final.shape == (0,)


def test_windows_of_many_curves_are_those_of_each():
    rng = np.random.default_rng(0)
    beta, accuracy = rng.uniform(0.1, 2.0, (5, 8)), rng.uniform(0.1, 0.9, (5, 8))
    accuracy[4] = 0.9 - 0.2 * beta[4]  # no noise at all
    each = np.array([bic_scores(b[:, None], a, None) for b, a in zip(beta, accuracy, strict=True)])
    found = lines.fit(beta, accuracy)
    np.testing.assert_array_equal(found.t0, each.argmin(axis=1) + 1)
    rss, s2 = rng.uniform(0.1, 1.0, (5, 6)), rng.uniform(0.01, 0.1, 5)
    alone = [scores(rss[k], s2[k], accuracy[k]) for k in range(5)]
    np.testing.assert_array_equal(scores(rss, s2, accuracy), alone)


@pytest.mark.parametrize("n_features", [1, 2])
def test_the_shared_slope_is_least_squares_by_hand(n_features):
    rng = np.random.default_rng(n_features)
    beta = [rng.uniform(0.5, 2.0, (n, n_features)) for n in (4, 6, 3)]
    accuracy = [rng.uniform(0.2, 0.9, len(b)) for b in beta]
    found = lines.pool(beta, accuracy)
    # All intercepts and the slopes at once.
    z = [b / b[-3:].mean(axis=0) for b in beta]
    design = np.zeros((13, 3 + n_features))
    at = np.repeat(np.arange(3), [4, 6, 3])
    design[np.arange(13), at], design[:, 3:] = 1.0, np.concatenate(z)
    slope = np.linalg.lstsq(design, np.concatenate(accuracy), rcond=None)[0][3:]
    np.testing.assert_allclose(found.slope, slope, rtol=1e-10)
    ends = [a[-1] - v[-1] @ slope for v, a in zip(z, accuracy, strict=True)]
    np.testing.assert_allclose(found.final, ends, rtol=1e-10)
