"""One trial in a process of its own: ``python -m edgedyn.studies.worker``, a job on its input.

TensorFlow never returns memory, so every trial has a fresh process. It gives its outcome on the
standard output, and ends at once when its input closes, that is, when whoever started it is gone.
"""

import json
import os
import re
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edgedyn._environment import published
from edgedyn._files import json_ready
from edgedyn._job import Job
from edgedyn.studies.disk import disk_caused, disk_fault
from edgedyn.studies.journal import Journal, ended, record_of

CHECKPOINT, HEAD_CHECKPOINT, LOCK = "checkpoint", "checkpoint-head", "trial.lock"


def main() -> None:
    """Read a job, run it, and write its outcome."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever waits for us
    line = sys.stdin.buffer.readline()
    outcome_pipe = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what candidates print is no outcome
    threading.Thread(target=_end_with_parent, daemon=True).start()
    job = msgspec.json.decode(line, type=Job)
    outcome = run(job)
    try:
        outcome_pipe.write(json.dumps(json_ready(outcome)))
        outcome_pipe.close()
    except BrokenPipeError:
        pass
    os._exit(0)  # TensorFlow's threads may keep an ordinary exit waiting


def _end_with_parent() -> None:
    """Wait until the input closes, which happens when the parent ends, however it does."""
    while os.read(0, 1):
        pass
    os._exit(3)


def run(job: Job) -> dict[str, Any]:
    """Run a job of any kind and return its outcome, also where it fails.

    Its ``kind`` is "done" with the task's ``result``, "failed" or "disk" with a ``reason``.
    """
    # Behind all that is installed: a stranger's h5py.py beside a study must not take its place.
    sys.path += [p for p in job.paths if p not in sys.path]
    os.chdir(job.cwd)  # relative paths of data start at the study file
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return {"kind": "done", "result": (_trial if job.task == "trial" else _look_ahead)(job)}
    except Exception as error:
        traceback.print_exc()
        reason = _reason(error)
        if disk_caused(error):
            return {"kind": "disk", "reason": reason}
        if fault := disk_fault(job.folder):
            return {"kind": "disk", "reason": f"{fault} ({reason})"}
        if job.task != "trial":
            return {"kind": "failed", "reason": reason}
        record = record_of(Journal(Path(job.folder)), job, "failed", reason)
        return {"kind": "failed", "reason": reason, "result": record.to_dict()}


def _reason(error: Exception) -> str:
    """Return one line that says what went wrong."""
    name, text = type(error).__name__, str(error)
    # TensorFlow tells what its pipelines raised, and how it came to it.
    if "Traceback" in text and (inner := re.search(r"^(?:\w+: )?(\w+Error): (.+)$", text, re.M)):
        name, text = inner[1], inner[2]
    text = " ".join(text.split())
    if isinstance(error, MemoryError) or "ResourceExhausted" in name:
        return f"ran out of memory: {text or name}"[:500]
    return (f"{name}: {text}" if text else name)[:500]


def _trial(job: Job) -> dict[str, Any]:
    """Train up to the job's epoch, from wherever an earlier process has come to."""
    from filelock import FileLock

    folder = Path(job.folder)
    folder.mkdir(parents=True, exist_ok=True)
    # An earlier process may still be at it, on a worker whose study was killed.
    with FileLock(folder / LOCK):
        journal = Journal(folder)
        if not _finished(journal, job):
            _train(job, journal, folder)
        status, reason = "", ""
        if journal.diverged:
            status, reason = "diverged", f"the loss was not finite in epoch {len(journal.epochs)}"
        return record_of(journal, job, status, reason).to_dict()


def _finished(journal: Journal, job: Job) -> bool:
    """Tell whether the journal holds everything the job asks for."""
    if journal.diverged:
        return True
    n = len(journal.epochs)
    whole = n >= job.target or ended(journal, job)
    if not whole or job.target < job.last:
        return whole
    tested = any(line.get("test", {}).get("after") == n for line in journal.lines)
    return tested and Path(job.save).is_file()


def _train(job: Job, journal: Journal, folder: Path) -> None:
    """Load data and candidate, go on from the last backup, test at the end."""
    from edgedyn.nn.training import backup as backups
    from edgedyn.nn.training import trial as trials

    setup = trials.prepare(job)
    _check_meta(job, journal, setup.provenance)
    done, notes = {}, []
    for name in (CHECKPOINT, HEAD_CHECKPOINT):
        # Those of more epochs are of no use without the numbers that led there.
        notes += backups.discard_unusable(folder / name, len(journal.epochs), folder.name)
        done[name] = backups.backed_up(folder / name, folder.name)
    journal.cut(min(max(done.values()), job.target))
    for note in notes:
        journal.append({"note": f"{note}; went on from epoch {len(journal.epochs)}"})
    if journal.find("scores") is None and job.scores:
        values, seconds = trials.scores(setup, job.scores)
        journal.append({"scores": values})
        journal.append({"score_seconds": seconds})
    head = job.target > job.early and job.finish_probe == "remove"
    # One whose finish had ended when its process was lost must not train an epoch more.
    target = len(journal.epochs) if ended(journal, job) else job.target
    first = job.early if head else target
    model = trials.with_probe(setup, job)
    watch = trials.watch(setup, job)
    options: dict[str, Any] = {"report": journal.append, "over": lambda: ended(journal, job)}
    if done[HEAD_CHECKPOINT] == 0:
        trials.train(model, setup, job, first, folder / CHECKPOINT, watch=watch, **options)
    if head and not journal.diverged:
        model = trials.with_head(model, setup, job)
        last = folder / HEAD_CHECKPOINT
        trials.train(model, setup, job, target, last, first_epoch=job.early, **options)
    if journal.diverged:
        return
    trials.check_unchanged(setup, job)
    if job.target == job.last:
        trials.save(model, Path(job.save))
        accuracy = trials.test_accuracy(model, setup, job)
        journal.append({"test": {"after": len(journal.epochs), "accuracy": accuracy}})
        for name in done:  # the model is saved; optimisers' states would triple the space
            shutil.rmtree(folder / name, ignore_errors=True)
    journal.append({"peak_memory_mib": trials.peak_memory()})


def _check_meta(job: Job, journal: Journal, provenance: Mapping[str, Any]) -> None:
    """Write what the trial is run with, or refuse what has changed since it began."""
    meta = journal.meta()
    before = meta.get("provenance", {})
    begun, backend = before.get("backend", "tensorflow"), provenance["backend"]
    if journal.epochs and begun != backend:
        raise ValueError(
            f"this trial was begun with {begun} and Keras computes with {backend} now: set "
            "KERAS_BACKEND as it was, or start a new study folder."
        )
    for name in ("data_fingerprint", "source_fingerprint"):
        known, now = before.get(name), provenance[name]
        if journal.epochs and known not in (None, now):
            raise ValueError(
                f"the data have changed since this trial began (fingerprint {known}, now {now}); "
                "start a new study folder."
            )
    settings = published(msgspec.to_builtins(job.settings))
    if not journal.epochs or not meta:
        journal.write_meta({"settings": settings, "provenance": provenance})
    if job.target > job.early:
        settings["finish_probe"] = job.finish_probe
        if job.finish_probe == "remove":
            settings["early_epochs"] = job.early  # after which the head took its place
        if job.patience is not None:
            settings["patience"] = job.patience
        journal.write_meta({"settings": settings, "provenance": provenance})


def _look_ahead(job: Job) -> dict[str, Any]:
    """Look at data and names before any trial is started, or train a candidate for a few steps."""
    from edgedyn.nn.training import rehearsal, trial

    tasks = {
        "check": trial.check,
        "check data": trial.check_data,
        "survey": rehearsal.survey,
        "rehearse": rehearsal.rehearse,
    }
    return msgspec.to_builtins(tasks[job.task](job))


if __name__ == "__main__":
    main()
