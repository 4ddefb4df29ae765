"""A clean process that has loaded the framework and nothing more, from which trials are forked.

Loading TensorFlow takes seconds, a fork milliseconds. Every trial still has a process of its own,
which returns its memory and dies alone. Started by `edgedyn.studies.fresh`, where that is safe.
"""

import io
import json
import os
import select
import signal
import socket
import sys
from contextlib import suppress

# Starts a thread as soon as it is loaded, which pandas does where it is installed.
THREADED = ("pyarrow",)
FDS = 4  # of a job: input, output, log, and where its number and its end are told


def main() -> None:
    """Load the framework, then fork a process for each set of file descriptors that comes in."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    for name in THREADED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as if it were not there
    import sklearn.datasets  # noqa: F401

    from edgedyn.nn.training import rehearsal, trial  # noqa: F401

    link = socket.socket(fileno=int(sys.argv[1]))
    # Forked threads stand still with the locks they hold: no forks then, and whoever asks sees it.
    if len(os.listdir("/proc/self/task")) == 1:
        serve(link)


def serve(link: socket.socket) -> None:
    """Fork until the other side is gone and all children have ended."""
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, int] = {}  # where the end of each is told
    waiting = select.poll()
    waiting.register(link, select.POLLIN)
    waiting.register(ended, select.POLLIN)
    asked = True
    while asked or children:
        ready = {fd for fd, _ in waiting.poll()}
        if ended in ready:
            os.read(ended, 4096)
        if link.fileno() in ready:
            given, fds, *_ = socket.recv_fds(link, 1, FDS)
            if not given:
                asked = False
                waiting.unregister(link)
                continue
            pid = os.fork()
            if pid == 0:
                _become_worker(fds, [link.fileno(), ended, wake, *children.values()])
            _tell(fds[3], pid)
            children[pid] = fds[3]
            for fd in fds[:3]:
                os.close(fd)
        _bury(children)


def _bury(children: dict[int, int]) -> None:
    """Tell the ends of all children that have ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        where = children.pop(pid)
        _tell(where, os.waitstatus_to_exitcode(status))
        os.close(where)


def _tell(fd: int, number: int) -> None:
    """Write a number; whoever asked may be gone."""
    with suppress(BrokenPipeError):
        os.write(fd, f"{number}\n".encode())


def _become_worker(fds: list[int], others: list[int]) -> None:
    """Run a job in this process, which has just been forked; never returns."""
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for fd, mine in zip(fds, range(3), strict=False):
            os.dup2(fd, mine)
        for fd in {*fds, *others} - {0, 1, 2}:
            os.close(fd)
        source = open(0, "rb", closefd=False)
        sys.stdin = io.TextIOWrapper(source)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)
        for name in THREADED:  # a candidate's builder may want it
            if name in sys.modules and sys.modules[name] is None:
                del sys.modules[name]
        given = json.loads(source.readline())
        os.environ.clear()
        os.environ.update(given["environ"])
        os.chdir(given["cwd"])
        _take_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
        from edgedyn.studies import worker

        worker.main()
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(1)


def _take_threads(n: int) -> None:
    """Let the libraries that were loaded with one thread take so many."""
    import threadpoolctl

    threadpoolctl.threadpool_limits(n)
    if "numba" in sys.modules:
        sys.modules["numba"].config.reload_config()


if __name__ == "__main__":
    main()
