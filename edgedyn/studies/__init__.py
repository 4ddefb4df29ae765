"""Model-selection studies: what is run, and the records they leave."""

from edgedyn.studies.demo import Demo, run_demo
from edgedyn.studies.record import EpochRecord, TrialRecord

__all__ = ["Demo", "EpochRecord", "TrialRecord", "run_demo"]
