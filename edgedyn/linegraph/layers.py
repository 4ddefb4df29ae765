"""Layers with parameters of a neural network G_A: the parameters are the nodes of G_B.

Shapes are those of one sample, channels last, and kernels are shaped as Keras holds them.
"""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from edgedyn import _validate as check
from edgedyn.linegraph.moves import Shape
from edgedyn.linegraph.windows import Window, checked_padding, per_axis, transposed_window, window


@dataclass(frozen=True)
class Geometry:
    """A layer on inputs of a known shape: windows along the positions, mixing of channels."""

    windows: tuple[Window, ...]  # one for each axis but the channels
    n_in: int  # channels before
    n_out: int  # channels after
    kernel_shape: Shape  # as the layer holds it
    bias: bool  # whether there is one
    _: KW_ONLY
    kernel: bool = True  # whether there is one
    groups: int = 1  # groups of channels that do not mix
    channelwise: bool = False  # input channels have outputs of their own: n_out = n_in * multiplier
    outputs_first: bool = False  # the kernel's output channels come before its input channels
    cuts: bool = True  # paths end here; False for a shift, which only adds its bias

    @property
    def out_shape(self) -> Shape:
        """Shape of the output."""
        return (*(w.n_out for w in self.windows), self.n_out)

    @property
    def taps(self) -> Shape:
        """Taps of the kernel along each axis."""
        return tuple(w.taps for w in self.windows)


class Layer:
    """An operation with parameters."""

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape; a TypeError or ValueError if none fits."""
        raise NotImplementedError


@dataclass(frozen=True)
class Dense(Layer):
    """A weighted sum over the last axis.

    Parameters
    ----------
    units : int
        Outputs.
    bias : bool
        Whether there is one; a node with ``nodes="all"``.
    kernel : {"inputs x outputs", "outputs x inputs"}
        How the kernel is held, which orders its nodes: as Keras does, or as the matrices of
        `edgedyn.ReLUMLP`.
    """

    units: int
    bias: bool = True
    kernel: str = "inputs x outputs"

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape."""
        units = check.positive_int(self.units, "units")
        check.choice(self.kernel, "kernel", ("inputs x outputs", "outputs x inputs"))
        turned = self.kernel == "outputs x inputs"
        n = shape[-1]
        held = (units, n) if turned else (n, units)
        windows, bias = _pointwise(shape), bool(self.bias)
        return Geometry(windows, n, units, held, bias, outputs_first=turned)


class _Windowed(Layer):
    """What convolutions have in common."""

    rank: ClassVar[int] = 2
    kernel_size: Any
    strides: Any
    padding: Any
    dilation: Any

    def _steps(self, shape: Shape) -> list[tuple[int, ...]]:
        """Return positions, taps, stride and dilation of each axis, or refuse another number."""
        if len(shape) != self.rank + 1:
            axes = {1: "(positions, channels)", 2: "(rows, columns, channels)"}[self.rank]
            raise ValueError(f"{type(self).__name__} takes inputs {axes}; got shape {shape}.")
        names = ("kernel_size", "strides", "dilation")
        values = (per_axis(getattr(self, name), self.rank, name) for name in names)
        return list(zip(shape[:-1], *values, strict=True))

    def _windows(self, shape: Shape) -> tuple[Window, ...]:
        """Return one window an axis."""
        steps, name = self._steps(shape), type(self).__name__
        pads = checked_padding(self.padding, self.rank, "padding")
        axes = zip(steps, pads, strict=True)
        return tuple(window(n, k, s, d, pad, name) for (n, k, s, d), pad in axes)


@dataclass(frozen=True)
class Conv2D(_Windowed):
    """A two-dimensional convolution; kernel (rows, columns, inputs / groups, outputs).

    Parameters
    ----------
    filters : int
        Output channels.
    kernel_size, strides, dilation : int or one an axis
    padding : {"valid", "same"} or one pair (before, after) an axis
    groups : int
        Groups of channels that do not mix; divides inputs and outputs.
    bias : bool
    """

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: Any = "valid"
    dilation: Any = 1
    groups: int = 1
    bias: bool = True

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape."""
        windows = self._windows(shape)
        filters = check.positive_int(self.filters, "filters")
        groups = check.positive_int(self.groups, "groups")
        if shape[-1] % groups or filters % groups:
            raise ValueError(
                f"groups={groups} must divide the {shape[-1]} channels before and the {filters} "
                "after."
            )
        held = (*(w.taps for w in windows), shape[-1] // groups, filters)
        return Geometry(windows, shape[-1], filters, held, bool(self.bias), groups=groups)


class Conv1D(Conv2D):
    """A `Conv2D` along one axis; kernel (positions, inputs / groups, outputs)."""

    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class Conv2DTranspose(_Windowed):
    """A transposed convolution; kernel (rows, columns, outputs, inputs).

    Parameters
    ----------
    filters, kernel_size, strides, dilation, bias
        As for `Conv2D`.
    padding : {"valid", "same"}
        ``same`` gives ``n * stride`` positions.
    """

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: Any = "valid"
    dilation: Any = 1
    bias: bool = True

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape."""
        steps = self._steps(shape)
        check.choice(self.padding, "padding", ("valid", "same"))
        windows = tuple(transposed_window(n, k, s, d, self.padding) for n, k, s, d in steps)
        filters = check.positive_int(self.filters, "filters")
        held = (*(w.taps for w in windows), filters, shape[-1])
        return Geometry(windows, shape[-1], filters, held, bool(self.bias), outputs_first=True)


@dataclass(frozen=True)
class DepthwiseConv2D(_Windowed):
    """A convolution channel by channel; kernel (rows, columns, channels, multiplier).

    Parameters
    ----------
    kernel_size, strides, padding, dilation, bias
        As for `Conv2D`.
    multiplier : int
        Outputs of each channel; output ``c * multiplier + m`` is the m-th of channel c.
    """

    kernel_size: Any
    strides: Any = 1
    padding: Any = "valid"
    dilation: Any = 1
    multiplier: int = 1
    bias: bool = True

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape."""
        windows, n = self._windows(shape), shape[-1]
        many = check.positive_int(self.multiplier, "multiplier")
        held, bias = (*(w.taps for w in windows), n, many), bool(self.bias)
        return Geometry(windows, n, n * many, held, bias, groups=n, channelwise=True)


@dataclass(frozen=True)
class SeparableConv2D:
    """A depthwise and a pointwise convolution: two layers with parameters, the bias the latter's.

    Parameters
    ----------
    filters, kernel_size, strides, padding, dilation, bias
        As for `Conv2D`.
    multiplier : int
        Of the depthwise part.
    """

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: Any = "valid"
    dilation: Any = 1
    multiplier: int = 1
    bias: bool = True

    def parts(self) -> tuple[DepthwiseConv2D, Conv2D]:
        """Return both layers."""
        depthwise = DepthwiseConv2D(
            self.kernel_size, self.strides, self.padding, self.dilation, self.multiplier, False
        )
        return depthwise, Conv2D(self.filters, 1, bias=self.bias)


@dataclass(frozen=True)
class Scale(Layer):
    """One factor gamma and one shift beta a channel: a batch norm's own parameters.

    With ``nodes="kernels"`` a batch norm is parameter-free; with ``nodes="all"`` its gamma is a
    kernel and its beta a bias. Without gamma, beta receives links, sends none and cuts no path.

    Parameters
    ----------
    gamma, beta : bool
        Whether there are such parameters.
    """

    gamma: bool = True
    beta: bool = True

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape."""
        windows, n, gamma = _pointwise(shape), shape[-1], bool(self.gamma)
        options = {"kernel": gamma, "channelwise": True, "cuts": gamma}
        return Geometry(windows, n, n, (n,), bool(self.beta), groups=n, **options)


def _pointwise(shape: Shape) -> tuple[Window, ...]:
    """Return windows of one tap."""
    return tuple(Window(n, n) for n in shape[:-1])
