"""Layers with parameters of a neural network G_A: the parameters are the nodes of G_B.

Shapes are those of one sample, channels last, and kernels are shaped as Keras holds them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from edgedyn import _validate as check
from edgedyn.linegraph.moves import Shape
from edgedyn.linegraph.windows import (
    Padding,
    Window,
    checked_padding,
    per_axis,
    transposed_window,
    window,
)


@dataclass(frozen=True)
class Geometry:
    """A layer applied to inputs of a known shape: windows along the positions, mixing of channels.

    Parameters
    ----------
    windows : tuple of Window
        One for each axis but the channels.
    n_in, n_out : int
        Channels before and after.
    groups : int
        Groups of channels that do not mix.
    channelwise : bool
        Whether each input channel has outputs of its own (``n_out = n_in * multiplier``).
    outputs_first : bool
        Whether the kernel's output channels come before its input channels.
    kernel, bias : bool
        Whether there are such parameters.
    kernel_shape : tuple of int
        As the layer holds it.
    cuts : bool
        Whether paths end here: false for a shift, which only adds its bias.
    """

    windows: tuple[Window, ...]
    n_in: int
    n_out: int
    groups: int
    channelwise: bool
    outputs_first: bool
    kernel: bool
    bias: bool
    kernel_shape: Shape
    cuts: bool = True

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
        """Return the layer on inputs of the given shape.

        Raises
        ------
        TypeError, ValueError
            For parameters or a shape that do not fit.
        """
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
        return Geometry(
            windows=_pointwise(shape),
            n_in=n,
            n_out=units,
            groups=1,
            channelwise=False,
            outputs_first=turned,
            kernel=True,
            bias=bool(self.bias),
            kernel_shape=(units, n) if turned else (n, units),
        )


@dataclass(frozen=True)
class _Windowed(Layer):
    """What convolutions have in common."""

    rank: ClassVar[int]

    def _rank(self, shape: Shape) -> int:
        """Check the number of axes."""
        if len(shape) != self.rank + 1:
            axes = {1: "(positions, channels)", 2: "(rows, columns, channels)"}[self.rank]
            raise ValueError(f"{type(self).__name__} takes inputs {axes}; got shape {shape}.")
        return self.rank

    def _windows(
        self, shape: Shape, kernel_size: Any, strides: Any, padding: Any, dilation: Any
    ) -> tuple[Window, ...]:
        """Return one window an axis."""
        rank = self._rank(shape)
        pads: Padding = checked_padding(padding, rank, "padding")
        sizes = per_axis(kernel_size, rank, "kernel_size")
        steps = zip(
            shape[:-1],
            sizes,
            per_axis(strides, rank, "strides"),
            per_axis(dilation, rank, "dilation"),
            strict=True,
        )
        return tuple(
            window(n, k, s, d, pads if isinstance(pads, str) else pads[axis], type(self).__name__)
            for axis, (n, k, s, d) in enumerate(steps)
        )


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
    rank: ClassVar[int] = 2

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape."""
        windows = self._windows(shape, self.kernel_size, self.strides, self.padding, self.dilation)
        filters = check.positive_int(self.filters, "filters")
        groups = check.positive_int(self.groups, "groups")
        if shape[-1] % groups or filters % groups:
            raise ValueError(
                f"groups={groups} must divide the {shape[-1]} channels before and the {filters} "
                "after."
            )
        taps = tuple(w.taps for w in windows)
        return Geometry(
            windows=windows,
            n_in=shape[-1],
            n_out=filters,
            groups=groups,
            channelwise=False,
            outputs_first=False,
            kernel=True,
            bias=bool(self.bias),
            kernel_shape=(*taps, shape[-1] // groups, filters),
        )


class Conv1D(Conv2D):
    """A one-dimensional convolution; kernel (positions, inputs / groups, outputs).

    Parameters are those of `Conv2D`.
    """

    rank: ClassVar[int] = 1


@dataclass(frozen=True)
class Conv2DTranspose(_Windowed):
    """A transposed convolution; kernel (rows, columns, outputs, inputs).

    Parameters
    ----------
    filters : int
    kernel_size, strides, dilation : int or one an axis
    padding : {"valid", "same"}
        ``same`` gives ``n * stride`` positions.
    bias : bool
    """

    filters: int
    kernel_size: Any
    strides: Any = 1
    padding: Any = "valid"
    dilation: Any = 1
    bias: bool = True
    rank: ClassVar[int] = 2

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape."""
        rank = self._rank(shape)
        check.choice(self.padding, "padding", ("valid", "same"))
        steps = zip(
            shape[:-1],
            per_axis(self.kernel_size, rank, "kernel_size"),
            per_axis(self.strides, rank, "strides"),
            per_axis(self.dilation, rank, "dilation"),
            strict=True,
        )
        windows = tuple(transposed_window(n, k, s, d, self.padding) for n, k, s, d in steps)
        filters = check.positive_int(self.filters, "filters")
        return Geometry(
            windows=windows,
            n_in=shape[-1],
            n_out=filters,
            groups=1,
            channelwise=False,
            outputs_first=True,
            kernel=True,
            bias=bool(self.bias),
            kernel_shape=(*(w.taps for w in windows), filters, shape[-1]),
        )


@dataclass(frozen=True)
class DepthwiseConv2D(_Windowed):
    """A convolution channel by channel; kernel (rows, columns, channels, multiplier).

    Parameters
    ----------
    kernel_size, strides, dilation : int or one an axis
    padding : {"valid", "same"} or one pair (before, after) an axis
    multiplier : int
        Outputs of each channel; output ``c * multiplier + m`` is the m-th of channel c.
    bias : bool
    """

    kernel_size: Any
    strides: Any = 1
    padding: Any = "valid"
    dilation: Any = 1
    multiplier: int = 1
    bias: bool = True
    rank: ClassVar[int] = 2

    def geometry(self, shape: Shape) -> Geometry:
        """Return the layer on inputs of the given shape."""
        windows = self._windows(shape, self.kernel_size, self.strides, self.padding, self.dilation)
        many = check.positive_int(self.multiplier, "multiplier")
        n = shape[-1]
        return Geometry(
            windows=windows,
            n_in=n,
            n_out=n * many,
            groups=n,
            channelwise=True,
            outputs_first=False,
            kernel=True,
            bias=bool(self.bias),
            kernel_shape=(*(w.taps for w in windows), n, many),
        )


@dataclass(frozen=True)
class SeparableConv2D:
    """A depthwise and a pointwise convolution: two layers with parameters, the bias the latter's.

    Parameters
    ----------
    filters : int
    kernel_size, strides, dilation : int or one an axis
    padding : {"valid", "same"} or one pair (before, after) an axis
    multiplier : int
        Of the depthwise part.
    bias : bool
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
        n = shape[-1]
        return Geometry(
            windows=_pointwise(shape),
            n_in=n,
            n_out=n,
            groups=n,
            channelwise=True,
            outputs_first=False,
            kernel=bool(self.gamma),
            bias=bool(self.beta),
            kernel_shape=(n,),
            cuts=bool(self.gamma),
        )


def _pointwise(shape: Sequence[int]) -> tuple[Window, ...]:
    """Return windows of one tap."""
    return tuple(Window(n, n) for n in shape[:-1])
