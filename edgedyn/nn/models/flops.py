"""How much a network computes and holds, counted from the shapes of its layers."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan, prod

import keras
from keras import layers as kl

_TRANSPOSED = (kl.Conv1DTranspose, kl.Conv2DTranspose, kl.Conv3DTranspose)


@dataclass(frozen=True)
class Work:
    """What one image costs in inference; NaN where a shape depends on the image."""

    # Two for each product of a kernel's entry: convolutions and dense layers alone, nearly all.
    flops: float
    activations: float  # numbers in the outputs of all layers
    layers: int  # inputs not counted


def work(model: keras.Model) -> Work:
    """Count what a sequential or functional model does with one image, nested ones layer by layer.

    >>> inputs = keras.Input((8, 8, 3))
    >>> x = keras.layers.Flatten()(keras.layers.Conv2D(4, 3)(inputs))
    >>> work(keras.Model(inputs, keras.layers.Dense(2)(x)))
    Work(flops=8352.0, activations=290.0, layers=3)
    """
    layers = [layer for layer in layers_of(model) if not isinstance(layer, kl.InputLayer)]
    return Work(
        flops=float(sum(map(_flops, layers))),
        activations=float(sum(_size(layer.output.shape[1:]) for layer in layers)),
        layers=len(layers),
    )


def layers_of(model: keras.Model) -> Iterator[kl.Layer]:
    """Yield a model's layers, those of nested models in their place."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from layers_of(layer)
        else:
            yield layer


def _flops(layer: kl.Layer) -> float:
    """Count a layer's products: its kernels once at every position."""
    kernels = [w for w in layer.weights if len(w.shape) > 1]
    if not kernels or isinstance(layer, kl.Embedding):
        return 0.0
    moved = layer.input if isinstance(layer, _TRANSPOSED) else layer.output
    return 2 * _size(moved.shape[1:-1]) * sum(prod(w.shape) for w in kernels)


def _size(shape: tuple[int | None, ...]) -> float:
    """Return the number of entries; NaN where the shape is open."""
    return prod(nan if n is None else float(n) for n in shape)
