"""Level: the last accuracy, shrunk towards what the training and the epoch before say of it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._array import Array

STEPS, DAMPING = 40, 0.5
FEWEST = 5  # candidates for a regression on two covariates; fewer share their mean alone
LEAST_TRAINING_ERROR = 1e-3  # a training accuracy of 1 has no logit


class Levels(NamedTuple):
    """What is known of each candidate's accuracy after the last epoch seen."""

    accuracy: Array  # shrunk, in (0, 1), shape (n_candidates,), as all
    std: Array  # its standard deviation
    logit: Array  # the accuracy as a logit, theta of the formula
    variance: Array  # of the logit
    weight: Array  # of the candidate's own accuracy beside what the others' teach, in [0, 1]


def levels(
    last: ArrayLike,
    before: ArrayLike,
    n_samples: ArrayLike,
    training: ArrayLike | None = None,
) -> Levels:
    r"""Shrink the last accuracies of several candidates (Fay and Herriot's small-area estimate).

    .. math:: \theta_i = g_i y_i + (1 - g_i) x_i^T b, \quad g_i = \frac{\tau^2}{\tau^2 + v_i}

    with :math:`y_i` the logit of the last accuracy, :math:`v_i = 1 / (N_i p_i (1 - p_i))` its
    sampling variance at the fitted :math:`p_i`, and :math:`b` a weighted ridge regression on the
    standardised logits of the training accuracy and of the accuracy one epoch before. Where
    validation is large, :math:`v_i` is small and theta is the last value's.

    Parameters
    ----------
    last, before : array_like, shape (n_candidates,)
        Validation accuracy in [0, 1] after the last epoch seen and after the one before.
    n_samples : int or array_like of int, shape (n_candidates,)
        Validation samples behind each accuracy: those of one run times the runs averaged.
    training : array_like, shape (n_candidates,), optional
        Training accuracy after the last epoch seen; left out where it is NaN for any candidate.

    Raises
    ------
    TypeError, ValueError
        For accuracies outside [0, 1], arrays of different lengths, no samples.

    Notes
    -----
    Fewer than five candidates share their mean only, and fewer than three nothing: then theta is
    the candidate's own. The variance holds a term for the unknown tau.

    Source: R. E. Fay and R. A. Herriot, J. Am. Stat. Assoc. 74:269 (1979).

    Examples
    --------
    >>> from edgedyn.predict.level import levels
    >>> found = levels([0.62, 0.70, 0.66, 0.58, 0.75], [0.60, 0.64, 0.66, 0.57, 0.70], 50)
    >>> found.accuracy.round(2), found.weight.round(1)
    (array([0.62, 0.67, 0.68, 0.58, 0.74]), array([0.2, 0.2, 0.2, 0.2, 0.2]))
    >>> levels([0.62, 0.70, 0.66], [0.60, 0.64, 0.66], 10**9).accuracy.round(6)
    array([0.62, 0.7 , 0.66])
    """
    values = [_accuracies(last, "last"), _accuracies(before, "before")]
    n = np.broadcast_to(np.asarray(n_samples), values[0].shape)
    if values[1].shape != values[0].shape:
        raise ValueError(
            f"last and before must be of equal length; got {len(values[0])} and {len(values[1])}."
        )
    if not (n >= 1).all():
        raise ValueError(f"n_samples must be at least 1; got {n.min()}.")
    y, previous = (logit((a * n + 0.5) / (n + 1)) for a in values)
    covariates = [previous]
    if training is not None:
        given = np.asarray(training, float)
        if np.isfinite(given).all():
            known = _accuracies(given, "training")
            covariates.append(logit(known.clip(LEAST_TRAINING_ERROR, 1 - LEAST_TRAINING_ERROR)))
    return _shrunk(y, n.astype(float), _design(covariates))


def logit(p: Array) -> Array:
    """Return log(p / (1 - p))."""
    return np.log(p) - np.log1p(-p)


def expit(x: Array) -> Array:
    """Return the inverse of `logit`."""
    return 1 / (1 + np.exp(-x))


def _accuracies(given: ArrayLike, name: str) -> Array:
    """Return accuracies that are such."""
    values = np.asarray(given, float)
    if values.ndim != 1 or not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"{name} must be a vector of accuracies in [0, 1]; got {given!r}.")
    return values


def _design(covariates: list[Array]) -> Array:
    """Return the intercept and the standardised covariates; constant ones are left out."""
    n = len(covariates[0])
    columns = [np.ones(n)]
    if n >= FEWEST:
        varied = [v for v in covariates if v.std() > 1e-9 * (1 + np.abs(v).max())]
        columns += [(v - v.mean()) / v.std() for v in varied]
    return np.stack(columns, axis=1)


def _shrunk(y: Array, n: Array, x: Array) -> Levels:
    """Iterate the regression, the sampling variances at its fit, and tau."""
    fitted = y if len(y) < 3 else np.full_like(y, y.mean())
    v = 1 / (n * expit(fitted) * expit(-fitted))
    if len(y) < 3:
        return _levels(y, v, np.ones_like(y))
    penalty = np.diag([0.0] + [1.0] * (x.shape[1] - 1))
    tau2 = float(v.mean())
    for _ in range(STEPS):
        w = 1 / (tau2 + v)
        inverse = np.linalg.inv(x.T @ (w[:, None] * x) + penalty)
        b = inverse @ (x.T @ (w * y))
        fitted = x @ b
        spread = np.einsum("ij,jk,ik->i", x, inverse, x)
        v = 1 / (n * expit(fitted) * expit(-fitted))
        found = np.mean((y - fitted) ** 2 / (1 - w * spread) - v)
        tau2 += DAMPING * (max(float(found), float(v.mean()) / 4) - tau2)
    g = tau2 / (tau2 + v)
    unsure = 4 * v**2 / ((tau2 + v) ** 3 * len(y) * np.mean(1 / (tau2 + v)) ** 2)
    return _levels(g * y + (1 - g) * fitted, g * v + (1 - g) ** 2 * spread + unsure, g)


def _levels(theta: Array, variance: Array, weight: Array) -> Levels:
    """Return levels as logits and as accuracies."""
    accuracy = expit(theta)
    std = accuracy * (1 - accuracy) * np.sqrt(variance)
    return Levels(accuracy, std, theta, variance, weight)
