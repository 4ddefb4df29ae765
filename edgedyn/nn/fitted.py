"""What a model is fitted on, seen from inside: the mean and mean size of its inputs' entries.

A Keras callback is not given the data of ``fit``, so a sample in another range than the training
images (0..1 instead of 0..255) would be measured without a word.
"""

from dataclasses import dataclass
from math import nan
from typing import Any

import keras
import numpy as np
from keras import ops

from edgedyn._array import Array
from edgedyn.nn.graph.autodiff import Tally

# Times that mean sizes may differ, and how far means, in mean sizes: those of images that are
# shifted or cropped differ less.
APART, SHIFTED = 1.6, 0.6


@dataclass(frozen=True)
class Range:
    """Mean and mean size of entries; NaN where there were none."""

    mean: float
    size: float

    def __str__(self) -> str:
        return f"a mean |x| of {self.size:.4g} and a mean of {self.mean:.4g}"

    def is_far_from(self, other: "Range") -> bool:
        """Tell whether two are not of one range; of none nothing is known."""
        small, large = sorted((self.size, other.size))
        return bool(large > APART * small or abs(self.mean - other.mean) > SHIFTED * large)


def range_of(x: Array) -> Range:
    """Return the range of an array."""
    return Range(float(np.mean(x, dtype=float)), float(np.mean(np.abs(x), dtype=float)))


class FittedInputs:
    """Sums of x and |x| over all training batches and their number of entries; of one model."""

    def __init__(self) -> None:
        self._tally = Tally(3)

    def add(self, data: Any) -> None:
        """Count a batch of ``fit``, inside the compiled training step."""
        x = keras.utils.unpack_x_y_sample_weight(data)[0]
        if hasattr(x, "shape"):
            x = ops.cast(ops.convert_to_tensor(x), "float32")
            self._tally.add(ops.sum(x), ops.sum(ops.abs(x)), ops.size(x))

    def take(self) -> Range:
        """Return the range since the last call."""
        total, size, entries = self._tally.take()
        return Range(total / entries, size / entries) if entries else Range(nan, nan)


def watch_inputs(model: keras.Model) -> FittedInputs | None:
    """Let the training step that is compiled next tell what it is given.

    None where it is compiled already without: another one would be traced anew.
    """
    known: FittedInputs | None = vars(model).get("_edgedyn_fitted")
    if known is not None or model.train_function is not None:
        return known
    found, step = FittedInputs(), model.train_step

    def train_step(*given: Any) -> Any:
        found.add(given[-1])  # JAX gives the state before it
        return step(*given)

    # Past Keras, which would track them as parts of the model.
    vars(model).update(_edgedyn_fitted=found, train_step=train_step)
    return found
