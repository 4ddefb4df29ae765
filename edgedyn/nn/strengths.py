"""The interaction strengths P of a Keras network as an operator on its line graph."""

from functools import partial
from itertools import zip_longest
from math import prod
from typing import Any, Literal

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.capacitance import Nodes
from edgedyn.linegraph import line_graph
from edgedyn.linegraph.interaction import Interaction
from edgedyn.nn.graph import sweeps
from edgedyn.nn.graph.autodiff import added, compiled
from edgedyn.nn.graph.extract import extract
from edgedyn.nn.graph.graph import nodes_of
from edgedyn.nn.meter import CapacitanceMeter

Tensor = Any


def interaction(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    strength: Literal["magnitude", "signed"] = "magnitude",
    nodes: Nodes = "kernels",
    loss: Any = None,
    batch_size: int = 64,
) -> Interaction:
    r"""Return the line graph of a model, weighted by its direct coupling on given data.

    .. math:: P_{pq} = \Big\langle \frac{\partial^2}{\partial \theta_p \partial \theta_q}
              e_B^T f_B(\theta_B, J_{AB} f_A(\theta_A, u_A)) \Big\rangle

    Nothing is stored but the samples: a product with P is one reverse sweep over the network, one
    with its transpose a forward sweep.

    Parameters
    ----------
    model : keras.Model
        Sequential or functional, of a fixed input size, of layers that are known.
    x : array_like, shape (n_samples, ...)
    y : array_like
        Targets as the loss takes them.
    strength : {"magnitude", "signed"}
    nodes : {"kernels", "all"}
    loss : str or keras.losses.Loss, optional
        By default the compiled loss, or sparse categorical cross-entropy.
    batch_size : int
        Samples taken at a time.

    Raises
    ------
    TypeError, ValueError
        As `edgedyn.nn.neural_capacitance`; also for an input size that is not fixed.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Eqs. 5-6, for any acyclic network.

    Examples
    --------
    >>> import keras, numpy as np
    >>> from edgedyn import nn
    >>> inputs = keras.Input((6, 6, 1))
    >>> h = keras.layers.Flatten()(keras.layers.Conv2D(2, 3, activation="relu")(inputs))
    >>> model = keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(h))
    >>> x = np.random.default_rng(0).standard_normal((4, 6, 6, 1))
    >>> P = nn.interaction(model, x, [0, 1, 0, 1])
    >>> P, P.to_scipy().shape
    (Interaction(LineGraph(2 layers, 82 nodes, 576 links), magnitude, 4 samples), (82, 82))
    """
    check.choice(strength, "strength", ("magnitude", "signed"))
    meter = CapacitanceMeter(
        model, scope="network", strength=strength, nodes=nodes, loss=loss, batch_size=batch_size
    )
    x, targets = meter.check_data(x, y)
    graph = line_graph(extract(model, nodes="all").network(), nodes=nodes)
    return Interaction(graph, strength, len(x), _Products(meter, x, targets).operator())


class _Products:
    """Products with P and its transpose, summed over batches."""

    def __init__(self, meter: CapacitanceMeter, x: Array, targets: Array) -> None:
        self.graph, self.loss = meter.graph, meter.loss
        self.magnitude = meter.strength == "magnitude"
        self.x, self.targets, self.size = x, targets, meter.batch_size
        parts = [part for layer in self.graph.layers for part in nodes_of(layer)]
        self.shapes = [tuple(part.shape) for part in parts]
        self.ends = np.cumsum([prod(shape) for shape in self.shapes])

    def operator(self) -> Any:
        """Return P as a LinearOperator."""
        from scipy.sparse.linalg import LinearOperator

        inward = compiled(partial(self._sweep, sweeps.in_degrees), self.graph.state)
        outward = compiled(partial(self._sweep, sweeps.out_degrees), self.graph.state)
        return LinearOperator(
            (self.ends[-1], self.ends[-1]),
            matvec=lambda v: self._product(inward, v),
            rmatvec=lambda v: self._product(outward, v),
            dtype=np.dtype(np.float64),
        )

    def _product(self, sweep: Any, v: Array) -> Array:
        """Sum one kind of sweep over all batches; return the mean over samples."""
        cut = zip(np.split(np.ravel(v), self.ends[:-1]), self.shapes, strict=True)
        weights = [ops.convert_to_tensor(w.reshape(n), self.graph.dtype) for w, n in cut]
        total: list[Tensor] | None = None
        for start in range(0, len(self.x), self.size):
            batch = slice(start, start + self.size)
            x, targets = self.graph.tensors(self.x[batch], self.targets[batch])
            part = [sweep(x, targets, weights)]
            total = part if total is None else added(total, part)
        assert total is not None  # there is a sample
        return np.asarray(ops.convert_to_numpy(total[0]), np.float64) / len(self.x)

    def _sweep(self, degrees: Any, x: Tensor, targets: Tensor, flat: list[Tensor]) -> Tensor:
        """Return ``P v`` or ``P' v`` of one batch; 0 for nodes that get nothing."""
        values = self.graph.forward(x)
        at_logits = self.loss.cotangent(values[self.graph.logits], targets)
        e = sweeps.cotangents(self.graph, values, at_logits)
        weights = self.graph.by_layer(flat)
        found = self.graph.by_owner(degrees(self.graph, values, e, self.magnitude, weights))
        rows = [
            ops.zeros(part.shape, self.graph.dtype) if degree is None else degree
            for layer in self.graph.layers
            for part, degree in zip_longest(nodes_of(layer), found.get(layer, ()))
        ]
        return ops.concatenate([ops.reshape(row, (-1,)) for row in rows])
