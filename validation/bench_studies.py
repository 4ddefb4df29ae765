"""What a study adds to its trainings; how fast records are stored and loaded.

    python validation/bench_studies.py [--part overhead|load|schedule]

Writes results/studies.json. Everything is measured in one go on one machine: the study and the
same trainings without it; 10 000 stored records; 10 000 empty trials on four Dask workers.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.studies.engine import pool, run_jobs
from edgedyn.studies.protocol import Engine
from edgedyn.studies.record import EpochRecord, TrialRecord
from edgedyn.studies.selection import select
from edgedyn.studies.store import Store, load_records
from edgedyn.studies.study import read_study

RESULTS = Path(__file__).parent / "results" / "studies.json"
N = 10_000
CANDIDATES = ("resnet", "densenet", "vgg")
EPOCHS = 10
ROUNDS = 5  # of a study and its bare trainings


def overhead() -> dict[str, float]:
    """Compare a study with the bare trainings: the same models, data, steps, validation.

    Each is a process of its own, timed from its start to its end: both load the framework. They
    are run in turn. Systems put two busy threads on one core now and then, which makes an epoch
    twice as slow and nothing faster, so the least of the rounds counts; medians are kept beside it.
    """
    sides: dict[str, list[dict[str, float]]] = {"study": [], "bare": []}
    for _ in range(ROUNDS):
        for side, runs in sides.items():
            began = time.perf_counter()
            command = [sys.executable, __file__, "--side", side]
            done = subprocess.run(command, capture_output=True, check=True)
            seconds = time.perf_counter() - began
            runs.append({"seconds": seconds, **json.loads(done.stdout.splitlines()[-1])})
    return {
        "trials": len(CANDIDATES),
        "epochs": EPOCHS,
        "rounds": ROUNDS,
        **{name: _compared(sides, of) for name, of in (("least", min), ("median", median))},
        "all": sides,
    }


def _compared(
    sides: dict[str, list[dict[str, float]]], of: Callable[[Iterable[float]], float]
) -> dict[str, float]:
    """Return one figure of all rounds for each side, and what a trial adds."""
    study, bare = (of(run["seconds"] for run in sides[side]) for side in ("study", "bare"))
    beta = of(run["beta"] for run in sides["study"])
    added = (study - bare - beta) / len(CANDIDATES)
    return {"study": study, "bare": bare, "beta": beta, "added_a_trial": added}


def study() -> dict[str, float]:
    """Run the study; return what its records say of the seconds."""
    with tempfile.TemporaryDirectory() as folder:
        found = select(
            data={"spec": "digits", "image_size": 32},
            candidates=[{"name": c, "factory": f"edgedyn.nn.models.small:{c}"} for c in CANDIDATES],
            training={"epochs": EPOCHS},
            stage="full",
            output=folder,
        )
    records = found.records
    return {
        "train": sum(r.train_seconds for r in records),
        "beta": sum(r.beta_seconds for r in records),
    }


def bare() -> dict[str, float]:
    """Train with Keras alone, all in this process, without beta_eff; return the fits' seconds."""
    import keras

    from edgedyn import nn
    from edgedyn.nn.models import small

    data = nn.load_dataset("digits", image_size=32, validation_size=0.3)
    seconds = 0.0
    for name in CANDIDATES:
        keras.utils.set_random_seed(0)
        backbone = nn.backbone(getattr(small, name)((32, 32, 3)))
        model = nn.attach_probe(backbone, data.n_classes, seed=0)
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        train = data.train.batches(64, shuffle_seed=0)
        began = time.perf_counter()
        options = {"epochs": EPOCHS, "shuffle": False, "verbose": 0}
        model.fit(train, validation_data=data.validation.batches(64), **options)
        seconds += time.perf_counter() - began
    return {"fits": seconds}


SIDES = {"study": study, "bare": bare}


def record(k: int, epochs: int) -> TrialRecord:
    """Return a made-up record of ordinary size."""
    lines = tuple(
        EpochRecord(e, 1 / e, 0.5, 0.5, 1 / e, "ok", 1.234, 0.0123, {"val_loss": 1 / e})
        for e in range(1, epochs + 1)
    )
    return TrialRecord("model", "digits", k, {}, lines, "early", 1.0, 0.1, {}, None, "", {})


TIMED = """
import sys, time
from edgedyn.studies.store import Store, load_records
began = time.perf_counter()
found = {what}
print(time.perf_counter() - began)
assert len(found) == {n}
"""
KEYS = f"(f'model-s{{k}}' for k in range({N}))"
STARTED = TIMED.format(what=f"Store(sys.argv[1]).read({KEYS})", n=N)
LOADED = TIMED.format(what="load_records(sys.argv[1])", n=N)
LOOKED = TIMED.format(what="[r.epochs for r in load_records(sys.argv[1])]", n=N)


def _seconds(code: str, folder: str) -> float:
    """Run timed code in a process of its own, which holds nothing yet."""
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, check=True)
    return float(done.stdout)


def load(epochs: int) -> dict[str, float]:
    """Store and load N records: at first without an index, then with the one that this wrote."""
    study = read_study(
        {
            "data": "digits",
            "candidates": [{"name": "model", "factory": "edgedyn.nn.models.small:mlp"}],
            "training": {"seeds": list(range(N))},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        began = time.perf_counter()
        for trial in study.trials:
            store.write(trial.key, record(trial.seed, epochs))
        stored = time.perf_counter() - began
        os.sync()  # what is still on its way to the disk must not delay the reading
        time.sleep(3)  # younger records are not put into an index
        first, started, loaded, looked = (
            _seconds(code, folder) for code in (STARTED, STARTED, LOADED, LOOKED)
        )
    return {
        "records": N,
        "epochs_each": epochs,
        "store_per_second": N / stored,
        "first_start_seconds": first,
        "start_seconds": started,
        "load_seconds": loaded,
        "load_with_all_epochs_seconds": looked,
    }


def nothing(job: dict[str, int]) -> dict[str, object]:
    """Do what a trial does, without the trial."""
    return {"kind": "done", "result": record(job["seed"], 5).to_dict()}


def schedule() -> dict[str, float]:
    """Run N empty trials inside the workers of a local Dask cluster and store their records."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)

        def keep(key: str, outcome: dict[str, object]) -> None:
            store.write(key, TrialRecord.from_dict(dict(outcome["result"])))

        jobs = {f"model-s{k}": {"seed": k} for k in range(N)}
        with pool(Engine(workers=4, dask="local"), Path(folder)) as where:
            began = time.perf_counter()
            run_jobs(jobs, where, keep, function=nothing)
            seconds = time.perf_counter() - began
        assert len(load_records(folder)) == N
    return {"trials": N, "workers": 4, "seconds": seconds, "per_second": N / seconds}


PARTS = {
    "overhead": overhead,
    "load": lambda: {"short": load(5), "long": load(50)},
    "schedule": schedule,
}


def main() -> None:
    """Measure one part or all, and keep the others' results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(SIDES[given.side]()))
        return
    chosen = given.part or list(PARTS)
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in chosen:
        results[part] = {**PARTS[part](), "environment": environment()}
        print(part, to_json({k: v for k, v in results[part].items() if k != "environment"}))
        write_text(RESULTS, to_json(results) + "\n")


if __name__ == "__main__":
    main()
