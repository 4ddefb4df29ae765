"""What tests of studies share: candidates, comparisons, and ways to disturb."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from edgedyn._job import Job
from edgedyn.studies.journal import Journal

TESTS = Path(__file__).resolve().parent
TRIAL, NURSERY = "edgedyn.studies.worker", "edgedyn.studies.nursery"
WAIT = 600  # seconds, before a test gives up; TensorFlow starts slowly on a busy machine
# Inherited by all processes of these tests, so that they do not take others' for their own.
os.environ["EDGEDYN_TESTS"] = MARK = str(os.getpid())


def candidate(function, name=None, **options):
    """Return a candidate of the tests' own."""
    return {
        "name": name or function,
        "factory": f"study_models:{function}",
        "options": options,
    }


def study_fields(folder):
    """Return the fields of a small study of digits with one candidate."""
    return {
        "data": {"spec": "digits", "n_train": [130]},
        "candidates": [candidate("good")],
        "training": {"epochs": 4, "early_epochs": 3, "batch_size": 64},
        "probe": {"units": [8, 6]},
        "stage": "full",
        "output": str(folder),
    }


def numbers(record):
    """Return what two runs of a trial must have in common, to the last bit."""
    return [
        (e.epoch, e.train_loss, e.val_accuracy, repr(e.test_accuracy), e.beta_eff, e.beta_status)
        for e in record.epochs
    ]


def epochs_seen(folder):
    """Return the epochs in each trial's journal."""
    found = {}
    for path in Path(folder).glob("trials/*"):
        found[path.name] = len(Journal(path).epochs)
    return found


def wait_for(condition, seconds=WAIT):
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def trial_processes():
    """Return (pid, pid of who started it) of the trials' processes that are alive."""
    alive = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            ours = f"EDGEDYN_TESTS={MARK}".encode() in (path / "environ").read_bytes().split(b"\0")
            stat = (path / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        module = next((word for word in (TRIAL, NURSERY) if word.encode() in words), None)
        if ours and module and stat[0] != "Z":
            alive[int(path.name)] = int(stat[1]), module
    found = []
    for pid, (parent, module) in alive.items():
        if module == TRIAL:
            found.append((pid, parent))
        elif parent in alive:  # a nursery's child, which was asked for by the nursery's parent
            found.append((pid, alive[parent][0]))
    return found


def sleeping_job(folder):
    """Return a job whose process says that it is at work, and then sleeps for ten minutes."""
    code = f"from pathlib import Path\nPath({str(folder / 'asleep')!r}).touch()\n"
    (folder / "sleeper.py").write_text(f"{code}from time import sleep\nsleep(600)\n")
    places = {"paths": (str(folder),), "cwd": str(folder)}
    return Job("none", "none", 0, None, task="check", functions=("sleeper:never",), **places)


def asleep(folder):
    """Tell whether the process of a sleeping job is at work."""
    return (folder / "asleep").exists()


def start(arguments, **options):
    """Start the command line in a session of its own."""

    def heed_interrupts():
        # Whoever runs the tests in the background has them ignored, and children inherit that.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return subprocess.Popen(
        [sys.executable, "-m", "edgedyn.cli", *map(str, arguments)],
        preexec_fn=heed_interrupts,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def kill(pid):
    """Send what nobody can catch."""
    os.kill(pid, signal.SIGKILL)
