"""Exact points where all gradients vanish and beta_eff does not, and the softmax gauge."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgedyn._plain import Plain
from edgedyn.mlp.accumulator import chain_capacitance
from edgedyn.mlp.coupling import coupling_block, coupling_matrix
from edgedyn.mlp.network import ReLUMLP


@dataclass(frozen=True)
class Counterexample(Plain):
    """A stationary point that does not interpolate."""

    name: str
    gradient_norm: float  # 0: the point is stationary
    magnitude: float  # beta_eff of the magnitude strengths
    predicted: float  # its exact value by hand
    signed_norm: float  # Frobenius norm of P with signed strengths, 0
    absolute_norm: float  # likewise with absolute ones, 0


def counterexamples(eta: float = 0.25) -> tuple[Counterexample, ...]:
    """Evaluate the two exact counterexamples of the theorem's converse.

    1. The chain w1 = w2 = w3 = 1 with x = 1 twice and targets 1 +- eta: beta_eff = eta / 2.
    2. Softmax with W1 = W2 = 1, W3 = (1, -1)', b3 = (-1, 1), x = 1 once with each class:
       beta_eff = 1/2.

    Examples
    --------
    >>> [(c.gradient_norm, c.magnitude) for c in counterexamples(0.25)]
    [(0.0, 0.125), (0.0, 0.5)]
    """
    one = [[1.0]]
    chain = ReLUMLP([one, one, one], loss="squared_error")
    softmax = ReLUMLP([one, one, [[1.0], [-1.0]]], [None, None, [-1.0, 1.0]])
    return (
        _evaluate("chain with contradicting targets", chain, [1 - eta, 1 + eta], eta / 2),
        _evaluate("softmax with contradicting labels", softmax, [0, 1], 0.5),
    )


def _evaluate(name: str, net: ReLUMLP, y: list[Any], predicted: float) -> Counterexample:
    """Measure one stationary point."""
    X = np.ones((2, 1))
    matrices = (coupling_matrix(net, X, y, strength=s) for s in ("signed", "absolute"))
    signed_norm, absolute_norm = (float(np.linalg.norm(P.toarray())) for P in matrices)
    return Counterexample(
        name=name,
        gradient_norm=float(np.linalg.norm(net.gradient(X, y)[1])),
        magnitude=chain_capacitance(net, X, y).value,
        predicted=predicted,
        signed_norm=signed_norm,
        absolute_norm=absolute_norm,
    )


@dataclass(frozen=True)
class GaugeRow(Plain):
    """Signed beta_eff at one depth."""

    n_layers: int
    loss: str
    coupling: str
    status: str
    value: float  # signed beta_eff
    conditioning: float  # of the signed capacitance
    last_block_row_sum: float  # of the block into the last layer: max |row sum| / max |entry|


def gauge_table(seed: int | np.random.Generator | None = 0) -> tuple[GaugeRow, ...]:
    """Measure the softmax gauge for L = 2..5, beside the squared error, which has none.

    Adding one vector to all rows of W^L leaves softmax unchanged, so every block into a softmax
    layer has zero signed row sums: L = 2 is 0/0, L = 3 is 0, only L >= 4 informs.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for n_layers in (2, 3, 4, 5):
        net = ReLUMLP.random([6] * n_layers + [4], seed=rng)
        X, labels = rng.standard_normal((40, 6)), np.arange(40) % 4
        for loss in ("cross_entropy", "squared_error"):
            lossy = ReLUMLP(net.weights, net.biases, loss=loss)
            for coupling in ("direct", "full"):
                kinds: dict[str, Any] = {"coupling": coupling, "strength": "signed"}
                cap = chain_capacitance(lossy, X, labels, **kinds)
                block = coupling_block(lossy, X, labels, n_layers - 1, **kinds).toarray()
                ratio = float(np.abs(block.sum(axis=1)).max() / np.abs(block).max())
                found = (cap.status, cap.value, cap.conditioning, ratio)
                rows.append(GaugeRow(n_layers, loss, coupling, *found))
    return tuple(rows)
