"""`ReLUMLP`: a ReLU multilayer perceptron with training and its line graph's strengths."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from edgedyn import _validate as check
from edgedyn.linegraph.interaction import Interaction
from edgedyn.mlp.accumulator import DegreeAccumulator, degree_accumulator
from edgedyn.mlp.forward import Perceptron
from edgedyn.mlp.interaction import interaction
from edgedyn.mlp.training import TrainingHistory, fit


class ReLUMLP(Perceptron):
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

    def __repr__(self) -> str:
        biases = "biases" if all(self.layer_biases) else "some biases"
        biases = biases if any(self.layer_biases) else "no biases"
        frozen = f", last {self.frozen} frozen" if self.frozen else ""
        name = np.dtype(self.dtype).name
        return f"ReLUMLP({'-'.join(map(str, self.sizes))}, {biases}, {self.loss}, {name}{frozen})"

    def degree_accumulator(
        self,
        *,
        coupling: str = "direct",
        strength: str = "magnitude",
        nodes: str = "kernels",
        groups: int = 1,
    ) -> DegreeAccumulator:
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
        return degree_accumulator(
            self, coupling=coupling, strength=strength, nodes=nodes, groups=groups
        )

    def interaction(
        self, X: ArrayLike, y: ArrayLike, *, strength: str = "magnitude", nodes: str = "kernels"
    ) -> Interaction:
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
    ) -> TrainingHistory:
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
