"""What must not lose anything: killed studies, Ctrl-C, full disks, two runs at a time, Dask."""

import os
import signal
import subprocess
import sys
import threading
import time
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
from study_cases import (
    WAIT,
    candidate,
    epochs_seen,
    kill,
    numbers,
    start,
    study_fields,
    trial_processes,
    wait_for,
)

import edgedyn as ed
from edgedyn.studies.engine import run_jobs

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]


@pytest.fixture
def study(fields, tmp_path):
    """Write a study file with a quick and a slow candidate."""
    path = tmp_path / "study.toml"
    path.write_text(
        f"""
output = "{fields["output"]}"
stage = "full"
[data]
spec = "digits"
n_train = [130]
[training]
epochs = 4
early_epochs = 3
[probe]
units = [8, 6]
[[candidates]]
name = "good"
factory = "study_models:good"
[[candidates]]
name = "slow"
factory = "study_models:slow"
options = {{ seconds = 0.1 }}
"""
    )
    return path


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """Numbers of an uninterrupted run, by candidate."""
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        found = ed.select(
            data={"spec": "digits", "n_train": [130]},
            candidates=[candidate("good"), candidate("slow", seconds=0.1)],
            training={"epochs": 4, "early_epochs": 3},
            probe={"units": [8, 6]},
            stage="full",
            output=str(tmp_path_factory.mktemp("expected") / "study"),
        )
    return {r.model: numbers(r) for r in found.records}


def resumed(study, expected):
    """Run a study to its end and compare."""
    found = ed.select(study)
    assert {r.model: numbers(r) for r in found.records} == expected
    assert all(isfinite(r.final_test_accuracy) for r in found.records)
    return found


def test_a_killed_study_is_taken_up_and_finished_trials_are_not_run_again(study, expected, fields):
    process = start(["select", study])
    folder = Path(fields["output"])
    wait_for(lambda: epochs_seen(folder).get("slow-n130-s0", 0) >= 2)
    record = folder / "records" / "good-n130-s0.json"
    before = record.stat().st_mtime_ns
    process.kill()
    process.communicate()
    wait_for(lambda: not trial_processes(), 30)  # they end with it
    resumed(study, expected)
    assert record.stat().st_mtime_ns == before


def test_ctrl_c_says_so_and_loses_nothing(study, expected, fields):
    process = start(["select", study])
    wait_for(lambda: epochs_seen(fields["output"]).get("slow-n130-s0", 0) >= 1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130 and "Traceback" not in err
    assert "run the same command again" in err.splitlines()[-1]
    assert not trial_processes()
    resumed(study, expected)


def test_sigterm_ends_as_ctrl_c_does(study, fields):
    process = start(["select", study])
    wait_for(lambda: epochs_seen(fields["output"]).get("slow-n130-s0", 0) >= 1)
    process.terminate()
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 130 and "Traceback" not in err
    assert "run the same command again" in err.splitlines()[-1]
    assert not trial_processes()


KILLED = {
    "candidates": [candidate("slow", seconds=0.02)],
    "training": {"epochs": 34, "early_epochs": 3, "batch_size": 64},
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Numbers of a run on one thread that nobody kills."""
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        fields = study_fields(tmp_path_factory.mktemp("undisturbed") / "study") | KILLED
        return numbers(ed.select(**fields, engine={"threads": 1}).records[0])


@pytest.mark.parametrize("engine", [{}, {"dask": "local"}], ids=["local", "dask"])
def test_twenty_kills_at_random_moments_change_no_bit(fields, undisturbed, engine):
    """Wherever a trial is: loading, in a step, at the end of an epoch, within its backup."""
    if engine:
        pytest.importorskip("distributed", reason="install the extra 'dask'")
    rng, moments, over = np.random.default_rng(0), [], threading.Event()

    def reached():
        return epochs_seen(fields["output"]).get("slow-n130-s0", 0)

    def disturb():
        while len(moments) < 20 and not over.is_set():
            wait_for(lambda: over.is_set() or trial_processes())
            before, pause = reached(), rng.uniform(0, 0.5)
            if len(moments) % 3:  # else while it is still loading, or about to begin
                wait_for(lambda n=before: over.is_set() or reached() > n)
            if over.wait(pause) or not trial_processes():
                continue
            kill(trial_processes()[0][0])
            moments.append(reached())

    thread = threading.Thread(target=disturb)
    thread.start()
    engine = {**engine, "threads": 1, "retries": 40}
    try:
        found = ed.select(**fields | KILLED, engine=engine).records[0]
    finally:
        over.set()
        thread.join()
    assert len(moments) == 20 and len(set(moments)) > 9, moments
    assert found.status == "completed" and numbers(found) == undisturbed


def test_a_second_run_on_the_same_folder_is_refused(study, expected, fields):
    process = start(["select", study])
    wait_for(lambda: epochs_seen(fields["output"]))
    second = start(["select", study])
    out, err = second.communicate(timeout=WAIT)
    assert second.returncode == 2 and out == ""
    assert err.count("\n") == 1 and "another run is at work on" in err
    out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0, err
    assert "±" in out and "best.keras" in out
    assert {r.model: numbers(r) for r in ed.load_records(fields["output"])} == expected


@pytest.fixture
def small_disk(tmp_path):
    """Mount a file system of 1 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        pytest.skip("a small file system needs the right to mount one")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("room", [40_000, 250_000])  # for no backup, and for no second model
def test_a_full_disk_stops_the_study_and_loses_nothing(study, expected, small_disk, room):
    folder = small_disk / "study"
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(2**20 - room))
    process = start(["select", study, "--out", folder])
    out, err = process.communicate(timeout=WAIT)
    assert process.returncode == 2 and out == ""
    assert "Traceback" not in err and "No space left" in err.splitlines()[-1]
    assert "nothing finished is lost" in err.splitlines()[-1]
    kept = {p.name: p.stat().st_mtime_ns for p in (folder / "records").glob("*.json")}
    ballast.unlink()
    found = ed.select(study, output=str(folder))
    assert {r.model: numbers(r) for r in found.records} == expected
    for name, stamp in kept.items():
        assert (folder / "records" / name).stat().st_mtime_ns == stamp


def test_a_read_only_disk_is_found_before_any_work(study, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(ValueError, match="cannot write to the output folder.*Read-only"):
        ed.select(study, output=str(small_disk / "study"))


# Dask ---------------------------------------------------------------------------------------------


def test_dask_survives_killed_trials_and_killed_workers(study, expected, fields):
    pytest.importorskip("distributed", reason="install the extra 'dask'")
    code = (
        "import sys, edgedyn as ed\n"
        "if __name__ == '__main__':\n"
        "    ed.select(sys.argv[1], engine={'dask': 'local', 'workers': 2, 'threads': 1})\n"
    )
    script = study.with_name("run.py")
    script.write_text(code)
    process = subprocess.Popen([sys.executable, str(script), str(study)], stderr=subprocess.PIPE)
    slow = "slow-n130-s0"
    wait_for(lambda: epochs_seen(fields["output"]).get(slow, 0) >= 1)
    kill(process_of(slow)[0])  # the trial's process
    wait_for(lambda: process_of(slow) and epochs_seen(fields["output"])[slow] >= 2)
    kill(process_of(slow)[1])  # the Dask worker it runs on
    _, err = process.communicate(timeout=WAIT)
    assert process.returncode == 0, err.decode()
    found = {r.model: numbers(r) for r in ed.load_records(fields["output"])}
    assert found.keys() == expected.keys()
    for name in found:  # one thread instead of two may round otherwise
        assert [e[:1] for e in found[name]] == [e[:1] for e in expected[name]]
        assert [e[1] for e in found[name]] == pytest.approx([e[1] for e in expected[name]], 1e-4)


def process_of(key):
    """Return (pid, parent's pid) of the process that has a trial's log open; None without."""
    for pid, parent in trial_processes():
        try:
            log = os.readlink(f"/proc/{pid}/fd/2")
        except OSError:
            continue
        if f"/{key}/" in log:
            return pid, parent
    return None


@pytest.fixture
def cluster():
    """Start a scheduler and two workers in threads, as others would have started them."""
    distributed = pytest.importorskip("distributed", reason="install the extra 'dask'")
    options = {"processes": False, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"}
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, protocol="tcp://", **options
    ) as found:
        yield found


def test_a_scheduler_that_is_there(fields, cluster):
    fields["candidates"] = [candidate("good"), candidate("raises")]
    found = ed.select(**fields, engine={"dask": cluster.scheduler_address})
    assert [r.status for r in found.records] == ["completed", "failed"]
    assert cluster.scheduler.status.name == "running"  # it is not ours to end


def test_workers_that_lack_what_is_asked_for(fields, cluster, monkeypatch):
    from edgedyn.studies import engine

    address = cluster.scheduler_address
    monkeypatch.setattr(engine, "_look", lambda path: (False, ed.__version__))
    with pytest.raises(ValueError, match="does not see the folder"):
        ed.select(**fields, engine={"dask": address})
    monkeypatch.setattr(engine, "_look", lambda path: (True, "0.0.1"))
    with pytest.raises(ValueError, match=f"has edgedyn 0.0.1, this is {ed.__version__}"):
        ed.select(**fields, engine={"dask": address})


def test_gpus_are_taken_from_workers_that_have_them(tmp_path, cluster):
    from edgedyn.studies.engine import pool
    from edgedyn.studies.protocol import Engine

    without = Engine(dask=cluster.scheduler_address, gpus_per_trial=1)
    with pytest.raises(ValueError, match="no Dask worker has more than 0"):
        with pool(without, tmp_path):
            pass
    import distributed

    options = {"processes": False, "dashboard_address": "127.0.0.1:0", "protocol": "tcp://"}
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=4, resources={"GPU": 1}, host="127.0.0.1", **options
    ) as one:
        spans = []

        def work(job):
            began = time.monotonic()
            time.sleep(0.05)
            return {"kind": "done", "span": (began, time.monotonic())}

        with pool(Engine(dask=one.scheduler_address, gpus_per_trial=1), tmp_path) as where:
            jobs = {str(k): {} for k in range(4)}
            run_jobs(jobs, where, lambda _, outcome: spans.append(outcome["span"]), function=work)
    spans.sort()
    assert len(spans) == 4  # four threads, one GPU: one after the other
    assert all(end <= began for (_, end), (began, _) in zip(spans[:-1], spans[1:], strict=True))


def test_a_scheduler_that_does_not_answer(fields, monkeypatch):
    pytest.importorskip("distributed", reason="install the extra 'dask'")
    from edgedyn.studies import engine

    monkeypatch.setattr(engine, "CONNECT", "1s")
    with pytest.raises(ValueError, match="no Dask scheduler answers at 'tcp://127.0.0.1:9'"):
        ed.select(**fields, engine={"dask": "tcp://127.0.0.1:9"})


def test_dask_is_asked_for_by_its_extra(fields, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ImportError, match=r"pip install 'edgedyn\[dask\]'"):
        ed.select(**fields, engine={"dask": "local"})


def test_the_thread_of_a_library_call_may_be_any(fields):
    """Progress is reported in the caller's thread, which need not be the main one."""
    seen, threads = [], []

    def progress(status):
        seen.append(status)
        threads.append(threading.current_thread())

    result = []
    caller = threading.Thread(target=lambda: result.append(ed.select(**fields, progress=progress)))
    caller.start()
    caller.join()
    assert result[0].records[0].status == "completed"
    assert set(threads) == {caller}
    assert seen[-1].done == seen[-1].total == 1 and seen[-1].fraction == 1.0
    assert seen[-1].ranking.rows[0].model == "good"
