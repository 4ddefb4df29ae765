"""Layers made of others, taken apart by calling them on symbols; and keras.ops that rearrange."""

from collections.abc import Callable
from math import prod
from typing import Any

import keras
from keras import ops
from keras.src.ops.function import Function
from keras.src.ops.numpy import Reshape

Walker = Any  # edgedyn.nn.graph.extract's


def traced(layer: Any, node: Any) -> Function | None:
    """Return what a layer's ``call`` makes of tensors, as a graph of layers and operations.

    None where it cannot be called on symbols; what is made of it, `Graph.check` compares.
    """
    given = node.input_tensors
    symbols = [keras.Input(batch_shape=t.shape, dtype=t.dtype) for t in given]
    table = {id(t): symbol for t, symbol in zip(given, symbols, strict=True)}
    args, kwargs = node.arguments.fill_in(table)
    if getattr(layer, "_call_has_training_arg", False):
        kwargs["training"] = False
    try:
        output = layer.call(*args, **kwargs)
        return Function(symbols, output) if isinstance(output, keras.KerasTensor) else None
    except Exception:  # whatever a layer of someone else's raises on a symbol
        return None


def rearrangement(walker: Walker, node: Any, given: list[int]) -> int | None:
    """Add what keras.ops moves, joins, sums or averages within a sample; None for the rest."""
    operation = node.operation
    inner = _WITHIN.get(type(operation).__name__)
    if inner is None or not type(operation).__module__.startswith("keras."):
        return None
    if not inner(operation, node):
        return None

    def function(*values: Any) -> Any:
        if isinstance(operation, Reshape):  # it was given a symbol for the number of samples
            return ops.reshape(values[0], (-1, *_shape(node)))
        table = {id(t): v for t, v in zip(node.input_tensors, values, strict=True)}
        args, kwargs = node.arguments.fill_in(table)
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


def _reshaped(operation: Any, node: Any) -> bool:
    """Tell whether each sample keeps its entries."""
    before = node.input_tensors[0].shape[1:]
    return None not in before and prod(before) == prod(_shape(node))


def _shape(node: Any) -> tuple[int, ...]:
    """Return what a reshape makes of a sample; one side may be left to be found."""
    before, after = node.input_tensors[0].shape[1:], node.outputs[0].shape[1:]
    known = prod(n for n in after if n is not None) or 1
    return tuple(prod(before) // known if n is None else n for n in after)


def _joined(operation: Any, node: Any) -> bool:
    """Tell whether what is joined are tensors of the network, along another axis than samples'."""
    arguments = node.arguments
    given = keras.tree.flatten(arguments.args[0] if arguments.args else arguments.kwargs["xs"])
    all_tensors = all(isinstance(part, keras.KerasTensor) for part in given)
    return all_tensors and operation.axis % len(node.outputs[0].shape) != 0


def _padded(operation: Any, node: Any) -> bool:
    """Tell whether zeros are put around, none of them beside samples."""
    constant = node.arguments.kwargs.get("constant_values")
    width = operation.pad_width
    return operation.mode == "constant" and constant in (None, 0) and tuple(width[0]) == (0, 0)


_WITHIN: dict[str, Callable[[Any, Any], bool]] = {
    "GetItem": _picked,
    "Transpose": _transposed,
    "Mean": _axes,
    "Sum": _axes,
    "ExpandDims": lambda operation, node: operation.axis > 0,
    "Squeeze": _axes,
    "Roll": _axes,
    "Reshape": _reshaped,
    "Concatenate": _joined,
    "Pad": _padded,
}
