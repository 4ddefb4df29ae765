"""Losses at a network's output: values, cotangents, curvatures, and the targets they take."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array

LOSSES = ("cross_entropy", "squared_error")
# The mean over outputs, as most frameworks define it; `softmax_` means that it acts on softmax(a).
CHAIN_LOSSES = (*LOSSES, "mean_squared_error", "softmax_mean_squared_error")
SOFTMAX_LOSSES = ("cross_entropy", "softmax_mean_squared_error")


def checked_targets(
    y: ArrayLike, n_samples: int, n_outputs: int, loss: str, dtype: np.dtype[Any]
) -> Array:
    """Return labels (cross-entropy) or a target matrix, or say what is wrong with `y`."""
    array = np.asarray(y)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"y must hold integer labels or real targets; got {array.dtype}.")
    if array.ndim not in (1, 2) or len(array) != n_samples:
        raise ValueError(
            f"y must have one entry or row for each of the {n_samples} samples; "
            f"got shape {array.shape}."
        )
    if array.ndim == 2:
        return _target_matrix(array, n_outputs, loss, dtype)
    if loss == "squared_error" and n_outputs == 1:
        return check.real_matrix(array[:, None], "y").astype(dtype, copy=False)
    labels = checked_labels(array, n_outputs)
    if loss == "cross_entropy":
        return labels
    return np.eye(n_outputs, dtype=dtype)[labels]


def checked_labels(y: Array, n_classes: int) -> Array:
    """Return integer class labels in 0..n_classes - 1."""
    wrong = (y < 0) | (y >= n_classes)
    if y.dtype.kind == "f":
        wrong |= ~(y == np.floor(y))  # also where it is NaN
    if wrong.any():
        found = y[wrong][0]
        raise ValueError(f"labels must be integers in 0..{n_classes - 1}; y contains {found}.")
    return y.astype(np.int64)


def _target_matrix(y: Array, n_outputs: int, loss: str, dtype: np.dtype[Any]) -> Array:
    """Return one row of finite targets a sample; probabilities for cross-entropy."""
    if y.shape[1] != n_outputs:
        raise ValueError(f"y has {y.shape[1]} columns; this network has {n_outputs} outputs.")
    targets = check.real_matrix(y, "y")
    if loss == "cross_entropy" and (
        (targets < 0).any() or (abs(targets.sum(axis=1) - 1) > 1e-5).any()
    ):
        raise ValueError("the rows of y must be probabilities: not negative, each summing to 1.")
    return targets.astype(dtype, copy=False)


def softmax(logits: Array) -> Array:
    """Return ``exp(a) / sum exp(a)`` row by row."""
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


def output_cotangent(logits: Array, y: Array, loss: str) -> Array:
    """Return ``e^L = dc/da^L``: softmax - y, or a - y.

    For labels, ``p_y - 1`` is written as minus the sum of the other probabilities: exact where
    the subtraction would stop at machine epsilon, as it must be when a run interpolates.
    """
    if loss == "squared_error":
        return logits - y
    if loss == "mean_squared_error":
        return (2 / y.shape[1]) * (logits - y)
    p = softmax(logits)
    if loss == "softmax_mean_squared_error":
        return softmax_slope(p, (2 / y.shape[1]) * (p - y))
    if y.ndim == 2:
        return p - y
    rows = np.arange(len(p))
    p[rows, y] = 0
    p[rows, y] = -p.sum(axis=1)
    return p


def mean_loss(logits: Array, y: Array, loss: str) -> float:
    """Return the loss averaged over samples, as a float64."""
    if loss == "squared_error":
        return float(0.5 * np.mean(np.sum(np.square(logits - y, dtype=np.float64), axis=1)))
    if loss.endswith("mean_squared_error"):
        outputs = softmax(logits) if loss in SOFTMAX_LOSSES else logits
        return float(np.mean(np.square(outputs - y, dtype=np.float64)))
    a = (logits - logits.max(axis=1, keepdims=True)).astype(np.float64)
    log_norm = np.log(np.exp(a).sum(axis=1))
    if y.ndim == 1:
        return float(np.mean(log_norm - a[np.arange(len(a)), y]))
    return float(np.mean(log_norm * y.sum(axis=1) - (y * a).sum(axis=1)))


def softmax_slope(p: Array, v: Array) -> Array:
    """Return ``(diag(p) - p p^T) v`` sample by sample, the softmax's symmetric Jacobian."""
    return p * (v - np.sum(p * v, axis=1, keepdims=True))


def loss_curvature(logits: Array, direction: Array, loss: str, y: Array | None = None) -> Array:
    """Return ``G^L v``, v times the loss's second derivative by the logits, sample by sample.

    Only where the squared error acts on a softmax does it depend on the targets `y`.
    """
    if loss == "squared_error":
        return direction
    if loss == "mean_squared_error":
        return (2 / logits.shape[1]) * direction
    p = softmax(logits)
    moved = softmax_slope(p, direction)
    if loss == "cross_entropy":
        return moved
    assert y is not None
    # The derivative of e = p (g - <p, g>) along the direction, with g = 2/n (p - y).
    g, dg = (2 / logits.shape[1]) * (p - y), (2 / logits.shape[1]) * moved
    inner = np.sum(p * g, axis=1, keepdims=True)
    change = np.sum(moved * g + p * dg, axis=1, keepdims=True)
    return moved * (g - inner) + p * (dg - change)
