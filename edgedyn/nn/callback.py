"""beta_eff at the end of every epoch of a Keras training run."""

import logging
import warnings
from dataclasses import asdict, dataclass
from math import isfinite, nan
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

import keras
import numpy as np

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.capacitance import Capacitance, Coupling, DivergedError, Nodes, Scope, Strength
from edgedyn.nn.data.sampling import sample_dataset
from edgedyn.nn.fitted import FittedInputs, Range, range_of, watch_inputs
from edgedyn.nn.meter import CapacitanceMeter, check_kind, meter_of

if TYPE_CHECKING:
    import pandas as pd

LOG = logging.getLogger(__name__)
SOURCES = ("model", "features")
DIVERGED = "diverged"


@dataclass(frozen=True)
class CapacitanceRecord:
    """One measurement of a `CapacitanceCallback`.

    Parameters
    ----------
    fit, epoch : int
        Which call of ``fit``, from 1; which epoch, as Keras counts, from 0.
    beta_eff : float
        NaN unless the status is "ok", "vanishing" or "converged".
    status : str
        That of the `Capacitance`, or "diverged" where the logged loss or the network's output is
        not finite.
    loss : float
        The epoch's training loss as Keras logs it; NaN or infinity where training diverged.
    seconds : float
        What the measurement took.
    capacitance : Capacitance or None
        Everything else; None where the run has diverged.
    """

    fit: int
    epoch: int
    beta_eff: float
    status: str
    loss: float
    seconds: float
    capacitance: Capacitance | None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain Python values."""
        return {**asdict(self), "capacitance": self.capacitance and self.capacitance.to_dict()}


class CapacitanceCallback(keras.callbacks.Callback):
    """Measure beta_eff on a fixed training sample at the end of each epoch.

    Writes ``beta_eff`` into the epoch's ``logs`` (NaN unless the status is "ok", "vanishing" or
    "converged"), where History, CSVLogger and TensorBoard find it if they come later in the list of
    callbacks; History always does.

    Parameters
    ----------
    x : array_like, tf.data.Dataset or keras.utils.PyDataset
        Training samples, or a finite data set of ``(x, y)`` pairs, batched or not, which is read
        once; where its length is not known, up to 100 times `n_samples` of it.
    y : array_like, optional
        Targets as the model's loss takes them; None with a data set.
    n_samples : int
        Size of the sample, drawn once, stratified by class; all samples where there are fewer.
    scope, coupling, strength, nodes : str
        As for `edgedyn.nn.neural_capacitance`.
    source : {"model", "features"}
        ``model``: the sample passes through the whole model each time. ``features``: it passes
        through the backbone once, when ``fit`` begins, and its features are reused; right where
        the backbone is frozen and the probe is trained, and refused otherwise.
    batch_size : int, optional
        Samples taken at a time; by default 64, and up to 256 of small images.
    seed : int, numpy.random.Generator or None
        Decides the sample; None draws another one each time.

    Attributes
    ----------
    beta_eff, seconds : ndarray, shape (n_epochs,)
        Values of the latest call of ``fit``, in line with its History, and what each of them took.
    records : list of CapacitanceRecord
        Those of all calls of ``fit``, also of interrupted ones.
    features : ndarray, shape (n_samples, n_features), or None
        What the probe received at the latest measurement; None in the network scope, before the
        first one, and where the run has diverged.

    Raises
    ------
    TypeError, ValueError
        Here for data that cannot be sampled and unknown names; when ``fit`` begins for a model
        without a probe (probe scope), unknown layers or losses, and data that do not fit the
        model.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Algorithm 1. A UserWarning where the sample's mean
    ``|x|`` is not within a factor of 1.6 of that of the batches the model is fitted on, or its mean
    farther from theirs than 0.6 of that.

    Examples
    --------
    >>> import keras, numpy as np
    >>> from edgedyn import nn
    >>> inputs = keras.Input((4,))
    >>> backbone = keras.Model(inputs, keras.layers.Dense(6, activation="relu")(inputs))
    >>> model = nn.attach_probe(backbone, n_classes=3, units=(8, 5), seed=0)
    >>> model.compile("sgd", "sparse_categorical_crossentropy")
    >>> x, y = np.random.default_rng(0).standard_normal((30, 4)), np.arange(30) % 3
    >>> watch = nn.CapacitanceCallback(x, y, seed=0)
    >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[watch])
    >>> history.history["beta_eff"] == watch.beta_eff.tolist(), watch.records[-1].status
    (True, 'ok')
    """

    def __init__(
        self,
        x: Any,
        y: Any = None,
        *,
        n_samples: int = 1024,
        scope: Scope = "probe",
        coupling: Coupling = "direct",
        strength: Strength = "magnitude",
        nodes: Nodes = "kernels",
        source: Literal["model", "features"] = "model",
        batch_size: int | None = None,
        seed: int | np.random.Generator | None = 0,
    ) -> None:
        super().__init__()
        check.choice(source, "source", SOURCES)
        check_kind(scope, coupling, strength, nodes)
        if source == "features" and scope != "probe":
            raise ValueError("source='features' is for scope='probe'; the network scope needs x.")
        n_samples = check.positive_int(n_samples, "n_samples")
        self.source = source
        if batch_size is not None:
            check.positive_int(batch_size, "batch_size")
        self._scope, self._batch_size = scope, batch_size
        self._kind: dict[str, Any] = {"coupling": coupling, "strength": strength, "nodes": nodes}
        self.x, self.y = sample_dataset(x, y, n_samples, np.random.default_rng(seed))
        self.records: list[CapacitanceRecord] = []
        self._fits = 0
        self.features: Array | None = None
        self._meter: CapacitanceMeter  # from the first fit on
        self._fixed: Array | None = None
        self._fitted: FittedInputs | None = None

    @property
    def beta_eff(self) -> Array:
        """Values of the latest call of ``fit``."""
        return np.array([r.beta_eff for r in self.records if r.fit == self._fits])

    @property
    def seconds(self) -> Array:
        """What each value of the latest call of ``fit`` took."""
        return np.array([r.seconds for r in self.records if r.fit == self._fits])

    def to_frame(self) -> "pd.DataFrame":
        """Return the records as a pandas DataFrame, one row a measurement."""
        import pandas as pd

        rows = [asdict(r) for r in self.records]
        frame = pd.DataFrame(rows, columns=list(CapacitanceRecord.__dataclass_fields__))
        return frame.drop(columns="capacitance")

    def set_model(self, model: keras.Model) -> None:
        """Take the model, and ask it to tell what it is fitted on."""
        super().set_model(model)
        self._fitted = watch_inputs(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check model, loss and sample before the first step of training."""
        options = {"scope": self._scope, "batch_size": self._batch_size, **self._kind}
        self._meter = meter_of(self.model, **options)  # that of the last fit where it still serves
        self._targets = self._meter.check_data(self.x, self.y)[1]
        self._fixed = None
        if self.source == "features":
            if self._meter.backbone.trainable_weights:
                raise ValueError(
                    "source='features' reuses one forward pass, but the backbone is trained and "
                    "its features change: freeze it (backbone.trainable = False) or pass "
                    "source='model'."
                )
            self._fixed = self._meter.features(self.x)
        self._fits += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Measure, record, and write into `logs`."""
        if self._fitted is not None:
            self._compare(self._fitted.take())
        start = perf_counter()
        loss = float((logs or {}).get("loss", nan))
        cap = None
        # Some backends' ReLU turns NaN into 0, so a diverged network may still give numbers.
        if "loss" not in (logs or {}) or isfinite(loss):
            cap = self._measure()
        value, status = (nan, DIVERGED) if cap is None else (cap.value, cap.status)
        seconds = perf_counter() - start
        LOG.info("epoch %d: beta_eff = %.6g (%s), %.3g s", epoch + 1, value, status, seconds)
        self.records.append(CapacitanceRecord(self._fits, epoch, value, status, loss, seconds, cap))
        if logs is not None:
            logs["beta_eff"] = value

    def _compare(self, fitted: Range) -> None:
        """Warn of a sample in another range than what is fitted; asked once a fit: it is a pass."""
        self._fitted = None
        own = range_of(self.x)
        if own.is_far_from(fitted):
            warnings.warn(
                f"the sample of beta_eff has {own}, what the model is fitted on {fitted}: give "
                "CapacitanceCallback the data that fit is given.",
                stacklevel=2,
            )

    def _measure(self) -> Capacitance | None:
        """Measure the model as it is; None where its output is not finite."""
        self.features = None
        try:
            if self._scope == "network":
                return self._meter.measure(self.x, self._targets)
            features = self._meter.features(self.x) if self._fixed is None else self._fixed
            found = self._meter.of_features(features, self._targets)
        except DivergedError:
            return None
        self.features = features
        return found
