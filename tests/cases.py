"""Random networks and data that several tests share."""

import numpy as np

import edgedyn as ed

TARGETS = ("labels", "smoothed", "squared_error")


def random_case(seed, sizes, bias=True, targets="labels", n_samples=6):
    """Return a network with random biases, samples, targets and the dense target matrix."""
    rng = np.random.default_rng(seed)
    loss = "squared_error" if targets == "squared_error" else "cross_entropy"
    weights = [rng.standard_normal((n, m)) for m, n in zip(sizes[:-1], sizes[1:], strict=True)]
    biases = [rng.standard_normal(n) * 0.3 for n in sizes[1:]] if bias else None
    net = ed.ReLUMLP(weights, biases, loss=loss)
    X = rng.standard_normal((n_samples, sizes[0]))
    y = rng.integers(0, sizes[-1], n_samples)
    y[: min(2, n_samples)] = np.arange(min(2, n_samples))
    dense = np.eye(sizes[-1])[y % sizes[-1]]
    if targets == "labels":
        return net, X, y, dense
    if targets == "smoothed":
        dense = 0.9 * dense + 0.1 / sizes[-1]
    else:
        dense = rng.standard_normal((n_samples, sizes[-1]))
    return net, X, dense, dense
