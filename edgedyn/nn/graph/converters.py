"""One converter for each type of Keras layer: its steps, and what they are to the line graph."""

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import layers as kl
from keras import ops

from edgedyn import linegraph as lg
from edgedyn.nn.graph.norms import affine
from edgedyn.nn.graph.steps import (
    HALVES,
    ChannelAffine,
    Conv,
    ConvTranspose,
    Dense,
    DepthwiseConv,
    Elementwise,
    Linear,
    Map,
    Product,
    parameter,
    read,
)

Walker = Any  # edgedyn.nn.graph.extract's
Converter = Callable[[Walker, Any, list[int]], int]

# Elementwise activations, by the name Keras gives their functions or operations.
ACTIVATIONS = frozenset(
    "relu relu6 leaky_relu elu selu celu gelu sigmoid hard_sigmoid silu swish hard_silu "
    "hard_swish tanh hard_tanh tanh_shrink softplus softsign exponential mish log_sigmoid".split()
)
_RANDOM = (
    "Dropout GaussianDropout GaussianNoise AlphaDropout SpatialDropout1D SpatialDropout2D "
    "SpatialDropout3D RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast "
    "RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomPerspective "
    "RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear "
    "RandomTranslation RandomZoom"
).split()
_IDENTITIES = (  # at inference
    kl.ActivityRegularization,
    kl.Identity,
    *(getattr(kl, name) for name in _RANDOM if hasattr(kl, name)),
)
ACTIVATION_LAYERS = (kl.ReLU, kl.LeakyReLU, kl.ELU)
_MERGES = (kl.Add, kl.Average, kl.Maximum, kl.Minimum, kl.Concatenate, kl.Multiply)
_IDENTITY = lg.Identity()

KNOWN = (
    "dense, convolution (1D to 3D, transposed, depthwise and separable), batch, layer, group, RMS "
    "and unit normalisation, multi-head attention, elementwise activations, pooling, padding, "
    "cropping, up-sampling, flatten, reshape, permute, dropout, add, average, concatenate, "
    "subtract, multiply, maximum, minimum and rescaling layers"
)
_RECURRENT = "recurrent layers use each parameter at every time step"
# Why others are not, by a word in the type's name.
REASONS = {
    "Attention": "known are MultiHeadAttention and GroupQueryAttention",
    "LSTM": _RECURRENT,
    "GRU": _RECURRENT,
    "RNN": _RECURRENT,
    "Embedding": "an embedding picks a row instead of summing over inputs",
}


def dense(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a dense layer."""
    structure = lg.Dense(layer.units, bias=layer.use_bias)
    return _weighted(walker, layer, given, Dense, structure, layer.units, 1)


def convolution(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a convolution along one, two or three axes; of the last there is no line graph."""
    kind: Any = {1: lg.Conv1D, 2: lg.Conv2D}.get(len(layer.kernel_size), lambda *of: None)
    structure = kind(layer.filters, *_sliding(layer), layer.groups, layer.use_bias)
    return _weighted(walker, layer, given, Conv, structure, layer.filters, layer.groups)


def transposed(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a transposed convolution."""
    if layer.output_padding is not None:
        raise ValueError(
            f"layer {layer.name!r} has output_padding={layer.output_padding}; known is None."
        )
    structure = lg.Conv2DTranspose(layer.filters, *_sliding(layer), layer.use_bias)
    return _weighted(walker, layer, given, ConvTranspose, structure, layer.filters, 1)


def depthwise(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a depthwise convolution; of one along one axis there is no line graph."""
    options = (*_sliding(layer), layer.depth_multiplier, layer.use_bias)
    structure = lg.DepthwiseConv2D(*options) if len(layer.kernel_size) == 2 else None
    channels, many = layer.kernel.shape[-2:]
    return _weighted(walker, layer, given, DepthwiseConv, structure, channels * many, channels)


def separable(walker: Walker, layer: Any, given: list[int]) -> int:
    """Add a depthwise and a pointwise layer; the bias is the latter's."""
    options = (*_sliding(layer), layer.depth_multiplier, layer.use_bias)
    first, second, axes = None, None, len(layer.kernel_size)
    if axes == 2:
        first, second = lg.SeparableConv2D(layer.filters, *options).parts()
    kernel = parameter(layer, "depthwise_kernel")
    channels, many = kernel.shape[-2:]
    details = (kernel, None, False, channels * many, channels, _window(layer))
    k = walker.add(DepthwiseConv, f"{layer.name}/depthwise", given, *details, structure=first)
    point = {"strides": (1,) * axes, "padding": "valid", "data_format": "channels_last"}
    details = (parameter(layer, "pointwise_kernel"), *_bias(walker, layer), layer.filters, 1, point)
    k = walker.add(Conv, f"{layer.name}/pointwise", [k], *details, structure=second)
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
    apart = walker.all_nodes

    def scale() -> Any:
        factor = 1.0 / ops.sqrt(read(layer.moving_variance) + layer.epsilon)
        return factor if apart or gamma is None else factor * read(gamma)

    def function(u: Any) -> Any:
        out = (u - read(layer.moving_mean)) * scale()
        return out if apart or beta is None else out + read(beta)

    functions = (function, lambda u: u * scale(), lambda u: u * ops.abs(scale()))
    k = walker.add(ChannelAffine, layer.name, given, *functions, structure=_IDENTITY)
    return affine(walker, layer.name, k, gamma, beta) if apart else k


def activation(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert an activation or softmax layer."""
    if not isinstance(layer, kl.Softmax):
        return walker.activation(layer.name, given[0], layer.activation)
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    if any(axis not in (-1, len(layer.output.shape) - 1) for axis in axes):
        raise ValueError(
            f"the softmax {layer.name!r} runs along axis {layer.axis}; only the last is known."
        )
    return walker.activation(layer.name, given[0], keras.activations.softmax)


def plain(kind: type[Map], route: Any, walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a parameter-free layer to the one step it is; linear maps have no negative weight."""
    add = walker.linear if kind is Linear else partial(walker.add, kind)
    return add(layer.name, given, called(layer), structure=route(layer))


def subtract(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a difference."""
    return walker.linear(layer.name, given, ops.subtract, ops.subtract, ops.add, structure=lg.Add())


def rescaling(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a rescaling by constants."""

    def scale(u: Any) -> Any:
        return ops.cast(ops.convert_to_tensor(layer.scale), u.dtype)

    functions = (called(layer), lambda u: u * scale(u), lambda u: u * ops.abs(scale(u)))
    return walker.linear(layer.name, given, *functions, structure=_IDENTITY)


def residual(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert InceptionResNetV2's weighted residual sum."""
    scale = float(layer.scale)
    functions = [lambda u, v, c=c: u + c * v for c in (scale, scale, abs(scale))]
    return walker.linear(layer.name, given, *functions, structure=lg.Add())


def arithmetic(walker: Walker, node: Any, given: list[int]) -> int | None:
    """Add what keras.ops computes of two tensors, or of one and a number; None for the rest."""
    name, word = node.operation.name, type(node.operation).__name__
    values = node.arguments.args
    if word == "Negative":
        return _times(walker, name, given, -1.0)
    if word not in ("Add", "Subtract", "Multiply", "Divide", "TrueDivide") or len(values) != 2:
        return None
    if len(given) == 2:
        if word == "Multiply":
            return walker.add(Product, name, given, ops.multiply, structure=lg.Multiply())
        if word == "Add":
            return walker.linear(name, given, ops.add, structure=lg.Add())
        return subtract(walker, node.operation, given) if word == "Subtract" else None
    tensors = {id(t) for t in node.input_tensors}
    first = id(values[0]) in tensors  # the tensor comes first
    constant = values[1] if first else values[0]
    if (
        isinstance(constant, keras.Variable)
        or np.ndim(constant) != 0
        or (not first and word in ("Divide", "TrueDivide"))
    ):
        return None
    number = float(constant)
    if word == "Multiply":
        return _times(walker, name, given, number)
    if word in ("Divide", "TrueDivide"):
        return _times(walker, name, given, 1 / number) if number else None
    sign = -1.0 if word == "Subtract" and not first else 1.0
    moved = -number if word == "Subtract" and first else number
    functions = (lambda u: sign * u + moved, lambda u: sign * u, lambda u: u)
    return walker.linear(name, given, *functions, structure=_IDENTITY)


def _times(walker: Walker, name: str, given: list[int], number: float) -> int:
    """Add a multiplication by a number."""
    functions = [lambda u, c=c: c * u for c in (number, number, abs(number))]
    return walker.linear(name, given, *functions, structure=_IDENTITY)


def called(layer: Any) -> Callable[..., Any]:
    """Call a layer with its inputs the way it expects them: alone or as a list."""
    layer = in_precision(layer)
    if isinstance(layer, _MERGES):
        return lambda *values: layer(list(values))
    if isinstance(layer, kl.MaxPooling1D | kl.MaxPooling2D | kl.MaxPooling3D):
        return _maxima(layer)
    return layer


def in_precision(layer: Any) -> Any:
    """Return a layer, or where it computes in half its copy in single precision.

    One with weights, which may change, stays and has its output cast.
    """
    if getattr(layer, "compute_dtype", None) not in HALVES:
        return layer
    if layer.weights:
        return lambda *values, **options: ops.cast(layer(*values, **options), "float32")
    return type(layer).from_config({**layer.get_config(), "dtype": "float32"})


def is_elementwise(operation: Any) -> bool:
    """Tell whether an operation of keras.ops is one of the known activations."""
    word = type(operation).__name__.lower()
    known = type(operation).__module__.startswith("keras.")
    return known and word in {name.replace("_", "") for name in ACTIVATIONS}


def is_sigmoid(step: Any) -> bool:
    """Tell whether a step is the logistic function."""
    function = getattr(step, "function", None)
    word = getattr(function, "__name__", type(function).__name__)
    return isinstance(step, Elementwise) and word.lower() == "sigmoid"


def does_nothing(operation: Any) -> bool:
    """Tell whether an operation gives what it receives, as a cast to another precision does."""
    linear = getattr(operation, "activation", None) is keras.activations.linear
    return (linear and type(operation) is kl.Activation) or isinstance(operation, _IDENTITIES)


def is_library(function: Any) -> bool:
    """Tell a function of Keras or its backends from one of the user's that has its name."""
    where = getattr(function, "__module__", "") or ""
    return where.split(".")[0] in ("keras", "tensorflow", "jax", "torch")


def check_unchanged(layer: Any, known: Any) -> None:
    """Refuse a layer of a type of its own that does otherwise than the known one it derives from.

    It may have other ways to be built and described, and compute its kernel, which is then what
    counts; what it computes with it must be the known layer's.
    """
    kinds = known if isinstance(known, tuple) else (known,)
    found = {name for name in ("call", "__call__", "convolution_op") if name in vars(layer)}
    for kind in type(layer).__mro__:
        if kind in kinds:
            break
        if not kind.__module__.startswith("keras."):
            found |= set(vars(kind)) - _HARMLESS
    if found:
        parent = next(k for k in type(layer).__mro__ if k in kinds).__name__
        raise ValueError(
            f"layer {layer.name!r} of type {type(layer).__name__} is a {parent} with its own "
            f"{', '.join(sorted(found))}: what it computes is not known; use a layer of Keras."
        )
    if mode := getattr(layer, "quantization_mode", None):
        raise ValueError(
            f"layer {layer.name!r} is quantised ({mode}); give the model before its quantisation."
        )


_HARMLESS = frozenset(
    "__init__ __module__ __qualname__ __doc__ __annotations__ __static_attributes__ "
    "__firstlineno__ __dict__ __weakref__ build get_config from_config add_weight kernel "
    "depthwise_kernel pointwise_kernel compute_output_shape compute_output_spec".split()
)


def why_not(operation: Any) -> str:
    """Return why a type of layer is not known, if there is more to say."""
    word = type(operation).__name__
    reason = next((text for part, text in REASONS.items() if part in word), None)
    return f" ({reason})" if reason else ""


def _weighted(
    walker: Walker, layer: Any, given: list[int], kind: Any, structure: Any, *channels: int
) -> int:
    """Add a layer with kernel and bias, of given outputs and groups, then its activation."""
    window = () if kind is Dense else (_window(layer),)
    details = (parameter(layer), *_bias(walker, layer), *channels, *window)
    k = walker.add(kind, layer.name, given, *details, structure=structure)
    return walker.activation(layer.name, k, layer.activation)


def _bias(walker: Walker, layer: Any) -> tuple[Any, bool]:
    """Return a layer's bias, and whether it is a node."""
    return (layer.bias, walker.all_nodes) if layer.use_bias else (None, False)


def _sliding(layer: Any) -> tuple[Any, Any, Any, Any]:
    """Return a convolution's window as the line graph takes it; refuse causal padding."""
    if layer.padding not in ("valid", "same"):
        raise ValueError(f"layer {layer.name!r} pads {layer.padding!r}; known are valid and same.")
    size, strides = tuple(layer.kernel_size), tuple(layer.strides)
    return size, strides, layer.padding, tuple(layer.dilation_rate)


def _window(layer: Any) -> dict[str, Any]:
    """Return a convolution's window as keras.ops takes it, for any size."""
    names = ("strides", "padding", "data_format", "dilation_rate")
    return {name: getattr(layer, name) for name in names}


def _pooling(layer: Any) -> lg.Pooling:
    """Return the route of a pooling along one or two axes."""
    return lg.Pooling(tuple(layer.pool_size), tuple(layer.strides), layer.padding)


def _global_pooling(layer: Any) -> lg.GlobalPooling:
    """Return the route of a pooling over all positions."""
    return lg.GlobalPooling(layer.keepdims)


def _up_sampling(layer: Any) -> lg.UpSampling:
    """Return the route of an interpolation without negative coefficients."""
    if layer.interpolation not in ("nearest", "bilinear"):
        raise ValueError(
            f"layer {layer.name!r} interpolates by {layer.interpolation!r}; known are nearest "
            "and bilinear."
        )
    return lg.UpSampling(tuple(layer.size), layer.interpolation)


def _pairs(value: Any) -> tuple[tuple[int, int], ...]:
    """Return one pair an axis; along one axis Keras keeps a single pair."""
    pairs = (value,) if isinstance(value[0], int) else value
    return tuple((int(a), int(b)) for a, b in pairs)


def _maxima(layer: Any) -> Callable[..., Any]:
    """Return a max pooling that never has its input's shape: the same after explicit padding.

    TensorFlow 2.21 may compute the second derivative of a shape-keeping maximum on the CPU in the
    place of its own argument: the results then differ from call to call.
    """
    size, strides, same = layer.pool_size, layer.strides, layer.padding == "same"

    def function(u: Any) -> Any:
        sides = list(zip(u.shape[1:-1], size, strides, strict=True))
        after = [-(-n // s) if same else (n - k) // s + 1 for n, k, s in sides]
        if after != [n for n, _, _ in sides]:
            return layer(u)
        missing = [(m - 1) * s + k - n for m, (n, k, s) in zip(after, sides, strict=True)]
        if not any(missing):  # windows of one
            return u
        margins = [(0, 0), *((m // 2, m - m // 2) for m in missing), (0, 0)]
        lowest = float(np.finfo(keras.backend.standardize_dtype(u.dtype)).min)
        wide = ops.pad(u, margins, constant_values=lowest)
        return ops.max_pool(wide, size, strides, "valid", "channels_last")

    return function


# Parameter-free layers: the kind of step they become, and their route in the line graph.
_PLAIN: tuple[tuple[Any, type[Map], Callable[[Any], Any]], ...] = (
    (ACTIVATION_LAYERS, Elementwise, lambda layer: _IDENTITY),
    ((kl.AveragePooling1D, kl.AveragePooling2D), Linear, _pooling),
    ((kl.MaxPooling1D, kl.MaxPooling2D), Map, _pooling),
    ((kl.GlobalAveragePooling1D, kl.GlobalAveragePooling2D), Linear, _global_pooling),
    ((kl.GlobalMaxPooling1D, kl.GlobalMaxPooling2D), Map, _global_pooling),
    ((kl.ZeroPadding1D, kl.ZeroPadding2D), Linear, lambda pad: lg.ZeroPadding(_pairs(pad.padding))),
    ((kl.Cropping1D, kl.Cropping2D), Linear, lambda cut: lg.Cropping(_pairs(cut.cropping))),
    # Along three axes there are no routes.
    ((kl.AveragePooling3D, kl.GlobalAveragePooling3D), Linear, lambda layer: None),
    ((kl.MaxPooling3D, kl.GlobalMaxPooling3D), Map, lambda layer: None),
    ((kl.ZeroPadding3D, kl.Cropping3D, kl.UpSampling3D), Linear, lambda layer: None),
    (kl.PReLU, Elementwise, lambda layer: _IDENTITY),  # its slopes are no nodes
    (kl.UpSampling1D, Linear, lambda layer: lg.UpSampling(layer.size)),
    (kl.UpSampling2D, Linear, _up_sampling),
    (kl.Flatten, Linear, lambda layer: lg.Flatten()),
    (kl.Reshape, Linear, lambda layer: lg.Reshape(tuple(layer.target_shape))),
    (kl.Permute, Linear, lambda layer: lg.Permute(tuple(d - 1 for d in layer.dims))),
    # Counted from the front, the axis counts the samples', which routes do not know.
    (kl.Concatenate, Linear, lambda join: lg.Concatenate(join.axis - (join.axis > 0))),
    ((kl.Add, kl.Average), Linear, lambda layer: lg.Add()),
    ((kl.Maximum, kl.Minimum), Map, lambda layer: lg.Add()),
    (kl.Multiply, Product, lambda layer: lg.Multiply()),
)

# Subclasses before the types they derive from.
CONVERTERS: tuple[tuple[Any, Converter], ...] = (
    (kl.Dense, dense),
    ((kl.SeparableConv1D, kl.SeparableConv2D), separable),
    ((kl.DepthwiseConv1D, kl.DepthwiseConv2D), depthwise),
    (kl.Conv2DTranspose, transposed),
    ((kl.Conv1D, kl.Conv2D, kl.Conv3D), convolution),
    (kl.BatchNormalization, batch_norm),
    ((kl.Activation, kl.Softmax), activation),
    (_IDENTITIES, lambda walker, layer, given: given[0]),
    *((kinds, partial(plain, kind, route)) for kinds, kind, route in _PLAIN),
    (kl.Subtract, subtract),
    (kl.Rescaling, rescaling),
)
