"""Converters of what normalises a sample by itself, and of layer scale."""

from typing import Any

from keras import layers as kl
from keras import ops

from edgedyn import linegraph as lg
from edgedyn.nn.graph.mixing import Axes, Centre, Divide
from edgedyn.nn.graph.steps import Scale, Shift, read

Walker = Any  # edgedyn.nn.graph.extract's
LEAST_SQUARE = 1e-24  # of the norm that a unit norm divides by


def layer_norm(walker: Walker, layer: Any, given: list[int]) -> int:
    """Centre, divide, scale."""
    if getattr(layer, "rms_scaling", False):
        raise ValueError(f"layer {layer.name!r} has rms_scaling; use RMSNormalization.")
    axes = _axes(layer, len(walker.node.input_tensors[0].shape))
    k = walker.add(Centre, f"{layer.name}/centre", given, axes, structure=None)
    k = walker.add(Divide, f"{layer.name}/divide", [k], axes, layer.epsilon, False, structure=None)
    return affine(walker, layer.name, k, layer.gamma, layer.beta)


def rms_norm(walker: Walker, layer: Any, given: list[int]) -> int:
    """Divide and scale."""
    axes = _axes(layer, len(walker.node.input_tensors[0].shape))
    details = (axes, layer.epsilon, False)
    k = walker.add(Divide, f"{layer.name}/divide", given, *details, structure=None)
    return affine(walker, layer.name, k, layer.scale, None)


def group_norm(walker: Walker, layer: Any, given: list[int]) -> int:
    """Centre and divide over a group's positions and channels, scale channel by channel."""
    rank = len(walker.node.input_tensors[0].shape)
    if layer.axis not in (-1, rank - 1):
        raise ValueError(
            f"layer {layer.name!r} normalises axis {layer.axis}; only the last one is known."
        )
    groups, name = layer.groups, layer.name

    def apart(u: Any) -> Any:
        return ops.reshape(u, (-1, *u.shape[1:-1], groups, u.shape[-1] // groups))

    def together(u: Any) -> Any:
        return ops.reshape(u, (-1, *u.shape[1:-2], u.shape[-2] * u.shape[-1]))

    axes = (*range(1, rank - 1), rank)
    k = walker.linear(f"{name}/apart", given, apart, structure=None)
    k = walker.add(Centre, f"{name}/centre", [k], axes, structure=None)
    k = walker.add(Divide, f"{name}/divide", [k], axes, layer.epsilon, False, structure=None)
    k = walker.linear(f"{name}/together", [k], together, structure=None)
    return affine(walker, name, k, layer.gamma, layer.beta)


def unit_norm(walker: Walker, layer: Any, given: list[int]) -> int:
    """Divide by the norm."""
    axes = _axes(layer, len(walker.node.input_tensors[0].shape))
    return walker.add(Divide, layer.name, given, axes, LEAST_SQUARE, True, structure=None)


def layer_scale(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert ConvNeXt's factor of each channel."""
    return affine(walker, layer.name, given[0], layer.gamma, None)


def affine(walker: Walker, name: str, k: int, gamma: Any, beta: Any) -> int:
    """Add a factor and a shift: a map without parameters, or a scale layer where they are nodes."""
    if gamma is None and beta is None:
        return k
    if walker.all_nodes:
        structure = lg.Scale(gamma is not None, beta is not None)
        if gamma is None:
            return walker.add(Shift, name, [k], beta, structure=structure)
        details = (gamma, beta, beta is not None, gamma.shape[-1], gamma.shape[-1])
        return walker.add(Scale, name, [k], *details, structure=structure)

    def times(u: Any) -> Any:
        return u if gamma is None else u * read(gamma)

    def function(u: Any) -> Any:
        return times(u) if beta is None else times(u) + read(beta)

    def absolute(u: Any) -> Any:
        return u if gamma is None else u * ops.abs(read(gamma))

    return walker.linear(name, [k], function, times, absolute, structure=lg.Identity())


def _axes(layer: Any, rank: int) -> Axes:
    """Return the axes that a layer normalises, from the front; they must be the last ones."""
    given = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    axes = tuple(sorted(axis % rank for axis in given))
    if axes != tuple(range(rank - len(axes), rank)) or 0 in axes:
        raise ValueError(
            f"layer {layer.name!r} normalises axes {list(given)}; known are the last ones."
        )
    return axes


_KNOWN = {
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "GroupNormalization": group_norm,
    "UnitNormalization": unit_norm,
}
# Not every version of Keras has all.
CONVERTERS = [(getattr(kl, name), f) for name, f in _KNOWN.items() if hasattr(kl, name)]
