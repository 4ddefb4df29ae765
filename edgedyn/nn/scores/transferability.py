"""The transferability measures of a Keras model: features and source classes in one pass."""

from dataclasses import dataclass
from math import nan
from time import perf_counter
from typing import Any

import keras
import numpy as np
from keras import layers as kl
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.capacitance import DivergedError
from edgedyn.nn.graph.autodiff import compiled
from edgedyn.nn.meter import Progress, check_samples, in_batches
from edgedyn.nn.models.probe import has_probe, probe_input
from edgedyn.predict.methods import measured_by
from edgedyn.predict.transferability import Score, h_score, leep, logme, nce

SOURCES = ("auto", "softmax", "logits", "none")
_AFTER_THE_HEAD = (kl.Activation, kl.Softmax, kl.Dropout)


@dataclass(frozen=True)
class TransferScores:
    """Transferability of one model to one labelled data set; higher is better throughout.

    Parameters
    ----------
    nce, leep : Score
        By the source model's classes; NaN with status ``no_source_head`` where it has none.
    logme, h_score, h_score_shrunk : Score
        By its features; the shrunk H-score with Ledoit and Wolf's covariance.
    n_samples, n_features, n_classes, n_source_classes : int
        The latter 0 without a source head.
    seconds : dict
        Of the pass through the model (``features``) and of each measure.
    """

    nce: Score
    leep: Score
    logme: Score
    h_score: Score
    h_score_shrunk: Score
    n_samples: int
    n_features: int
    n_classes: int
    n_source_classes: int
    seconds: dict[str, float]

    @property
    def scores(self) -> dict[str, Score]:
        """All five by name."""
        return {name: getattr(self, name) for name in MEASURES}

    def __str__(self) -> str:
        lines = [
            f"{self.n_samples} samples of {self.n_classes} classes, {self.n_features} features, "
            f"{self.n_source_classes or 'no'} source classes ({self.seconds['features']:.3f} s)"
        ]
        for name, score in self.scores.items():
            value = f"{name:<15}{float(score):>12.6g}  {score.status:<16}"
            lines.append(f"{value}{self.seconds[name]:>8.3f} s")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values."""
        counts = ("n_samples", "n_features", "n_classes", "n_source_classes")
        return {
            **{name: score.to_dict() for name, score in self.scores.items()},
            **{name: getattr(self, name) for name in counts},
            "seconds": dict(self.seconds),
        }


MEASURES = measured_by("transfer_scores")


def transfer_scores(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    source_head: str = "auto",
    features: str | None = None,
    batch_size: int = 64,
    progress: Progress | None = None,
) -> TransferScores:
    r"""Compute the `TransferScores` (NCE, LEEP, LogME, H-scores) of a model in one pass.

    Parameters
    ----------
    model : keras.Model
        Functional or built sequential; with its source head (the classifier of the task it was
        trained on) or without.
    x : array_like, shape (n_samples, \*input shape)
    y : array_like, shape (n_samples,)
        The new task's labels: integers or names.
    source_head : {"auto", "softmax", "logits", "none"}
        What the model's output is: the source classes' probabilities, their logits, or features.
        ``auto``: probabilities where the model ends in a softmax, else features. A probe from
        `attach_probe` is no source head: what it receives are the features.
    features : str, optional
        Name of the layer whose output is the features. By default what the head, the last dense
        layer, receives; without a head the model's output.
    batch_size : int
        Samples taken at a time; does not change the values.
    progress : callable, optional
        Called with the fraction done and a word for what is being done.

    Raises
    ------
    TypeError, ValueError
        For models whose features cannot be told, unknown names and data that do not fit.
    edgedyn.capacitance.DivergedError
        Where features or outputs are not finite.

    See Also
    --------
    edgedyn.predict.transferability : the measures, their papers and what the statuses mean.

    Notes
    -----
    Dropout is off and batch norms are in inference mode.

    Examples
    --------
    >>> import keras, numpy as np
    >>> from edgedyn import nn
    >>> inputs = keras.Input((4,))
    >>> h = keras.layers.Dense(6, activation="relu")(inputs)
    >>> model = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(h))
    >>> x = np.random.default_rng(0).standard_normal((30, 4))
    >>> found = nn.transfer_scores(model, x, np.arange(30) % 3)
    >>> found.n_features, found.n_source_classes, found.leep.status
    (6, 5, 'ok')
    """
    check.choice(source_head, "source_head", SOURCES)
    batch_size = check.positive_int(batch_size, "batch_size")
    tensor, output = _tensors(model, source_head, features)
    x = check_samples(x, model)
    labels = np.asarray(y)
    if labels.shape[:1] != (len(x),):
        raise ValueError(f"x has {len(x)} samples; y has shape {labels.shape}.")
    start = perf_counter()
    F, theta = _outputs(model, tensor, output, x, batch_size, progress)
    seconds = {"features": perf_counter() - start}
    if theta is not None and source_head == "logits":
        if _softmax(model):
            raise ValueError(
                f"model {model.name!r} ends in a softmax; its output are probabilities: give "
                "source_head='softmax'."
            )
        theta = np.exp(theta - theta.max(axis=1, keepdims=True))
        theta /= theta.sum(axis=1, keepdims=True)
    scores: dict[str, Any] = {}
    for k, name in enumerate(MEASURES):
        if progress is not None:
            progress(k / len(MEASURES), name)
        start = perf_counter()
        scores[name] = _measure(name, F, theta, labels)
        seconds[name] = perf_counter() - start
    return TransferScores(
        **scores,
        n_samples=len(x),
        n_features=F.shape[1],
        n_classes=len(np.unique(labels)),
        n_source_classes=0 if theta is None else theta.shape[1],
        seconds=seconds,
    )


def _measure(name: str, F: Array, theta: Array | None, labels: Array) -> Score:
    """Compute one measure."""
    if name == "logme":
        return logme(F, labels)
    if name == "h_score":
        return h_score(F, labels)
    if name == "h_score_shrunk":
        return h_score(F, labels, covariance="ledoit_wolf")
    if theta is None:
        return Score(nan, "no_source_head")
    return leep(theta, labels) if name == "leep" else nce(theta.argmax(axis=1), labels)


def _tensors(model: Any, source_head: str, features: str | None) -> tuple[Any, Any]:
    """Return the symbolic features and the head's output, None without a head."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model; got {type(model).__name__}.")
    outputs = getattr(model, "outputs", None)
    if not model.built or outputs is None:
        raise TypeError(
            f"model {model.name!r} must be a functional or built sequential model; got "
            f"{type(model).__name__}."
        )
    if len(model.inputs) != 1 or len(outputs) != 1:
        raise ValueError(f"model {model.name!r} must have one input and one output.")
    probe = has_probe(model)
    if probe and source_head in ("softmax", "logits"):
        raise ValueError(
            f"model {model.name!r} carries a probe, which is no source head; give the source "
            "model itself, or source_head='none'."
        )
    if source_head == "auto":
        source_head = "softmax" if not probe and _softmax(model) else "none"
    output = None if source_head == "none" else outputs[0]
    if features is not None:
        tensor = _layer(model, features).output
    elif probe:
        tensor = probe_input(model)
    else:
        tensor = outputs[0] if output is None else _head(model).input
    if not hasattr(tensor, "shape") or len(tensor.shape) != 2:
        raise ValueError(
            f"the features of model {model.name!r} must have shape (batch, n_features); got "
            f"{getattr(tensor, 'shape', 'several tensors')}: end it with a pooling layer, or name "
            "the layer whose output they are: features='...'."
        )
    return tensor, output


def _layer(model: Any, name: str) -> Any:
    """Return a layer by name."""
    names = [layer.name for layer in model.layers]
    if name not in names:
        raise ValueError(
            f"features must name a layer of model {model.name!r}; got {name!r}, the last ones are "
            f"{', '.join(names[-5:])}."
        )
    return model.get_layer(name)


def _softmax(model: Any) -> bool:
    """Tell whether the last layer is a softmax, also that of a model inside."""
    last = model.layers[-1]
    if isinstance(last, keras.Model):
        return _softmax(last)
    word = getattr(getattr(last, "activation", None), "__name__", "")
    return isinstance(last, kl.Softmax) or word == "softmax"


def _head(model: Any) -> Any:
    """Return the dense layer that the model ends in."""
    for layer in reversed(model.layers):
        if isinstance(layer, kl.Dense):
            return layer
        if not isinstance(layer, _AFTER_THE_HEAD):
            break
    raise ValueError(
        f"model {model.name!r} does not end in a dense layer; name the layer whose output are the "
        "features: features='...'."
    )


def _outputs(
    model: Any, tensor: Any, output: Any, x: Array, batch_size: int, progress: Progress | None
) -> tuple[Array, Array | None]:
    """Return features and the head's outputs of all samples, in float64."""
    part = keras.Model(model.inputs, tensor if output is None else [tensor, output])
    forward = compiled(lambda batch: part(batch, training=False), part.variables)
    arrays = in_batches(forward, x, batch_size, model.inputs[0].dtype, progress)
    whole = [array.astype(np.float64) for array in arrays]
    if not all(np.isfinite(array).all() for array in whole):
        raise DivergedError(
            "the model's features or outputs are not finite on these samples: its weights have "
            "diverged or the inputs are too large."
        )
    return whole[0], whole[1] if output is not None else None
