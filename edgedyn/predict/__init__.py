"""Predicting a model's final accuracy from its first epochs."""

from edgedyn.predict.capacitance import NeuralCapacitanceRegressor

__all__ = ["NeuralCapacitanceRegressor"]
