"""Small networks for small images: candidates of studies on a laptop, and of the examples.

Each is a functional `keras.Model` that takes images of `input_shape` (height, width, 3) in 0..255
and gives features; weights are random, as ``keras.utils.set_random_seed`` decides. `strides` are
those of the first convolution; 2 makes all that follows four times cheaper.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers as kl

Shape = tuple[int | None, int | None, int]
IMAGE = (32, 32, 3)


def mlp(input_shape: Shape = IMAGE, units: Sequence[int] = (128, 64)) -> keras.Model:
    """Return a perceptron: one dense layer with ReLU for each of `units`.

    Examples
    --------
    >>> from edgedyn.nn.models import small
    >>> small.mlp((8, 8, 3)).output_shape
    (None, 64)
    """
    inputs, x = _start(input_shape)
    x = kl.Flatten()(x)
    for n in units:
        x = kl.Dense(n, activation="relu", kernel_initializer="he_normal")(x)
    return keras.Model(inputs, x, name="mlp")


def cnn(input_shape: Shape = IMAGE, width: int = 16, depth: int = 2) -> keras.Model:
    """Return `depth` convolutions, a pooling after each; `width` channels, doubled at each.

    Examples
    --------
    >>> from edgedyn.nn.models import small
    >>> small.cnn((8, 8, 3), depth=2).output_shape
    (None, 32)
    """
    inputs, x = _start(input_shape)
    for k in range(depth):
        x = _conv(x, width * 2**k, bias=True)
        x = kl.MaxPooling2D(2)(kl.ReLU()(x))
    return keras.Model(inputs, kl.GlobalAveragePooling2D()(x), name="cnn")


def vgg(input_shape: Shape = IMAGE, width: int = 16, stages: int = 2) -> keras.Model:
    """Return a small VGG: two convolutions with batch norm and a pooling, stage by stage.

    Simonyan and Zisserman, ICLR 2015. Of the `stages` the first has `width` channels, each further
    one twice as many.

    Examples
    --------
    >>> from edgedyn.nn.models import small
    >>> small.vgg((8, 8, 3)).output_shape
    (None, 32)
    """
    inputs, x = _start(input_shape)
    for k in range(stages):
        for _ in range(2):
            x = _normed(_conv(x, width * 2**k))
        x = kl.MaxPooling2D(2)(x)
    return keras.Model(inputs, kl.GlobalAveragePooling2D()(x), name="vgg")


def resnet(input_shape: Shape = IMAGE, width: int = 16, blocks: int = 1) -> keras.Model:
    """Return a small residual network: two stages of identity blocks.

    He et al., CVPR 2016. Each stage has so many `blocks`; the first `width` channels, the second
    twice as many.

    Examples
    --------
    >>> from edgedyn.nn.models import small
    >>> small.resnet((8, 8, 3)).output_shape
    (None, 32)
    """
    inputs, x = _start(input_shape)
    x = _normed(_conv(x, width))
    for stage in range(2):
        for block in range(blocks):
            channels, strides = width * 2**stage, 2 if stage and not block else 1
            y = _normed(_conv(x, channels, strides=strides))
            y = kl.BatchNormalization()(_conv(y, channels))
            if strides > 1:
                x = kl.BatchNormalization()(_conv(x, channels, size=1, strides=strides))
            x = kl.ReLU()(kl.Add()([x, y]))
    return keras.Model(inputs, kl.GlobalAveragePooling2D()(x), name="resnet")


def densenet(
    input_shape: Shape = IMAGE, growth: int = 12, layers: int = 3, strides: int = 1
) -> keras.Model:
    """Return a small densely connected network: two blocks with a transition between.

    Huang et al., CVPR 2017. A block has so many `layers`, and each of these adds `growth` channels.

    Examples
    --------
    >>> from edgedyn.nn.models import small
    >>> small.densenet((8, 8, 3)).output_shape
    (None, 66)
    """
    inputs, x = _start(input_shape)
    x = _conv(x, 2 * growth, strides=strides)
    for block in range(2):
        for _ in range(layers):
            x = kl.Concatenate()([x, _conv(_normed(x), growth)])
        if not block:
            x = kl.AveragePooling2D(2)(_conv(_normed(x), x.shape[-1] // 2, size=1))
    return keras.Model(inputs, kl.GlobalAveragePooling2D()(_normed(x)), name="densenet")


def mobilenet(
    input_shape: Shape = IMAGE, width: int = 16, blocks: int = 3, strides: int = 1
) -> keras.Model:
    """Return a small MobileNetV2: inverted residuals with depthwise convolutions.

    Sandler et al., CVPR 2018. Between its `blocks` there are `width` channels.

    Examples
    --------
    >>> from edgedyn.nn.models import small
    >>> small.mobilenet((8, 8, 3)).output_shape
    (None, 64)
    """
    inputs, x = _start(input_shape)
    x = _normed(_conv(x, width, strides=strides))
    for k in range(blocks):
        step = 2 if k == 1 else 1
        y = _normed(_conv(x, 4 * width, size=1), 6.0)
        y = kl.DepthwiseConv2D(3, step, "same", use_bias=False)(y)
        y = kl.BatchNormalization()(_conv(_normed(y, 6.0), width, size=1))
        x = kl.Add()([x, y]) if step == 1 else y
    x = _normed(_conv(x, 4 * width, size=1), 6.0)
    return keras.Model(inputs, kl.GlobalAveragePooling2D()(x), name="mobilenet")


def _start(input_shape: Shape) -> tuple[Any, Any]:
    """Return the images and the same scaled to [-1, 1]."""
    inputs = keras.Input(input_shape, dtype="float32")
    return inputs, kl.Rescaling(1 / 127.5, offset=-1.0)(inputs)


def _conv(x: Any, channels: int, *, size: int = 3, strides: int = 1, bias: bool = False) -> Any:
    """Return a padded convolution."""
    options = {"use_bias": bias, "kernel_initializer": "he_normal"}
    return kl.Conv2D(channels, size, strides, "same", **options)(x)


def _normed(x: Any, cap: float | None = None) -> Any:
    """Return a batch norm and a ReLU."""
    return kl.ReLU(max_value=cap)(kl.BatchNormalization()(x))
