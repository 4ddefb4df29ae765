"""Study files: TOML in, a checked `Study` out, and back."""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import tomli_w

from edgedyn.studies.study import Study, read_study

EXAMPLE = "example.toml"


def load_study(
    study: Study | Mapping[str, Any] | str | Path | None, fields: Mapping[str, Any]
) -> Study:
    """Return a study from a file, from its fields, or from both.

    `fields` replace the study's; tables are merged. TypeError or ValueError for files that cannot
    be read and fields that are wrong.
    """
    if isinstance(study, Study):
        return read_study(_merged(_set(study.to_dict()), fields), study.folder)
    if isinstance(study, str | Path):
        path = Path(study)
        return read_study(_merged(_read(path), fields), path.parent)
    if study is not None and not isinstance(study, Mapping):
        raise TypeError(f"study must be a path, a mapping or a Study; got {study!r}.")
    return read_study(_merged(study or {}, fields))


def example() -> str:
    """Return a commented study file: six small networks on bundled digits."""
    return (files("edgedyn.studies") / EXAMPLE).read_text(encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    """Read a TOML file."""
    try:
        return tomllib.loads(
            path.read_text(encoding="utf-8-sig")
        )  # some editors mark the beginning
    except OSError as error:
        hint = "write one with: edgedyn select --init"
        raise ValueError(
            f"the study file {str(path)!r} cannot be read: {error.strerror}; {hint}."
        ) from None
    except RecursionError:
        raise ValueError(f"the study file {str(path)!r} is nested too deeply.") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise ValueError(f"the study file {str(path)!r} is not valid TOML: {error}.") from None


def _merged(values: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with some replaced, tables field by field."""
    found = dict(values)
    for name, value in fields.items():
        old = found.get(name)
        if name == "data" and isinstance(old, str) and isinstance(value, Mapping):
            old = {"spec": old}
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        found[name] = {**old, **value} if both else value  # type: ignore[dict-item]
    return found


def study_toml(values: Mapping[str, Any]) -> str:
    """Return the study file (TOML) of a study's plain values, so that a report can be reproduced.

    `values` are as `edgedyn.studies.Study.to_dict` returns them; what is None is left out.
    """
    return tomli_w.dumps(_set(values)).removesuffix("\n")


def _set(values: Any) -> Any:
    """Return values without None, which TOML does not have."""
    if isinstance(values, Mapping):
        return {str(k): _set(v) for k, v in values.items() if v is not None}
    if isinstance(values, list | tuple):
        return [_set(v) for v in values if v is not None]
    return values
