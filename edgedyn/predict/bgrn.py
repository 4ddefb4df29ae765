"""BGRN: regression of the final accuracy on the values and differences of the first epochs."""

from dataclasses import KW_ONLY, dataclass
from math import log
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.predict.curve_base import CurvePredictor, checked_curves, completed, within_completed

FEATURES = ("curve", "curve+summary", "summary")
FOLDS = 3
FEW = 6  # fewer training curves leave folds of one
RANGE = (1e-5, 10.0)  # of C and gamma in the random search


@dataclass(frozen=True)
class CurveModel:
    """What was fitted for one number of observed epochs and one target epoch."""

    regressor: Any  # with ``predict(features)``; None without any training curve
    ridge: bool  # whether it is the Bayesian ridge for few curves
    n_curves: int  # completed curves it was fitted on
    settings: dict[str, float]  # C, gamma and nu
    score: float  # mean R^2 of the three folds; NaN for the ridge
    residual_std: float  # root mean square error on held-out curves; NaN for the ridge
    centre: Array  # of the features
    spread: Array  # of the features
    level: float  # the targets' centre
    unit: float  # the targets' spread


@dataclass(eq=False, repr=False)
class BGRN(CurvePredictor):
    r"""Support vector regression of the final accuracy on the first tau epochs.

    One nu-SVR with a radial kernel a number of observed epochs, on

    .. math:: y_1, \dots, y_\tau;\ \Delta y_1, \dots, \Delta y_{\tau - 1};\
       \Delta^2 y_1, \dots, \Delta^2 y_{\tau - 2}

    C, gamma and nu are drawn at random (C and gamma log-uniformly from 1e-5 to 10, nu uniformly)
    and those with the highest mean R^2 in three folds are taken. Fewer than six training curves
    get a Bayesian ridge regression on standardised features instead.

    Parameters
    ----------
    features : {"curve", "curve+summary", "summary"}
        ``curve``: as above; ``curve+summary``: and mean and standard deviation of the values;
        ``summary``: mean and standard deviation of values, first and second differences.
    scale : bool
        Standardise features and targets by the training curves. Needed with architecture columns.
    C, gamma, nu : float, optional
        Fixed instead of searched.
    n_draws, seed : int
        Draws of the random search (NASLib takes 1000), and the seed of the draws and folds.

    Attributes
    ----------
    curves_ : ndarray, shape (n_completed, T)
    architecture_ : ndarray, shape (n_completed, n_columns), or None
    models_ : dict of (int, int) to CurveModel
        By (tau, target epoch): fitted when first asked for, then kept.
    status_ : ndarray of str, shape (n,)
        ``ok``; ``clipped``: outside [0, 1] before; ``ridge``: from fewer than six curves; ``weak``:
        no draw did better than the mean of the training curves, so that the ranking is noise;
        ``missing``: NaN, as an observed epoch or architecture column is; ``no_curves``: NaN, as no
        completed curve has all values that are needed. The later words go before the earlier.

    Notes
    -----
    Baker, Gupta, Raskar & Naik, arXiv 1705.10823. The standard deviation is the root mean square
    error on held-out curves at the chosen settings, the same for all curves, and a little too
    small, since the settings were chosen by the same errors. The solver's tolerance is 1e-3 in the
    targets' unit, coarse for unscaled accuracies.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> t = np.arange(1, 31)
    >>> height = np.linspace(0.6, 0.9, 12)[:, None]
    >>> done = height - 0.5 * t ** -np.linspace(0.5, 1.0, 12)[:, None]
    >>> bgrn = ed.predict.curves.BGRN(scale=True, n_draws=50).fit(done[::2])
    >>> error = bgrn.predict_final(done[1::2, :5], target_epoch=30) - done[1::2, -1]
    >>> bool(abs(error).mean() < 0.02)
    True
    """

    needs_completed_curves: ClassVar[bool] = True
    min_epochs: ClassVar[int] = 3

    features: str = "curve"
    _: KW_ONLY
    scale: bool = False
    C: float | None = None
    gamma: float | None = None
    nu: float | None = None
    n_draws: int = 100
    seed: int = 0

    def fit(self, curves: ArrayLike | None = None, architecture: ArrayLike | None = None) -> "BGRN":
        """Keep the completed curves; regressions are fitted when a number of epochs is asked for.

        Parameters
        ----------
        curves : array_like, shape (n_completed, T)
            Accuracies in [0, 1]; NaN where not observed.
        architecture : array_like, shape (n_completed, n_columns), optional
            Numbers that describe the candidates: parameters, layers, hyper-parameters.

        Raises
        ------
        TypeError, ValueError
            For anything but such arrays, or parameters out of range.
        """
        check.choice(self.features, "features", FEATURES)
        check.positive_int(self.n_draws, "n_draws")
        for name in ("C", "gamma", "nu"):
            value = getattr(self, name)
            if value is not None and check.real_number(value, name, above=0) > 1 and name == "nu":
                raise ValueError(f"nu must be in (0, 1]; got {value!r}.")
        self.curves_ = completed(curves, "BGRN")
        self.architecture_ = _columns(architecture, len(self.curves_))
        self.models_: dict[tuple[int, int], CurveModel] = {}
        return self

    def predict_final(
        self,
        partial: ArrayLike,
        target_epoch: int,
        return_std: bool = False,
        architecture: ArrayLike | None = None,
    ) -> Any:
        """Predict the accuracy at a later epoch; see `CurvePredictor.predict_final`.

        Parameters
        ----------
        partial, target_epoch, return_std
            As there; the target is one of the epochs of the completed curves.
        architecture : array_like, shape (n, n_columns), optional
            Where `fit` was given one.
        """
        check_is_fitted(self, "curves_")
        self._now = _columns(architecture, len(checked_curves(partial, "partial")))
        got, fitted = (0 if a is None else a.shape[1] for a in (self._now, self.architecture_))
        if got != fitted:
            raise ValueError(
                f"architecture must have the {fitted} columns it had in fit; got {got}."
            )
        return super().predict_final(partial, target_epoch, return_std)

    def _predict(self, observed: Array, target: int) -> tuple[Array, Array, Array]:
        """Predict all curves without gaps at once."""
        n, tau = observed.shape
        within_completed(target, self.curves_)
        if (tau, target) not in self.models_:
            self.models_[tau, target] = self._fit_model(tau, target)
        model = self.models_[tau, target]
        values, stds = np.full(n, np.nan), np.full(n, np.nan)
        status = np.full(n, "no_curves" if model.regressor is None else "missing")
        X = self._features(observed, self._now)
        whole = np.isfinite(X).all(axis=1)
        if model.regressor is None or not whole.any():
            return values, stds, status
        values[whole], stds[whole] = _apply(model, X[whole])
        word = "ridge" if model.ridge else "weak" if model.score <= 0 else "ok"
        return values, stds, np.where(whole, word, status)

    def _features(self, y: Array, architecture: Array | None) -> Array:
        """Return one row of features a curve, architecture columns first."""
        d = np.diff(y, axis=1)
        dd = np.diff(d, axis=1)
        parts = [] if architecture is None else [architecture]
        if self.features != "summary":
            parts += [y, d, dd]
        if self.features != "curve":
            summarised = [y] if self.features == "curve+summary" else [y, d, dd]
            for values in summarised:
                parts += [values.mean(axis=1)[:, None], values.std(axis=1)[:, None]]
        return np.hstack(parts)

    def _fit_model(self, tau: int, target: int) -> CurveModel:
        """Fit the regression for this many epochs."""
        X = self._features(self.curves_[:, :tau], self.architecture_)
        y = self.curves_[:, target - 1]
        whole = np.isfinite(X).all(axis=1) & np.isfinite(y)
        X, y = X[whole], y[whole]
        n, ridge, width = len(y), len(y) < FEW, X.shape[1]
        centre, spread, level, unit = np.zeros(width), np.ones(width), 0.0, 1.0
        if n and (self.scale or ridge):
            centre, spread = X.mean(axis=0), _spread(X)
            level, unit = float(y.mean()), float(_spread(y))
        Z, z = (X - centre) / spread, (y - level) / unit
        regressor, score, error = None, np.nan, np.nan
        settings: dict[str, float] = {}
        if n and ridge:  # of equal targets their mean
            from sklearn.dummy import DummyRegressor
            from sklearn.linear_model import BayesianRidge

            regressor = (DummyRegressor() if np.ptp(z) == 0 else BayesianRidge()).fit(Z, z)
        elif n:
            settings, score, error = self._search(Z, z)
            regressor = _svr(settings).fit(Z, z)
        found = (score, error * unit, centre, spread, level, unit)
        return CurveModel(regressor, ridge, n, settings, *found)

    def _search(self, Z: Array, z: Array) -> tuple[dict[str, float], float, float]:
        """Return the settings with the highest mean R^2, it, and the error on held-out curves."""
        from sklearn import config_context

        rng = np.random.default_rng(self.seed)
        folds = np.array_split(rng.permutation(len(z)), FOLDS)
        fixed = {name: getattr(self, name) for name in ("C", "gamma", "nu")}
        known = {name: float(value) for name, value in fixed.items() if value is not None}
        best: tuple[dict[str, float], float, float] = ({}, -np.inf, np.nan)
        for _ in range(1 if len(known) == len(fixed) else self.n_draws):
            C, gamma = np.exp(rng.uniform(log(RANGE[0]), log(RANGE[1]), size=2))
            drawn = {"C": float(C), "gamma": float(gamma), "nu": 1.0 - rng.random()} | known
            with config_context(assume_finite=True, skip_parameter_validation=True):
                score, error = _held_out(Z, z, folds, drawn)  # the checks cost more than the fits
            if score > best[1]:
                best = drawn, score, error
        return best


def _svr(settings: dict[str, float]) -> Any:
    """Return the support vector regression with these settings."""
    from sklearn.svm import NuSVR

    svr = NuSVR(kernel="rbf", **settings)
    # No parameter of NuSVR, and without effect on it; else fit draws from numpy's global state.
    svr.random_state = 0
    return svr


def _apply(model: CurveModel, X: Array) -> tuple[Array, Array]:
    """Return values and deviations in the units of the accuracies."""
    Z = (X - model.centre) / model.spread
    if hasattr(model.regressor, "lambda_"):  # the Bayesian ridge
        values, stds = model.regressor.predict(Z, return_std=True)
        stds = stds * model.unit
    else:  # with equal targets, or only one, no noise was to be seen: NaN
        values, stds = model.regressor.predict(Z), np.full(len(Z), model.residual_std)
    return values * model.unit + model.level, stds


def _held_out(
    Z: Array, z: Array, folds: list[Array], settings: dict[str, float]
) -> tuple[float, float]:
    """Return mean R^2 over the folds, and the root mean square error."""
    scores, squares = [], 0.0
    for fold in folds:
        rest = np.setdiff1d(np.arange(len(z)), fold)
        errors = _svr(settings).fit(Z[rest], z[rest]).predict(Z[fold]) - z[fold]
        total = float(np.sum((z[fold] - z[fold].mean()) ** 2))
        scores.append(1 - float(errors @ errors) / total if total > 0 else 0.0)
        squares += float(errors @ errors)
    return float(np.mean(scores)), float(np.sqrt(squares / len(z)))


def _spread(values: Array) -> Array:
    """Return standard deviations, 1 for what is constant to rounding."""
    spread = values.std(axis=0)
    flat = spread <= 1e-12 * np.abs(values).max(axis=0)
    return np.asarray(np.where(flat, 1.0, spread))


def _columns(architecture: ArrayLike | None, n: int) -> Array | None:
    """Return the checked architecture columns; NaN is allowed."""
    if architecture is None:
        return None
    try:
        columns = np.asarray(architecture, np.float64)
    except (TypeError, ValueError):
        raise TypeError("architecture must hold real numbers.") from None
    if columns.ndim != 2 or len(columns) != n:
        raise ValueError(
            f"architecture must have shape ({n}, columns), one row a curve; got {columns.shape}."
        )
    if np.isinf(columns).any():
        raise ValueError("architecture contains infinity; all values must be finite or NaN.")
    return columns
