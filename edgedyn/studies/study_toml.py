"""A study as the text of a study file, so that a report can be reproduced."""

from collections.abc import Mapping
from typing import Any

import tomli_w


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
    return tomli_w.dumps(_set(values)).removesuffix("\n")


def _set(values: Any) -> Any:
    """Return values without None, which TOML does not have."""
    if isinstance(values, Mapping):
        return {str(k): _set(v) for k, v in values.items() if v is not None}
    return (
        [_set(v) for v in values if v is not None] if isinstance(values, list | tuple) else values
    )
