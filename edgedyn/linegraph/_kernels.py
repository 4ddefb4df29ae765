"""Index arrays of the line graph; compiled on first call and kept on disk."""

from numba import njit


@njit(cache=True)
def fill_patterns(groups, indptr, indices, data, first, step, fan, origin, ends, columns, values):
    """Append one block's columns to the patterns of the groups of rows.

    Row group e of the block, CSR ``(indptr, indices, data)``, is linked from the entries
    ``origin + first[t] + f * step``, f below `fan`, of every group t in it; `ends` holds where the
    next column of each group goes and is moved on.
    """
    for e in range(groups):
        at = ends[e]
        for k in range(indptr[e], indptr[e + 1]):
            start, several = origin + first[indices[k]], data[k]
            column, value = columns[at : at + fan], values[at : at + fan]
            for f in range(fan):  # counted from 0 in all, the loop becomes vector instructions
                column[f] = start + f * step
                value[f] = several
            at += fan
        ends[e] = at


@njit(cache=True)
def sort_patterns(starts, columns, values):
    """Sort each group's columns where they are not, and their values with them."""
    for e in range(len(starts) - 1):
        a, b = starts[e], starts[e + 1]
        for k in range(a + 1, b):
            if columns[k] < columns[k - 1]:
                order = columns[a:b].argsort()
                columns[a:b] = columns[a:b][order]
                values[a:b] = values[a:b][order]
                break


@njit(cache=True, nogil=True)
def copy_patterns(groups, starts, columns, links, indptr, indices):
    """Write the CSR rows of nodes from the patterns of their groups; `links` count the rows before.

    The patterns are columns or values; `indptr` holds the ends of the rows, one a node.
    """
    at = 0
    for row in range(len(groups)):
        a, b = starts[groups[row]], starts[groups[row] + 1]
        pattern, written = columns[a:b], indices[at : at + b - a]
        for k in range(len(pattern)):  # counted from 0 in both, the loop becomes a block copy
            written[k] = pattern[k]
        at += b - a
        indptr[row] = links + at
