"""Layers made of others, taken apart by calling them on symbols; and keras.ops that rearrange."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops
from keras.src.ops.function import Function

from edgedyn.nn.graph import converters
from edgedyn.nn.graph.steps import Shift, read

Walker = Any  # edgedyn.nn.graph.extract's


def traced(layer: Any, node: Any) -> Function | None:
    """Return what a layer's ``call`` does with one tensor, as a graph of layers and operations.

    None where it cannot be called on a symbol; what is made of it, `Graph.check` compares.
    """
    if len(node.input_tensors) != 1:
        return None
    (given,) = node.input_tensors
    symbol = keras.Input(batch_shape=given.shape, dtype=given.dtype)
    args, kwargs = node.arguments.fill_in({id(given): symbol})
    if getattr(layer, "_call_has_training_arg", False):
        kwargs["training"] = False
    try:
        output = layer.call(*args, **kwargs)
        return Function(symbol, output) if isinstance(output, keras.KerasTensor) else None
    except Exception:  # whatever a layer of someone else's raises on a symbol
        return None


def rearrangement(walker: Walker, node: Any, given: list[int]) -> int | None:
    """Add what keras.ops moves, picks, sums or averages within a sample; None for the rest."""
    operation = node.operation
    inner = _WITHIN.get(type(operation).__name__)
    if inner is None or len(given) != 1 or not type(operation).__module__.startswith("keras."):
        return None
    if not inner(operation, node):
        return None

    def function(u: Any) -> Any:
        args, kwargs = node.arguments.fill_in({id(node.input_tensors[0]): u})
        return operation.call(*args, **kwargs)

    return walker.linear(operation.name, given, function, structure=None)


def _axes(operation: Any, node: Any) -> bool:
    """Tell whether an operation along axes leaves the samples' alone."""
    rank = len(node.input_tensors[0].shape)
    given = operation.axis
    axes = given if isinstance(given, list | tuple) else [given]
    return given is not None and all(axis % rank != 0 for axis in axes)


def _picked(operation: Any, node: Any) -> bool:
    """Tell whether all samples are picked, by numbers and slices."""
    key = node.arguments.args[1] if len(node.arguments.args) > 1 else node.arguments.kwargs["key"]
    key = key if isinstance(key, tuple) else (key,)
    plain = all(isinstance(part, int | slice) or part is Ellipsis for part in key)
    return plain and key[0] in (slice(None), Ellipsis) and (key[0] is not Ellipsis or len(key) == 1)


def _transposed(operation: Any, node: Any) -> bool:
    """Tell whether the samples' axis stays in front."""
    return operation.axes is not None and operation.axes[0] == 0


_WITHIN: dict[str, Callable[[Any, Any], bool]] = {
    "GetItem": _picked,
    "Transpose": _transposed,
    "Mean": _axes,
    "Sum": _axes,
    "ExpandDims": lambda operation, node: operation.axis > 0,
    "Squeeze": _axes,
}


# What KerasHub's vision transformers begin with ---------------------------------------------------


def patches(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert patches, the class token before them, and the embedding of positions."""
    name, width = layer.name, layer.hidden_dim
    k = converters.convolution(walker, layer.patch_embedding, given)

    def flat(u: Any) -> Any:
        return ops.reshape(u, (-1, layer.num_patches, width))

    def nothing(u: Any) -> Any:
        return 0 * u[:, :1]

    def together(u: Any, v: Any) -> Any:
        return ops.concatenate([u, v], axis=1)

    k = walker.linear(f"{name}/patches", [k], flat, structure=None)
    if layer.use_class_token:
        token = walker.linear(f"{name}/nothing", [k], nothing, structure=None)
        token = constant(walker, f"{name}/class_token", token, layer.class_token)
        k = walker.linear(f"{name}/together", [token, k], together, structure=None)
    return constant(walker, f"{name}/positions", k, layer.position_embedding.embeddings)


def constant(walker: Walker, name: str, k: int, value: Any) -> int:
    """Add a learned constant: where biases are nodes, its entries are some of that kind."""
    if walker.all_nodes:
        return walker.add(Shift, name, [k], value, structure=None)

    def function(u: Any) -> Any:
        return u + read(value)

    return walker.linear(name, [k], function, lambda u: u, structure=None)
