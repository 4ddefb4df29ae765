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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edgedyn._environment import SCHEMAS, published
from edgedyn._files import json_ready, result_folder, sealed, unsealed, write_text
from edgedyn.predict.methods import method_named
from edgedyn.studies.index import INDEX, Index
from edgedyn.studies.journal import Journal
from edgedyn.studies.record import SCHEMA, TrialRecord, upgraded_settings
from edgedyn.studies.record_file import FAULTS, decoded, record_text
from edgedyn.studies.study import Study, Trial, key_of

if TYPE_CHECKING:
    import pandas as pd

RECORDS, TRIALS, MODELS, ASIDE = "records", "trials", "models", "set-aside"
STUDY, LOCK, PACKED = "study.json", "study.lock", "records.jsonl"
MOST_DIFFERENCES = 8
LATER = ("finish_probe", "early_epochs", "patience")  # settings of a finish


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
    files = sorted(os.scandir(inner), key=lambda file: file.name) if inner.is_dir() else []
    packed = folder / PACKED
    found = _unpacked(packed) if packed.is_file() else {}
    index = Index(str(inner))
    for file in files:
        if file.name.endswith(".json") and file.name != STUDY:
            found[file.name.removesuffix(".json")] = index.record(file)
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
            (folder / RECORDS / INDEX).unlink(missing_ok=True)
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
        write_text(self.folder / RECORDS / f"{key}.json", record_text(record))

    def read(self, keys: Iterable[str]) -> dict[str, TrialRecord]:
        """Return the records that are there; those that cannot be read are set aside."""
        folder = self.folder / RECORDS
        there = {file.name: file for file in os.scandir(folder)} if folder.is_dir() else {}
        packed = self.folder / PACKED
        known = _unpacked(packed) if packed.is_file() else {}
        found = {}
        with _many_objects():
            index = Index(str(folder))
            for key in keys:
                file = there.get(f"{key}.json")
                if file is not None:
                    try:
                        found[key] = index.record(file)
                    except ValueError:
                        self.set_aside(folder / file.name)
                elif key in known:
                    found[key] = known[key]
            index.save()
        return found

    def index(self) -> None:
        """Put records into the index that have come since; who loads them next has it easier.

        Those that cannot be read stay where they are: who loads them is told.
        """
        folder = self.folder / RECORDS
        if not folder.is_dir():
            return
        with _many_objects():
            index = Index(str(folder))
            for file in os.scandir(folder):
                if file.name.endswith(".json"):
                    with suppress(ValueError):
                        index.record(file)
            index.save()

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
    n, most = record.n_epochs, study.training.epochs
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
        except FAULTS as error:
            raise ValueError(f"line {number} of {str(path)!r} is no record: {error}") from error
    return found


def _unpacked(path: Path) -> dict[str, TrialRecord]:
    """Read a packed file; every fault is a ValueError that names file and record."""
    found = {}
    for key, values in _lines(path).items():
        try:
            found[key] = decoded(values)
        except FAULTS as error:
            raise ValueError(f"record {key!r} of {str(path)!r} cannot be read: {error}") from error
    return found
