"""Build the paper's 17 backbones at 32x32 with random weights and measure beta_eff.

Of the probe on 64 digits, and of the whole network on 8 of them. Also compares
`nn.list_backbones()` with what was built. Run: ``python validation/all_backbones.py`` (needs the
extra "tf"; about five minutes on two cores).
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
SAMPLES, NETWORK_SAMPLES = 64, 8


def measured(info, images, labels):
    """Build one backbone, put the probe on and measure."""
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    start = perf_counter()
    backbone = nn.backbone(info.name, weights=None, input_shape=(32, 32, 3))
    model = nn.attach_probe(backbone, n_classes=10, seed=0)
    built = perf_counter()
    cap = nn.neural_capacitance(model, images, labels)
    measured_probe = perf_counter()
    few = slice(NETWORK_SAMPLES)
    whole = nn.neural_capacitance(
        model, images[few], labels[few], scope="network", batch_size=NETWORK_SAMPLES
    )
    # A separable convolution has two kernels.
    depth = sum(
        1 + isinstance(layer, keras.layers.SeparableConv2D)
        for layer in backbone.layers
        if isinstance(layer, KERNELS)
    )
    return {
        "name": info.name,
        "features": backbone.output_shape[1],
        "parameters": backbone.count_params(),
        "depth": depth,
        "listed": [info.parameters, info.depth],
        "beta_eff": cap.value,
        "status": cap.status,
        "network_beta_eff": whole.value,
        "network_status": whole.status,
        "network_layers": len(whole.per_layer),
        "seconds_to_build": built - start,
        "seconds_to_measure": measured_probe - built,
        "seconds_of_network": perf_counter() - measured_probe,
    }


def main():
    """Measure all, write the results, fail if one of them is not finite or not as listed."""
    digits = nn.load_dataset("digits", image_size=32).train.first(SAMPLES)
    rows = []
    for info in nn.list_backbones():
        rows.append(measured(info, digits.x, digits.y))
        row = rows[-1]
        print(
            f"{row['name']:18s} probe {row['beta_eff']:.4g} ({row['status']}), network "
            f"{row['network_beta_eff']:.4g} ({row['network_status']}, {row['network_layers']} "
            f"layers, {row['seconds_of_network']:.0f} s)",
            flush=True,
        )
    path = Path(__file__).parent / "results" / "all_backbones.json"
    settings = {
        "samples": [SAMPLES, NETWORK_SAMPLES],
        "image": [32, 32, 3],
        "weights": None,
        "seed": 0,
    }
    write_text(path, to_json({"environment": environment(), "settings": settings, "rows": rows}))
    wrong = [
        r["name"]
        for r in rows
        if not np.isfinite([r["beta_eff"], r["network_beta_eff"]]).all()
        or r["listed"] != [r["parameters"], r["depth"]]
    ]
    if wrong:
        sys.exit(f"not finite, or not as listed: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
