"""From a Keras model to a `Graph` of steps: the only file that touches Keras' internals."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count, islice
from typing import Any

import keras
from keras import layers as kl
from keras.src.backend.common import global_state
from keras.src.models.functional import Functional

from edgedyn import linegraph as lg
from edgedyn.nn.graph import attention, composite, converters, hub, norms
from edgedyn.nn.graph.graph import INPUT, Graph
from edgedyn.nn.graph.steps import Elementwise, Layer, Linear, Map, Shift, Step

CONVERTERS = (*converters.CONVERTERS, *norms.CONVERTERS, *attention.CONVERTERS)


def extract(model: keras.Model, *, nodes: str = "kernels") -> Graph:
    """Return the steps of a sequential or functional model, nested models unrolled.

    By `nodes` biases and batch norms are parameter-free (``kernels``), or biases are nodes and
    batch norms become scale layers (``all``). TypeError for anything but a built sequential or
    functional Keras model; ValueError for a layer that is not known, by name and type, or changed,
    channels first, a softmax before the end, several inputs or outputs.

    Examples
    --------
    >>> import keras
    >>> from edgedyn.nn.graph.extract import extract
    >>> inputs = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    >>> x = keras.layers.GlobalAveragePooling2D()(x)
    >>> graph = extract(keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x)))
    >>> [type(step).__name__ for step in graph.steps], graph.head
    (['Conv', 'Elementwise', 'Linear', 'Dense'], 'softmax')
    """
    walker = _Walker(nodes)
    inner = _functional(model)
    if len(inner.inputs) != 1 or len(inner.outputs) != 1:
        raise ValueError(
            f"model {model.name!r} has {len(inner.inputs)} inputs and {len(inner.outputs)} "
            "outputs; give one with a single input and a single output."
        )
    output = walker.walk(model, [INPUT])[0]
    steps, head = walker.steps, "softmax" if output in walker.softmax else ""
    logits = walker.softmax.get(output, output)
    if steps and steps[-1].output == output and converters.is_sigmoid(steps[-1]):
        logits, head = steps.pop().inputs[0], "sigmoid"
    shape = tuple(inner.inputs[0].shape[1:])
    known = walker.shapes, walker.downstream, model.variables, tuple(walker.traced)
    graph = Graph(tuple(steps), logits, head, shape, *known)
    if not graph.predecessors:
        raise ValueError(f"model {model.name!r} has no layer with a kernel.")
    return graph


@contextmanager
def without_values() -> Iterator[None]:
    """Let models be built whose parameters have shapes but no values, at once and without memory.

    For their structure only. Keras would fill in the values when the next model is built; it is
    made to forget that.
    """
    waiting = "uninitialized_variables"
    before = list(global_state.get_global_attribute(waiting, []))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(waiting, before)


def _functional(model: Any) -> Functional:
    """Return the functional model itself, or the one behind a sequential model."""
    if isinstance(model, keras.Sequential):
        if type(model).call is not keras.Sequential.call:
            raise TypeError(
                f"the sequential model {model.name!r} of type {type(model).__name__} has a call() "
                "of its own; it cannot be read."
            )
        if not model.built or getattr(model, "_functional", None) is None:
            raise TypeError(
                f"the sequential model {model.name!r} is not built; give it an Input layer."
            )
        return model._functional
    own = isinstance(model, Functional) and type(model).call is not Functional.call
    if own or not isinstance(model, Functional):
        with_call = " with a call() of its own" if own else ""
        raise TypeError(
            "only sequential and functional Keras models can be read; got "
            f"{type(model).__name__}{with_call}."
        )
    return model


# Layers that libraries have for themselves, by the beginning of their module's name.
_OF_LIBRARIES: dict[str, dict[str, Callable[..., int]]] = {
    "keras.src.applications.": {
        "CustomScaleLayer": converters.residual,
        "LayerScale": norms.layer_scale,
        "StochasticDepth": lambda walker, layer, given: given[0],  # in inference
    },
    "keras_hub.": hub.CONVERTERS,
}


def _of_library(operation: Any) -> Callable[..., int] | None:
    """Return the converter of a layer of a library's own; None for any other."""
    kind = type(operation)
    tables = (t for where, t in _OF_LIBRARIES.items() if kind.__module__.startswith(where))
    return next(tables, {}).get(kind.__name__)


def _check_channels(layer: Any) -> None:
    """Refuse layers with parameters whose channels come first."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise ValueError(f"layer {layer.name!r} is channels-first; give a channels-last model.")


class _Walker:
    """Collects steps; tensors get numbers as they appear."""

    def __init__(self, nodes: str) -> None:
        self.all_nodes = nodes == "all"
        self.steps: list[Step] = []
        self.softmax: dict[int, int] = {}
        self.shapes: dict[int, tuple[int | None, ...]] = {}
        self._numbers = count(INPUT + 1)
        self.downstream: set[int] = set()
        self.node: Any = None  # the one of the Keras graph that is being converted
        self.prefix = ""  # the layers that are being taken apart
        self.traced: list[str] = []

    def walk(self, model: Any, inputs: Sequence[int]) -> list[int]:
        """Unroll a model; return the numbers of its outputs."""
        return self.unrolled(_functional(model), inputs)

    def unrolled(self, inner: Any, inputs: Sequence[int]) -> list[int]:
        """Turn all nodes of a Keras graph into steps."""
        numbers = {id(t): k for t, k in zip(inner.inputs, inputs, strict=True)}
        for depth in sorted(inner._nodes_by_depth, reverse=True):
            for node in inner._nodes_by_depth[depth]:
                if node.is_input or not node.operation:
                    continue
                given = [numbers[id(t)] for t in node.input_tensors]
                for tensor, k in zip(node.outputs, self._operation(node, given), strict=True):
                    numbers[id(tensor)] = k
                    self.shapes[k] = tuple(tensor.shape[1:])
        return [numbers[id(t)] for t in inner.outputs]

    def _operation(self, node: Any, given: list[int]) -> list[int]:
        """Turn one node of the Keras graph into steps; return the numbers of its outputs."""
        operation = node.operation
        if isinstance(operation, Functional | keras.Sequential):
            return self.walk(operation, given)
        if any(k in self.softmax for k in given) and not converters.does_nothing(operation):
            raise ValueError(
                f"layer {operation.name!r} follows a softmax; only one at the very end is "
                "supported."
            )
        if getattr(operation, "weights", None):
            _check_channels(operation)
        self.node = node
        for kinds, convert in CONVERTERS:
            if isinstance(operation, kinds):
                converters.check_unchanged(operation, kinds)
                return [convert(self, operation, given)]
        if not isinstance(operation, kl.Layer) and converters.is_elementwise(operation):
            name = operation.name
            return [self.add(Elementwise, name, given, operation, structure=lg.Identity())]
        if (of_library := _of_library(operation)) is not None:
            self.traced.append(operation.name)  # other versions of it may do otherwise
            # What else it returns, such as scores of attention, has no number that a step gives.
            return [
                of_library(self, operation, given),
                *islice(self._numbers, len(node.outputs) - 1),
            ]
        if not isinstance(operation, kl.Layer) and self.downstream.intersection(given):
            for attempt in (converters.arithmetic, composite.rearrangement):
                if (number := attempt(self, node, given)) is not None:
                    return [number]
        return self._made_of_others(node, given) or self._before_the_first_layer(node, given)

    def _made_of_others(self, node: Any, given: list[int]) -> list[int] | None:
        """Take a layer apart that has parameters, or follows some; None where that cannot be."""
        layer = node.operation
        trained = any(w.trainable for w in getattr(layer, "weights", []))
        if not isinstance(layer, kl.Layer) or isinstance(layer, keras.Model):
            return None
        if not (trained or self.downstream.intersection(given)):
            return None
        inner = composite.traced(layer, node)
        if inner is None:
            return None
        self.traced.append(layer.name)
        before, self.prefix = self.prefix, f"{self.prefix}{layer.name}/"
        try:
            found = self.unrolled(inner, given)
        except ValueError as error:
            raise ValueError(
                f"layer {layer.name!r} of type {type(layer).__name__} is not known"
                f"{converters.why_not(layer)}; taken apart, {error}"
            ) from error
        self.prefix = before
        return found

    def _before_the_first_layer(self, node: Any, given: list[int]) -> list[int]:
        """Accept any operation on what no parameter influences: no derivative passes there."""
        operation = node.operation
        given_as = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
        own = [v for v in given_as if isinstance(v, keras.Variable)]
        trained = [w for w in (*getattr(operation, "weights", []), *own) if w.trainable]
        if trained or self.downstream.intersection(given) or len(node.outputs) != 1:
            raise ValueError(
                f"layer {operation.name!r} of type {type(operation).__name__} is not known to "
                f"the line graph{converters.why_not(operation)}; known are: {converters.KNOWN}."
            )

        run = converters.in_precision(operation)
        # Layers that are random in training take themselves to be trained unless told otherwise.
        takes_it = getattr(operation, "_call_has_training_arg", False)
        at_inference = {"training": False} if takes_it else {}

        def call(*values: Any) -> Any:
            table = {id(t): v for t, v in zip(node.input_tensors, values, strict=True)}
            args, kwargs = node.arguments.fill_in(table)
            return run(*args, **(kwargs | at_inference))

        structure = lg.Opaque(tuple(node.outputs[0].shape[1:]))
        return [self.add(Map, operation.name, given, call, structure=structure)]

    def add(
        self, kind: type[Step], name: str, given: Sequence[int], *details: Any, structure: Any
    ) -> int:
        """Append a step; return the number of its output."""
        number = next(self._numbers)
        name = f"{self.prefix}{name}"
        self.steps.append(kind(name, tuple(given), number, *details, structure=structure))
        if issubclass(kind, Layer | Shift) or self.downstream.intersection(given):
            self.downstream.add(number)
        return number

    def linear(
        self, name: str, given: Sequence[int], *functions: Callable[..., Any], structure: Any
    ) -> int:
        """Append a linear map, its linear part, that of absolute coefficients; else the same."""
        functions += functions[-1:] * (3 - len(functions))
        return self.add(Linear, name, given, *functions, structure=structure)

    def activation(self, name: str, k: int, function: Any) -> int:
        """Append an activation function; a softmax is kept apart."""
        if isinstance(function, converters.ACTIVATION_LAYERS):
            converters.check_unchanged(function, converters.ACTIVATION_LAYERS)
            function = converters.in_precision(function)
            return self.add(Elementwise, name, [k], function, structure=lg.Identity())
        word = getattr(function, "__name__", type(function).__name__)
        if function is None or word == "linear":
            return k
        if word == "softmax":
            number = next(self._numbers)
            self.softmax[number] = k
            return number
        if word not in converters.ACTIVATIONS or not converters.is_library(function):
            raise ValueError(
                f"the activation {word!r} of layer {name!r} is not elementwise or not Keras' own; "
                f"known are: {', '.join(sorted(converters.ACTIVATIONS))}, and softmax at the end."
            )
        return self.add(Elementwise, name, [k], function, structure=lg.Identity())
