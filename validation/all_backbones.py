"""Build every known backbone with random weights and measure beta_eff of probe and network.

The paper's 17 networks and all others of ``keras.applications`` at 32x32, and KerasHub's image
networks: of the probe on 64 digits, and of the whole network on 8 of them. Compares
`nn.list_backbones()` with what was built. Writes ``results/all_backbones.json`` and
``all_backbones.md``. Run: ``python -m validation.all_backbones`` (needs the extras "tf" and "hub";
about twenty minutes on two cores).
"""

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import keras
import numpy as np

from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from validation.hub_networks import NETWORKS

KERNELS = (
    keras.layers.Conv2D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv2D,
    keras.layers.Dense,
)
SAMPLES, NETWORK_SAMPLES, SIDE = 64, 8, 32
HERE = Path(__file__).parent


def measured(name, backbone, digits):
    """Put the probe on a backbone that was just built, and measure."""
    start = perf_counter()
    model = nn.attach_probe(backbone, n_classes=10, seed=0)
    cap = nn.neural_capacitance(model, digits.x, digits.y)
    measured_probe = perf_counter()
    few = slice(NETWORK_SAMPLES)
    whole = nn.neural_capacitance(
        model, digits.x[few], digits.y[few], scope="network", batch_size=NETWORK_SAMPLES
    )
    first = perf_counter()
    nn.neural_capacitance(
        model, digits.x[few], digits.y[few], scope="network", batch_size=NETWORK_SAMPLES
    )
    return {
        "name": name,
        "side": digits.x.shape[1],
        "features": backbone.output_shape[1],
        "parameters": backbone.count_params(),
        "beta_eff": cap.value,
        "status": cap.status,
        "network_beta_eff": whole.value,
        "network_status": whole.status,
        "network_layers": len(whole.per_layer),
        "seconds_to_measure": measured_probe - start,
        "seconds_of_network_first": first - measured_probe,
        "seconds_of_network": perf_counter() - first,
    }


def depth(backbone):
    """Count kernels; a separable convolution has two."""
    return sum(
        1 + isinstance(layer, keras.layers.SeparableConv2D)
        for layer in backbone.layers
        if isinstance(layer, KERNELS)
    )


def subjects():
    """Yield name, side, what builds the backbone, and what is listed of it."""
    listed = nn.list_backbones()
    for info in listed:
        yield info.name, SIDE, named, [info.parameters, info.depth]
    known = {info.name for info in listed}
    for name in dir(keras.applications):
        if name[0].isupper() and name not in known:
            yield name, SIDE, named, None
    for name, side, build in NETWORKS:
        yield name, side, lambda name, side, build=build: nn.backbone(pooled(build(side))), None


def named(name, side):
    """Build a network of keras.applications."""
    return nn.backbone(name, weights=None, input_shape=(side, side, 3))


def pooled(body):
    """Let a transformer of KerasHub give the mean over positions."""
    if len(body.output_shape) == 4:
        return body
    mean = keras.layers.GlobalAveragePooling1D()(body.output)
    return keras.Model(body.input, mean, name=body.name)


def row(name, side, build, listed):
    """Build and measure one."""
    keras.utils.set_random_seed(0)
    digits = nn.load_dataset("digits", image_size=side).train.first(SAMPLES)
    start = perf_counter()
    backbone = build(name, side)
    built = {"seconds_to_build": perf_counter() - start}
    if listed is not None:
        built |= {"listed": listed, "depth": depth(backbone)}
    return measured(name, backbone, digits) | built


def in_its_own_process(name):
    """Measure one in a process that returns its memory."""
    command = [sys.executable, "-m", "validation.all_backbones", "--one", name]
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE.parent)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def wrong(one):
    """Tell whether a value is not finite, or the network not as listed."""
    finite = np.isfinite([one["beta_eff"], one["network_beta_eff"]]).all()
    listed = one.get("listed")
    return not finite or (listed and listed != [one["parameters"], one["depth"]])


def table(rows, made):
    """Return the page."""
    lines = [
        "# Backbones",
        "",
        f"AlexNet, every network of `keras.applications` ({len(rows) - len(NETWORKS) - 1}), and "
        "KerasHub's image networks in published sizes, with random weights: beta_eff of the probe "
        f"on {SAMPLES} digits, of the whole network on {NETWORK_SAMPLES}; what the network's first "
        "call took, which traces and compiles, and a second one, on a machine that had other work. "
        "Written by `python -m "
        f"validation.all_backbones`, {made['date'][:10]}, {made['cpu']}, {made['cores']} cores, "
        f"TensorFlow {made['packages']['tensorflow']}, Keras {made['packages']['keras']}.",
        "",
        "| network | side | parameters | layers | probe | network | first call | second |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in rows:
        values = [
            f"{one[value]:.4g}" + ("" if one[status] == "ok" else f" ({one[status]})")
            for value, status in (("beta_eff", "status"), ("network_beta_eff", "network_status"))
        ]
        lines.append(
            f"| {one['name']} | {one['side']} | {one['parameters']:,} | {one['network_layers']} | "
            f"{values[0]} | {values[1]} | {one['seconds_of_network_first']:.1f} s | "
            f"{one['seconds_of_network']:.2f} s |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Measure all, write the results, fail if one of them is not finite or not as listed."""
    rows = []
    for name, *_ in subjects():
        rows.append(in_its_own_process(name))
        one = rows[-1]
        print(
            f"{one['name']:26s} probe {one['beta_eff']:.4g} ({one['status']}), network "
            f"{one['network_beta_eff']:.4g} ({one['network_status']}, {one['network_layers']} "
            f"layers, {one['seconds_of_network_first']:.0f} s)",
            flush=True,
        )
    made = environment()
    settings = {"samples": [SAMPLES, NETWORK_SAMPLES], "weights": None, "seed": 0}
    results = {"environment": made, "settings": settings, "rows": rows}
    write_text(HERE / "results" / "all_backbones.json", to_json(results))
    write_text(HERE / "all_backbones.md", table(rows, made))
    if bad := [one["name"] for one in rows if wrong(one)]:
        sys.exit(f"not finite, or not as listed: {', '.join(bad)}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(row(*next(s for s in subjects() if s[0] == sys.argv[2]))))
    else:
        main()
