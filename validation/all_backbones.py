"""Build the paper's 17 backbones at 32x32 with random weights and measure beta_eff of the probe.

Also compares `nn.list_backbones()` with what was built. Run: ``python validation/all_backbones.py``
(needs the extra "tf"; about two minutes on two cores).
"""

import sys
from pathlib import Path
from time import perf_counter

import keras
import numpy as np

from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text

KERNELS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
)
SAMPLES = 64


def measured(info, images, labels):
    """Build one backbone, put the probe on and measure."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    start = perf_counter()
    backbone = nn.backbone(info.name, weights=None, input_shape=(32, 32, 3))
    model = nn.attach_probe(backbone, n_classes=10, seed=0)
    built = perf_counter()
    cap = nn.neural_capacitance(model, images, labels)
    return {
        "name": info.name,
        "features": backbone.output_shape[1],
        "parameters": backbone.count_params(),
        "depth": sum(isinstance(layer, KERNELS) for layer in backbone.layers),
        "listed": [info.parameters, info.depth],
        "beta_eff": cap.value,
        "status": cap.status,
        "seconds_to_build": built - start,
        "seconds_to_measure": perf_counter() - built,
    }


def main():
    """Measure all, write the results, fail if one of them is not finite or not as listed."""
    digits = nn.load_dataset("digits", image_size=32).train.first(SAMPLES)
    rows = []
    for info in nn.list_backbones():
        rows.append(measured(info, digits.x, digits.y))
        row = rows[-1]
        print(f"{row['name']:18s} beta_eff {row['beta_eff']:.4g} ({row['status']})", flush=True)
    path = Path(__file__).parent / "results" / "all_backbones.json"
    settings = {"samples": SAMPLES, "image": [32, 32, 3], "weights": None, "seed": 0}
    write_text(path, to_json({"environment": environment(), "settings": settings, "rows": rows}))
    wrong = [
        r["name"]
        for r in rows
        if not np.isfinite(r["beta_eff"]) or r["listed"] != [r["parameters"], r["depth"]]
    ]
    if wrong:
        sys.exit(f"not finite, or not as listed: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
