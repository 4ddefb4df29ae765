"""Predicting a model's final accuracy from its first epochs, or its worth before any.

Modules and names are loaded on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgedyn.predict.capacitance import NeuralCapacitanceRegressor
    from edgedyn.predict.pooled import PooledCapacitanceRegressor

_HOME = {"NeuralCapacitanceRegressor": "capacitance", "PooledCapacitanceRegressor": "pooled"}
_ROOMS = ("curves", "stopping", "transferability", "zero_cost")

__all__ = ["NeuralCapacitanceRegressor", "PooledCapacitanceRegressor"]


def __getattr__(name: str) -> Any:
    """Load a module, or the module behind a public name, on first use."""
    if name in _ROOMS:
        return import_module(f"edgedyn.predict.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'edgedyn.predict' has no attribute {name!r}")
    value = getattr(import_module(f"edgedyn.predict.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *_ROOMS])
