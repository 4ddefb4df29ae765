"""The tables of a study file: data, candidates, probe, training, ..., checked field by field."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgedyn import _validate as check
from edgedyn._job import ProbeSettings, TrainingSettings, WatchSettings
from edgedyn.studies.fields import (
    distinct,
    each,
    function_name,
    optional,
    share_or_count,
    store,
    text,
    whole_number,
    yes_or_no,
)

BATCH_NORMS = ("identity", "statistics", "none")  # as edgedyn.nn.models.probe has them
SPLITS = ("stratified", "ordered")  # as edgedyn.nn.data.datasets has them
MIN_OBSERVED = 3  # a line through fewer points says nothing
OPTIMIZERS = (
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "sgd",
    "rmsprop",
    "adagrad",
    "adadelta",
    "adafactor",
    "lion",
    "lamb",
    "ftrl",
)


@dataclass(frozen=True)
class Data:
    """Which images: see `edgedyn.nn.load_dataset`.

    Parameters
    ----------
    spec : str
    image_size : int, optional
    validation_size : int or float, optional
        By default min(15 000, 30 %) of the training images.
    n_train : tuple of int
        Training-sample counts, each a study of its own; empty: all.
    split : {"stratified", "ordered"}
        Drawn by the seed, or the first and the last of the training images as they are stored.
    """

    spec: str
    image_size: int | None = None
    validation_size: int | float | None = None
    n_train: tuple[int, ...] = ()
    split: str = "stratified"

    def __post_init__(self) -> None:
        store(self, spec=text(self.spec, "data.spec"))
        store(self, image_size=optional(check.positive_int, self.image_size, "data.image_size"))
        if self.validation_size is not None:
            share_or_count(self.validation_size, "data.validation_size")
        counts = each(check.positive_int, self.n_train, "data.n_train")
        store(self, n_train=distinct(counts, "data.n_train"))
        check.choice(self.split, "data.split", SPLITS)


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

    name: str
    backbone: str | None = None
    file: str | None = None
    factory: str | None = None
    weights: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    image_size: int | None = None

    def __post_init__(self) -> None:
        where = f"candidates[{self.name!r}]"
        kinds = {k: getattr(self, k) for k in ("backbone", "file", "factory")}
        given = [k for k, v in kinds.items() if v is not None]
        if len(given) != 1:
            raise ValueError(
                f"{where} must have exactly one of backbone, file, factory; got "
                f"{' and '.join(given) or 'none'}."
            )
        text(getattr(self, given[0]), f"{where}.{given[0]}")
        if self.factory is not None:
            function_name(self.factory, f"{where}.factory")
        default = {"backbone": "imagenet", "file": "own", "factory": "own"}[given[0]]
        store(self, weights=text(self.weights or default, f"{where}.weights"))
        if not isinstance(self.options, Mapping):
            raise TypeError(f"{where}.options must be a table of options; got {self.options!r}.")
        store(self, options=dict(self.options))
        store(self, image_size=optional(check.positive_int, self.image_size, f"{where}.image_size"))

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
        store(self, units=each(check.positive_int, self.units, "probe.units"))
        if not self.units:
            raise ValueError("probe.units is empty; the probe needs at least one hidden layer.")
        store(self, dropout=check.real_number(self.dropout, "probe.dropout", at_least=0.0))
        if self.dropout >= 1:
            raise ValueError(f"probe.dropout must be below 1; got {self.dropout}.")
        check.choice(self.batch_norm, "probe.batch_norm", BATCH_NORMS)
        store(self, momentum=check.real_number(self.momentum, "probe.momentum", at_least=0.0))
        if self.momentum >= 1:
            raise ValueError(f"probe.momentum must be below 1; got {self.momentum}.")
        yes_or_no(self.frozen, "probe.frozen")
        text(self.initializer, "probe.initializer")


@dataclass(frozen=True)
class Training(TrainingSettings):
    """The protocol of fine-tuning; the defaults are the paper's, but for Adam, which is ours.

    Parameters
    ----------
    optimizer : dict
        ``name`` and the options Keras' optimiser takes; a bare name will do.
    learning_rate : float
    batch_size, epochs, early_epochs : int
    seeds : tuple of int
    batch_norm_momentum : float, optional
        Set on the candidate's batch norms. Keras' 0.99 takes hundreds of steps to follow; with
        few steps an epoch, 0.9 is better.
    """

    epochs: int = 50
    early_epochs: int = 5
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        optimizer = self.optimizer
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
        store(self, optimizer={**optimizer, "name": name})
        rate = check.real_number(self.learning_rate, "training.learning_rate", above=0.0)
        store(self, learning_rate=rate)
        for one in ("batch_size", "epochs", "early_epochs"):
            store(self, **{one: check.positive_int(getattr(self, one), f"training.{one}")})
        if not MIN_OBSERVED <= self.early_epochs <= self.epochs:
            raise ValueError(
                f"training.early_epochs must be in {MIN_OBSERVED}..{self.epochs} (training.epochs);"
                f" got {self.early_epochs}."
            )
        seeds = each(whole_number, self.seeds, "training.seeds")
        if not seeds:
            raise ValueError("training.seeds is empty; give at least one, such as [0].")
        store(self, seeds=distinct(seeds, "training.seeds"))
        if self.batch_norm_momentum is not None:
            what = "training.batch_norm_momentum"
            momentum = check.real_number(self.batch_norm_momentum, what, at_least=0.0)
            if momentum >= 1:
                raise ValueError(f"{what} must be in [0, 1); got {momentum}.")
            store(self, batch_norm_momentum=momentum)


@dataclass(frozen=True)
class Watch(WatchSettings):
    """How beta_eff is measured; see `edgedyn.nn.CapacitanceCallback`.

    Parameters
    ----------
    n_samples : int
    scope, coupling, strength, nodes : str
    measures : str, optional
        ``module:function`` of one's own, called after each epoch as ``function(model, x, y)`` with
        the samples of beta_eff, and with ``features=``, what the probe receives, if it takes them;
        the numbers it returns by name go into the record's `measures`.
    """

    def __post_init__(self) -> None:
        store(self, n_samples=check.positive_int(self.n_samples, "capacitance.n_samples"))
        accepted = {
            "scope": ("probe", "network"),
            "coupling": ("direct", "full"),
            "strength": ("magnitude", "absolute", "signed"),
            "nodes": ("kernels", "all"),
        }
        for name, words in accepted.items():
            check.choice(getattr(self, name), f"capacitance.{name}", words)
        if self.measures is not None:
            function_name(self.measures, "capacitance.measures")


@dataclass(frozen=True)
class Finish:
    """What happens to the best candidates.

    Parameters
    ----------
    top : int
        How many go on to the last epoch.
    probe : {"keep", "remove"}
        ``remove``: an ordinary head (one dense layer) takes the probe's place.
    """

    top: int = 1
    probe: str = "keep"

    def __post_init__(self) -> None:
        store(self, top=check.positive_int(self.top, "finish.top"))
        check.choice(self.probe, "finish.probe", ("keep", "remove"))


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
    """

    workers: int = 1
    threads: int | None = None
    dask: str | None = None
    insecure: bool = False
    gpus_per_trial: int = 0
    retries: int = 2

    def __post_init__(self) -> None:
        store(self, workers=check.positive_int(self.workers, "engine.workers"))
        store(self, threads=optional(check.positive_int, self.threads, "engine.threads"))
        for name in ("gpus_per_trial", "retries"):
            store(self, **{name: whole_number(getattr(self, name), f"engine.{name}")})
        yes_or_no(self.insecure, "engine.insecure")
        if self.dask is None:
            return
        text(self.dask, "engine.dask")
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
