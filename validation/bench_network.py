"""What whole-network beta_eff costs beside one gradient, and the probe's beside other routes.

Network scope: ResNet50 and MobileNetV2 at 32x32 with random weights and the probe on top, batches
of 64, 256 samples; the yardstick is the gradient of the same loss by all weights of the same model
on the same batches, compiled likewise. Probe scope: closed form, Hessian-vector products, dense
Jacobians. All routes of a comparison run in one process in turn, round after round; ratios are
medians of the rounds' ratios. Peak memory of gradient and sweeps is that of one process each.
Run: ``python validation/bench_network.py`` (needs the extra "tf"; about five minutes).
"""

import json
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import keras
import numpy as np
import tensorflow as tf

from edgedyn import nn
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.nn.capacitance import CapacitanceMeter

NETWORKS = ("MobileNetV2", "ResNet50")
BATCH, BATCHES, ROUNDS = 64, 4, 5
PROBE = {"features": 64, "units": (32, 16), "classes": 10, "samples": 256}


def network(name):
    """Build a backbone with its probe, unfrozen for a gradient by every weight, and samples."""
    keras.utils.set_random_seed(0)
    backbone = nn.backbone(name, weights=None, input_shape=(32, 32, 3))
    model = nn.attach_probe(backbone, n_classes=10, frozen=False, seed=0)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (BATCH * BATCHES, 32, 32, 3)).astype(np.uint8)
    return model, x, np.arange(len(x)) % 10


def gradient_of(model):
    """Compile the gradient of the loss by all weights, in inference mode like the sweeps."""
    loss = keras.losses.SparseCategoricalCrossentropy()

    @tf.function
    def gradient(x, y):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=False))
        return tape.gradient(value, model.trainable_weights)

    def over_batches(x, y):
        for start in range(0, len(x), BATCH):
            batch = tf.constant(x[start : start + BATCH], tf.float32)
            last = gradient(batch, tf.constant(y[start : start + BATCH]))
        return last[0].numpy()

    return over_batches


def in_turn(ways, rounds):
    """Seconds of every way, in turn; the first, untimed call compiles."""
    seconds = {name: [] for name in ways}
    first = {}
    for name, work in ways.items():
        start = perf_counter()
        work()
        first[name] = perf_counter() - start
    for _ in range(rounds):
        for name, work in ways.items():
            start = perf_counter()
            work()
            seconds[name].append(perf_counter() - start)
    return seconds, first


def ratio(seconds, of, to):
    """Median of the rounds' ratios."""
    return median(a / b for a, b in zip(seconds[of], seconds[to], strict=True))


def against_a_gradient(name):
    """Whole-network beta_eff beside one gradient evaluation on the same samples."""
    model, x, y = network(name)
    gradient = gradient_of(model)
    meters = {
        "beta_eff": CapacitanceMeter(model, scope="network", batch_size=BATCH),
        "beta_eff, all nodes": CapacitanceMeter(
            model, scope="network", nodes="all", batch_size=BATCH
        ),
        "beta_eff, signed": CapacitanceMeter(
            model, scope="network", strength="signed", batch_size=BATCH
        ),
    }
    checked = {name: meter.check_data(x, y) for name, meter in meters.items()}
    ways = {"gradient": lambda: gradient(x, y)}
    for way, meter in meters.items():
        ways[way] = lambda meter=meter, way=way: meter.measure(*checked[way])
    seconds, first = in_turn(ways, ROUNDS)
    return {
        "network": name,
        "weights": model.count_params(),
        "pairs_of_layers": sum(map(len, meters["beta_eff"].graph.predecessors.values())),
        "samples": len(x),
        "times_gradient": {way: ratio(seconds, way, "gradient") for way in ways},
        "median_seconds": {way: median(values) for way, values in seconds.items()},
        "first_call_seconds": first,
        "peak_memory_mib": {way: peak_memory(name, way) for way in ("nothing", "gradient", "beta")},
    }


def peak_memory(name, way):
    """Peak resident memory of a process of its own that does one thing."""
    command = [sys.executable, __file__, "--memory", name, way]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_memory(name, way):
    """Do one thing over all batches and print the process's peak memory in MiB."""
    model, x, y = network(name)
    if way == "gradient":
        gradient_of(model)(x, y)
    elif way == "beta":
        meter = CapacitanceMeter(model, scope="network", batch_size=BATCH)
        meter.measure(*meter.check_data(x, y))
    print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def probe_routes():
    """Time the full coupling of a small probe by three routes, which must agree."""
    inputs = keras.Input((PROBE["features"],))
    backbone = keras.Model(inputs, keras.layers.Identity()(inputs))
    model = nn.attach_probe(backbone, PROBE["classes"], units=PROBE["units"], seed=0)
    rng = np.random.default_rng(0)
    x = np.abs(rng.standard_normal((PROBE["samples"], PROBE["features"]))).astype("f4")
    y = np.arange(len(x)) % PROBE["classes"]
    kind = {"coupling": "full", "strength": "signed", "nodes": "all"}
    meter = CapacitanceMeter(model, batch_size=len(x), **kind)
    x, targets = meter.check_data(x, y)
    dense = dense_route(model, x, y)
    ways = {
        "closed form": lambda: meter.of_features(x, targets).mean_strength,
        "Hessian-vector products": lambda: meter.by_differentiation(x, targets)[0].mean_strength,
        "dense Jacobians": dense,
    }
    totals = [work() for work in ways.values()]
    assert np.allclose(totals, totals[0], rtol=1e-3), totals
    seconds, _ = in_turn(ways, ROUNDS)
    direct = CapacitanceMeter(model, batch_size=len(x))
    seconds_direct, _ = in_turn(
        {
            "closed form": lambda: direct.of_features(x, targets),
            "two sweeps": lambda: direct.by_differentiation(x, targets),
        },
        20,
    )
    return {
        **PROBE,
        "full, times closed form": {way: ratio(seconds, way, "closed form") for way in ways},
        "direct, times closed form": ratio(seconds_direct, "two sweeps", "closed form"),
        "median_seconds": {way: median(values) for way, values in seconds.items()},
        "mean_strength": dict(zip(ways, totals, strict=True)),
    }


def dense_route(model, x, y):
    """Mean strength of the full coupling from every block's dense second derivative."""
    loss = keras.losses.SparseCategoricalCrossentropy()
    groups = [layer.trainable_variables or layer.weights for layer in model.layers if layer.weights]
    groups = [[w.value for w in group if "moving" not in w.path] for group in groups]

    @tf.function
    def block(below, above):
        flat = [v for k in (below, above) for v in groups[k]]
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(flat)
            with tf.GradientTape() as inner:
                inner.watch(flat)
                value = loss(y, model(x, training=False))
            gradient = inner.gradient(value, groups[below])
        return [
            tf.reduce_sum(j)
            for g in gradient
            for j in outer.jacobian(g, groups[above], experimental_use_pfor=False)
        ]

    n_nodes = sum(int(tf.size(v)) for group in groups for v in group)

    def total():
        parts = [block(k, k + 1) for k in range(len(groups) - 1)]
        return float(sum(float(p) for ps in parts for p in ps)) / n_nodes

    return total


def main():
    """Measure, write the results and print the ratios."""
    results = {"network": [against_a_gradient(name) for name in NETWORKS], "probe": probe_routes()}
    path = Path(__file__).parent / "results" / "network.json"
    write_text(path, to_json({"environment": environment(), "rounds": ROUNDS, **results}))
    for row in results["network"]:
        print(f"{row['network']}, {row['samples']} samples, times one gradient:")
        for way, value in row["times_gradient"].items():
            print(f"  {way:24s}{value:8.2f}{row['median_seconds'][way]:10.2f} s")
        print(f"  peak memory in MiB: {row['peak_memory_mib']}")
    print("probe, full coupling, times closed form:", results["probe"]["full, times closed form"])
    print("probe, direct, two sweeps over closed form:",
          results["probe"]["direct, times closed form"])  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        measure_memory(*sys.argv[2:])
    else:
        main()
