"""The neural capacitance probe: a frozen classifier put on a backbone, and taken off again."""

from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np
from keras import layers as kl

from edgedyn import _validate as check
from edgedyn.nn.graph.steps import HALVES

PREFIX = "probe_"
OUTPUT = PREFIX + "output"
BATCH_NORMS = ("identity", "statistics", "none")


@keras.saving.register_keras_serializable("edgedyn")
class StatisticsNorm(kl.BatchNormalization):
    """A batch norm whose statistics follow the batches while gamma and beta stay as they are.

    In training it normalises by the batch, in inference by the moving averages; no optimiser
    touches its gamma (1) and beta (0). Keras' own layer knows no such state: frozen, it stops
    following the batches, too.
    """

    def add_weight(self, *args: Any, **options: Any) -> Any:
        """Add a weight that is never trained."""
        return super().add_weight(*args, **{**options, "trainable": False})


def attach_probe(
    backbone: keras.Model,
    n_classes: int,
    *,
    units: Sequence[int] = (256, 128),
    dropout: float = 0.4,
    batch_norm: Literal["identity", "statistics", "none"] = "identity",
    momentum: float = 0.9,
    initializer: Any = "he_normal",
    frozen: bool = True,
    seed: int | np.random.Generator | None = None,
) -> keras.Model:
    """Put the neural capacitance probe on a backbone.

    For each number of `units` a dense layer, batch norm, ReLU and dropout, then a dense layer
    with softmax.

    Parameters
    ----------
    backbone : keras.Model
        Gives features of shape (batch, n_features); see `edgedyn.nn.backbone`.
    n_classes : int
        At least 2.
    units : sequence of int
        Widths of the hidden layers, at least one. With kernels as nodes it takes two for an
        interior layer; with one, beta_eff has the status ``no_interior_layer``.
    dropout : float
        Rate in [0, 1); 0 for none.
    batch_norm : {"identity", "statistics", "none"}
        What the frozen probe's batch norms do while the backbone is trained. ``identity``: they
        run in inference mode with their initial statistics, as Keras' frozen layers do.
        ``statistics``: gamma (1), beta (0), kernels and biases stay as they are, but the
        statistics follow the batches. ``none``: there are no batch norms. The batch norms of a
        trained probe are ordinary ones under the first two words.
    momentum : float
        In [0, 1): of the moving averages of the statistics, where they follow the batches.
    initializer : str or keras.initializers.Initializer
        Of the dense kernels; seeded by `seed` where it is a name.
    frozen : bool
        Whether the probe stays as it is drawn while the backbone is trained, as in the paper.
    seed : int or numpy.random.Generator, optional
        Decides kernels and dropout masks.

    Returns
    -------
    keras.Model
        A functional model; not compiled. It shares the backbone's layers, saves and loads in
        Keras' standard format, and is recognised as a probe by its layers' names
        (``probe_...``).

    Raises
    ------
    TypeError, ValueError
        For a backbone that is no functional or sequential model, has other than flat features or
        ends in a softmax, and for options out of range.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Algorithm 1 and Methods; they do not say which of
    the two a frozen batch norm is. With ``identity`` it has its initial statistics (mean 0,
    variance 1), divides by ``sqrt(1 + epsilon)``, epsilon = 0.001, and normalises nothing: the
    features' scale passes through the probe. beta_eff is measured in inference mode in both. It is
    the default because `statistics` was in no comparison surely better and with it the line reaches
    too far, surely in some (papers/jiang2024/close.md, over the same trials with both).

    Examples
    --------
    >>> import keras
    >>> from edgedyn import nn
    >>> inputs = keras.Input((8, 8, 3))
    >>> features = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3)(inputs))
    >>> model = nn.attach_probe(keras.Model(inputs, features), n_classes=10, seed=0)
    >>> model.output_shape, len(model.trainable_weights)
    ((None, 10), 2)
    """
    _check_backbone(backbone)
    n_classes = check.positive_int(n_classes, "n_classes")
    if n_classes < 2:
        raise ValueError(f"n_classes must be at least 2; got {n_classes}.")
    units = _check_units(units)
    dropout = _below_one(dropout, "dropout")
    if isinstance(batch_norm, bool):
        word = "identity" if batch_norm else "none"
        raise TypeError(f"batch_norm is a word now: give {word!r} for {batch_norm}.")
    check.choice(batch_norm, "batch_norm", BATCH_NORMS)
    momentum = _below_one(momentum, "momentum")
    draw = np.random.default_rng(seed)
    dtype = _precision()
    norm = StatisticsNorm if frozen and batch_norm == "statistics" else kl.BatchNormalization
    x = backbone.outputs[0]
    for k, width in enumerate(units, start=1):
        name = f"{PREFIX}dense_{k}"
        own = {"kernel_initializer": _initializer(initializer, draw), "dtype": dtype}
        x = kl.Dense(width, name=name, **own)(x)
        if batch_norm != "none":
            x = norm(momentum=momentum, name=f"{PREFIX}batch_norm_{k}", dtype=dtype)(x)
        x = kl.ReLU(name=f"{PREFIX}relu_{k}", dtype=dtype)(x)
        if dropout:
            own = {"seed": _integer(draw), "dtype": dtype}
            x = kl.Dropout(dropout, name=f"{PREFIX}dropout_{k}", **own)(x)
    own = {"kernel_initializer": _initializer(initializer, draw), "dtype": dtype}
    x = kl.Dense(n_classes, activation="softmax", name=OUTPUT, **own)(x)
    model = keras.Model(backbone.input, x, name=f"{backbone.name}_probe")
    if frozen:
        for layer in model.layers:
            if layer.name.startswith(PREFIX) and not isinstance(layer, StatisticsNorm):
                layer.trainable = False
    return model


def detach_probe(
    model: keras.Model, n_classes: int, *, seed: int | np.random.Generator | None = None
) -> keras.Model:
    """Return the fine-tuned backbone with an ordinary head: one dense layer with softmax.

    Not compiled; compile and fit it to go on with training.

    Parameters
    ----------
    model : keras.Model
        With a probe from `attach_probe`; left as it is. The backbone's layers are shared.
    n_classes : int
        At least 2.
    seed : int or numpy.random.Generator, optional
        Decides the new head's kernel (Glorot uniform).

    Raises
    ------
    TypeError, ValueError
        For a model without a probe, or fewer than two classes.

    Examples
    --------
    >>> import keras
    >>> from edgedyn import nn
    >>> inputs = keras.Input((4,))
    >>> backbone = keras.Model(inputs, keras.layers.Dense(6, activation="relu")(inputs))
    >>> model = nn.detach_probe(nn.attach_probe(backbone, 3, seed=0), n_classes=3, seed=0)
    >>> model.output_shape, len(model.trainable_weights)
    ((None, 3), 4)
    """
    n_classes = check.positive_int(n_classes, "n_classes")
    if n_classes < 2:
        raise ValueError(f"n_classes must be at least 2; got {n_classes}.")
    features = probe_input(model)
    draw = np.random.default_rng(seed)
    initializer = keras.initializers.GlorotUniform(_integer(draw))
    own = {"kernel_initializer": initializer, "dtype": _precision()}
    head = kl.Dense(n_classes, activation="softmax", name="head", **own)
    return keras.Model(model.input, head(features), name=model.name.removesuffix("_probe"))


def probe_input(model: keras.Model) -> Any:
    """Return the symbolic tensor of features that a model's probe receives, or refuse the model."""
    if not isinstance(model, keras.Model):
        raise TypeError(f"model must be a Keras model; got {type(model).__name__}.")
    for layer in model.layers:
        if layer.name.startswith(PREFIX) and isinstance(layer, kl.Dense):
            return layer.input
    raise ValueError(
        f"model {model.name!r} has no probe; put one on with nn.attach_probe, or use "
        "scope='network'."
    )


def has_probe(model: keras.Model) -> bool:
    """Tell whether a model carries a probe from `attach_probe`."""
    return any(layer.name.startswith(PREFIX) for layer in model.layers)


def _check_backbone(backbone: Any) -> None:
    """Refuse what has no flat features, or has a probe already."""
    if not isinstance(backbone, keras.Model):
        raise TypeError(f"backbone must be a Keras model; got {type(backbone).__name__}.")
    if not backbone.built or getattr(backbone, "output", None) is None:
        raise ValueError(
            f"backbone {backbone.name!r} must be a functional or built sequential model."
        )
    shape = backbone.outputs[0].shape if len(backbone.outputs) == 1 else backbone.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or shape[1] is None:
        raise ValueError(
            f"backbone {backbone.name!r} must give features of shape (batch, n_features); it gives "
            f"{shape}: end it with a pooling or flatten layer."
        )
    if has_probe(backbone):
        raise ValueError(
            f"model {backbone.name!r} has a probe already; take it off with nn.detach_probe first."
        )
    if _ends_in_softmax(backbone):
        raise ValueError(
            f"backbone {backbone.name!r} ends in a softmax: its outputs are probabilities, not "
            "features; give the model without its classifier (nn.backbone cuts it off)."
        )


def _precision() -> str | None:
    """Return the probe's own precision: single where the policy computes in half."""
    return "float32" if keras.config.dtype_policy().compute_dtype in HALVES else None


def _ends_in_softmax(model: Any) -> bool:
    """Tell whether a model's last operation is a softmax, nested models included."""
    last = model.outputs[0]._keras_history.operation
    if isinstance(last, keras.Model):
        return getattr(last, "outputs", None) is not None and _ends_in_softmax(last)
    softmax = keras.activations.softmax
    return isinstance(last, kl.Softmax) or getattr(last, "activation", None) is softmax


def _check_units(units: Any) -> tuple[int, ...]:
    """Return the hidden widths: at least one positive integer."""
    if isinstance(units, str) or not isinstance(units, Sequence):
        raise TypeError(f"units must be a sequence of integers like (256, 128); got {units!r}.")
    if not units:
        raise ValueError("units is empty; the probe needs at least one hidden layer.")
    return tuple(check.positive_int(n, f"units[{k}]") for k, n in enumerate(units))


def _below_one(value: Any, name: str) -> float:
    """Return a number in [0, 1)."""
    number = check.real_number(value, name, at_least=0.0)
    if number >= 1:
        raise ValueError(f"{name} must be below 1; got {number}.")
    return number


def _initializer(initializer: Any, draw: np.random.Generator) -> Any:
    """Return a new initializer; one given by name is seeded."""
    if not isinstance(initializer, str):
        return initializer
    try:
        made = keras.initializers.get(initializer)
    except ValueError:
        raise ValueError(
            f"initializer must be one that Keras knows, such as 'he_normal'; got {initializer!r}."
        ) from None
    config = made.get_config()
    return type(made)(**{**config, "seed": _integer(draw)}) if "seed" in config else made


def _integer(draw: np.random.Generator) -> int:
    """Draw a seed for Keras."""
    return int(draw.integers(2**31 - 1))
