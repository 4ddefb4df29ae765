"""From a graph of dense layers, batch norms and ReLUs to the closed forms' `ReLUChain`."""

from typing import Any

import keras
import numpy as np
from keras import ops

from edgedyn.mlp import Affine, ChainLayer, ReLUChain
from edgedyn.nn.graph.graph import INPUT, Graph
from edgedyn.nn.graph.steps import (
    ChannelAffine,
    Dense,
    Elementwise,
    Layer,
    Scale,
    Shift,
    Step,
    read,
)


def to_chain(graph: Graph, loss: str) -> ReLUChain:
    """Return the graph's closed form at its present parameters (copied).

    ValueError for a graph that branches, or a step the closed form does not know, by name.
    """
    if any(len(uses) > 1 for uses in graph.uses.values()):
        raise ValueError("the probe uses a layer more than once; the closed form takes each once.")
    layers: list[ChainLayer] = []
    at = INPUT
    for step in graph.steps:
        if step.inputs != (at,):
            raise ValueError(f"the probe branches at layer {step.name!r}; it must be a chain.")
        at = step.output
        if isinstance(step, Dense | Scale):
            kernel = ops.convert_to_numpy(read(step.kernel))
            bias = None if step.bias is None else ops.convert_to_numpy(read(step.bias))
            weight = np.ascontiguousarray(kernel.T) if isinstance(step, Dense) else kernel
            layers.append(ChainLayer(weight, bias))
            continue
        if isinstance(step, Layer | Shift) or not layers:
            raise ValueError(f"the closed form does not know layer {step.name!r} in a probe.")
        last = layers.pop()
        part = _segment_part(step, last.weight.shape[0], last.weight.dtype)
        layers.append(ChainLayer(last.weight, last.bias, (*last.segment, part)))
    return ReLUChain(layers, loss=loss)


def _segment_part(step: Step, width: int, dtype: Any) -> Affine | str:
    """Return the affine map or the ReLU that a parameter-free step is."""
    if isinstance(step, ChannelAffine):
        shift = step.function(ops.zeros((1, width), dtype=str(dtype)))
        scale = step.linear(ops.ones((1, width), dtype=str(dtype)))
        return Affine(ops.convert_to_numpy(scale)[0], ops.convert_to_numpy(shift)[0])
    if isinstance(step, Elementwise) and _is_relu(step.function):
        return "relu"
    raise ValueError(f"the closed form knows batch norms and ReLUs; not layer {step.name!r}.")


def _is_relu(f: Any) -> bool:
    """Tell a plain ReLU from a clipped or leaky one."""
    if isinstance(f, keras.layers.ReLU):
        return f.max_value is None and not float(f.negative_slope) and not float(f.threshold)
    return f is keras.activations.relu
