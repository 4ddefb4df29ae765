"""Checks of a study's fields, each naming the field."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches
from numbers import Integral
from typing import Any

from edgedyn import _validate as check


def table(kind: Any, values: Any, where: str) -> Any:
    """Read a table into its dataclass."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{where} must be a table of fields; got {values!r}.")
    names = [f.name for f in fields(kind)]
    unknown_fields(values, where, names)
    missing = [f.name for f in fields(kind) if _required(f) and f.name not in values]
    if missing:
        raise ValueError(f"{where}.{missing[0]} is missing.")
    return kind(**values)


def _required(field: Any) -> bool:
    """Tell whether a field has no default."""
    from dataclasses import MISSING

    return field.default is MISSING and field.default_factory is MISSING


def unknown_fields(values: Mapping[str, Any], where: str, known: Sequence[str]) -> None:
    """Refuse fields that nobody reads, and suggest the one that was meant."""
    for name in values:
        if name not in known:
            close = get_close_matches(str(name), known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."
            dot = f"{where}." if where else ""
            raise ValueError(f"there is no field {dot}{name}; {hint}")


def text(value: Any, name: str) -> str:
    """Return a string that is not empty."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text; got {value!r}.")
    if not value.strip():
        raise ValueError(f"{name} is empty.")
    return value


def function_name(value: Any, name: str) -> str:
    """Return the name of a function in a module."""
    if re.fullmatch(r"[\w.]+:\w+", text(value, name)) is None:
        raise ValueError(
            f"{name} must be 'module:function', such as 'my_models:small_vgg'; got {value!r}."
        )
    return value


def yes_or_no(value: Any, name: str) -> bool:
    """Return a Boolean."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be true or false; got {value!r}.")
    return value


def whole_number(value: Any, name: str) -> int:
    """Return an integer of at least 0."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer; got {value!r}.")
    if value < 0:
        raise ValueError(f"{name} must be 0 or more; got {value}.")
    return int(value)


def share_or_count(value: Any, name: str) -> None:
    """Accept a number of images or a share of them."""
    number = check.real_number(value, name, above=0.0)
    if not isinstance(value, Integral) and number >= 1:
        raise ValueError(f"{name} must be a number of images or a share in (0, 1); got {value!r}.")


def optional(checked: Callable[[Any, str], Any], value: Any, name: str) -> Any:
    """Check a value unless it is None."""
    return None if value is None else checked(value, name)


def each(checked: Callable[[Any, str], Any], values: Any, name: str) -> tuple[Any, ...]:
    """Check every value of a list."""
    if isinstance(values, str | Mapping) or not isinstance(values, Sequence):
        raise TypeError(f"{name} must be a list; got {values!r}.")
    return tuple(checked(value, f"{name}[{k}]") for k, value in enumerate(values))


def distinct(values: Any, name: str) -> Any:
    """Refuse repeated values."""
    repeated = sorted(str(v) for v, n in Counter(values).items() if n > 1)
    if repeated:
        raise ValueError(f"{name} must differ; {', '.join(repeated)} is there more than once.")
    return values


def store(frozen: Any, **values: Any) -> None:
    """Store checked values in a frozen dataclass."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)
