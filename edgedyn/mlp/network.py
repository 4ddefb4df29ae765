"""`ReLUMLP`: a ReLU multilayer perceptron with training and its line graph's strengths."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike

from edgedyn import _validate as check
from edgedyn.mlp import accumulator, interaction, training
from edgedyn.mlp.forward import Perceptron


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

        Examples
        --------
        >>> from edgedyn import ReLUMLP
        >>> ReLUMLP.random([64, 32, 10], seed=0, dtype="float32")
        ReLUMLP(64-32-10, biases, cross_entropy, float32)
        """
        sizes = check.layer_sizes(sizes)
        rng = np.random.default_rng(seed)
        weights = [rng.standard_normal((n, m)) * np.sqrt(2 / m) for m, n in pairwise(sizes)]
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

    # What other files do with a network, as methods of it.
    degree_accumulator = accumulator.degree_accumulator
    interaction = interaction.interaction
    fit = training.fit
