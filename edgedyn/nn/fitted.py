"""What a model is fitted on, seen from inside: the mean size of its inputs' entries.

A Keras callback is not given the data of ``fit``, so a sample in another range than the training
images (0..1 instead of 0..255) would be measured without a word.
"""

from math import nan
from typing import Any

import keras
from keras import ops

from edgedyn.nn.graph.autodiff import Tally

APART = 1.6  # times that mean sizes may differ: images that are shifted or cropped differ less


class FittedInputs:
    """The sum of |x| over all training batches and their number of entries; of one model."""

    def __init__(self) -> None:
        self._tally = Tally(2)

    def add(self, data: Any) -> None:
        """Count a batch of ``fit``, inside the compiled training step."""
        x = keras.utils.unpack_x_y_sample_weight(data)[0]
        if hasattr(x, "shape"):
            x = ops.convert_to_tensor(x)
            self._tally.add(ops.sum(ops.abs(ops.cast(x, "float32"))), ops.size(x))

    def take(self) -> float:
        """Return the mean size since the last call; NaN where nothing was seen."""
        total, entries = self._tally.take()
        return total / entries if entries else nan


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


def far_apart(own: float, fitted: float) -> bool:
    """Tell whether two mean sizes are not of one range; of none nothing is known."""
    return bool(own > APART * fitted or fitted > APART * own)
