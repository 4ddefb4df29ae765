"""What predictors cost: LogME against its decomposition, the capacitance rule, all measures.

LogME: 5000 samples of 2048 features and 100 classes, in turn with the plain eigendecomposition of
the same Gram matrix with and without forming it; medians of the rounds' ratios (target: 1.5 times
the one eigendecomposition). Capacitance rule: fit and final prediction with its standard deviation
for one candidate, 5 and 20 epochs (target: 5 ms). Side by side: transferability measures on the
LogME features, and every training-free proxy and transferability measure of one untrained
MobileNetV2 on a batch of random images (its batch norms set by one pass). Run:
``python validation/bench_predictors.py`` (two to three minutes on two cores; needs the extra tf).
"""

from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.predict import transferability as tr

N, D, C, C_SOURCE = 5000, 2048, 100, 1000
ROUNDS = 5
IMAGES, SIDE = 32, 96


def timed(work):
    """Return seconds and the result."""
    start = perf_counter()
    result = work()
    return perf_counter() - start, result


def rounds(ways, n=ROUNDS):
    """Run all ways in turn; return the seconds of each."""
    seconds = {name: [] for name in ways}
    for _ in range(n):
        for name, work in ways.items():
            seconds[name].append(timed(work)[0])
    return seconds


def features():
    """Return features like those of a network (not negative), labels and source probabilities."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, C, N)
    F = np.maximum(rng.standard_normal((N, D)) + rng.standard_normal((C, D))[y], 0)
    z = rng.standard_normal((N, C_SOURCE)) + 3 * rng.standard_normal((C, C_SOURCE))[y]
    theta = np.exp(z)
    return F, y, theta / theta.sum(axis=1, keepdims=True)


def logme(F, y):
    """Time LogME against its one eigendecomposition."""
    gram = F.T @ F
    ways = {
        "eigendecomposition": lambda: np.linalg.eigh(gram),
        "eigendecomposition with Gram matrix": lambda: np.linalg.eigh(F.T @ F),
        "logme": lambda: tr.logme(F, y),
    }
    seconds = rounds(ways)
    svd, _ = timed(lambda: np.linalg.svd(F, full_matrices=False))

    def ratio(name):
        return median(a / b for a, b in zip(seconds["logme"], seconds[name], strict=True))

    return {
        "samples": N,
        "features": D,
        "classes": C,
        "seconds": seconds,
        "seconds_svd": svd,
        "times_the_eigendecomposition": ratio("eigendecomposition"),
        "times_it_with_gram_matrix": ratio("eigendecomposition with Gram matrix"),
        "times_the_svd": median(seconds["logme"]) / svd,
    }


def capacitance():
    """Time the paper's rule for one candidate."""
    found = {}
    for epochs in (5, 20):
        beta = 0.5 * np.arange(1, epochs + 1) ** -0.7
        accuracy = 0.9 - 0.6 * beta + 0.01 * np.sin(np.arange(epochs))

        def rule(beta=beta, accuracy=accuracy):
            fitted = ed.NeuralCapacitanceRegressor(t0="bic").fit(beta[:, None], accuracy)
            return fitted.predict_final(return_std=True)

        rule()  # imports
        found[f"{epochs} epochs"] = 1000 * median(rounds({"rule": rule}, 50)["rule"])
    return found


def measures(F, y, theta):
    """Time the pure functions on the same data."""
    source = theta.argmax(axis=1)
    ways = {
        "nce": lambda: tr.nce(source, y),
        "leep": lambda: tr.leep(theta, y),
        "logme": lambda: tr.logme(F, y),
        "h_score": lambda: tr.h_score(F, y),
        "h_score_shrunk": lambda: tr.h_score(F, y, covariance="ledoit_wolf"),
    }
    rows = {}
    for name, work in ways.items():
        seconds, score = timed(work)
        rows[name] = {**score.to_dict(), "seconds": seconds}
    return rows


def network():
    """Compute all proxies and measures of one network."""
    from keras.applications import MobileNetV2
    from keras.layers import BatchNormalization

    from edgedyn import nn

    model = MobileNetV2(input_shape=(SIDE, SIDE, 3), weights=None, classes=10)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((IMAGES, SIDE, SIDE, 3)), np.arange(IMAGES) % 10
    for layer in model.layers:  # else signals vanish: an untrained batch norm has seen no data
        if isinstance(layer, BatchNormalization):
            layer.momentum = 0.0
    model(x.astype(np.float32), training=True)
    many = rng.standard_normal((8 * IMAGES, SIDE, SIDE, 3))
    return {
        "model": "MobileNetV2, untrained, with the batch's statistics in its batch norms",
        "side": SIDE,
        "proxies": nn.zero_cost(model, x, y).to_dict(),
        "transfer": nn.transfer_scores(model, many, np.arange(8 * IMAGES) % 10).to_dict(),
    }


def table(rows):
    """Print name, value, status and seconds."""
    for name, row in rows.items():
        print(f"  {name:<17}{row['value']:>14.6g}  {row['status']:<16}{row['seconds']:>9.4f} s")


def main():
    """Measure everything and write the results."""
    F, y, theta = features()
    results = {"logme": logme(F, y), "capacitance_ms": capacitance()}
    print(
        f"LogME {median(results['logme']['seconds']['logme']):.2f} s: "
        f"{results['logme']['times_the_eigendecomposition']:.2f} times its eigendecomposition, "
        f"{results['logme']['times_it_with_gram_matrix']:.2f} with the Gram matrix, "
        f"{results['logme']['times_the_svd']:.2f} times one SVD"
    )
    print("capacitance rule, ms a candidate:", results["capacitance_ms"])
    results["measures"] = measures(F, y, theta)
    print(f"{N} samples, {D} features, {C_SOURCE} source classes, {C} classes:")
    table(results["measures"])
    results["network"] = network()
    print(f"MobileNetV2, {IMAGES} images of side {SIDE}:")
    table(results["network"]["proxies"]["proxies"])
    transfer = results["network"]["transfer"]
    print(f"MobileNetV2, {transfer['n_samples']} images, pass {transfer['seconds']['features']:.2f}"
          " s:")  # fmt: skip
    table({name: {**transfer[name], "seconds": transfer["seconds"][name]}
           for name in results["measures"]})  # fmt: skip
    path = Path(__file__).parent / "results" / "predictors.json"
    write_text(path, to_json({"environment": environment(), "rounds": ROUNDS, **results}))


if __name__ == "__main__":
    main()
