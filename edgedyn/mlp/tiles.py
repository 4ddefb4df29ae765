"""The direct strengths P over one shared neuron, from the records of the layers around it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgedyn.mlp.records import LayerRecord

Array = NDArray[Any]


def with_bias_row(activation: Array, bias_is_node: bool) -> Array:
    """Append the constant neuron, activation 1, where the layer's bias is a node."""
    if not bias_is_node:
        return activation
    return np.hstack([activation, np.ones((len(activation), 1), activation.dtype)])


def direct_tile(target: LayerRecord, source: LayerRecord, i: int, bias_is_node: bool) -> Array:
    """Sum the strengths over one shared neuron: rows are weights into it, columns those out of it.

    ``sum_s z_j D_i e_k`` over the samples in which neuron i is active; shape
    ``(n_{l-1} (+1 with a bias node), n_{l+1})``.
    """
    active = np.flatnonzero(target.mask[:, i])
    z = with_bias_row(target.activation[active], bias_is_node)
    return z.T @ (target.mask[active, i, None] * source.cotangent[active])
