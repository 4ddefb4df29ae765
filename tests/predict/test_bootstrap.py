"""The vectorised bootstrap against scipy and plain loops on resampled candidates."""

from math import isfinite, isnan, nan

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from edgedyn.predict import bootstrap
from edgedyn.predict.bootstrap import counts, weighted_regret, weighted_rho, weighted_tau
from edgedyn.predict.rank_quality import judge

ORACLES = {weighted_rho: spearmanr, weighted_tau: kendalltau}
both = pytest.mark.parametrize("weighted", ORACLES, ids=lambda f: f.__name__)


def samples(seed, n=8, size=20):
    """Two series with ties, and draws of their pairs."""
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 5, n).astype(float), rng.normal(size=n).round(1)
    return x, y, rng.integers(n, size=(size, n))


@both
@pytest.mark.parametrize("seed", range(5))
def test_correlations_are_scipys_on_resampled_pairs_with_ties(weighted, seed):
    x, y, drawn = samples(seed)
    found = weighted(x, y, counts(drawn, len(x)))
    for value, at in zip(found, drawn, strict=True):
        if np.ptp(x[at]) == 0 or np.ptp(y[at]) == 0:
            assert isnan(value)
        else:
            assert value == pytest.approx(ORACLES[weighted](x[at], y[at]).statistic, abs=1e-12)


@both
def test_two_pairs_and_constants_have_none(weighted):
    x, y = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])
    weights = np.array([[1, 1, 0], [3, 0, 0], [2, 1, 0], [1, 1, 1]])
    np.testing.assert_array_equal(weighted(x, y, weights), [nan, nan, 1, 1])
    np.testing.assert_array_equal(weighted(x, np.ones(3), weights), [nan] * 4)
    np.testing.assert_array_equal(weighted(x[:0], y[:0], weights[:, :0]), [nan] * 4)


def test_signs_are_summed_block_by_block(monkeypatch):
    x, y, drawn = samples(0, n=30)
    weights = counts(drawn, 30)
    whole = weighted_tau(x, y, weights)
    monkeypatch.setattr(bootstrap, "_BLOCK", 7 * 30)
    np.testing.assert_array_equal(weighted_tau(x, y, weights), whole)


def plain_regret(predicted, truth, drawn):
    """Return the regret of one draw, candidate by candidate."""
    best = max((truth[k] for k in drawn if isfinite(truth[k])), default=nan)
    able = [k for k in drawn if isfinite(truth[k]) and isfinite(predicted[k])]
    if not able:
        return nan
    highest = max(predicted[k] for k in able)
    return best - np.mean([truth[k] for k in able if predicted[k] == highest])


@pytest.mark.parametrize("seed", range(5))
def test_regret_is_that_of_a_plain_loop(seed):
    predicted, truth, drawn = samples(seed, size=60)
    predicted[[1, 4]], truth[[2, 4]] = nan, nan
    found = weighted_regret(predicted, truth, counts(drawn, 8))
    np.testing.assert_allclose(found, [plain_regret(predicted, truth, at) for at in drawn],
                               atol=1e-14)  # fmt: skip
    alone = np.eye(8, dtype=int)
    np.testing.assert_array_equal(np.isnan(weighted_regret(predicted, truth, alone)),
                                  np.isnan(predicted) | np.isnan(truth))  # fmt: skip


def test_intervals_leave_out_what_is_no_number():
    low, high = bootstrap.interval([nan, *np.linspace(0, 1, 41), np.inf])
    assert (low, high) == (pytest.approx(0.025), pytest.approx(0.975))
    assert all(map(isnan, bootstrap.interval([nan])))


@pytest.mark.parametrize("n_seeds", [1, 3])
def test_judged_intervals_are_those_of_a_loop_over_draws(n_seeds):
    rng = np.random.default_rng(n_seeds)
    names, n = [f"m{k}" for k in range(7)], 80
    truth = rng.uniform(size=(n_seeds, 7))
    ours, last = rng.uniform(size=(2, n_seeds, 7)).round(1)
    ours[0, 2], last[-1, 4], truth[0, 5] = nan, nan, nan

    def tables(values):
        pairs = [zip(v, t, strict=True) for v, t in zip(values, truth, strict=True)]
        return [dict(zip(names, pair, strict=True)) for pair in pairs]

    found = judge("x", tables(ours), tables(last), {}, n, np.random.default_rng(9), 0.0)
    again = np.random.default_rng(9)
    draws = {"rho": [], "tau": [], "lead": []}
    for _ in range(n):
        at = again.integers(7, size=7)
        seeds = again.integers(n_seeds, size=n_seeds) if n_seeds > 1 else [0]
        parts = [loop(ours[s][at], last[s][at], truth[s][at]) for s in seeds]
        for name, values in zip(draws, zip(*parts, strict=True), strict=True):
            known = [v for v in values if isfinite(v)]
            draws[name].append(np.mean(known) if known else nan)
    for name, values in draws.items():
        ends = np.nanquantile(values, [0.025, 0.975])
        assert (getattr(found, f"{name}_low"), getattr(found, f"{name}_high")) == pytest.approx(
            tuple(ends), abs=1e-12
        )


def loop(p, q, t):
    """Return rho, tau and lead of one draw by scipy."""
    kept = np.isfinite(p) & np.isfinite(t)
    both = kept & np.isfinite(q)
    rho = statistic(spearmanr, p[both], t[both]) - statistic(spearmanr, q[both], t[both])
    return (*(statistic(f, p[kept], t[kept]) for f in (spearmanr, kendalltau)), rho)


def statistic(correlation, a, b):
    """Return scipy's number; NaN where it has none."""
    if len(a) < 3 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return nan
    return correlation(a, b).statistic


def test_regret_of_predictions_below_zero():
    predicted, truth = np.array([-3.0, -1.0, -2.0]), np.array([0.9, 0.5, 0.7])
    found = weighted_regret(predicted, truth, np.array([[1, 1, 1], [1, 0, 1], [0, 1, 0]]))
    np.testing.assert_allclose(found, [0.4, 0.2, 0.0], atol=1e-15)
