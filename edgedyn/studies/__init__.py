"""Model-selection studies: what is run, and the records they leave."""

from typing import TYPE_CHECKING

from edgedyn._lazy import attach

if TYPE_CHECKING:
    from edgedyn._bits import unpack_bits
    from edgedyn.studies.demo import Demo, run_demo
    from edgedyn.studies.record import EpochRecord, TrialRecord
    from edgedyn.studies.selection import Selection, select
    from edgedyn.studies.spread import spread_capacitance
    from edgedyn.studies.store import RecordTable, load_records, pack_records
    from edgedyn.studies.study import Study, read_study

_HOME = {
    "Demo": "edgedyn.studies.demo",
    "EpochRecord": "edgedyn.studies.record",
    "RecordTable": "edgedyn.studies.store",
    "Selection": "edgedyn.studies.selection",
    "Study": "edgedyn.studies.study",
    "TrialRecord": "edgedyn.studies.record",
    "load_records": "edgedyn.studies.store",
    "pack_records": "edgedyn.studies.store",
    "read_study": "edgedyn.studies.study",
    "run_demo": "edgedyn.studies.demo",
    "select": "edgedyn.studies.selection",
    "spread_capacitance": "edgedyn.studies.spread",
    "unpack_bits": "edgedyn._bits",
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
    "unpack_bits",
]

if not TYPE_CHECKING:  # else every misspelt name would have a type
    __getattr__, __dir__ = attach(__name__, _HOME)
