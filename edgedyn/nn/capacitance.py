"""beta_eff of a Keras model: of its probe in closed form, or of the whole network."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import ArrayLike, NDArray

from edgedyn import _validate as check
from edgedyn.capacitance import Capacitance, DivergedError, LayerDegrees, check_choices
from edgedyn.mlp import DegreeAccumulator, degree_accumulator
from edgedyn.nn.autodiff import compiled
from edgedyn.nn.chain import to_chain
from edgedyn.nn.degrees import DegreeSums, GraphDegrees
from edgedyn.nn.extract import extract
from edgedyn.nn.graph import Graph
from edgedyn.nn.loss import OutputLoss, output_loss
from edgedyn.nn.probe import probe_input

Array = NDArray[Any]

Progress = Callable[[float, str], None]

SCOPES = ("probe", "network")


def neural_capacitance(
    model: keras.Model,
    x: ArrayLike,
    y: ArrayLike,
    *,
    scope: str = "probe",
    coupling: str = "direct",
    strength: str = "magnitude",
    nodes: str = "kernels",
    loss: Any = None,
    batch_size: int = 64,
) -> Capacitance:
    r"""Compute the neural capacitance of a Keras model.

    .. math:: \beta_{eff} = \frac{\sum \delta_{out} \delta_{in}}{\sum \delta_{in}}

    The degrees are summed over all batches before the ratio is formed; dropout is off and batch
    norms are in inference mode. Frozen parameters are nodes like any others.

    Parameters
    ----------
    model : keras.Model
        For ``scope="probe"`` with a probe from `attach_probe`.
    x : array_like, shape (n_samples, *input shape)
    y : array_like
        Targets as the loss takes them.
    scope : {"probe", "network"}
        ``probe``: the line graph of the probe alone, in closed form, on the features that the
        backbone gives; ``network``: that of the whole network, by two sweeps.
    coupling : {"direct", "full"}
        ``full`` in network scope takes one Hessian-vector product a layer and batch.
    strength : {"magnitude", "absolute", "signed"}
        ``absolute`` in probe scope only; the full coupling is ``signed`` only.
    nodes : {"kernels", "all"}
        ``kernels``: biases and batch norms are parameter-free; ``all``: biases are nodes, too,
        and batch norms become scale layers with gamma and beta as nodes.
    loss : str or keras.losses.Loss, optional
        By default the one the model is compiled with, else sparse categorical cross-entropy.
        Known: sparse and plain categorical cross-entropy, from probabilities or logits, with
        label smoothing; mean squared error. Regularisers, sample and class weights are left out.
    batch_size : int
        Samples taken at a time; does not change the value.

    Returns
    -------
    Capacitance
        ``per_layer`` names the layers.

    Raises
    ------
    TypeError, ValueError
        For unknown layers, losses and options, by name, and for data that do not fit: wrong
        shapes, NaN or infinity, labels out of range, one class only.

    See Also
    --------
    edgedyn.neural_capacitance : the same for a `ReLUMLP`.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Eqs. 2 and 5-7 and Algorithm 1. The network scope
    costs about two training gradients on the same samples, whatever the number of layer pairs.

    Examples
    --------
    >>> import keras, numpy as np
    >>> from edgedyn import nn
    >>> inputs = keras.Input((4,))
    >>> backbone = keras.Model(inputs, keras.layers.Dense(6, activation="relu")(inputs))
    >>> model = nn.attach_probe(backbone, n_classes=3, units=(8, 5), seed=0)
    >>> x = np.random.default_rng(0).standard_normal((30, 4))
    >>> cap = nn.neural_capacitance(model, x, np.arange(30) % 3)
    >>> cap.status, [layer.name for layer in cap.per_layer]
    ('ok', ['probe_dense_1', 'probe_dense_2', 'probe_output'])
    """
    meter = CapacitanceMeter(
        model,
        scope=scope,
        coupling=coupling,
        strength=strength,
        nodes=nodes,
        loss=loss,
        batch_size=batch_size,
    )
    return meter.measure(*meter.check_data(x, y))


class CapacitanceMeter:
    """Measures beta_eff of one model as often as wanted, compiled once.

    Parameters as for `neural_capacitance`; the model's present parameters are read at each
    `measure`.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        scope: str = "probe",
        coupling: str = "direct",
        strength: str = "magnitude",
        nodes: str = "kernels",
        loss: Any = None,
        batch_size: int = 64,
    ) -> None:
        check_kind(scope, coupling, strength, nodes)
        if not isinstance(model, keras.Model):
            raise TypeError(f"model must be a Keras model; got {type(model).__name__}.")
        self.model, self.scope = model, scope
        self.coupling, self.strength, self.nodes = coupling, strength, nodes
        self.batch_size = check.positive_int(batch_size, "batch_size")
        self.loss_given = loss
        if scope == "probe":
            features = probe_input(model)
            self.backbone = keras.Model(model.input, features)
            part = keras.Model(features, model.output)
            self._forward = compiled(lambda x: self.backbone(x, training=False))
        else:
            part = model
        self.graph: Graph = extract(part, nodes=nodes)
        self._loss: OutputLoss | None = None
        self._network: GraphDegrees | None = None

    @property
    def loss(self) -> OutputLoss:
        """The loss: the given one, the compiled one, or sparse categorical cross-entropy."""
        if self._loss is None:
            given = self.loss_given
            if given is None and getattr(self.model, "compiled", False):
                given = self.model.loss
            self._loss = output_loss(given, self.graph.softmax)
        return self._loss

    def check_data(self, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Return samples as they are and targets as the loss takes them, or say what is wrong."""
        x = check_samples(x, self.model)
        return x, self.loss.targets(y, len(x), self.model.output_shape[-1], self.graph.dtype)

    def measure(self, x: Array, targets: Array, progress: Progress | None = None) -> Capacitance:
        """Compute beta_eff on what `check_data` returned.

        `progress` is called with the fraction done and a word for what is being done.
        """
        if self.scope == "network":
            return self.by_differentiation(x, targets, progress)[0]
        return self.of_features(self.features(x, progress), targets)

    def features(self, x: Array, progress: Progress | None = None) -> Array:
        """Return what the probe receives, shape (n_samples, n_features)."""
        parts = []
        for start in range(0, len(x), self.batch_size):
            if progress is not None:
                progress(start / len(x), "features")
            batch = x[start : start + self.batch_size]
            short = self.batch_size - len(batch) if start else 0  # one shape, one compilation
            filled = np.concatenate([batch, batch[:1].repeat(short, 0)]) if short else batch
            filled = ops.convert_to_tensor(filled, dtype=self.model.inputs[0].dtype)
            parts.append(ops.convert_to_numpy(self._forward(filled))[: len(batch)])
        return np.concatenate(parts)

    def of_features(self, features: Array, targets: Array) -> Capacitance:
        """Compute the probe's beta_eff in closed form from the features."""
        return self.form(self._sums_of_features(features, targets))

    def by_differentiation(
        self, x: Array, targets: Array, progress: Progress | None = None
    ) -> tuple[Capacitance, list[LayerDegrees]]:
        """Compute beta_eff and degrees of the graph by automatic differentiation, in batches."""
        degrees = self._differentiator(min(self.batch_size, len(x)))
        degrees.sums = self._differentiated(degrees, x, targets, progress)
        found = degrees.degrees()
        return degrees.capacitance(found), found

    def count(self, x: Array, targets: Array) -> DegreeAccumulator | DegreeSums:
        """Sum the degrees over a part of the data; parts `append`, and `form` takes the whole."""
        if self.scope == "probe":
            return self._sums_of_features(self.features(x), targets)
        return self._differentiated(self._differentiator(self.batch_size), x, targets)

    def form(self, sums: DegreeAccumulator | DegreeSums) -> Capacitance:
        """Form beta_eff from the sums of all parts."""
        if isinstance(sums, DegreeAccumulator):
            return sums.capacitance(tuple(layer.name for layer in self.graph.layers))
        degrees = self._differentiator(self.batch_size)
        degrees.sums = sums
        return degrees.capacitance(degrees.degrees())

    def _sums_of_features(self, features: Array, targets: Array) -> DegreeAccumulator:
        """Sum the probe's degrees in closed form."""
        if not np.isfinite(features).all():
            raise DivergedError(
                "the backbone's features are not finite on these samples: its weights have "
                "diverged or the inputs are too large."
            )
        accumulator = degree_accumulator(
            to_chain(self.graph, self.loss.name),
            coupling=self.coupling,
            strength=self.strength,
            nodes=self.nodes,
        )
        accumulator.update(features, targets)
        return accumulator

    def _differentiator(self, batch_size: int) -> GraphDegrees:
        """Return the compiled sweeps of the graph; the first call decides the size of a batch."""
        if self._network is None:
            self._network = GraphDegrees(
                self.graph,
                self.loss,
                coupling=self.coupling,
                strength=self.strength,
                nodes=self.nodes,
                batch_size=batch_size,
            )
        return self._network

    def _differentiated(
        self, degrees: GraphDegrees, x: Array, targets: Array, progress: Progress | None = None
    ) -> DegreeSums:
        """Sum degrees by automatic differentiation, in batches."""
        degrees.reset()
        for start in range(0, len(x), degrees.batch_size):
            if progress is not None:
                progress(start / len(x), "sweeps")
            chunk = slice(start, start + degrees.batch_size)
            degrees.update(x[chunk], targets[chunk])
        return degrees.sums


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
