"""What beta_eff costs, beside one gradient evaluation and beside automatic differentiation.

All routes run in one process in turn, round after round; a ratio is the median of the rounds'
ratios. The yardstick is the gradient of the same network on the same samples: `net.gradient` (its
checks included) and, as its lower end, plain numpy without any checks. Also: memory of a long
data set in chunks, and one block of P by TensorFlow's dense Jacobian (left out without
TensorFlow). Run: ``python validation/bench_capacitance.py``.
"""

import tracemalloc
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text

SIZES, SAMPLES = [1024, 256, 128, 10], 1000
BLOCK, BLOCK_SAMPLES = [64, 64, 32], 32
STREAM = 20_000
ROUNDS = 25


def data(sizes, n_samples, seed=0):
    """Random float32 samples with labels, and a network for them."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_samples, sizes[0])).astype(np.float32)
    return ed.ReLUMLP.random(sizes, seed=rng, dtype="float32"), X, np.arange(n_samples) % sizes[-1]


def plain_gradient(weights, biases, X, y):
    """Gradient of the mean cross-entropy as one writes it in numpy, without checks."""
    z = [X]
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        z.append(np.maximum(z[-1] @ W.T + b, 0))
    a = z[-1] @ weights[-1].T + biases[-1]
    e = np.exp(a - a.max(axis=1, keepdims=True))
    e /= e.sum(axis=1, keepdims=True)
    e[np.arange(len(y)), y] -= 1
    e /= np.float32(len(y))
    gradient = []
    for k in range(len(weights) - 1, -1, -1):
        gradient.append((e.T @ z[k], e.sum(axis=0)))
        if k:
            e = (e @ weights[k]) * (z[k] > 0)
    return gradient[::-1]


def in_turn(ways, rounds):
    """Seconds of every way, in turn; an untimed call goes first, so that no way pays for another.

    (Memory that the way before has given back to the system costs the next one page faults.)
    """
    seconds = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            work()
            start = perf_counter()
            work()
            seconds[name].append(perf_counter() - start)
    return seconds


def ratio(seconds, of, to):
    """Median of the rounds' ratios."""
    return median(a / b for a, b in zip(seconds[of], seconds[to], strict=True))


def against_a_gradient():
    """Every kind of capacitance beside one gradient evaluation."""
    net, X, y = data(SIZES, SAMPLES)
    plain = plain_gradient(net.weights, net.biases, X, y)
    kernels, biases = net.views(net.gradient(X, y)[1])
    for (kernel, bias), own_kernel, own_bias in zip(plain, kernels, biases, strict=True):
        assert np.allclose(kernel, own_kernel, atol=1e-6)
        assert np.allclose(bias, own_bias, atol=1e-6)

    def update(**kinds):
        net.degree_accumulator(**kinds).update(X, y)

    full = {"coupling": "full", "strength": "signed"}
    ways = {
        "plain numpy gradient": lambda: plain_gradient(net.weights, net.biases, X, y),
        "net.gradient": lambda: net.gradient(X, y),
        "direct, accumulator update": update,
        "direct": lambda: ed.neural_capacitance(net, X, y),
        "direct, signed": lambda: ed.neural_capacitance(net, X, y, strength="signed"),
        "direct, all nodes": lambda: ed.neural_capacitance(net, X, y, nodes="all"),
        "direct, standard error": lambda: ed.neural_capacitance(net, X, y, stderr=True),
        "full, accumulator update": lambda: update(**full),
        "full": lambda: ed.neural_capacitance(net, X, y, **full),
    }
    seconds = in_turn(ways, ROUNDS)
    yardsticks = ("net.gradient", "plain numpy gradient")
    return {
        "sizes": SIZES,
        "samples": SAMPLES,
        "dtype": "float32",
        **{f"times {y}": {n: ratio(seconds, n, y) for n in ways} for y in yardsticks},
        "median_seconds": {name: median(values) for name, values in seconds.items()},
    }


def against_tensorflow():
    """Degrees of one block in closed form beside TensorFlow's dense mixed second derivative."""
    try:
        import tensorflow as tf
    except ImportError:
        print("TensorFlow is not installed: left out.")
        return None
    net, X, y = data(BLOCK, BLOCK_SAMPLES)
    below, above = (tf.Variable(W) for W in net.weights)
    b1, b2 = (tf.constant(b) for b in net.biases)
    samples, labels = tf.constant(X), tf.constant(y)

    @tf.function
    def block():
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                z = tf.nn.relu(samples @ tf.transpose(below) + b1)
                logits = z @ tf.transpose(above) + b2
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
                loss = tf.reduce_mean(losses)
            gradient = inner.gradient(loss, below)
        return outer.jacobian(gradient, above)

    def dense():
        H = block().numpy()
        return H.sum(axis=(2, 3)), H.sum(axis=(0, 1))

    def closed():
        accumulator = net.degree_accumulator(coupling="full", strength="signed")
        accumulator.update(X, y)
        return accumulator.degrees()

    ins, outs = dense()
    first, second = closed()
    scale = np.abs(block().numpy()).sum(axis=(2, 3)).max()
    assert np.allclose(first.in_degree[0], ins, atol=1e-5 * scale)
    assert np.allclose(second.out_degree[0], outs, atol=1e-5 * scale)
    seconds = in_turn({"closed form": closed, "TensorFlow Jacobian": dense}, 5)
    return {
        "sizes": BLOCK,
        "samples": BLOCK_SAMPLES,
        "entries_of_the_block": ins.size * outs.size,
        "jacobian_over_closed_form": ratio(seconds, "TensorFlow Jacobian", "closed form"),
        "median_seconds": {name: median(values) for name, values in seconds.items()},
    }


def streaming():
    """Peak memory of a long data set, in chunks and at once, on top of the data."""
    net, X, y = data(SIZES, STREAM)
    peaks, values = {}, {}
    for name, chunk_size in (("chunks of 1024", 1024), ("one chunk", STREAM)):
        tracemalloc.start()
        values[name] = ed.neural_capacitance(net, X, y, batch_size=chunk_size).value
        peaks[name] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    at_once, chunked = values["one chunk"], values["chunks of 1024"]
    return {
        "samples": STREAM,
        "data_mib": X.nbytes / 2**20,
        "degrees_mib": 2 * 8 * sum(W.size for W in net.weights) / 2**20,
        "peak_mib": peaks,
        "relative_difference": abs(chunked / at_once - 1),
    }


def main():
    """Measure, write the results and print the ratios first."""
    results = {
        "gradient": against_a_gradient(),
        "tensorflow": against_tensorflow(),
        "streaming": streaming(),
    }
    path = Path(__file__).parent / "results" / "capacitance.json"
    write_text(path, to_json({"environment": environment(), "rounds": ROUNDS, **results}))
    row = results["gradient"]
    print(f"{row['sizes']}, {row['samples']} samples: times net.gradient, times plain numpy")
    for name, value in row["times net.gradient"].items():
        print(
            f"  {name:28s}{value:8.2f}{row['times plain numpy gradient'][name]:8.2f}"
            f"{1e3 * row['median_seconds'][name]:10.2f} ms"
        )
    if results["tensorflow"] is not None:
        faster = results["tensorflow"]["jacobian_over_closed_form"]
        print(f"{BLOCK}: closed form {faster:,.0f} times faster than TensorFlow's Jacobian")
    peaks = ", ".join(f"{n} {v:.1f} MiB" for n, v in results["streaming"]["peak_mib"].items())
    print(f"{STREAM} samples of {results['streaming']['data_mib']:.0f} MiB: peak memory {peaks}")


if __name__ == "__main__":
    main()
