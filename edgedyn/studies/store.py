"""Records on disk: one readable file a trial, written as a whole or not at all.

A study that has ended can be packed: one file, ``records.jsonl``, with a record a line.
"""

import gc
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import starmap
from math import nan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args

import msgspec

from edgedyn._bits import unpack_bits
from edgedyn._environment import SCHEMAS, published
from edgedyn._files import json_ready, result_folder, sealed, to_json, unsealed, write_text
from edgedyn.capacitance import Status
from edgedyn.predict.methods import method_named
from edgedyn.studies.journal import Journal
from edgedyn.studies.record import SCHEMA, EpochRecord, TrialRecord, upgraded_settings
from edgedyn.studies.study import Study, Trial, key_of

if TYPE_CHECKING:
    import pandas as pd

RECORDS, TRIALS, MODELS, ASIDE = "records", "trials", "models", "set-aside"
STUDY, LOCK, PACKED = "study.json", "study.lock", "records.jsonl"
MOST_DIFFERENCES = 8
BETA_STATUSES = {*get_args(Status), "diverged", "no_probe"}
MOST_BETA = 1e100  # its square, which fits need, is a number still
SAME_SHARE = 1e-6  # accuracies were single precision once
LATER = ("finish_probe", "early_epochs", "patience")  # settings of a finish
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


@contextmanager
def _many_objects() -> Iterator[None]:
    """Read without the garbage collector, which would go through half a million epochs in vain."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


class RecordTable(Sequence[TrialRecord]):
    """The records of a study, as `edgedyn.rank` takes them; prints as a table.

    Examples
    --------
    >>> from edgedyn.studies import RecordTable, TrialRecord
    >>> RecordTable([TrialRecord("vgg", "digits", 0, {}, (), "failed", 0.0, 0.0)])
    1 records: vgg seed 0 failed
    """

    def __init__(self, records: Iterable[TrialRecord]) -> None:
        self._records = tuple(records)

    def __getitem__(self, k: Any) -> Any:
        return self._records[k]

    def __len__(self) -> int:
        return len(self._records)

    def __repr__(self) -> str:
        shown = [f"{r.model} seed {r.seed} {r.status}" for r in self._records[:5]]
        more = "" if len(self) <= 5 else ", ..."
        return f"{len(self)} records: {', '.join(shown)}{more}"

    def to_frame(self) -> "pd.DataFrame":
        """Return a pandas DataFrame, one row an epoch; a record without epochs has one row."""
        import pandas as pd

        rows = []
        for r in self._records:
            names = ("model", "data", "n_train", "seed", "status", "reason")
            trial = {name: getattr(r, name) for name in names}
            values = map(msgspec.structs.asdict, r.epochs)
            rows += [{**trial, **one.pop("measures"), **one} for one in values] or [trial]
        return pd.DataFrame(rows)


def load_records(folder: Path | str) -> RecordTable:
    """Load a study's records as a `RecordTable`, in the order of file names.

    Parameters
    ----------
    folder : path
        That of the study, the ``records`` folder in it, or the ``records.jsonl`` that
        `pack_records` has made of it.

    Raises
    ------
    ValueError
        Where there are no records, one cannot be read, or two are of the same run, by name.

    Examples
    --------
    >>> import tempfile
    >>> import edgedyn as ed
    >>> from edgedyn.studies import TrialRecord
    >>> from edgedyn.studies.store import Store
    >>> store = Store(tempfile.mkdtemp())
    >>> store.write("vgg-s0", TrialRecord("vgg", "digits", 0, {}, (), "failed", 0.0, 0.0))
    >>> ed.load_records(store.folder)
    1 records: vgg seed 0 failed
    """
    folder = Path(folder)
    with _many_objects():
        found = _unpacked(folder) if folder.is_file() else _all_in(folder)
    if not found:
        raise ValueError(f"there are no records in {str(folder)!r}; give a study's folder.")
    _check_distinct(found)
    return RecordTable(found[key] for key in sorted(found))


def _check_distinct(records: Mapping[str, TrialRecord]) -> None:
    """Refuse one run under two names, which would count as two, or under another's."""
    names: dict[Any, str] = {}
    for key, one in records.items():
        own = {key_of(one.model, one.seed, n) for n in (one.n_train, None)}
        if re.search(r"-s\d+$", key) and key not in own:
            raise ValueError(
                f"the record {key!r} is of another run ({one.model}, seed {one.seed}); remove it."
            )
        run = one.model, one.data, one.n_train, one.seed
        if (other := names.setdefault(run, key)) != key:
            raise ValueError(
                f"records {other!r} and {key!r} are of the same run ({one.model}, seed "
                f"{one.seed}); remove one of them."
            )


def _all_in(folder: Path) -> dict[str, TrialRecord]:
    """Return a study's records, packed or not, by their keys."""
    inner = folder / RECORDS if (folder / RECORDS).is_dir() else folder
    names = sorted(os.listdir(inner)) if inner.is_dir() else []
    packed = folder / PACKED
    found = _unpacked(packed) if packed.is_file() else {}
    for name in names:
        if name.endswith(".json") and name != STUDY:
            found[name.removesuffix(".json")] = _read(f"{inner}/{name}")
    return found


def pack_records(folder: Path | str) -> Path:
    """Put a study's records into one file, a line each, and remove the single ones.

    `load_records` and `edgedyn.select` read it as they read the folder; a record that is there as
    a file of its own comes before one of the same name in the packed file.

    Parameters
    ----------
    folder : path
        The study's; the path of ``records.jsonl`` in it is returned.

    Raises
    ------
    ValueError
        Where there are no records, or one cannot be read; nothing is changed then.

    Examples
    --------
    >>> import tempfile
    >>> from edgedyn.studies import TrialRecord, load_records, pack_records
    >>> from edgedyn.studies.store import Store
    >>> store = Store(tempfile.mkdtemp())
    >>> store.write("vgg-s0", TrialRecord("vgg", "digits", 0, {}, (), "failed", 0.0, 0.0))
    >>> pack_records(store.folder).name, load_records(store.folder)
    ('records.jsonl', 1 records: vgg seed 0 failed)
    """
    folder = Path(folder)
    load_records(folder)  # all or nothing: every record can be read
    single = sorted((folder / RECORDS).glob("*.json"))
    packed = folder / PACKED
    lines = _lines(packed) if packed.is_file() else {}
    lines |= {path.stem: json.loads(unsealed(path.read_bytes())) for path in single}
    text = [json.dumps({**lines[key], "key": key}, separators=(",", ":")) for key in sorted(lines)]
    write_text(packed, "\n".join(map(sealed, text)) + "\n")
    for path in single:
        path.unlink()
    if single:
        with suppress(OSError):  # something else lies there
            (folder / RECORDS).rmdir()
    return packed


class Store:
    """One study's folder.

    ``records/`` holds what is finished, one file a trial; ``trials/`` journals, backups and logs;
    ``models/`` finished networks; ``set-aside/`` what could not be read.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep others out; refuse where another process has the folder."""
        from filelock import FileLock, Timeout

        with result_folder(self.folder):
            lock = FileLock(self.folder / LOCK)  # the operating system's: it ends with the process
            try:
                held = lock.acquire(timeout=0)
            except Timeout:
                raise ValueError(
                    f"another run is at work on {str(self.folder)!r}; wait until it has ended."
                ) from None
            with held:
                try:
                    yield
                finally:
                    if [path.name for path in self.folder.iterdir()] == [LOCK]:
                        (self.folder / LOCK).unlink()

    def trial_folder(self, key: str) -> Path:
        """Return where a trial keeps its journal and backups."""
        return self.folder / TRIALS / key

    def model_path(self, key: str) -> Path:
        """Return where a finished network goes."""
        return self.folder / MODELS / f"{key}.keras"

    def write(self, key: str, record: TrialRecord) -> None:
        """Write a record, as a whole or not at all."""
        (self.folder / RECORDS).mkdir(parents=True, exist_ok=True)
        write_text(self.folder / RECORDS / f"{key}.json", sealed(_text(record)))

    def read(self, keys: Iterable[str]) -> dict[str, TrialRecord]:
        """Return the records that are there; those that cannot be read are set aside."""
        folder = self.folder / RECORDS
        there = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
        packed = self.folder / PACKED
        known = _unpacked(packed) if packed.is_file() else {}
        found = {}
        with _many_objects():
            for key in keys:
                if f"{key}.json" in there:
                    try:
                        found[key] = _read(f"{folder}/{key}.json")
                    except ValueError:
                        self.set_aside(folder / f"{key}.json")
                elif key in known:
                    found[key] = known[key]
        return found

    def of_trials(self, trials: Iterable[Trial]) -> dict[str, TrialRecord]:
        """Return the records of trials; a copy of another trial's is set aside."""
        trials = tuple(trials)
        found = self.read(trial.key for trial in trials)
        for trial in trials:
            record, path = found.get(trial.key), self.folder / RECORDS / f"{trial.key}.json"
            own = trial.candidate.name, trial.seed, trial.n_train
            if record and (record.model, record.seed, record.n_train) != own:
                del found[trial.key]
                if path.is_file():
                    self.set_aside(path)
        return found

    def set_aside(self, path: Path) -> None:
        """Move what cannot be used out of the way, and keep it."""
        aside = self.folder / ASIDE
        aside.mkdir(exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        path.replace(aside / f"{path.stem}-{stamp}{path.suffix}")

    def check(self, study: Study, records: Mapping[str, TrialRecord]) -> None:
        """Refuse a study that contradicts what its folder holds; name the fields that differ."""
        known: dict[str, dict[str, Any]] = {}
        for trial in study.trials:
            record = records.get(trial.key)
            meta = Journal(self.trial_folder(trial.key)).meta() if record is None else vars(record)
            settings, name = meta.get("settings"), trial.candidate.name
            if not settings:
                continue
            if name not in known:
                known[name] = json_ready(published(study.settings(trial))) | _decided_later(study)
            given = known[name]
            had = json_ready(upgraded_settings(settings))
            if study.stage == "early":  # which does not care how others were finished
                had = {name: value for name, value in had.items() if name not in LATER}
            differences = _differences(had, given)
            if record is not None:
                differences += _beyond(record, study)
            if differences:
                shown = "; ".join(differences[:MOST_DIFFERENCES])
                raise ValueError(
                    f"{str(self.folder)!r} holds trial {trial.key!r} of another study: {shown}. "
                    "Give the study another output folder, or undo the change."
                )

    def write_study(self, study: Study, environment: Mapping[str, Any]) -> None:
        """Write what is run, for people and for the report."""
        values = {
            "schema": SCHEMAS["study"],
            "environment": dict(environment),
            "study": study.to_dict(),
        }
        write_text(self.folder / STUDY, json.dumps(json_ready(values), indent=2) + "\n")


def _decided_later(study: Study) -> dict[str, Any]:
    """Return what becomes of the probe, and when; settings have it once a trial is so far."""
    found = {"finish_probe": study.last_probe, "early_epochs": study.begun}
    return found if study.patience is None else {**found, "patience": study.patience}


def _beyond(record: TrialRecord, study: Study) -> list[str]:
    """Name what a record has too much of, or lacks, although its settings are the study's."""
    n, most = len(record.epochs), study.training.epochs
    found = [f"training.epochs: {n} there, {most} now"] if n > most else []
    if record.status != "failed":
        asked = [name for name in study.methods if method_named(name).measured_by]
        found += [f"methods: no {name} there" for name in asked if name not in record.scores]
    return found


def _differences(old: Any, new: Any, where: str = "") -> list[str]:
    """Name the fields that differ; those that only the new one has are decided later."""
    if isinstance(old, dict) and isinstance(new, dict):
        later = () if where else LATER
        names = sorted(set(old) | set(new).difference(later))
        return [
            line
            for name in names
            for line in _differences(old.get(name), new.get(name), f"{where}.{name}".lstrip("."))
        ]
    return [] if old == new else [f"{where}: {json.dumps(old)} there, {json.dumps(new)} now"]


def _text(record: TrialRecord) -> str:
    """Return a record as JSON; its epochs as columns, one a line, which are quick to read."""
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
    return f'{to_json(values)[:-2]},\n  "epochs": {{\n    {table}\n  }}\n}}\n'


def _read(path: str) -> TrialRecord:
    """Read a record; every fault is a ValueError that names the file."""
    try:
        with open(path, "rb", buffering=0) as file:
            return _opened(file.read())
    except (OSError, *_FAULTS) as error:
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
    return _decoded(values)


# What decoding raises for values of other kinds, and for those nested too deeply.
_FAULTS = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def _decoded(values: dict[str, Any]) -> TrialRecord:
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


def _lines(path: Path) -> dict[str, dict[str, Any]]:
    """Return what each line of a packed file says, by its record's key."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}") from error
    found: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            inner = unsealed(line)
            values = msgspec.json.decode(inner, type=dict[str, Any])
            if inner is line and values["schema"] == SCHEMA:
                raise ValueError("it has no digest")
            found[values.pop("key")] = values
        except _FAULTS as error:
            raise ValueError(f"line {number} of {str(path)!r} is no record: {error}") from error
    return found


def _unpacked(path: Path) -> dict[str, TrialRecord]:
    """Read a packed file; every fault is a ValueError that names file and record."""
    found = {}
    for key, values in _lines(path).items():
        try:
            found[key] = _decoded(values)
        except _FAULTS as error:
            raise ValueError(f"record {key!r} of {str(path)!r} cannot be read: {error}") from error
    return found
