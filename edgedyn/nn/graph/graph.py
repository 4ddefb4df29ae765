"""A network as its operations in topological order, between numbered tensors."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from keras import ops

from edgedyn._array import Array
from edgedyn.linegraph import Network
from edgedyn.nn.graph.steps import Dense, Layer, Map, Shift, Step, precision

Tensor = Any
Weights = dict[Any, tuple[Tensor, ...]]  # (kernel, bias) of layers
INPUT = 0


def nodes_of(layer: Layer | Shift) -> list[Any]:
    """Return the parameters of a layer that are nodes: the kernel, then the bias."""
    if isinstance(layer, Shift):
        return [layer.bias]
    return [layer.kernel, layer.bias] if layer.bias_is_node else [layer.kernel]


@dataclass(frozen=True)
class Graph:
    """What `extract` makes of a Keras model."""

    steps: tuple[Step, ...]  # in topological order; tensor 0 is the input
    logits: int  # the tensor the loss acts on; a softmax or sigmoid after it belongs to the loss
    head: str  # "softmax", "sigmoid" or "" for neither
    input_shape: tuple[int | None, ...]  # of one sample
    shapes: dict[int, tuple[int | None, ...]]  # as Keras has them; of some tensors, by number
    downstream: set[int]  # tensors that depend on a layer's parameters

    @cached_property
    def layers(self) -> tuple[Layer | Shift, ...]:
        """The steps that own nodes of the line graph, in order."""
        return tuple(s for s in self.steps if isinstance(s, Layer | Shift))

    @property
    def dtype(self) -> str:
        """Precision of the arithmetic: that of the parameters, at least single."""
        return precision(next(s for s in self.steps if isinstance(s, Layer)).kernel.dtype)

    @cached_property
    def predecessors(self) -> dict[Layer | Shift, set[Layer | Shift]]:
        """For each layer those from which a parameter-free path leads to it."""
        reach: dict[int, set[Layer | Shift]] = {INPUT: set()}
        found: dict[Layer | Shift, set[Layer | Shift]] = {}
        for step in self.steps:
            arriving = set().union(*(reach[i] for i in step.inputs))
            if isinstance(step, Layer):
                found[step] = arriving
                arriving = {step}
            elif isinstance(step, Shift):
                arriving = arriving | {step}
            reach[step.output] = arriving
        return found

    def structure(self, softmax: bool) -> dict[str, int]:
        """Return `edgedyn.capacitance.Provenance`'s counts of interior and informative layers.

        `softmax`: whether the loss acts on the softmax of the logits, in the model or in the loss.
        """
        before = self.predecessors
        gauge = {a for a in before if softmax and a.output == self.logits and isinstance(a, Dense)}
        followed = set().union(*before.values())
        informing = set().union(*(earlier for b, earlier in before.items() if b not in gauge))
        interior = {a for a, earlier in before.items() if earlier} & followed
        return {"n_interior": len(interior), "n_informative": len(interior & informing)}

    def by_layer(self, flat: Iterable[Tensor]) -> Weights:
        """Return each layer's (kernel, bias), None where there is none, from those of all nodes."""
        rest = iter(flat)
        found: Weights = {}
        for layer in self.layers:
            parts = [next(rest) for _ in nodes_of(layer)]
            found[layer] = (None, *parts) if isinstance(layer, Shift) else (*parts, None)[:2]
        return found

    def tensors(self, x: Array, targets: Array | None) -> tuple[Tensor, Tensor]:
        """Return samples and targets in the precision of the parameters; labels are integers."""
        samples = ops.convert_to_tensor(x, self.dtype)
        if targets is None:
            return samples, None
        kind = "int32" if targets.ndim == 1 else self.dtype
        return samples, ops.convert_to_tensor(targets, kind)

    def network(self) -> Network:
        """Return the structure alone; ValueError where the size of the input is not fixed."""
        if None in self.input_shape:
            raise ValueError(
                f"a line graph needs inputs of a fixed size; the model takes {self.input_shape}: "
                "build it with input_shape=(height, width, channels)."
            )
        network = Network([n for n in self.input_shape if n is not None])
        tensors = {INPUT: network.input}
        for step in self.steps:
            given = [tensors[i] for i in step.inputs]
            tensors[step.output] = network.add(step.structure, *given, name=step.name)
            shape = self.shapes.get(step.output, tensors[step.output].shape)
            if shape != tensors[step.output].shape:
                raise ValueError(
                    f"layer {step.name!r} gives shape {shape}, its line graph expects "
                    f"{tensors[step.output].shape}; this is a mistake in edgedyn."
                )
        return network

    def forward(self, x: Tensor, parameters: Weights | None = None) -> dict:
        """Return every tensor's value; with `parameters` at given (kernel, bias) instead."""
        values = {INPUT: x}
        for step in self.steps:
            given = [values[i] for i in step.inputs]
            own = parameters[step] if parameters and isinstance(step, Layer | Shift) else ()
            assert isinstance(step, Layer | Shift | Map)
            values[step.output] = step.forward(*given, *own)
        return values
