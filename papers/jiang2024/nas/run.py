"""Fine-tune cells of NAS-Bench-201 from scratch for a few epochs, or estimate what that takes.

Two samples of the 724 cells whose accuracies are tabulated: one over the whole range of accuracy,
one from the best third alone, where a search has to choose. Each is stratified: cells in the order
of their accuracy, cut into as many groups as there are places, one cell drawn from each.

Not the benchmark's training but one that two cores can do: 8 channels instead of 16, one cell a
stage instead of five, images of 16x16 pixels instead of 32x32, 9000 training images of CIFAR-10
instead of 25 000, 5 epochs instead of 200, Adam, and batches of 32 for 282 steps an epoch. The
accuracies that all is judged by are the benchmark's own. Algorithm 1 as in the other studies: the
network's classifier makes room for the frozen probe, the rest is trained from random weights;
beta_eff is the probe's, that of the whole network is in the records' measures.

Records go to ``records/nas/records/``, one file a cell. Estimate, then run without ``--rehearse``:
``EDGEDYN_DATA=... python -m papers.jiang2024.nas.run --rehearse``
"""

import argparse
from datetime import timedelta
from pathlib import Path

import numpy as np

import edgedyn as ed
from edgedyn.studies.selection import rehearse
from edgedyn.studies.study import Study, read_study
from papers.jiang2024.zoo.run import line_a_minute
from papers.jiang2024.zoo.weights import data_file

HERE = Path(__file__).resolve().parents[1]
FOLDER = HERE / "records" / "nas"
TABLE = ("nas", "nasbench201_724_archs_proxies_accuracy.json")
SEED = 201
RANGE, BEST = 30, 20  # cells of either sample
CHANNELS, CELLS_A_STAGE, IMAGE_SIZE = 8, 1, 16
TRAIN, VALIDATION, TEST = 9000, 1000, 1000
EPOCHS = 5
SAMPLES = 256  # of the whole network's beta_eff
# Without the dearest, which take longer than an epoch here: grasp, zen, te_nas.
PROXIES = ("grad_norm", "snip", "fisher", "synflow", "jacob_cov", "naswot")


# The cells --------------------------------------------------------------------------------------


def table():
    """Return the benchmark's table for CIFAR-10."""
    return ed.nn.load_nas_table(data_file(*TABLE), "cifar10")


def samples(accuracy):
    """Return the places of both samples' cells in the table, by the samples' names.

    Parameters
    ----------
    accuracy : ndarray
    """
    order = np.argsort(accuracy, kind="stable")
    best = order[-(len(order) // 3) :]
    rng = np.random.default_rng(SEED)
    return {"range": _stratified(order, RANGE, rng), "best third": _stratified(best, BEST, rng)}


def _stratified(order, n, rng):
    """Draw one of each of n groups of neighbours."""
    return [int(rng.choice(group)) for group in np.array_split(order, n)]


def name(cell):
    """Return a candidate's name: the six numbers of its cell.

    >>> name((0, 2, 3, 2, 3, 1))
    '023231'
    """
    return "".join(map(str, cell))


# The study --------------------------------------------------------------------------------------


def write_data(path):
    """Write the images: a seeded, stratified part of CIFAR-10."""
    rng = np.random.default_rng(SEED)
    arrays = {}
    with np.load(data_file("images", "cifar10.npz")) as stored:
        for part, size in (("train", TRAIN + VALIDATION), ("test", TEST)):
            y = stored[f"y_{part}"]
            classes = np.unique(y)
            chosen = np.concatenate(
                [rng.permutation(np.flatnonzero(y == c))[: size // len(classes)] for c in classes]
            )
            arrays[f"x_{part}"], arrays[f"y_{part}"] = stored[f"x_{part}"][chosen], y[chosen]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}")
    np.savez_compressed(unfinished, **arrays)
    unfinished.replace(path)


def study(given: argparse.Namespace) -> Study:
    """Return the study of both samples; its relative paths start at this folder."""
    found = table()
    chosen = dict.fromkeys(k for places in samples(found.accuracy).values() for k in places)
    cells = [found.cells[k] for k in chosen][: given.cells]
    values = {
        "data": {
            "spec": "npz:data/nas.npz",
            "image_size": IMAGE_SIZE,
            "validation_size": VALIDATION,
            "n_train": [TRAIN],
        },
        "candidates": [
            {
                "name": name(cell),
                "factory": "edgedyn.nn.models.nas:nas201",
                "options": {
                    "cell": list(cell),
                    "channels": CHANNELS,
                    "n_cells": CELLS_A_STAGE,
                },
            }
            for cell in cells
        ],
        "training": {
            "epochs": given.epochs,
            "early_epochs": min(3, given.epochs),
            "batch_size": 32,
            "learning_rate": 1e-3,
            "seeds": given.seeds,
        },
        "probe": {"frozen": True},
        "capacitance": {"measures": "papers.jiang2024.nas.measures:measures"},
        "methods": ["capacitance", "pooled", "last_value", *PROXIES],
        "stage": "full",
        "engine": {"workers": given.workers, "threads": given.threads},
        "output": str(given.output),
    }
    return read_study(values, HERE)


def estimate(plan: Study) -> None:
    """Print what a trial of the first candidates would take."""
    rows = rehearse(plan)
    print(f"{'cell':10}{'weights':>10}{'s/epoch':>9}{'start s':>9}{'s/trial':>9}{'MiB':>7}")
    for row in rows:
        if "reason" in row:
            print(f"{row['model']:10}failed: {row['reason']}")
            continue
        print(
            f"{row['model']:10}{row['parameters']:10,}{row['epoch_seconds']:9.2f}"
            f"{row['start_seconds']:9.1f}{row['seconds'] / row['trials']:9.0f}"
            f"{row['memory_mib']:7.0f}"
        )
    total = sum(row.get("seconds", 0.0) for row in rows)
    print(f"{len(plan.trials)} trials, one after another: {timedelta(seconds=round(total))}")


def run(plan: Study) -> None:
    """Run what is not there yet, and say how it went."""
    found = ed.select(plan, progress=line_a_minute())
    print(f"{len(found.records)} cells, {len(found.failed)} failed, {found.seconds:.0f} s")
    for record in found.failed:
        print(f"{record.model}: {record.reason}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, help="the first so many cells only")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--workers", type=int, default=1, help="trials at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each trial")
    parser.add_argument("--output", type=Path, default=FOLDER.relative_to(HERE))
    parser.add_argument("--rehearse", action="store_true", help="only estimate what it takes")
    return parser.parse_args()


def main() -> None:
    """Write the images where they are not there, then run or rehearse."""
    given = arguments()
    data = HERE / "data" / "nas.npz"
    if not data.is_file():
        write_data(data)
    plan = study(given)
    if given.rehearse:
        estimate(plan)
    else:
        run(plan)


if __name__ == "__main__":
    main()
