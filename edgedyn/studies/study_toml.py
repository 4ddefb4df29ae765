"""A study as the text of a study file, so that a report can be reproduced."""

import json
import re
from collections.abc import Mapping
from typing import Any


def study_toml(values: Mapping[str, Any]) -> str:
    """Return the study file (TOML) of a study's plain values.

    Parameters
    ----------
    values : mapping
        As `edgedyn.studies.Study.to_dict` returns them; what is None is left out.

    Examples
    --------
    >>> from edgedyn.studies.study_toml import study_toml
    >>> print(study_toml({"stage": "full", "data": {"spec": "digits"}, "candidates": ["VGG16"]}))
    stage = "full"
    candidates = [
      "VGG16",
    ]
    <BLANKLINE>
    [data]
    spec = "digits"
    """
    lines, tables = [], []
    for name, value in values.items():
        if isinstance(value, Mapping):
            inner = [f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None]
            tables += ["", f"[{name}]", *inner]
        elif name == "candidates":
            lines += ["candidates = [", *(f"  {_value(one)}," for one in value), "]"]
        elif value is not None:
            lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines + tables)


def _value(value: Any) -> str:
    """Return a value as TOML writes it."""
    if isinstance(value, Mapping):
        inner = (f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(inner)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _key(name: object) -> str:
    """Return a key, in quotes where it needs them."""
    return str(name) if re.fullmatch(r"[A-Za-z0-9_-]+", str(name)) else _text(str(name))


def _text(text: str) -> str:
    """Return a basic string; its escapes are JSON's, and DEL is one more."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
