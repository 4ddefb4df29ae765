"""How costs grow: samples, width, depth, image side, nodes, candidates, seeds, records.

Processor seconds, the least of three calls, after one that compiles; the exponent of a power law
through the three largest sizes, beside the one that counting operations gives. Writes
``results/growth.json`` and ``growth.md``. Run: ``python -m validation.growth`` (about three minutes
on two cores; the row of images needs the extra "tf").
"""

import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import nan
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.reduction import mutualistic, steady_state
from edgedyn.studies import EpochRecord, TrialRecord
from edgedyn.studies.store import Store, load_records
from validation.bench_reduction import network

HERE = Path(__file__).parent
LARGEST = 3  # sizes of a fit: below, what does not grow takes most of the time


@dataclass(frozen=True)
class Growth:
    """One cost against one size.

    Parameters
    ----------
    what, size : str
    theory : float
        The exponent of the count of operations.
    why : str
    prepare : callable
        Makes of a size what is timed.
    values : tuple of int
    """

    what: str
    size: str
    theory: float
    why: str
    prepare: Callable[[int], Callable[[], Any]]
    values: tuple[int, ...]


def perceptron(sizes, samples):
    """Return a call of beta_eff on a random network and random samples."""
    net = ed.ReLUMLP.random(sizes, seed=0)
    X = np.random.default_rng(0).standard_normal((samples, sizes[0]))
    y = np.arange(samples) % sizes[-1]
    return lambda: ed.neural_capacitance(net, X, y)


def images(side):
    """Return a call of network beta_eff on a small convolutional network."""
    import keras
    from keras import layers as kl

    from edgedyn import nn

    inputs = keras.Input((side, side, 3))
    x = kl.Conv2D(16, 3, padding="same", activation="relu")(inputs)
    x = kl.Conv2D(16, 3, padding="same", activation="relu")(x)
    x = kl.Dense(10, activation="softmax")(kl.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, x)
    samples = np.random.default_rng(0).standard_normal((32, side, side, 3)).astype("float32")
    y = np.arange(32) % 10
    return lambda: nn.neural_capacitance(model, samples, y, scope="network")


def records(candidates, seeds):
    """Return records of runs whose accuracies rise."""
    rng = np.random.default_rng(0)
    found = []
    for k in range(candidates):
        for seed in range(seeds):
            accuracy = 0.5 + 0.4 * rng.random() * (1 - np.exp(-np.arange(1, 21) / 5))
            epochs = tuple(
                EpochRecord(e, 1.0, a, a, float(np.exp(-e / 4)), "ok")
                for e, a in enumerate(accuracy.tolist(), start=1)
            )
            found.append(TrialRecord(f"m{k}", "task", seed, {}, epochs, "completed", 1.0, 0.1))
    return found


def ranking(candidates, seeds):
    """Return a call of `ed.rank`."""
    runs, methods = records(candidates, seeds), ["capacitance", "pooled", "last_value"]
    return lambda: ed.rank(runs, methods, n_validation=500, n_bootstrap=200)


def loading(n):
    """Return a call that loads so many records of 20 epochs."""
    folder = tempfile.mkdtemp()
    store = Store(folder)
    for one in records(n, 1):
        store.write(f"{one.model}-s0", one)
    return lambda: load_records(folder)


def steady(n):
    """Return a search for a steady state of a random network of ten links a node."""
    A, system = network(n), mutualistic()
    return lambda: steady_state(A, system, "high")


GROWTHS = (
    Growth(
        "beta_eff of [64, 64, 64, 10]",
        "samples",
        1,
        "a few matrix products a sample",
        lambda n: perceptron([64, 64, 64, 10], n),
        (4000, 16_000, 64_000, 256_000),
    ),
    Growth(
        "beta_eff of [n, n, n, 10], 1000 samples",
        "width n",
        2,
        "products with n x n kernels",
        lambda n: perceptron([n, n, n, 10], 1000),
        (128, 256, 512, 1024, 2048),
    ),
    Growth(
        "beta_eff of n layers of 64, 1000 samples",
        "depth n",
        1,
        "two products a layer, no pair is visited",
        lambda n: perceptron([64] * (n + 1), 1000),
        (4, 8, 16, 32),
    ),
    Growth(
        "line graph of [n, n, n, n], exact moments",
        "width n",
        0,
        "nodes of equal degrees are counted together; neither n^2 nodes nor n^3 links are visited",
        lambda n: lambda: ed.line_graph([n] * 4).moments(),
        (256, 512, 1024, 2048),
    ),
    Growth(
        "beta_eff of a CNN, network scope, 32 images",
        "side",
        2,
        "convolutions at each position",
        images,
        (32, 64, 128, 256),
    ),
    Growth(
        "steady state, ten links a node",
        "nodes",
        1,
        "passes over the links, their number hardly grows",
        steady,
        (1000, 10_000, 100_000, 1_000_000),
    ),
    Growth(
        "`ed.rank`, 3 seeds, 3 methods",
        "candidates",
        1,
        "the same draws for each candidate",
        lambda n: ranking(n, 3),
        (32, 64, 128, 256),
    ),
    Growth(
        "`ed.rank`, 17 candidates, 3 methods",
        "seeds",
        1,
        "one more curve a candidate",
        lambda n: ranking(17, n),
        (4, 8, 16, 32),
    ),
    Growth(
        "`load_records`, 20 epochs each",
        "records",
        1,
        "one file each",
        loading,
        (500, 1000, 2000, 4000),
    ),
)


def measured(growth):
    """Return seconds for each size, and the exponent."""
    seconds = []
    for value in growth.values:
        work = growth.prepare(value)
        work()  # compiles
        times = []
        for _ in range(3):
            began = process_time()
            work()
            times.append(process_time() - began)
        seconds.append(min(times))
    sizes, last = growth.values[-LARGEST:], seconds[-LARGEST:]
    exponent = float(np.polyfit(np.log(sizes), np.log(last), 1)[0]) if min(last) > 0 else nan
    row = {k: v for k, v in asdict(growth).items() if k != "prepare"}
    print(f"{growth.what}, {growth.size}: {exponent:.2f} (theory {growth.theory})", flush=True)
    return {**row, "seconds": seconds, "exponent": exponent}


def table(rows, made):
    """Return the page."""
    lines = [
        "# How costs grow",
        "",
        f"Processor seconds; the exponent is that of a power law through the {LARGEST} largest "
        "sizes. Below its theory: what does not grow still counts. Written by `python -m "
        f"validation.growth`, {made['date'][:10]}, {made['cpu']}, one thread of BLAS.",
        "",
        "| cost | size | from | to | exponent | theory | because |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        ends = [f"{row['values'][k]:,}: {row['seconds'][k]:.3g} s" for k in (-LARGEST, -1)]
        lines.append(
            f"| {row['what']} | {row['size']} | {ends[0]} | {ends[1]} | {row['exponent']:.2f} | "
            f"{row['theory']:g} | {row['why']} |"
        )
    return "\n".join(lines) + "\n"


def main():
    """Measure all and write the results."""
    with threadpool_limits(1, "blas"):
        rows = [measured(growth) for growth in GROWTHS]
    made = environment()
    write_text(HERE / "results" / "growth.json", to_json({"environment": made, "rows": rows}))
    write_text(HERE / "growth.md", table(rows, made))


if __name__ == "__main__":
    main()
