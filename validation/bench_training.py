"""What training costs, beside scikit-learn's MLPClassifier and beside the bare matrix products.

Both train the same sizes by Adam with the same batch size and epochs, without early stopping or
penalty, in one process in turn, round after round; a ratio is the median of the rounds' ratios.
The yardstick from below are the matrix products of one step by BLAS alone, on buffers made
beforehand. Run: ``python validation/bench_training.py``.
"""

import warnings
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

import edgedyn as ed
from edgedyn._data import digits
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text

ROUNDS = 5


def synthetic(n_samples=6000, n_features=784, seed=0):
    """Ten noisy clusters of the size of MNIST's images."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_samples) % 10
    centres = rng.standard_normal((10, n_features))
    return centres[y] + 2 * rng.standard_normal((n_samples, n_features)), y


def sklearn_fit(X, y, sizes, batch, epochs):
    """Train scikit-learn's network for all epochs; return its training accuracy."""
    model = MLPClassifier(
        sizes[1:-1],
        solver="adam",
        alpha=0.0,
        batch_size=batch,
        max_iter=epochs,
        tol=0.0,
        n_iter_no_change=epochs + 1,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    assert model.n_iter_ == epochs
    return model


def own_fit(X, y, sizes, batch, epochs):
    """Train an edgedyn network likewise."""
    net = ed.ReLUMLP.random(sizes, seed=0, dtype=str(X.dtype))
    history = net.fit(X, y, epochs=epochs, batch_size=batch, seed=0)
    assert len(history.loss) == epochs
    return net


def products(X, sizes, batch, epochs):
    """Return a function that does the matrix products of all steps, and nothing else."""
    rng = np.random.default_rng(0)
    pairs = list(zip(sizes[:-1], sizes[1:], strict=True))
    W = [rng.standard_normal((n, m)).astype(X.dtype) for m, n in pairs]
    gradients = [np.empty_like(w) for w in W]
    z = [rng.standard_normal((batch, n)).astype(X.dtype) for n in sizes]
    e = [rng.standard_normal((batch, n)).astype(X.dtype) for n in sizes]
    steps = epochs * -(-len(X) // batch)

    def run():
        for _ in range(steps):
            for k, w in enumerate(W):
                np.matmul(z[k], w.T, out=z[k + 1])
            for k in range(len(W) - 1, -1, -1):
                np.matmul(e[k + 1].T, z[k], out=gradients[k])
                if k:
                    np.matmul(e[k + 1], W[k], out=e[k])
            for array in (*z[1:], *e[1:-1]):
                array.fill(0.5)  # or the numbers would grow without end

    return run


def measure(name, X, y, sizes, batch, epochs):
    """Time the three in turn."""
    bare = products(X, sizes, batch, epochs)
    for warm in (lambda: own_fit(X[:200], y[:200], sizes, batch, 1), bare):
        warm()
    seconds = {"edgedyn": [], "scikit-learn": [], "matrix products": []}
    for _ in range(ROUNDS):
        start = perf_counter()
        own = own_fit(X, y, sizes, batch, epochs)
        seconds["edgedyn"].append(perf_counter() - start)
        start = perf_counter()
        other = sklearn_fit(X, y, sizes, batch, epochs)
        seconds["scikit-learn"].append(perf_counter() - start)
        start = perf_counter()
        bare()
        seconds["matrix products"].append(perf_counter() - start)

    def ratio(of, to):
        return median(a / b for a, b in zip(seconds[of], seconds[to], strict=True))

    return {
        "name": name,
        "sizes": sizes,
        "batch_size": batch,
        "epochs": epochs,
        "samples": len(X),
        "dtype": str(X.dtype),
        "sklearn_over_edgedyn": ratio("scikit-learn", "edgedyn"),
        "edgedyn_over_products": ratio("edgedyn", "matrix products"),
        "median_seconds": {way: median(values) for way, values in seconds.items()},
        "training_accuracy": {"edgedyn": own.score(X, y), "scikit-learn": other.score(X, y)},
    }


def main():
    """Measure a small and a larger network in both precisions and write the results."""
    results = []
    for dtype in ("float32", "float64"):
        X, y = digits()
        results.append(measure("digits", X.astype(dtype), y, [64, 64, 10], 32, 10))
        X, y = synthetic()
        sizes = [784, 256, 128, 10]
        results.append(measure("synthetic images", X.astype(dtype), y, sizes, 128, 2))
    path = Path(__file__).parent / "results" / "training.json"
    about = {"environment": environment(), "rounds": ROUNDS}
    write_text(path, to_json({**about, "results": results}))
    for row in results:
        print(
            f"{row['name']} {row['sizes']}, batch {row['batch_size']}, {row['dtype']}: "
            f"{row['sklearn_over_edgedyn']:.2f} times faster than scikit-learn, "
            f"{row['edgedyn_over_products']:.2f} times the bare matrix products "
            f"({row['median_seconds']['edgedyn']:.3f} s)"
        )


if __name__ == "__main__":
    main()
