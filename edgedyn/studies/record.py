"""One record a trial: one candidate, one seed, fine-tuned once. The schema all studies share."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import starmap
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec

from edgedyn import _validate as check
from edgedyn._environment import SCHEMAS, published
from edgedyn._job import TrainingSettings
from edgedyn.studies.written import Environment

# 2: scores; 3: per-epoch times and measures, training size, reason, provenance; 4: which
# validation samples were right, and what the probe's batch norms do (upgraded from 3); 5: their
# files have digests
SCHEMA = SCHEMAS["record"]
READ = (3, 4, SCHEMA)
STATUSES = ("completed", "early", "diverged", "failed")
# Fields of training that older records do not have.
LATER = ("schedule", "weight_decay", "class_weights", "augmentation", "precision")


class EpochRecord(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What is observed after one epoch.

    A study has half a million of them: a struct is made ten times as fast as a dataclass, and the
    garbage collector need not look at it. ``msgspec.structs.replace`` changes fields.

    Parameters
    ----------
    epoch : int
        From 1.
    train_loss : float
    val_accuracy, test_accuracy : float
        In [0, 1]; the test accuracy is for judging only and never an input of a prediction.
    beta_eff : float
        NaN unless `beta_status` is "ok", "vanishing" or "converged".
    beta_status : str
        That of the `Capacitance`, "diverged", or "no_probe" where the probe was taken off.
    train_seconds, beta_seconds : float
        What the epoch's training (without validation) and beta_eff took; NaN where not measured.
    measures : dict of str to float
        What else was measured after the epoch, such as ``val_loss``.
    val_correct : str
        Which validation samples the model got right, as `edgedyn.studies.unpack_bits` reads them;
        candidates of one seed see the same samples in the same order. Empty: not kept.
    """

    epoch: int
    train_loss: float
    val_accuracy: float
    test_accuracy: float
    beta_eff: float
    beta_status: str
    train_seconds: float = nan
    beta_seconds: float = nan
    measures: dict[str, float] = msgspec.field(default_factory=dict)
    val_correct: str = ""


def packed(epochs: Sequence[EpochRecord]) -> bytes:
    """Return epochs as columns in MessagePack, which takes much less memory than they do.

    >>> unpacked(packed([EpochRecord(1, 0.7, 0.8, 0.79, 0.4, "ok")]))[0].val_accuracy
    0.8
    """
    return msgspec.msgpack.encode(list(zip(*map(msgspec.structs.astuple, epochs), strict=True)))


def unpacked(columns: bytes) -> tuple[EpochRecord, ...]:
    """Return the epochs of `packed`."""
    return tuple(starmap(EpochRecord, zip(*msgspec.msgpack.decode(columns), strict=True)))


class DataSizes(TypedDict, total=False):
    """What a record says of its data."""

    train: int
    validation: int
    test: int
    class_names: list[str]
    image_shape: list[int]


class Provenance(TypedDict, total=False):
    """What is read of a record's provenance; there may be more."""

    environment: Environment
    data: DataSizes
    data_fingerprint: str
    source_fingerprint: str
    parameters: int
    score_seconds: dict[str, float]
    peak_memory_mib: float | None
    notes: list[str]


@dataclass(frozen=True)
class TrialRecord:
    """One fine-tuning run.

    Parameters
    ----------
    model, data : str
        Names of the candidate and of the task.
    settings : dict
        What the trial was run with: plain values.
    status : {"completed", "early", "diverged", "failed"}
        ``completed``: trained to the last epoch, or, with a `finish.patience`, until nothing became
        better; ``early``: stopped as planned after the early epochs; ``diverged``: loss or output
        became NaN or infinite; ``failed``: see `reason`.
    train_seconds, beta_seconds : float
        Time spent in training and in computing beta_eff, over all epochs.
    scores : dict of str to float
        Training-free scores of the candidate on the task, such as ``logme``; higher is better.
    n_train : int or None
        Training samples used; None where a study does not vary them.
    reason : str
        Why a trial failed or diverged, in one sentence; else empty.
    provenance : dict
        Versions, hardware and date (`environment`), a fingerprint of the data, peak memory.
    schema : int
        Version of this layout.

    Examples
    --------
    >>> from edgedyn.studies import EpochRecord, TrialRecord
    >>> epoch = EpochRecord(1, 0.7, 0.8, 0.79, 0.4, "ok")
    >>> record = TrialRecord("64-32", "digits", 0, {}, (epoch,), "completed", 1.0, 0.01)
    >>> TrialRecord.from_dict(record.to_dict()) == record, record.final_test_accuracy
    (True, 0.79)
    """

    model: str
    data: str
    seed: int
    settings: dict[str, Any]
    epochs: tuple[EpochRecord, ...]
    status: str
    train_seconds: float
    beta_seconds: float
    scores: dict[str, float] = field(default_factory=dict)
    n_train: int | None = None
    reason: str = ""
    provenance: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @classmethod
    def with_packed(cls, fields: Mapping[str, Any], n_epochs: int, epochs: bytes) -> "TrialRecord":
        """Make a record whose epochs are unpacked when first asked for; nothing is checked.

        `fields` has all other fields by name, `epochs` what `packed` returns of `n_epochs` epochs.
        """
        record = object.__new__(cls)
        vars(record).update(fields, _n_epochs=n_epochs, _packed=epochs)
        return record

    if not TYPE_CHECKING:  # which would believe that there is any attribute

        def __getattr__(self, name: str) -> Any:
            """Read packed epochs; nothing else is looked for."""
            own = vars(self)
            columns = own.get("_packed") if name == "epochs" else None
            if columns is not None:
                own.setdefault("epochs", unpacked(columns))
                own.pop("_packed", None)
            if name in own:  # where another thread came first, too
                return own[name]
            raise AttributeError(f"a {type(self).__name__} has no {name!r}")

    @property
    def n_epochs(self) -> int:
        """Number of epochs; for those that are packed still, too."""
        own = vars(self)
        return own["_n_epochs"] if "_packed" in own else len(self.epochs)

    @property
    def n_validation(self) -> int:
        """Number of validation samples; 0 where nobody told."""
        return (self.provenance.get("data") or {}).get("validation") or 0

    @property
    def final_test_accuracy(self) -> float:
        """Test accuracy after the last epoch; NaN without epochs."""
        return self.epochs[-1].test_accuracy if self.epochs else nan

    def observed(self, n_epochs: int) -> tuple[list[float], list[float]]:
        """Return beta_eff and validation accuracy of the first epochs, degenerate ones dropped."""
        pairs = [
            (e.beta_eff, e.val_accuracy)
            for e in self.epochs[:n_epochs]
            if isfinite(e.beta_eff) and isfinite(e.val_accuracy)
        ]
        return [b for b, _ in pairs], [a for _, a in pairs]

    def to_dict(self) -> dict[str, Any]:
        """Return plain Python values."""
        rows = tuple({**msgspec.structs.asdict(e), "measures": {**e.measures}} for e in self.epochs)
        return {**asdict(replace(self, epochs=())), "epochs": rows}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrialRecord":
        """Read a record back, null as NaN; ValueError for another schema or wrong fields."""
        found = values.get("schema")
        if type(found) is not int or found not in READ:
            read = ", ".join(map(str, READ))
            raise ValueError(f"the record has schema {found!r}; this edgedyn reads {read}.")
        wrong = values.keys() ^ cls.__dataclass_fields__.keys()
        if wrong:
            names = ", ".join(sorted(wrong))
            raise ValueError(f"the record's fields do not match schema {SCHEMA}: {names}.")
        check.choice(values["status"], "status", STATUSES)
        for name in ("settings", "scores"):
            if not isinstance(values[name], dict):
                raise ValueError(f"the record's {name} are no table; got {values[name]!r}.")
        msgspec.convert(values["provenance"], Provenance)
        epochs = values["epochs"]
        if epochs and not isinstance(epochs[0], EpochRecord):
            epochs = tuple(map(epoch_record, epochs))
        changes = {
            "schema": SCHEMA,
            "data": published(values["data"]),
            "settings": upgraded_settings(values["settings"]),
            "epochs": epochs,
            "scores": whole(values["scores"]),
            **whole({name: values[name] for name in ("train_seconds", "beta_seconds")}),
        }
        record = msgspec.convert({**values, **changes}, cls)
        record.check()
        return record

    def check(self) -> None:
        """Refuse what no run is called, or was run with."""
        if not self.model:
            raise ValueError("the record names no model.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"the record's seed is {self.seed}; it must be in 0..2**32-1.")
        if self.n_train is not None and self.n_train < 1:
            raise ValueError(f"the record's n_train is {self.n_train}; it must be at least 1.")
        if self.train_seconds < 0 or self.beta_seconds < 0:
            raise ValueError("the record's seconds are negative.")


def epoch_record(values: Mapping[str, Any]) -> EpochRecord:
    """Read an epoch back; JSON's null becomes NaN."""
    changes = {"measures": whole(values["measures"])}
    return msgspec.convert({**whole(values), **changes}, EpochRecord)


def stalled(accuracy: Sequence[float], begun: int, patience: int | None) -> bool:
    """Tell whether a finish that began after `begun` epochs is over before its last.

    It is when its best validation accuracy lies `patience` epochs back; None: never.

    >>> [stalled((0.9, 0.5, 0.7, 0.6, 0.7)[:n], 1, 2) for n in (3, 4, 5)]
    [False, False, True]
    """
    since = accuracy[begun:]
    if patience is None or not since:
        return False
    best = max(range(len(since)), key=lambda k: since[k])
    return len(since) - 1 - best >= patience


def at_its_end(record: TrialRecord, last: int) -> bool:
    """Tell whether a run has come to the last epoch, or to the end of its patience."""
    whole = record.n_epochs == last or "patience" in record.settings
    return record.status == "completed" and whole


def upgraded_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Say in today's words what an older trial was run with.

    Until schema 3 the probe's `batch_norm` was true or false, which meant frozen as Keras has it
    (``identity``) or none, and the moving averages had Keras' momentum of 0.99. Before the data had
    a `split`, it was ``stratified``. Fields of training that there were not yet had their defaults.
    Paths were whole.
    """
    training = settings.get("training")
    if isinstance(training, dict):
        first = {f.name: f.default for f in fields(TrainingSettings) if f.name in LATER}
        settings = {**settings, "training": {**first, **training}}
    data, probe = settings.get("data"), settings.get("probe")
    if isinstance(data, dict):
        spec = published(data.get("spec"))
        if "split" not in data or spec != data.get("spec"):
            settings = {**settings, "data": {"split": "stratified", **data, "spec": spec}}
    if isinstance(probe, dict) and isinstance(probe.get("batch_norm"), bool):
        word = "identity" if probe["batch_norm"] else "none"
        settings = {**settings, "probe": {**probe, "batch_norm": word, "momentum": 0.99}}
    return settings


def whole(values: Mapping[str, Any]) -> dict[str, Any]:
    """Turn JSON's null into NaN."""
    return {name: nan if value is None else value for name, value in values.items()}
