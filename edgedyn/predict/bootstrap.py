"""The bootstrap of rankings: rho, tau and regret of all resampled sets of candidates at once.

A resampled set is a row of `weights`: how often each candidate occurs in it.
"""

from math import nan

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._array import Array

LEVEL = 0.95
FEWEST = 3  # candidates that a rank correlation takes
_BLOCK = 2**22  # signs held at a time


def counts(drawn: Array, n: int) -> Array:
    """Return how often each of n candidates occurs in every draw, a row of their numbers.

    Examples
    --------
    >>> counts(np.array([[0, 2, 2], [1, 1, 1]]), 3)
    array([[1, 0, 2],
           [0, 3, 0]])
    """
    places = drawn + n * np.arange(len(drawn))[:, None]
    return np.bincount(places.ravel(), minlength=n * len(drawn)).reshape(len(drawn), n)


def weighted_rho(x: Array, y: Array, weights: Array) -> Array:
    """Return Spearman's rho of samples in which the i-th pair occurs ``weights[:, i]`` times.

    Values are finite; ties get their mean rank. NaN for fewer than three pairs, or where one side
    is constant.
    """
    a, b = (_centred_ranks(v, weights) for v in (x, y))
    spread = np.sqrt((weights * a**2).sum(axis=1) * (weights * b**2).sum(axis=1))
    return _ratio((weights * a * b).sum(axis=1), spread, weights)


def _centred_ranks(values: Array, weights: Array) -> Array:
    """Return the mean ranks of tied values in every sample, less the mean of all ranks."""
    kinds, kind = np.unique(values, return_inverse=True)
    if not len(kinds):
        return np.zeros(weights.shape)
    ordered = weights[:, np.argsort(kind, kind="stable")]
    sizes = np.add.reduceat(ordered, np.searchsorted(np.sort(kind), np.arange(len(kinds))), axis=1)
    upto = np.cumsum(sizes, axis=1)
    # Those below, and half of those equal; half of all is in the middle.
    return (upto - (sizes + upto[:, -1:]) / 2)[:, kind]


def weighted_tau(x: Array, y: Array, weights: Array) -> Array:
    """Return Kendall's tau-b of such samples; arguments and NaN as for `weighted_rho`.

    ``sum w_i w_j a_ij b_ij / sqrt(sum w_i w_j |a_ij| sum w_i w_j |b_ij|)`` over all pairs i, j,
    with ``a_ij = sign(x_i - x_j)`` and b likewise of y; takes time as the square of the length.
    """
    w = weights.astype(float)
    sums = np.zeros((3, len(w)))
    step = max(1, _BLOCK // max(len(x), 1))
    for k in range(0, len(x), step):
        rows = slice(k, k + step)
        a, b = (np.sign(v[:, None] - v[rows]) for v in (x, y))
        sums += [(w @ m * w[:, rows]).sum(axis=1) for m in (a * b, abs(a), abs(b))]
    return _ratio(sums[0], np.sqrt(sums[1] * sums[2]), weights)


def _ratio(above: Array, below: Array, weights: Array) -> Array:
    """Return a correlation; NaN for too few pairs, or where one side is constant."""
    known = (below > 0) & (weights.sum(axis=1) >= FEWEST)
    return np.where(known, np.clip(above / np.where(known, below, 1), -1, 1), nan)


def weighted_regret(predicted: Array, truth: Array, weights: Array) -> Array:
    """Return what the choice of the highest prediction loses in such samples.

    Candidates without a prediction (NaN) are never chosen, but may be the best; among tied
    predictions the mean truth counts. NaN where no candidate of the sample has both.
    """
    there = (weights > 0) & np.isfinite(truth)
    best = np.where(there, truth, -np.inf).max(axis=1, initial=-np.inf)
    there &= np.isfinite(predicted)
    highest = np.where(there, predicted, -np.inf).max(axis=1, initial=-np.inf)
    share = np.where(there & (predicted == highest[:, None]), weights, 0)
    n = share.sum(axis=1)
    chosen = share @ np.where(there.any(axis=0), truth, 0) / np.maximum(n, 1)
    return np.where(n > 0, best - chosen, nan)


def interval(values: ArrayLike) -> tuple[float, float]:
    """Return the central 95 % of the finite values; NaN without any."""
    numbers = np.asarray(values, float)
    finite = numbers[np.isfinite(numbers)]
    if not len(finite):
        return nan, nan
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
