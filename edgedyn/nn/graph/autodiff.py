"""Automatic differentiation: the only file that uses TensorFlow's own API for it.

Another Keras backend needs these few functions in its own words and nothing else.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

if keras.backend.backend() != "tensorflow":
    raise ImportError(
        "edgedyn.nn differentiates with TensorFlow; got Keras backend "
        f"{keras.backend.backend()!r}: set KERAS_BACKEND=tensorflow."
    )

Tensor = Any


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function as one graph, which leaves out what no result needs.

    Traced once for each set of shapes; through concrete functions, since TensorFlow takes the
    tracings of many models for a mistake and warns.
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
