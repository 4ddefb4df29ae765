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
    "sparse_categorical_crossentropy, categorical_crossentropy and binary_crossentropy (from "
    "probabilities or logits, with label smoothing) and mean_squared_error"
)
BINARY, SIGMOID_SQUARED = "binary_cross_entropy", "sigmoid_mean_squared_error"
_CLASSES = {
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy",
    "CategoricalCrossentropy": "categorical_crossentropy",
    "BinaryCrossentropy": "binary_crossentropy",
    "MeanSquaredError": "mean_squared_error",
}


@dataclass(frozen=True)
class OutputLoss:
    """A loss as a function of the logits."""

    # As `edgedyn.mlp.ReLUChain` names them: "cross_entropy", "mean_squared_error" or
    # "softmax_mean_squared_error"; also "binary_cross_entropy" and "sigmoid_mean_squared_error".
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
        if self.name == BINARY and targets.shape[1] == 1:
            return np.asarray(targets[:, 0] > 0.5, np.int64)
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
        if self.name == BINARY:
            if ((rows < 0) | (rows > 1)).any():
                raise ValueError("y must hold labels 0 and 1, or probabilities, for each output.")
            rows = rows * (1 - self.smoothing) + self.smoothing / 2
        return rows

    def per_sample(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of each sample."""
        if self.name == "cross_entropy":
            norm = ops.logsumexp(logits, axis=-1)
            if self.sparse:
                return norm - ops.take_along_axis(logits, targets[:, None], axis=-1)[:, 0]
            return norm * ops.sum(targets, axis=-1) - ops.sum(targets * logits, axis=-1)
        if self.name == BINARY:
            return ops.mean(ops.softplus(logits) - targets * logits, axis=-1)
        return ops.mean(ops.square(self._outputs(logits) - targets), axis=-1)

    def _outputs(self, logits: Tensor) -> Tensor:
        """Return what a squared error compares with the targets."""
        heads = {"softmax_mean_squared_error": ops.softmax, SIGMOID_SQUARED: ops.sigmoid}
        return heads[self.name](logits) if self.name in heads else logits

    def cotangent(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return ``e^L = dc/da^L``, sample by sample.

        For labels ``p_y - 1`` is written as minus the sum of the other probabilities, which stays
        exact as the network interpolates.
        """
        n = logits.shape[-1]
        if self.name == "mean_squared_error":
            return (2 / n) * (logits - targets)
        if self.name == BINARY:
            up, down = ops.sigmoid(logits), ops.sigmoid(-logits)
            return ((1 - targets) * up - targets * down) / n
        if self.name == SIGMOID_SQUARED:
            p = ops.sigmoid(logits)
            return (2 / n) * (p - targets) * p * ops.sigmoid(-logits)
        p = ops.softmax(logits)
        if self.name == "softmax_mean_squared_error":
            g = (2 / n) * (p - targets)
            return p * (g - ops.sum(p * g, axis=-1, keepdims=True))
        if not self.sparse:
            return p - targets
        own = ops.one_hot(targets, n, dtype=p.dtype)
        others = p * (1 - own)
        return others - own * ops.sum(others, axis=-1, keepdims=True)


def output_loss(loss: Any, head: str) -> OutputLoss:
    """Translate a Keras loss (name, function or object), or refuse it by name.

    None stands for sparse categorical cross-entropy, or binary after a sigmoid; an `OutputLoss` is
    returned as it is; one loss in a list or dictionary is that loss. `head`: "softmax", "sigmoid"
    or "", what the network ends in. ValueError for any other loss, and for logits where the head
    gives probabilities or the reverse.

    Examples
    --------
    >>> from edgedyn.nn.graph.loss import output_loss
    >>> output_loss("sparse_categorical_crossentropy", "softmax")
    OutputLoss(name='cross_entropy', sparse=True, smoothing=0.0)
    """
    if isinstance(loss, dict) and len(loss) == 1:
        loss = next(iter(loss.values()))
    elif isinstance(loss, list | tuple) and len(loss) == 1:
        loss = loss[0]
    if isinstance(loss, OutputLoss):
        return loss
    if loss is None:
        binary = head == "sigmoid"
        return OutputLoss(BINARY if binary else "cross_entropy", sparse=not binary)
    name, options = _name_and_options(loss)
    if name == "mean_squared_error":
        return OutputLoss(f"{head}_{name}" if head else name, sparse=False)
    if name not in _CLASSES.values():
        raise ValueError(f"the loss {name!r} is not known; known are {ACCEPTED}.")
    if options.get("ignore_class") is not None:
        raise ValueError(f"the loss {name!r} with ignore_class is not known; drop those samples.")
    own = "sigmoid" if name == "binary_crossentropy" else "softmax"
    if head not in ("", own):
        raise ValueError(f"the loss {name!r} goes with a {own}; the model ends in a {head}.")
    if bool(head) == bool(options.get("from_logits")):
        expects, ends = ("logits", "ends") if head else ("probabilities", "does not end")
        raise ValueError(
            f"the loss {name!r} expects {expects} but the model {ends} in a {own}; compile it "
            f"with from_logits={not head}."
        )
    smoothing = float(options.get("label_smoothing") or 0.0)
    kind = BINARY if own == "sigmoid" else "cross_entropy"
    return OutputLoss(kind, name.startswith("sparse"), smoothing)


def loss_of(model: Any, given: Any, head: str) -> OutputLoss:
    """Translate the given loss, else the one the model is compiled with, else the default.

    ValueError for a model whose outputs are not one row of numbers a sample.
    """
    shape = model.outputs[0].shape
    if len(shape) != 2 or shape[1] is None:
        raise ValueError(
            f"model {model.name!r} gives outputs of shape {tuple(shape)}; losses take (batch, "
            "classes): end it with a pooling or flatten layer before the classifier."
        )
    own = getattr(model, "compiled", False) and given is None
    return output_loss(model.loss if own else given, head)


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
