"""Path counts from a layer's parameters to the neurons of a tensor, factored along the axes.

Along a chain of operations the number of paths separates: one small matrix an axis. Over parallel
branches it does not; there it is a sum of such products, one term a branch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csr_array, eye_array

from edgedyn.linegraph.moves import Along, Move, Regroup, Reorder, Shape

_MANY_TERMS = 16


@dataclass(frozen=True, eq=False)
class Term:
    """A product of path counts.

    Factors are matrices (positions along an axis, sources); the sources of all together, in
    C-order, are the columns of the product. `axes` tells which factor each axis of the tensor
    belongs to, None for an axis of length 1 that belongs to none; factors that no axis names have
    one row. None altogether: one factor whose rows are the neurons in C-order.
    """

    factors: tuple[csr_array, ...]
    axes: tuple[int | None, ...] | None


def multiply_out(term: Term, shape: Shape) -> csr_array:
    """Return the product, shape (neurons, sources)."""
    if term.axes is None:
        return term.factors[0]
    stride = {k: prod(shape[a + 1 :]) for a, k in enumerate(term.axes) if k is not None}
    n_sources = prod(f.shape[1] for f in term.factors)
    rows = columns = np.zeros(1, np.int64)
    data, left = np.ones(1, np.int64), n_sources
    for k, factor in enumerate(term.factors):
        left //= factor.shape[1]
        part = factor.tocoo()
        r, c = (np.asarray(x, np.int64) for x in part.coords)
        rows = np.add.outer(rows, r * stride.get(k, 0)).ravel()
        columns = np.add.outer(columns, c * left).ravel()
        data = np.multiply.outer(data, part.data).ravel()
    return coo_array((data, (rows, columns)), shape=(prod(shape), n_sources)).tocsr()


def advance(terms: Sequence[Term], moves: Sequence[Move], shape: Shape) -> tuple[Term, ...]:
    """Return the terms of a tensor of the given shape after some moves."""
    for move in moves:
        terms = tuple(_moved(term, move, shape) for term in terms)
        shape = move.shape(shape)
    return tuple(terms)


def gather(branches: Sequence[Sequence[Term]], shape: Shape) -> tuple[Term, ...]:
    """Return the terms of parallel branches as one sum; many of them are multiplied out."""
    terms = tuple(term for branch in branches for term in branch)
    if len(terms) <= _MANY_TERMS:
        return terms
    return (Term((add_up(terms, shape),), None),)


def add_up(terms: Sequence[Term], shape: Shape) -> csr_array:
    """Return the sum of the terms, multiplied out."""
    first, *others = terms
    return sum((multiply_out(term, shape) for term in others), multiply_out(first, shape))


def _moved(term: Term, move: Move, shape: Shape) -> Term:
    """Advance one term by one move."""
    if isinstance(move, Regroup):
        return _regrouped(term, move, shape)
    if isinstance(move, Reorder):
        if term.axes is not None:
            return Term(term.factors, tuple(term.axes[k] for k in move.order))
        numbers = np.arange(prod(shape)).reshape(shape).transpose(move.order).ravel()
        return Term((term.factors[0][numbers],), None)
    if term.axes is None:
        return Term((kron(move, shape) @ term.factors[0],), None)
    factors, axes = list(term.factors), list(term.axes)
    for axis, matrix in enumerate(move.maps):
        if matrix is None:
            continue
        k = axes[axis]
        if k is None:  # an axis of length 1 gets positions: a factor with a single source
            axes[axis] = len(factors)
            factors.append(matrix)
        else:
            factors[k] = matrix @ factors[k]
    return Term(tuple(factors), tuple(axes))


def _regrouped(term: Term, move: Regroup, shape: Shape) -> Term:
    """Give the neurons another shape; the factors stay where only axes of length 1 differ."""
    if term.axes is None:
        return term
    if [n for n in shape if n != 1] == [n for n in move.new if n != 1]:
        long = iter(k for k, n in zip(term.axes, shape, strict=True) if n != 1)
        return Term(term.factors, tuple(next(long) if n != 1 else None for n in move.new))
    return Term((multiply_out(term, shape),), None)


def kron(move: Along, shape: Shape) -> csr_array:
    """Return a move along the axes as one matrix between neurons in C-order."""
    factors = tuple(
        eye_array(n, dtype=np.int64, format="csr") if m is None else m
        for m, n in zip(move.maps, shape, strict=True)
    )
    return multiply_out(Term(factors, tuple(range(len(factors)))), move.shape(shape))


def rectangles(real: NDArray[Any]) -> list[tuple[NDArray[Any], ...]]:
    """Return disjoint products of positions that make up a set, one indicator an axis each."""
    if real.ndim == 0:
        return [()] if real else []
    rows, which = np.unique(real.reshape(len(real), -1), axis=0, return_inverse=True)
    found = []
    for k, row in enumerate(rows):
        for rest in rectangles(row.reshape(real.shape[1:])):
            found.append((which.ravel() == k, *rest))
    return found
