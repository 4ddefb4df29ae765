"""Running a job in a fresh process that ends when we do."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from edgedyn._job import Job
from edgedyn.studies.disk import disk_fault
from edgedyn.studies.forked import THREADS, Forked, forked
from edgedyn.studies.journal import LINES

LOOK = 1.0  # seconds between two looks at a trial that has a time limit

Process = subprocess.Popen[bytes] | Forked
_running: set[Process] = set()
_guard = threading.Lock()


def run_fresh(job: Job) -> dict[str, Any]:
    """Run a job of `edgedyn.studies.worker` in a process of its own and wait for its outcome.

    Works in any thread of any process, so also on a Dask worker. The process reads our end of a
    pipe and is gone as soon as we are, even by ``kill -9``; an outcome of ``kind`` "killed" where
    it ended without one, or was killed after the job's `timeout`. ``log.txt`` goes into the job's
    folder; without one it is discarded.
    """
    environ = {**os.environ, **dict.fromkeys(THREADS, str(job.threads))}
    with _log(job.folder) as log:
        process = forked(log, environ)
        outcome = None if process is None else _run(process, job)
        return _run(_spawned(log, environ), job) or {} if outcome is None else outcome


def _spawned(log: BinaryIO, environ: dict[str, str]) -> "subprocess.Popen[bytes]":
    """Return a process of its own that loads everything anew."""
    return subprocess.Popen(
        # -P: what lies in the working directory must not take a library's place.
        [sys.executable, "-P", "-m", "edgedyn.studies.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=environ,
    )


def _run(process: Process, job: Job) -> dict[str, Any] | None:
    """Let a process do a job; None where none was born."""
    ended, hung = threading.Event(), threading.Event()
    with _guard:
        _running.add(process)
    try:
        if isinstance(process, Forked) and not process.born():
            return {"kind": "killed", "reason": _ending(-9)} if process.doomed else None
        if job.timeout is not None and job.folder:
            watched = process, Path(job.folder) / LINES, job.timeout, ended, hung
            threading.Thread(target=_kill_if_hung, args=watched, daemon=True).start()
        outcome = _outcome(process, job)
        if hung.is_set():
            reason = f"no epoch ended within {job.timeout:g} seconds (engine.timeout)"
            return {"kind": "killed", "reason": reason}
        # Some libraries die of a full disk without a word.
        died = outcome["kind"] == "killed" and process.returncode < 0
        if died and (fault := disk_fault(job.folder)):
            return {"kind": "disk", "reason": f"{fault} ({outcome['reason']})"}
        return outcome
    finally:
        ended.set()
        with _guard:
            _running.discard(process)
        process.kill()
        process.wait()
        if isinstance(process, Forked):
            process.close()


def _kill_if_hung(
    process: Process,
    journal: Path,
    timeout: float,
    ended: threading.Event,
    hung: threading.Event,
) -> None:
    """Kill a process whose journal does not grow for so many seconds."""
    size, since = -1, time.monotonic()
    while not ended.wait(min(timeout, LOOK)):
        with suppress(OSError):
            now = journal.stat().st_size
            if now != size:
                size, since = now, time.monotonic()
        if time.monotonic() - since > timeout:
            hung.set()
            process.kill()
            return


def stop_all() -> None:
    """Kill the processes of all jobs that this process runs."""
    with _guard:
        for process in _running:
            process.kill()


def _log(folder: str) -> BinaryIO:
    """Open the trial's log; a disk that takes no log shall not take the trial's outcome too."""
    with suppress(OSError):
        if folder:
            Path(folder).mkdir(parents=True, exist_ok=True)
            return (Path(folder) / "log.txt").open("ab")
    return Path(os.devnull).open("ab")


def _outcome(process: Process, job: Job) -> dict[str, Any]:
    """Give the job, wait, and read what comes back."""
    assert process.stdin is not None and process.stdout is not None
    try:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.flush()  # and leave it open: the process lives as long as it is
        text = process.stdout.read()
    except BrokenPipeError:
        text = b""
    process.wait()
    process.stdout.close()
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        return json.loads(text)
    except ValueError:
        return {"kind": "killed", "reason": _ending(process.returncode)}


def _ending(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"its process ended with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps for want of memory" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{hint}"
