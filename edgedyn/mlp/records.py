"""What the closed forms need of a network: layers in a row that leave records on samples."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.mlp.loss import checked_targets, mean_loss


class LayerRecord(NamedTuple):
    """What one layer leaves behind on a batch; all the line graph's strengths need.

    Parameters
    ----------
    activation : ndarray, shape (n_samples, n_{l-1})
        ``z^{l-1}``, the layer's input.
    mask : ndarray, shape (n_samples, n_l)
        ``D^l``: 1 where the layer's ReLU is active, else 0; all 1 for the linear last layer.
    cotangent : ndarray, shape (n_samples, n_l)
        ``e^l = dc/da^l``, sample by sample.
    """

    activation: Array
    mask: Array
    cotangent: Array


class RecordedChain:
    """Layers with weights in a row: what `ReLUMLP` and `ReLUChain` are to the closed forms."""

    sizes: tuple[int, ...]  # neurons per layer, input first
    weights: tuple[Array, ...]  # shape (n_l, n_{l-1}) for a dense layer, (n_l,) for a scale layer
    biases: tuple[Array | None, ...]
    layer_biases: tuple[bool, ...]  # whether each layer has one
    loss: str
    dtype: np.dtype[Any]
    signed_segments: bool  # slopes and activations between the layers may be negative

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kind of each layer with weights, "dense" or "scale"."""
        return tuple("dense" if w.ndim == 2 else "scale" for w in self.weights)

    @property
    def n_layers(self) -> int:
        """Layers with weights, L."""
        return len(self.sizes) - 1

    @property
    def n_classes(self) -> int:
        """Width of the last layer."""
        return self.sizes[-1]

    def bias_nodes(self, nodes: str) -> tuple[bool, ...]:
        """Tell for each layer whether its bias is a node of the line graph."""
        return tuple(biased and nodes == "all" for biased in self.layer_biases)

    def _inputs(self, X: ArrayLike) -> Array:
        """Return validated samples as they are, whatever their precision."""
        X = check.number_matrix(X)
        if X.shape[1] != self.sizes[0]:
            raise ValueError(
                f"X has {X.shape[1]} features; this network takes {self.sizes[0]} inputs."
            )
        return X

    def inspect_data(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Validate like `check_data`, but leave the samples in the precision they came in.

        So that a large data set can be refused before any work without being copied.
        """
        X = self._inputs(X)
        return X, checked_targets(y, len(X), self.n_classes, self.loss, self.dtype)

    def check_data(self, X: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Return validated samples and targets in the network's precision.

        Parameters
        ----------
        X : array_like, shape (n_samples, n_0)
        y : array_like
            Integer labels, shape (n_samples,), in ``0..n_L - 1``; or one row of targets a sample,
            shape (n_samples, n_L): probabilities for cross-entropy (so smoothed labels), any
            finite numbers for the squared error (also shape (n_samples,) where n_L = 1).
        """
        X, y = self.inspect_data(X, y)
        return np.ascontiguousarray(X, dtype=self.dtype), y

    def logits(self, X: ArrayLike) -> Array:
        """Return ``a^L``, shape (n_samples, n_L)."""
        raise NotImplementedError

    def evaluate(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the mean loss."""
        X, y = self.check_data(X, y)
        return mean_loss(self.logits(X), y, self.loss)

    def records_unchecked(self, X: Array, y: Array) -> list[LayerRecord]:
        """Return one `LayerRecord` a layer, first layer first, on what `check_data` returned."""
        raise NotImplementedError


def with_bias_row(activation: Array, bias_is_node: bool) -> Array:
    """Append the constant neuron, activation 1, where the layer's bias is a node."""
    if not bias_is_node:
        return activation
    return np.hstack([activation, np.ones((len(activation), 1), activation.dtype)])


def direct_tile(target: LayerRecord, source: LayerRecord, i: int, bias_is_node: bool) -> Array:
    """Sum the strengths over one shared neuron: rows are weights into it, columns those out of it.

    ``sum_s z_j D_i e_k`` over the samples in which neuron i is active; shape
    ``(n_{l-1} (+1 with a bias node), n_{l+1})``.
    """
    active = np.flatnonzero(target.mask[:, i])
    z = with_bias_row(target.activation[active], bias_is_node)
    return z.T @ (target.mask[active, i, None] * source.cotangent[active])
