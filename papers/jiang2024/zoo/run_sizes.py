"""Train the zoo for its first epochs on fewer samples: what Fig. 3c is made of.

The protocol of zoo/run.py, stopped after the early epochs; without the ablations' measures. Records
go to ``records/TASK-sizes/records/``; with ``--split ordered``, the paper's choice (the first
N images as stored train, the last ones validate, whatever the seed), to ``TASK-sizes-ordered``,
which tables/tables.py does not read. The truth that predictions are compared with is the final
accuracy of zoo/run.py's full runs, so only its candidates and seeds are of use. Estimate, then run
without ``--rehearse``:
``EDGEDYN_DATA=... python -m papers.jiang2024.zoo.run_sizes --task cifar100-a --rehearse``
"""

import argparse
from dataclasses import replace
from datetime import timedelta

import edgedyn as ed
from edgedyn.studies.protocol import SPLITS, Watch
from edgedyn.studies.selection import rehearse
from papers.jiang2024.zoo import run as run_zoo
from papers.jiang2024.zoo.candidates import TASKS, ZOO, write_task

CHEAP = ("mlp", "mlp-scratch", "cnn2", "cnn4", "cnn4-scratch", "vgg", "vgg-scratch", "mobilenetv2",
         "resnet8", "resnet8-scratch", "squeezenet", "squeezenet-scratch")  # fmt: skip


def study(given):
    """Return the study of a task with fewer samples."""
    plan = run_zoo.study(given)
    ending = "" if given.split == "stratified" else f"-{given.split}"
    return replace(
        plan,
        data=replace(plan.data, n_train=tuple(given.n_train), split=given.split),
        capacitance=Watch(),
        stage="early",
        output=f"records/{given.task}-sizes{ending}",
    )


def arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--n-train", type=int, nargs="+", default=[250, 500, 1000])
    parser.add_argument("--split", choices=SPLITS, default="stratified", help="drawn, or as stored")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--candidates", nargs="+", choices=ZOO, default=list(CHEAP), metavar="NAME")
    parser.add_argument("--workers", type=int, default=1, help="trials at a time")
    parser.add_argument("--threads", type=int, default=1, help="of each trial")
    parser.add_argument("--rehearse", action="store_true", help="only estimate what it takes")
    return parser.parse_args()


def main():
    """Run what is not there yet, or estimate."""
    given = arguments()
    given.epochs = 30  # of the full runs; early trials stop after five
    data = run_zoo.HERE / "data" / f"{given.task}.npz"
    if not data.is_file():
        write_task(given.task, data)
    plan = study(given)
    if given.rehearse:
        seconds = sum(row.get("seconds", 0.0) for row in rehearse(plan))
        print(f"{len(plan.trials)} trials, one after another: {timedelta(seconds=round(seconds))}")
    else:
        ed.select(plan)
        print(f"{len(plan.trials)} trials in {plan.output}; tables/tables.py judges them")


if __name__ == "__main__":
    main()
