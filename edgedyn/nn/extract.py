"""From a Keras model to a `Graph` of steps: the only file that touches Keras' internals."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers as kl
from keras import ops
from keras.src.models.functional import Functional

from edgedyn.nn.graph import INPUT, Graph
from edgedyn.nn.steps import (
    ChannelAffine,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Elementwise,
    Layer,
    Linear,
    Map,
    Product,
    Scale,
    Shift,
    Step,
    read,
)

# Elementwise activations, by the name Keras gives their functions or operations.
_ACTIVATIONS = frozenset(
    "relu relu6 leaky_relu elu selu celu gelu sigmoid hard_sigmoid silu swish hard_silu "
    "hard_swish tanh hard_tanh tanh_shrink softplus softsign exponential mish log_sigmoid".split()
)
_ACTIVATION_LAYERS = (kl.ReLU, kl.LeakyReLU, kl.ELU)
_IDENTITIES = (
    kl.Dropout,
    kl.SpatialDropout1D,
    kl.SpatialDropout2D,
    kl.GaussianDropout,
    kl.GaussianNoise,
    kl.AlphaDropout,
    kl.ActivityRegularization,
    kl.Identity,
)
_LINEAR = (
    kl.AveragePooling2D,
    kl.GlobalAveragePooling2D,
    kl.ZeroPadding2D,
    kl.Cropping2D,
    kl.UpSampling2D,
    kl.Flatten,
    kl.Reshape,
    kl.Permute,
    kl.Add,
    kl.Average,
    kl.Concatenate,
)
_SELECTIONS = (kl.MaxPooling2D, kl.GlobalMaxPooling2D, kl.Maximum, kl.Minimum)
KNOWN = (
    "dense, convolution (also depthwise and separable), batch normalisation, elementwise "
    "activations, pooling, padding, cropping, flatten, reshape, dropout, add, average, "
    "concatenate, subtract, multiply, maximum, minimum and rescaling layers"
)


def extract(model: keras.Model, *, nodes: str = "kernels") -> Graph:
    """Return the steps of a sequential or functional model, nested models unrolled.

    Parameters
    ----------
    model : keras.Model
        One input, one output, channels last.
    nodes : {"kernels", "all"}
        ``kernels``: biases and batch norms are parameter-free; ``all``: biases are nodes and
        batch norms become scale layers.

    Returns
    -------
    Graph

    Raises
    ------
    TypeError
        For anything but a built sequential or functional Keras model.
    ValueError
        For a layer that is not known, by name and type, a layer used twice, mixed precision, a
        softmax before the end, several inputs or outputs.

    Examples
    --------
    >>> import keras
    >>> from edgedyn.nn.extract import extract
    >>> inputs = keras.Input((8, 8, 3))
    >>> x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    >>> x = keras.layers.GlobalAveragePooling2D()(x)
    >>> graph = extract(keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(x)))
    >>> [type(step).__name__ for step in graph.steps], graph.softmax
    (['Conv2D', 'Elementwise', 'Linear', 'Dense'], True)
    """
    walker = _Walker(nodes)
    inner = _functional(model)
    if len(inner.inputs) != 1 or len(inner.outputs) != 1:
        raise ValueError(
            f"model {model.name!r} has {len(inner.inputs)} inputs and {len(inner.outputs)} "
            "outputs; give one with a single input and a single output."
        )
    output = walker.walk(model, [INPUT])[0]
    softmax = output in walker.softmax
    logits = walker.softmax.get(output, output)
    graph = Graph(tuple(walker.steps), logits, softmax)
    if not graph.predecessors:
        raise ValueError(f"model {model.name!r} has no layer with a kernel.")
    return graph


def _functional(model: Any) -> Functional:
    """Return the functional model itself, or the one behind a sequential model."""
    if isinstance(model, keras.Sequential):
        if not model.built or getattr(model, "_functional", None) is None:
            raise TypeError(
                f"the sequential model {model.name!r} is not built; give it an Input layer."
            )
        return model._functional
    if not isinstance(model, Functional):
        raise TypeError(
            f"only sequential and functional Keras models can be read; got {type(model).__name__}."
        )
    return model


class _Walker:
    """Collects steps; tensors get numbers as they appear."""

    def __init__(self, nodes: str) -> None:
        self.all_nodes = nodes == "all"
        self.steps: list[Step] = []
        self.softmax: dict[int, int] = {}
        self._next = INPUT + 1
        self._owners: set[int] = set()
        self._dependent: set[int] = set()

    def walk(self, model: Any, inputs: Sequence[int]) -> list[int]:
        """Unroll a model; return the numbers of its outputs."""
        inner = _functional(model)
        numbers = {id(t): k for t, k in zip(inner.inputs, inputs, strict=True)}
        for depth in sorted(inner._nodes_by_depth, reverse=True):
            for node in inner._nodes_by_depth[depth]:
                if node.is_input or not node.operation:
                    continue
                given = [numbers[id(t)] for t in node.input_tensors]
                for tensor, k in zip(node.outputs, self._operation(node, given), strict=True):
                    numbers[id(tensor)] = k
        return [numbers[id(t)] for t in inner.outputs]

    def _operation(self, node: Any, given: list[int]) -> list[int]:
        """Turn one node of the Keras graph into steps; return the numbers of its outputs."""
        operation = node.operation
        if isinstance(operation, Functional | keras.Sequential):
            return self.walk(operation, given)
        for k in given:
            if k in self.softmax:
                raise ValueError(
                    f"layer {operation.name!r} follows a softmax; only one at the very end is "
                    "supported."
                )
        if getattr(operation, "weights", None):
            self._claim(operation)
        for kinds, convert in _CONVERTERS:
            if isinstance(operation, kinds):
                return [convert(self, operation, given)]
        if not isinstance(operation, kl.Layer) and _is_elementwise(operation):
            return [self.add(Elementwise, operation.name, given, operation)]
        if type(operation).__name__ == "CustomScaleLayer":  # InceptionResNetV2's residual weight
            return [_residual(self, operation, given)]
        if not isinstance(operation, kl.Layer) and self._dependent.intersection(given):
            if (number := _arithmetic(self, node, given)) is not None:
                return [number]
        return self._before_the_first_layer(node, given)

    def _before_the_first_layer(self, node: Any, given: list[int]) -> list[int]:
        """Accept any operation on what no parameter influences: no derivative passes there."""
        operation = node.operation
        trained = [w for w in getattr(operation, "weights", []) if w.trainable]
        if trained or self._dependent.intersection(given) or len(node.outputs) != 1:
            raise ValueError(
                f"layer {operation.name!r} of type {type(operation).__name__} is not known to "
                f"the line graph; known are: {KNOWN}."
            )

        def call(*values: Any) -> Any:
            table = {id(t): v for t, v in zip(node.input_tensors, values, strict=True)}
            args, kwargs = node.arguments.fill_in(table)
            return operation(*args, **kwargs)

        return [self.add(Map, operation.name, given, call)]

    def _claim(self, layer: Any) -> None:
        """Refuse layers whose parameters this model uses twice, or in mixed precision."""
        if id(layer) in self._owners:
            raise ValueError(f"layer {layer.name!r} is used twice; shared layers are not known.")
        self._owners.add(id(layer))
        if layer.compute_dtype != layer.variable_dtype:
            raise ValueError(
                f"layer {layer.name!r} computes in {layer.compute_dtype} on {layer.variable_dtype} "
                "variables; build the model without mixed precision."
            )
        if getattr(layer, "data_format", "channels_last") != "channels_last":
            raise ValueError(f"layer {layer.name!r} is channels-first; give a channels-last model.")

    def add(self, kind: type[Step], name: str, given: Sequence[int], *details: Any) -> int:
        """Append a step; return the number of its output."""
        number = self._next
        self._next += 1
        self.steps.append(kind(name, tuple(given), number, *details))
        if issubclass(kind, Layer | Shift) or self._dependent.intersection(given):
            self._dependent.add(number)
        return number

    def linear(
        self,
        name: str,
        given: Sequence[int],
        function: Callable[..., Any],
        linear: Callable[..., Any] | None = None,
        absolute: Callable[..., Any] | None = None,
    ) -> int:
        """Append a linear map; by default its own linear part without negative coefficients."""
        linear = linear or function
        return self.add(Linear, name, given, function, linear, absolute or linear)

    def activation(self, name: str, k: int, function: Any) -> int:
        """Append an activation function; a softmax is kept apart."""
        word = getattr(function, "__name__", type(function).__name__)
        if function is None or word == "linear":
            return k
        if word == "softmax":
            number = self._next
            self._next += 1
            self.softmax[number] = k
            return number
        if word not in _ACTIVATIONS:
            raise ValueError(
                f"the activation {word!r} of layer {name!r} is not elementwise or not known; "
                f"known are: {', '.join(sorted(_ACTIVATIONS))}, and softmax at the end."
            )
        return self.add(Elementwise, name, [k], function)


# One converter a type of layer ------------------------------------------------------------------


def _dense(walker: _Walker, layer: Any, given: list[int]) -> int:
    bias = layer.bias if layer.use_bias else None
    k = walker.add(Dense, layer.name, given, layer.kernel, bias, walker.all_nodes)
    return walker.activation(layer.name, k, layer.activation)


def _convolution(walker: _Walker, layer: Any, given: list[int]) -> int:
    _no_causal(layer)
    channels = layer.kernel.shape[2] * layer.groups
    bias = layer.bias if layer.use_bias else None
    owned = (layer.kernel, bias, walker.all_nodes)
    window = (layer.strides, layer.padding, layer.dilation_rate, channels)
    k = walker.add(Conv2D, layer.name, given, *owned, *window)
    return walker.activation(layer.name, k, layer.activation)


def _depthwise(walker: _Walker, layer: Any, given: list[int]) -> int:
    bias = layer.bias if layer.use_bias else None
    owned = (layer.kernel, bias, walker.all_nodes)
    window = (layer.strides, layer.padding, layer.dilation_rate)
    k = walker.add(DepthwiseConv2D, layer.name, given, *owned, *window)
    return walker.activation(layer.name, k, layer.activation)


def _separable(walker: _Walker, layer: Any, given: list[int]) -> int:
    """Add a depthwise and a pointwise layer; the bias is the latter's."""
    window = (layer.strides, layer.padding, layer.dilation_rate)
    depthwise = (layer.depthwise_kernel, None, walker.all_nodes)
    k = walker.add(DepthwiseConv2D, f"{layer.name}/depthwise", given, *depthwise, *window)
    pointwise = layer.pointwise_kernel
    bias = layer.bias if layer.use_bias else None
    owned = (pointwise, bias, walker.all_nodes, (1, 1), "valid", (1, 1), pointwise.shape[2])
    k = walker.add(Conv2D, f"{layer.name}/pointwise", [k], *owned)
    return walker.activation(layer.name, k, layer.activation)


def _batch_norm(walker: _Walker, layer: Any, given: list[int]) -> int:
    """Inference mode: one affine map, or a parameter-free one and a scale layer."""
    axis = layer.axis[0] if isinstance(layer.axis, list | tuple) else layer.axis
    if axis not in (-1, layer.input_spec.ndim - 1):
        raise ValueError(
            f"layer {layer.name!r} normalises axis {axis}; only the last one is known."
        )
    gamma = layer.gamma if layer.scale else None
    beta = layer.beta if layer.center else None

    def factor() -> Any:
        return 1.0 / ops.sqrt(read(layer.moving_variance) + layer.epsilon)

    def mean() -> Any:
        return read(layer.moving_mean)

    if walker.all_nodes:
        k = walker.add(
            ChannelAffine,
            layer.name,
            given,
            lambda u: (u - mean()) * factor(),
            lambda u: u * factor(),
            lambda u: u * factor(),
        )
        if gamma is not None:
            return walker.add(Scale, layer.name, [k], gamma, beta, True)
        return k if beta is None else walker.add(Shift, layer.name, [k], beta)

    def scale() -> Any:
        return factor() if gamma is None else factor() * read(gamma)

    def function(u: Any) -> Any:
        out = (u - mean()) * scale()
        return out if beta is None else out + read(beta)

    return walker.add(
        ChannelAffine,
        layer.name,
        given,
        function,
        lambda u: u * scale(),
        lambda u: u * ops.abs(scale()),
    )


def _activation_layer(walker: _Walker, layer: Any, given: list[int]) -> int:
    return walker.activation(layer.name, given[0], layer.activation)


def _softmax_layer(walker: _Walker, layer: Any, given: list[int]) -> int:
    return walker.activation(layer.name, given[0], keras.activations.softmax)


def _slope_layer(walker: _Walker, layer: Any, given: list[int]) -> int:
    return walker.add(Elementwise, layer.name, given, layer)


def _identity(walker: _Walker, layer: Any, given: list[int]) -> int:
    return given[0]


def _linear(walker: _Walker, layer: Any, given: list[int]) -> int:
    if isinstance(layer, kl.UpSampling2D) and layer.interpolation not in ("nearest", "bilinear"):
        raise ValueError(
            f"layer {layer.name!r} interpolates by {layer.interpolation!r}; known are nearest "
            "and bilinear."
        )
    return walker.linear(layer.name, given, _called(layer, given))


def _selection(walker: _Walker, layer: Any, given: list[int]) -> int:
    function = _called(layer, given)
    if isinstance(layer, kl.MaxPooling2D) and layer.padding == "same" and max(layer.strides) == 1:
        function = _padded_maxima(layer)
    return walker.add(Map, layer.name, given, function)


def _padded_maxima(layer: Any) -> Callable[..., Any]:
    """Return a pooling that does not keep the shape, as the same after explicit padding.

    TensorFlow 2.21 may compute the second derivative of a shape-keeping maximum on the CPU in the
    place of its own argument: the results then differ from call to call.
    """
    margins = [(0, 0), *(((k - 1) // 2, k // 2) for k in layer.pool_size), (0, 0)]

    def function(u: Any) -> Any:
        lowest = float(np.finfo(keras.backend.standardize_dtype(u.dtype)).min)
        wide = ops.pad(u, margins, constant_values=lowest)
        return ops.max_pool(wide, layer.pool_size, 1, "valid", "channels_last")

    return function


def _product(walker: _Walker, layer: Any, given: list[int]) -> int:
    return walker.add(Product, layer.name, given, _called(layer, given))


def _subtract(walker: _Walker, layer: Any, given: list[int]) -> int:
    return walker.linear(layer.name, given, ops.subtract, ops.subtract, ops.add)


def _rescaling(walker: _Walker, layer: Any, given: list[int]) -> int:
    def scaled(u: Any) -> Any:
        return u * ops.cast(ops.convert_to_tensor(layer.scale), u.dtype)

    def sizes(u: Any) -> Any:
        return u * ops.abs(ops.cast(ops.convert_to_tensor(layer.scale), u.dtype))

    return walker.linear(layer.name, given, layer, scaled, sizes)


def _residual(walker: _Walker, layer: Any, given: list[int]) -> int:
    scale = float(layer.scale)
    return walker.linear(
        layer.name,
        given,
        lambda u, v: u + scale * v,
        lambda u, v: u + scale * v,
        lambda u, v: u + abs(scale) * v,
    )


def _called(layer: Any, given: list[int]) -> Callable[..., Any]:
    """Call a layer with its inputs the way it expects them: alone or as a list."""
    if isinstance(
        layer, kl.Add | kl.Average | kl.Concatenate | kl.Multiply | kl.Maximum | kl.Minimum
    ):
        return lambda *values: layer(list(values))
    return lambda value: layer(value)


def _no_causal(layer: Any) -> None:
    if layer.padding not in ("valid", "same"):
        raise ValueError(f"layer {layer.name!r} pads {layer.padding!r}; known are valid and same.")


def _arithmetic(walker: _Walker, node: Any, given: list[int]) -> int | None:
    """Add a sum or product by keras.ops: of two tensors, or of one and a constant."""
    name, word = node.operation.name, type(node.operation).__name__
    if word not in ("Add", "Multiply") or len(node.arguments.args) != 2:
        return None
    if len(given) == 2:
        if word == "Multiply":
            return walker.add(Product, name, given, ops.multiply)
        return walker.linear(name, given, ops.add)
    tensors = {id(t) for t in node.input_tensors}
    constant = next(a for a in node.arguments.args if id(a) not in tensors)
    if np.ndim(constant) != 0:
        return None
    c = float(constant)
    if word == "Add":
        return walker.linear(name, given, lambda u: u + c, lambda u: u)
    return walker.linear(name, given, lambda u: c * u, lambda u: c * u, lambda u: abs(c) * u)


def _is_elementwise(operation: Any) -> bool:
    """Tell whether an operation of keras.ops is one of the known activations."""
    word = type(operation).__name__.lower()
    return word in {name.replace("_", "") for name in _ACTIVATIONS}


# Subclasses before the types they derive from.
_CONVERTERS: tuple[tuple[Any, Callable[[_Walker, Any, list[int]], int]], ...] = (
    (kl.Dense, _dense),
    (kl.SeparableConv2D, _separable),
    (kl.DepthwiseConv2D, _depthwise),
    (kl.Conv2D, _convolution),
    (kl.BatchNormalization, _batch_norm),
    (kl.Activation, _activation_layer),
    (kl.Softmax, _softmax_layer),
    (_ACTIVATION_LAYERS, _slope_layer),
    (_IDENTITIES, _identity),
    (_LINEAR, _linear),
    (_SELECTIONS, _selection),
    (kl.Multiply, _product),
    (kl.Subtract, _subtract),
    (kl.Rescaling, _rescaling),
)
