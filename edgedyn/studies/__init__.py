"""Model-selection studies: what is run, and the records they leave."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedyn.studies.demo import Demo, run_demo
    from edgedyn.studies.record import EpochRecord, TrialRecord
    from edgedyn.studies.selection import Selection, select
    from edgedyn.studies.spread import spread_capacitance
    from edgedyn.studies.store import RecordTable, load_records, pack_records
    from edgedyn.studies.study import Study, read_study

_HOME = {
    "Demo": "demo",
    "EpochRecord": "record",
    "RecordTable": "store",
    "Selection": "selection",
    "Study": "study",
    "TrialRecord": "record",
    "load_records": "store",
    "pack_records": "store",
    "read_study": "study",
    "run_demo": "demo",
    "select": "selection",
    "spread_capacitance": "spread",
}

__all__ = [
    "Demo",
    "EpochRecord",
    "RecordTable",
    "Selection",
    "Study",
    "TrialRecord",
    "load_records",
    "pack_records",
    "read_study",
    "run_demo",
    "select",
    "spread_capacitance",
]


def __getattr__(name: str) -> Any:
    """Load the module behind a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'edgedyn.studies' has no attribute {name!r}")
    value = getattr(import_module(f"edgedyn.studies.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
