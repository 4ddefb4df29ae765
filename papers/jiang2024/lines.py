"""The paper's line for many curves at once: `edgedyn.NeuralCapacitanceRegressor`, vectorised.

The regressor standardises beta_eff and accuracy inside, so that its Bayesian ridge depends on two
numbers alone, the count n of observations and their correlation r; the iteration of scikit-learn's
BayesianRidge is then one of scalars, done here for all curves together. Tests compare every number
with the regressor.
"""

from dataclasses import dataclass
from math import nan

import numpy as np

from edgedyn.predict.capacitance import FLAT, HYPERPRIOR, MIN_OBSERVATIONS

CHI2_MEDIAN = 0.455  # as edgedyn.predict.window has it
TOLERANCE, STEPS = 1e-10, 10_000  # the regressor's


@dataclass(frozen=True)
class Lines:
    """Lines of several curves, one entry a curve; NaN where a line cannot be had.

    Parameters
    ----------
    final, slope, std : ndarray, shape (n_curves,)
        Value at 0 (unclipped), slope, standard deviation of that value.
    dof : ndarray, shape (n_curves,)
    t0 : ndarray of int, shape (n_curves,)
    """

    final: np.ndarray
    slope: np.ndarray
    std: np.ndarray
    dof: np.ndarray
    t0: np.ndarray


def fit(beta, accuracy, n_validation, t0="bic"):
    """Fit each curve's line.

    Parameters
    ----------
    beta, accuracy : ndarray, shape (n_curves, n_observations)
        Curves with a beta_eff that is not finite, or flat, get NaN.
    n_validation : int
        Samples behind each accuracy.
    t0 : int or "bic"
        As the regressor has it.

    Returns
    -------
    Lines
    """
    beta, accuracy = np.asarray(beta, float), np.asarray(accuracy, float)
    n_curves, n = beta.shape
    if n < MIN_OBSERVATIONS:
        raise ValueError(f"a line takes {MIN_OBSERVATIONS} observations; got {n}.")
    whole = np.isfinite(beta).all(axis=1)
    starts = np.full(n_curves, 1 if t0 == "bic" else t0)
    if t0 == "bic":
        starts[whole] = 1 + np.argmin(_bic(beta[whole], accuracy[whole], n_validation), axis=1)
    found = np.full((4, n_curves), nan)
    for start in np.unique(starts[whole]):
        at = whole & (starts == start)
        found[:, at] = _fit(beta[at, start - 1 :], accuracy[at, start - 1 :], n_validation)
    return Lines(*found, starts)


def _fit(beta, accuracy, n_validation):
    """Fit lines through all observations of some curves."""
    n = beta.shape[1]
    b_mean, a_mean = beta.mean(axis=1), accuracy.mean(axis=1)
    b_std, a_std = beta.std(axis=1), accuracy.std(axis=1)
    flat = b_std <= FLAT * np.abs(beta).mean(axis=1)
    level = a_std <= 1e-12 * np.abs(accuracy).max(axis=1)
    products = ((beta - b_mean[:, None]) * (accuracy - a_mean[:, None])).mean(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        r = np.where(level, 0.0, products / (b_std * np.where(level, 1.0, a_std)))
    r = np.clip(r, -1.0, 1.0)
    c, ratio = _ridge(r, n)
    c, ratio = np.where(level, 0.0, c), np.where(level, 0.0, ratio)
    unit = 1 / (n + ratio)
    dof = np.maximum(n - 1 - n * unit, 0.0)
    rss = n * (1 - 2 * c * r + c**2)
    scale = np.where(level, 0.0, a_std)
    variance = scale**2 * (rss + 2 * HYPERPRIOR) / (dof + 2 * HYPERPRIOR)
    binomial = np.clip(accuracy * (1 - accuracy), 0, None).mean(axis=1) / n_validation
    noise = np.maximum(variance, binomial)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = c * scale / b_std
        std = np.sqrt(noise * ((b_mean / b_std) ** 2 * unit + 1 / n))
    final = a_mean - slope * b_mean
    return np.where(flat, nan, np.array([final, slope, std, dof]))


def _ridge(r, n):
    """Return slope and ratio of precisions for standardised data of n points, correlation r."""
    alpha, ratio_of = np.full(r.shape, 1 / (1 + np.finfo(float).eps)), np.ones(r.shape)
    weight = ratio_of.copy()  # lambda
    before = np.full(r.shape, np.inf)
    open_ = np.ones(r.shape, bool)
    for step in range(STEPS):
        c = n * r / (n + weight / alpha)
        sse = n * (1 - 2 * c * r + c**2)
        gamma = alpha * n / (weight + alpha * n)
        new_weight = (gamma + 2 * HYPERPRIOR) / (c**2 + 2 * HYPERPRIOR)
        new_alpha = (n - gamma + 2 * HYPERPRIOR) / (np.maximum(sse, 0) + 2 * HYPERPRIOR)
        weight, alpha = np.where(open_, new_weight, weight), np.where(open_, new_alpha, alpha)
        if step:
            open_ = open_ & (np.abs(before - c) >= TOLERANCE)
        before = c
        if not open_.any():
            break
    return n * r / (n + weight / alpha), weight / alpha


def _bic(beta, accuracy, n_validation):
    """Return BIC(t0) for t0 = 1..K-2, shape (n_curves, K - 2); see `edgedyn.predict.window`."""
    n = beta.shape[1]
    rss = np.stack([_residuals(beta[:, k:], accuracy[:, k:]) for k in range(n - 2)], axis=1)
    s2 = _noise(beta, accuracy, n_validation)[:, None]
    largest = np.maximum(1.0, np.abs(accuracy).max(axis=1))[:, None]
    rounding = (64 * np.finfo(float).eps * largest) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        misfit = np.where(s2 > rounding, rss / s2, np.inf)
    misfit = np.where(rss <= n * rounding, 0.0, misfit)
    return misfit + np.arange(n - 2) * np.log(n)


def _residuals(x, y):
    """Return the residual sums of least squares lines."""
    dx, dy = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    sxx, sxy = (dx**2).sum(axis=1), (dx * dy).sum(axis=1)
    slope = np.divide(sxy, sxx, out=np.zeros_like(sxy), where=sxx > 0)
    return ((dy - slope[:, None] * dx) ** 2).sum(axis=1)


def _noise(x, y, n_validation):
    """Return s^2 of the window rule."""
    span = x[:, 2:] - x[:, :-2]
    with np.errstate(divide="ignore", invalid="ignore"):
        w = np.clip(np.where(span == 0, 0.5, (x[:, 1:-1] - x[:, :-2]) / span), 0.0, 1.0)
    expected = (1 - w) * y[:, :-2] + w * y[:, 2:]
    q = (y[:, 1:-1] - expected) ** 2 / (1 + w**2 + (1 - w) ** 2)
    binomial = np.clip(y * (1 - y), 0.0, None).mean(axis=1) / n_validation
    return np.maximum(binomial, np.median(q, axis=1) / CHI2_MEDIAN)
