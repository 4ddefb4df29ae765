"""Where jobs run: any ``concurrent.futures.Executor``; fresh processes here, Dask on a cluster."""

import logging
import os
import queue
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import edgedyn
from edgedyn.studies.fresh import run_fresh, stop_all
from edgedyn.studies.protocol import Engine

LOG = logging.getLogger(__name__)
TICK = 0.5  # seconds between two looks at the journals
CONNECT = "10s"
Job = Any  # whatever the function takes; `run_fresh` an `edgedyn._job.Job`
Outcome = Mapping[str, Any]
Function = Callable[[Job], Outcome]


@dataclass
class Pool:
    """An executor, and how a job is given to it."""

    executor: Executor
    threads: int  # for each job
    keyed: bool = False  # whether jobs have names there (Dask)
    alive: Callable[[], bool] = lambda: True  # whether the executor can still take jobs
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])  # part of the jobs' names
    given: "list[Future[Outcome]]" = field(default_factory=list)  # all jobs so far

    def submit(self, function: Function, key: str, job: Job, attempt: int) -> "Future[Outcome]":
        """Give a job to the executor."""
        if not self.alive():
            raise ConnectionError(
                "the connection to the Dask scheduler is lost; nothing finished is. Run the same "
                "command again when the scheduler is back."
            )
        # The same key would be the same result.
        options = {"key": f"{key}-{self.name}-{attempt}"} if self.keyed else {}
        future = self.executor.submit(function, job, **options)
        self.given.append(future)
        return future


@contextmanager
def pool(engine: Engine, folder: Path, executor: Executor | None = None) -> Iterator[Pool]:
    """Yield what runs a study's jobs; end its processes afterwards, but leave one's own executor.

    ImportError where Dask is asked for and not installed; ValueError for a scheduler that does not
    answer, has no workers, or whose workers do not see the study's folder or have another edgedyn.
    """
    threads = engine.threads or max(1, (os.cpu_count() or 1) // engine.workers)
    if executor is not None:
        yield Pool(executor, threads)
    elif engine.dask is not None:
        with _dask(engine, folder, threads) as found:
            yield found
    else:
        own = ThreadPoolExecutor(engine.workers, thread_name_prefix="edgedyn-trial")
        found = Pool(own, threads)
        try:
            yield found
        finally:
            own.shutdown(wait=False, cancel_futures=True)
            while any(future.running() for future in found.given):
                stop_all()  # again and again: one may just be starting
                time.sleep(0.02)


@contextmanager
def _dask(engine: Engine, folder: Path, threads: int) -> Iterator[Pool]:
    """Yield a Dask cluster's executor: our own on this machine, or one that is there."""
    try:
        from distributed import Client, LocalCluster
    except ImportError:
        raise ImportError(
            "engine.dask needs Dask; install it with the extra 'dask': pip install 'edgedyn[dask]'."
        ) from None
    cluster: Any = nullcontext(engine.dask)
    if engine.dask == "local":
        cluster = LocalCluster(
            n_workers=engine.workers,
            threads_per_worker=1,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # any free port
            memory_limit=0,  # trials have processes of their own
        )
    with cluster as address:
        try:
            client = Client(address, timeout=CONNECT, set_as_default=False)
        except OSError as error:
            raise ValueError(
                f"no Dask scheduler answers at {engine.dask!r} within {CONNECT}: {error}."
            ) from None
        with closing(client):
            _check_resources(client, engine.gpus_per_trial)
            if engine.dask != "local":
                threads = engine.threads or _check_workers(client, folder)
            wanted = {"GPU": engine.gpus_per_trial} if engine.gpus_per_trial else None
            executor = client.get_executor(pure=False, retries=engine.retries, resources=wanted)
            yield Pool(executor, threads, keyed=True, alive=lambda: client.status == "running")


def _check_resources(client: Any, gpus: int) -> None:
    """Refuse to wait for GPUs that no worker has."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    most = max((worker["resources"].get("GPU", 0) for worker in workers), default=0)
    if gpus > most:
        raise ValueError(
            f"engine.gpus_per_trial is {gpus}, but no Dask worker has more than {most:g}; start "
            "workers with --resources GPU=1, or set it to 0."
        )


def _check_workers(client: Any, folder: Path) -> int:
    """Refuse workers that cannot do the study; return the threads each job may take."""
    workers = client.scheduler_info(n_workers=-1)["workers"]
    if not workers:
        raise ValueError("the Dask scheduler has no workers; start some.")
    token = folder / f".seen-{uuid.uuid4().hex}"
    token.write_text("", encoding="utf-8")
    try:
        for address, (seen, version) in client.run(_look, str(token)).items():
            if not seen:
                raise ValueError(
                    f"worker {address} does not see the folder {str(folder)!r}; studies need a "
                    "file system that all workers share."
                )
            if version != edgedyn.__version__:
                raise ValueError(
                    f"worker {address} has edgedyn {version}, this is {edgedyn.__version__}; "
                    "install the same."
                )
    except ModuleNotFoundError as error:
        raise ValueError(f"the Dask workers lack a package: {error}.") from None
    finally:
        token.unlink(missing_ok=True)
    return max(1, min(worker["nthreads"] for worker in workers.values()))


def _look(path: str) -> tuple[bool, str]:
    """Tell, on a worker, whether a file is seen there and which edgedyn is installed."""
    return Path(path).exists(), edgedyn.__version__


def run_jobs(
    jobs: Mapping[str, Job],
    where: Pool,
    on_outcome: Callable[[str, Outcome], None],
    *,
    function: Function = run_fresh,
    retries: int = 2,
    progress_of: Callable[[str], int] = lambda key: 0,
    tick: Callable[[], None] = lambda: None,
) -> None:
    """Run jobs, given by key, and hand over each outcome as it comes, in this thread.

    A job whose process or worker was lost is run again, at most `retries` times without having got
    further by `progress_of`; `tick` is called about twice a second.
    """
    ended: queue.SimpleQueue[tuple[str, Future[Outcome]]] = queue.SimpleQueue()
    attempts = dict.fromkeys(jobs, 0)
    wasted = dict.fromkeys(jobs, 0)  # attempts that did not get further
    reached = {}

    def start(key: str) -> None:
        reached[key] = progress_of(key)
        attempts[key] += 1
        future = where.submit(function, key, jobs[key], attempts[key])
        future.add_done_callback(lambda f: ended.put((key, f)))

    for key in jobs:
        start(key)
    left = len(jobs)
    while left:
        try:
            key, future = ended.get(timeout=TICK)
        except queue.Empty:
            tick()
            continue
        outcome = _result(future)
        if outcome["kind"] == "killed":
            further = progress_of(key) > reached[key]
            wasted[key] = 0 if further else wasted[key] + 1
            if wasted[key] <= retries:
                LOG.warning("trial %s is taken up again: %s", key, outcome["reason"])
                start(key)
                continue
        left -= 1
        on_outcome(key, outcome)


def _result(future: "Future[Outcome]") -> Outcome:
    """Return a job's outcome; a lost worker is a killed job."""
    try:
        return future.result()
    except CancelledError:
        return {"kind": "killed", "reason": "its worker or scheduler was lost"}
    except Exception as error:  # whatever an executor raises for a lost worker
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return {"kind": "killed", "reason": f"its worker was lost ({text[:300]})"}
