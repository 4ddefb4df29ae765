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
LAST_SEED = 2**32 - 1  # of the frameworks
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
    """One network to try.

    Parameters
    ----------
    name : str
        Unique in the study.
    backbone : str, optional
        A name that `edgedyn.nn.backbone` knows; with `weights`.
    file : str, optional
        A ``.keras`` or ``.h5`` file with a whole model.
    factory : str, optional
        ``module:function`` that returns a Keras model; called with `options`.
    weights : str
        Of a backbone: ``imagenet``, ``none``, or a file. Of a factory's model: ``own``, or a file.
    options : dict
        Passed on to the backbone's or factory's function.
    image_size : int, optional
        For this candidate, in place of the data's.
    """

    name: Text
    backbone: Text | None = None
    file: Text | None = None
    factory: Function | None = None
    weights: Text | None = None
    options: dict[str, Any] = field(default_factory=dict)
    image_size: Positive | None = None

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
        if max(self.seeds) > LAST_SEED:
            raise ValueError(f"training.seeds must be in 0..{LAST_SEED}; got {max(self.seeds)}.")
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

    Parameters
    ----------
    top : int, optional
        How many go on to the last epoch; by default one, or the first two where the paired evidence
        cannot tell them apart. A race has its own plan.
    probe : {"remove", "keep"}
        ``remove``: an ordinary head (one dense layer) takes the probe's place.
    patience : int, optional
        The finish ends early when its best validation accuracy lies so many epochs back.
    """

    top: Positive | None = None
    probe: Literal["remove", "keep"] = "remove"
    patience: Positive | None = None

    def __post_init__(self) -> None:
        check_fields(self, "finish")


@dataclass(frozen=True)
class Race:
    """How a race leaves candidates behind; see `edgedyn.studies.race`.

    Parameters
    ----------
    rungs : tuple of int
        Epochs after which some are left behind, ascending; those from the last epoch on do not
        count.
    reduction : float, optional
        Above 1: one of so many goes on, and with it all that cannot be told apart from the last of
        these. By default 2, or with a budget the smallest integer that it allows.
    confidence : float
        In (0, 1), of the paired intervals that tell candidates apart.
    budget : int, optional
        Epochs of one seed that all candidates together may take; by default all that cannot be
        told apart go on.
    """

    rungs: tuple[Positive, ...] = RUNGS
    reduction: Annotated[float, Meta(gt=1)] | None = None
    confidence: Annotated[float, Meta(gt=0, lt=1)] = 0.9
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
    """Where trials run. Has no influence on the numbers beyond rounding.

    Parameters
    ----------
    workers : int
        Trials at a time.
    threads : int, optional
        Of each trial; by default the machine's cores divided by the workers.
    dask : str, optional
        Address of a scheduler (``tcp://127.0.0.1:8786``), or ``local`` for a cluster on this
        machine, started for the study.
    insecure : bool
        Allow a scheduler on another machine without TLS; whoever can reach it can run code.
    gpus_per_trial : int
        Taken from Dask workers that were started with ``--resources GPU=...``.
    retries : int
        How often a trial whose process was killed is taken up again without having got further.
    timeout : float, optional
        Seconds without the end of an epoch after which a trial is held to hang, and killed.
    """

    workers: Positive = 1
    threads: Positive | None = None
    dask: Text | None = None
    insecure: bool = False
    gpus_per_trial: Whole = 0
    retries: Whole = 2
    timeout: Annotated[float, Meta(gt=0)] | None = None

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
