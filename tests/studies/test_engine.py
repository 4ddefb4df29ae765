"""Jobs on executors: retries, lost workers, everything handed over once."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from study_cases import asleep, kill, sleeping_job, trial_processes, wait_for

from edgedyn.studies import engine as module
from edgedyn.studies import forked as forked_module
from edgedyn.studies.engine import Pool, pool, run_jobs
from edgedyn.studies.fresh import run_fresh
from edgedyn.studies.protocol import Engine

KILLED = {"kind": "killed", "reason": "SIGKILL"}
DONE = {"kind": "done", "result": None}


def run(function, n=1, *, retries=2, progress_of=lambda key: 0):
    found = []
    with ThreadPoolExecutor(2) as threads:
        run_jobs(
            {str(k): {"k": k} for k in range(n)},
            Pool(threads, 1),
            lambda key, outcome: found.append((key, outcome)),
            function=function,
            retries=retries,
            progress_of=progress_of,
        )
    return found


def test_every_job_is_handed_over_once_in_the_callers_thread():
    seen = []

    def function(job):
        assert threading.current_thread() is not threading.main_thread()
        seen.append(job["k"])
        return DONE

    found = run(function, 50)
    assert sorted(int(key) for key, _ in found) == sorted(seen) == list(range(50))


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_job_that_gets_nowhere_is_given_up(retries):
    attempts = []

    def function(job):
        attempts.append(job)
        return KILLED

    assert run(function, retries=retries) == [("0", KILLED)]
    assert len(attempts) == retries + 1


def test_a_job_that_gets_further_is_not():
    epochs = []

    def function(job):
        epochs.append(None)
        return DONE if len(epochs) == 20 else KILLED

    assert run(function, retries=0, progress_of=lambda key: len(epochs)) == [("0", DONE)]
    assert len(epochs) == 20


def test_what_an_executor_raises_is_a_lost_worker():
    def function(job):
        raise RuntimeError("the worker\nis gone")

    ((_, outcome),) = run(function, retries=1)
    assert outcome["kind"] == "killed"
    assert outcome["reason"] == "its worker was lost (RuntimeError: the worker is gone)"


def test_a_lost_scheduler_says_that_nothing_else_is():
    with ThreadPoolExecutor(1) as threads:
        lost = Pool(threads, 1, alive=lambda: False)
        with pytest.raises(ConnectionError, match="nothing finished is"):
            run_jobs({"a": {}}, lost, lambda key, outcome: None, function=lambda job: DONE)


@pytest.fixture
def job(tmp_path):
    """Return a job that does not end by itself."""
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    return sleeping_job(tmp_path)


@pytest.mark.slow
def test_leaving_early_ends_the_processes(job, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        with pool(Engine(workers=2), tmp_path) as where:
            for key in "ab":
                where.submit(run_fresh, key, job, 1)
            wait_for(lambda: asleep(tmp_path))
            began = time.monotonic()
            raise KeyboardInterrupt
    assert not trial_processes() and time.monotonic() - began < 60  # by themselves after 600


@pytest.mark.slow
def test_a_killed_process_is_told_from_a_failed_one(job, tmp_path):
    outcome = run_fresh(replace(job, functions=("absent:never",)))
    assert outcome["kind"] == "failed" and outcome["reason"].startswith("ValueError")
    found = []
    thread = threading.Thread(target=lambda: found.append(run_fresh(job)))
    thread.start()
    wait_for(lambda: asleep(tmp_path))
    kill(trial_processes()[0][0])
    thread.join()
    assert found == [
        {
            "kind": "killed",
            "reason": "its process was killed by SIGKILL, perhaps for want of memory",
        }
    ]


@pytest.mark.slow
def test_a_trial_ends_with_whoever_started_it(job, tmp_path):
    """Also where that one is killed and can tell nobody."""
    imports = "from edgedyn._job import *\nfrom edgedyn.studies.fresh import run_fresh\n"
    code = f"{imports}run_fresh({job!r})\n"
    parent = subprocess.Popen([sys.executable, "-c", code])
    wait_for(lambda: asleep(tmp_path))
    parent.kill()
    parent.wait()
    wait_for(lambda: not trial_processes(), 30)


def test_threads_are_divided_by_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "cpu_count", lambda: 8)
    for workers, threads in [(1, 8), (3, 2), (16, 1)]:
        with pool(Engine(workers=workers), tmp_path) as where:
            assert where.threads == threads
    with pool(Engine(workers=4, threads=5), tmp_path) as where:
        assert where.threads == 5


@pytest.mark.slow
def test_a_process_that_dies_of_a_full_disk_is_no_failed_trial(job, tmp_path, monkeypatch):
    """As HDF5 does, by a signal and without a word."""
    faults = {str(tmp_path): "No space left on device"}
    monkeypatch.setattr("edgedyn.studies.fresh.disk_fault", faults.get)
    found = []
    full = replace(job, folder=str(tmp_path))
    thread = threading.Thread(target=lambda: found.append(run_fresh(full)))
    thread.start()
    wait_for(lambda: asleep(tmp_path))
    kill(trial_processes()[0][0])
    thread.join()
    assert [one["kind"] for one in found] == ["disk"]
    assert found[0]["reason"].startswith("No space left on device (its process was killed")


@pytest.mark.slow
def test_where_nothing_is_forked_a_process_of_its_own_is_started(job, tmp_path, monkeypatch):
    """Where the clean parent has threads, dies, or is not to be had at all."""
    from edgedyn.studies import fresh

    absent = replace(job, functions=("absent:never",))
    expected = run_fresh(absent)
    assert expected["kind"] == "failed"
    with monkeypatch.context() as patch:
        patch.setattr(fresh, "forked", lambda log, environ: None)
        assert run_fresh(absent) == expected
    with monkeypatch.context() as patch:
        patch.setattr(fresh.Forked, "born", lambda self: False)
        assert run_fresh(absent) == expected
    for nursery in forked_module._nurseries.values():
        nursery.process.kill()
        nursery.process.wait()
    assert run_fresh(absent) == expected  # of a new one


@pytest.mark.slow
def test_a_library_that_starts_a_thread_when_it_is_loaded_is_not(tmp_path):
    """Pandas loads pyarrow where it is there: such a clean parent could not be forked from."""
    (tmp_path / "pyarrow.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
        "__version__ = '99'\n"
    )
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    nursery = forked_module.Nursery(environ)
    try:
        with (tmp_path / "log").open("wb") as log:
            child = forked_module.Forked(nursery, log, environ)
            assert child.born()
            child.kill()
            child.wait()
            child.close()
    finally:
        nursery.retire()
