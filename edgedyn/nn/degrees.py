"""Degrees of a graph's line graph by automatic differentiation, summed batch by batch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from edgedyn.capacitance import Capacitance, DivergedError, LayerDegrees, Provenance, from_degrees
from edgedyn.mlp.loss import SOFTMAX_LOSSES
from edgedyn.nn import sweeps
from edgedyn.nn.autodiff import compiled, hessian_product
from edgedyn.nn.graph import Graph, nodes_of
from edgedyn.nn.loss import OutputLoss
from edgedyn.nn.steps import Layer, Shift, read

Array = NDArray[Any]
Tensor = Any


@dataclass
class DegreeSums:
    """Degrees summed over samples, without the graph: to be sent and added up.

    Parameters
    ----------
    n_samples : int
    magnitude_total, largest_error : float
        As for `edgedyn.capacitance.Provenance`; the former summed over samples.
    sums : dict
        By way ("in" or "out") and the layer's place in the graph: one array a parameter.
    """

    n_samples: int = 0
    magnitude_total: float = 0.0
    largest_error: float = 0.0
    sums: dict[tuple[str, int], list[Array]] = field(default_factory=dict)

    def add(self, way: str, place: int, parts: Sequence[Any]) -> None:
        """Add one layer's degrees on a batch in float64."""
        if not parts:
            return
        if (way, place) not in self.sums:
            self.sums[way, place] = [np.zeros(tuple(p.shape)) for p in parts]
        for total, part in zip(self.sums[way, place], parts, strict=True):
            total += ops.convert_to_numpy(part)

    def append(self, other: "DegreeSums") -> "DegreeSums":
        """Return the sums over both sets of samples; neither changes."""
        total = DegreeSums(
            self.n_samples + other.n_samples,
            self.magnitude_total + other.magnitude_total,
            max(self.largest_error, other.largest_error),
        )
        for part in (self, other):
            for (way, place), arrays in part.sums.items():
                total.add(way, place, arrays)
        return total


class GraphDegrees:
    """Degrees of every layer's parameters, for direct or full coupling.

    Direct: two sweeps a batch (`edgedyn.nn.sweeps`), whatever the number of pairs. Full: one
    Hessian-vector product a layer, ``H 1_B``, read at B's predecessors (in-degrees) and successors
    (out-degrees). The parameters are read anew for each batch, so one object serves a whole
    training run.

    Parameters
    ----------
    graph : Graph
    loss : OutputLoss
    coupling : {"direct", "full"}
    strength : {"magnitude", "signed"}
    nodes : {"kernels", "all"}
    batch_size : int
        Every batch is filled up to this size with samples of weight 0, so that the compiled
        functions see one shape.
    """

    def __init__(
        self,
        graph: Graph,
        loss: OutputLoss,
        *,
        coupling: str,
        strength: str,
        nodes: str,
        batch_size: int,
    ) -> None:
        self.graph, self.loss = graph, loss
        self.coupling, self.strength, self.nodes = coupling, strength, nodes
        self.batch_size = batch_size
        self._sweep = compiled(self._sweep_batch)
        self._product = compiled(self._hessian_product)
        self.reset()

    def reset(self) -> None:
        """Forget all samples."""
        self.sums = DegreeSums()

    def update(self, x: Array, targets: Array) -> None:
        """Add a batch of at most `batch_size` samples.

        Raises
        ------
        ValueError
            If the network's output is not finite; nothing is added then.
        """
        n = len(x)
        x, targets, weight = self._filled(x, targets)
        result = self._sweep(x, targets, weight)
        largest = float(result["largest"])
        if not np.isfinite(largest):
            raise DivergedError(
                "the network's output is not finite on these samples: its weights have diverged "
                "or the inputs are too large."
            )
        self.sums.n_samples += n
        self.sums.largest_error = max(self.sums.largest_error, largest)
        self.sums.magnitude_total += float(result["magnitude"])
        if self.coupling == "direct":
            for way, place, parts in self._labelled(result):
                self.sums.add(way, place, parts)
        else:
            self._add_full(x, targets, weight, result)

    def degrees(self) -> list[LayerDegrees]:
        """Return the mean degrees, layers in topological order."""
        return [
            LayerDegrees(k + 1, self._mean("in", k), self._mean("out", k), layer.name)
            for k, layer in enumerate(self.graph.layers)
        ]

    def _mean(self, way: str, place: int) -> tuple[Array, ...]:
        """Return one array a parameter; zeros where nothing was summed."""
        sums, n = self.sums.sums.get((way, place), []), self.sums.n_samples
        return tuple(
            sums[i] / n if i < len(sums) else np.broadcast_to(0.0, tuple(p.shape))
            for i, p in enumerate(nodes_of(self.graph.layers[place]))
        )

    def capacitance(self, degrees: list[LayerDegrees]) -> Capacitance:
        """Form beta_eff from all samples so far, given their `degrees()`."""
        provenance = Provenance(
            coupling=self.coupling,
            strength=self.strength,
            nodes=self.nodes,
            n_samples=self.sums.n_samples,
            magnitude_total=self.sums.magnitude_total / self.sums.n_samples,
            largest_error=self.sums.largest_error,
            epsilon=float(np.finfo(self.graph.dtype).eps),
            **self.graph.structure(self.loss.name in SOFTMAX_LOSSES),
        )
        return from_degrees(degrees, provenance)

    # One batch -------------------------------------------------------------------------------

    def _filled(self, x: Array, targets: Array) -> tuple[Tensor, Tensor, Tensor]:
        """Fill a batch up with repetitions of weight 0; return tensors."""
        missing = self.batch_size - len(x)
        rows = np.r_[np.arange(len(x)), np.zeros(missing, int)] if missing else slice(None)
        dtype = self.graph.dtype
        weight = np.r_[np.ones(len(x)), np.zeros(missing)]
        targets = targets[rows]
        return (
            ops.convert_to_tensor(x[rows], dtype=dtype),
            ops.convert_to_tensor(targets, dtype="int32" if targets.ndim == 1 else dtype),
            ops.convert_to_tensor(weight, dtype=dtype),
        )

    def _sweep_batch(self, x: Tensor, targets: Tensor, weight: Tensor) -> dict[str, Any]:
        """Forward pass, backward pass, and the two sweeps."""
        magnitude = self.strength == "magnitude"
        values = self.graph.forward(x)
        at_logits = self.loss.cotangent(values[self.graph.logits], targets) * weight[:, None]
        e = sweeps.cotangents(self.graph, values, at_logits)
        inward = sweeps.in_degrees(self.graph, values, e, magnitude)
        arrived = sweeps.arrivals(self.graph, values, magnitude)
        outward = sweeps.out_degrees(arrived, e, magnitude)
        total = 0.0 if magnitude else sweeps.total_magnitude(self.graph, values, e)
        return {
            "in": [inward.get(layer, []) for layer in self.graph.layers],
            "out": [outward.get(layer, []) for layer in self.graph.layers],
            "magnitude": total,
            "largest": ops.max(ops.abs(at_logits)),
        }

    def _labelled(self, result: dict[str, Any]) -> Iterator[tuple[str, int, list[Tensor]]]:
        """Yield (way, place, parts)."""
        for way in ("in", "out"):
            for place, parts in enumerate(result[way]):
                yield way, place, parts

    # The full coupling -------------------------------------------------------------------------

    def _add_full(self, x: Tensor, targets: Tensor, weight: Tensor, direct: dict[str, Any]) -> None:
        """Add one Hessian-vector product a layer, read at its neighbours."""
        layers = self.graph.layers
        before = self.graph.predecessors
        bend = {layer: [-ops.convert_to_numpy(p) for p in parts]
                for layer, parts in zip(layers, direct["in"], strict=True)}  # fmt: skip
        for source in layers:
            products = self._product(x, targets, weight, self._ones_at(source))
            for place, (layer, parts) in enumerate(zip(layers, products, strict=True)):
                if layer in before.get(source, set()):
                    self.sums.add("in", place, parts)
                    for total, part in zip(bend[layer], parts, strict=True):
                        total += ops.convert_to_numpy(part)
                if source in before.get(layer, set()):
                    self.sums.add("out", place, parts)
        # The direct part counts per sample and link, the curvature's per batch and target node.
        self.sums.magnitude_total += float(sum(np.abs(p).sum() for ps in bend.values() for p in ps))

    def _ones_at(self, source: Layer | Shift) -> list[Tensor]:
        """Return tangents that are 1 on one layer's nodes and 0 on the others'."""
        return [
            ops.ones(p.shape, p.dtype) if layer is source else ops.zeros(p.shape, p.dtype)
            for layer in self.graph.layers
            for p in nodes_of(layer)
        ]

    def _hessian_product(
        self, x: Tensor, targets: Tensor, weight: Tensor, tangents: list[Tensor]
    ) -> list[list[Tensor]]:
        """Return ``H t`` of the summed loss, cut by layers."""
        layers = self.graph.layers
        counts = [len(nodes_of(layer)) for layer in layers]
        theta = [read(p) for layer in layers for p in nodes_of(layer)]

        def cut(flat: list[Tensor]) -> list[list[Tensor]]:
            ends = np.cumsum(counts)
            return [flat[end - n : end] for n, end in zip(counts, ends, strict=True)]

        def total_loss(flat: list[Tensor]) -> Tensor:
            parameters: dict[Any, tuple[Any, Any]] = {}
            for layer, parts in zip(layers, cut(flat), strict=True):
                if isinstance(layer, Shift):
                    parameters[layer] = (None, parts[0])
                else:
                    parameters[layer] = (parts[0], parts[1] if len(parts) > 1 else None)
            logits = self.graph.forward(x, parameters)[self.graph.logits]
            return ops.sum(self.loss.per_sample(logits, targets) * weight)

        return cut(hessian_product(total_loss, theta, tangents))
