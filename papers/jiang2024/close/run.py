"""The close zoo: real backbones that train to convergence, the paper's own regime.

Ten pretrained networks: MobileNet v1 of four widths and MobileNetV2 from ImageNet, MobileNetV2
from iNaturalist's birds, SqueezeNet from ImageNet, all at 64 pixels, and three ResNets from
CIFAR-10 at the 32 pixels they know. `CLOSE` are those of one kind (MobileNets of at least half the
width), whose accuracies lie near each other; the choice was made before any of them was run.

Data go to ``data/TASK.npz``, records to ``records/close-TASK[-VARIANT]/``. Each trial trains on 500
images in batches of 32 for 20 epochs, after which most training losses (inference mode) are below
0.3, and is validated on 1000. Estimate, then run without ``--rehearse``:
``EDGEDYN_DATA=... python -m papers.jiang2024.close.run --task cifar10 --rehearse``
"""

import argparse

import numpy as np

from edgedyn.studies.study import read_study
from papers.jiang2024.zoo import weights as zoo_weights
from papers.jiang2024.zoo.candidates import write_task
from papers.jiang2024.zoo.run import HERE, estimate, run

SIDE, CIFAR_SIDE = 64, 32
TASKS = ("cifar10", "cifar100-a", "fashion-mnist")
N_TRAIN, N_VALIDATION, N_TEST = 500, 1000, 2000
EPOCHS, BATCH = 20, 32

_NPZ = "papers.jiang2024.close.run:mobilenet"
CANDIDATES = {
    "mobilenet-0.25": ("papers.jiang2024.zoo.networks:mobilenet", {}, SIDE),
    "mobilenet-0.5": (_NPZ, {"file": "imagenet_mobilenet_v1_0.5_160", "alpha": 0.5}, SIDE),
    "mobilenet-0.75": (_NPZ, {"file": "imagenet_mobilenet_v1_0.75_192", "alpha": 0.75}, SIDE),
    "mobilenet-1.0": (_NPZ, {"file": "imagenet_mobilenet_v1_1.0_224", "alpha": 1.0}, SIDE),
    "mobilenetv2": (_NPZ, {"file": "imagenet_mobilenet_v2_1.0_224", "version": 2}, SIDE),
    "mobilenetv2-birds": (_NPZ, {"file": "inat_birds_mobilenet_v2_1.0_224", "version": 2}, SIDE),
    "squeezenet": ("papers.jiang2024.zoo.networks:squeezenet", {}, SIDE),
    "resnet8": ("papers.jiang2024.zoo.networks:resnet8", {}, CIFAR_SIDE),
    "resnet20": ("papers.jiang2024.zoo.networks:cifar_resnet", {"depth": 20}, CIFAR_SIDE),
    "resnet32": ("papers.jiang2024.zoo.networks:cifar_resnet", {"depth": 32}, CIFAR_SIDE),
}
CLOSE = ("mobilenet-0.5", "mobilenet-0.75", "mobilenet-1.0", "mobilenetv2", "mobilenetv2-birds")
# What is left out together where a family is: siblings share what they have learnt.
FAMILIES = {
    "mobilenet": ("mobilenet-0.25", "mobilenet-0.5", "mobilenet-0.75", "mobilenet-1.0"),
    "mobilenetv2": ("mobilenetv2", "mobilenetv2-birds"),
    "squeezenet": ("squeezenet",),
    "resnet": ("resnet8", "resnet20", "resnet32"),
}
# How a variant differs from the close zoo itself.
VARIANTS = {
    "identity": {},
    "statistics": {"probe": {"batch_norm": "statistics"}},
    "trained": {"probe": {"frozen": False}},
    "slow": {"training": {"learning_rate": 2e-4}},
    # For Fig. 3c: the early epochs on fewer images; the truth is that of the full runs.
    "sizes": {"data": {"n_train": [125, 250]}, "stage": "early"},
}
METHODS = (
    "capacitance",
    "pooled",
    "last_value",
    "best_value",
    "logme",
    "h_score",
    "nce",
    "leep",
)


def mobilenet(file, alpha=1.0, version=1, input_shape=(SIDE, SIDE, 3)):
    """Return a MobileNet without its classifier, with the weights of one of the npz files.

    Parameters
    ----------
    file : str
        Its name without suffix.
    alpha : float
        Width.
    version : {1, 2}
    input_shape : (height, width, 3)
    """
    from edgedyn import nn

    name = {1: "MobileNet", 2: "MobileNetV2"}[version]
    path = zoo_weights.data_file("weights", f"{file}.npz")
    return nn.backbone(name, weights=path, alpha=alpha, input_shape=tuple(input_shape))


def write_data(task):
    """Write a task's images where they are not there yet."""
    path = HERE / "data" / f"{task}.npz"
    if path.is_file():
        return
    if task != "cifar10":
        write_task(task, path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with np.load(zoo_weights.data_file("images", "cifar10.npz")) as stored:
        arrays = dict(stored)
    for name in ("x_test", "y_test"):
        arrays[name] = arrays[name][:N_TEST]
    unfinished = path.with_name(f".{path.name}")
    np.savez_compressed(unfinished, **arrays)
    unfinished.replace(path)


def folder_of(task, variant="identity"):
    """Return the folder of a study's records, below this one."""
    return f"records/close-{task}" + ("" if variant == "identity" else f"-{variant}")


def study(task, variant="identity", *, seeds, epochs=EPOCHS, candidates=None, workers=1):
    """Return the study of a task; all its paths are relative to this folder."""
    changes = VARIANTS[variant]
    values = {
        "data": {
            "spec": f"npz:data/{task}.npz",
            "image_size": SIDE,
            "validation_size": N_VALIDATION,
            "n_train": [N_TRAIN],
            **changes.get("data", {}),
        },
        "candidates": [_candidate(name) for name in candidates or CANDIDATES],
        "training": {
            "epochs": epochs,
            "early_epochs": 5,
            "batch_size": BATCH,
            "learning_rate": 1e-3,
            "batch_norm_momentum": 0.9,
            "seeds": list(seeds),
            **changes.get("training", {}),
        },
        "probe": changes.get("probe", {}),
        "capacitance": {"measures": "papers.jiang2024.close.measures:measures"},
        "methods": list(METHODS),
        "stage": changes.get("stage", "full"),
        "engine": {"workers": workers, "threads": 1},
        "output": folder_of(task, variant),
    }
    return read_study(values, HERE)


def _candidate(name):
    """Return a candidate as `edgedyn.select` takes it."""
    function, options, side = CANDIDATES[name]
    return {"name": name, "factory": function, "options": options, "image_size": side}


def arguments():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=TASKS, required=True)
    parser.add_argument("--variant", choices=VARIANTS, default="identity")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, metavar="NAME")
    parser.add_argument("--workers", type=int, default=1, help="trials at a time")
    parser.add_argument("--rehearse", action="store_true", help="only estimate what it takes")
    return parser.parse_args()


def main():
    """Write the task's data where they are not there, then run or rehearse."""
    given = arguments()
    write_data(given.task)
    plan = study(
        given.task,
        given.variant,
        seeds=given.seeds,
        epochs=given.epochs,
        candidates=given.candidates,
        workers=given.workers,
    )
    if given.rehearse:
        estimate(plan, given.task)
    else:
        run(plan)


if __name__ == "__main__":
    main()
