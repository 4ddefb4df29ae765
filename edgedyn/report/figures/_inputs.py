"""Checks of what figures are given; each failure is one clear sentence."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def vector(values: Any, name: str, length: int | None = None) -> Array:
    """Return a non-empty series of real numbers; None, as JSON writes NaN, becomes NaN."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a series of real numbers; got {values!r:.80}.") from None
    if array.ndim != 1:
        raise ValueError(f"{name} must be a series, shape (n,); got shape {array.shape}.")
    if not len(array):
        raise ValueError(f"{name} is empty; give at least one value.")
    if length is not None and len(array) != length:
        raise ValueError(f"{name} must have {length} values like the others; got {len(array)}.")
    return array


def series_of(values: Any, name: str, length: int | None = None) -> dict[str, Array]:
    """Return a non-empty mapping of names to series."""
    return {key: vector(v, f"{name}[{key!r}]", length) for key, v in named(values, name).items()}


def triples(values: Any, name: str) -> Array:
    """Return a non-empty table of three columns."""
    try:
        table = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        table = np.empty(0)
    if table.ndim != 2 or table.shape[1] != 3:
        raise ValueError(f"{name} must be triples of real numbers; got {values!r:.80}.")
    return table


def named(values: Any, name: str) -> Mapping[str, Any]:
    """Return a non-empty mapping."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{name} must be a mapping of names; got {type(values).__name__}.")
    if not values:
        raise ValueError(f"{name} is empty; give at least one entry.")
    return values


def listed(values: Any, name: str) -> Sequence[Any]:
    """Return a non-empty list."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise TypeError(f"{name} must be a list; got {values!r:.80}.")
    found = list(values)
    if not found:
        raise ValueError(f"{name} is empty; give at least one.")
    return found


def panels(axes: Any, n: int, what: str) -> list[Any]:
    """Return axes as a flat list if there are enough."""
    flat = list(np.asarray(axes, dtype=object).ravel())
    if len(flat) < n:
        raise ValueError(f"{what} need {n} axes; got {len(flat)}.")
    return flat


def attribute(record: Any, name: str) -> Any:
    """Read a field of a record, or of the mapping that its JSON gives."""
    if isinstance(record, Mapping):
        if name not in record:
            raise ValueError(f"a record needs the field {name!r}; got {', '.join(record)}.")
        return record[name]
    if not hasattr(record, name):
        raise TypeError(f"a record needs the field {name!r}; got a {type(record).__name__}.")
    return getattr(record, name)


def numbers(records: Sequence[Any], name: str) -> Array:
    """Return one field of all records; None becomes NaN."""
    return vector([attribute(r, name) for r in records], name)


def plain(name: str) -> str:
    """Return a name as text that matplotlib takes as it stands."""
    return "".join(c if c.isprintable() else "?" for c in str(name)).replace("$", r"\$")


def words(name: str) -> str:
    """Return a name as words."""
    return plain(name).replace("_", " ")
