"""Retrain five candidates with other probes, and observe one training in more ways.

A probe of one hidden layer is not among them: its kernels have no interior layer, and no beta_eff.
Task cifar100-a, the zoo's protocol with fewer epochs, one seed. ``baseline`` is the zoo's probe,
frozen, 256 and 128 units; its training is observed four times an epoch, on all samples and in the
scope of the whole network (see ablations/observe.py). The other ablations are studies of their own,
each with one thing changed. Records go to ``records/ablation-NAME/records/``; what is there is not
run again. ``--rehearse`` only estimates:
``EDGEDYN_DATA=... python -m papers.jiang2024.ablations.run --rehearse``
"""

import argparse
import gc
import os
from argparse import Namespace
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn.studies.protocol import Watch
from edgedyn.studies.selection import rehearse
from edgedyn.studies.store import Store
from papers.jiang2024.zoo import run as run_zoo
from papers.jiang2024.zoo.candidates import candidate, write_task

HERE = Path(__file__).resolve().parents[1]
TASK, N_TRAIN = "cifar100-a", 2000
CANDIDATES = ("mlp", "cnn4", "vgg", "densenet", "mobilenetv2")
BASELINE = "baseline"
PROBES = {
    "trained-probe": {"frozen": False},
    "probe-64-32": {"units": (64, 32)},
    "probe-512-256-128": {"units": (512, 256, 128)},
}
# A fine epoch of the baseline takes about so many ordinary ones: see ablations/observe.py.
FINE = 3.7


def study(given, name):
    """Return an ablation as a study: the zoo's, with one thing changed."""
    zoo = run_zoo.study(Namespace(**vars(given), task=TASK, workers=1))
    return replace(
        zoo,
        probe=replace(zoo.probe, **PROBES.get(name, {})),
        data=replace(zoo.data, n_train=(given.n_train,)),
        capacitance=Watch(),
        methods=("capacitance", "pooled", "last_value"),
        output=os.path.relpath(folder(given, name), HERE),
    )


def folder(given, name):
    """Return where an ablation's records go."""
    return given.records / f"ablation-{name}"


def run_baseline(given):
    """Train and observe what is not there yet."""
    import keras
    import tensorflow as tf

    from papers.jiang2024.ablations.observe import observe

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    plan = study(given, BASELINE)
    store = Store(folder(given, BASELINE))
    with store.locked():
        keys = [f"{name}-s{seed}" for seed in given.seeds for name in given.candidates]
        there = store.read(keys)
        store.write_study(plan, environment())
        for seed in given.seeds:
            for name in given.candidates:
                record = there.get(f"{name}-s{seed}")
                if record is not None and len(record.epochs) == given.epochs:
                    continue
                record = observe(
                    candidate(name),
                    TASK,
                    HERE / "data" / f"{TASK}.npz",
                    replace(plan.training, seeds=(seed,)),
                    n_train=given.n_train,
                    fine_epochs=given.fine_epochs,
                )
                store.write(f"{name}-s{seed}", record)
                print(f"{BASELINE}: {name} {record.train_seconds:.0f} s", flush=True)
                keras.backend.clear_session()
                gc.collect()


def estimate(given):
    """Print what everything would take, from a few steps of each candidate."""
    rows = rehearse(study(given, BASELINE))
    plain = sum(row["seconds"] for row in rows)
    training = sum(row["epoch_seconds"] for row in rows) * len(given.seeds)
    total = (1 + len(PROBES)) * plain + (FINE - 1) * given.fine_epochs * training
    for row in rows:
        print(f"{row['model']:14}{row['epoch_seconds']:8.2f} s an epoch")
    print(f"one study {timedelta(seconds=round(plain))}, all {timedelta(seconds=round(total))}")


def arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--fine-epochs", type=int, default=5, help="observed in all ways")
    parser.add_argument("--n-train", type=int, default=N_TRAIN)
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--records", type=Path, default=HERE / "records", help="where they go")
    parser.add_argument("--rehearse", action="store_true", help="only estimate what it takes")
    return parser.parse_args()


def main():
    """Run what is not there yet, or estimate."""
    given = arguments()
    given.records = given.records.resolve()
    data = HERE / "data" / f"{TASK}.npz"
    if not data.is_file():
        write_task(TASK, data)
    if given.rehearse:
        estimate(given)
        return
    for name in PROBES:
        print(f"{name}\n{ed.select(study(given, name))}", flush=True)
    run_baseline(given)


if __name__ == "__main__":
    main()
