"""The JSON Schema of everything that the commands print and write, from the package's own types.

Run `python -m validation.schemas` to write docs/schemas/*.json. Numbers that JSON does not have,
NaN and infinity, are null there. Fields may be added without a new number, so that schemas allow
more fields than they name.
"""

import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import msgspec

from edgedyn._environment import SCHEMAS
from edgedyn._files import output_folder, write_text
from edgedyn.capacitance import LayerCapacitance
from edgedyn.capacitance import Status as CapacitanceStatus
from edgedyn.mlp.theorem1 import Theorem1Report
from edgedyn.predict.choice import Choice
from edgedyn.predict.forecast import Forecast
from edgedyn.predict.rank import RankedModel
from edgedyn.predict.rank_quality import Judgement
from edgedyn.studies import written
from edgedyn.studies.race import Raced
from edgedyn.studies.record import EpochRecord
from edgedyn.studies.record_file import Columns

FOLDER = Path(__file__).parents[1] / "docs" / "schemas"


# What is written has all that a report reads of it.
_made_with = written.Environment.__annotations__
Environment = TypedDict("Environment", _made_with)
Environment.__doc__ = "With what a result was made; times in UTC, paths without their folders."


class Measured(TypedDict):
    """A neural capacitance and its parts."""

    value: float
    status: CapacitanceStatus
    conditioning: float
    mean_strength: float
    symmetry: float
    heterogeneity: float
    per_layer: list[LayerCapacitance]
    n_samples: int
    n_nodes: int
    coupling: str
    strength: str
    nodes: str
    stderr: float | None


class CrossCheck(TypedDict):
    """Two routes to the same degrees, as `edgedyn.nn.crosscheck.CrossCheck` has them."""

    closed_form: float
    autodiff: float
    in_degree: float
    out_degree: float
    tolerance: float
    passed: bool


class Beta(TypedDict):
    """What edgedyn beta --json prints."""

    settings: dict[str, Any]
    capacitance: Measured
    check: NotRequired[CrossCheck]


class LineGraph(TypedDict):
    """What edgedyn linegraph --json prints."""

    network: str
    nodes: str
    n_layers: int
    n_nodes: int
    n_links: int
    mean_strength: float
    symmetry: float
    heterogeneity: float
    beta_eff: float
    data: NotRequired[str]
    n_samples: NotRequired[int]
    written: NotRequired[str]


class State(TypedDict):
    """A steady state of the reduced dynamics."""

    x: float
    stable: bool


class Critical(TypedDict):
    """Where steady states appear, vanish or change stability."""

    beta: float
    x: float
    kind: str


class FullState(TypedDict):
    """Where the full network settles from a start."""

    start: str
    x_eff: float
    status: str


class Reduce(TypedDict):
    """What edgedyn reduce --json prints."""

    file: str
    dynamics: str
    constants: dict[str, float]
    read_as: str
    n_nodes: int
    n_links: int
    beta_eff: float
    mean_strength: float
    symmetry: float
    heterogeneity: float
    states: list[State]
    critical: list[Critical]
    full: list[FullState]
    verdict: str
    agreement: str
    written: NotRequired[str]


class Ranked(TypedDict):
    """Predictions of all methods and how well they rank."""

    observed: int
    over: str
    rows: list[RankedModel]
    methods: list[Judgement]


class RankedAt(Ranked):
    """The same at a training size; null: all samples."""

    n_train: int | None


class Run(TypedDict):
    """One fine-tuning run, but for its epochs."""

    model: str
    data: str
    seed: int
    settings: dict[str, Any]
    status: str
    train_seconds: float
    beta_seconds: float
    scores: dict[str, float]
    n_train: int | None
    reason: str
    provenance: dict[str, Any]


class Record(Run):
    """One fine-tuning run; its epochs one by one."""

    epochs: list[EpochRecord]
    schema: int


class RecordFile(Run):
    """A record in a study's folder: one fine-tuning run; its epochs in columns."""

    digest: NotRequired[str]
    epochs: Columns


class Demo(TypedDict):
    """What edgedyn demo --json prints and results.json holds."""

    seed: int
    settings: dict[str, Any]
    records: list[Record]
    ranking: Ranked
    choice: Choice
    forecasts: dict[str, Forecast]
    race: Raced
    chosen: list[str]
    regret: float
    verdict: str


class Failed(TypedDict):
    """A trial that failed or diverged."""

    model: str
    seed: int
    n_train: int | None
    reason: str


class Selection(TypedDict):
    """What edgedyn select --json prints and selection.json holds."""

    folder: str
    study: dict[str, Any]
    chosen: list[str]
    choice: Choice | None
    forecasts: dict[str, Forecast]
    rankings: list[RankedAt]
    failed: list[Failed]
    best_model: str | None
    n_validation: int
    seconds: float


class Rehearsed(TypedDict):
    """What a candidate takes, or why it fails."""

    model: str
    reason: NotRequired[str]
    trials: NotRequired[int]
    epochs: NotRequired[int]
    epoch_seconds: NotRequired[float]
    start_seconds: NotRequired[float]
    seconds: NotRequired[float]
    finish_seconds: NotRequired[float]
    gpu_seconds: NotRequired[float]
    gpu_finish_seconds: NotRequired[float]
    memory_mib: NotRequired[float]
    parameters: NotRequired[int]
    flops: NotRequired[float]
    missing: NotRequired[list[str]]


class Rehearsal(TypedDict):
    """What edgedyn select --dry-run --json prints."""

    candidates: list[Rehearsed]


class Study(TypedDict):
    """What study.json in a study's folder holds: the study as it was run."""

    study: dict[str, Any]


TYPES: dict[str, Any] = {
    "beta": Beta,
    "demo": Demo,
    "linegraph": LineGraph,
    "record": RecordFile,
    "reduce": Reduce,
    "rehearsal": Rehearsal,
    "selection": Selection,
    "study": Study,
    "theorem1": Theorem1Report,
}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON Schema of every kind of document."""
    return {kind: _schema(kind) for kind in SCHEMAS}


def _schema(kind: str) -> dict[str, Any]:
    """Return the JSON Schema of a kind of document."""
    (own, made), parts = msgspec.json.schema_components(
        [TYPES[kind], Environment], ref_template="#/$defs/{name}"
    )
    parts = dict(parts)
    body = parts.pop(own["$ref"].rsplit("/", 1)[1])
    if kind == "theorem1":  # a property that its to_dict adds
        body["properties"]["verdict"] = {"type": "string"}
        body["required"] = [*body["required"], "verdict"]
    first = {"schema": {"const": SCHEMAS[kind]}}
    if kind != "record":  # whose provenance holds it
        first["environment"] = made
    else:
        parts.pop("Environment")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"edgedyn {kind}, schema {SCHEMAS[kind]}",
        "description": (TYPES[kind].__doc__ or "").split("\n", 1)[0],
        "type": "object",
        "properties": first | _open(body["properties"]),
        "required": [*first, *body["required"]],
        "$defs": _open(parts),
    }


def _open(value: Any) -> Any:
    """Return a schema with room for more fields, and null for numbers that JSON does not have."""
    if isinstance(value, list):
        return [_open(one) for one in value]
    if not isinstance(value, dict):
        return value
    told = {k: v for k, v in value.items() if isinstance(v, dict) or k not in ("default", "title")}
    found = {k: _open(v) for k, v in told.items() if (k, v) != ("additionalProperties", False)}
    if found.get("type") == "number":
        found["type"] = ["number", "null"]
    return found


def main() -> None:
    """Write all schemas."""
    output_folder(FOLDER)
    for kind, schema in schemas().items():
        write_text(FOLDER / f"{kind}.json", json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    main()
