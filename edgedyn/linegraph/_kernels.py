"""Index arrays of the line graph; compiled on first call and kept on disk."""

from numba import njit


@njit(cache=True)
def fill_block(indptr, indices, links, first, n_in, n_mid, n_out):
    """Fill the CSR rows of one layer's nodes: kernel (i, j) in C-order, then bias i, if any.

    Every node that leads into neuron i is linked from the next layer's kernel entries (k, i),
    whose numbers are ``first + k * n_mid + i``. `indptr` holds the ends of the layer's rows, one
    a node; `indices` their links; `links` counts those of the rows before.
    """
    for row in range(len(indptr)):
        indptr[row] = links + (row + 1) * n_out
    n_kernel = n_mid * n_in
    n_bias = len(indptr) - n_kernel
    kernel = indices[: n_kernel * n_out].reshape(n_mid, n_in, n_out)
    bias = indices[n_kernel * n_out :].reshape(n_bias, n_out)
    for i in range(n_mid):
        for j in range(n_in):
            for k in range(n_out):
                kernel[i, j, k] = first + k * n_mid + i
    for i in range(n_bias):
        for k in range(n_out):
            bias[i, k] = first + k * n_mid + i
