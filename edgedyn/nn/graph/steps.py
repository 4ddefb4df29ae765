"""The operations a network is made of: layers with weights, and parameter-free maps.

Each knows its forward pass at the actual parameters and, for the sweeps over the line graph, the
same operation with a kernel of ones (``f(1, u)``, its transpose, and the gradient by the kernel)
or its Jacobian. With a kernel of ones all output channels are equal: one sum over the channels
and one box filter do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from keras import ops

from edgedyn.nn.graph import autodiff
from edgedyn.nn.graph.autodiff import pull_back, push_forward

Tensor = Any


@dataclass(frozen=True, eq=False)
class Step:
    """One operation between numbered tensors."""

    name: str
    inputs: tuple[int, ...]
    output: int
    structure: Any = field(kw_only=True)  # what it is to the line graph: a layer or a route of it


HALVES = ("float16", "bfloat16")


class Computed:
    """A kernel that its layer computes from others, as adapters of low rank do; not a variable."""

    def __init__(self, layer: Any, name: str) -> None:
        self.layer, self.name = layer, name
        self.shape, self.dtype = self.value.shape, keras.backend.standardize_dtype(self.value.dtype)

    @property
    def value(self) -> Tensor:
        """Its present value."""
        return getattr(self.layer, self.name)


def summed_to(q: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Sum over samples and positions, over all that shares an entry of a parameter."""
    leading = tuple(range(len(q.shape) - len(shape)))
    found = ops.sum(q, axis=leading)
    shared = tuple(k for k, n in enumerate(shape) if n == 1 and found.shape[k] != 1)
    return ops.sum(found, axis=shared, keepdims=True) if shared else found


def parameter(layer: Any, name: str = "kernel") -> Any:
    """Return a layer's variable, or what it computes in the place of one."""
    found = getattr(layer, name)
    return found if isinstance(found, keras.Variable) else Computed(layer, name)


def precision(dtype: Any) -> str:
    """Return what to compute in: half precision is measured in single precision."""
    return autodiff.precision("float32" if str(dtype) in HALVES else str(dtype))


def read(variable: Any) -> Tensor:
    """Return the present value of a variable or a computed kernel as a tensor, none in halves."""
    return ops.convert_to_tensor(variable.value, precision(variable.dtype))


# Layers with weights ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Layer(Step):
    """An operation ``f(kernel, u) + bias``, linear in the kernel, whose entries are nodes."""

    kernel: Any  # the variable that the Keras layer holds, or a `Computed`
    bias: Any  # a variable, or None
    bias_is_node: bool  # whether there is a bias that belongs to the line graph
    outputs: int  # channels it gives
    groups: int  # of channels that do not mix

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``, without bias."""
        raise NotImplementedError

    def forward(self, u: Tensor, kernel: Tensor = None, bias: Tensor = None) -> Tensor:
        """Return the layer's output, at its own parameters or at given ones."""
        out = self.apply(read(self.kernel) if kernel is None else kernel, u)
        if self.bias is None:
            return out
        return out + (read(self.bias) if bias is None else bias)

    def pull(self, u: Tensor, e: Tensor, kernel: Tensor = None) -> Tensor:
        """Return the cotangent of the input: the usual backward pass, or at another kernel."""
        kernel = read(self.kernel) if kernel is None else kernel
        return pull_back(lambda v: self.apply(kernel, v), [u], e)[0]

    def gradient(self, u: Tensor, q: Tensor) -> Tensor:
        """Return ``d<q, f(kernel, u)>/d kernel``."""
        return pull_back(lambda k: self.apply(k, u), [read(self.kernel)], q)[0]

    def _box(self, s: Tensor) -> Tensor:
        """Apply a window of ones to the groups' channel sums; here there is no window."""
        return s

    def ones_forward(self, u: Tensor) -> Tensor:
        """Return ``f(1, u)``."""
        return _spread(self._box(_channel_sums(u, self.groups)), self.outputs)

    def ones_pull(self, u: Tensor, e: Tensor) -> Tensor:
        """Return ``f(1, .)^T e``."""
        like, arriving = _channel_sums(u, self.groups), _channel_sums(e, self.groups)
        return _spread(pull_back(self._box, [like], arriving)[0], u.shape[-1])


class Dense(Layer):
    """``u @ kernel`` on the last axis; kernel of shape (inputs, outputs)."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return ops.matmul(u, kernel)


@dataclass(frozen=True, eq=False)
class Windowed(Layer):
    """A layer whose kernel slides over positions; `window` is for the convolutions of keras.ops."""

    window: dict[str, Any]


class Conv(Windowed):
    """Convolution; kernel of shape (taps along each axis, inputs / groups, outputs)."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Convolve, group by group: some backends cannot differentiate grouped ones."""
        if self.groups == 1:
            return ops.conv(u, kernel, **self.window)
        if self.groups == u.shape[-1] and self._depthwise:
            taps, outputs = kernel.shape[:-2], kernel.shape[-1]
            alone = ops.reshape(kernel, (*taps, self.groups, outputs // self.groups))
            return ops.depthwise_conv(u, alone, **self.window)
        return self._by_group(u, ops.split(kernel, self.groups, -1))

    @property
    def _depthwise(self) -> bool:
        """Tell whether there is a convolution channel by channel for these windows.

        There is none for three axes, nor for strides that differ.
        """
        return len(set(self.window["strides"])) == 1 and len(self.kernel.shape) < 5

    def _by_group(self, u: Tensor, kernels: Sequence[Tensor]) -> Tensor:
        """Convolve each group of channels with its own kernel."""
        parts = ops.split(u, len(kernels), -1)
        convolved = [ops.conv(v, k, **self.window) for v, k in zip(parts, kernels, strict=True)]
        return ops.concatenate(convolved, -1)

    def _box(self, s: Tensor) -> Tensor:
        """Convolve each of the groups' channel sums with a window of ones."""
        taps = self.kernel.shape[:-2]
        if self._depthwise:
            return ops.depthwise_conv(s, ops.ones((*taps, self.groups, 1), s.dtype), **self.window)
        return self._by_group(s, [ops.ones((*taps, 1, 1), s.dtype)] * self.groups)


class ConvTranspose(Windowed):
    """Transposed convolution; kernel of shape (taps along each axis, outputs, inputs)."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return ops.conv_transpose(u, kernel, **self.window)

    def _box(self, s: Tensor) -> Tensor:
        """Spread channel sums by a window of ones."""
        return self.apply(ops.ones((*self.kernel.shape[:-2], 1, 1), s.dtype), s)


class DepthwiseConv(Windowed):
    """Convolution channel by channel; kernel (taps along each axis, channels, multiplier)."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return ops.depthwise_conv(u, kernel, **self.window)

    def _box(self, s: Tensor) -> Tensor:
        """Convolve with a window of ones, which all multipliers share."""
        return self.apply(ops.ones((*self.kernel.shape[:-1], 1), s.dtype), s)


@dataclass(frozen=True, eq=False)
class Einsum(Layer):
    """A product along any axes, as attention's projections are; kernel and bias of any shape."""

    equation: str

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return ops.einsum(self.equation, u, kernel)

    def _ones(self, u: Tensor) -> Tensor:
        """Return a kernel of ones."""
        return ops.ones(self.kernel.shape, u.dtype)

    def ones_forward(self, u: Tensor) -> Tensor:
        """Return ``f(1, u)``."""
        return self.apply(self._ones(u), u)

    def ones_pull(self, u: Tensor, e: Tensor) -> Tensor:
        """Return ``f(1, .)^T e``."""
        return self.pull(u, e, self._ones(u))


class Scale(Layer):
    """``gamma * u`` channel by channel: a batch norm's weights as nodes of their own."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return kernel * u


@dataclass(frozen=True, eq=False)
class Shift(Step):
    """A batch norm's beta without gamma: bias nodes that receive, send nothing, and cut no path."""

    bias: Any

    def forward(self, u: Tensor, kernel: None = None, bias: Tensor = None) -> Tensor:
        """Return ``u + beta``, at its own parameter or at a given one; there is no kernel."""
        return u + self.placed(read(self.bias) if bias is None else bias)

    def placed(self, bias: Tensor) -> Tensor:
        """Return the parameter's entries where they are added."""
        return bias

    def collected(self, q: Tensor) -> Tensor:
        """Return for each entry the sum over all places where it is added."""
        return summed_to(q, self.bias.shape)


@dataclass(frozen=True, eq=False)
class Looked(Shift):
    """A shift whose entries are looked up in a table, shape (rows, heads), by place.

    `index`, shape (n, n): the row for each pair of positions; what is shifted has shape
    (..., heads, n, n).
    """

    index: Any

    def placed(self, bias: Tensor) -> Tensor:
        """Return the table's entries, shape (heads, n, n)."""
        return ops.transpose(ops.take(bias, self.index, axis=0), (2, 0, 1))

    def collected(self, q: Tensor) -> Tensor:
        """Return the sum over samples and places that look up the same row."""
        heads, n, _ = q.shape[-3:]
        places = ops.transpose(ops.sum(ops.reshape(q, (-1, heads, n * n)), axis=0))
        rows = ops.convert_to_tensor(np.ravel(self.index), "int32")
        return ops.segment_sum(places, rows, num_segments=self.bias.shape[0])


# Parameter-free maps ---------------------------------------------------------------------------


class Free(Step):
    """A step without parameters."""

    def forward(self, *values: Tensor) -> Tensor:
        """Return the output at the actual inputs."""
        raise NotImplementedError

    def pull(self, values: Sequence[Tensor], q: Tensor, magnitude: bool) -> list[Tensor]:
        """Return ``J^T q``, or ``|J|^T q``, for each input."""
        raise NotImplementedError

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t`` or ``|J| t``."""
        raise NotImplementedError


class Symmetric(Free):
    """A map of one tensor whose Jacobian is symmetric."""

    def pull(self, values: Sequence[Tensor], q: Tensor, magnitude: bool) -> list[Tensor]:
        """Return ``J^T q``, or ``|J|^T q``."""
        return [self.push(values, [q], magnitude)]


@dataclass(frozen=True, eq=False)
class Map(Free):
    """A map whose Jacobian has no negative entry, such as max pooling."""

    function: Callable[..., Tensor]

    def forward(self, *values: Tensor) -> Tensor:
        """Return the output at the actual inputs."""
        return self.function(*values)

    def pull(self, values: Sequence[Tensor], q: Tensor, magnitude: bool) -> list[Tensor]:
        """Return ``J^T q``, or ``|J|^T q``, for each input."""
        return pull_back(self.function, values, q)

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t`` or ``|J| t``."""
        return push_forward(self.function, values, t)


@dataclass(frozen=True, eq=False)
class Linear(Map):
    """A map ``function(x) = linear(x) + constant``; `absolute` has its coefficients' sizes."""

    linear: Callable[..., Tensor]
    absolute: Callable[..., Tensor]

    def pull(self, values: Sequence[Tensor], q: Tensor, magnitude: bool) -> list[Tensor]:
        """Return ``J^T q``, or ``|J|^T q``."""
        return pull_back(self.absolute if magnitude else self.linear, values, q)

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t``, or ``|J| t``."""
        return (self.absolute if magnitude else self.linear)(*t)


class ChannelAffine(Linear):
    """A linear map channel by channel: a batch norm in inference mode."""


class Elementwise(Symmetric, Map):
    """An activation function: its Jacobian is a slope for each entry, and so symmetric."""

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t``, or ``|J| t``."""
        slope = pull_back(self.function, values, ops.ones_like(values[0]))[0]
        return t[0] * sizes(slope, magnitude)


class Product(Map):
    """A product of tensors, entry by entry or summed: the Jacobian by one holds the others."""

    def pull(self, values: Sequence[Tensor], q: Tensor, magnitude: bool) -> list[Tensor]:
        """Return ``J^T q``, or ``|J|^T q``."""
        return super().pull([sizes(v, magnitude) for v in values], q, magnitude)

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t``, or ``|J| t``."""
        return super().push([sizes(v, magnitude) for v in values], t, magnitude)


def sizes(x: Tensor, magnitude: bool) -> Tensor:
    """Return x or |x|."""
    return ops.abs(x) if magnitude else x


def _channel_sums(x: Tensor, groups: int) -> Tensor:
    """Sum over the channels of each group: (..., channels) -> (..., groups)."""
    if x.shape[-1] == groups:
        return x
    if groups == 1:
        return ops.sum(x, axis=-1, keepdims=True)
    return ops.sum(ops.reshape(x, (*x.shape[:-1], groups, x.shape[-1] // groups)), axis=-1)


def _spread(x: Tensor, channels: int) -> Tensor:
    """Repeat each group's value over its channels: (..., groups) -> (..., channels)."""
    groups = x.shape[-1]
    if groups == channels:
        return x
    if groups == 1:
        return ops.broadcast_to(x, (*x.shape[:-1], channels))
    return ops.repeat(x, channels // groups, axis=-1)
