"""Automatic differentiation by TensorFlow's tapes and accumulators, compiled as graphs."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import tensorflow as tf

Tensor = Any


def compiled(function: Callable[..., Any], state: Sequence[keras.Variable]) -> Callable[..., Any]:
    """Return the function as one graph, which leaves out what no result needs.

    Traced once for each set of shapes; through concrete functions, since TensorFlow takes the
    tracings of many models for a mistake and warns. `state`, the variables it reads, is for
    frameworks that compile pure functions.
    """
    traced: dict[Any, Any] = {}

    def call(*arguments: Any) -> Any:
        key = tuple((tuple(t.shape), t.dtype) for t in tf.nest.flatten(arguments))
        if key not in traced:
            whole = tf.function(function, autograph=False)
            traced[key] = whole.get_concrete_function(*arguments)
        return traced[key](*arguments)

    return call


def pull_back(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], cotangent: Tensor
) -> list[Tensor]:
    """Return ``J^T q`` for each input, J the Jacobian of `function` at `inputs`."""
    inputs = list(map(tf.identity, inputs))  # one tensor may be given twice
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(inputs)
        output = function(*inputs)
    return tape.gradient(output, inputs, cotangent, tf.UnconnectedGradients.ZERO)


def push_forward(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]
) -> Tensor:
    """Return ``J t``, J the Jacobian of `function` at `inputs`."""
    inputs = list(map(tf.identity, inputs))
    with tf.autodiff.ForwardAccumulator(inputs, list(tangents)) as accumulator:
        output = function(*inputs)
    return accumulator.jvp(output, tf.UnconnectedGradients.ZERO)


def hessian_product(
    function: Callable[[list[Tensor]], Tensor], inputs: list[Tensor], tangents: list[Tensor]
) -> list[Tensor]:
    """Return ``H t`` for the second derivative H of a scalar function, forward over reverse."""
    with tf.autodiff.ForwardAccumulator(inputs, tangents) as accumulator:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs)
            value = function(inputs)
        gradient = tape.gradient(value, inputs, unconnected_gradients="zero")
    return [accumulator.jvp(g, tf.UnconnectedGradients.ZERO) for g in gradient]


def added(totals: list[Tensor], parts: list[Tensor]) -> list[Tensor]:
    """Return sums in double precision, on the device where the parts are."""
    pairs = zip(totals, parts, strict=True)
    return [tf.cast(t, "float64") + tf.cast(p, "float64") for t, p in pairs]


def precision(dtype: str) -> str:
    """Return what numbers of this type are computed in."""
    return dtype


def device() -> str:
    """Return the name of what computes: a GPU's, or "CPU"."""
    found = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(found[0])["device_name"] if found else "CPU"


def in_doubles() -> AbstractContextManager[None]:
    """Compute uncompiled in double precision: nothing is needed."""
    return nullcontext()


class Tally:
    """Sums of so many numbers, added up from within a compiled step of training."""

    def __init__(self, n: int) -> None:
        with keras.device("cpu"):
            self._sums = [keras.Variable(0.0, dtype="float64", trainable=False) for _ in range(n)]

    def add(self, *numbers: Tensor) -> None:
        """Add to each sum."""
        for total, number in zip(self._sums, numbers, strict=True):
            total.assign_add(tf.cast(number, "float64"))

    def take(self) -> list[float]:
        """Return the sums and begin anew."""
        found = [float(total.value) for total in self._sums]
        for total in self._sums:
            total.assign(0.0)
        return found
