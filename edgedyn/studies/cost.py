"""What a candidate's trials take, here and on a GPU, from a few rehearsed steps.

Left out: the final accuracy on the test images, and training-free scores.
"""

from collections.abc import Callable, Sequence
from typing import Any

from edgedyn._job import Rehearsal, Survey
from edgedyn.studies.study import FINISHING, Study

# One NVIDIA A100 of 40 GB. NVIDIA/DeepLearningExamples (TensorFlow, ResNet-50 v1.5, README) needs
# about 47 h for 90 epochs of ImageNet's 1 281 167 images on it, TF32 without XLA: 681 images/s,
# times 3 x 8.2 GFLOP. The same page has 5.26 ms for one image in inference: 175 Keras layers.
GPU = "NVIDIA A100"
GPU_TFLOPS = 17.0
GPU_LAYER_SECONDS = 30e-6
BACKWARD = 2  # in units of the forward pass
# Forward passes of one beta_eff: of the probe one, of the network about two gradients.
BETA_PASSES = {"probe": 1, "network": 2 * (1 + BACKWARD)}


def cost(study: Study, seen: Survey, rehearsed: Rehearsal, *, gpu_tflops: float) -> dict[str, Any]:
    """Return what all trials of a candidate take.

    `seen` (of the data) and `rehearsed` (of the candidate) are `edgedyn.nn.training.rehearsal`'s;
    `gpu_tflops` is what a GPU sustains, in 1e12 floating-point operations a second. Of the results
    ``epoch_seconds`` is with the most training images, ``flops`` of one image in inference, and
    ``missing`` a list of sentences.
    """
    first = study.first_epochs
    left = study.training.epochs - first if study.stage in FINISHING else 0
    start, sizes, n_seeds = rehearsed.start_seconds, seen.n_train, len(study.training.seeds)
    legs = len(study.heats) - 1 if study.stage == "race" else 1  # each in a process of its own

    def trials(
        epoch: Callable[[int], float], epochs: int, counts: Sequence[int], starts: int = 1
    ) -> float:
        return n_seeds * sum(starts * start + epochs * epoch(n) for n in counts) if epochs else 0.0

    def here(n: int) -> float:
        judged = seen.n_validation * rehearsed.validation_seconds
        return n * rehearsed.train_seconds + judged + rehearsed.watch_seconds

    def gpu(n: int) -> float:
        counts = rehearsed.flops, rehearsed.layers, n, seen.n_validation
        return gpu_epoch_seconds(study, *counts, gpu_tflops)

    most = [max(sizes)]
    return {
        "trials": n_seeds * len(sizes),
        "epochs": first,
        "epoch_seconds": here(most[0]),
        "start_seconds": start,
        "seconds": trials(here, first, sizes),
        "finish_seconds": trials(here, left, most, legs),
        "gpu_seconds": trials(gpu, first, sizes),
        "gpu_finish_seconds": trials(gpu, left, most, legs),
        "memory_mib": rehearsed.memory_mib,
        "parameters": rehearsed.parameters,
        "flops": rehearsed.flops,
        "missing": [one for one in (seen.missing, rehearsed.missing) if one],
    }


def gpu_epoch_seconds(
    study: Study, flops: float, layers: int, n_train: int, n_validation: int, tflops: float
) -> float:
    """Estimate an epoch on a GPU from counts: no GPU is asked.

    A batch takes its floating-point operations (`flops` of one image in inference) divided by what
    the GPU sustains, but no less than `GPU_LAYER_SECONDS` a layer; training three times the forward
    pass.

    >>> from edgedyn.studies.study import read_study
    >>> study = read_study({"data": "cifar10", "candidates": ["ResNet50"]})
    >>> round(1281167 / gpu_epoch_seconds(study, 8.2e9, 175, 1281167, 0, 17.0))  # images a second
    691
    """
    size = study.training.batch_size

    def forward(n: int) -> float:
        batches, rest = divmod(n, size)
        image, floor = flops / (tflops * 1e12), GPU_LAYER_SECONDS * layers
        return batches * max(size * image, floor) + (max(rest * image, floor) if rest else 0.0)

    passes = BETA_PASSES[study.capacitance.scope]
    beta = passes * forward(min(study.capacitance.n_samples, n_train))
    return (1 + BACKWARD) * forward(n_train) + forward(n_validation) + beta
