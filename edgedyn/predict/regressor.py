"""The paper's predictor: a line through (beta_eff, accuracy), read off at beta_eff = 0."""

from math import nan
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import BayesianRidge
from sklearn.utils.validation import check_is_fitted, validate_data

from edgedyn._array import Array
from edgedyn.predict.lines import (
    FLAT,
    HYPERPRIOR,
    MIN_OBSERVATIONS,
    STEPS,
    TOLERANCE,
    status_of,
)
from edgedyn.predict.window import bic_scores, binomial_variance


class NeuralCapacitanceRegressor(RegressorMixin, BaseEstimator):
    r"""Bayesian ridge regression of accuracy on beta_eff, extrapolated to beta_eff = 0.

    .. math:: I = \theta_0 + \theta_1 \beta, \qquad I^* = \theta_0

    Parameters
    ----------
    t0 : int or "bic"
        The first observation used, counted from 1; "bic" chooses it (see `edgedyn.predict.window`)
        and keeps at least three.
    n_validation : int, optional
        Number of validation samples behind each accuracy. The noise is then at least the binomial
        ``mean I(1 - I)/n_validation``, in "bic" and in the standard deviations.

    Attributes
    ----------
    final_ : float
        The prediction ``I*``, not clipped. **Rank by this one**: clipped values tie at 1.
    final_std_ : float
        Its standard deviation, that of the mean response at beta_eff = 0 including the
        intercept's. Infinite where a flat column was not observed at 0.
    noise_std_ : float
        Standard deviation s of one observation around the line.
    dof_ : float
        Degrees of freedom ``n - 1 - gamma`` behind `noise_std_`; see Notes.
    t0_ : int
        The window that was used: observations ``t0_..K``.
    bic_ : ndarray, shape (K - 2,), or None
        Scores of t0 = 1..K-2; None for an integer `t0`.
    status_ : str
        ``ok``, or the first of these that applies. Only with ``ok`` is `final_` a prediction that
        the theory supports.

        - ``flat``: some column varies by at most 1e-6 of its mean size over the window, so that its
          slope cannot be learnt. The slope is then taken as 0, and standard deviations are infinite
          wherever such a column leaves the values observed. Columns that are 0 throughout are
          ``flat`` too, but nothing is extrapolated: `final_std_` stays finite, and is
          ``s/sqrt(n)`` if no column varies.
        - ``wrong_slope``: the accuracy falls on the way from the observations to 0.
        - ``far_extrapolation``: `extrapolation_` is above 5.
        - ``outside_unit``: `final_` lies outside 0 to 1.
    extrapolation_ : float
        How far 0 lies from the window's nearest beta_eff, in units of the range in the window (the
        largest of all columns); NaN where ``flat``.
    coef_ : ndarray, shape (n_features,)
    intercept_ : float
        The line in the units of the data; ``intercept_`` equals ``final_``.
    n_features_in_ : int

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), with scikit-learn's BayesianRidge. Three things
    differ from it; the first alone changes the prediction.

    - Its stopping rule and priors are absolute: features and targets are standardised inside, so
      that the scale of beta_eff does not matter.
    - Its noise ``RSS/(n - gamma)`` ignores that the intercept is fitted too. Here

      .. math:: s^2 = \frac{\mathrm{RSS} + 2 \cdot 10^{-6}}{n - 1 - \gamma + 2 \cdot 10^{-6}},
         \qquad \gamma = \mathrm{tr}\, Z (Z^T Z + \rho)^{-1} Z^T

      for n standardised observations Z and the ratio of precisions rho = lambda/alpha that
      BayesianRidge has found; gamma is the effective number of slopes. rho fixes the prediction,
      which stays as it is.
    - Its ``return_std`` omits the intercept's variance. With x0 the standardised zero,

      .. math:: \mathrm{var}(I^*) = s^2 \left( x_0^T (Z^T Z + \rho)^{-1} x_0 + 1/n \right)

    With few observations s itself is uncertain, so that fewer than 68 % of the values lie within
    one deviation: about 48, 61 and 64 % for 3, 5 and 8 points of a clear line. A 68 % interval
    takes ``scipy.stats.t.ppf(0.84, reg.dof_) * reg.final_std_``. Not included: that the window was
    chosen on the same data, and that a slope lost in the noise is shrunk to 0. **An interval holds
    only if the line does**, up to beta_eff = 0: on real runs 68 % intervals held 28 to
    56 % of the final accuracies with the default probe (papers/jiang2024/close.md, "Coverage").

    Equal accuracies set no rho: it is 0 then, and s comes from `n_validation` alone (0 without).

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> beta = np.array([0.50, 0.40, 0.32, 0.26, 0.20])
    >>> accuracy = [0.60, 0.67, 0.72, 0.75, 0.79]
    >>> reg = ed.NeuralCapacitanceRegressor(t0="bic").fit(beta[:, None], accuracy)
    >>> value, std = reg.predict_final(return_std=True)
    >>> print(f"{value:.2f} +- {std:.2f}, from observation {reg.t0_} on ({reg.status_})")
    0.92 +- 0.01, from observation 1 on (ok)
    """

    def __init__(self, t0: int | str = "bic", *, n_validation: int | None = None) -> None:
        self.t0 = t0
        self.n_validation = n_validation

    def fit(self, X: ArrayLike, y: ArrayLike) -> "NeuralCapacitanceRegressor":
        """Fit the line.

        Parameters
        ----------
        X : array_like, shape (n_observations, n_features)
            beta_eff, one row an observation, in the order of training.
        y : array_like, shape (n_observations,)
            Validation accuracy.

        Raises
        ------
        ValueError
            For NaN or infinity, fewer than three observations, or a `t0` that leaves fewer.
        """
        n = self.n_validation
        if n is not None and (isinstance(n, bool) or not isinstance(n, Integral) or n < 1):
            raise ValueError(f"n_validation must be a positive integer or None; got {n!r}.")
        beta, accuracy = self._observations(X, y)
        self.bic_: Array | None = None
        self.t0_ = self._window(beta, accuracy)
        self._fit_line(beta[self.t0_ - 1 :], accuracy[self.t0_ - 1 :])
        return self

    def predict(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Return the line's values, not clipped; shape (n,).

        Parameters
        ----------
        X : array_like, shape (n, n_features)
        return_std : bool
            Also return the standard deviation of a new observation: slope, intercept and noise.
            Infinite where a flat column leaves the values observed.
        """
        mean, std = self.band(X)
        return (mean, np.hypot(std, self.noise_std_)) if return_std else mean

    def band(self, X: ArrayLike) -> tuple[Array, Array]:
        """Return the line's values, not clipped, and the standard deviations of these means.

        As `predict` with ``return_std``, without the noise of a new observation.
        """
        check_is_fitted(self)
        beta: Array = validate_data(self, X, dtype=np.float64, reset=False, ensure_all_finite=False)
        _check_finite(beta)
        return beta @ self.coef_ + self.intercept_, np.sqrt(self._mean_variance(beta))

    def predict_final(self, return_std: bool = False) -> Any:
        """Return the predicted final accuracy, at beta_eff = 0, clipped to [0, 1].

        Parameters
        ----------
        return_std : bool
            Also return `final_std_`, the uncertainty of the value itself.
        """
        check_is_fitted(self)
        value = float(np.clip(self.final_, 0.0, 1.0))
        return (value, self.final_std_) if return_std else value

    def _observations(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Validate the data; scikit-learn's words on NaN and short data would mislead here."""
        if getattr(X, "shape", None) == (0,) or (isinstance(X, list | tuple) and not X):
            X = np.empty((0, 1))  # every epoch was dropped
        as_they_are: dict[str, Any] = {"ensure_all_finite": False, "ensure_min_samples": 0}
        beta, accuracy = validate_data(self, X, y, dtype=np.float64, y_numeric=True, **as_they_are)
        n = len(accuracy)
        if n < MIN_OBSERVATIONS:
            raise ValueError(
                f"Found array with {n} sample(s) while a minimum of {MIN_OBSERVATIONS} is "
                "required: a line and its noise need three observations; observe more epochs."
            )
        _check_finite(beta)
        return beta, np.asarray(accuracy, np.float64)

    def _window(self, X: Array, y: Array) -> int:
        """Check `t0`, or choose it."""
        last = len(y) - MIN_OBSERVATIONS + 1
        if isinstance(self.t0, str) and self.t0 == "bic":
            self.bic_ = bic_scores(X, y, self.n_validation)
            return int(np.argmin(self.bic_)) + 1
        if isinstance(self.t0, bool) or not isinstance(self.t0, Integral):
            raise ValueError(f't0 must be an integer or "bic"; got {self.t0!r}.')
        if not 1 <= self.t0 <= last:
            raise ValueError(
                f"t0 must be in 1..{last}, so that three of the {len(y)} observations remain; "
                f"got {self.t0}."
            )
        return int(self.t0)

    def _fit_line(self, X: Array, y: Array) -> None:
        """Fit the window and keep what predictions and their variances need."""
        self._standardise(X)
        Z = (X - self._centre) / self._scale
        y_mean = float(y.mean())
        # Targets that only differ by rounding are constant.
        if y.std() > 1e-12 * np.abs(y).max():
            y_scale = float(y.std())
            slopes, self._unit = _ridge(Z, (y - y_mean) / y_scale)
            rss = np.sum(((y - y_mean) / y_scale - Z @ slopes) ** 2)
        else:  # no slope and no noise, from which the evidence could set a prior: a flat one
            y_scale, slopes, rss = 0.0, np.zeros(X.shape[1]), 0.0
            self._unit = np.linalg.pinv(Z.T @ Z, hermitian=True)
        gamma = np.einsum("ni,ij,nj->", Z, self._unit, Z)
        self.dof_ = max(float(len(y) - 1 - gamma), 0.0)
        variance = y_scale**2 * (rss + 2 * HYPERPRIOR) / (self.dof_ + 2 * HYPERPRIOR)
        self.noise_std_ = float(np.sqrt(max(variance, binomial_variance(y, self.n_validation))))
        self._n = len(y)
        self.coef_ = slopes * y_scale / self._scale
        self.intercept_ = y_mean - float(self._centre @ self.coef_)
        self.final_ = self.intercept_
        self.final_std_ = float(np.sqrt(self._mean_variance(np.zeros((1, X.shape[1])))[0]))
        self._judge(X)

    def _judge(self, X: Array) -> None:
        """Say whether the value at 0 is to be believed."""
        flat = bool(np.isinf(self._scale).any())
        away = nan if flat else float((np.abs(X).min(axis=0) / np.ptp(X, axis=0)).max())
        self.extrapolation_ = away
        self.status_ = status_of(flat, float(self._centre @ self.coef_) > 0, away, self.final_)

    def _standardise(self, X: Array) -> None:
        """Keep centre and scale of the columns, and which of them are flat."""
        self._centre = X.mean(axis=0)
        spread = X.std(axis=0)
        flat = spread <= FLAT * np.abs(X).mean(axis=0)
        self._scale = np.where(flat, np.inf, spread)  # a flat column gets no slope
        # Up to here from its centre a column says something of the line.
        self._reach = np.where(flat, np.abs(X - self._centre).max(axis=0), np.inf)

    def _mean_variance(self, X: Array) -> Array:
        """Variance of the line's value at X: slope and intercept."""
        Z = (X - self._centre) / self._scale
        variance = self.noise_std_**2 * (np.einsum("ni,ij,nj->n", Z, self._unit, Z) + 1 / self._n)
        beyond = (np.abs(X - self._centre) > self._reach).any(axis=1)
        return np.where(beyond, np.inf, variance)


def _ridge(Z: Array, t: Array) -> tuple[Array, Array]:
    """Slopes, and their covariance in units of the noise variance: (Z'Z + rho)^-1."""
    ridge = BayesianRidge(tol=TOLERANCE, max_iter=STEPS, alpha_1=HYPERPRIOR, alpha_2=HYPERPRIOR)
    ridge.fit(Z, t)
    return ridge.coef_, ridge.sigma_ * ridge.alpha_


def _check_finite(beta: Array) -> None:
    """Refuse NaN and infinity with what to do about them."""
    bad = ~np.isfinite(beta)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        found = "NaN" if np.isnan(beta[row, column]) else str(beta[row, column])
        raise ValueError(
            f"beta_eff of observation {row + 1} is {found} ({bad.any(axis=1).sum()} of "
            f"{len(beta)} observations are NaN or infinite): drop the epochs whose capacitance is "
            "degenerate (the status says so), here and in the accuracies, and "
            "say how many."
        )
