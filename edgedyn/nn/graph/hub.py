"""Layers of KerasHub's own that their ``call`` does not tell: tokens, positions, windows."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.ops.function import Function

from edgedyn.nn.graph import converters
from edgedyn.nn.graph.mixing import Softmax
from edgedyn.nn.graph.norms import layer_norm
from edgedyn.nn.graph.steps import Looked, Product, Shift

Walker = Any  # edgedyn.nn.graph.extract's
APART = -100.0  # what KerasHub adds to the scores of positions that are no neighbours


@contextmanager
def within(walker: Walker, layer: Any) -> Iterator[None]:
    """Let the names of a layer's parts begin with its own."""
    before, walker.prefix = walker.prefix, f"{walker.prefix}{layer.name}/"
    try:
        yield
    finally:
        walker.prefix = before


# What begins a vision transformer -----------------------------------------------------------------


def vit_patches(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert ViT's patches, the class token before them, and the embedding of positions."""
    tokens = [("class_token", layer.class_token)] if layer.use_class_token else []
    return _patches(walker, layer, given, tokens, layer.position_embedding.embeddings)


def deit_patches(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert DeiT's patches, its two tokens before them, and the embedding of positions."""
    if layer.use_mask_token:
        raise ValueError(f"layer {layer.name!r} has a mask token; it is known without.")
    names = ("class_token", "distillation_token")
    tokens = [(name, getattr(layer, name)) for name in names]
    return _patches(walker, layer, given, tokens, layer.position_embedding)


def _patches(
    walker: Walker, layer: Any, given: list[int], tokens: list[tuple[str, Any]], positions: Any
) -> int:
    """Convert patches, learned tokens before them, and what is added at each position."""
    name, width = layer.name, layer.hidden_dim
    k = converters.convolution(walker, layer.patch_embedding, given)

    def flat(u: Any) -> Any:
        return ops.reshape(u, (-1, layer.num_patches, width))

    def nothing(u: Any) -> Any:
        return 0 * u[:, :1]

    def together(*parts: Any) -> Any:
        return ops.concatenate(parts, axis=1)

    k = walker.linear(f"{name}/patches", [k], flat, structure=None)
    if tokens:
        none = walker.linear(f"{name}/nothing", [k], nothing, structure=None)
        first = [constant(walker, f"{name}/{word}", none, token) for word, token in tokens]
        k = walker.linear(f"{name}/together", [*first, k], together, structure=None)
    return constant(walker, f"{name}/positions", k, positions)


def constant(walker: Walker, name: str, k: int, value: Any) -> int:
    """Add a learned constant: where biases are nodes, its entries are some of that kind."""
    return _shift(walker, Shift, name, k, value)


def _shift(walker: Walker, kind: type[Shift], name: str, k: int, *details: Any) -> int:
    """Add a shift of some kind, without nodes where biases are none."""
    if walker.all_nodes:
        return walker.add(kind, name, [k], *details, structure=None)
    shift = kind(name, (k,), k, *details, structure=None)
    return walker.linear(name, [k], shift.forward, lambda u: u, structure=None)


def deit_encoder(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert DeiT's blocks, called as it does where nobody asks for what is in between."""
    (tensor,) = walker.node.input_tensors
    for block in layer.encoder_layers:
        x = keras.Input(batch_shape=tensor.shape, dtype=tensor.dtype)
        normed = block.layer_norm_1(x)
        attended = block.mha(normed, normed) + x
        out = block.output_layer(block.mlp(block.layer_norm_2(attended)), attended)
        with within(walker, block):
            given = walker.unrolled(Function(x, out), given)
    return layer_norm(walker, layer.layer_norm, given)


# Attention in shifted windows (Swin) --------------------------------------------------------------


def swin_block(walker: Walker, layer: Any, given: list[int]) -> int:
    """Convert a block: attention among the positions of a window, then two dense layers."""
    (k,) = given
    with within(walker, layer):
        attended = layer_norm(walker, layer.norm1, [k])
        attended = _windows(walker, layer, attended)
        k = walker.linear("add_attended", [k, attended], ops.add, structure=None)
        hidden = layer_norm(walker, layer.norm2, [k])
        hidden = converters.dense(walker, layer.mlp.fc1, [hidden])
        hidden = walker.activation("act", hidden, layer.mlp.act_layer)
        hidden = converters.dense(walker, layer.mlp.fc2, [hidden])
        return walker.linear("add_hidden", [k, hidden], ops.add, structure=None)


def _windows(walker: Walker, block: Any, k: int) -> int:
    """Cut a map of positions into windows, attend within each, and put it together again."""
    (height, width), size, shift = block.input_resolution, block.window_size, block.shift_size
    rows, columns = -(-height // size), -(-width // size)
    margins = ((0, 0), (0, rows * size - height), (0, columns * size - width), (0, 0))

    def cut(u: Any) -> Any:
        """Return windows, shape (samples, windows, positions, channels)."""
        u = ops.reshape(u, (-1, height, width, u.shape[-1]))
        u = ops.pad(ops.roll(u, (-shift, -shift), axis=(1, 2)), margins)
        u = ops.reshape(u, (-1, rows, size, columns, size, u.shape[-1]))
        u = ops.transpose(u, (0, 1, 3, 2, 4, 5))
        return ops.reshape(u, (-1, rows * columns, size * size, u.shape[-1]))

    def joined(u: Any) -> Any:
        u = ops.reshape(u, (-1, rows, columns, size, size, u.shape[-1]))
        u = ops.transpose(u, (0, 1, 3, 2, 4, 5))
        u = ops.reshape(u, (-1, rows * size, columns * size, u.shape[-1]))
        u = ops.roll(u, (shift, shift), axis=(1, 2))[:, :height, :width]
        return ops.reshape(u, (-1, height * width, u.shape[-1]))

    k = walker.linear("windows", [k], cut, structure=None)
    k = _attention(walker, block.attn, k, _apart(cut, block) if shift else None)
    return walker.linear("joined", [k], joined, structure=None)


def _apart(cut: Any, block: Any) -> Any:
    """Return what is added to scores, shape (windows, 1, n, n): positions that only met by a shift.

    Such are in other stripes of the map: before, within and after its last, shifted window.
    """
    stripes = []
    for side in block.input_resolution:
        at = np.arange(side)
        stripe = (at >= side - block.window_size).astype(int) + (at >= side - block.shift_size)
        # As the map has them after the roll, so that cut, which rolls, gives them in place.
        stripes.append(np.roll(stripe, block.shift_size))
    number = 3 * stripes[0][:, None] + stripes[1]
    flat = ops.convert_to_tensor(number.reshape(1, -1, 1), "float32")
    at = ops.convert_to_numpy(cut(flat))[0, :, :, 0]
    return (at[:, None, :, None] != at[:, None, None, :]) * APART


def _attention(walker: Walker, layer: Any, k: int, apart: Any) -> int:
    """Attend among positions: projections, scores with their table, softmax, mix, projection."""
    heads, head = layer.num_heads, layer.head_dim
    with within(walker, layer):
        k = converters.dense(walker, layer.qkv, [k])

        def part(u: Any, which: int) -> Any:
            return ops.reshape(u, (*u.shape[:-1], 3, heads, head))[..., which, :, :]

        query, key, value = (
            walker.linear(word, [k], partial(part, which=which), structure=None)
            for which, word in enumerate(("query", "key", "value"))
        )
        query = walker.linear("scale", [query], lambda u: u * layer.scale, structure=None)
        score = partial(ops.einsum, "bwqhd,bwkhd->bwhqk")
        k = walker.add(Product, "scores", [query, key], score, structure=None)
        index = np.asarray(keras.ops.convert_to_numpy(layer.relative_position_index), np.int32)
        k = _shift(walker, Looked, "positions", k, layer.relative_position_bias_table, index)
        if apart is not None:
            masked = partial(_plus, apart)
            k = walker.linear("neighbours", [k], masked, lambda u: u, structure=None)
        k = walker.add(Softmax, "softmax", [k], (4,), structure=None)
        mix = partial(ops.einsum, "bwhqk,bwkhd->bwqhd")
        k = walker.add(Product, "mix", [k, value], mix, structure=None)
        together = partial(_flat_heads, heads * head)
        k = walker.linear("heads", [k], together, structure=None)
        return converters.dense(walker, layer.proj, [k])


def _plus(number: Any, u: Any) -> Any:
    """Add a constant in the precision of what it is added to."""
    return u + ops.convert_to_tensor(number, u.dtype)


def _flat_heads(width: int, u: Any) -> Any:
    """Put the features of all heads side by side."""
    return ops.reshape(u, (*u.shape[:-2], width))


CONVERTERS = {
    "ViTPatchingAndEmbedding": vit_patches,
    "DeiTEmbeddings": deit_patches,
    "DeiTEncoder": deit_encoder,
    "SwinTransformerBlock": swin_block,
    "DropPath": lambda walker, layer, given: given[0],  # in inference
}
