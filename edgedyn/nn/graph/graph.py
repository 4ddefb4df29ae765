"""A network as its operations in topological order, between numbered tensors."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from keras import ops

from edgedyn._array import Array
from edgedyn.linegraph import Network
from edgedyn.nn.graph.mixing import Centre, Divide, Softmax
from edgedyn.nn.graph.steps import (
    Computed,
    Dense,
    Einsum,
    Free,
    Layer,
    Product,
    Shift,
    Step,
    Windowed,
    precision,
)

Tensor = Any
Weights = dict[Any, tuple[Tensor, ...]]  # (kernel, bias) of layers
INPUT = 0
TRACED = 1e-2  # relative difference of outputs: half precision has three digits


_ROUTES = (
    ((Centre, Divide), "a normalisation by the sample's own statistics mixes all its features"),
    ((Softmax, Product), "attention mixes all positions by weights that depend on the data"),
    ((Einsum,), "its product runs along several axes"),
    ((Windowed,), "windows are known along one axis or two"),
    ((Step,), "its routes from entry to entry are not known"),
)


def no_routes(step: Step) -> str:
    """Say why a step has no routes from entry to entry."""
    why = next(text for kinds, text in _ROUTES if isinstance(step, kinds))
    return f"layer {step.name!r} has no line graph: {why}. neural_capacitance needs no line graph."


def _identity(parameter: Any) -> Any:
    """Return what tells a layer's parameter from another's."""
    if isinstance(parameter, Computed):
        return id(parameter.layer), parameter.name
    return id(parameter)


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
    state: Sequence[Any]  # all variables that the steps may read
    traced: tuple[str, ...]  # layers of libraries and other people that were taken apart

    @cached_property
    def uses(self) -> dict[Layer | Shift, tuple[Layer | Shift, ...]]:
        """For each layer, which is its first use, all steps that have its parameters."""
        found: dict[Any, list[Layer | Shift]] = {}
        for step in self.steps:
            if isinstance(step, Layer | Shift):
                found.setdefault(_identity(nodes_of(step)[0]), []).append(step)
        return {steps[0]: tuple(steps) for steps in found.values()}

    @property
    def layers(self) -> tuple[Layer | Shift, ...]:
        """The steps that own nodes of the line graph, in order; of shared ones the first use."""
        return tuple(self.uses)

    def by_owner(self, found: dict[Any, list[Tensor]]) -> dict[Any, list[Tensor]]:
        """Add what all uses of a layer have received, part by part."""
        total: dict[Any, list[Tensor]] = {}
        for layer, steps in self.uses.items():
            own = [found[step] for step in steps if step in found]
            if own:
                total[layer] = [sum(parts[1:], parts[0]) for parts in zip(*own, strict=True)]
        return total

    @property
    def dtype(self) -> str:
        """Precision of the arithmetic: that of the parameters, at least single."""
        return precision(next(s for s in self.steps if isinstance(s, Layer)).kernel.dtype)

    @cached_property
    def predecessors(self) -> dict[Layer | Shift, set[Layer | Shift]]:
        """For each layer those from which a parameter-free path leads to it, maybe itself."""
        owner = {step: layer for layer, steps in self.uses.items() for step in steps}
        reach: dict[int, set[Layer | Shift]] = {INPUT: set()}
        found: dict[Layer | Shift, set[Layer | Shift]] = {}
        for step in self.steps:
            arriving = set().union(*(reach[i] for i in step.inputs))
            if isinstance(step, Layer):
                found[owner[step]] = found.get(owner[step], set()) | arriving
                arriving = {owner[step]}
            elif isinstance(step, Shift):
                arriving = arriving | {owner[step]}
            reach[step.output] = arriving
        return found

    def structure(self, softmax: bool) -> dict[str, int]:
        """Return `edgedyn.capacitance.Provenance`'s counts of interior and informative layers.

        `softmax`: whether the loss acts on the softmax of the logits, in the model or in the loss.
        """
        before = self.predecessors
        last = {a for a, uses in self.uses.items() if [s.output for s in uses] == [self.logits]}
        gauge = {a for a in last if softmax and isinstance(a, Dense)}
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
            own = (None, *parts) if isinstance(layer, Shift) else (*parts, None)[:2]
            found.update(dict.fromkeys(self.uses[layer], own))
        return found

    def check(self, model: Any, x: Array) -> None:
        """Compare with the model what was taken apart, on a sample; ValueError where they differ.

        A layer of someone else's may do otherwise with values than with the symbols it was traced
        with.
        """
        if not self.traced:
            return
        x, _ = self.tensors(x[:1], None)
        heads = {"softmax": ops.softmax, "sigmoid": ops.sigmoid}
        own = heads.get(self.head, lambda u: u)(self.forward(x)[self.logits])
        given = ops.convert_to_numpy(ops.cast(model(x, training=False), own.dtype))
        apart = np.abs(ops.convert_to_numpy(own) - given).max() / (np.abs(given).max() or 1.0)
        if not apart < TRACED:
            raise ValueError(
                f"model {model.name!r} gives another output than its layers {list(self.traced)}, "
                f"taken apart, by {apart:.2g}: they do otherwise than they were read."
            )

    def tensors(self, x: Array, targets: Array | None) -> tuple[Tensor, Tensor]:
        """Return samples and targets in the precision of the parameters; labels are integers."""
        samples = ops.convert_to_tensor(x, self.dtype)
        if targets is None:
            return samples, None
        kind = "int32" if targets.ndim == 1 else self.dtype
        return samples, ops.convert_to_tensor(targets, kind)

    def network(self) -> Network:
        """Return the structure alone; ValueError where its routes are not known, and why."""
        if None in self.input_shape:
            raise ValueError(
                f"a line graph needs inputs of a fixed size; the model takes {self.input_shape}: "
                "build it with input_shape=(height, width, channels)."
            )
        twice = [uses[1].name for uses in self.uses.values() if len(uses) > 1]
        if twice:
            raise ValueError(
                f"layer {twice[0]!r} is used more than once; a line graph takes each layer once. "
                "neural_capacitance needs no line graph."
            )
        network = Network([n for n in self.input_shape if n is not None])
        tensors = {INPUT: network.input}
        for step in self.steps:
            if step.structure is None:
                raise ValueError(no_routes(step))
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
            assert isinstance(step, Layer | Shift | Free)
            values[step.output] = step.forward(*given, *own)
        return values
