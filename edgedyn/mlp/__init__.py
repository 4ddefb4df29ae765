"""Closed forms for ReLU multilayer perceptrons."""

from edgedyn.mlp.accumulator import AbsoluteAccumulator, DegreeAccumulator, degree_accumulator
from edgedyn.mlp.coupling import coupling_block, coupling_matrix
from edgedyn.mlp.network import LayerRecord, ReLUMLP
from edgedyn.mlp.training import TrainingHistory

__all__ = [
    "AbsoluteAccumulator",
    "DegreeAccumulator",
    "LayerRecord",
    "ReLUMLP",
    "TrainingHistory",
    "coupling_block",
    "coupling_matrix",
    "degree_accumulator",
]
