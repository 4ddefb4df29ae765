"""Converters of attention, taken apart: projections around product, softmax and product."""

import inspect
from functools import partial
from typing import Any

from keras import layers as kl
from keras import ops

from edgedyn.nn.graph.mixing import Softmax
from edgedyn.nn.graph.steps import Einsum, Product, parameter

Walker = Any  # edgedyn.nn.graph.extract's
Numbers = dict[str, int]


def einsum_dense(walker: Walker, layer: Any, given: list[int], name: str = "") -> int:
    """Convert a product along any axes."""
    name = name or layer.name
    bias = (layer.bias, walker.all_nodes) if layer.bias is not None else (None, False)
    kernel = parameter(layer)
    details = (kernel, *bias, kernel.shape[-1], 1, layer.equation)
    k = walker.add(Einsum, name, given, *details, structure=None)
    return walker.activation(name, k, layer.activation)


def multi_head(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert multi-head attention."""
    if layer._use_gate or layer._sliding_window is not None:
        raise ValueError(f"layer {layer.name!r} has a gate or a sliding window; neither is known.")
    query, key, value = _projected(walker, layer, given)
    query = _scaled(walker, layer, query, layer._inverse_sqrt_key_dim)
    return _attend(walker, layer, [key, query], value)


def grouped_query(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert attention of which several heads share keys and values."""
    if layer.use_gate or layer.sliding_window is not None:
        raise ValueError(f"layer {layer.name!r} has a gate or a sliding window; neither is known.")
    query, *shared = _projected(walker, layer, given)
    repeat = partial(ops.repeat, repeats=layer.num_repeats, axis=2)
    key, value = (
        walker.linear(f"{layer.name}/{word}_repeated", [k], repeat, structure=None)
        for word, k in zip(("key", "value"), shared, strict=True)
    )
    query = _scaled(walker, layer, query, layer._inverse_sqrt_head_dim)
    return _attend(walker, layer, [query, key], value)


def _projected(walker: Walker, layer: Any, given: list[int]) -> tuple[int, int, int]:
    """Add the projections of query, key and value; refuse masks."""
    arguments = walker.node.arguments
    named = inspect.signature(layer.call).bind(*arguments.args, **arguments.kwargs).arguments
    allowed = {"query", "value", "key", "training"}
    masked = [n for n, v in named.items() if n not in allowed and v is not None and v is not False]
    if masked:
        raise ValueError(
            f"layer {layer.name!r} is called with {', '.join(masked)}; attention is known without."
        )
    numbers = {id(t): k for t, k in zip(walker.node.input_tensors, given, strict=True)}
    query, value = numbers[id(named["query"])], numbers[id(named["value"])]
    key = value if named.get("key") is None else numbers[id(named["key"])]
    parts = ("query", query), ("key", key), ("value", value)
    found = (
        einsum_dense(walker, getattr(layer, f"_{word}_dense"), [k], f"{layer.name}/{word}")
        for word, k in parts
    )
    return next(found), next(found), next(found)


def _scaled(walker: Walker, layer: Any, query: int, scale: float) -> int:
    """Add the constant that the query is multiplied by."""
    return walker.linear(f"{layer.name}/scale", [query], lambda u: u * scale, structure=None)


def _attend(walker: Walker, layer: Any, factors: list[int], value: int) -> int:
    """Add product, softmax, product and the last projection; `factors` as the layer takes them."""
    equation, combine, name = layer._dot_product_equation, layer._combine_equation, layer.name
    score, mix = partial(ops.einsum, equation), partial(ops.einsum, combine)
    k = walker.add(Product, f"{name}/scores", factors, score, structure=None)
    rank, axes = len(equation.partition("->")[2]), layer._softmax.axis
    axes = tuple(axis % rank for axis in (axes if isinstance(axes, list | tuple) else [axes]))
    k = walker.add(Softmax, f"{name}/softmax", [k], axes, structure=None)
    k = walker.add(Product, f"{name}/mix", [k, value], mix, structure=None)
    return einsum_dense(walker, layer._output_dense, [k], f"{name}/output")


CONVERTERS = (
    (kl.EinsumDense, einsum_dense),
    (kl.MultiHeadAttention, multi_head),
    (kl.GroupQueryAttention, grouped_query),
)
