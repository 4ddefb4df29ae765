"""A trial's journal: one line an epoch, appended as it ends, and the record they make."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from math import isfinite, nan
from pathlib import Path
from typing import Any

import msgspec

from edgedyn._environment import environment, published
from edgedyn._files import json_ready, sealed, unsealed, write_text
from edgedyn._job import Job
from edgedyn.studies.record import EpochRecord, TrialRecord, epoch_record, stalled, whole

LINES, META = "epochs.jsonl", "meta.json"


class Journal:
    """The files of one trial, in a folder of its own that is created with the first line.

    The folder has the trial's name, with which all lines are sealed: a copy of another trial's
    files counts for nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, folder.name
        self.lines = self._read()

    @property
    def epochs(self) -> list[dict[str, Any]]:
        """One line an epoch, in order."""
        return [line for line in self.lines if "epoch" in line]

    @property
    def diverged(self) -> bool:
        """Whether loss or output became NaN or infinite."""
        return any(line.get("diverged") for line in self.epochs)

    def find(self, name: str) -> Any:
        """Return what a line of that name says; None without one."""
        return next((line[name] for line in self.lines if name in line), None)

    def test_accuracy(self, epoch: int) -> float:
        """Return the test accuracy after an epoch; NaN where it was not measured."""
        tests = (line["test"] for line in self.lines if "test" in line)
        value = next((test["accuracy"] for test in tests if test["after"] == epoch), None)
        return nan if value is None else value

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line at the end; `cut` first where an interruption may have left half of one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = sealed(json.dumps(json_ready(dict(line)), allow_nan=False), self.key)
        with self._own(LINES).open("ab") as file:
            file.write(f"{text}\n".encode())
            file.flush()
            os.fsync(file.fileno())
        self.lines.append(self._line(text.encode()))

    def cut(self, epochs: int) -> None:
        """Forget epochs after so many, which no backup holds, and half-written lines."""
        kept = [
            line
            for line in self.lines
            if line.get("epoch", 0) <= epochs and line.get("test", {}).get("after", 0) <= epochs
        ]
        if self.folder.is_dir():
            lines = (sealed(json.dumps(line), self.key) + "\n" for line in kept)
            write_text(self.folder / LINES, "".join(lines))
        self.lines = kept

    def meta(self) -> dict[str, Any]:
        """Return settings and provenance; empty before the trial has begun, or unreadable."""
        try:
            text = unsealed(self._own(META).read_bytes(), self.key)
            return msgspec.json.decode(text, type=dict[str, dict[str, Any]])
        except (OSError, *FAULTS):
            return {}

    def write_meta(self, values: Mapping[str, Any]) -> None:
        """Write settings and provenance."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(json_ready(dict(values)), indent=2)
        write_text(self.folder / META, sealed(text, self.key))

    def _read(self) -> list[dict[str, Any]]:
        """Read whole lines; what follows a broken one counts for nothing."""
        found: list[dict[str, Any]] = []
        path = self._own(LINES)
        with suppress(FileNotFoundError, *FAULTS):
            for text in path.read_bytes().split(b"\n")[:-1]:
                line = self._line(text)
                if "epoch" in line:
                    _epoch(line)  # one of another schema is as good as none
                    if line["epoch"] != 1 + sum("epoch" in one for one in found):
                        break
                found.append(line)
        return found

    def _line(self, text: bytes) -> dict[str, Any]:
        """Read a line; ValueError for one that is not as it was written, or another trial's."""
        inner = unsealed(text, self.key)
        if inner is text:
            raise ValueError("it has no digest")
        return msgspec.json.decode(inner, type=dict[str, Any])

    def _own(self, name: str) -> Path:
        """Return a file's path; a link would let a stranger's folder write elsewhere."""
        path = self.folder / name
        if path.is_symlink() or self.folder.is_symlink():
            raise ValueError(f"{str(path)!r} is or lies behind a link; a journal must be a file.")
        return path


# Decoding raises the last for what is nested too deeply.
FAULTS = ValueError, TypeError, KeyError, AttributeError, RecursionError


def ended(journal: Journal, job: Job) -> bool:
    """Tell whether a job's finish has ended before its last epoch, for want of anything better."""
    accuracy = [line["val_accuracy"] for line in journal.epochs]
    return job.target == job.last and stalled(accuracy, job.early, job.patience)


def record_of(journal: Journal, job: Job, status: str, reason: str = "") -> TrialRecord:
    """Make a trial's record of its journal.

    An empty status, of one that neither diverged nor failed, becomes "completed" or "early".
    """
    epochs = tuple(_epoch(e, journal.test_accuracy(e["epoch"])) for e in journal.epochs)
    if not status:
        done = len(epochs) >= job.last or ended(journal, job)
        status = "completed" if done else "early"
    meta = journal.meta()
    memory = [line["peak_memory_mib"] for line in journal.lines if line.get("peak_memory_mib")]
    return TrialRecord(
        model=job.model,
        data=job.data,
        seed=job.seed,
        settings=meta.get("settings") or published(msgspec.to_builtins(job.settings)),
        epochs=epochs,
        status=status,
        train_seconds=sum(e.train_seconds for e in epochs if isfinite(e.train_seconds)),
        beta_seconds=sum(e.beta_seconds for e in epochs if isfinite(e.beta_seconds)),
        scores=whole(journal.find("scores") or {}),
        n_train=job.n_train,
        reason=published(reason),
        provenance={
            # A trial that ended before it had built its candidate has told nothing itself.
            **(meta.get("provenance") or {"environment": environment() | {"command": job.command}}),
            "peak_memory_mib": max(memory, default=nan),
            "score_seconds": journal.find("score_seconds") or {},
            "notes": [line["note"] for line in journal.lines if "note" in line],
        },
    )


def _epoch(line: Mapping[str, Any], test_accuracy: float = nan) -> EpochRecord:
    """Read an epoch's line."""
    values = {name: line[name] for name in EpochRecord.__struct_fields__ if name in line}
    return epoch_record({**values, "test_accuracy": test_accuracy})
