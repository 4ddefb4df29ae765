"""What a study is described by, as keywords of `edgedyn.select`: types for editors and checkers.

The values are checked by `edgedyn.studies.study`, whose tables have these fields.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypedDict

from edgedyn._job import Augmentation, Split
from edgedyn.capacitance import Coupling, Nodes, Scope, Strength


class DataFields(TypedDict, total=False):
    """See `edgedyn.studies.protocol.Data`; a bare string is its `spec`."""

    spec: str
    image_size: int | None
    validation_size: int | float | None
    n_train: Sequence[int]
    split: Split


class CandidateFields(TypedDict, total=False):
    """See `edgedyn.studies.protocol.Candidate`; a bare string is a backbone's name."""

    name: str
    backbone: str | None
    file: str | None
    factory: str | None
    weights: str | None
    options: Mapping[str, Any]
    image_size: int | None


class ProbeFields(TypedDict, total=False):
    """See `edgedyn.studies.protocol.Probe`."""

    units: Sequence[int]
    dropout: float
    batch_norm: Literal["identity", "statistics", "none"]
    momentum: float
    frozen: bool
    initializer: str


class TrainingFields(TypedDict, total=False):
    """See `edgedyn.studies.protocol.Training`."""

    optimizer: str | Mapping[str, Any]
    learning_rate: float
    batch_size: int
    batch_norm_momentum: float | None
    schedule: Literal["constant", "cosine", "linear"]
    weight_decay: float | None
    class_weights: Literal["none", "balanced"]
    augmentation: Sequence[Augmentation]
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"]
    epochs: int
    early_epochs: int
    seeds: Sequence[int]


class CapacitanceFields(TypedDict, total=False):
    """See `edgedyn.studies.protocol.Watch`."""

    scope: Scope
    n_samples: int
    coupling: Coupling
    strength: Strength
    nodes: Nodes
    measures: str | None


class FinishFields(TypedDict, total=False):
    """See `edgedyn.studies.protocol.Finish`."""

    top: int | None
    probe: Literal["remove", "keep"]
    patience: int | None


class RaceFields(TypedDict, total=False):
    """See `edgedyn.studies.protocol.Race`."""

    rungs: Sequence[int]
    reduction: float | None
    confidence: float
    budget: int | None


# A keyword of Python stands among the names.
ForecastFields = TypedDict("ForecastFields", {"from": Sequence[str]}, total=False)


class EngineFields(TypedDict, total=False):
    """See `edgedyn.studies.protocol.Engine`."""

    workers: int
    threads: int | None
    dask: str | None
    insecure: bool
    gpus_per_trial: int
    retries: int
    timeout: float | None


class StudyFields(TypedDict, total=False):
    """See `edgedyn.studies.Study`."""

    data: str | DataFields
    candidates: Sequence[str | CandidateFields]
    probe: ProbeFields
    training: TrainingFields
    capacitance: CapacitanceFields
    methods: Sequence[str]
    finish: FinishFields
    race: RaceFields
    forecast: ForecastFields
    engine: EngineFields
    stage: Literal["early", "finish", "full", "race"]
    output: str | PathLike[str]
