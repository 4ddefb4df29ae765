"""The line graph's links as explicit CSR arrays."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from edgedyn._array import Array
from edgedyn.linegraph.limits import check_bytes
from edgedyn.linegraph.reach import Block, Parameter, Reach

INT32_LIMIT = 2**31 - 1


def index_dtype(n_links: int, n_nodes: int) -> np.dtype[Any]:
    """Return int32, or int64 where a number of links or nodes does not fit."""
    return np.dtype(np.int32 if max(n_links, n_nodes) <= INT32_LIMIT else np.int64)


def check_matrix_bytes(
    n_links: int, shape: tuple[int, int], data_kind: np.dtype[Any], max_bytes: int
) -> np.dtype[Any]:
    """Refuse a CSR matrix that is too large; return the type of its indices."""
    index_kind = index_dtype(n_links, max(shape))
    needed = n_links * (index_kind.itemsize + data_kind.itemsize)
    needed += (shape[0] + 1) * index_kind.itemsize
    ways = "use in_degree() and out_degree(), block by block, a smaller dtype"
    check_bytes(needed, max_bytes, f"the matrix of {n_links:,} links", ways)
    return index_kind


class Rows:
    """The rows of one parameter's nodes: one pattern of columns for each group of ends.

    The blocks lead into the target, in the order of their sources; node `origin` has column 0;
    `kind` is the columns' type. Where only some groups of ends are `chosen`, they are numbered
    anew.
    """

    def __init__(
        self,
        target: Parameter,
        blocks: Sequence[Block],
        origin: int,
        values: str,
        kind: np.dtype[Any],
        chosen: Array | None = None,
    ) -> None:
        from edgedyn.linegraph._kernels import fill_patterns, sort_patterns

        self.target = target
        lengths = row_lengths(target, blocks)
        if chosen is not None:
            lengths = lengths[chosen]
        self.starts = np.concatenate([[0], np.cumsum(lengths)])
        self.columns = np.empty(self.starts[-1], kind)
        self.values = np.empty(self.starts[-1], np.int64)
        ends = self.starts[:-1].copy()
        for block in blocks:
            matrix, entries = block.counts(values), block.source.entries
            if chosen is not None:
                matrix = matrix[chosen]
            links = (matrix.indptr, matrix.indices, matrix.data)
            senders = (entries.start_numbers, entries.step, entries.fan)
            first = block.source.offset - origin
            fill_patterns(len(lengths), *links, *senders, first, ends, self.columns, self.values)
        sort_patterns(self.starts, self.columns, self.values)

    def groups(self) -> Array:
        """Return the group of ends of every node, in node order."""
        entries = self.target.entries
        groups = np.empty(entries.size, index_dtype(entries.ends.n, 0))
        entries.view(groups)[...] = entries.ends.of
        return groups

    @property
    def n_links(self) -> int:
        """Links of all rows."""
        return int(np.diff(self.starts) @ self.target.entries.ending)

    def links_of(self, groups: Array) -> int:
        """Return the links of some nodes' rows, given their `groups`."""
        lengths = np.diff(self.starts)
        return int(lengths @ np.bincount(groups, minlength=len(lengths)))

    def fill(self, groups: Array, links: int, indptr: Array, indices: Array) -> None:
        """Write the ends and columns of some nodes' rows, given their `groups`.

        `links` lie before them.
        """
        from edgedyn.linegraph._kernels import copy_patterns

        copy_patterns(groups, self.starts, self.columns, links, indptr, indices)

    def fill_values(self, groups: Array, values: Array, data: Array) -> None:
        """Write the values of some nodes' rows, given their `groups`; `values` have data's type."""
        from edgedyn.linegraph._kernels import copy_patterns

        ends = np.empty(len(groups), np.int64)  # which nobody wants twice
        copy_patterns(groups, self.starts, values, 0, ends, data)

    def copies(self, groups: Array) -> tuple[Array, Array, Array]:
        """Return the lengths, columns and values of the rows of some nodes, given their groups."""
        from edgedyn.linegraph._kernels import copy_patterns

        lengths = np.diff(self.starts)[groups]
        columns, values = (np.empty(lengths.sum(), p.dtype) for p in (self.columns, self.values))
        for part, copy in ((self.columns, columns), (self.values, values)):
            copy_patterns(groups, self.starts, part, 0, np.empty_like(lengths), copy)
        return lengths, columns, values


class Piece(NamedTuple):
    """Some consecutive rows of the matrix, from `row` on.

    How many links each has; the links' columns and values, row by row, sorted within a row.
    """

    row: int
    lengths: Array
    columns: Array
    values: Array


def row_pieces(reach: Reach, values: str, kind: np.dtype[Any], limit: int) -> Iterator[Piece]:
    """Yield all rows with links, in order, few at a time; their columns have the given type.

    A piece has at most `limit` rows and links; a longer row is a piece of its own.
    """
    for target in reach.parameters:
        blocks = reach.into(target)
        lengths = row_lengths(target, blocks)
        if not lengths.any():
            continue
        # Where no two nodes share a pattern, the patterns are as many as the links: then only
        # those of the piece are built.
        shared = Rows(target, blocks, 0, values, kind) if lengths.sum() <= limit else None
        for row, groups in _group_pieces(target, lengths, limit):
            rows = shared
            if rows is None:
                chosen, inverse = np.unique(groups, return_inverse=True)
                groups = inverse.astype(groups.dtype)
                rows = Rows(target, blocks, 0, values, kind, chosen)
            yield Piece(row, *rows.copies(groups))


def length_pieces(reach: Reach, limit: int) -> Iterator[Array]:
    """Yield how many links the rows have, all rows in order, `limit` at a time at most."""
    for target in reach.parameters:
        lengths = row_lengths(target, reach.into(target))
        for first in range(0, target.entries.size, limit):
            yield lengths[_groups_between(target, first, first + limit)]


def _group_pieces(target: Parameter, lengths: Array, limit: int) -> Iterator[tuple[int, Array]]:
    """Yield rows, and the groups of the nodes from there on, with at most `limit` links."""
    for first in range(0, target.entries.size, limit):
        groups = _groups_between(target, first, first + limit)
        ends = np.cumsum(lengths[groups])
        at = 0
        while at < len(groups):
            before = ends[at - 1] if at else 0
            stop = max(int(np.searchsorted(ends, before + limit, "right")), at + 1)
            yield target.offset + first + at, groups[at:stop]
            at = stop


def _groups_between(parameter: Parameter, first: int, stop: int) -> Array:
    """Return the groups of ends of some nodes: a part of `Rows.groups`, without the rest."""
    ends = parameter.entries.ends
    return parameter.entries.in_order(ends.of).flat[first:stop].astype(index_dtype(ends.n, 0))


def row_lengths(target: Parameter, blocks: Sequence[Block]) -> Array:
    """Return how many links a node of each group of ends receives through some blocks."""
    lengths = np.zeros(target.entries.ends.n, np.int64)
    for block in blocks:
        lengths += np.diff(block.paths.indptr).astype(np.int64) * block.source.entries.fan
    return lengths


def structure(
    parameters: Iterable[Parameter],
    blocks: Sequence[Block],
    n_rows: int,
    n_links: int,
    origin: int,
    kind: np.dtype[Any],
    values: str = "links",
    data: Array | None = None,
) -> tuple[Array, Array]:
    """Return the CSR arrays (indices, indptr) of the rows of some parameters, one after another.

    Where `data` is given, the values, ones or multiplicities, are written into it. Two threads
    write half the rows of each parameter: one core alone does not fill the memory's bandwidth.
    """
    indices, indptr = np.empty(n_links, kind), np.empty(n_rows + 1, kind)
    indptr[0] = row = links = 0

    def write(
        rows: Rows, own: Array | None, groups: Array, row: int, first: int, last: int
    ) -> None:
        rows.fill(groups, first, indptr[row + 1 : row + 1 + len(groups)], indices[first:last])
        if data is None:
            return
        if own is None:
            data[first:last] = 1
        else:
            rows.fill_values(groups, own, data[first:last])

    with ThreadPoolExecutor(1) as other:  # neither holds the interpreter's lock for long
        written = []
        for parameter in parameters:
            into = [block for block in blocks if block.target is parameter]
            rows = Rows(parameter, into, origin, values, kind)
            own = None if data is None or values == "links" else rows.values.astype(data.dtype)
            groups, last = rows.groups(), links + rows.n_links
            half = len(groups) // 2
            middle = links + rows.links_of(groups[:half])
            written.append(other.submit(write, rows, own, groups[half:], row + half, middle, last))
            write(rows, own, groups[:half], row, links, middle)
            row, links = row + len(groups), last
        for one in written:
            one.result()
    return indices, indptr


def block_matrix(
    parameters: Sequence[Parameter],
    blocks: Sequence[Block],
    shape: tuple[int, int],
    origin: int,
    values: str,
    dtype: Any,
    max_bytes: int,
) -> csr_array:
    """Return the rows of some parameters as a matrix; node `origin` has column 0.

    Refused where it would take more than `max_bytes`, before anything is allocated.
    """
    n_links, data_kind = sum(b.n_links for b in blocks), np.dtype(dtype)
    index_kind = check_matrix_bytes(n_links, shape, data_kind, max_bytes)
    data = np.empty(n_links, data_kind)
    indices, indptr = structure(
        parameters, blocks, shape[0], n_links, origin, index_kind, values, data
    )
    matrix = csr_array((data, indices, indptr), shape=shape)
    matrix.has_canonical_format = True  # by construction: sorted, no duplicates
    return matrix
