"""A ReLU multilayer perceptron: forward, backward, and the records the closed forms need."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from edgedyn import _validate as check
from edgedyn.mlp.loss import LOSSES, checked_targets, mean_loss, output_cotangent, softmax

if TYPE_CHECKING:
    from edgedyn.linegraph.interaction import Interaction
    from edgedyn.mlp.accumulator import DegreeAccumulator
    from edgedyn.mlp.training import TrainingHistory

Array = NDArray[Any]


@dataclass(frozen=True)
class LayerRecord:
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


class ReLUMLP:
    """A fully connected network with ReLU between its layers and a linear last layer.

    ``a^l = W^l z^{l-1} + b^l``, ``z^l = max(a^l, 0)`` for l < L; the loss acts on ``a^L``.

    Parameters
    ----------
    weights : sequence of array_like
        ``W^l`` of shape ``(n_l, n_{l-1})`` (Keras keeps the transpose). Copied.
    biases : sequence of (array_like or None), optional
        ``b^l`` of shape ``(n_l,)``, None for a layer without; None for no biases at all.
    loss : {"cross_entropy", "squared_error"}
        Softmax cross-entropy, or half the squared error.
    frozen : int
        How many layers at the end `fit` leaves as they are: the probe of the paper's Algorithm 1.
    dtype : {None, "float32", "float64"}
        Precision; by default float32 if all weights are, else float64.

    Attributes
    ----------
    weights, biases : tuple of ndarray
        Views of one parameter vector; writing into them changes the network.
    sizes : tuple of int
        Neurons per layer, input first.

    Raises
    ------
    TypeError, ValueError
        For shapes that do not chain, values that are not finite, unknown losses or dtypes.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024): the network G_A.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn import ReLUMLP
    >>> net = ReLUMLP(weights=[[[1.0, -1.0]], [[2.0], [0.5]]])
    >>> net
    ReLUMLP(2-1-2, no biases, cross_entropy, float64)
    >>> net.logits([[3.0, 1.0], [1.0, 3.0]])
    array([[4., 1.],
           [0., 0.]])
    """

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
        for view, value in zip(self.weights, kernels, strict=True):
            view[...] = value
        for target, vector in zip(self.biases, vectors, strict=True):
            if target is not None:
                target[...] = vector

    @classmethod
    def random(
        cls,
        sizes: Sequence[int],
        *,
        bias: bool = True,
        seed: int | np.random.Generator | None = None,
        loss: str = "cross_entropy",
        frozen: int = 0,
        dtype: DTypeLike = "float64",
    ) -> "ReLUMLP":
        """Draw a network by He's initialisation; biases start at 0.

        ``W^l_ij ~ Normal(0, 2 / n_{l-1})`` (He et al., ICCV 2015, Eq. 10).

        Parameters
        ----------
        sizes : sequence of int
            Neurons per layer, input first.
        bias : bool
            Whether the layers have biases.
        seed : int, numpy.random.Generator or None
        loss, frozen, dtype
            As for the class.

        Returns
        -------
        ReLUMLP

        Examples
        --------
        >>> from edgedyn import ReLUMLP
        >>> ReLUMLP.random([64, 32, 10], seed=0, dtype="float32")
        ReLUMLP(64-32-10, biases, cross_entropy, float32)
        """
        sizes = check.layer_sizes(sizes)
        rng = np.random.default_rng(seed)
        weights = [
            rng.standard_normal((n, m)) * np.sqrt(2 / m)
            for m, n in zip(sizes[:-1], sizes[1:], strict=True)
        ]
        biases = [np.zeros(n) for n in sizes[1:]] if bias else None
        return cls(weights, biases, loss=loss, frozen=frozen, dtype=dtype)

    signed_segments = False  # nothing but ReLUs between the layers, whose slopes are 0 or 1

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kind of each layer with weights: all "dense"."""
        return ("dense",) * self.n_layers

    @property
    def n_layers(self) -> int:
        """Layers with weights, L."""
        return len(self.sizes) - 1

    @property
    def n_parameters(self) -> int:
        """Entries of all kernels and biases."""
        return sum(
            n * m + (n if b else 0)
            for m, n, b in zip(self.sizes[:-1], self.sizes[1:], self.layer_biases, strict=True)
        )

    @property
    def n_classes(self) -> int:
        """Width of the last layer."""
        return self.sizes[-1]

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

    def copy(self) -> "ReLUMLP":
        """Return an independent network with the same parameters."""
        return ReLUMLP(
            self.weights, self.biases, loss=self.loss, frozen=self.frozen, dtype=self.dtype
        )

    def tail(self, n_layers: int) -> "ReLUMLP":
        """Return the last layers as a network of their own (parameters copied).

        With ``features = net.activations(X)[-1 - n_layers]`` as its input it computes the same
        logits; the tail that is a frozen probe is where Algorithm 1 measures beta_eff.
        """
        n_layers = check.positive_int(n_layers, "n_layers")
        if n_layers > self.n_layers:
            raise ValueError(f"n_layers must be at most {self.n_layers}; got {n_layers}.")
        return ReLUMLP(
            self.weights[-n_layers:], self.biases[-n_layers:], loss=self.loss, dtype=self.dtype
        )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("weights", "biases")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Pickled views would come back as copies that training no longer reaches.
        self.__dict__.update(state)
        self.weights, self.biases = self.views(self._theta)

    def __repr__(self) -> str:
        biases = "biases" if all(self.layer_biases) else "some biases"
        biases = biases if any(self.layer_biases) else "no biases"
        frozen = f", last {self.frozen} frozen" if self.frozen else ""
        name = np.dtype(self.dtype).name
        return f"ReLUMLP({'-'.join(map(str, self.sizes))}, {biases}, {self.loss}, {name}{frozen})"

    def check_inputs(self, X: ArrayLike) -> Array:
        """Return `X` as a finite matrix (n_samples, n_0) of the network's precision."""
        return np.ascontiguousarray(self._inputs(X), dtype=self.dtype)

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

        Returns
        -------
        X, y : ndarray
        """
        X, y = self.inspect_data(X, y)
        return np.ascontiguousarray(X, dtype=self.dtype), y

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

    def evaluate(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the mean loss."""
        X, y = self.check_data(X, y)
        return mean_loss(self._forward(X)[-1], y, self.loss)

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
        >>> import numpy as np
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
        records = [
            LayerRecord(z[layer - 1], masks[layer - 1], e)
            for layer, e in self._backward(z, y, masks)
        ]
        return records[::-1]

    def degree_accumulator(
        self,
        *,
        coupling: str = "direct",
        strength: str = "magnitude",
        nodes: str = "kernels",
        groups: int = 1,
    ) -> "DegreeAccumulator":
        """Return an empty accumulator of the weighted line graph's degrees.

        Parameters
        ----------
        coupling, strength, nodes : str
            As for `edgedyn.neural_capacitance`.
        groups : int
            Keep sums for so many groups of samples (the jackknife wants ten).

        Returns
        -------
        DegreeAccumulator
        """
        from edgedyn.mlp.accumulator import degree_accumulator

        return degree_accumulator(
            self, coupling=coupling, strength=strength, nodes=nodes, groups=groups
        )

    def interaction(
        self, X: ArrayLike, y: ArrayLike, *, strength: str = "magnitude", nodes: str = "kernels"
    ) -> "Interaction":
        """Return the line graph weighted by the direct coupling P on given data.

        Parameters
        ----------
        X, y : array_like
            Samples and targets.
        strength : {"magnitude", "signed"}
        nodes : {"kernels", "all"}

        Returns
        -------
        edgedyn.linegraph.Interaction
        """
        from edgedyn.mlp.interaction import interaction

        return interaction(self, X, y, strength=strength, nodes=nodes)

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        optimizer: str = "adam",
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        seed: int | np.random.Generator | None = None,
        callback: Callable[[int, float], None] | None = None,
    ) -> "TrainingHistory":
        """Train by mini-batches, in place; see `edgedyn.mlp.training.fit`.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from edgedyn import ReLUMLP
        >>> X, y = load_digits(return_X_y=True)
        >>> net = ReLUMLP.random([64, 32, 10], seed=0)
        >>> history = net.fit(X / 16, y, epochs=5, seed=0)
        >>> history.status, net.score(X / 16, y) > 0.9
        ('completed', True)
        """
        from edgedyn.mlp.training import fit

        return fit(
            self,
            X,
            y,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            seed=seed,
            callback=callback,
        )

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
    vectors: list[Array | None] = []
    for k, (b, n) in enumerate(zip(biases, sizes[1:], strict=True)):
        if b is None:
            vectors.append(None)
            continue
        if np.shape(b) != (n,):
            raise ValueError(f"biases[{k}] has shape {np.shape(b)}; layer {k + 1} needs ({n},).")
        vectors.append(check.real_matrix(np.reshape(b, (1, n)), f"biases[{k}]")[0])
    return vectors
