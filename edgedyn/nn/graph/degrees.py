"""Degrees of a graph's line graph by automatic differentiation, summed batch by batch."""

from typing import Any

import numpy as np
from keras import ops

from edgedyn._array import Array
from edgedyn.capacitance import Provenance
from edgedyn.degrees import DegreeSums
from edgedyn.mlp.loss import SOFTMAX_LOSSES
from edgedyn.nn.graph import sweeps
from edgedyn.nn.graph.autodiff import added, compiled, hessian_product
from edgedyn.nn.graph.graph import Graph, nodes_of
from edgedyn.nn.graph.loss import OutputLoss
from edgedyn.nn.graph.steps import Layer, Shift, read

Tensor = Any


class GraphDegrees:
    """Degrees of every layer's parameters, for direct or full coupling.

    Direct: two sweeps a batch (`edgedyn.nn.graph.sweeps`), whatever the number of pairs. Full: one
    Hessian-vector product a layer, ``H 1_B``, read at B's predecessors (in-degrees) and successors
    (out-degrees). The parameters are read anew for each batch, so one object serves a whole
    training run. Every batch is filled up to `batch_size` with samples of weight 0, so that the
    compiled functions see one shape. `kind` is the checked `coupling`, `strength` ("magnitude" or
    "signed") and `nodes`.
    """

    def __init__(self, graph: Graph, loss: OutputLoss, batch_size: int, **kind: str) -> None:
        self.graph, self.loss, self.batch_size, self.kind = graph, loss, batch_size, kind
        self._sweep = compiled(self._sweep_batch, graph.state)
        self._product = compiled(self._hessian_product, graph.state)

    def empty(self, groups: int = 1) -> DegreeSums:
        """Return the sums over no samples, for `add`."""
        shapes = [tuple(tuple(p.shape) for p in nodes_of(layer)) for layer in self.graph.layers]
        structure = self.graph.structure(self.loss.name in SOFTMAX_LOSSES)
        what: dict[str, Any] = {**self.kind, **structure}
        epsilon = float(np.finfo(self.graph.dtype).eps)
        return DegreeSums(shapes, Provenance(epsilon=epsilon, **what), groups)

    def add(self, sums: "DeviceSums", x: Array, targets: Array) -> None:
        """Add a batch of at most `batch_size` samples."""
        n = len(x)
        x, targets, weight = self._filled(x, targets)
        result = self._sweep(x, targets, weight)
        sums.count(n, result["largest"], result["magnitude"])
        if self.kind["coupling"] == "full":
            self._add_full(sums, (x, targets, weight), result["in"])
            return
        for way in ("in", "out"):
            for layer, parts in enumerate(result[way], start=1):
                sums.add(way, layer, parts)

    # One batch -------------------------------------------------------------------------------

    def _filled(self, x: Array, targets: Array) -> tuple[Tensor, Tensor, Tensor]:
        """Fill a batch up with repetitions of weight 0; return tensors."""
        missing = self.batch_size - len(x)
        rows = np.r_[np.arange(len(x)), np.zeros(missing, int)] if missing else slice(None)
        weight = np.r_[np.ones(len(x)), np.zeros(missing)]
        weight = ops.convert_to_tensor(weight, self.graph.dtype)
        return *self.graph.tensors(x[rows], targets[rows]), weight

    def _sweep_batch(self, x: Tensor, targets: Tensor, weight: Tensor) -> dict[str, Any]:
        """Forward pass, backward pass, and the two sweeps."""
        magnitude = self.kind["strength"] == "magnitude"
        values = self.graph.forward(x)
        at_logits = self.loss.cotangent(values[self.graph.logits], targets) * weight[:, None]
        e = sweeps.cotangents(self.graph, values, at_logits)
        inward = self.graph.by_owner(sweeps.in_degrees(self.graph, values, e, magnitude))
        outward = self.graph.by_owner(sweeps.out_degrees(self.graph, values, e, magnitude))
        total = ops.zeros((), self.graph.dtype)
        if not magnitude:
            total = sweeps.total_magnitude(self.graph, values, e)
        return {
            "in": [inward.get(layer, []) for layer in self.graph.layers],
            "out": [outward.get(layer, []) for layer in self.graph.layers],
            "magnitude": total,
            "largest": ops.max(ops.abs(at_logits)),
        }

    # The full coupling -------------------------------------------------------------------------

    def _add_full(
        self, sums: "DeviceSums", batch: tuple[Tensor, ...], direct: list[list[Tensor]]
    ) -> None:
        """Add one Hessian-vector product a layer, read at its neighbours."""
        layers = self.graph.layers
        before = self.graph.predecessors
        bend = [[-part for part in parts] for parts in direct]
        for source in layers:
            products = self._product(*batch, self._ones_at(source))
            for k, (layer, parts) in enumerate(zip(layers, products, strict=True)):
                if layer in before.get(source, set()):
                    sums.add("in", k + 1, parts)
                    bend[k] = [b + part for b, part in zip(bend[k], parts, strict=True)]
                if source in before.get(layer, set()):
                    sums.add("out", k + 1, parts)
        # The direct part counts per sample and link, the curvature's per batch and target node.
        sums.magnitudes += [ops.sum(ops.abs(part)) for parts in bend for part in parts]

    def _ones_at(self, source: Layer | Shift) -> list[Tensor]:
        """Return tangents that are 1 on one layer's nodes and 0 on the others'."""
        return [
            (ops.ones if layer is source else ops.zeros)(p.shape, self.graph.dtype)
            for layer in self.graph.layers
            for p in nodes_of(layer)
        ]

    def _hessian_product(
        self, x: Tensor, targets: Tensor, weight: Tensor, tangents: list[Tensor]
    ) -> list[list[Tensor]]:
        """Return ``H t`` of the summed loss, cut by layers."""
        theta = [read(p) for layer in self.graph.layers for p in nodes_of(layer)]

        def total_loss(flat: list[Tensor]) -> Tensor:
            logits = self.graph.forward(x, self.graph.by_layer(flat))[self.graph.logits]
            return ops.sum(self.loss.per_sample(logits, targets) * weight)

        products = iter(hessian_product(total_loss, theta, tangents))
        return [[next(products) for _ in nodes_of(layer)] for layer in self.graph.layers]


class DeviceSums:
    """Sums over batches in double precision, where they are computed: nothing waits for the host.

    `into` brings them over, once. They take two doubles a parameter.
    """

    def __init__(self) -> None:
        self.n_samples = 0
        self.largest: list[Tensor] = []
        self.magnitudes: list[Tensor] = []
        self._sums: dict[tuple[str, int], list[Tensor]] = {}

    def count(self, n: int, largest: Tensor, magnitude: Tensor) -> None:
        """Count a batch's samples, its largest error and its part of 1' P_mag 1."""
        self.n_samples += n
        self.largest.append(largest)
        self.magnitudes.append(magnitude)

    def add(self, way: str, layer: int, parts: list[Tensor]) -> None:
        """Add to the "in"- or "out"-degrees of a layer's parameters."""
        if parts:
            known = self._sums.get((way, layer))
            self._sums[way, layer] = parts if known is None else added(known, parts)

    def into(self, sums: DegreeSums, group: int) -> None:
        """Add all to the sums of a group.

        DivergedError if the network's output is not finite; nothing is added then.
        """
        if not self.n_samples:
            return
        # Of a NaN among them the maximum is NaN.
        sums.count(np.full(self.n_samples, group), float(_numbers(self.largest).max()))
        sums.magnitude_totals[group] += float(_numbers(self.magnitudes).sum())
        while self._sums:  # each is given back before the next is brought over
            (way, layer), parts = self._sums.popitem()
            sums.add(
                way, layer, group, [np.array(ops.convert_to_numpy(p), np.float64) for p in parts]
            )


def _numbers(tensors: list[Tensor]) -> Array:
    """Return numbers, brought over together."""
    return ops.convert_to_numpy(ops.stack(tensors)).astype(np.float64)
