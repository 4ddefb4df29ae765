"""GPU hours and disk of the full-scale experiment, from counts alone: nothing is run or needed.

The rule is `edgedyn.studies.cost.gpu_epoch_seconds`; what a trial's start takes is left out
(``edgedyn select STUDY.toml --dry-run`` adds it). Writes hours.md and hours.json beside itself:
``python -m papers.jiang2024.full.hours`` (a minute or two).
"""

from pathlib import Path

from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.nn.graph.extract import without_values
from edgedyn.nn.models.flops import work
from edgedyn.nn.training.rehearsal import KNOWN
from edgedyn.studies.cost import GPU, GPU_LAYER_SECONDS, GPU_TFLOPS, gpu_epoch_seconds
from edgedyn.studies.study_file import load_study

HERE = Path(__file__).resolve().parent
TASKS = ("cifar10", "cifar100", "fashion-mnist", "svhn", "birds")
BYTES = 4
STATES = 3  # a checkpoint has the weights and Adam's two moments


def counts(side):
    """Return the work of every backbone and its parameters, at one image size."""
    found = {}
    for row in nn.list_backbones():
        with without_values():
            model = nn.backbone(row.name, weights=None, input_shape=(side, side, 3))
        one = work(model)
        found[row.name] = {"flops": one.flops, "layers": one.layers, "parameters": row.parameters}
    return found


def judged(name, known):
    """Return trials, GPU hours and disk of a study."""
    study = load_study(HERE / f"{name}.toml", {})
    data = KNOWN[study.data.spec.partition(":")[0]]
    validation = data.validation or study.data.validation_size
    full = study.stage == "full"
    epochs = study.training.epochs if full else study.training.early_epochs
    sizes = study.data.n_train or (data.train,)
    seconds = parameters = 0
    for one in study.candidates:
        row = known[one.backbone]
        for n in sizes:
            counts = row["flops"], row["layers"], n, validation
            epoch = gpu_epoch_seconds(study, *counts, GPU_TFLOPS)
            seconds += len(study.training.seeds) * epochs * epoch
            parameters += len(study.training.seeds) * row["parameters"]
    kept = 1 if full else STATES
    return {
        "study": name,
        "trials": len(study.trials),
        "gpu_hours": seconds / 3600,
        "disk_gb": kept * BYTES * parameters / 1e9,
    }


def page(rows, made):
    """Return hours.md."""
    lines = [
        "# What the full scale takes",
        "",
        f"Made by `hours.py` (edgedyn {made['edgedyn']}, {made['date'][:10]}); do not edit. An "
        f"estimate from counts, not measured: one {GPU} that sustains {GPU_TFLOPS:g} TFLOP/s, at "
        f"least {1e6 * GPU_LAYER_SECONDS:.0f} microseconds a layer and pass. Disk: the finished "
        "networks of full studies, the last checkpoints of early ones.",
        "",
        "| study | trials | GPU hours | disk, GB |",
        "| --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        lines.append(
            f"| {row['study']} | {row['trials']} | {row['gpu_hours']:.0f} | {row['disk_gb']:.0f} |"
        )
    total = {k: sum(row[k] for row in rows) for k in ("trials", "gpu_hours", "disk_gb")}
    lines.append(f"| all | {total['trials']} | {total['gpu_hours']:.0f} | {total['disk_gb']:.0f} |")
    return "\n".join(lines) + "\n"


def main():
    """Count, and write both files."""
    by_side = {}
    rows = []
    for name in (f"{task}{end}" for task in TASKS for end in ("", "-sizes")):
        side = KNOWN[load_study(HERE / f"{name}.toml", {}).data.spec.partition(":")[0]].side
        if side not in by_side:
            print(f"counting at {side} pixels", flush=True)
            by_side[side] = counts(side)
        rows.append(judged(name, by_side[side]))
    made = environment()
    backbones = [
        {"side": side, "model": model, **row}
        for side, known in by_side.items()
        for model, row in known.items()
    ]
    result = {"environment": made, "studies": rows, "backbones": backbones}
    write_text(HERE / "hours.json", to_json(result) + "\n")
    write_text(HERE / "hours.md", page(rows, made))


if __name__ == "__main__":
    main()
