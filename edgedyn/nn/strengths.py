"""The interaction strengths P of a Keras network as an operator on its line graph."""

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from edgedyn import _validate as check
from edgedyn.linegraph import line_graph
from edgedyn.linegraph.interaction import Interaction
from edgedyn.nn.graph import sweeps
from edgedyn.nn.graph.autodiff import compiled
from edgedyn.nn.graph.extract import extract
from edgedyn.nn.graph.graph import nodes_of
from edgedyn.nn.graph.steps import Layer, Shift
from edgedyn.nn.meter import CapacitanceMeter

Array = NDArray[Any]
Tensor = Any


def interaction(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    strength: str = "magnitude",
    nodes: str = "kernels",
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

    Returns
    -------
    edgedyn.linegraph.Interaction

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
        self.places: list[tuple[Layer | Shift, list[tuple[int, int, tuple[int, ...]]]]] = []
        start = 0
        for layer in self.graph.layers:
            parts = []
            for part in nodes_of(layer):
                shape = tuple(part.shape)
                parts.append((start, start + int(np.prod(shape)), shape))
                start = parts[-1][1]
            self.places.append((layer, parts))
        self.n_nodes = start
        self._inward = compiled(self._into)
        self._outward = compiled(self._out_of)

    def operator(self) -> Any:
        """Return P as a LinearOperator."""
        from scipy.sparse.linalg import LinearOperator

        return LinearOperator(
            (self.n_nodes, self.n_nodes),
            matvec=lambda v: self._product(self._inward, v),
            rmatvec=lambda v: self._product(self._outward, v),
            dtype=np.dtype(np.float64),
        )

    def _product(self, sweep: Any, v: Array) -> Array:
        """Sum one kind of sweep over all batches; return the mean over samples."""
        dtype = self.graph.dtype
        v = np.asarray(v).ravel()
        weights = [
            ops.convert_to_tensor(v[a:b].reshape(shape), dtype=dtype)
            for _, parts in self.places
            for a, b, shape in parts
        ]
        total = np.zeros(self.n_nodes)
        for start in range(0, len(self.x), self.size):
            batch = slice(start, start + self.size)
            targets = self.targets[batch]
            kind = "int32" if targets.ndim == 1 else dtype
            result = sweep(
                ops.convert_to_tensor(self.x[batch], dtype=dtype),
                ops.convert_to_tensor(targets, dtype=kind),
                weights,
            )
            for (_, parts), found in zip(self.places, result, strict=True):
                for (a, b, _), part in zip(parts, found, strict=False):
                    total[a:b] += ops.convert_to_numpy(part).ravel()
        return total / len(self.x)

    def _weights(self, flat: list[Tensor]) -> sweeps.Weights:
        """Return (kernel, bias) for each layer from the list of all parts."""
        found: sweeps.Weights = {}
        rest = iter(flat)
        for layer, parts in self.places:
            own = [next(rest) for _ in parts]
            found[layer] = (None, own[0]) if isinstance(layer, Shift) else (own[0], own[-1])
        return found

    def _records(self, x: Tensor, targets: Tensor) -> tuple[sweeps.Values, sweeps.Values]:
        """Return all values and cotangents."""
        values = self.graph.forward(x)
        at_logits = self.loss.cotangent(values[self.graph.logits], targets)
        return values, sweeps.cotangents(self.graph, values, at_logits)

    def _into(self, x: Tensor, targets: Tensor, flat: list[Tensor]) -> list[list[Tensor]]:
        """Return ``P v`` of one batch, layer by layer."""
        values, e = self._records(x, targets)
        weights = self._weights(flat)
        found = sweeps.in_degrees(self.graph, values, e, self.magnitude, weights)
        return [found.get(layer, []) for layer, _ in self.places]

    def _out_of(self, x: Tensor, targets: Tensor, flat: list[Tensor]) -> list[list[Tensor]]:
        """Return ``P' v`` of one batch, layer by layer."""
        values, e = self._records(x, targets)
        arrived = sweeps.arrivals(self.graph, values, self.magnitude, self._weights(flat))
        found = sweeps.out_degrees(arrived, e, self.magnitude)
        return [found.get(layer, []) for layer, _ in self.places]
