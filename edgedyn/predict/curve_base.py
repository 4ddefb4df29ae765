"""What all learning-curve predictors share: the interface and the checks of their input."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from edgedyn import _validate as check
from edgedyn._array import Array


class CurvePredictor(BaseEstimator):
    """Interface of the learning-curve predictors; not for use by itself.

    They take curves and give the value at a later epoch, so they are not regressors from X to y,
    and scikit-learn's ``check_estimator`` does not apply. Its conventions hold: constructors only
    store, ``get_params``, ``set_params`` and ``clone`` work.

    Attributes
    ----------
    needs_completed_curves : bool
        Of the class: whether `fit` learns from completed curves. Otherwise it does nothing.
    min_epochs : int
        Of the class: the fewest observed epochs.
    status_ : ndarray of str, shape (n,)
        Of the last prediction, one word a curve; the classes list theirs.
    raw_ : ndarray, shape (n,)
        The last predictions before clipping to [0, 1]. Rank by these: clipped values tie.
    """

    needs_completed_curves: ClassVar[bool] = False
    min_epochs: ClassVar[int] = 1

    def fit(self, curves: ArrayLike | None = None) -> "CurvePredictor":
        """Do nothing: this method looks at the curve alone.

        Parameters
        ----------
        curves : array_like, optional
            Ignored; accepted so that all methods are called alike.
        """
        return self

    def predict_final(self, partial: ArrayLike, target_epoch: int, return_std: bool = False) -> Any:
        """Predict the accuracy at a later epoch: in [0, 1], or NaN and `status_` says why.

        Parameters
        ----------
        partial : array_like, shape (n, tau)
            Accuracies in [0, 1] after epochs 1..tau; NaN where not observed.
        target_epoch : int
            The epoch to predict, after tau.
        return_std : bool
            Return the accuracies, shape (n,), and as many standard deviations of them; NaN where
            the method states none.

        Raises
        ------
        TypeError
            If the curves are no real numbers or `target_epoch` is no integer.
        ValueError
            For infinity, values outside [0, 1], a wrong shape, fewer than `min_epochs` epochs, or
            a target that is not later.
        """
        observed = checked_curves(partial, "partial")
        tau = observed.shape[1]
        if tau < self.min_epochs:
            name = type(self).__name__
            raise ValueError(f"{name} needs at least {self.min_epochs} observed epochs; got {tau}.")
        target = check.positive_int(target_epoch, "target_epoch")
        if target <= tau:
            raise ValueError(
                f"target_epoch must be later than the {tau} observed epochs; got {target}."
            )
        values, stds, status = self._predict(observed, target)
        self.raw_ = values
        clipped = (values < 0) | (values > 1)
        self.status_ = np.where(clipped & (status == "ok"), "clipped", status)
        final = np.clip(values, 0.0, 1.0)
        return (final, stds) if return_std else final

    def _predict(self, observed: Array, target: int) -> tuple[Array, Array, Array]:
        """Return values, standard deviations and status words."""
        raise NotImplementedError


def checked_curves(curves: ArrayLike, name: str) -> Array:
    """Return accuracies in [0, 1], or NaN, as floats of shape (curves, epochs)."""
    try:
        array = np.asarray(curves)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name} must be a rectangular array of accuracies; fill shorter curves with NaN."
        ) from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers; got an array of {array.dtype}.")
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"{name} must have shape (curves, epochs), both at least 1, one curve a row; got "
            f"shape {array.shape}."
        )
    array = array.astype(np.float64)
    bad = np.isinf(array) | (array < 0) | (array > 1)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} must hold accuracies in [0, 1]; curve {row} is {array[row, column]:g} at "
            f"epoch {column + 1}. Divide percentages by 100; give 1 - error, and no losses."
        )
    return array


def completed(curves: ArrayLike | None, method: str) -> Array:
    """Return the checked completed curves a method learns from."""
    if curves is None:
        raise TypeError(f"{method} learns from completed curves: give fit(curves).")
    return checked_curves(curves, "curves")


def by_curve(observed: Array, least: int, predict_one: Any) -> tuple[Array, Array, Array]:
    """Predict curve by curve: `predict_one` takes the observed epochs' indices and values."""
    found = []
    for curve in observed:
        seen = np.flatnonzero(np.isfinite(curve))
        if len(seen) < least:
            found.append((np.nan, np.nan, "missing"))
            continue
        value, std, status = predict_one(seen, curve[seen])
        masked = status == "ok" and len(seen) < len(curve)
        found.append((value, std, "masked" if masked else status))
    values, stds, words = zip(*found, strict=True)
    return np.array(values, float), np.array(stds, float), np.array(words)


def within_completed(target: int, curves: Array) -> None:
    """Refuse a target after the end of the completed curves."""
    if target > curves.shape[1]:
        raise ValueError(
            f"target_epoch must be one of the {curves.shape[1]} epochs of the completed curves; "
            f"got {target}."
        )
