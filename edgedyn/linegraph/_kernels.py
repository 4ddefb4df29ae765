"""Index arrays of the line graph; compiled on first call and kept on disk."""

import numpy as np
from numba import njit


@njit(cache=True)
def fill_block(indptr, indices, links, first, n_in, n_mid, n_out, has_bias):  # type: ignore[no-untyped-def]
    """Fill the rows of one layer's nodes: kernel (i, j) in C-order, then bias i.

    Node (i, .) of the layer is linked from the next layer's kernel entries (k, i), whose numbers
    are ``first + k * n_mid + i``. Returns the number of links so far.
    """
    row = 0
    for i in range(n_mid):
        for _ in range(n_in):
            row += 1
            indptr[row] = links + row * n_out
    at = links
    head = np.empty(n_out, indices.dtype)
    for i in range(n_mid):
        for k in range(n_out):
            head[k] = first + k * n_mid + i
        for _ in range(n_in):
            indices[at : at + n_out] = head
            at += n_out
    if has_bias:
        for i in range(n_mid):
            for k in range(n_out):
                indices[at + k] = first + k * n_mid + i
            at += n_out
            row += 1
            indptr[row] = at
    return at
