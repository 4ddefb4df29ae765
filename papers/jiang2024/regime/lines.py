"""The paper's line and rank correlations for many candidates at once.

`lines` is `edgedyn.NeuralCapacitanceRegressor(n_validation=...)` for one feature, on arrays. On
standardised data the evidence of Bayesian ridge depends on the number of points n and their
correlation r alone. Its maximum, scikit-learn's tiny priors left out, has the slope
(n r^2 - 1) / ((n - 1) r) where r^2 > 1/n, and 0 elsewhere: there the priors leave a slope of some
thousandths of the standard deviation. The tests hold both beside the regressor.
"""

import numpy as np

from edgedyn.predict.regressor import FLAT, MIN_OBSERVATIONS
from edgedyn.predict.window import _CHI2_MEDIAN


def lines(beta, accuracy, n_validation):
    """Return the lines' values at beta_eff = 0, not clipped.

    Parameters
    ----------
    beta, accuracy : ndarray, shape (..., K)
    n_validation : int
        Samples behind each accuracy.

    Returns
    -------
    ndarray, shape (...)
        NaN where a beta_eff is not finite.
    """
    # Observations first: sums over a short last axis are slow.
    x, y = (np.ascontiguousarray(np.moveaxis(v, -1, 0)) for v in (beta, accuracy))
    K = len(x)
    score = np.stack([_residual(x[t:], y[t:]) for t in range(K - MIN_OBSERVATIONS + 1)])
    # Rounding errors count as none, as in `window.bic_scores`.
    rounding = (64 * np.finfo(float).eps * np.maximum(1.0, np.abs(y).max(axis=0))) ** 2
    noise = _noise(x, y, n_validation)
    with np.errstate(divide="ignore", invalid="ignore"):
        misfit = np.where(noise > rounding, score / noise, np.inf)
    starts = np.arange(len(score)).reshape(-1, *[1] * noise.ndim)
    first = (np.where(score <= K * rounding, 0.0, misfit) + starts * np.log(K)).argmin(axis=0)
    found = np.full(first.shape, np.nan)
    for t in range(len(score)):
        at = first == t
        found[at] = _read_off(x[t:, at], y[t:, at])
    return found


def _moments(x, y):
    """Return means, and the mean squares and product of the deviations."""
    mx, my = x.mean(axis=0), y.mean(axis=0)
    dx, dy = x - mx, y - my
    return mx, my, (dx * dx).mean(axis=0), (dx * dy).mean(axis=0), (dy * dy).mean(axis=0)


def _residual(x, y):
    """Return the residual sum of squares of least squares with an intercept."""
    _, _, xx, xy, yy = _moments(x, y)
    explained = np.divide(xy**2, xx, out=np.zeros_like(xx), where=xx > 0)
    return len(x) * np.maximum(yy - explained, 0)


def _noise(x, y, n_validation):
    """Return s^2, as `window.noise_variance` does."""
    span, step = x[2:] - x[:-2], x[1:-1] - x[:-2]
    w = np.divide(step, span, out=np.full_like(span, 0.5), where=span != 0).clip(0, 1)
    expected = (1 - w) * y[:-2] + w * y[2:]
    q = (y[1:-1] - expected) ** 2 / (1 + w**2 + (1 - w) ** 2)
    binomial = np.clip(y * (1 - y), 0, None).mean(axis=0) / n_validation
    return np.maximum(binomial, np.median(q, axis=0) / _CHI2_MEDIAN)


def _read_off(x, y):
    """Return the value at 0 of Bayesian ridge through all points."""
    n = len(x)
    mx, my, xx, xy, yy = _moments(x, y)
    sx, sy = np.sqrt(xx), np.sqrt(yy)
    flat = (sx <= FLAT * np.abs(x).mean(axis=0)) | (sy <= 1e-12 * np.abs(y).max(axis=0))
    r = np.divide(xy, sx * sy, out=np.zeros_like(xy), where=~flat)
    share = np.divide(n * r**2 - 1, (n - 1) * r, out=np.zeros_like(r), where=n * r**2 > 1)
    slope = np.divide(share * sy, sx, out=np.zeros_like(r), where=~flat)
    return np.where(np.isfinite(mx), my - slope * mx, np.nan)


# Ranks ------------------------------------------------------------------------------------------


def mean_ranks(values, weights):
    """Return mean ranks less their mean, where the i-th value occurs ``weights[..., i]`` times.

    Parameters
    ----------
    values : ndarray, shape (..., n)
    weights : ndarray, shape (..., n)
        Broadcast against the values.
    """
    below = (values[..., None, :] < values[..., :, None]).astype(np.float32)
    below += 0.5 * (values[..., None, :] == values[..., :, None])
    ranks = (below @ weights[..., None].astype(np.float32))[..., 0]
    return ranks - weights.sum(axis=-1, keepdims=True) / 2


def rank_correlation(a, b, weights):
    """Return Spearman's rho of mean ranks from `mean_ranks`; NaN where one side is constant."""
    both = (weights * a * b).sum(axis=-1)
    spread = np.sqrt((weights * a * a).sum(axis=-1) * (weights * b * b).sum(axis=-1))
    known = spread > 1e-6
    return np.where(known, np.clip(both / np.where(known, spread, 1), -1, 1), np.nan)


def partial(xy, xz, yz):
    """Return a correlation of x and y with z held; NaN where z determines one of them."""
    left = (1 - xz**2) * (1 - yz**2)
    known = left > 1e-6
    value = (xy - xz * yz) / np.sqrt(np.where(known, left, 1))
    return np.where(known, value.clip(-1, 1), np.nan)
