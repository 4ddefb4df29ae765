"""A record as a file has it: readable JSON with a digest, its epochs as columns."""

import json
from collections.abc import Mapping
from itertools import starmap
from math import nan
from typing import Annotated, Any, get_args

import msgspec

from edgedyn._bits import unpack_bits
from edgedyn._files import json_ready, sealed, to_json, unsealed
from edgedyn.capacitance import Status
from edgedyn.studies.record import SCHEMA, EpochRecord, TrialRecord

BETA_STATUSES = {*get_args(Status), "diverged", "no_probe"}
MOST_BETA = 1e100  # its square, which fits need, is a number still
SAME_SHARE = 1e-6  # accuracies were single precision once
Numbers = list[float | None]  # null is NaN
Shares = list[Annotated[float, msgspec.Meta(ge=0, le=1)] | None]


class Columns(msgspec.Struct):
    """A record's epochs as a file has them: one list a field of `EpochRecord`."""

    epoch: list[int]
    train_loss: Numbers
    val_accuracy: Shares
    test_accuracy: Shares
    beta_eff: Numbers
    beta_status: list[str]
    train_seconds: Numbers
    beta_seconds: Numbers
    measures: dict[str, Numbers]
    val_correct: list[str] = []


COLUMNS = Columns.__struct_fields__[:-2]


class Written(msgspec.Struct, forbid_unknown_fields=True):
    """A record as a file has it: its epochs are decoded at once, the rest by `TrialRecord`."""

    model: Any
    data: Any
    seed: Any
    settings: Any
    status: Any
    train_seconds: Any
    beta_seconds: Any
    scores: Any
    n_train: Any
    reason: Any
    provenance: Any
    schema: Any
    epochs: Columns


_DECODER = msgspec.json.Decoder(Written)


def record_text(record: TrialRecord) -> str:
    """Return a record as sealed JSON; its epochs as columns, one a line, quick to read."""
    values = record.to_dict()
    epochs = values.pop("epochs")
    columns = {name: [epoch[name] for epoch in epochs] for name in COLUMNS}
    if any(epoch["val_correct"] for epoch in epochs):
        columns["val_correct"] = [epoch["val_correct"] for epoch in epochs]
    measured = dict.fromkeys(name for epoch in epochs for name in epoch["measures"])
    measures = {name: [e["measures"].get(name, nan) for e in epochs] for name in measured}
    lines = [f"{json.dumps(k)}: {json.dumps(json_ready(v))}" for k, v in columns.items()]
    inner = [f"{json.dumps(k)}: {json.dumps(json_ready(v))}" for k, v in measures.items()]
    lines.append('"measures": {' + ",\n      ".join(inner) + "}")
    table = ",\n    ".join(lines)
    return sealed(f'{to_json(values)[:-2]},\n  "epochs": {{\n    {table}\n  }}\n}}\n')


def read_record(path: str) -> TrialRecord:
    """Read a record; every fault is a ValueError that names the file."""
    try:
        with open(path, "rb", buffering=0) as file:
            return _opened(file.read())
    except (OSError, *FAULTS) as error:
        raise ValueError(f"the record {path!r} cannot be read: {error}") from error


def _opened(text: bytes) -> TrialRecord:
    """Make a record of its file's text."""
    inner = unsealed(text)
    try:
        values = msgspec.structs.asdict(_DECODER.decode(inner))
    except msgspec.ValidationError:  # to be told in a record's own words
        values = msgspec.json.decode(inner)
    if inner is text and values["schema"] == SCHEMA:
        raise ValueError("it has no digest")
    return decoded(values)


# What decoding raises for values of other kinds, and for those nested too deeply.
FAULTS = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def decoded(values: dict[str, Any]) -> TrialRecord:
    """Make a record of its JSON; what no run can have written is refused."""
    table: Columns = msgspec.convert(values["epochs"], Columns)
    if table.epoch != list(range(1, len(table.epoch) + 1)):
        raise ValueError("its epochs are not numbered 1, 2, ...")
    columns = [_column(getattr(table, name)) for name in COLUMNS]
    length = len(table.epoch)
    rows: list[dict[str, float]] = [{} for _ in range(length)]
    for name, measured in table.measures.items():
        for row, value in zip(rows, _column(measured), strict=True):
            row[name] = value
    columns += [rows, table.val_correct or [""] * length]
    if values["schema"] != SCHEMA:  # of which a digest does not say that they are as written
        _check_old(table, values)
    epochs = tuple(starmap(EpochRecord, zip(*columns, strict=True)))
    return TrialRecord.from_dict({**values, "epochs": epochs})


def _check_old(table: Columns, values: Mapping[str, Any]) -> None:
    """Refuse a record of an older schema that contradicts itself, or holds what nothing writes."""
    for text, share in zip(table.val_correct, table.val_accuracy, strict=False):
        bits = unpack_bits(text) if text else None
        if bits is None or not len(bits) or share is None:
            continue
        if abs(bits.mean() - share) > SAME_SHARE:
            raise ValueError(f"its val_accuracy {share} contradicts its val_correct")
    if unknown := set(table.beta_status) - BETA_STATUSES:
        raise ValueError(f"its beta_status {min(unknown)!r} is none")
    if any(b is not None and abs(b) > MOST_BETA for b in table.beta_eff):
        raise ValueError("its beta_eff is beyond what a network can have")
    training = values["settings"].get("training") or {}
    planned, done = training.get("epochs"), len(table.epoch)
    cut = values["status"] == "completed" and "patience" not in values["settings"]
    if cut and planned is not None and done != planned:
        raise ValueError(f"it is completed with {done} of {planned} epochs")


def _column(values: list[Any]) -> list[Any]:
    """Return a column; null is NaN."""
    return [nan if v is None else v for v in values] if None in values else values
