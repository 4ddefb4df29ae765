"""What a study's folder says beside its records, as far as a report reads it: types, checked."""

from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

Names = Annotated[list[str], Meta(min_length=1)]
Positive = Annotated[int, Meta(ge=1)]


class Environment(TypedDict, total=False):
    """With what a result was made."""

    edgedyn: str
    python: str
    packages: dict[str, str]
    cpu: str
    cores: int | None
    threads: str | None
    platform: str
    command: str
    date: str


class Candidate(msgspec.Struct):
    """One network to try."""

    name: str


class Data(msgspec.Struct):
    """Which images."""

    n_train: list[Positive] = []


class Training(msgspec.Struct):
    """How long, and with which seeds."""

    epochs: Positive
    early_epochs: Positive
    seeds: Annotated[list[int], Meta(min_length=1)]


class Finish(msgspec.Struct):
    """What becomes of the probe."""

    probe: str = ""


class Race(msgspec.Struct):
    """Where candidates are left behind."""

    rungs: list[Positive] = []


class Watch(msgspec.Struct):
    """How beta_eff is measured."""

    scope: str = "probe"


class Forecast(msgspec.Struct):
    """Whom forecasts learn from."""

    folders: list[str] = msgspec.field(default_factory=list, name="from")


class Study(msgspec.Struct):
    """A study as it was run; `plain` values hold all of it."""

    data: Data
    training: Training
    candidates: Annotated[list[Candidate], Meta(min_length=1)]
    methods: Names
    stage: str = "full"
    output: str = ""
    finish: Finish = msgspec.field(default_factory=Finish)
    race: Race = msgspec.field(default_factory=Race)
    capacitance: Watch = msgspec.field(default_factory=Watch)
    forecast: Forecast = msgspec.field(default_factory=Forecast)


def checked(plain: dict[str, Any]) -> Study:
    """Return what a report reads of a study's plain values; ValueError for what is amiss."""
    return msgspec.convert(plain, Study)
