"""Forward and backward passes of a ReLU multilayer perceptron over one parameter vector."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.mlp.loss import LOSSES, mean_loss, output_cotangent, softmax
from edgedyn.mlp.records import LayerRecord, RecordedChain


class Perceptron(RecordedChain):
    """What `ReLUMLP` computes by itself; its docstring tells the parameters."""

    signed_segments = False  # nothing but ReLUs between the layers, whose slopes are 0 or 1

    def __init__(
        self,
        weights: Sequence[ArrayLike],
        biases: Sequence[ArrayLike | None] | None = None,
        *,
        loss: str = "cross_entropy",
        frozen: int = 0,
        dtype: DTypeLike | None = None,
    ) -> None:
        kernels = [check.real_matrix(w, f"weights[{k}]") for k, w in enumerate(weights)]
        if not kernels:
            raise ValueError("weights is empty; give one matrix (n_l, n_{l-1}) per layer.")
        for k in range(1, len(kernels)):
            if kernels[k].shape[1] != kernels[k - 1].shape[0]:
                raise ValueError(
                    f"weights[{k}] has shape {kernels[k].shape} but weights[{k - 1}] has "
                    f"{kernels[k - 1].shape[0]} rows; W_l must have shape (n_l, n_(l-1))."
                )
        self.sizes = (kernels[0].shape[1], *(w.shape[0] for w in kernels))
        self.loss = check.choice(loss, "loss", LOSSES)
        self.dtype = _precision(dtype, kernels)
        self.frozen = _frozen_layers(frozen, len(kernels))
        vectors = _checked_biases(biases, self.sizes)
        self.layer_biases = tuple(b is not None for b in vectors)
        self._theta = np.empty(self.n_parameters, self.dtype)
        self.weights, self.biases = self.views(self._theta)
        for view, value in zip((*self.weights, *self.biases), (*kernels, *vectors), strict=True):
            if view is not None:
                view[...] = value

    @property
    def n_parameters(self) -> int:
        """Entries of all kernels and biases."""
        shapes = zip(self.sizes[:-1], self.sizes[1:], self.layer_biases, strict=True)
        return sum(n * (m + biased) for m, n, biased in shapes)

    @property
    def parameters(self) -> Array:
        """All parameters as one vector (a view), in the order of the line graph's nodes."""
        return self._theta

    def views(self, vector: Array) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
        """Cut a vector of ``n_parameters`` entries into kernels and biases, without copying."""
        weights: list[Array] = []
        biases: list[Array | None] = []
        at = 0
        for m, n, biased in zip(self.sizes[:-1], self.sizes[1:], self.layer_biases, strict=True):
            weights.append(vector[at : at + n * m].reshape(n, m))
            at += n * m
            biases.append(vector[at : at + n] if biased else None)
            at += n if biased else 0
        return tuple(weights), tuple(biases)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("weights", "biases")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Pickled views would come back as copies that training no longer reaches.
        self.__dict__.update(state)
        self.weights, self.biases = self.views(self._theta)

    def check_inputs(self, X: ArrayLike) -> Array:
        """Return `X` as a finite matrix (n_samples, n_0) of the network's precision."""
        return np.ascontiguousarray(self._inputs(X), dtype=self.dtype)

    def activations(self, X: ArrayLike) -> list[Array]:
        """Return ``[z^0, ..., z^{L-1}, a^L]``: input, hidden outputs, logits."""
        return self._forward(self.check_inputs(X))

    def logits(self, X: ArrayLike) -> Array:
        """Return ``a^L``, shape (n_samples, n_L)."""
        return self.activations(X)[-1]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return class probabilities, the softmax of the logits."""
        return softmax(self.logits(X))

    def predict(self, X: ArrayLike) -> Array:
        """Return the class of the largest logit, shape (n_samples,)."""
        return self.logits(X).argmax(axis=1)

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the accuracy on integer labels, in [0, 1]."""
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def gradient(self, X: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
        """Return the mean loss and its gradient as one vector, cut by `views`."""
        X, y = self.check_data(X, y)
        z = self._forward(X)
        vector = np.empty(self.n_parameters, self.dtype)
        kernels, biases = self.views(vector)
        for layer, e in self._backward(z, y):
            np.matmul(e.T, z[layer - 1], out=kernels[layer - 1])
            bias = biases[layer - 1]
            if bias is not None:
                e.sum(axis=0, out=bias)
        vector /= len(X)
        return mean_loss(z[-1], y, self.loss), vector

    def records(self, X: ArrayLike, y: ArrayLike) -> list[LayerRecord]:
        """Return one `LayerRecord` a layer, first layer first.

        Examples
        --------
        >>> from edgedyn import ReLUMLP
        >>> net = ReLUMLP([[[1.0]], [[2.0]]], loss="squared_error")
        >>> [float(r.cotangent[0, 0]) for r in net.records([[3.0]], [5.0])]
        [2.0, 1.0]
        """
        return self.records_unchecked(*self.check_data(X, y))

    def records_unchecked(self, X: Array, y: Array) -> list[LayerRecord]:
        """Do the work of `records` on what `check_data` returned."""
        z = self._forward(X)
        masks = [np.sign(hidden) for hidden in z[1:-1]]  # a ReLU's output is 0 or positive
        masks.append(np.broadcast_to(np.ones((), self.dtype), z[-1].shape))
        errors = [e for _, e in self._backward(z, y, masks)]
        return [LayerRecord(*record) for record in zip(z[:-1], masks, errors[::-1], strict=True)]

    def _forward(self, X: Array) -> list[Array]:
        """Return input, hidden outputs and logits of checked samples."""
        z = [X]
        for layer, (W, b) in enumerate(zip(self.weights, self.biases, strict=True), start=1):
            a = z[-1] @ W.T
            if b is not None:
                a += b
            if layer < self.n_layers:
                np.maximum(a, 0, out=a)
            z.append(a)
        return z

    def _backward(
        self, z: list[Array], y: Array, masks: list[Array] | None = None
    ) -> Iterator[tuple[int, Array]]:
        """Yield (l, e^l) from the last layer to the first."""
        e = output_cotangent(z[-1], y, self.loss)
        yield self.n_layers, e
        for layer in range(self.n_layers - 1, 0, -1):
            e = e @ self.weights[layer]
            e *= np.sign(z[layer]) if masks is None else masks[layer - 1]
            yield layer, e


def _precision(dtype: DTypeLike | None, kernels: list[Array]) -> np.dtype[Any]:
    """Return float32 or float64."""
    if dtype is None:
        return np.dtype("f4") if all(w.dtype == np.float32 for w in kernels) else np.dtype("f8")
    try:
        chosen = np.dtype(dtype)
    except TypeError:
        chosen = np.dtype(object)  # not None, which equals float64
    if chosen not in (np.dtype("f4"), np.dtype("f8")):
        raise ValueError(f"dtype must be 'float32' or 'float64'; got {dtype!r}.")
    return chosen


def _frozen_layers(frozen: int, n_layers: int) -> int:
    """Check the number of frozen layers: at least one layer must learn."""
    if isinstance(frozen, bool) or not isinstance(frozen, int | np.integer):
        raise TypeError(f"frozen must be a number of layers; got {frozen!r}.")
    if not 0 <= frozen < n_layers:
        raise ValueError(f"frozen must be in 0..{n_layers - 1}; got {frozen}.")
    return int(frozen)


def _checked_biases(
    biases: Sequence[ArrayLike | None] | None, sizes: tuple[int, ...]
) -> list[Array | None]:
    """Return one vector or None a layer."""
    n_layers = len(sizes) - 1
    if biases is None:
        return [None] * n_layers
    if len(biases) != n_layers:
        raise ValueError(f"biases has {len(biases)} entries; this network has {n_layers} layers.")
    vectors: list[Array | None] = [None] * n_layers
    for k, (b, n) in enumerate(zip(biases, sizes[1:], strict=True)):
        if b is None:
            continue
        if np.shape(b) != (n,):
            raise ValueError(f"biases[{k}] has shape {np.shape(b)}; layer {k + 1} needs ({n},).")
        vectors[k] = check.real_matrix(np.reshape(b, (1, n)), f"biases[{k}]")[0]
    return vectors
