"""Stopping candidates early: runs whose predicted final accuracy is clearly below that of others.

`StoppingRule` tells it from accuracies and beta_eff; `CapacitancePruner` asks it for Optuna,
`CapacitanceStopper` for Ray Tune. Either package is loaded on first use of its class.
"""

from typing import TYPE_CHECKING

from edgedyn._lazy import attach
from edgedyn.predict.stopping_rule import Run, StoppingRule

if TYPE_CHECKING:
    from edgedyn.predict.stopping_optuna import CapacitancePruner, report_epoch
    from edgedyn.predict.stopping_ray import CapacitanceStopper

__all__ = ["CapacitancePruner", "CapacitanceStopper", "Run", "StoppingRule", "report_epoch"]

_HOME = {
    "CapacitancePruner": "edgedyn.predict.stopping_optuna",
    "report_epoch": "edgedyn.predict.stopping_optuna",
    "CapacitanceStopper": "edgedyn.predict.stopping_ray",
}
_NEEDS = {
    "CapacitancePruner": ("optuna", "pip install optuna"),
    "report_epoch": ("optuna", "pip install optuna"),
    "CapacitanceStopper": ("ray", "pip install 'ray[tune]'"),
}

if not TYPE_CHECKING:  # else every misspelt name would have a type
    __getattr__, __dir__ = attach(__name__, _HOME, here=["Run", "StoppingRule"], needs=_NEEDS)
