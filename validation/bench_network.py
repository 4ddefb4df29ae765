"""What whole-network beta_eff costs beside one gradient, and the probe's beside other routes.

Network scope: ResNet50 and MobileNetV2 at 32x32 with random weights and the probe on top, 256
samples in batches of 64, the public call in those it takes by itself; the yardstick is the gradient
of the same loss by all weights of the same model in batches of 64, compiled likewise. Probe scope:
closed form, Hessian-vector products, dense Jacobians. All routes of a comparison run in one process
in turn, round after round; ratios are medians of the rounds' ratios. Peak memory of gradient and
sweeps is that of one process each. Run: ``python validation/bench_network.py`` (needs the extra
"tf"; about five minutes).
"""

import json
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
from edgedyn.nn.meter import CapacitanceMeter

NETWORKS = ("MobileNetV2", "ResNet50")
BATCH, BATCHES, ROUNDS = 64, 4, 5
SMALL = {"features": 64, "units": (32, 16), "classes": 10, "samples": 256}
DEFAULT = {"features": 1024, "units": (256, 128), "classes": 10, "samples": 1024}


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
    # What a user calls: the first call traces and compiles, the others find that with the model.
    ways["public call"] = lambda: nn.neural_capacitance(model, x, y, scope="network")
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
    # Not ru_maxrss: a child inherits its parent's.
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM"))
    print(json.dumps(int(peak.split()[1]) / 1024))


def probe_routes(size, with_dense):
    """Time the degrees of a probe by every route; the routes must agree."""
    inputs = keras.Input((size["features"],))
    backbone = keras.Model(inputs, keras.layers.Identity()(inputs))
    model = nn.attach_probe(backbone, size["classes"], units=size["units"], seed=0)
    rng = np.random.default_rng(0)
    x = np.abs(rng.standard_normal((size["samples"], size["features"]))).astype("f4")
    y = np.arange(len(x)) % size["classes"]
    kinds = {
        "direct": {"nodes": "all"},
        "full": {"coupling": "full", "strength": "signed", "nodes": "all"},
    }
    result = dict(size)
    for coupling, kind in kinds.items():
        meter = CapacitanceMeter(model, batch_size=len(x), **kind)
        x, targets = meter.check_data(x, y)
        other = "two sweeps" if coupling == "direct" else "Hessian-vector products"
        ways = {
            "closed form": lambda m=meter, x=x, t=targets: m.of_features(x, t).mean_strength,
            other: lambda m=meter, x=x, t=targets: m.by_differentiation(x, t)[0].mean_strength,
        }
        if with_dense and coupling == "full":
            ways["dense Jacobians"] = dense_route(model, x, y)
        totals = [work() for work in ways.values()]
        assert np.allclose(totals, totals[0], rtol=1e-3), totals
        seconds, _ = in_turn(ways, ROUNDS)
        result[coupling] = {
            "times_closed_form": {way: ratio(seconds, way, "closed form") for way in ways},
            "median_seconds": {way: median(values) for way, values in seconds.items()},
            "mean_strength": dict(zip(ways, totals, strict=True)),
        }
    return result


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
    results = {
        "network": [against_a_gradient(name) for name in NETWORKS],
        "probe": [probe_routes(SMALL, with_dense=True), probe_routes(DEFAULT, with_dense=False)],
    }
    path = Path(__file__).parent / "results" / "network.json"
    write_text(path, to_json({"environment": environment(), "rounds": ROUNDS, **results}))
    for row in results["network"]:
        print(f"{row['network']}, {row['samples']} samples, times one gradient:")
        for way, value in row["times_gradient"].items():
            print(f"  {way:24s}{value:8.2f}{row['median_seconds'][way]:10.2f} s")
        print(f"  first public call: {row['first_call_seconds']['public call']:.1f} s")
        print(f"  peak memory in MiB: {row['peak_memory_mib']}")
    for row in results["probe"]:
        print(f"probe {row['features']}-{row['units']}-{row['classes']}, times closed form:")
        for coupling in ("direct", "full"):
            print(f"  {coupling}: {row[coupling]['times_closed_form']}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        measure_memory(*sys.argv[2:])
    else:
        main()
