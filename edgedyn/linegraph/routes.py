"""Parameter-free operations of a neural network G_A: which neurons lead to which.

Every operation names, for each input, the moves of `edgedyn.linegraph.moves` that lead to its
output. Paths count: two of them between the same neurons add up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any, ClassVar

import numpy as np

from edgedyn.linegraph.moves import Along, Move, Regroup, Reorder, Shape, broadcast, section, spread
from edgedyn.linegraph.windows import checked_padding, counts, per_axis, window


class Route:
    """A parameter-free operation.

    Subclasses name how many inputs they take and the moves from each of them.
    """

    n_inputs: ClassVar[tuple[int, float]] = (1, 1)

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return the moves from each input of the given shape to the output."""
        raise NotImplementedError


@dataclass(frozen=True)
class Identity(Route):
    """Neuron by neuron: activations, dropout, rescaling, normalisation by constants."""

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return no moves."""
        return [[]]


@dataclass(frozen=True)
class ZeroPadding(Route):
    """Zeros around the positions; they are no neurons.

    Parameters
    ----------
    padding : int, or a pair (before, after) for each axis but the channels
    """

    padding: Any

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return sections of longer axes."""
        pairs = _pairs(self.padding, len(shapes[0]) - 1, "ZeroPadding")
        sizes = zip(pairs, shapes[0][:-1], strict=True)
        return [[Along((*(section(n, a + n + b, a) for (a, b), n in sizes), None))]]


@dataclass(frozen=True)
class Cropping(Route):
    """Positions cut off the borders.

    Parameters
    ----------
    cropping : int, or a pair (before, after) for each axis but the channels
    """

    cropping: Any

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return sections of shorter axes."""
        pairs = _pairs(self.cropping, len(shapes[0]) - 1, "Cropping")
        sizes = tuple(zip(pairs, shapes[0][:-1], strict=True))
        if any(a + b >= n for (a, b), n in sizes):
            raise ValueError(f"Cropping {pairs} leaves nothing of shape {shapes[0]}.")
        return [[Along((*(section(n, n - a - b, -a) for (a, b), n in sizes), None))]]


@dataclass(frozen=True)
class Pooling(Route):
    """Maximum or average over windows: every neuron of a window leads to the result.

    Parameters
    ----------
    size : int or one an axis
    strides : int or one an axis, optional
        By default the size.
    padding : {"valid", "same"} or one pair (before, after) an axis
    """

    size: Any = 2
    strides: Any = None
    padding: Any = "valid"

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return a window along each axis but the channels."""
        rank = len(shapes[0]) - 1
        size = per_axis(self.size, rank, "the pooling size")
        strides = size if self.strides is None else per_axis(self.strides, rank, "strides")
        padding = checked_padding(self.padding, rank, "the padding of a pooling")
        axes = zip(shapes[0][:-1], size, strides, padding, strict=True)
        maps = [window(n, k, s, 1, pad, "a pooling").passes() for n, k, s, pad in axes]
        return [[Along((*maps, None))]]


@dataclass(frozen=True)
class GlobalPooling(Route):
    """Maximum or average over all positions.

    Parameters
    ----------
    keepdims : bool
        Whether axes of length 1 remain.
    """

    keepdims: bool = False

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return one window over everything."""
        *positions, channels = shapes[0]
        moves: list[Move] = [Along((*(spread(n, 1) for n in positions), None))]
        return [moves if self.keepdims else [*moves, Regroup((channels,))]]


@dataclass(frozen=True)
class UpSampling(Route):
    """Positions repeated, or interpolated between two neighbours along each axis.

    Parameters
    ----------
    size : int or one an axis
    interpolation : {"nearest", "bilinear"}
        Bilinear with half-pixel centres; a neighbour of weight zero is not read.
    """

    size: Any = 2
    interpolation: str = "nearest"

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return which positions each new one reads."""
        if self.interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                f"interpolation must be 'nearest' or 'bilinear'; got {self.interpolation!r}."
            )
        factors = per_axis(self.size, len(shapes[0]) - 1, "the size of an up-sampling")
        return [[Along((*map(self._axis, shapes[0][:-1], factors), None))]]

    def _axis(self, n: int, factor: int) -> Any:
        """Return the matrix of one axis."""
        new = np.arange(n * factor)
        if self.interpolation == "nearest":
            return counts(new, new // factor, (n * factor, n))
        # Twice the place (new + 1/2) / factor - 1/2 times the factor, in integers.
        low, rest = np.divmod(2 * new + 1 - factor, 2 * factor)
        ends = [np.clip(low, 0, n - 1), np.clip(low + (rest > 0), 0, n - 1)]
        both = ends[0] != ends[1]
        rows = np.concatenate([new, new[both]])
        return counts(rows, np.concatenate([ends[0], ends[1][both]]), (n * factor, n))


@dataclass(frozen=True)
class Flatten(Route):
    """All neurons in C-order along one axis."""

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return the same neurons under one axis."""
        return [[Regroup((prod(shapes[0]),))]]


@dataclass(frozen=True)
class Reshape(Route):
    """The same neurons in C-order under another shape.

    Parameters
    ----------
    shape : tuple of int
        Without the batch; one entry may be -1.
    """

    shape: tuple[int, ...]

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return the new shape."""
        total, new = prod(shapes[0]), tuple(int(n) for n in self.shape)
        if new.count(-1) == 1:
            known = prod(n for n in new if n != -1)
            new = tuple(total // max(known, 1) if n == -1 else n for n in new)
        if not new or min(new) < 1 or prod(new) != total:
            raise ValueError(f"shape {shapes[0]} cannot become {self.shape}: {total} neurons.")
        return [[Regroup(new)]]


@dataclass(frozen=True)
class Permute(Route):
    """Axes in another order: axis k of the result is axis ``order[k]`` of the input, from 0."""

    order: tuple[int, ...]

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return the new order."""
        if sorted(self.order) != list(range(len(shapes[0]))):
            raise ValueError(f"order {self.order} does not permute the axes of {shapes[0]}.")
        return [[Reorder(tuple(self.order))]]


@dataclass(frozen=True)
class Merge(Route):
    """Neuron by neuron from several inputs of broadcastable shapes.

    Sums, averages, differences, maxima, minima and products alike: a change of either input reaches
    the result, so that each gives a path.
    """

    n_inputs: ClassVar[tuple[int, float]] = (2, float("inf"))

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return each input broadcast to the common shape."""
        try:
            target = np.broadcast_shapes(*shapes)
        except ValueError:
            raise ValueError(f"shapes {', '.join(map(str, shapes))} do not fit together.") from None
        return [broadcast(shape, target) for shape in shapes]


class Add(Merge):
    """A sum of several inputs of broadcastable shapes; each gives a path."""


class Multiply(Merge):
    """A product, such as squeeze-and-excitation's; a path leads through each factor."""


@dataclass(frozen=True)
class Concatenate(Route):
    """Inputs behind one another along an axis.

    Parameters
    ----------
    axis : int
        Without the batch: 0 is the first of a neuron's coordinates, -1 the channels.
    """

    axis: int = -1
    n_inputs: ClassVar[tuple[int, float]] = (1, float("inf"))

    def moves(self, shapes: Sequence[Shape]) -> list[list[Move]]:
        """Return one section for each input."""
        rank = len(shapes[0])
        if not -rank <= self.axis < rank:
            raise ValueError(f"axis {self.axis} does not exist in shape {shapes[0]}.")
        axis = self.axis % rank
        if len({(*s[:axis], 0, *s[axis + 1 :]) for s in shapes}) > 1:
            raise ValueError(
                f"shapes {', '.join(map(str, shapes))} differ elsewhere than along axis {axis}."
            )
        lengths = [s[axis] for s in shapes]
        starts = accumulate(lengths[:-1], initial=0)
        sections = (section(n, sum(lengths), k) for n, k in zip(lengths, starts, strict=True))
        before, after = (None,) * axis, (None,) * (rank - axis - 1)
        return [[Along((*before, matrix, *after))] for matrix in sections]


@dataclass(frozen=True)
class Opaque(Route):
    """Any operation on what no parameter influences, such as preprocessing; no path is followed.

    Parameters
    ----------
    shape : tuple of int
        Of the output, all of it real neurons.
    """

    shape: tuple[int, ...]
    n_inputs: ClassVar[tuple[int, float]] = (1, float("inf"))


def _pairs(value: Any, rank: int, what: str) -> tuple[tuple[int, int], ...]:
    """Return one pair (before, after) an axis from an integer, a pair each or an integer each."""
    if isinstance(value, int):
        value = ((value, value),) * rank
    return checked_padding([(v, v) if isinstance(v, int) else v for v in value], rank, what)
