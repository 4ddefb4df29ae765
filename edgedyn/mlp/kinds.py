"""What dense and scale layers do with vectors, one row a sample.

A dense layer joins every input to every neuron, ``a = W z + b``; a scale layer joins input i to
neuron i, ``a_i = gamma_i z_i + beta_i``. All the closed forms need are the same few sums and
products, written once a kind.
"""

import numpy as np

from edgedyn._array import Array
from edgedyn.mlp.records import LayerRecord


class Dense:
    """Every input to every neuron; z are inputs, e cotangents, W weights."""

    mixes = True

    def sum_in(self, z: Array, bias: bool) -> Array:
        """Sum the inputs (1 for a bias node) over the weights into each neuron."""
        return (row_sums(z) + (1 if bias else 0))[:, None]

    def sum_out(self, e: Array) -> Array:
        """Sum the cotangents over the weights out of each input."""
        return row_sums(e)[:, None]

    def gradient(self, e: Array, z: Array) -> Array:
        """Sum ``e_k z_j`` over samples for every weight."""
        return e.T @ z

    def push(self, z: Array, W: Array) -> Array:
        """Return ``W z``."""
        return z @ W.T

    def pull(self, e: Array, W: Array) -> Array:
        """Return ``W' e``."""
        return e @ W

    def at(self, record: LayerRecord, neuron: int | None, source: int | None) -> LayerRecord:
        """Keep only the inputs of one neuron, or the neurons that one input reaches."""
        return record


class _Scale(Dense):
    """The same where weights form a diagonal: input i to neuron i."""

    mixes = False

    def sum_in(self, z: Array, bias: bool) -> Array:
        return z + 1 if bias else z

    def sum_out(self, e: Array) -> Array:
        return e

    def gradient(self, e: Array, z: Array) -> Array:
        return np.einsum("si,si->i", e, z)

    def push(self, z: Array, W: Array) -> Array:
        return z * W

    def pull(self, e: Array, W: Array) -> Array:
        return e * W

    def at(self, record: LayerRecord, neuron: int | None, source: int | None) -> LayerRecord:
        if source is not None:
            return record._replace(cotangent=record.cotangent[:, source, None])
        return record._replace(activation=record.activation[:, neuron, None])


KINDS = {"dense": Dense(), "scale": _Scale()}


def row_sums(a: Array) -> Array:
    """Sum over a sample's neurons, by BLAS where the array is one."""
    if not any(a.strides):
        return np.full(len(a), a.shape[1] * a.flat[0])
    return a @ np.ones(a.shape[1], a.dtype)
