"""The tables of a study file: data, candidates, probe, training, ..., checked field by field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args

from msgspec import Meta

from edgedyn import _validate as check
from edgedyn._job import (
    Function,
    Positive,
    ProbeSettings,
    Split,
    Text,
    TrainingSettings,
    WatchSettings,
    Whole,
)
from edgedyn.studies.fields import check_fields, distinct, store
from edgedyn.studies.halving import RUNGS, Schedule, affordable, cost, schedule

SPLITS = get_args(Split)
MIN_OBSERVED = 3  # a line through fewer points says nothing
OPTIMIZERS = "adam adamw adamax nadam sgd rmsprop adagrad adadelta adafactor lion lamb ftrl".split()


@dataclass(frozen=True)
class Data:
    """Which images: see `edgedyn.nn.load_dataset`.

    Parameters
    ----------
    spec, image_size
        As there.
    validation_size : int or float, optional
        By default min(15 000, 30 %) of the training images.
    n_train : tuple of int
        Training-sample counts, each a study of its own; empty: all.
    split : {"stratified", "ordered"}
        Drawn by the seed, or the first and the last of the training images as they are stored.
    """

    spec: Text
    image_size: Positive | None = None
    validation_size: int | float | None = None
    n_train: tuple[Positive, ...] = ()
    split: Split = "stratified"

    def __post_init__(self) -> None:
        check_fields(self, "data")
        distinct(self.n_train, "data.n_train")
        size, name = self.validation_size, "data.validation_size"
        if size is not None:
            check.real_number(size, name, above=0.0)
            if isinstance(size, float) and size >= 1:
                must = "must be a number of images or a share in (0, 1)"
                raise ValueError(f"{name} {must}; got {size!r}.")


@dataclass(frozen=True)
class Candidate:
    """One network to try."""

    name: Text  # unique in the study
    backbone: Text | None = None  # a name that `edgedyn.nn.backbone` knows; with `weights`
    file: Text | None = None  # a ``.keras`` or ``.h5`` file with a whole model
    factory: Function | None = None  # ``module:function`` that makes a Keras model of `options`
    weights: Text | None = None  # a file; of a backbone also "imagenet", "none"; of a factory "own"
    options: dict[str, Any] = field(default_factory=dict)  # of the backbone or the factory
    image_size: Positive | None = None  # for this candidate, in place of the data's

    def __post_init__(self) -> None:
        where = f"candidates[{self.name!r}]"
        weights = {"backbone": "imagenet", "file": "own", "factory": "own"}
        given = [kind for kind in weights if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(
                f"{where} must have exactly one of backbone, file, factory; got "
                f"{' and '.join(given) or 'none'}."
            )
        if self.weights is None:
            store(self, weights=weights[given[0]])
        check_fields(self, where)

    @property
    def files(self) -> dict[str, str]:
        """Fields that name files."""
        named = {"file": self.file, "weights": self.weights}
        words = (None, "imagenet", "none", "own")
        return {k: v for k, v in named.items() if v not in words and v is not None}


@dataclass(frozen=True)
class Probe(ProbeSettings):
    """The neural capacitance probe; see `edgedyn.nn.attach_probe`."""

    def __post_init__(self) -> None:
        check_fields(self, "probe")
        if not self.units:
            raise ValueError("probe.units is empty; the probe needs at least one hidden layer.")


@dataclass(frozen=True)
class Training(TrainingSettings):
    """The protocol of fine-tuning; the defaults are the paper's, but for Adam, which is ours.

    Parameters
    ----------
    optimizer : dict
        ``name`` and the options Keras' optimiser takes; a bare name will do.
    learning_rate, batch_size, epochs, early_epochs, seeds
        A float, integers, and a tuple of integers.
    batch_norm_momentum : float, optional
        Set on the candidate's batch norms. Keras' 0.99 takes hundreds of steps to follow; with
        few steps an epoch, 0.9 is better.
    schedule : {"constant", "cosine", "linear"}
        How the learning rate falls to 0 over all epochs; with an ordinary head anew over those
        that it is trained for.
    weight_decay : float, optional
        Decoupled, of the optimiser.
    class_weights : {"none", "balanced"}
        ``balanced``: in the loss all classes count alike.
    augmentation : tuple of str
        Random changes of the training images, in this order: ``flip`` (left and right), ``shift``,
        ``rotation``, ``zoom``, ``contrast``, ``brightness``.
    precision : {"float32", "mixed_bfloat16", "mixed_float16"}
        What candidates that are built for the study compute in; probe and head stay in float32.
    """

    epochs: Positive = 50
    early_epochs: Positive = 5
    seeds: tuple[Whole, ...] = (0,)

    def __post_init__(self) -> None:
        optimizer: Any = self.optimizer
        optimizer = {"name": optimizer} if isinstance(optimizer, str) else optimizer
        if not isinstance(optimizer, Mapping) or "name" not in optimizer:
            raise TypeError(
                "training.optimizer must be a name or a table with name and options, such as "
                f'{{name = "sgd", momentum = 0.9}}; got {self.optimizer!r}.'
            )
        name = str(optimizer["name"]).lower()
        check.choice(name, "training.optimizer", OPTIMIZERS)
        if "learning_rate" in optimizer:
            raise ValueError("training.optimizer has a learning_rate; give training.learning_rate.")
        if "weight_decay" in optimizer and self.weight_decay is not None:
            raise ValueError("training.weight_decay stands in training.optimizer, too; give one.")
        store(self, optimizer={**optimizer, "name": name})
        check_fields(self, "training")
        if not MIN_OBSERVED <= self.early_epochs <= self.epochs:
            raise ValueError(
                f"training.early_epochs must be in {MIN_OBSERVED}..{self.epochs} (training.epochs);"
                f" got {self.early_epochs}."
            )
        if not self.seeds:
            raise ValueError("training.seeds is empty; give at least one, such as [0].")
        distinct(self.seeds, "training.seeds")
        distinct(self.augmentation, "training.augmentation")
        momentum = self.batch_norm_momentum
        if momentum is not None and momentum >= 1:
            raise ValueError(f"training.batch_norm_momentum must be in [0, 1); got {momentum}.")


@dataclass(frozen=True)
class Watch(WatchSettings):
    """How beta_eff is measured; see `edgedyn.nn.CapacitanceCallback`.

    `measures` is a ``module:function`` of one's own, called after each epoch as ``function(model,
    x, y)`` with the samples of beta_eff, and with ``features=``, what the probe receives, if it
    takes them; the numbers it returns by name go into the record's `measures`.
    """

    def __post_init__(self) -> None:
        check_fields(self, "capacitance")


@dataclass(frozen=True)
class Finish:
    """What happens to the best candidates.

    By default one goes on, or the first two where the paired evidence cannot tell them apart; a
    race has its own plan. A finish ends early when its best epoch lies `patience` epochs back.
    """

    top: Positive | None = None  # how many go on to the last epoch
    probe: Literal["remove", "keep"] = "remove"  # remove: an ordinary head, one dense layer
    patience: Positive | None = None

    def __post_init__(self) -> None:
        check_fields(self, "finish")


@dataclass(frozen=True)
class Race:
    """How a race leaves candidates behind; see `edgedyn.studies.race`.

    One of `reduction` goes on, and with it all that cannot be told apart from the last of these; by
    default it is 2, or with a budget the smallest integer that it allows. The budget is of epochs
    of one seed, all candidates together; by default all that cannot be told apart go on.
    """

    rungs: tuple[Positive, ...] = RUNGS  # epochs, ascending; only those before the last count
    reduction: Annotated[float, Meta(gt=1)] | None = None
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.9  # of the paired intervals
    budget: Positive | None = None

    def __post_init__(self) -> None:
        check_fields(self, "race")
        if list(self.rungs) != sorted(set(self.rungs)):
            raise ValueError(f"race.rungs must ascend; got {list(self.rungs)}.")

    def plan(self, n: int, epochs: int) -> Schedule:
        """Return to which epoch how many of n candidates go if all can be told apart.

        ValueError for a budget below what that takes.
        """
        if self.budget is None or self.reduction is not None:
            found = schedule(n, self.rungs, epochs, self.reduction or 2.0)
        else:
            found = affordable(n, self.rungs, epochs, self.budget)
        if self.budget is not None and self.budget < cost(found):
            raise ValueError(
                f"race.budget = {self.budget} epochs is less than the {cost(found)} that the race "
                "takes; give more, fewer or earlier rungs, or a larger reduction."
            )
        return found


@dataclass(frozen=True)
class Lessons:
    """What forecasts of the final accuracy learn from, beside the study's own finished runs.

    `folders` are other studies', ``from`` in a study file; the shipped lesson counts as ten curves.
    """

    folders: tuple[Text, ...] = field(default=(), metadata={"key": "from"})

    def __post_init__(self) -> None:
        check_fields(self, "forecast")


@dataclass(frozen=True)
class Engine:
    """Where trials run. Has no influence on the numbers beyond rounding."""

    workers: Positive = 1  # trials at a time
    threads: Positive | None = None  # of each trial; by default the cores divided by the workers
    dask: Text | None = None  # a scheduler's address, or "local": a cluster here, for the study
    insecure: bool = False  # allow a scheduler elsewhere without TLS: who reaches it can run code
    gpus_per_trial: Whole = 0  # of Dask workers started with ``--resources GPU=...``
    retries: Whole = 2  # of a trial that was killed without having got further

    def __post_init__(self) -> None:
        check_fields(self, "engine")
        if self.dask is None:
            return
        if self.dask != "local" and not re.match(r"(tcp|tls|ws|wss|inproc)://.+", self.dask):
            raise ValueError(
                "engine.dask must be 'local' or a scheduler's address such as "
                f"'tcp://127.0.0.1:8786' or 'tls://host:8786'; got {self.dask!r}."
            )
        here = r"inproc://.*|(ws|tcp)://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?/?"
        safe = self.dask == "local" or self.dask.startswith(("tls://", "wss://"))
        safe = safe or re.fullmatch(here, self.dask) is not None
        if not (safe or self.insecure):
            raise ValueError(
                f"engine.dask = {self.dask!r} leads to another machine without TLS: use tls://, or "
                "set engine.insecure = true in a network you trust."
            )
