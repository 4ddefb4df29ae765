"""One converter for each type of Keras layer: its steps, and what they are to the line graph."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as kl
from keras import ops

from edgedyn import linegraph as lg
from edgedyn.nn.graph.steps import (
    ChannelAffine,
    Conv,
    ConvTranspose,
    Dense,
    DepthwiseConv,
    Elementwise,
    Map,
    Product,
    Scale,
    Shift,
    read,
)

Walker = Any  # edgedyn.nn.graph.extract's
Converter = Callable[[Walker, Any, list[int]], int]

# Elementwise activations, by the name Keras gives their functions or operations.
ACTIVATIONS = frozenset(
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
_SUMS = (kl.Add, kl.Average)
_EXTREMES = (kl.Maximum, kl.Minimum)
_AVERAGES = (kl.AveragePooling1D, kl.AveragePooling2D)
_GLOBAL_AVERAGES = (kl.GlobalAveragePooling1D, kl.GlobalAveragePooling2D)
_MAXIMA = (kl.MaxPooling1D, kl.MaxPooling2D)
_GLOBAL_MAXIMA = (kl.GlobalMaxPooling1D, kl.GlobalMaxPooling2D)
_IDENTITY = lg.Identity()

KNOWN = (
    "dense, convolution (1D, 2D, transposed, depthwise and separable), batch normalisation, "
    "elementwise activations, pooling, padding, cropping, up-sampling, flatten, reshape, permute, "
    "dropout, add, average, concatenate, subtract, multiply, maximum, minimum and rescaling layers"
)
# Why others are not, by a word in the type's name.
REASONS = {
    "Attention": "attention mixes positions by weights that depend on the data",
    "LSTM": "recurrent layers use each parameter at every time step",
    "GRU": "recurrent layers use each parameter at every time step",
    "RNN": "recurrent layers use each parameter at every time step",
    "ConvLSTM": "recurrent layers use each parameter at every time step",
    "LayerNormalization": "its statistics depend on the sample, so that it is no chain of routes",
    "GroupNormalization": "its statistics depend on the sample, so that it is no chain of routes",
    "Embedding": "an embedding picks a row instead of summing over inputs",
}


def dense(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a dense layer."""
    bias = layer.bias if layer.use_bias else None
    k = walker.add(
        Dense,
        layer.name,
        given,
        layer.kernel,
        bias,
        walker.all_nodes,
        structure=lg.Dense(layer.units, bias=layer.use_bias),
    )
    return walker.activation(layer.name, k, layer.activation)


def convolution(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a convolution along one or two axes."""
    _check_padding(layer)
    window = (tuple(layer.strides), layer.padding, tuple(layer.dilation_rate))
    channels = layer.kernel.shape[-2] * layer.groups
    kind = lg.Conv1D if isinstance(layer, kl.Conv1D) else lg.Conv2D
    k = walker.add(
        Conv,
        layer.name,
        given,
        *_owned(walker, layer),
        *window,
        channels,
        structure=kind(
            layer.filters, tuple(layer.kernel_size), *window, layer.groups, layer.use_bias
        ),
    )
    return walker.activation(layer.name, k, layer.activation)


def transposed(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a transposed convolution."""
    _check_padding(layer)
    if layer.output_padding is not None:
        raise ValueError(
            f"layer {layer.name!r} has output_padding={layer.output_padding}; known is None."
        )
    window = (tuple(layer.strides), layer.padding, tuple(layer.dilation_rate))
    k = walker.add(
        ConvTranspose,
        layer.name,
        given,
        *_owned(walker, layer),
        *window,
        structure=lg.Conv2DTranspose(
            layer.filters, tuple(layer.kernel_size), *window, layer.use_bias
        ),
    )
    return walker.activation(layer.name, k, layer.activation)


def depthwise(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a depthwise convolution."""
    window = (tuple(layer.strides), layer.padding, tuple(layer.dilation_rate))
    structure = lg.DepthwiseConv2D(
        tuple(layer.kernel_size), *window, layer.depth_multiplier, layer.use_bias
    )
    owned = _owned(walker, layer)
    k = walker.add(DepthwiseConv, layer.name, given, *owned, *window, structure=structure)
    return walker.activation(layer.name, k, layer.activation)


def separable(walker: Walker, layer: Any, given: list[int]) -> int:
    """Add a depthwise and a pointwise layer; the bias is the latter's."""
    window = (tuple(layer.strides), layer.padding, tuple(layer.dilation_rate))
    size, many = tuple(layer.kernel_size), layer.depth_multiplier
    first, second = lg.SeparableConv2D(
        layer.filters, size, *window, many, bias=layer.use_bias
    ).parts()
    kernel = (layer.depthwise_kernel, None, walker.all_nodes)
    name = f"{layer.name}/depthwise"
    k = walker.add(DepthwiseConv, name, given, *kernel, *window, structure=first)
    pointwise = layer.pointwise_kernel
    bias = layer.bias if layer.use_bias else None
    owned = (pointwise, bias, walker.all_nodes, (1, 1), "valid", (1, 1), pointwise.shape[-2])
    k = walker.add(Conv, f"{layer.name}/pointwise", [k], *owned, structure=second)
    return walker.activation(layer.name, k, layer.activation)


def batch_norm(walker: Walker, layer: Any, given: list[int]) -> int:
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

    def normalise(*functions: Callable[[Any], Any]) -> int:
        name = layer.name
        return walker.add(ChannelAffine, name, given, *functions, structure=_IDENTITY)

    if walker.all_nodes:
        k = normalise(
            lambda u: (u - mean()) * factor(), lambda u: u * factor(), lambda u: u * factor()
        )
        structure = lg.Scale(gamma is not None, beta is not None)
        if gamma is not None:
            scale_of = (gamma, beta, True)
            return walker.add(Scale, layer.name, [k], *scale_of, structure=structure)
        if beta is None:
            return k
        return walker.add(Shift, layer.name, [k], beta, structure=structure)

    def scale() -> Any:
        return factor() if gamma is None else factor() * read(gamma)

    def function(u: Any) -> Any:
        out = (u - mean()) * scale()
        return out if beta is None else out + read(beta)

    return normalise(function, lambda u: u * scale(), lambda u: u * ops.abs(scale()))


def activation_layer(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert an activation layer."""
    return walker.activation(layer.name, given[0], layer.activation)


def softmax_layer(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a softmax layer."""
    softmax = keras.activations.softmax
    return walker.activation(layer.name, given[0], softmax)


def slope_layer(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert an activation layer of its own type."""
    return walker.add(Elementwise, layer.name, given, layer, structure=_IDENTITY)


def identity(walker: Walker, layer: Any, given: list[int]) -> int:
    """Skip what does nothing at inference."""
    return given[0]


def linear(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a linear map without negative coefficients."""
    if isinstance(layer, kl.UpSampling2D) and layer.interpolation not in ("nearest", "bilinear"):
        raise ValueError(
            f"layer {layer.name!r} interpolates by {layer.interpolation!r}; known are nearest "
            "and bilinear."
        )
    return walker.linear(layer.name, given, called(layer), structure=route_of(layer))


def selection(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a maximum or minimum."""
    function = called(layer)
    if isinstance(layer, kl.MaxPooling2D) and layer.padding == "same" and max(layer.strides) == 1:
        function = _padded_maxima(layer)
    return walker.add(Map, layer.name, given, function, structure=route_of(layer))


def product(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a product of tensors."""
    return walker.add(Product, layer.name, given, called(layer), structure=lg.Multiply())


def subtract(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a difference."""
    return walker.linear(layer.name, given, ops.subtract, ops.subtract, ops.add, structure=lg.Add())


def rescaling(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a rescaling by constants."""

    def scaled(u: Any) -> Any:
        return u * ops.cast(ops.convert_to_tensor(layer.scale), u.dtype)

    def sizes(u: Any) -> Any:
        return u * ops.abs(ops.cast(ops.convert_to_tensor(layer.scale), u.dtype))

    return walker.linear(layer.name, given, layer, scaled, sizes, structure=_IDENTITY)


def residual(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert InceptionResNetV2's weighted residual sum."""
    scale = float(layer.scale)
    return walker.linear(
        layer.name,
        given,
        lambda u, v: u + scale * v,
        lambda u, v: u + scale * v,
        lambda u, v: u + abs(scale) * v,
        structure=lg.Add(),
    )


def arithmetic(walker: Walker, node: Any, given: list[int]) -> int | None:
    """Add a sum or product by keras.ops: of two tensors, or of one and a constant."""
    name, word = node.operation.name, type(node.operation).__name__
    if word not in ("Add", "Multiply") or len(node.arguments.args) != 2:
        return None
    if len(given) == 2:
        if word == "Multiply":
            return walker.add(Product, name, given, ops.multiply, structure=lg.Multiply())
        return walker.linear(name, given, ops.add, structure=lg.Add())
    tensors = {id(t) for t in node.input_tensors}
    constant = next(a for a in node.arguments.args if id(a) not in tensors)
    if np.ndim(constant) != 0:
        return None
    c = float(constant)
    functions: tuple[Callable[..., Any], ...] = (lambda u: c * u, lambda u: c * u)
    if word == "Add":
        functions = (lambda u: u + c, lambda u: u, lambda u: u)
    else:
        functions = (*functions, lambda u: abs(c) * u)
    return walker.linear(name, given, *functions, structure=_IDENTITY)


def route_of(layer: Any) -> Any:
    """Return what a parameter-free layer is to the line graph."""
    if isinstance(layer, _AVERAGES + _MAXIMA):
        return lg.Pooling(tuple(layer.pool_size), tuple(layer.strides), layer.padding)
    if isinstance(layer, _GLOBAL_AVERAGES + _GLOBAL_MAXIMA):
        return lg.GlobalPooling(layer.keepdims)
    if isinstance(layer, kl.ZeroPadding1D | kl.ZeroPadding2D):
        return lg.ZeroPadding(_pairs(layer.padding))
    if isinstance(layer, kl.Cropping1D | kl.Cropping2D):
        return lg.Cropping(_pairs(layer.cropping))
    if isinstance(layer, kl.UpSampling1D):
        return lg.UpSampling(layer.size)
    if isinstance(layer, kl.UpSampling2D):
        return lg.UpSampling(tuple(layer.size), layer.interpolation)
    if isinstance(layer, kl.Flatten):
        return lg.Flatten()
    if isinstance(layer, kl.Reshape):
        return lg.Reshape(tuple(layer.target_shape))
    if isinstance(layer, kl.Permute):
        return lg.Permute(tuple(d - 1 for d in layer.dims))
    if isinstance(layer, kl.Concatenate):
        return lg.Concatenate(layer.axis - 1 if layer.axis > 0 else layer.axis)
    return lg.Add()


def called(layer: Any) -> Callable[..., Any]:
    """Call a layer with its inputs the way it expects them: alone or as a list."""
    if isinstance(layer, (*_SUMS, *_EXTREMES, kl.Concatenate, kl.Multiply)):
        return lambda *values: layer(list(values))
    return lambda value: layer(value)


def is_elementwise(operation: Any) -> bool:
    """Tell whether an operation of keras.ops is one of the known activations."""
    word = type(operation).__name__.lower()
    return word in {name.replace("_", "") for name in ACTIVATIONS}


def why_not(operation: Any) -> str:
    """Return why a type of layer is not known, if there is more to say."""
    word = type(operation).__name__
    reason = next((text for part, text in REASONS.items() if part in word), None)
    return f" ({reason})" if reason else ""


def _owned(walker: Walker, layer: Any) -> tuple[Any, Any, bool]:
    """Return a layer's kernel, bias and whether the latter is a node."""
    return layer.kernel, layer.bias if layer.use_bias else None, walker.all_nodes


def _pairs(value: Any) -> tuple[tuple[int, int], ...]:
    """Return one pair an axis; along one axis Keras keeps a single pair."""
    pairs = (value,) if isinstance(value[0], int) else value
    return tuple((int(a), int(b)) for a, b in pairs)


def _check_padding(layer: Any) -> None:
    """Refuse causal padding."""
    if layer.padding not in ("valid", "same"):
        raise ValueError(f"layer {layer.name!r} pads {layer.padding!r}; known are valid and same.")


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


# Subclasses before the types they derive from.
CONVERTERS: tuple[tuple[Any, Converter], ...] = (
    (kl.Dense, dense),
    (kl.SeparableConv2D, separable),
    (kl.DepthwiseConv2D, depthwise),
    (kl.Conv2DTranspose, transposed),
    ((kl.Conv1D, kl.Conv2D), convolution),
    (kl.BatchNormalization, batch_norm),
    (kl.Activation, activation_layer),
    (kl.Softmax, softmax_layer),
    (_ACTIVATION_LAYERS, slope_layer),
    (_IDENTITIES, identity),
    ((*_AVERAGES, *_GLOBAL_AVERAGES, kl.ZeroPadding1D, kl.ZeroPadding2D), linear),
    ((kl.Cropping1D, kl.Cropping2D, kl.UpSampling1D, kl.UpSampling2D), linear),
    ((kl.Flatten, kl.Reshape, kl.Permute, kl.Concatenate, *_SUMS), linear),
    ((*_MAXIMA, *_GLOBAL_MAXIMA, *_EXTREMES), selection),
    (kl.Multiply, product),
    (kl.Subtract, subtract),
    (kl.Rescaling, rescaling),
)
