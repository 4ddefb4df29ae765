"""Running a job in a fresh process that ends when we do."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

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
    pipe and is gone as soon as we are, even by ``kill -9``.

    Parameters
    ----------
    job : Job
        ``log.txt`` goes into its folder; without one it is discarded.

    Returns
    -------
    dict
        What `edgedyn.studies.worker.run` gives, or ``kind`` "killed" where the process ended
        without an outcome.
    """
    log = _log(job.folder)
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgedyn.studies.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**os.environ, **dict.fromkeys(_THREADS, str(job.threads))},
        )
    finally:
        if not isinstance(log, int):
            log.close()
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


def _log(folder: str) -> Any:
    """Open the trial's log; a disk that takes no log shall not take the trial's outcome too."""
    if not folder:
        return subprocess.DEVNULL
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        return (Path(folder) / "log.txt").open("ab")
    except OSError:
        return subprocess.DEVNULL


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
    try:
        process.stdin.close()
    except BrokenPipeError:
        pass
    try:
        outcome = json.loads(text)
    except ValueError:
        return {"kind": "killed", "reason": _ending(process.returncode)}
    return outcome


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
