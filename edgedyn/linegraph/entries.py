"""The parameters of one layer as nodes: grouped by where their routes begin and where they end.

Two entries of a kernel whose routes end at the same neurons receive the same links; two whose
routes begin at the same neurons send the same. There are few such groups: a tap and an output
channel, a tap and an input channel. All counting happens between groups.
"""

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from edgedyn._array import Array
from edgedyn.linegraph.layers import Geometry
from edgedyn.linegraph.moves import Shape, spread
from edgedyn.linegraph.terms import Term, rectangles
from edgedyn.linegraph.windows import counts


class Groups(NamedTuple):
    """The group of each entry, of length 1 along axes that do not matter; and how many there are.

    Some may have no entries.
    """

    of: Array
    n: int


@dataclass(frozen=True, eq=False)
class Entries:
    """One parameter, kernel or bias, seen as an array (taps..., inputs, groups, outputs).

    Grouped by the ends of the entries' routes, which decide what they receive, and by the
    beginnings, which decide what they send. A bias sends nothing: its entries are one group.
    `outputs_first` tells whether the parameter is held with the outputs before the inputs.
    """

    shape: Shape
    ends: Groups
    starts: Groups
    outputs_first: bool = False

    @property
    def size(self) -> int:
        """Number of entries."""
        return prod(self.shape)

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

    def in_order(self, of_groups: Array) -> Array:
        """Return an array like ``ends.of`` repeated for all entries, its C-order that of nodes."""
        wide = np.broadcast_to(of_groups, self.shape)
        return wide.swapaxes(-1, -3) if self.outputs_first else wide

    def members(self, groups: Groups) -> Array:
        """How many entries each group has."""
        repeated = self.size // groups.of.size
        return repeated * np.bincount(groups.of.ravel(), minlength=groups.n)

    @cached_property
    def ending(self) -> Array:
        """How many entries each group of ends has."""
        return self.members(self.ends)

    @cached_property
    def start_numbers(self) -> Array:
        """Number of the first entry that begins in each group; the others follow by `step`."""
        *taps, inputs, groups, outputs = self.shape
        tap = np.arange(prod(taps))[:, None, None]
        i, g = np.arange(inputs)[:, None], np.arange(groups)
        if self.outputs_first:
            numbers = tap * (outputs * inputs) + i + 0 * g
        else:
            numbers = ((tap * inputs + i) * groups + g) * outputs
        first = np.empty(self.starts.n, np.int64)
        first[self.starts.of.ravel()] = numbers.ravel()
        return first

    @property
    def step(self) -> int:
        """Distance in node order between entries that begin at the same neurons."""
        return self.shape[-3] if self.outputs_first else 1

    def ending_in(self, group: int) -> Array:
        """Return the numbers of the entries that end in a group."""
        return np.flatnonzero(self.in_order(self.ends.of == group))

    def sums(self, groups: Groups, flat: Array) -> Array:
        """Sum values in node order over each group."""
        axes = tuple(k for k, n in enumerate(groups.of.shape) if n == 1)
        total = self.view(flat).sum(axis=axes, keepdims=True)
        return np.bincount(groups.of.ravel(), total.ravel(), minlength=groups.n)


def kernel_entries(geometry: Geometry, real: Array | None) -> tuple[Entries, tuple[Term, ...]]:
    """Return a kernel's entries, and the paths from them to the layer's own output.

    From neurons of the input that are not `real` (None: all are) but padding no route begins.
    """
    taps, n_in, n_out = geometry.taps, geometry.n_in, geometry.n_out
    kinds, kind = _kinds_of_channels(geometry, real)
    tap = np.arange(prod(taps)).reshape(*taps, 1, 1, 1)
    n_ends = prod(taps) * n_out
    if geometry.channelwise:
        many = n_out // n_in
        shape = (*taps, n_in, 1, many)
        ends = tap * n_out + np.arange(n_out).reshape(n_in, 1, many)
        inputs = np.arange(n_in).reshape(n_in, 1, 1)
    else:
        groups = geometry.groups
        shape = (*taps, n_in // groups, groups, n_out // groups)
        outputs = np.arange(n_out).reshape(groups, n_out // groups)
        inputs = np.arange(n_in).reshape(groups, n_in // groups).T[:, :, None]
        which = kind[inputs] if len(kinds) > 1 else np.zeros((1, 1, 1), np.int64)
        ends = (tap * max(len(kinds), 1) + which) * n_out + outputs
        n_ends *= max(len(kinds), 1)
    starts = Groups(tap * n_in + inputs, prod(taps) * n_in)
    entries = Entries(shape, Groups(ends, n_ends), starts, geometry.outputs_first)
    return entries, _first_terms(geometry, kinds, kind)


def bias_entries(geometry: Geometry) -> tuple[Entries, tuple[Term, ...]]:
    """Return a bias' entries, which use all positions, and the paths to the layer's output."""
    n = geometry.n_out
    numbers = np.arange(n).reshape(1, 1, n)
    entries = Entries((1, 1, n), Groups(numbers, n), Groups(np.zeros((1, 1, 1), np.int64), 1))
    factors = (*(spread(1, w.n_out) for w in geometry.windows), _identity(np.ones(n, bool)))
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
            extra = [csr_array(one), _identity(np.ones(n_out, bool))]
        for product in rectangles(positions):
            pairs = zip(geometry.windows, product, strict=True)
            factors = (*(w.writes(indicator) for w, indicator in pairs), *extra)
            terms.append(Term(factors, (*range(rank), len(factors) - 1)))
    return tuple(terms)


def _identity(kept: Array) -> csr_array:
    """Return the identity restricted to some channels."""
    numbers = np.flatnonzero(kept)
    return counts(numbers, numbers, (len(kept), len(kept)))
