"""CL: completed curves, scaled and shifted onto the observed part of a new one."""

from dataclasses import KW_ONLY, dataclass
from math import exp, nan
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.predict.curve_base import CurvePredictor, by_curve, completed, within_completed

SOLVERS = ("exact", "gd")
STEP, STEPS = 0.01, 1000  # of the published gradient descent
ROUNDING = 1e-12  # curves that vary by less than this are constant


@dataclass(eq=False, repr=False)
class CL(CurvePredictor):
    r"""Ensemble of completed curves p, each scaled and shifted onto the observed epochs c.

    .. math::
        L(a, b) = \frac{1}{2m} \sum_{t \le m} (c_t - a p_t - b)^2
            + \frac{e^{-m}}{2} (1 - a)^2, \qquad \hat y_T = a p_T + b

    Members below the best observed value are dropped, the `n_keep` with the smallest residual norm
    kept. The prediction is the mean, the standard deviation the population one, of the members
    inside [0, 1].

    Parameters
    ----------
    solver : {"exact", "gd"}
        ``exact``: the minimum, one member a completed curve. ``gd``: as published, 1000 steps of
        0.01 from random starts, which do not converge: the members differ by where they started.
    recency : bool
        Weight the residual of the i-th of m epochs (from 0) by ``sqrt(10^(i/m))`` in the gradient.
    n_starts : int
        Accepted starts a completed curve, out of at most twice as many tries; ``gd`` only.
    n_keep : int
        Members of the ensemble at most.
    seed : int
        Of the starts; each curve gets the same ones, whatever else is predicted with it.

    Attributes
    ----------
    curves_ : ndarray, shape (n_completed, T)
    status_ : ndarray of str, shape (n,)
        ``ok``; ``masked``: NaN epochs were left out; ``fallback``: no member was left, the value is
        the best observed one, without standard deviation; ``no_curves``: NaN, as no completed
        curve has all epochs that are needed; ``missing``: NaN, as no epoch was observed.

    Notes
    -----
    Chandrashekaran & Lane, ECML-PKDD 2017. The loss is quadratic, so its minimum is

    .. math:: a = \frac{\mathrm{cov}(p, c) + e^{-m}}{\mathrm{var}(p) + e^{-m}},
       \qquad b = \bar c - a \bar p,

    and k steps of length h from x_0 end at ``x + (I - hM)^k (x_0 - x)``, x the minimum and M the
    second derivative: the published descent without its loop. Completed curves must all end in
    what is to be predicted: the value at the target epoch.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> t = np.arange(1, 51)
    >>> done = [0.80 - 0.60 * t**-0.7, 0.85 - 0.70 * t**-0.5]
    >>> new = 0.75 - 0.65 * t**-0.6
    >>> value, std = ed.predict.curves.CL().fit(done).predict_final([new[:10]], 50, return_std=True)
    >>> print(f"{value[0]:.3f} +- {std[0]:.3f}, truth {new[-1]:.3f}")
    0.690 +- 0.027, truth 0.688
    """

    needs_completed_curves: ClassVar[bool] = True

    solver: str = "exact"
    _: KW_ONLY
    recency: bool = False
    n_starts: int = 100
    n_keep: int = 100
    seed: int = 0

    def fit(self, curves: ArrayLike | None = None) -> "CL":
        """Keep the completed curves.

        Parameters
        ----------
        curves : array_like, shape (n_completed, T)
            Accuracies in [0, 1]; NaN where not observed.

        Raises
        ------
        TypeError, ValueError
            For anything but such an array, or parameters out of range.
        """
        check.choice(self.solver, "solver", SOLVERS)
        check.positive_int(self.n_starts, "n_starts")
        check.positive_int(self.n_keep, "n_keep")
        self.curves_ = completed(curves, "CL")
        return self

    def _predict(self, observed: Array, target: int) -> tuple[Array, Array, Array]:
        """Predict curve by curve."""
        check_is_fitted(self, "curves_")
        within_completed(target, self.curves_)

        def predict_one(seen: Array, c: Array) -> tuple[float, float, str]:
            usable = np.isfinite(self.curves_[:, [*seen, target - 1]]).all(axis=1)
            if not usable.any():
                return nan, nan, "no_curves"
            p = self.curves_[usable][:, seen]
            if self.solver == "exact":
                members = minima(p, c, self.recency)[:, None]
            else:
                rng = np.random.default_rng(self.seed)
                shape = (len(p), 2 * self.n_starts, 2)
                starts = rng.uniform([0.0, -0.5], [1.0, 0.5], shape)
                members = descents(p, c, starts, self.recency)
            return self._ensemble(p, self.curves_[usable, target - 1], c, members)

        return by_curve(observed, self.min_epochs, predict_one)

    def _ensemble(
        self, p: Array, final: Array, c: Array, members: Array
    ) -> tuple[float, float, str]:
        """Pool the members (a, b), shape (n_completed, n_members, 2)."""
        a, b = members[..., 0], members[..., 1]
        ends = a * final[:, None] + b
        kept = ends >= c.max()
        kept &= np.cumsum(kept, axis=1) <= self.n_starts
        residuals = c - a[..., None] * p[:, None] - b[..., None]
        norms = np.linalg.norm(residuals, axis=-1)[kept]
        pooled = ends[kept][np.argsort(norms, kind="stable")[: self.n_keep]]
        pooled = pooled[(pooled >= 0) & (pooled <= 1)]
        if not len(pooled):
            return float(c.max()), nan, "fallback"
        return float(pooled.mean()), float(pooled.std()), "ok"


def minima(p: Array, c: Array, recency: bool = False) -> Array:
    """Return the minima (a, b) of the loss, shape (n, 2), for completed curves p, shape (n, m)."""
    m = len(c)
    w = _weights(m, recency)
    p_mean, c_mean = p @ w / w.sum(), c @ w / w.sum()
    dp, dc = p - p_mean[:, None], c - c_mean
    dp = np.where(np.abs(dp).max(axis=1, keepdims=True) > ROUNDING, dp, 0.0)
    prior = exp(-m)
    var, cov = (dp * dp) @ w / m, (dp * dc) @ w / m
    # Constant and long: the prior has vanished too, and a = 1 is its limit.
    a = np.divide(cov + prior, var + prior, out=np.ones(len(p)), where=var + prior > 0)
    return np.stack([a, c_mean - a * p_mean], axis=-1)


def descents(p: Array, c: Array, starts: Array, recency: bool = False) -> Array:
    """Return where the published descent ends from starts (a, b), shape (n, n_starts, 2)."""
    m = len(c)
    w = _weights(m, recency)
    corner, side = (p * p) @ w / m + exp(-m), p @ w / m
    end = np.full(len(p), w.sum() / m)
    curvature = np.stack([corner, side, side, end], axis=-1).reshape(-1, 2, 2)
    shrink = np.linalg.matrix_power(np.eye(2) - STEP * curvature, STEPS)
    minimum = minima(p, c, recency)[:, None]
    return np.asarray(minimum + (starts - minimum) @ shrink)  # shrink is symmetric


def _weights(m: int, recency: bool) -> Array:
    """Return the weight of each epoch's residual in the gradient."""
    return np.asarray(10.0 ** (np.arange(m) / (2 * m))) if recency else np.ones(m)
