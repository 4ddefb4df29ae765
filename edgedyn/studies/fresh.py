"""Running a job in a fresh process that ends when we do."""

import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from edgedyn._job import Job

_running: set[subprocess.Popen[bytes]] = set()
_guard = threading.Lock()
_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def run_fresh(job: Job) -> dict[str, Any]:
    """Run a job of `edgedyn.studies.worker` in a process of its own and wait for its outcome.

    Works in any thread of any process, so also on a Dask worker. The process reads our end of a
    pipe and is gone as soon as we are, even by ``kill -9``; an outcome of ``kind`` "killed" where
    it ended without one. ``log.txt`` goes into the job's folder; without one it is discarded.
    """
    with _log(job.folder) as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgedyn.studies.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **dict.fromkeys(_THREADS, str(job.threads))},
        )
    with _guard:
        _running.add(process)
    try:
        return _outcome(process, job)
    finally:
        with _guard:
            _running.discard(process)
        process.kill()
        process.wait()


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


def _outcome(process: "subprocess.Popen[bytes]", job: Job) -> dict[str, Any]:
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
