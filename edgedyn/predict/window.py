"""Which observations a straight line should see: dropping the transient at the start."""

import numpy as np

from edgedyn._array import Array

# Median of a chi-square variable with one degree of freedom (0.4549), rounded.
_CHI2_MEDIAN = 0.455


def bic_scores(X: Array, y: Array, n_validation: int | None) -> Array:
    """Return BIC(t0) for t0 = 1..K-2, each scoring the same K observations; shape (K - 2,).

    ``BIC(t0) = RSS(t0)/s^2 + (t0 - 1) ln K``, RSS of the least-squares line through observations
    t0..K; each dropped one has a mean of its own, at the price ln K. The noise s^2 is the larger of
    the binomial ``mean I(1 - I)/n_val``, left out without that number, and the median of the
    squared second differences along the line, ``q_k / 0.455``. Shapes: X (K, n_features), y (K,).

    Where s^2 is 0 up to rounding (most neighbours lie on straight lines), RSS counts as 0 up to
    rounding and as infinite beyond: the limit of s^2 -> 0. The earliest perfectly straight window
    then has the smallest score; where none is perfectly straight, all scores are infinite and
    ``np.argmin`` gives t0 = 1, all observations.
    """
    starts = range(len(y) - 2)
    rss = np.array([residual_sum(X[start:], y[start:]) for start in starts])
    return scores(rss, noise_variance(X, y, n_validation), y)


def scores(rss: Array, s2: Array | float, y: Array) -> Array:
    """Return BIC(t0) of `bic_scores` from residual sums (..., K - 2), s^2 (...) and y (..., K)."""
    K = y.shape[-1]
    s2 = np.asarray(s2)[..., None]
    # Squared rounding errors are no noise: a ratio of two of them would choose the window.
    largest = np.maximum(1.0, np.abs(y).max(axis=-1, keepdims=True))
    rounding = (64 * np.finfo(float).eps * largest) ** 2
    ratio = np.divide(rss, s2, out=np.full(rss.shape, np.inf), where=s2 > rounding)
    return np.where(rss <= K * rounding, 0.0, ratio) + np.arange(K - 2) * np.log(K)


def residual_sum(X: Array, y: Array) -> float:
    """Residual sum of squares of ordinary least squares with an intercept."""
    return float(np.sum((y - least_squares(X, y)) ** 2))


def least_squares(X: Array, y: Array) -> Array:
    """Fitted values of ordinary least squares with an intercept."""
    centred = X - X.mean(axis=0)
    scale = np.abs(centred).max(axis=0)
    centred = centred / np.where(scale > 0, scale, 1.0)
    coefficients = np.linalg.lstsq(centred, y - y.mean(), rcond=None)[0]
    return y.mean() + centred @ coefficients


def noise_variance(X: Array, y: Array, n_validation: int | None) -> float:
    """s^2 of `bic_scores`; with several features places lie along the least-squares fit."""
    # With one feature the fit is an affine map of it, which leaves w as it is.
    place = X[:, 0] if X.shape[1] == 1 else least_squares(X, y)
    return float(noise_along(place, y, n_validation))


def noise_along(place: Array, y: Array, n_validation: int | None) -> Array:
    """s^2 of `bic_scores` by the observations' places, both of shape (..., K)."""
    span = place[..., 2:] - place[..., :-2]
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.where(span == 0, 0.5, (place[..., 1:-1] - place[..., :-2]) / span)
    w = np.clip(w, 0.0, 1.0)
    expected = (1 - w) * y[..., :-2] + w * y[..., 2:]
    q = (y[..., 1:-1] - expected) ** 2 / (1 + w**2 + (1 - w) ** 2)
    return np.maximum(binomial_variance(y, n_validation), np.median(q, axis=-1) / _CHI2_MEDIAN)


def binomial_variance(y: Array, n_validation: int | None) -> Array:
    """Mean sampling variance I(1 - I)/n_validation of the accuracies; 0 where n is unknown."""
    mean = np.clip(y * (1 - y), 0.0, None).mean(axis=-1)
    return np.zeros_like(mean) if n_validation is None else mean / n_validation
