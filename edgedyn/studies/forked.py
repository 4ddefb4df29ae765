"""A process forked from a clean parent that has loaded the framework; like a Popen to its user."""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

# Beginnings of what the framework, and what it rests on, read while they are loaded.
READ_AT_START = (
    *("CUDA", "EDGEDYN", "GOTO", "KERAS", "LD_", "MKL", "NUMBA", "OMP", "OPENBLAS", "PYTHON"),
    *("TF_", "XLA"),
)
KEPT = 2
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)
Key = tuple[object, ...]
_guard = threading.Lock()
_nurseries: dict[Key, "Nursery"] = {}


class Nursery:
    """Our end of the process that forks, see `edgedyn.studies.nursery`; it ends when we do."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.link, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                # -P: what lies in the working directory must not take a library's place.
                [sys.executable, "-P", "-m", "edgedyn.studies.nursery", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # One thread while loading: a process with more cannot be forked safely.
                env={**environ, **dict.fromkeys(THREADS, "1")},
            )

    def retire(self) -> None:
        """Let it end with its last child."""
        self.link.close()
        if self.process.poll() is None:
            threading.Thread(target=self.process.wait, daemon=True).start()


@atexit.register
def _end_all() -> None:
    """End what would else be left to the system."""
    for key, nursery in _nurseries.items():
        if key[0] == os.getpid():  # not those of a process that we were forked from
            nursery.link.close()
            nursery.process.kill()
            nursery.process.wait()


class Forked:
    """A forked process; `stdin`, `stdout`, `returncode`, `wait` and `kill` are as Popen's."""

    def __init__(self, nursery: Nursery, log: BinaryIO, environ: Mapping[str, str]) -> None:
        pipes = [os.pipe() for _ in range(3)]
        (read_in, write_in), (read_out, write_out), (read_told, write_told) = pipes
        self.nursery, self.returncode, self.doomed = nursery, -signal.SIGKILL, False
        self.stdin, self.stdout = open(write_in, "wb"), open(read_out, "rb")  # noqa: SIM115
        self.told = open(read_told, "rb")  # noqa: SIM115
        self._handle: int | None = None
        try:
            with suppress(BrokenPipeError):  # the nursery is gone: nothing will be born
                given = [read_in, write_out, log.fileno(), write_told]
                socket.send_fds(nursery.link, [b"+"], given)
        finally:
            for fd in (read_in, write_out, write_told):
                os.close(fd)
        values = {"environ": dict(environ), "cwd": os.getcwd()}
        with suppress(BrokenPipeError):
            self.stdin.write(json.dumps(values).encode() + b"\n")
            self.stdin.flush()

    def born(self) -> bool:
        """Wait for the process; False where none comes: nothing is forked where it is not safe."""
        with suppress(ValueError, OSError):
            self._handle = os.pidfd_open(int(self.told.readline()))
        return self._handle is not None

    def wait(self) -> int:
        """Wait for the end."""
        with suppress(ValueError):
            self.returncode = int(self.told.readline())
        return self.returncode

    def kill(self) -> None:
        """End the process at once; before it is born, the one that would bear it."""
        with suppress(OSError):
            if self._handle is not None:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
            else:
                self.doomed = True
                self.nursery.process.kill()

    def close(self) -> None:
        """Close all files."""
        for file in (self.stdin, self.stdout, self.told):
            with suppress(BrokenPipeError):
                file.close()
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def forked(log: BinaryIO, environ: Mapping[str, str]) -> Forked | None:
    """Return a new process of `edgedyn.studies.worker`; None on systems without such forks.

    The clean parent stays for the next one; of other environments the last is kept, too.
    """
    if sys.platform != "linux":
        return None
    early = (name for name in sorted(environ) if name.startswith(READ_AT_START))
    key = os.getpid(), *((name, environ[name]) for name in early if name not in THREADS)
    with _guard:
        known = _nurseries.pop(key, None)
        if known is not None and known.process.poll() is not None:
            known.retire()
            known = None
        known = known or Nursery(environ)
        _nurseries[key] = known
        for old in list(_nurseries)[:-KEPT]:
            _nurseries.pop(old).retire()
        return Forked(known, log, environ)
