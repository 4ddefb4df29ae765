"""Passes over the links of a network in CSR form; compiled on first call and kept on disk.

Rows are cut out first: counted from 0 in a slice, a place needs no look at whether it is negative.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def csr_degrees(data, indices, indptr, first, last, in_degree, out_degree):
    """Add the degrees of rows first..last; return sum |A| and -1, or the place of a bad index.

    One pass over the arrays in the order they lie in the file, so that memory-mapped ones stream.
    """
    n = out_degree.size
    absolute = 0.0
    for i in range(first, last):
        row = slice(indptr[i], indptr[i + 1])
        weights, sources = data[row], indices[row]
        total = 0.0
        for k in range(weights.size):
            j = sources[k]
            if j < 0 or j >= n:
                return absolute, indptr[i] + k
            weight = np.float64(weights[k])
            total += weight
            absolute += abs(weight)
            out_degree[j] += weight
        in_degree[i] = total
    return absolute, -1


@njit(cache=True, nogil=True, error_model="numpy")
def mutualistic_rate(data, indices, indptr, x, constants, rate):
    """Mutualistic right-hand side; constants (B, C, K, D, E, H)."""
    B, C, K, D, E, H = constants
    for i in range(x.size):
        xi = x[i]
        base = D + E * xi
        row = slice(indptr[i], indptr[i + 1])
        weights, sources = data[row], indices[row]
        total = 0.0
        for k in range(weights.size):
            xj = x[sources[k]]
            total += weights[k] * xj / (base + H * xj)
        rate[i] = B + xi * (1 - xi / K) * (xi / C - 1) + xi * total


@njit(cache=True, nogil=True, error_model="numpy")
def mutualistic_linear(data, indices, indptr, x, constants, rate, diagonal, links):
    """Rate with its derivatives: `diagonal` by x_i as the receiver, `links` by each sender."""
    B, C, K, D, E, H = constants
    for i in range(x.size):
        xi = x[i]
        base = D + E * xi
        row = slice(indptr[i], indptr[i + 1])
        weights, sources, slopes = data[row], indices[row], links[row]
        total = 0.0
        slope = 0.0
        for k in range(weights.size):
            xj = x[sources[k]]
            inverse = 1 / (base + H * xj)
            part = weights[k] * inverse
            sent = part * xj
            total += sent
            slope += sent * inverse
            slopes[k] = xi * base * part * inverse
        rate[i] = B + xi * (1 - xi / K) * (xi / C - 1) + xi * total
        own = (1 - xi / K) * (xi / C - 1) + xi * ((1 - xi / K) / C - (xi / C - 1) / K)
        diagonal[i] = own + total - E * xi * slope


def edge_kernels(f, g):
    """Return (rate, linear) for two compiled scalar functions, compiled on first call.

    Derivatives are one-sided differences: half of the digits, which Newton's method does not
    notice, and no value left of a state's lower bound is asked for.
    """

    @njit(nogil=True, error_model="numpy")
    def rate_kernel(data, indices, indptr, x, constants, rate):
        for i in range(x.size):
            row = slice(indptr[i], indptr[i + 1])
            weights, sources = data[row], indices[row]
            total = 0.0
            for k in range(weights.size):
                total += weights[k] * g(x[i], x[sources[k]])
            rate[i] = f(x[i]) + total

    @njit(nogil=True, error_model="numpy")
    def linear_kernel(data, indices, indptr, x, constants, rate, diagonal, links):
        for i in range(x.size):
            xi = x[i]
            step = 1.5e-8 * max(1.0, abs(xi))
            row = slice(indptr[i], indptr[i + 1])
            weights, sources, slopes = data[row], indices[row], links[row]
            total = 0.0
            slope = 0.0
            for k in range(weights.size):
                xj = x[sources[k]]
                step_j = 1.5e-8 * max(1.0, abs(xj))
                here = g(xi, xj)
                total += weights[k] * here
                slope += weights[k] * ((g(xi + step, xj) - here) / step)
                slopes[k] = weights[k] * ((g(xi, xj + step_j) - here) / step_j)
            own = f(xi)
            rate[i] = own + total
            diagonal[i] = (f(xi + step) - own) / step + slope

    return rate_kernel, linear_kernel
