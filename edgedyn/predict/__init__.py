"""Predicting a model's final accuracy from its first epochs, or its worth before any.

Modules and names are loaded on first use.
"""

from typing import TYPE_CHECKING

from edgedyn._lazy import attach

if TYPE_CHECKING:
    from edgedyn.predict import curves as curves
    from edgedyn.predict import stopping as stopping
    from edgedyn.predict import transferability as transferability
    from edgedyn.predict import zero_cost as zero_cost
    from edgedyn.predict.pooled import PooledCapacitanceRegressor
    from edgedyn.predict.regressor import NeuralCapacitanceRegressor

_HOME = {
    "NeuralCapacitanceRegressor": "edgedyn.predict.regressor",
    "PooledCapacitanceRegressor": "edgedyn.predict.pooled",
}
_ROOMS = ("curves", "stopping", "transferability", "zero_cost")

__all__ = ["NeuralCapacitanceRegressor", "PooledCapacitanceRegressor"]

if not TYPE_CHECKING:  # else every misspelt name would have a type
    __getattr__, __dir__ = attach(__name__, _HOME, _ROOMS)
