"""Dense and scale layers in a row, with neuron-by-neuron segments between them.

The network behind a probe with batch norms: where these are nodes of the line graph they are
scale layers, where they are not they are part of the segments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.mlp import accumulator
from edgedyn.mlp.kinds import KINDS
from edgedyn.mlp.loss import CHAIN_LOSSES, output_cotangent
from edgedyn.mlp.records import LayerRecord, RecordedChain


@dataclass(frozen=True)
class Affine:
    """Parameter-free ``scale_i a_i + shift_i``, such as a batch norm in inference mode."""

    scale: Array
    shift: Array


@dataclass(frozen=True)
class ChainLayer:
    """A layer with weights and what follows it.

    Parameters
    ----------
    weight : ndarray
        Shape ``(n_l, n_{l-1})`` for a dense layer, ``a = W z + b``; shape ``(n_l,)`` for a scale
        layer, ``a_i = weight_i z_i + bias_i``.
    bias : ndarray, shape (n_l,), optional
    segment : tuple of (Affine or "relu")
        Applied to ``a`` one after the other, giving the next layer's input.
    """

    weight: Array
    bias: Array | None = None
    segment: tuple[Affine | str, ...] = ()


class ReLUChain(RecordedChain):
    r"""Dense and scale layers in a row; between them affine maps and ReLUs, neuron by neuron.

    .. math:: a^l = W^l z^{l-1} + b^l \;\text{ or }\; a^l_i = \gamma_i z^{l-1}_i + \beta_i,
       \qquad z^l = s_l(a^l), \qquad D^l_i = \partial z^l_i / \partial a^l_i

    Parameters
    ----------
    layers : sequence of ChainLayer
        The last one's segment is empty: the loss acts on its output.
    loss : {"cross_entropy", "squared_error", "mean_squared_error", "softmax_mean_squared_error"}
        ``squared_error`` is half the sum over outputs, ``mean_squared_error`` the mean over
        outputs; ``softmax_mean_squared_error`` the latter of the softmax.

    Attributes
    ----------
    sizes : tuple of int
        Neurons per layer, input first.
    kinds : tuple of {"dense", "scale"}

    Raises
    ------
    ValueError
        For shapes that do not chain, or an unknown loss.

    Notes
    -----
    `edgedyn.neural_capacitance` takes it like a `ReLUMLP`; the degrees are those of Jiang et al.,
    Nat. Commun. 15:5718 (2024), Eqs. 5-7, with the segment's slope ``D`` (its absolute value for
    magnitude strengths) in place of the ReLU's.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.mlp import Affine, ChainLayer, ReLUChain
    >>> halve = Affine(np.array([0.5]), np.array([0.0]))
    >>> layers = [ChainLayer(np.array([[2.0]]), segment=(halve, "relu")),
    ...           ChainLayer(np.array([3.0]), np.array([1.0]))]
    >>> net = ReLUChain(layers, loss="squared_error")
    >>> net.kinds, net.logits([[4.0], [-4.0]]).tolist()
    (('dense', 'scale'), [[13.0], [1.0]])
    """

    signed_segments = True

    def __init__(self, layers: Sequence[ChainLayer], *, loss: str = "cross_entropy") -> None:
        if not layers:
            raise ValueError("layers is empty; give at least one ChainLayer.")
        self.loss = check.choice(loss, "loss", CHAIN_LOSSES)
        self.layers = tuple(layers)
        self.weights = tuple(np.asarray(c.weight) for c in layers)
        self.biases = tuple(c.bias for c in layers)
        self.layer_biases = tuple(b is not None for b in self.biases)
        self.sizes = (self.weights[0].shape[-1], *(w.shape[0] for w in self.weights))
        self.dtype = np.result_type(*self.weights)
        for k, (w, size) in enumerate(zip(self.weights, self.sizes[:-1], strict=True), start=1):
            if w.shape[-1] != size:
                raise ValueError(f"layer {k} takes {w.shape[-1]} inputs; it is given {size}.")
        if self.layers[-1].segment:
            raise ValueError("the last layer's segment must be empty: the loss acts on its output.")

    def __repr__(self) -> str:
        words = [f"{kind} {n}" for kind, n in zip(self.kinds, self.sizes[1:], strict=True)]
        return f"ReLUChain({self.sizes[0]} -> {', '.join(words)}; {self.loss}, {self.dtype.name})"

    def logits(self, X: ArrayLike) -> Array:
        """Return ``a^L``, shape (n_samples, n_L)."""
        z = np.asarray(X, self.dtype)
        for k in range(self.n_layers):
            z, _ = self._layer(k, z)
        return z

    def records_unchecked(self, X: Array, y: Array) -> list[LayerRecord]:
        """Return one `LayerRecord` a layer; its mask is the segment's slope ``D^l``."""
        inputs, slopes = [X], []
        for k in range(self.n_layers):
            z, slope = self._layer(k, inputs[-1])
            inputs.append(z)
            slopes.append(slope)
        e = output_cotangent(inputs[-1], y, self.loss)
        records = [LayerRecord(inputs[-2], slopes[-1], e)]
        for k in range(self.n_layers - 1, 0, -1):
            e = slopes[k - 1] * KINDS[self.kinds[k]].pull(e, self.weights[k])
            records.append(LayerRecord(inputs[k - 1], slopes[k - 1], e))
        return records[::-1]

    degree_accumulator = accumulator.degree_accumulator

    def _layer(self, k: int, z: Array) -> tuple[Array, Array]:
        """Return z^l and the slope D^l of layer l = k + 1, given its input."""
        a, bias = KINDS[self.kinds[k]].push(z, self.weights[k]), self.biases[k]
        a = a if bias is None else a + bias
        slope = np.broadcast_to(np.ones((), self.dtype), a.shape)
        for part in self.layers[k].segment:
            if isinstance(part, Affine):
                a, slope = part.scale * a + part.shift, slope * part.scale
            else:
                a, slope = np.maximum(a, 0), slope * (a > 0)
        return a, slope
