"""AlexNet in Keras, which keras.applications lacks; its signature is that of its neighbours."""

from typing import Any

import keras
from keras import layers as kl

SIZE = 227  # the side at which the first 11x11/4 convolution fits without padding

# filters, kernel, stride, padding, groups, whether overlapping max pooling follows
_CONVOLUTIONS = (
    (96, 11, 4, "valid", 1, True),
    (256, 5, 1, "same", 2, True),
    (384, 3, 1, "same", 1, False),
    (384, 3, 1, "same", 2, False),
    (256, 3, 1, "same", 2, True),
)


def AlexNet(
    *,
    include_top: bool = True,
    weights: None = None,
    input_tensor: Any = None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
    classifier_activation: str | None = "softmax",
    name: str = "AlexNet",
) -> keras.Model:
    """Build AlexNet with the published layer sizes; parameters are as in ``keras.applications``.

    Krizhevsky, Sutskever, Hinton, NeurIPS 2012, section 3.5 (its text says 224, its sizes need 227,
    here the default `input_shape`). 2,334,080 parameters without the top, 60,965,224 with the top
    for 1000 classes. There are no `weights` to download: the initialisation is random (Keras'
    defaults, not the paper's). Left out is the local response normalisation: Keras has no such
    layer; Simonyan and Zisserman, ICLR 2015, measured no gain from it.
    """
    if weights is not None:
        raise ValueError("AlexNet has no weights to download; give weights=None.")
    inputs = keras.Input(input_shape or (SIZE, SIZE, 3)) if input_tensor is None else input_tensor
    x = inputs
    for k, (*window, groups, pool) in enumerate(_CONVOLUTIONS, 1):
        x = kl.Conv2D(*window, groups=groups, activation="relu", name=f"conv{k}")(x)
        if pool:
            x = kl.MaxPooling2D(3, strides=2, name=f"pool{k}")(x)
    if include_top:
        x = kl.Flatten(name="flatten")(x)
        for k in (6, 7):
            x = kl.Dense(4096, activation="relu", name=f"fc{k}")(x)
            x = kl.Dropout(0.5, name=f"drop{k}")(x)
        x = kl.Dense(classes, activation=classifier_activation, name="predictions")(x)
    elif pooling == "avg":
        x = kl.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = kl.GlobalMaxPooling2D(name="max_pool")(x)
    source = inputs if input_tensor is None else keras.utils.get_source_inputs(input_tensor)[0]
    return keras.Model(source, x, name=name)
