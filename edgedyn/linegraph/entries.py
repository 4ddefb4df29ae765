"""The parameters of one layer as nodes: grouped by where their routes begin and where they end.

Two entries of a kernel whose routes end at the same neurons receive the same links; two whose
routes begin at the same neurons send the same. There are few such groups: a tap and an output
channel, a tap and an input channel. All counting happens between groups.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedyn.linegraph.layers import Geometry
from edgedyn.linegraph.moves import Shape, size
from edgedyn.linegraph.terms import Term, rectangles

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Entries:
    """One parameter, kernel or bias, seen as an array (taps..., inputs, groups, outputs).

    Parameters
    ----------
    shape : tuple of int
        That array's shape.
    ends : ndarray of int
        The group of each entry by the ends of its routes, of length 1 along axes that do not
        matter; they decide what the entry receives.
    n_ends : int
    starts : ndarray of int or None
        Likewise by the beginnings, which decide what it sends; None for a bias, which sends
        nothing.
    n_starts : int
    outputs_first : bool
        Whether the parameter is held with the outputs before the inputs.
    """

    shape: Shape
    ends: Array
    n_ends: int
    starts: Array | None
    n_starts: int
    outputs_first: bool = False

    @property
    def size(self) -> int:
        """Number of entries."""
        return size(self.shape)

    @property
    def fan(self) -> int:
        """How many entries begin where one does."""
        return self.shape[-1]

    def view(self, flat: Array) -> Array:
        """Return values in node order as a view of this array's shape."""
        if not self.outputs_first:
            return flat.reshape(self.shape)
        *taps, inputs, _, outputs = self.shape
        return flat.reshape((*taps, outputs, 1, inputs)).swapaxes(-1, -3)

    @cached_property
    def members(self) -> Array:
        """How many entries each group of ends has."""
        repeated = self.size // self.ends.size
        return repeated * np.bincount(self.ends.ravel(), minlength=self.n_ends)

    @cached_property
    def start_numbers(self) -> Array:
        """Number of the first entry that begins in each group; the others follow by `step`."""
        assert self.starts is not None
        *taps, inputs, groups, outputs = self.shape
        tap = np.arange(size(tuple(taps)))[:, None, None]
        i, g = np.arange(inputs)[:, None], np.arange(groups)
        if self.outputs_first:
            numbers = tap * (outputs * inputs) + i + 0 * g
        else:
            numbers = ((tap * inputs + i) * groups + g) * outputs
        first = np.empty(self.n_starts, np.int64)
        first[self.starts.ravel()] = numbers.ravel()
        return first

    @property
    def step(self) -> int:
        """Distance in node order between entries that begin at the same neurons."""
        return self.shape[-3] if self.outputs_first else 1

    def of_node(self, groups: Array, number: int) -> int:
        """Return the group of the entry with this number."""
        place: list[int] = []
        *taps, inputs, _, outputs = self.shape
        lengths = (*taps, outputs, 1, inputs) if self.outputs_first else self.shape
        for length in reversed(lengths):
            number, coordinate = divmod(number, length)
            place.insert(0, coordinate)
        if self.outputs_first:
            place[-1], place[-3] = place[-3], place[-1]
        inside = (p if n > 1 else 0 for p, n in zip(place, groups.shape, strict=True))
        return int(groups[tuple(inside)])

    def ending_in(self, group: int) -> Array:
        """Return the numbers of the entries that end in a group."""
        wide = tuple(n if m == 1 else m for n, m in zip(self.shape, self.ends.shape, strict=True))
        place = np.nonzero(np.broadcast_to(self.ends == group, wide))
        if self.outputs_first:
            *taps, inputs, _, outputs = self.shape
            *tap, i, _, o = place
            return np.sort(np.ravel_multi_index((*tap, o, i), (*taps, outputs, inputs)))
        return np.ravel_multi_index(place, self.shape)

    def sums(self, groups: Array, n_groups: int, flat: Array) -> Array:
        """Sum values in node order over each group."""
        axes = tuple(k for k, n in enumerate(groups.shape) if n == 1)
        total = self.view(flat).sum(axis=axes, keepdims=True)
        return np.bincount(groups.ravel(), total.ravel(), minlength=n_groups)


def kernel_entries(geometry: Geometry, real: Array | None) -> tuple[Entries, tuple[Term, ...]]:
    """Return a kernel's entries, and the paths from them to the layer's own output.

    Parameters
    ----------
    geometry : Geometry
    real : ndarray of bool or None
        Which neurons of the input are real; None: all. Others are padding, from which no route
        begins.
    """
    taps, n_in, n_out = geometry.taps, geometry.n_in, geometry.n_out
    kinds, kind = _kinds_of_channels(geometry, real)
    tap = np.arange(size(taps)).reshape(*taps, 1, 1, 1)
    if geometry.channelwise:
        many = n_out // n_in
        shape = (*taps, n_in, 1, many)
        ends = tap * n_out + np.arange(n_out).reshape(n_in, 1, many)
        starts = tap * n_in + np.arange(n_in).reshape(n_in, 1, 1)
        n_ends = size(taps) * n_out
    else:
        groups = geometry.groups
        shape = (*taps, n_in // groups, groups, n_out // groups)
        outputs = np.arange(n_out).reshape(groups, n_out // groups)
        inputs = np.arange(n_in).reshape(groups, n_in // groups).T[:, :, None]
        which = kind[inputs] if len(kinds) > 1 else np.zeros((1, 1, 1), np.int64)
        ends = (tap * max(len(kinds), 1) + which) * n_out + outputs
        starts = tap * n_in + inputs
        n_ends = size(taps) * max(len(kinds), 1) * n_out
    entries = Entries(shape, ends, n_ends, starts, size(taps) * n_in, geometry.outputs_first)
    return entries, _first_terms(geometry, kinds, kind)


def bias_entries(geometry: Geometry) -> tuple[Entries, tuple[Term, ...]]:
    """Return a bias' entries, which use all positions, and the paths to the layer's output."""
    n = geometry.n_out
    numbers = np.arange(n).reshape(1, 1, n)
    entries = Entries((1, 1, n), numbers, n, None, 0)
    ones = [_dense(np.ones((w.n_out, 1), np.int64)) for w in geometry.windows]
    factors = (*ones, _identity(np.ones(n, bool)))
    return entries, (Term(factors, tuple(range(len(factors)))),)


def _kinds_of_channels(geometry: Geometry, real: Array | None) -> tuple[list[Array], Array]:
    """Return the different sets of real positions, and which of them each channel has."""
    positions = tuple(w.n_in for w in geometry.windows)
    if real is None:
        return [np.ones(positions, bool)], np.zeros(geometry.n_in, np.int64)
    rows, which = np.unique(real.reshape(-1, geometry.n_in).T, axis=0, return_inverse=True)
    return [row.reshape(positions) for row in rows], which.ravel()


def _first_terms(geometry: Geometry, kinds: list[Array], kind: Array) -> tuple[Term, ...]:
    """Return the paths from a kernel's groups of ends to its output, one term a rectangle."""
    terms = []
    rank, n_out = len(geometry.windows), geometry.n_out
    for number, positions in enumerate(kinds):
        if geometry.channelwise:
            extra = [_identity(np.repeat(kind == number, n_out // geometry.n_in))]
        else:
            one = np.zeros((1, len(kinds)), np.int64)
            one[0, number] = 1
            extra = [_dense(one), _identity(np.ones(n_out, bool))]
        for product in rectangles(positions):
            pairs = zip(geometry.windows, product, strict=True)
            factors = (*(w.writes(indicator) for w, indicator in pairs), *extra)
            terms.append(Term(factors, (*range(rank), len(factors) - 1)))
    return tuple(terms)


def _identity(kept: Array) -> "csr_array":
    """Return the identity restricted to some channels."""
    from scipy.sparse import csr_array

    numbers = np.flatnonzero(kept)
    ones = np.ones(len(numbers), np.int64)
    return csr_array((ones, (numbers, numbers)), shape=(len(kept), len(kept)))


def _dense(matrix: Array) -> "csr_array":
    """Return a small matrix as a sparse one."""
    from scipy.sparse import csr_array

    return csr_array(matrix)
