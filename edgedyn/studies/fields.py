"""Tables of fields: msgspec holds the types, every fault is one sentence that names the field."""

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import MISSING, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

from edgedyn import _validate as check
from edgedyn._job import FUNCTION, TEXT

# What a value must be, by what msgspec says that it has expected.
_MUST = {
    "`int`": "an integer",
    "`float`": "a real number",
    "`int | float`": "a real number",
    "`str`": "text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table of options",
    "`int` >= 1": "at least 1",
    "`int` >= 0": "0 or more",
    "`float` > 0.0": "above 0",
    "`float` > 1.0": "above 1",
    "`float` >= 0.0": "at least 0",
    "`float` < 1.0": "below 1",
    f"`str` matching regex {FUNCTION!r}": "'module:function', such as 'my_models:small_vgg'",
}
_EMPTY = f"`str` matching regex {TEXT!r}"


def table(kind: Any, values: Any, where: str) -> Any:
    """Read a table into its dataclass."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{where} must be a table of fields; got {values!r}.")
    keys = {f.metadata.get("key", f.name): f.name for f in fields(kind)}
    unknown_fields(values, where, keys)
    for f in fields(kind):
        if f.default is f.default_factory is MISSING and f.name not in values:
            raise ValueError(f"{where}.{f.name} is missing.")
    return kind(**{keys[key]: value for key, value in values.items()})


def unknown_fields(values: Mapping[str, Any], where: str, known: Collection[str]) -> None:
    """Refuse fields that nobody reads, and suggest the one that was meant."""
    for name in values:
        if name not in known:
            dot = f"{where}." if where else ""
            raise ValueError(f"there is no field {dot}{name}; {meant(str(name), known)}")


def meant(name: str, known: Collection[str]) -> str:
    """Suggest the name that was meant, or list those that there are."""
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(known)}."


def check_fields(table: Any, where: str = "") -> None:
    """Check the fields of a frozen dataclass against their annotations; store what they become."""
    kinds = get_type_hints(type(table), include_extras=True)
    for f in fields(table):
        name = f"{where}.{f.metadata.get('key', f.name)}".lstrip(".")
        store(table, **{f.name: checked(getattr(table, f.name), kinds[f.name], name)})


def checked(value: Any, kind: Any, name: str) -> Any:
    """Return a value as an annotation has it, which may carry msgspec's constraints."""
    try:
        found = msgspec.convert(_plain(value), kind)
    except msgspec.ValidationError as error:
        raise _sentence(str(error), value, kind, name) from None
    return check.real_number(found, name) if isinstance(found, float) else found


def _plain(value: Any) -> Any:
    """Return numpy's numbers as Python's, and sequences as lists, which msgspec takes."""
    if isinstance(value, Set):
        return object()  # msgspec would make a list of it, in nobody's order
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value


def _sentence(fault: str, value: Any, kind: Any, name: str) -> Exception:
    """Say in our words what msgspec found wrong."""
    if entry := re.fullmatch(r"(.*) - at `\$\[(\d+)\]`", fault):
        fault, k = entry[1], int(entry[2])
        name, value, kind = f"{name}[{k}]", value[k], get_args(kind)[0]
    fault = fault.removeprefix("Expected ").replace(" | null", "")
    expected, of_other_type, _ = fault.partition(", got ")
    if isinstance(value, float) and not of_other_type:
        check.real_number(value, name)  # of NaN msgspec says that it is out of range
    if get_origin(kind) is Literal:
        check.choice(value, name, get_args(kind))
    if expected == _EMPTY:
        return ValueError(f"{name} is empty.")
    must = f"must be {_MUST[expected]}" if expected in _MUST else f"is wrong ({fault})"
    return (TypeError if of_other_type else ValueError)(f"{name} {must}; got {value!r}.")


def distinct(values: Any, name: str) -> Any:
    """Refuse repeated values."""
    repeated = sorted(str(v) for v, n in Counter(values).items() if n > 1)
    if repeated:
        raise ValueError(f"{name} must differ; {', '.join(repeated)} is there more than once.")
    return values


def store(frozen: Any, /, **values: Any) -> None:
    """Store values in a frozen dataclass."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)
