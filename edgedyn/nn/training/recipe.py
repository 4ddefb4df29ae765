"""A study's training settings in Keras: optimiser, class weights, augmentation, precision."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np

from edgedyn._array import Array
from edgedyn._job import TrainingSettings

# Mild versions of what photographs survive; images are float32 in 0..255.
AUGMENTATION: dict[str, Callable[..., keras.Layer]] = {
    "flip": partial(keras.layers.RandomFlip, "horizontal"),
    "shift": partial(keras.layers.RandomTranslation, 0.1, 0.1),
    "rotation": partial(keras.layers.RandomRotation, 0.05),
    "zoom": partial(keras.layers.RandomZoom, 0.1),
    "contrast": partial(keras.layers.RandomContrast, 0.2),
    "brightness": partial(keras.layers.RandomBrightness, 0.2),
}


def optimizer(training: TrainingSettings, steps: int) -> keras.optimizers.Optimizer:
    """Return the study's optimiser; `steps` is how long a schedule takes to come to 0."""
    rate: Any = training.learning_rate
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    elif training.schedule == "linear":
        rate = keras.optimizers.schedules.PolynomialDecay(rate, steps, end_learning_rate=0.0)
    options = {**training.optimizer, "learning_rate": rate}
    if training.weight_decay is not None:
        options["weight_decay"] = training.weight_decay
    made = keras.optimizers.get({"class_name": options.pop("name"), "config": options})
    if training.precision == "mixed_float16":  # its gradients would vanish
        made = keras.optimizers.LossScaleOptimizer(made)
    return made


def class_weights(training: TrainingSettings, y: Array, n_classes: int) -> dict[int, float] | None:
    """Return each class's weight: balanced ones make all classes count alike; None for all 1."""
    if training.class_weights == "none":
        return None
    counts = np.bincount(y, minlength=n_classes)
    return {k: len(y) / (n_classes * n) if n else 0.0 for k, n in enumerate(counts.tolist())}


def augmentation(training: TrainingSettings, seed: int) -> list[keras.Layer]:
    """Return the layers that change the training images, in the study's order."""
    return [AUGMENTATION[name](seed=seed + k) for k, name in enumerate(training.augmentation)]


@contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Build layers that compute with this policy; the probe and the head are built outside."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)
