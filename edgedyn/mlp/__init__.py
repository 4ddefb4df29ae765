"""Closed forms for ReLU multilayer perceptrons."""

from edgedyn.mlp.accumulator import AbsoluteAccumulator, DegreeAccumulator, degree_accumulator
from edgedyn.mlp.chain import Affine, ChainLayer, ReLUChain
from edgedyn.mlp.coupling import coupling_block, coupling_matrix
from edgedyn.mlp.dynamics import EdgeDynamics, edge_dynamics
from edgedyn.mlp.network import ReLUMLP
from edgedyn.mlp.nodes import NodeDynamics, node_dynamics
from edgedyn.mlp.records import LayerRecord
from edgedyn.mlp.theorem1 import Theorem1Report, capacitance_bound, verify_theorem1
from edgedyn.mlp.training import TrainingHistory

__all__ = [
    "AbsoluteAccumulator",
    "Affine",
    "ChainLayer",
    "DegreeAccumulator",
    "EdgeDynamics",
    "LayerRecord",
    "NodeDynamics",
    "ReLUChain",
    "ReLUMLP",
    "Theorem1Report",
    "TrainingHistory",
    "capacitance_bound",
    "coupling_block",
    "coupling_matrix",
    "degree_accumulator",
    "edge_dynamics",
    "node_dynamics",
    "verify_theorem1",
]
