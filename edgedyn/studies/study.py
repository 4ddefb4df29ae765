"""What a model-selection study runs: data, candidates, protocol; checked, field by field."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from edgedyn import _validate as check
from edgedyn._files import sha256
from edgedyn._job import Settings, Text
from edgedyn.predict.methods import METHODS, measured_by
from edgedyn.studies.fields import (
    check_fields,
    checked,
    distinct,
    meant,
    store,
    table,
    unknown_fields,
)
from edgedyn.studies.halving import Schedule
from edgedyn.studies.protocol import (
    Candidate,
    Data,
    Engine,
    Finish,
    Lessons,
    Probe,
    Race,
    Training,
    Watch,
)

STAGES = ("early", "finish", "full", "race")
FINISHING = ("finish", "race")  # some candidates go on alone


@dataclass(frozen=True)
class Trial:
    """One candidate, seed and training size; `key` is its file name, unique in the study."""

    candidate: Candidate
    seed: int
    n_train: int | None
    key: str


@dataclass(frozen=True)
class Study:
    """A model-selection study.

    Parameters
    ----------
    data, candidates, probe, training, capacitance, finish, race, forecast, engine
        The tables of a study file, see `edgedyn.studies.protocol`.
    methods : tuple of str
        What ranks, as for `edgedyn.rank`; the first one chooses.
    stage : {"early", "finish", "full", "race"}
        ``early``: rank after the early epochs and stop; ``finish``: then train the best to the
        end; ``full``: train all to the end; ``race``: leave candidates behind rung by rung, and
        train the last to the end.
    output, folder : str
        The study's folder; where relative paths start.

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
    methods: tuple[Text, ...] = ("last_value", "capacitance", "pooled")
    finish: Finish = field(default_factory=Finish)
    race: Race = field(default_factory=Race)
    forecast: Lessons = field(default_factory=Lessons)
    engine: Engine = field(default_factory=Engine)
    stage: Text = "finish"
    output: Text = "edgedyn-study"
    folder: str = "."

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.candidates:
            raise ValueError("candidates is empty; give at least one.")
        distinct([c.name for c in self.candidates], "candidates' names")
        distinct(self.methods, "methods")
        for name in self.methods:
            if name not in METHODS:
                raise ValueError(f"methods has no {name!r}; {meant(name, METHODS)}")
            if (needed := METHODS[name].needs) and needed not in self.methods:
                raise ValueError(f"methods has {name!r}, which needs {needed!r}: add that, too.")
        if not self.methods:
            raise ValueError("methods is empty; give at least one, such as ['capacitance'].")
        check.choice(self.stage, "stage", STAGES)
        given, proxies = self.training.precision, {*self.methods} & {*measured_by("zero_cost")}
        if given != "float32" and proxies:
            what = ", ".join(sorted(proxies))
            raise ValueError(f"{what} works in float32 alone; got training.precision = {given}.")
        if self.stage == "race":
            self._check_race()
        self._check_paths()
        # Whole paths: a study's folder is reported on from anywhere.
        whole = tuple(str(self.path(name)) for name in self.forecast.folders)
        store(self, forecast=Lessons(whole))

    def _check_paths(self) -> None:
        """Refuse files and folders that are not there."""
        for candidate in self.candidates:
            for name, path in candidate.files.items():
                if not self.path(path).is_file():
                    raise ValueError(
                        f"candidates[{candidate.name!r}].{name}: there is no file {path!r}."
                    )
        for name in self.forecast.folders:
            if not self.path(name).is_dir():
                raise ValueError(f"forecast.from: there is no folder {name!r}.")

    def _check_race(self) -> None:
        """Refuse a race that cannot be run."""
        sizes, top = self.data.n_train, self.finish.top
        if len(sizes) > 1:
            raise ValueError(
                f"a race is run at one training size; got data.n_train = {list(sizes)}."
            )
        if top is not None:
            raise ValueError(f"in a race its plan says how many go on; got finish.top = {top}.")
        self.race.plan(len(self.candidates), self.training.epochs)  # refuses too small a budget

    @property
    def heats(self) -> Schedule:
        """To which epoch how many candidates go in a race, if all can be told apart."""
        return self.race.plan(len(self.candidates), self.training.epochs)

    @property
    def first_epochs(self) -> int:
        """Epochs that all candidates are trained for."""
        if self.stage == "race":
            return self.heats[0][0]
        return self.training.epochs if self.stage == "full" else self.training.early_epochs

    @property
    def begun(self) -> int:
        """Epochs before the finish: the early ones, in a race those up to the last rung."""
        if self.stage != "race":
            return self.training.early_epochs
        return self.heats[-2][0] if len(self.heats) > 1 else self.training.epochs

    @property
    def last_probe(self) -> str:
        """What becomes of the probe in the finish."""
        return self.finish.probe if self.stage in FINISHING else "keep"

    @property
    def patience(self) -> int | None:
        """Epochs without anything better after which the finish ends; None: at the last epoch."""
        return self.finish.patience if self.stage in FINISHING else None

    def path(self, path: str) -> Path:
        """Return a path the study names, relative ones from its own folder."""
        return (Path(self.folder) / Path(path).expanduser()).resolve()

    @cached_property
    def trials(self) -> tuple[Trial, ...]:
        """All trials: training sizes, seeds, candidates."""
        return tuple(
            Trial(candidate, seed, n, key_of(candidate.name, seed, n))
            for n in (self.data.n_train or (None,))
            for seed in self.training.seeds
            for candidate in self.candidates
        )

    @cached_property
    def digests(self) -> dict[str, dict[str, str]]:
        """SHA-256 of the candidates' files."""
        return {
            c.name: {name: sha256(self.path(path)) for name, path in c.files.items()}
            for c in self.candidates
        }

    def settings(self, trial: Trial) -> dict[str, Any]:
        """Return all that decides a trial's numbers, but its name, seed and number of epochs."""
        return self._settings[trial.candidate.name]

    @cached_property
    def _settings(self) -> dict[str, dict[str, Any]]:
        """By candidate, a study may have thousands of trials: of its fields those of `Settings`."""
        found = {}
        parts = {n: asdict(getattr(self, n)) for n in ("data", "probe", "training", "capacitance")}
        for one in self.candidates:
            values = {**parts, "candidate": asdict(one) | self.digests[one.name]}
            found[one.name] = asdict(msgspec.convert(values, Settings))
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a study file has them."""
        values = asdict(self)
        del values["folder"]
        values["forecast"] = {"from": values["forecast"]["folders"]}
        return values


_TABLES: dict[str, Any] = dict(
    probe=Probe,
    training=Training,
    capacitance=Watch,
    finish=Finish,
    race=Race,
    forecast=Lessons,
    engine=Engine,
)


def read_study(values: Mapping[str, Any], folder: Path | str = ".") -> Study:
    """Check plain values and return the `Study` they describe.

    Parameters
    ----------
    values : mapping
        As a study file has them; a bare string will do for `data` and for candidates that are
        backbones.
    folder : path
        Where relative paths start.

    Raises
    ------
    TypeError, ValueError
        For unknown, missing and wrong fields, by name.
    """
    values = dict(values)
    known = ("data", "candidates", *_TABLES, "methods", "stage", "output")
    unknown_fields(values, "", known)
    for name in ("data", "candidates"):
        if name not in values:
            raise ValueError(f"the study has no {name}; give it.")
    data, output = values["data"], values.get("output")
    values["data"] = table(Data, {"spec": data} if isinstance(data, str) else data, "data")
    values["candidates"] = _candidates(values["candidates"])
    for name in values.keys() & _TABLES.keys():
        values[name] = table(_TABLES[name], values[name], name)
    if isinstance(output, PathLike):
        values["output"] = str(output)
    return Study(**values, folder=str(Path(folder).resolve()))


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
            checked(one["name"], Text, f"candidates[{k}].name")
        found.append(table(Candidate, one, f"candidates[{k}]"))
    return tuple(found)


def key_of(name: str, seed: int, n_train: int | None) -> str:
    """Return a file name; what cannot stand in one is replaced, and a digest keeps it unique."""
    plain = re.sub(r"[^\w.+-]+", "_", name, flags=re.ASCII).strip("._")[:60]
    if plain != name:
        plain += "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
    size = "" if n_train is None else f"-n{n_train}"
    return f"{plain}{size}-s{seed}"
