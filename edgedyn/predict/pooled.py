"""A second rule beside the paper's: one slope for all candidates, in relative beta_eff."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from edgedyn._array import Array
from edgedyn.predict.lines import pool


class PooledCapacitanceRegressor(RegressorMixin, BaseEstimator):
    r"""Accuracy read off at beta_eff = 0 along a slope that all candidates share.

    .. math:: z_{ik} = \beta_{ik} / \bar\beta_i, \qquad
              c = -\frac{\sum_{ik} (z_{ik} - \bar z_i)(I_{ik} - \bar I_i)}
                        {\sum_{ik} (z_{ik} - \bar z_i)^2}, \qquad
              I^*_i = I_{iK} + c\, z_{iK}

    with the mean of candidate i's last three beta_eff as its unit. Five points of one candidate do
    not fix a slope, those of all do; and the last accuracy, not the mean of the line, is where the
    extrapolation begins. The unit makes the rule blind to the scale of beta_eff, which differs
    between backbones by orders of magnitude. Not in the paper: chosen among the variants that
    ``validation/better_rule.py`` lists, on tasks other than those it reports on.

    Attributes
    ----------
    groups_ : ndarray
        Labels of the candidates, in order of appearance.
    final_ : ndarray, shape (n_groups,)
        The predictions, not clipped. **Rank by these.**
    final_std_ : ndarray, shape (n_groups,)
        ``sqrt(s^2 (1 + z_K^2 / S_zz))``; s the scatter of all observations around their lines.
    slope_ : ndarray, shape (n_features,)
        ``-c``, in accuracy for each unit of relative beta_eff.
    units_, anchor_, last_ : ndarray
        Each candidate's unit, last relative beta_eff and last accuracy.
    noise_std_ : float
        s.
    status_ : {"ok", "flat"}
        ``flat``: beta_eff is constant; the slope is taken as 0.
    n_features_in_ : int

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.predict import PooledCapacitanceRegressor
    >>> beta = np.array([4.0, 3.0, 2.0, 1.5, 1.0, 40.0, 30.0, 20.0, 15.0, 10.0])
    >>> accuracy = [0.4, 0.5, 0.6, 0.65, 0.7, 0.5, 0.6, 0.7, 0.75, 0.8]
    >>> rule = PooledCapacitanceRegressor().fit(beta[:, None], accuracy, groups=[0] * 5 + [1] * 5)
    >>> rule.predict_final().round(6)
    array([0.8, 0.9])
    """

    def fit(
        self, X: ArrayLike, y: ArrayLike, groups: ArrayLike | None = None
    ) -> "PooledCapacitanceRegressor":
        """Fit the common slope.

        Parameters
        ----------
        X : array_like, shape (n_observations, n_features)
            beta_eff, each candidate's in the order of training; one column, or several kinds of it.
        y : array_like, shape (n_observations,)
            Validation accuracy.
        groups : array_like, shape (n_observations,), optional
            The candidate of each observation; by default there is one.

        Raises
        ------
        ValueError
            For NaN or infinity, or fewer than two observations altogether.
        """
        beta, accuracy = validate_data(
            self, X, y, y_numeric=True, ensure_min_samples=2, dtype=np.float64
        )
        labels = np.zeros(len(beta), int) if groups is None else np.asarray(groups)
        if labels.shape != (len(beta),):
            raise ValueError(
                f"groups must name the candidate of each of {len(beta)} observations; got shape "
                f"{labels.shape}."
            )
        self.groups_ = np.array(list(dict.fromkeys(labels.tolist())))
        members = [labels == label for label in self.groups_]
        values = [np.asarray(accuracy[m], np.float64) for m in members]
        found = pool([beta[m] for m in members], values)
        self.final_, self.final_std_, self.slope_ = found.final, found.std, found.slope
        self.units_, self.anchor_, self.last_ = found.units, found.anchor, found.last
        self.noise_std_, self.status_ = found.noise, "flat" if found.flat else "ok"
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Return the first candidate's accuracy at the given beta_eff, not clipped.

        Parameters
        ----------
        X : array_like, shape (n, n_features)
        """
        check_is_fitted(self, "final_")
        beta = validate_data(self, X, reset=False, dtype=np.float64)
        return self.last_[0] + (beta / self.units_[0] - self.anchor_[0]) @ self.slope_

    def predict_final(self, return_std: bool = False) -> Any:
        """Return every candidate's accuracy at beta_eff = 0, clipped to [0, 1]; shape (n_groups,).

        Parameters
        ----------
        return_std : bool
            Also return the standard deviations.
        """
        check_is_fitted(self, "final_")
        value = np.clip(self.final_, 0.0, 1.0)
        return (value, self.final_std_.copy()) if return_std else value
