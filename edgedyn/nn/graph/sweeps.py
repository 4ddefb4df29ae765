"""Degrees of the direct coupling for a whole network, by two sweeps instead of one Jacobian a pair.

Reverse: a tensor's ``q`` sums, over its consumers, ``J^T q`` of parameter-free operations and
``f_B(1, .)^T e_B`` of layers; the in-degree of layer A is its weight gradient from (q_A, u_A).
Forward: a layer emits ``f_A(1, u_A)``, parameter-free operations push it; the out-degree of layer
B is its kernel gradient from (e_B, t_B). With weights in the place of the ones, degrees become
products of P, or of its transpose, with them.
"""

from typing import Any

from keras import ops

from edgedyn.nn.graph.graph import Graph, Weights
from edgedyn.nn.graph.steps import Free, Layer, Shift, sizes, summed_to

Tensor = Any
Values = dict[int, Tensor]


def cotangents(graph: Graph, values: Values, at_logits: Tensor) -> Values:
    """Return every tensor's ordinary cotangent, sample by sample: the backward pass."""
    found: Values = {graph.logits: at_logits}
    for step in reversed(graph.steps):
        e = found.get(step.output)
        if e is None or not graph.downstream.intersection(step.inputs):
            continue
        given = [values[i] for i in step.inputs]
        if isinstance(step, Free):
            pulled = step.pull(given, e, False)
        else:
            pulled = [step.pull(given[0], e) if isinstance(step, Layer) else e]
        _add_to(found, graph, step.inputs, pulled)
    return found


def in_degrees(
    graph: Graph, values: Values, e: Values, magnitude: bool, weights: Weights | None = None
) -> dict[Any, list[Tensor]]:
    """Return each step's in-degrees (kernel, then bias if a node), summed over samples."""
    q: Values = {}
    degrees: dict[Any, list[Tensor]] = {}
    for step in reversed(graph.steps):
        given = [values[i] for i in step.inputs]
        received = q.get(step.output)
        if isinstance(step, Layer):
            u, error = sizes(given[0], magnitude), sizes(e[step.output], magnitude)
            if received is not None:
                degrees[step] = [step.gradient(u, received)]
                if step.bias_is_node:
                    degrees[step].append(summed_to(received, step.bias.shape))
            if step.inputs[0] in graph.downstream:
                kernel = None if weights is None else weights[step][0]
                pulled = step.ones_pull(u, error) if kernel is None else step.pull(u, error, kernel)
                _add_to(q, graph, step.inputs, [pulled])
        elif received is not None and step.output in graph.downstream:
            if isinstance(step, Shift):
                degrees[step] = [step.collected(received)]
                _add_to(q, graph, step.inputs, [received])
            elif isinstance(step, Free):
                _add_to(q, graph, step.inputs, step.pull(given, received, magnitude))
    return degrees


def arrivals(
    graph: Graph, values: Values, magnitude: bool, weights: Weights | None = None
) -> dict[Layer, Tensor]:
    """Return ``t_B = sum_A J_AB f_A(1, u_A)`` for each layer B that has a predecessor."""
    t: Values = {}
    found: dict[Layer, Tensor] = {}
    for step in graph.steps:
        given = [values[i] for i in step.inputs]
        arriving = [t.get(i) for i in step.inputs]
        if isinstance(step, Layer):
            if arriving[0] is not None:
                found[step] = arriving[0]
            t[step.output] = _emitted(step, sizes(given[0], magnitude), weights)
        elif isinstance(step, Shift):
            one = ops.ones_like(given[0]) * (
                1 if weights is None else step.placed(weights[step][1])
            )
            t[step.output] = one if arriving[0] is None else arriving[0] + one
        elif any(a is not None for a in arriving):
            assert isinstance(step, Free)
            pairs = zip(given, arriving, strict=True)
            filled = [ops.zeros_like(v) if a is None else a for v, a in pairs]
            t[step.output] = step.push(given, filled, magnitude)
    return found


def out_degrees(
    graph: Graph, values: Values, e: Values, magnitude: bool, weights: Weights | None = None
) -> dict[Any, list[Tensor]]:
    """Return each step's kernel out-degrees, summed over samples; those of biases are 0."""
    return {
        layer: [layer.gradient(t, sizes(e[layer.output], magnitude))]
        for layer, t in arrivals(graph, values, magnitude, weights).items()
    }


def total_magnitude(graph: Graph, values: Values, e: Values) -> Tensor:
    """Return ``sum_s 1' P_mag 1 = sum_B <|e_B|, f_B(1, t_B)>``."""
    found = arrivals(graph, values, True).items()
    parts = (ops.sum(ops.abs(e[layer.output]) * layer.ones_forward(t)) for layer, t in found)
    return sum(parts, ops.zeros((), values[graph.logits].dtype))


def _emitted(step: Layer, u: Tensor, weights: Weights | None) -> Tensor:
    """Return ``f(1, u)``, with the bias' own 1, or the same at other weights."""
    kernel, bias = (None, 1) if weights is None else weights[step]
    sent = step.ones_forward(u) if kernel is None else step.apply(kernel, u)
    return sent + bias if step.bias_is_node else sent


def _add_to(found: Values, graph: Graph, inputs: tuple[int, ...], parts: list[Tensor]) -> None:
    """Add cotangents where they can still reach a parameter."""
    for k, part in zip(inputs, parts, strict=True):
        if k in graph.downstream:
            found[k] = found[k] + part if k in found else part
