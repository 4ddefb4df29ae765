"""What a model-selection study runs: data, candidates, protocol; checked, field by field."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from edgedyn import _validate as check
from edgedyn.studies.fields import (
    each,
    optional,
    share_or_count,
    table,
    text,
    unknown_fields,
    whole_number,
    yes_or_no,
)

STAGES = ("early", "finish", "full")
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
    """

    spec: str
    image_size: int | None = None
    validation_size: int | float | None = None
    n_train: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _set(self, spec=text(self.spec, "data.spec"))
        _set(self, image_size=optional(check.positive_int, self.image_size, "data.image_size"))
        if self.validation_size is not None:
            share_or_count(self.validation_size, "data.validation_size")
        counts = each(check.positive_int, self.n_train, "data.n_train")
        _set(self, n_train=_distinct(counts, "data.n_train"))


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
        if self.factory is not None and not re.fullmatch(r"[\w.]+:\w+", self.factory):
            raise ValueError(
                f"{where}.factory must be 'module:function', such as 'my_models:small_vgg'; got "
                f"{self.factory!r}."
            )
        default = {"backbone": "imagenet", "file": "own", "factory": "own"}[given[0]]
        _set(self, weights=text(self.weights or default, f"{where}.weights"))
        if not isinstance(self.options, Mapping):
            raise TypeError(f"{where}.options must be a table of options; got {self.options!r}.")
        _set(self, options=dict(self.options))
        _set(self, image_size=optional(check.positive_int, self.image_size, f"{where}.image_size"))

    @property
    def files(self) -> dict[str, str]:
        """Fields that name files."""
        named = {"file": self.file, "weights": self.weights}
        words = (None, "imagenet", "none", "own")
        return {k: v for k, v in named.items() if v not in words and v is not None}


@dataclass(frozen=True)
class Probe:
    """The neural capacitance probe; see `edgedyn.nn.attach_probe`."""

    units: tuple[int, ...] = (256, 128)
    dropout: float = 0.4
    batch_norm: bool = True
    frozen: bool = True
    initializer: str = "he_normal"

    def __post_init__(self) -> None:
        _set(self, units=each(check.positive_int, self.units, "probe.units"))
        if not self.units:
            raise ValueError("probe.units is empty; the probe needs at least one hidden layer.")
        _set(self, dropout=check.real_number(self.dropout, "probe.dropout", at_least=0.0))
        if self.dropout >= 1:
            raise ValueError(f"probe.dropout must be below 1; got {self.dropout}.")
        yes_or_no(self.batch_norm, "probe.batch_norm")
        yes_or_no(self.frozen, "probe.frozen")
        text(self.initializer, "probe.initializer")


@dataclass(frozen=True)
class Training:
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

    optimizer: dict[str, Any] = field(default_factory=lambda: {"name": "adam"})
    learning_rate: float = 1e-3
    batch_size: int = 64
    epochs: int = 50
    early_epochs: int = 5
    seeds: tuple[int, ...] = (0,)
    batch_norm_momentum: float | None = None

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
        _set(self, optimizer={**optimizer, "name": name})
        rate = check.real_number(self.learning_rate, "training.learning_rate", above=0.0)
        _set(self, learning_rate=rate)
        for one in ("batch_size", "epochs", "early_epochs"):
            _set(self, **{one: check.positive_int(getattr(self, one), f"training.{one}")})
        if not MIN_OBSERVED <= self.early_epochs <= self.epochs:
            raise ValueError(
                f"training.early_epochs must be in {MIN_OBSERVED}..{self.epochs} (training.epochs);"
                f" got {self.early_epochs}."
            )
        seeds = each(whole_number, self.seeds, "training.seeds")
        if not seeds:
            raise ValueError("training.seeds is empty; give at least one, such as [0].")
        _set(self, seeds=_distinct(seeds, "training.seeds"))
        if self.batch_norm_momentum is not None:
            what = "training.batch_norm_momentum"
            momentum = check.real_number(self.batch_norm_momentum, what, at_least=0.0)
            if momentum >= 1:
                raise ValueError(f"{what} must be in [0, 1); got {momentum}.")
            _set(self, batch_norm_momentum=momentum)


@dataclass(frozen=True)
class Watch:
    """How beta_eff is measured; see `edgedyn.nn.CapacitanceCallback`."""

    n_samples: int = 1024
    scope: str = "probe"
    coupling: str = "direct"
    strength: str = "magnitude"
    nodes: str = "kernels"

    def __post_init__(self) -> None:
        _set(self, n_samples=check.positive_int(self.n_samples, "capacitance.n_samples"))
        accepted = {
            "scope": ("probe", "network"),
            "coupling": ("direct", "full"),
            "strength": ("magnitude", "absolute", "signed"),
            "nodes": ("kernels", "all"),
        }
        for name, words in accepted.items():
            check.choice(getattr(self, name), f"capacitance.{name}", words)


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
        _set(self, top=check.positive_int(self.top, "finish.top"))
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
        _set(self, workers=check.positive_int(self.workers, "engine.workers"))
        _set(self, threads=optional(check.positive_int, self.threads, "engine.threads"))
        for name in ("gpus_per_trial", "retries"):
            _set(self, **{name: whole_number(getattr(self, name), f"engine.{name}")})
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


@dataclass(frozen=True)
class Trial:
    """One candidate, seed and training size.

    Parameters
    ----------
    candidate : Candidate
    seed : int
    n_train : int or None
    key : str
        Its file name; unique in the study.
    """

    candidate: Candidate
    seed: int
    n_train: int | None
    key: str


@dataclass(frozen=True)
class Study:
    """A model-selection study.

    Parameters
    ----------
    data : Data
    candidates : tuple of Candidate
    probe : Probe
    training : Training
    capacitance : Watch
    methods : tuple of str
        What ranks, as for `edgedyn.rank`; the first one chooses.
    finish : Finish
    engine : Engine
    stage : {"early", "finish", "full"}
        ``early``: rank after the early epochs and stop; ``finish``: then train the best to the
        end; ``full``: train all to the end.
    output : str
        The study's folder.
    folder : str
        Where relative paths start.

    Examples
    --------
    >>> from edgedyn.studies.study import read_study
    >>> study = read_study({"data": "digits", "candidates": ["MobileNet", "VGG16"]})
    >>> study.training.epochs, [trial.key for trial in study.trials]
    (50, ['MobileNet-s0', 'VGG16-s0'])
    """

    data: Data
    candidates: tuple[Candidate, ...]
    probe: Probe = field(default_factory=Probe)
    training: Training = field(default_factory=Training)
    capacitance: Watch = field(default_factory=Watch)
    methods: tuple[str, ...] = ("capacitance", "pooled", "last_value")
    finish: Finish = field(default_factory=Finish)
    engine: Engine = field(default_factory=Engine)
    stage: str = "finish"
    output: str = "edgedyn-study"
    folder: str = "."

    def __post_init__(self) -> None:
        if not self.candidates:
            raise ValueError("candidates is empty; give at least one.")
        names = [c.name for c in self.candidates]
        _distinct(names, "candidates' names")
        _distinct(each(text, self.methods, "methods"), "methods")
        if not self.methods:
            raise ValueError("methods is empty; give at least one, such as ['capacitance'].")
        check.choice(self.stage, "stage", STAGES)
        for candidate in self.candidates:
            for name, path in candidate.files.items():
                if not self.path(path).is_file():
                    raise ValueError(
                        f"candidates[{candidate.name!r}].{name}: there is no file {path!r}."
                    )

    def path(self, path: str) -> Path:
        """Return a path the study names, relative ones from its own folder."""
        return (Path(self.folder) / Path(path).expanduser()).resolve()

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """All trials: training sizes, seeds, candidates."""
        return tuple(
            Trial(candidate, seed, n, _key(candidate.name, seed, n))
            for n in (self.data.n_train or (None,))
            for seed in self.training.seeds
            for candidate in self.candidates
        )

    @cached_property
    def digests(self) -> dict[str, dict[str, str]]:
        """SHA-256 of the candidates' files."""
        return {
            c.name: {name: _sha256(self.path(path)) for name, path in c.files.items()}
            for c in self.candidates
        }

    def settings(self, trial: Trial) -> dict[str, Any]:
        """Return all that decides a trial's numbers, but its name, seed and number of epochs."""
        training = asdict(self.training)
        for name in ("epochs", "early_epochs", "seeds"):
            del training[name]
        candidate = asdict(trial.candidate)
        del candidate["name"]
        candidate.update(self.digests[trial.candidate.name])
        data = asdict(self.data)
        del data["n_train"]
        return {
            "data": data,
            "candidate": candidate,
            "probe": asdict(self.probe),
            "training": training,
            "capacitance": asdict(self.capacitance),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a study file has them."""
        values = asdict(self)
        del values["folder"]
        return values


_TABLES: dict[str, Any] = {
    "probe": Probe,
    "training": Training,
    "capacitance": Watch,
    "finish": Finish,
    "engine": Engine,
}


def read_study(values: Mapping[str, Any], folder: Path | str = ".") -> Study:
    """Check plain values and return the study they describe.

    Parameters
    ----------
    values : mapping
        As a study file has them; a bare string will do for `data` and for candidates that are
        backbones.
    folder : path
        Where relative paths start.

    Returns
    -------
    Study

    Raises
    ------
    TypeError, ValueError
        For unknown, missing and wrong fields, by name.
    """
    values = dict(values)
    plain = ("methods", "stage", "output")
    unknown_fields(values, "", ("data", "candidates", *_TABLES, *plain))
    for name in ("data", "candidates"):
        if name not in values:
            raise ValueError(f"the study has no {name}; give it.")
    data = values["data"]
    found: dict[str, Any] = {
        "data": table(Data, {"spec": data} if isinstance(data, str) else data, "data"),
        "candidates": _candidates(values["candidates"]),
        "folder": str(Path(folder).resolve()),
    }
    for name, kind in _TABLES.items():
        if name in values:
            found[name] = table(kind, values[name], name)
    for name in ("stage", "output"):
        if name in values:
            found[name] = text(str(values[name]), name)
    if "methods" in values:
        found["methods"] = each(text, values["methods"], "methods")
    return Study(**found)


def _candidates(given: Any) -> tuple[Candidate, ...]:
    """Read the candidates; a bare string is a backbone's name."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise TypeError(f"candidates must be a list of names or tables; got {given!r}.")
    found = []
    for k, one in enumerate(given):
        one = {"backbone": one} if isinstance(one, str) else one
        if isinstance(one, Mapping) and "name" not in one:
            kinds = ("backbone", "file", "factory")
            one = {"name": next((str(one[kind]) for kind in kinds if kind in one), str(k)), **one}
        if isinstance(one, Mapping):
            text(one["name"], f"candidates[{k}].name")
        found.append(table(Candidate, one, f"candidates[{k}]"))
    return tuple(found)


def _key(name: str, seed: int, n_train: int | None) -> str:
    """Return a file name; what cannot stand in one is replaced, and a digest keeps it unique."""
    plain = re.sub(r"[^\w.+-]+", "_", name, flags=re.ASCII).strip("._")[:60]
    if plain != name:
        plain += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    size = "" if n_train is None else f"-n{n_train}"
    return f"{plain}{size}-s{seed}"


def _sha256(path: Path) -> str:
    """Return a file's digest."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def _distinct(values: Any, name: str) -> Any:
    """Refuse repeated values."""
    repeated = sorted({str(v) for v in values if list(values).count(v) > 1})
    if repeated:
        raise ValueError(f"{name} must differ; {', '.join(repeated)} is there more than once.")
    return values


def _set(frozen: Any, **values: Any) -> None:
    """Store checked values in a frozen dataclass."""
    for name, value in values.items():
        object.__setattr__(frozen, name, value)
