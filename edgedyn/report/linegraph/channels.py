"""What connects which channels: the layers of a network as the drawing of G_A needs them."""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from edgedyn._array import Array


class Ends(NamedTuple):
    """The channels each kernel entry of a layer connects, in the order of its nodes.

    Input and output channel; row and column in the kernel, shape (n_entries, 2), zeros where it has
    one tap; rows and columns of the kernel.
    """

    source: Array
    target: Array
    tap: Array
    taps: tuple[int, int]


def layer_geometries(graph: Any) -> list[Any]:
    """Return the geometries of the layers that own nodes, in the order of the graph's index."""
    found = []
    for operation in graph.network.operations:
        g = operation.geometry
        # A kernel with one axis is a batch norm's gamma, part of the paths unless nodes="all".
        if g is None or (len(g.kernel_shape) == 1 and graph.nodes == "kernels"):
            continue
        if g.kernel or g.bias:
            found.append(g)
    return found


def kernel_ends(geometry: Any) -> Ends:
    """Return the channels that each entry of the kernel of a layer's `Geometry` connects."""
    g = geometry
    shape = g.kernel_shape if g.kernel else (0,)
    place = np.indices(shape).reshape(len(shape), -1)
    tap: list[Array] = []
    if len(shape) == 1:
        source = target = place[0]
    else:
        *tap, first, second = place
        if g.channelwise:
            source, target = first, first * shape[-1] + second
        elif g.outputs_first:
            source, target = second, first
        else:
            group = second // (g.n_out // g.groups)
            source, target = first + group * (g.n_in // g.groups), second
    while len(tap) < 2:
        tap.insert(0, np.zeros_like(source))
    rows, columns = ([1, 1, *g.taps])[-2:]
    return Ends(source, target, np.column_stack(tap), (rows, columns))


def describe(geometry: Any) -> str:
    """Say in a few words what a layer is."""
    g = geometry
    between = f"{g.n_in} → {g.n_out}"
    if len(g.kernel_shape) == 1:
        return f"batch norm, {g.n_out} channels"
    if prod(g.taps) == 1 and not g.channelwise and g.groups == 1:
        return f"{'pointwise' if g.windows else 'dense'}, {between}"
    kind = "depthwise convolution" if g.channelwise else "convolution"
    if g.outputs_first:
        kind = "transposed convolution"
    grouped = f", {g.groups} groups" if g.groups > 1 and not g.channelwise else ""
    return f"{kind} {' × '.join(map(str, g.taps))}, {between} channels{grouped}"
