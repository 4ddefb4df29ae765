"""The operations a network is made of: layers with weights, and parameter-free maps.

Each knows its forward pass at the actual parameters and, for the sweeps over the line graph, the
same operation with a kernel of ones (``f(1, u)``, its transpose, and the gradient by the kernel)
or its Jacobian. With a kernel of ones all output channels are equal: one sum over the channels
and one box filter do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras import ops

from edgedyn.nn.graph.autodiff import pull_back, push_forward

Tensor = Any


@dataclass(frozen=True, eq=False)
class Step:
    """One operation between numbered tensors.

    Parameters
    ----------
    name : str
    inputs : tuple of int
    output : int
    structure : edgedyn.linegraph layer or route
        What it is to the line graph.
    """

    name: str
    inputs: tuple[int, ...]
    output: int
    structure: Any = field(kw_only=True)


def read(variable: Any) -> Tensor:
    """Return a Keras variable's present value as a tensor."""
    return ops.convert_to_tensor(variable.value)


# Layers with weights ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Layer(Step):
    """An operation ``f(kernel, u) + bias``, linear in the kernel; the kernel's entries are nodes.

    Parameters
    ----------
    kernel : variable
        As the Keras layer holds it.
    bias : variable or None
    bias_is_node : bool
        Whether the bias belongs to the line graph.
    """

    kernel: Any
    bias: Any
    bias_is_node: bool

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
        kernel = read(self.kernel)
        return pull_back(lambda k: self.apply(k, u), [kernel], q)[0]

    def ones_forward(self, u: Tensor) -> Tensor:
        """Return ``f(1, u)``."""
        raise NotImplementedError

    def ones_pull(self, u: Tensor, e: Tensor) -> Tensor:
        """Return ``f(1, .)^T e``."""
        raise NotImplementedError


class Dense(Layer):
    """``u @ kernel`` on the last axis; kernel of shape (inputs, outputs)."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return ops.matmul(u, kernel)

    def ones_forward(self, u: Tensor) -> Tensor:
        """Return ``f(1, u)``."""
        return _spread(ops.sum(u, axis=-1, keepdims=True), self.kernel.shape[1])

    def ones_pull(self, u: Tensor, e: Tensor) -> Tensor:
        """Return ``f(1, .)^T e``."""
        return _spread(ops.sum(e, axis=-1, keepdims=True), self.kernel.shape[0])


@dataclass(frozen=True, eq=False)
class Windowed(Layer):
    """A layer whose kernel slides over positions."""

    strides: tuple[int, ...]
    padding: str
    dilation: tuple[int, ...]

    @property
    def window(self) -> dict[str, Any]:
        """The window as the convolutions of keras.ops take it."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "data_format": "channels_last",
            "dilation_rate": self.dilation,
        }


@dataclass(frozen=True, eq=False)
class Conv(Windowed):
    """Convolution; kernel of shape (taps along each axis, inputs / groups, outputs)."""

    channels: int

    @property
    def groups(self) -> int:
        """How many groups of channels do not mix."""
        return self.channels // self.kernel.shape[-2]

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Convolve, group by group: some backends cannot differentiate grouped ones."""
        if self.groups == 1:
            return self._convolve(u, kernel)
        inputs, kernels = ops.split(u, self.groups, -1), ops.split(kernel, self.groups, -1)
        parts = [self._convolve(v, k) for v, k in zip(inputs, kernels, strict=True)]
        return ops.concatenate(parts, -1)

    def _convolve(self, u: Tensor, kernel: Tensor) -> Tensor:
        """Convolve without groups."""
        return ops.conv(u, kernel, **self.window)

    def _box(self, s: Tensor) -> Tensor:
        """Convolve each of the groups' channel sums with a window of ones."""
        taps = self.kernel.shape[:-2]
        if len(set(self.strides)) == 1:
            ones = ops.ones((*taps, self.groups, 1), s.dtype)
            return ops.depthwise_conv(s, ones, **self.window)
        # Depthwise convolutions are not there for strides that differ along the axes.
        ones = ops.ones((*taps, 1, 1), s.dtype)
        parts = [self._convolve(v, ones) for v in ops.split(s, self.groups, -1)]
        return parts[0] if self.groups == 1 else ops.concatenate(parts, -1)

    def ones_forward(self, u: Tensor) -> Tensor:
        """Return ``f(1, u)``."""
        return _spread(self._box(_channel_sums(u, self.groups)), self.kernel.shape[-1])

    def ones_pull(self, u: Tensor, e: Tensor) -> Tensor:
        """Return ``f(1, .)^T e``."""
        like = _channel_sums(u, self.groups)
        pulled = pull_back(self._box, [like], _channel_sums(e, self.groups))[0]
        return _spread(pulled, self.channels)


class ConvTranspose(Windowed):
    """Transposed convolution; kernel of shape (taps along each axis, outputs, inputs)."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return ops.conv_transpose(u, kernel, **self.window)

    def _box(self, s: Tensor) -> Tensor:
        """Spread channel sums by a window of ones."""
        return self.apply(ops.ones((*self.kernel.shape[:-2], 1, 1), s.dtype), s)

    def ones_forward(self, u: Tensor) -> Tensor:
        """Return ``f(1, u)``."""
        return _spread(self._box(_channel_sums(u, 1)), self.kernel.shape[-2])

    def ones_pull(self, u: Tensor, e: Tensor) -> Tensor:
        """Return ``f(1, .)^T e``."""
        pulled = pull_back(self._box, [_channel_sums(u, 1)], _channel_sums(e, 1))[0]
        return _spread(pulled, self.kernel.shape[-1])


class DepthwiseConv(Windowed):
    """Convolution channel by channel; kernel (taps along each axis, channels, multiplier)."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return ops.depthwise_conv(u, kernel, **self.window)

    def _box(self, u: Tensor) -> Tensor:
        """Convolve with a window of ones, which all multipliers share."""
        ones = ops.ones((*self.kernel.shape[:-1], 1), u.dtype)
        return ops.depthwise_conv(u, ones, **self.window)

    def ones_forward(self, u: Tensor) -> Tensor:
        """Return ``f(1, u)``."""
        return _spread(self._box(u), self.kernel.shape[-2] * self.kernel.shape[-1])

    def ones_pull(self, u: Tensor, e: Tensor) -> Tensor:
        """Return ``f(1, .)^T e``."""
        return pull_back(self._box, [u], _channel_sums(e, self.kernel.shape[-2]))[0]


class Scale(Layer):
    """``gamma * u`` channel by channel: a batch norm's weights as nodes of their own."""

    def apply(self, kernel: Tensor, u: Tensor) -> Tensor:
        """Return ``f(kernel, u)``."""
        return kernel * u

    def ones_forward(self, u: Tensor) -> Tensor:
        """Return ``f(1, u)``."""
        return u

    def ones_pull(self, u: Tensor, e: Tensor) -> Tensor:
        """Return ``f(1, .)^T e``."""
        return e


@dataclass(frozen=True, eq=False)
class Shift(Step):
    """A batch norm's beta without gamma: bias nodes that receive, send nothing, and cut no path."""

    bias: Any

    def forward(self, u: Tensor, bias: Tensor = None) -> Tensor:
        """Return ``u + beta``."""
        return u + (read(self.bias) if bias is None else bias)


# Parameter-free maps ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Map(Step):
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


class Elementwise(Map):
    """An activation function: its Jacobian is a slope for each entry."""

    def _slope(self, value: Tensor, magnitude: bool) -> Tensor:
        slope = pull_back(self.function, [value], ops.ones_like(value))[0]
        return ops.abs(slope) if magnitude else slope

    def pull(self, values: Sequence[Tensor], q: Tensor, magnitude: bool) -> list[Tensor]:
        """Return ``J^T q``, or ``|J|^T q``."""
        return [q * self._slope(values[0], magnitude)]

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t``, or ``|J| t``."""
        return t[0] * self._slope(values[0], magnitude)


class Product(Map):
    """A product of tensors: the Jacobian by one holds the others."""

    def pull(self, values: Sequence[Tensor], q: Tensor, magnitude: bool) -> list[Tensor]:
        """Return ``J^T q``, or ``|J|^T q``."""
        return pull_back(self.function, _sizes(values, magnitude), q)

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t``, or ``|J| t``."""
        return push_forward(self.function, _sizes(values, magnitude), t)


def _sizes(values: Sequence[Tensor], magnitude: bool) -> list[Tensor]:
    """Return the values, or their absolute values."""
    return [ops.abs(v) for v in values] if magnitude else list(values)


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
