"""How well predicted values rank the candidates: Spearman's rho and the regret of the choice."""

import numpy as np
from numpy.typing import ArrayLike


def spearman(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Return Spearman's rank correlation, in [-1, 1]; ties get their mean rank.

    NaN where fewer than three pairs are finite or one side is constant.

    Examples
    --------
    >>> spearman([0.7, 0.8, 0.9], [0.6, 0.9, 0.8])
    0.5
    """
    p, t = _finite_pairs(predicted, truth)
    if len(p) < 3 or np.ptp(p) == 0 or np.ptp(t) == 0:
        return float("nan")
    from scipy.stats import spearmanr

    return float(spearmanr(p, t).statistic)


def regret(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Return how much accuracy the choice of the highest prediction loses against the best.

    Among tied predictions the mean truth counts. NaN where no pair is finite.

    Examples
    --------
    >>> round(regret([0.7, 0.9, 0.8], [0.6, 0.8, 0.9]), 12)
    0.1
    """
    p, t = _finite_pairs(predicted, truth)
    if not len(p):
        return float("nan")
    best = float(np.nanmax(np.asarray(truth, float)))
    return best - float(t[p == p.max()].mean())


def _finite_pairs(predicted: ArrayLike, truth: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Keep the pairs in which both are finite."""
    p, t = np.asarray(predicted, float), np.asarray(truth, float)
    if p.shape != t.shape or p.ndim != 1:
        raise ValueError(
            f"predicted and truth must be vectors of one length; got {p.shape}, {t.shape}."
        )
    keep = np.isfinite(p) & np.isfinite(t)
    return p[keep], t[keep]
