"""Checks of user input that more than one room needs; each failure is one clear sentence."""

import sys
from collections.abc import Sequence
from math import isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def choice(value: Any, name: str, accepted: Sequence[str]) -> str:
    """Return `value` if it is one of the accepted words."""
    if value not in accepted:
        words = ", ".join(repr(word) for word in accepted)
        raise ValueError(f"{name} must be one of {words}; got {value!r}.")
    return value


def is_keras_model(source: Any) -> bool:
    """Tell whether the source is a Keras model, which it cannot be before Keras is imported."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(source, keras.Model)


def positive_int(value: Any, name: str) -> int:
    """Return `value` as an int if it is an integer of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer; got {value!r}.")
    if value < 1:
        raise ValueError(f"{name} must be at least 1; got {value}.")
    return int(value)


def real_number(
    value: Any, name: str, *, above: float | None = None, at_least: float | None = None
) -> float:
    """Return `value` as a finite float above, or not below, a bound."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a real number; got {value!r}.")
    number = float(value)
    if not isfinite(number):
        raise ValueError(f"{name} must be finite; got {value!r}.")
    if above is not None and not number > above:
        raise ValueError(f"{name} must be above {above:g}; got {value!r}.")
    if at_least is not None and not number >= at_least:
        raise ValueError(f"{name} must be at least {at_least:g}; got {value!r}.")
    return number


def increasing_times(times: ArrayLike) -> NDArray[Any]:
    """Return `times` as a vector of positive, increasing, finite numbers."""
    grid = np.asarray(times, float)
    proper = grid.ndim == 1 and len(grid) > 0 and bool(np.isfinite(grid).all())
    if not proper or not (np.diff(grid, prepend=0.0) > 0).all():
        raise ValueError("times must be positive and increasing, and finite.")
    return grid


def layer_sizes(sizes: Any) -> tuple[int, ...]:
    """Return the neurons per layer, input first: at least two positive integers."""
    if isinstance(sizes, str) or not isinstance(sizes, Sequence | np.ndarray):
        raise TypeError(f"sizes must be a sequence of integers like [64, 32, 10]; got {sizes!r}.")
    checked = tuple(positive_int(n, f"sizes[{k}]") for k, n in enumerate(sizes))
    if len(checked) < 2:
        raise ValueError(f"sizes must name at least an input and an output layer; got {checked}.")
    return checked


def real_matrix(X: ArrayLike, name: str = "X") -> NDArray[Any]:
    """Return `X` as a finite, non-empty floating point matrix of shape (samples, features)."""
    array = number_matrix(X, name)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def number_matrix(X: ArrayLike, name: str = "X") -> NDArray[Any]:
    """Return `X` as a finite, non-empty matrix of real numbers or integers, without copying it."""
    try:
        array = np.asarray(X)
        if array.dtype.kind == "O":
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must hold real numbers; it could not be read as such.") from None
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers; got an array of {array.dtype}.")
    if array.ndim != 2:
        raise ValueError(f"{name} must have shape (samples, features); got shape {array.shape}.")
    if 0 in array.shape:
        raise ValueError(f"{name} is empty: its shape is {array.shape}; give at least one sample.")
    if array.dtype.kind != "f":
        return array
    # One fast pass and no mask in the ordinary case: a sum of squares shows any NaN or infinity.
    flat = array.reshape(-1) if array.flags.c_contiguous else array.ravel(order="K")
    with np.errstate(over="ignore", invalid="ignore"):
        suspicious = not np.isfinite(np.dot(flat, flat))
    if suspicious and not np.isfinite(array).all():
        row, column = np.argwhere(~np.isfinite(array))[0]
        raise ValueError(
            f"{name} contains {array[row, column]} at sample {row}, feature {column}; "
            "all values must be finite."
        )
    return array
