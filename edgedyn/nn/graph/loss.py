"""The losses the degrees know, in Keras' definitions: values, cotangents at the logits, targets."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from edgedyn._array import Array
from edgedyn.mlp.loss import checked_labels

Tensor = Any

ACCEPTED = (
    "sparse_categorical_crossentropy, categorical_crossentropy (from probabilities or logits, "
    "with label smoothing) and mean_squared_error"
)
_CLASSES = {
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "MeanSquaredError": "mean_squared_error",
}


@dataclass(frozen=True)
class OutputLoss:
    """A loss as a function of the logits."""

    # As `edgedyn.mlp.ReLUChain` names them: "cross_entropy", "mean_squared_error" or
    # "softmax_mean_squared_error".
    name: str
    sparse: bool  # whether targets are integer labels
    smoothing: float = 0.0  # of labels, in [0, 1)

    def targets(self, y: ArrayLike, n_samples: int, n_outputs: int, dtype: Any) -> Array:
        """Return checked targets: labels, or one row a sample with the smoothing applied.

        TypeError or ValueError for shapes that do not fit, labels that are no integers in
        ``0..n_outputs - 1``, NaN or infinity, rows that are no probabilities (cross-entropy), one
        class only.
        """
        targets = self.part_of_targets(y, n_samples, n_outputs, dtype)
        classes = self.classes(targets)
        if classes is not None and len(classes) > 1 and (classes == classes[0]).all():
            raise ValueError(f"y holds one class only ({classes[0]}); give at least two classes.")
        return targets

    def classes(self, targets: Array) -> Array | None:
        """Return the class of each checked target; None where the loss knows none."""
        if self.sparse:
            return targets
        return targets.argmax(axis=1) if self.name == "cross_entropy" else None

    def part_of_targets(self, y: ArrayLike, n_samples: int, n_outputs: int, dtype: Any) -> Array:
        """Do as `targets`, for a part of the data: it may be of one class."""
        array = np.asarray(y)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"y must hold integer labels or real targets; got {array.dtype}.")
        if array.ndim == 2 and array.shape[1] == 1 and (self.sparse or n_outputs > 1):
            array = array[:, 0]
        if array.ndim == 1 and not self.sparse and n_outputs == 1:
            array = array[:, None]
        wanted = (n_samples,) if self.sparse else (n_samples, n_outputs)
        if array.shape != wanted:
            what = "integer labels" if self.sparse else "one row of targets a sample"
            raise ValueError(
                f"the loss takes {what}, shape {wanted}; got y of shape {array.shape}."
            )
        if self.sparse:
            return checked_labels(array, n_outputs)
        if not np.isfinite(array).all():
            raise ValueError("y contains NaN or infinity; all targets must be finite.")
        rows = array.astype(dtype)
        if self.name == "cross_entropy":
            if (rows < 0).any() or (abs(rows.sum(axis=1) - 1) > 1e-5).any():
                raise ValueError(
                    "the rows of y must be probabilities: not negative, each summing to 1."
                )
            rows = rows * (1 - self.smoothing) + self.smoothing / n_outputs
        return rows

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each sample."""
        if self.name == "cross_entropy":
            norm = ops.logsumexp(logits, axis=-1)
            if self.sparse:
                return norm - ops.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]
            return norm * ops.sum(targets, axis=-1) - ops.sum(targets * logits, axis=-1)
        outputs = logits if self.name == "mean_squared_error" else ops.softmax(logits)
        return ops.mean(ops.square(outputs - targets), axis=-1)

    def cotangent(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return ``e^L = dc/da^L``, sample by sample.

        For labels ``p_y - 1`` is written as minus the sum of the other probabilities, which stays
        exact as the network interpolates.
        """
        if self.name == "mean_squared_error":
            return (2 / logits.shape[-1]) * (logits - targets)
        p = ops.softmax(logits)
        if self.name == "softmax_mean_squared_error":
            g = (2 / logits.shape[-1]) * (p - targets)
            return p * (g - ops.sum(p * g, axis=-1, keepdims=True))
        if not self.sparse:
            return p - targets
        own = ops.one_hot(targets, logits.shape[-1], dtype=p.dtype)
        others = p * (1 - own)
        return others - own * ops.sum(others, axis=-1, keepdims=True)


def output_loss(loss: Any, softmax: bool) -> OutputLoss:
    """Translate a Keras loss (name, function or object), or refuse it by name.

    None stands for sparse categorical cross-entropy; an `OutputLoss` is returned as it is.
    `softmax`: whether the network ends in one. ValueError for any other loss, and for logits where
    a softmax gives probabilities or the reverse.

    Examples
    --------
    >>> from edgedyn.nn.graph.loss import output_loss
    >>> output_loss("sparse_categorical_crossentropy", softmax=True)
    OutputLoss(name='cross_entropy', sparse=True, smoothing=0.0)
    """
    if loss is None:
        return OutputLoss("cross_entropy", sparse=True)
    if isinstance(loss, OutputLoss):
        return loss
    name, options = _name_and_options(loss)
    if name == "mean_squared_error":
        return OutputLoss("softmax_mean_squared_error" if softmax else name, sparse=False)
    if name not in _CLASSES.values():
        raise ValueError(f"the loss {name!r} is not known; known are {ACCEPTED}.")
    if options.get("ignore_class") is not None:
        raise ValueError(f"the loss {name!r} with ignore_class is not known; drop those samples.")
    if softmax == bool(options.get("from_logits")):
        expects, ends = ("logits", "ends") if softmax else ("probabilities", "does not end")
        raise ValueError(
            f"the loss {name!r} expects {expects} but the model {ends} in a softmax; compile it "
            f"with from_logits={not softmax}."
        )
    smoothing = float(options.get("label_smoothing") or 0.0)
    return OutputLoss("cross_entropy", name.startswith("sparse"), smoothing)


def loss_of(model: Any, given: Any, softmax: bool) -> OutputLoss:
    """Translate the given loss, else the one the model is compiled with, else the default."""
    own = getattr(model, "compiled", False) and given is None
    return output_loss(model.loss if own else given, softmax)


def _name_and_options(loss: Any) -> tuple[str, dict[str, Any]]:
    """Return Keras' snake-case name of a loss and its options."""
    if isinstance(loss, str):
        try:
            loss = keras.losses.get(loss)
        except ValueError:
            return loss, {}
    if isinstance(loss, keras.losses.Loss):
        word = type(loss).__name__
        return _CLASSES.get(word, word), loss.get_config() if word in _CLASSES else {}
    if isinstance(loss, dict | list | tuple):
        return f"{type(loss).__name__} of losses", {}
    return getattr(loss, "__name__", repr(loss)), {}
