"""beta_eff of a Keras model: of its probe in closed form, or of the whole network.

`edgedyn.neural_capacitance` comes here with Keras models.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from math import prod
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.capacitance import (
    Capacitance,
    DivergedError,
    LayerDegrees,
    check_choices,
    check_enough,
    jackknife_groups,
)
from edgedyn.degrees import DegreeSums
from edgedyn.mlp import degree_accumulator
from edgedyn.nn.graph.autodiff import compiled
from edgedyn.nn.graph.chain import to_chain
from edgedyn.nn.graph.degrees import DeviceSums, GraphDegrees
from edgedyn.nn.graph.extract import extract
from edgedyn.nn.graph.graph import Graph
from edgedyn.nn.graph.loss import OutputLoss, loss_of
from edgedyn.nn.models.probe import probe_input

Progress = Callable[[float, str], None]

SCOPES = ("probe", "network")
BATCH = 64  # samples taken at a time
USUAL_PIXELS, MOST_AT_ONCE = 224 * 224, 4 * BATCH
KEPT = 4  # meters that stay with a model
# What a layer computes with beside its variables; a normalisation holds tensors.
STATE = ("activation", "quantization_mode", "mean", "variance")


class CapacitanceMeter:
    """Measures beta_eff of one model as often as wanted, compiled once.

    Parameters as for `edgedyn.neural_capacitance`; the model's present parameters are read at each
    `measure`.

    Examples
    --------
    >>> import edgedyn as ed, keras, numpy as np
    >>> from edgedyn import nn
    >>> inputs = keras.Input((4,))
    >>> backbone = keras.Model(inputs, keras.layers.Dense(6, activation="relu")(inputs))
    >>> model = nn.attach_probe(backbone, n_classes=3, units=(8, 5), seed=0)
    >>> x = np.random.default_rng(0).standard_normal((30, 4))
    >>> cap = ed.neural_capacitance(model, x, np.arange(30) % 3, stderr=True)
    >>> cap.status, [layer.name for layer in cap.per_layer], cap.stderr > 0
    ('ok', ['probe_dense_1', 'probe_dense_2', 'probe_output'], True)
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        scope: str = "probe",
        coupling: str = "direct",
        strength: str = "magnitude",
        nodes: str = "kernels",
        stderr: bool = False,
        loss: Any = None,
        batch_size: int | None = None,
    ) -> None:
        check_kind(scope, coupling, strength, nodes)
        if not isinstance(model, keras.Model):
            raise TypeError(f"model must be a Keras model; got {type(model).__name__}.")
        self.model, self.scope, self.strength = model, scope, strength
        self._kind: dict[str, Any] = {"coupling": coupling, "strength": strength, "nodes": nodes}
        if batch_size is None:
            batch_size = usual_batch(model.inputs[0].shape)
        self.batch_size = check.positive_int(batch_size, "batch_size")
        self.groups = jackknife_groups(stderr)
        self.loss_given = loss
        if scope == "probe":
            features = probe_input(model)
            self.backbone = keras.Model(model.input, features)
            part = keras.Model(features, model.output)
            self._forward = compiled(
                lambda x: self.backbone(x, training=False), self.backbone.variables
            )
        else:
            part = model
        self.graph: Graph = extract(part, nodes=nodes)
        self._network: GraphDegrees | None = None

    @cached_property
    def loss(self) -> OutputLoss:
        """The loss: the given one, the compiled one, or sparse categorical cross-entropy."""
        return loss_of(self.model, self.loss_given, self.graph.head)

    def check_data(self, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Return samples as they are and targets as the loss takes them, or say what is wrong."""
        x = check_samples(x, self.model)
        check_enough(len(x), self.groups)
        if self.scope == "network":
            self.graph.check(self.model, x)
        return x, self.loss.targets(y, len(x), self.model.outputs[0].shape[-1], self.graph.dtype)

    def measure(self, x: Array, targets: Array, progress: Progress | None = None) -> Capacitance:
        """Compute beta_eff on what `check_data` returned.

        `progress` is called with the fraction done and a word for what is being done.
        """
        if self.scope == "network":
            return self.by_differentiation(x, targets, progress)[0]
        return self.of_features(self.features(x, progress), targets)

    def features(self, x: Array, progress: Progress | None = None) -> Array:
        """Return what the probe receives, shape (n_samples, n_features)."""
        check_finite(self.backbone.variables)
        dtype = self.model.inputs[0].dtype
        return in_batches(self._forward, x, self.batch_size, dtype, progress)[0]

    def of_features(self, features: Array, targets: Array) -> Capacitance:
        """Compute the probe's beta_eff in closed form from the features."""
        return self.form(self.sums_of_features(features, targets))

    def by_differentiation(
        self, x: Array, targets: Array, progress: Progress | None = None
    ) -> tuple[Capacitance, list[LayerDegrees]]:
        """Compute beta_eff and degrees of the graph by automatic differentiation, in batches."""
        group = -(-len(x) // self.groups)
        size = -(-group // -(-group // self.batch_size))  # batches alike: none is half empty
        sums = self._differentiated(size, x, targets, progress)
        return self.form(sums), sums.degrees(self._names)

    def count(self, x: Array, targets: Array) -> DegreeSums:
        """Sum the degrees over a part of the data; parts `append`, and `form` takes the whole."""
        if self.scope == "probe":
            return self.sums_of_features(self.features(x), targets)
        return self._differentiated(self.batch_size, x, targets)

    def form(self, sums: DegreeSums) -> Capacitance:
        """Form beta_eff from the sums of all parts."""
        return sums.capacitance(self._names)

    @property
    def _names(self) -> tuple[str, ...]:
        """The layers' names."""
        return tuple(layer.name for layer in self.graph.layers)

    def sums_of_features(self, features: Array, targets: Array) -> DegreeSums:
        """Sum the probe's degrees in closed form."""
        if not np.isfinite(features).all():
            raise DivergedError(
                "the backbone's features are not finite on these samples: its weights have "
                "diverged or the inputs are too large."
            )
        check_finite(self.graph.state)
        chain = to_chain(self.graph, self.loss.name)
        accumulator = degree_accumulator(chain, groups=self.groups, **self._kind)
        accumulator.update(features, targets)
        return accumulator

    def _differentiated(
        self, batch_size: int, x: Array, targets: Array, progress: Progress | None = None
    ) -> DegreeSums:
        """Sum degrees by automatic differentiation, in batches of one group each."""
        check_finite(self.graph.state)
        # Compiled once for batches of one size, unless larger ones come.
        if self._network is None or self._network.batch_size < batch_size:
            self._network = GraphDegrees(self.graph, self.loss, batch_size, **self._kind)
        size, sums, done = self._network.batch_size, self._network.empty(self.groups), 0
        for g in range(self.groups):
            on_device = DeviceSums()
            own, own_targets = x[g :: self.groups], targets[g :: self.groups]  # views
            for start in range(0, len(own), size):
                if progress is not None:
                    progress(done / len(x), "sweeps")
                batch = slice(start, start + size)
                self._network.add(on_device, own[batch], own_targets[batch])
                done += len(own[batch])
            on_device.into(sums, g)
        return sums


class _Meters:
    """What a model keeps: no dictionary, which Keras would walk through when it reads weights."""

    def __init__(self) -> None:
        self.by_key: dict[Any, Any] = {}


def meter_of(model: keras.Model, **options: Any) -> CapacitanceMeter:
    """Return a meter of an unchanged model that was measured alike before, or a new one.

    Meters stay with the model, the last few, and go with it. One serves as long as layers,
    variables, what else layers compute with, and the loss are the same objects; values of variables
    are read anew.
    """
    if not isinstance(model, keras.Model):
        return CapacitanceMeter(model, **options)
    layers = list(model._flatten_layers())
    parts = [getattr(layer, name, None) for layer in layers for name in STATE]
    # Kept with the meter: an id may be given again.
    held = [options.get("loss"), getattr(model, "loss", None), *layers, *model.weights, *parts]
    kinds = {name: value for name, value in options.items() if name != "loss"}
    key = (repr(sorted(kinds.items())), *map(id, held))
    known = vars(model).setdefault("_edgedyn_meters", _Meters()).by_key
    if key not in known:
        meter = CapacitanceMeter(model, **options)
        for old in list(known)[: max(len(known) - KEPT + 1, 0)]:
            del known[old]
        known[key] = meter, held
    return known[key][0]


def check_finite(variables: Sequence[keras.Variable]) -> None:
    """Refuse weights that are not finite, which a ReLU may hide from the output."""
    numbers = [v.value for v in variables if "float" in keras.backend.standardize_dtype(v.dtype)]
    if numbers and not bool(ops.all(ops.stack([ops.all(ops.isfinite(v)) for v in numbers]))):
        raise DivergedError("the model's weights are not all finite: they have diverged.")


def usual_batch(shape: tuple[int | None, ...]) -> int:
    """Return how many samples are taken at a time: more of small images, which is faster.

    As many as have the pixels of 64 images of 224x224, between 64 and 256.

    >>> usual_batch((None, 224, 224, 3)), usual_batch((None, 32, 32, 3))
    (64, 256)
    """
    sides = shape[1:-1]
    if None in sides or not sides:
        return BATCH
    fitting = BATCH * USUAL_PIXELS // prod(n for n in sides if n is not None)
    return min(max(BATCH, fitting), MOST_AT_ONCE)


def in_batches(
    forward: Callable[[Any], Any], x: Array, size: int, dtype: Any, progress: Progress | None
) -> list[Array]:
    """Return what a function with one or more outputs gives for all samples, batch by batch.

    Outputs in half precision become float32: bfloat16 is no type of numpy's.
    """
    found = []
    for start in range(0, len(x), size):
        if progress is not None:
            progress(start / len(x), "features")
        batch = x[start : start + size]
        short = size - len(batch) if start else 0  # one shape, one compilation
        filled = np.concatenate([batch, batch[:1].repeat(short, 0)]) if short else batch
        results = forward(ops.convert_to_tensor(filled, dtype=dtype))
        outputs = results if isinstance(results, list | tuple) else [results]
        found.append([output[: len(batch)] for output in outputs])
    # Brought over when all are on their way: no batch waits for the one before.
    whole = [np.concatenate(list(map(ops.convert_to_numpy, p))) for p in zip(*found, strict=True)]
    return [v if v.dtype == np.float64 else v.astype(np.float32, copy=False) for v in whole]


def check_kind(scope: str, coupling: str, strength: str, nodes: str) -> None:
    """Refuse unknown names and what has no meaning together."""
    check.choice(scope, "scope", SCOPES)
    check_choices(coupling, strength, nodes)
    if scope == "network" and strength == "absolute":
        raise ValueError(
            "the network scope has no 'absolute' strength (it needs every entry of P); pass "
            "strength='magnitude' or 'signed'."
        )


def check_samples(x: ArrayLike, model: keras.Model) -> Array:
    """Return the samples as an array that fits the model's input, all values finite."""
    try:
        x = np.asarray(x)
    except ValueError:
        raise TypeError("x must be one array of samples; its parts differ in shape.") from None
    if x.dtype.kind not in "biuf":
        raise TypeError(f"x must hold real numbers; got an array of {x.dtype}.")
    shape = model.input_shape
    fits = x.ndim == len(shape) and all(
        n is None or n == m for n, m in zip(shape[1:], x.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(f"x has shape {x.shape}; the model takes (n_samples, *{shape[1:]}).")
    if not len(x):
        raise ValueError(f"x is empty: its shape is {x.shape}; give at least one sample.")
    check.number_matrix(x.reshape(len(x), -1), "x")
    return x
