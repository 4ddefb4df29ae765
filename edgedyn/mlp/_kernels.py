"""Element-wise passes of training, fused; compiled on first call and kept on disk."""

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def add_bias_relu(a, b):
    """Replace a by max(a + b, 0); rows are samples."""
    for s in range(a.shape[0]):
        for i in range(a.shape[1]):
            v = a[s, i] + b[i]
            a[s, i] = v if not v <= 0 else 0  # a NaN passes, so that divergence is seen


@njit(cache=True, error_model="numpy")
def relu_backward(e, z):
    """Multiply the cotangent by the ReLU's derivative, read off its output."""
    for s in range(e.shape[0]):
        for i in range(e.shape[1]):
            if z[s, i] <= 0:
                e[s, i] = 0


@njit(cache=True, error_model="numpy")
def softmax_error(a, labels):
    """Replace logits by softmax - onehot; return the summed cross-entropy."""
    total = 0.0
    for s in range(a.shape[0]):
        top = a[s].max()
        norm = 0.0
        truth = a[s, labels[s]] - top
        for k in range(a.shape[1]):
            a[s, k] = np.exp(a[s, k] - top)
            norm += a[s, k]
        rest = 0.0
        for k in range(a.shape[1]):
            a[s, k] /= norm
            if k != labels[s]:
                rest += a[s, k]
        # -sum of the others is p - 1 without the cancellation that would stop at 1e-16.
        a[s, labels[s]] = -rest
        total += np.log(norm) - truth
    return total


@njit(cache=True, error_model="numpy")
def sgd_step(theta, gradient, rate):
    """Plain gradient step in place."""
    for p in range(gradient.size):
        theta[p] -= rate * gradient[p]


@njit(cache=True, error_model="numpy")
def adam_step(theta, gradient, m, v, step, rate):
    """Adam (Kingma and Ba, ICLR 2015, algorithm 1) with its published constants, in place."""
    b1, b2, eps = 0.9, 0.999, 1e-8
    one = theta.dtype.type(1.0)
    c1 = theta.dtype.type(rate / (1 - b1**step))
    c2 = theta.dtype.type(1 / np.sqrt(1 - b2**step))
    d1, d2, e = theta.dtype.type(b1), theta.dtype.type(b2), theta.dtype.type(eps)
    for p in range(gradient.size):
        g = gradient[p]
        m[p] = d1 * m[p] + (one - d1) * g
        v[p] = d2 * v[p] + (one - d2) * g * g
        theta[p] -= c1 * m[p] / (np.sqrt(v[p]) * c2 + e)
