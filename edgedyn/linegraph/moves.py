"""Three moves of which every parameter-free operation is made, axis by axis.

An operation says, for each of its inputs, which moves lead from the input's neurons to those of the
output. Shapes, reachability and real neurons all follow from the same moves.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedyn.linegraph.windows import counts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Along:
    """Along each axis a matrix of path counts, shape (positions after, before); None: identity."""

    maps: "tuple[csr_array | None, ...]"

    def shape(self, before: Shape) -> Shape:
        """Return the shape after the move."""
        pairs = zip(self.maps, before, strict=True)
        return tuple(n if m is None else m.shape[0] for m, n in pairs)


@dataclass(frozen=True)
class Reorder:
    """Exchange axes: axis k of the result is axis ``order[k]`` of the input."""

    order: tuple[int, ...]

    def shape(self, before: Shape) -> Shape:
        """Return the shape after the move."""
        return tuple(before[k] for k in self.order)


@dataclass(frozen=True)
class Regroup:
    """The same neurons in C-order under another shape."""

    new: Shape

    def shape(self, before: Shape) -> Shape:
        """Return the shape after the move."""
        return self.new


Move = Along | Reorder | Regroup


def shape_after(moves: Sequence[Move], shape: Shape) -> Shape:
    """Return the shape after some moves."""
    for move in moves:
        shape = move.shape(shape)
    return shape


def carry(moves: Sequence[Move], values: NDArray[Any]) -> NDArray[Any]:
    """Return the array pushed along some moves: each entry sums what reaches it."""
    for move in moves:
        if isinstance(move, Along):
            for axis, matrix in enumerate(move.maps):
                if matrix is not None:
                    rows = np.moveaxis(values, axis, 0)
                    pushed = matrix @ rows.reshape(len(rows), -1)
                    pushed = pushed.reshape(matrix.shape[0], *rows.shape[1:])
                    values = np.moveaxis(pushed, 0, axis)
        elif isinstance(move, Reorder):
            values = values.transpose(move.order)
        else:
            values = values.reshape(move.new)
    return values


def section(n: int, total: int, start: int) -> "csr_array":
    """Return the matrix that puts n positions at `start` of `total`; negative starts crop."""
    kept = np.arange(max(0, -start), min(n, total - start))
    return counts(kept + start, kept, (total, n))


def spread(n: int, total: int) -> "csr_array":
    """Return the matrix of ones from n positions to `total`."""
    from scipy.sparse import csr_array

    return csr_array(np.ones((total, n), np.int64))


def broadcast(shape: Shape, target: Shape) -> list[Move]:
    """Return the moves that repeat a tensor to a larger shape, as numpy does."""
    moves: list[Move] = []
    padded = (1,) * (len(target) - len(shape)) + shape
    if padded != shape:
        moves.append(Regroup(padded))
    if padded != target:
        pairs = zip(padded, target, strict=True)
        moves.append(Along(tuple(None if n == m else spread(n, m) for n, m in pairs)))
    return moves
