"""The paper's predictor: a line through (beta_eff, accuracy), read off at beta_eff = 0."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.linear_model import BayesianRidge
from sklearn.utils.validation import check_is_fitted, validate_data

from edgedyn.predict.window import bic_scores

Array = NDArray[Any]

MIN_OBSERVATIONS = 3
FLAT = 1e-6


class NeuralCapacitanceRegressor(RegressorMixin, BaseEstimator):
    r"""Bayesian ridge regression of accuracy on beta_eff, extrapolated to beta_eff = 0.

    .. math:: I = \theta_0 + \theta_1 \beta, \qquad I^* = \theta_0

    Parameters
    ----------
    t0 : int or "bic"
        The first observation used, counted from 1; "bic" chooses it (see `edgedyn.predict.window`)
        and keeps at least three.
    n_validation : int, optional
        Number of validation samples behind each accuracy; gives "bic" the binomial noise.

    Attributes
    ----------
    final_ : float
        The prediction ``I*``, not clipped. **Rank by this one**: clipped values tie at 1.
    final_std_ : float
        Its standard deviation, that of the mean response at beta_eff = 0 including the
        intercept's: ``sqrt(x0' Sigma x0 + 1/(n alpha))``, x0 the standardised zero.
    noise_std_ : float
        Standard deviation of one observation around the line, ``1/sqrt(alpha)``.
    t0_ : int
        The window that was used: observations ``t0_..K``.
    bic_ : ndarray, shape (K - 2,), or None
        Scores of t0 = 1..K-2; None for an integer `t0`.
    status_ : {"ok", "flat"}
        ``flat``: no column varies by more than 1e-6 of its mean size over the window, so that no
        slope can be learnt. Then the prediction is the window's mean and its standard deviation
        infinite.
    coef_ : ndarray, shape (n_features,)
    intercept_ : float
        The line in the units of the data; ``intercept_`` equals ``final_``.
    n_features_in_ : int

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), with
    scikit-learn's BayesianRidge, whose stopping rule and priors are absolute: features and targets
    are standardised inside, so that the scale of beta_eff does not matter. Its ``return_std``
    omits the intercept's variance; it is included here. NaN is refused: drop the epochs whose
    capacitance has another status than "ok" or "converged", and say so.

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

        Returns
        -------
        NeuralCapacitanceRegressor

        Raises
        ------
        ValueError
            For NaN or infinity, fewer than three observations, or a `t0` that leaves fewer.
        """
        beta: Array
        accuracy: Array
        beta, accuracy = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        n = len(accuracy)
        if n < MIN_OBSERVATIONS:
            raise ValueError(
                f"Found array with {n} sample(s) while a minimum of {MIN_OBSERVATIONS} is "
                "required: a line and its noise need three observations; observe more epochs."
            )
        accuracy = np.asarray(accuracy, np.float64)
        self.bic_: Array | None = None
        self.t0_ = self._window(beta, accuracy)
        self._fit_line(beta[self.t0_ - 1 :], accuracy[self.t0_ - 1 :])
        return self

    def predict(self, X: ArrayLike, return_std: bool = False) -> Any:
        """Return the line's values, not clipped.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
        return_std : bool
            Also return the standard deviation of a new observation: slope, intercept and noise.

        Returns
        -------
        ndarray, shape (n,), or a pair of them
        """
        check_is_fitted(self)
        Z: Array = validate_data(self, X, dtype=np.float64, reset=False)
        mean = Z @ self.coef_ + self.intercept_
        if not return_std:
            return mean
        return mean, np.sqrt(self._mean_variance(Z) + self.noise_std_**2)

    def predict_final(self, return_std: bool = False) -> Any:
        """Return the predicted final accuracy, at beta_eff = 0, clipped to [0, 1].

        Parameters
        ----------
        return_std : bool
            Also return `final_std_`, the uncertainty of the value itself.

        Returns
        -------
        float, or (float, float)
        """
        check_is_fitted(self)
        value = float(np.clip(self.final_, 0.0, 1.0))
        return (value, self.final_std_) if return_std else value

    def _window(self, X: Array, y: Array) -> int:
        """Check `t0`, or choose it."""
        last = len(y) - MIN_OBSERVATIONS + 1
        if isinstance(self.t0, str) and self.t0 == "bic":
            self._check_n_validation()
            scores = bic_scores(X, y, self.n_validation)
            self.bic_ = scores
            return int(np.argmin(scores)) + 1
        if isinstance(self.t0, bool) or not isinstance(self.t0, Integral):
            raise ValueError(f't0 must be an integer or "bic"; got {self.t0!r}.')
        if not 1 <= self.t0 <= last:
            raise ValueError(
                f"t0 must be in 1..{last}, so that three of the {len(y)} observations remain; "
                f"got {self.t0}."
            )
        return int(self.t0)

    def _check_n_validation(self) -> None:
        """Refuse a count that is none."""
        n = self.n_validation
        if n is not None and (isinstance(n, bool) or not isinstance(n, Integral) or n < 1):
            raise ValueError(f"n_validation must be a positive integer or None; got {n!r}.")

    def _fit_line(self, X: Array, y: Array) -> None:
        """Fit the window and keep what predictions and their variances need."""
        self._centre = X.mean(axis=0)
        spread = X.std(axis=0)
        varies = spread > FLAT * np.abs(X).mean(axis=0)
        self._scale = np.where(varies, spread, np.inf)  # a flat column gets no slope
        self.status_ = "ok" if varies.any() else "flat"
        y_mean = float(y.mean())
        # Targets that only differ by rounding are constant.
        y_scale = float(y.std()) if y.std() > 1e-12 * np.abs(y).max() else 0.0
        if self.status_ == "flat" or y_scale == 0.0:
            self.coef_ = np.zeros(X.shape[1])
            self._covariance = np.zeros((X.shape[1], X.shape[1]))
            noise = y_scale
        else:
            Z = (X - self._centre) / self._scale
            ridge = BayesianRidge(tol=1e-10, max_iter=10_000).fit(Z, (y - y_mean) / y_scale)
            self.coef_ = ridge.coef_ * y_scale / self._scale
            self._covariance = ridge.sigma_ * y_scale**2
            noise = y_scale / np.sqrt(ridge.alpha_)
        self.noise_std_ = float(noise)
        self._n = len(y)
        self.intercept_ = y_mean - float(self._centre @ self.coef_)
        self.final_ = self.intercept_
        variance = self._mean_variance(np.zeros((1, X.shape[1])))[0]
        self.final_std_ = float("inf") if self.status_ == "flat" else float(np.sqrt(variance))

    def _mean_variance(self, X: Array) -> Array:
        """Variance of the line's value at X: slope and intercept."""
        Z = (X - self._centre) / self._scale
        return np.einsum("ni,ij,nj->n", Z, self._covariance, Z) + self.noise_std_**2 / self._n
