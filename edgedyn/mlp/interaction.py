"""Products with the interaction strengths P of a `ReLUMLP`, in closed form."""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.capacitance import NODES
from edgedyn.linegraph import line_graph
from edgedyn.linegraph.interaction import Interaction
from edgedyn.mlp.records import LayerRecord, RecordedChain

if TYPE_CHECKING:
    from scipy.sparse.linalg import LinearOperator


def interaction(
    net: RecordedChain,
    X: ArrayLike,
    y: ArrayLike,
    *,
    strength: str = "magnitude",
    nodes: str = "kernels",
) -> Interaction:
    """Return the line graph weighted by the direct coupling P on given data.

    Parameters
    ----------
    net : ReLUMLP
        Of which this is a method, too.
    X, y : array_like
        Samples and targets.
    strength : {"magnitude", "signed"}
    nodes : {"kernels", "all"}
    """
    check.choice(strength, "strength", ("magnitude", "signed"))
    check.choice(nodes, "nodes", NODES)
    X, y = net.check_data(X, y)
    records = net.records_unchecked(X, y)
    if strength == "magnitude":
        records = [LayerRecord(np.abs(r.activation), r.mask, np.abs(r.cotangent)) for r in records]
    operator = _operator(net.sizes, net.bias_nodes(nodes), records)
    return Interaction(line_graph(net, nodes=nodes), strength, len(X), operator)


def _operator(
    sizes: tuple[int, ...], bias: tuple[bool, ...], records: list[LayerRecord]
) -> "LinearOperator":
    """Return P as a LinearOperator, ``mean_s D_i e_k z_j`` from weight (k, i) to weight (i, j)."""
    from scipy.sparse.linalg import LinearOperator

    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    lengths = [n * (m + b) for (n, m), b in zip(shapes, bias, strict=True)]
    starts = np.concatenate([[0], np.cumsum(lengths)])
    n_samples = len(records[0].activation)

    def parts(v: Array) -> tuple[list[Array], list[Array]]:
        """Cut a vector into kernels and biases."""
        kernels, biases = [], []
        for (n, m), start, end in zip(shapes, starts[:-1], starts[1:], strict=True):
            kernels.append(v[start : start + n * m].reshape(n, m))
            biases.append(v[start + n * m : end])
        return kernels, biases

    def matvec(v: Array) -> Array:
        kernels, _ = parts(np.asarray(v, np.float64).ravel())
        found = []
        for k, (target, source) in enumerate(pairwise(records)):
            received = target.mask * (source.cotangent @ kernels[k + 1])
            found.append((received.T @ target.activation).ravel())
            found.append(received.sum(axis=0) if bias[k] else np.zeros(0))
        return np.concatenate([*found, np.zeros(lengths[-1])]) / n_samples

    def rmatvec(v: Array) -> Array:
        kernels, biases = parts(np.asarray(v, np.float64).ravel())
        found = [np.zeros(lengths[0])]
        for k, (target, source) in enumerate(pairwise(records)):
            sent = target.activation @ kernels[k].T
            sent = target.mask * (sent + biases[k] if bias[k] else sent)
            found.append((source.cotangent.T @ sent).ravel())
            found.append(np.zeros(shapes[k + 1][0] if bias[k + 1] else 0))
        return np.concatenate(found) / n_samples

    size = int(starts[-1])
    return LinearOperator((size, size), matvec=matvec, rmatvec=rmatvec, dtype=np.dtype(np.float64))
