"""Fine-tune the zoo on a task by `edgedyn.select`, or estimate what that takes.

Tasks: the two halves of 40 classes of CIFAR-100 (20 classes each, 2000 training, 1000 validation,
2000 test images) and Fashion-MNIST (1000, 500 and 500). Protocol of the paper: batches of 64, a
learning rate of 1e-3, frozen probe; with Adam, 30 epochs and all candidates to the end. The batch
norms of the candidates have momentum 0.9: Keras' 0.99 averages over about 100 steps, three epochs
here, so that early validation accuracies, which everything is predicted from, would lag behind
(see the site's page of limits).

Records go to ``records/TASK/records/``, one file a trial; the folder holds checkpoints, too, which
let an interrupted run go on where it was. With ``--probe trained`` everything is the same but that
the probe is trained, too; these go to ``records/TASK-trained-probe/records/``. Estimate, then run
without ``--rehearse``:
``EDGEDYN_DATA=... python -m papers.jiang2024.zoo.run --task cifar100-a --rehearse``
"""

import argparse
import os
import time
from datetime import timedelta
from pathlib import Path

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn.studies.progress import describe
from edgedyn.studies.selection import rehearse
from edgedyn.studies.study import Study, read_study
from papers.jiang2024.zoo.candidates import IMAGE_SIZE, TASKS, TRAINED, ZOO, candidate, write_task

# Up to a third faster on processors where TensorFlow leaves it off; trials inherit it.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
ABLATED = "cifar100-a"
MEASURES = "papers.jiang2024.ablations.measures:measures"
HERE = Path(__file__).resolve().parents[1]
METHODS = (
    "capacitance",
    "pooled",
    "last_value",
    "best_value",
    "logme",
    "h_score",
    "naswot",
    "synflow",
)


def study(given: argparse.Namespace, probe: str = "frozen") -> Study:
    """Return the study of a task; all its paths are relative to this folder."""
    frozen = probe == "frozen"
    measured = frozen and given.task == ABLATED
    values = {
        "data": {
            "spec": f"npz:data/{given.task}.npz",
            "image_size": IMAGE_SIZE,
            **TASKS[given.task],
        },
        "candidates": [candidate(name) for name in given.candidates],
        "training": {
            "epochs": given.epochs,
            "early_epochs": 5,
            "batch_size": 64,
            "learning_rate": 1e-3,
            "batch_norm_momentum": 0.9,
            "seeds": given.seeds,
        },
        "probe": {"frozen": frozen},
        # Other forms of beta_eff and the controls, after each epoch; they cost a third of the time.
        "capacitance": {"measures": MEASURES} if measured else {},
        "methods": list(METHODS),
        "stage": "full",
        "engine": {"workers": given.workers, "threads": given.threads},
        "output": f"records/{given.task}" + ("" if frozen else TRAINED),
    }
    return read_study(values, HERE)


def estimate(plan: Study, task: str) -> None:
    """Print and write what a trial of each candidate would take."""
    rows = rehearse(plan)
    print(f"{'candidate':20}{'weights':>10}{'s/epoch':>9}{'start s':>9}{'s/trial':>9}{'MiB':>7}")
    total = 0.0
    for row in rows:
        if "reason" in row:
            print(f"{row['model']:20}failed: {row['reason']}")
            continue
        row["trial_seconds"] = row["seconds"] / row["trials"]
        total += row["seconds"]
        print(
            f"{row['model']:20}{row['parameters']:10,}{row['epoch_seconds']:9.2f}"
            f"{row['start_seconds']:9.1f}{row['trial_seconds']:9.0f}{row['memory_mib']:7.0f}"
        )
    print(f"{len(plan.trials)} trials, one after another: {timedelta(seconds=round(total))}")
    result = {"task": task, "candidates": rows, "seconds": total, "environment": environment()}
    folder = output_folder(HERE / "results")
    name = Path(plan.output).name
    write_text(folder / f"zoo_seconds_{name}.json", to_json(result) + "\n")


def line_a_minute():
    """Return a progress function for logs."""
    last = [0.0]

    def progress(status) -> None:
        if time.monotonic() - last[0] > 60:
            last[0] = time.monotonic()
            print(describe(status), flush=True)

    return progress


def run(plan: Study) -> None:
    """Run what is not there yet, and print the ranking after the early epochs."""
    print(ed.select(plan, progress=line_a_minute()))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--candidates", nargs="+", choices=ZOO, default=list(ZOO), metavar="NAME")
    parser.add_argument("--probe", choices=("frozen", "trained"), default="frozen")
    parser.add_argument("--workers", type=int, default=1, help="trials at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each trial")
    parser.add_argument("--rehearse", action="store_true", help="only estimate what it takes")
    return parser.parse_args()


def main() -> None:
    """Write the task's data where they are not there, then run or rehearse."""
    given = arguments()
    data = HERE / "data" / f"{given.task}.npz"
    if not data.is_file():
        write_task(given.task, data)
    plan = study(given, given.probe)
    if given.rehearse:
        estimate(plan, given.task)
    else:
        run(plan)


if __name__ == "__main__":
    main()
