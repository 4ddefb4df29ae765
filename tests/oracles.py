"""Slow, independent routes to what edgedyn computes; nothing here uses edgedyn's closed forms."""

import itertools
from decimal import Decimal, localcontext

import numpy as np


def forward(weights, biases, x):
    """Pre-activations and outputs of one sample, by explicit loops over layers."""
    a, z = [], [np.asarray(x, float)]
    for layer, (W, b) in enumerate(zip(weights, biases, strict=True)):
        a.append(W @ z[-1] + (0 if b is None else b))
        z.append(np.maximum(a[-1], 0) if layer < len(weights) - 1 else a[-1])
    return a, z


def loss_value(logits, target, loss):
    if loss == "squared_error":
        return 0.5 * np.sum((logits - target) ** 2)
    log_p = logits - logits.max() - np.log(np.sum(np.exp(logits - logits.max())))
    return -np.sum(target * log_p)


def cotangents(weights, a, target, loss):
    """e^l of one sample, first layer first."""
    p = np.exp(a[-1] - a[-1].max())
    p /= p.sum()
    e = [a[-1] - target if loss == "squared_error" else p - target]
    for layer in range(len(weights) - 2, -1, -1):
        e.append((a[layer] > 0) * (weights[layer + 1].T @ e[-1]))
    return e[::-1]


def gradient(weights, biases, X, T, loss):
    """Mean gradient of kernels and biases, sample by sample."""
    gW = [np.zeros_like(W, float) for W in weights]
    gb = [np.zeros(len(W)) for W in weights]
    for x, t in zip(X, T, strict=True):
        a, z = forward(weights, biases, x)
        for layer, e in enumerate(cotangents(weights, a, t, loss)):
            gW[layer] += np.outer(e, z[layer]) / len(X)
            gb[layer] += e / len(X)
    return gW, gb


def node_names(weights, biases, nodes):
    """(layer, i, j) for kernels and (layer, i, None) for biases, in the documented order."""
    names = []
    for layer, W in enumerate(weights):
        names += [(layer, i, j) for i in range(W.shape[0]) for j in range(W.shape[1])]
        if nodes == "all" and biases[layer] is not None:
            names += [(layer, i, None) for i in range(W.shape[0])]
    return names


def direct_matrix(weights, biases, X, T, loss, strength, nodes):
    """Dense direct P[target, source], entry by entry from its definition."""
    names = node_names(weights, biases, nodes)
    at = {name: k for k, name in enumerate(names)}
    P = np.zeros((len(names), len(names)))
    for x, t in zip(X, T, strict=True):
        a, z = forward(weights, biases, x)
        e = cotangents(weights, a, t, loss)
        for layer in range(len(weights) - 1):
            n_out, n_mid = weights[layer + 1].shape
            sources = list(range(weights[layer].shape[1]))
            if (layer, 0, None) in at:
                sources.append(None)
            for i, j, k in itertools.product(range(n_mid), sources, range(n_out)):
                value = (a[layer][i] > 0) * e[layer + 1][k] * (1 if j is None else z[layer][j])
                value = abs(value) if strength == "magnitude" else value
                P[at[layer, i, j], at[layer + 1, k, i]] += value / len(X)
    return np.abs(P) if strength == "absolute" else P


def perturbed(weights, biases, name, step):
    """Return copies of the parameters with one of them moved."""
    weights = [W.copy() for W in weights]
    biases = [None if b is None else b.copy() for b in biases]
    layer, i, j = name
    if j is None:
        biases[layer][i] += step
    else:
        weights[layer][i, j] += step
    return weights, biases


def finite_difference_full(weights, biases, X, T, loss, nodes, step=1e-5):
    """Full P between consecutive layers: central differences of the gradient."""
    names = node_names(weights, biases, nodes)
    P = np.zeros((len(names), len(names)))
    for column, name in enumerate(names):
        plus, minus = (
            gradient(*perturbed(weights, biases, name, s), X, T, loss) for s in (step, -step)
        )
        for row, (layer, i, j) in enumerate(names):
            if layer == name[0] - 1:
                part, where = (0, (i, j)) if j is not None else (1, (i,))
                P[row, column] = (plus[part][layer][where] - minus[part][layer][where]) / (2 * step)
    return P


def finite_difference_direct(weights, biases, X, T, loss, nodes, step=1e-5):
    """Direct signed P: differences of the gradient of layer l with e^{l+1} and masks held."""
    names = node_names(weights, biases, nodes)
    P = np.zeros((len(names), len(names)))
    runs = []
    for x, t in zip(X, T, strict=True):
        a, z = forward(weights, biases, x)
        runs.append((a, z, cotangents(weights, a, t, loss)))

    def held_gradient(layer, W_next):
        g = np.zeros((weights[layer].shape[0], weights[layer].shape[1] + 1))
        for a, z, e in runs:
            pulled = (a[layer] > 0) * (W_next.T @ e[layer + 1])
            g += np.outer(pulled, np.append(z[layer], 1)) / len(X)
        return g

    for column, (layer, k, i) in enumerate(names):
        if layer == 0 or i is None:
            continue
        move = np.zeros_like(weights[layer])
        move[k, i] = step
        change = held_gradient(layer - 1, weights[layer] + move)
        change -= held_gradient(layer - 1, weights[layer] - move)
        for row, (target, i2, j2) in enumerate(names):
            if target == layer - 1:
                P[row, column] = change[i2, -1 if j2 is None else j2] / (2 * step)
    return P


def tensorflow_matrix(weights, biases, X, T, loss, coupling, strength, nodes):
    """P by TensorFlow's automatic differentiation, twice, sample by sample."""
    import tensorflow as tf

    W = [tf.constant(w, tf.float64) for w in weights]
    B = [
        tf.zeros(len(w), tf.float64) if b is None else tf.constant(b)
        for w, b in zip(weights, biases, strict=True)
    ]
    keep = [nodes == "all" and b is not None for b in biases]
    sizes = [w.size + keep[k] * len(w) for k, w in enumerate(weights)]
    at = np.concatenate([[0], np.cumsum(sizes)])
    P = np.zeros((at[-1], at[-1]))
    for x, t in zip(X, T, strict=True):
        for layer in range(len(W) - 1):
            block = _tensorflow_block(W, B, x, t, loss, coupling, strength, layer, keep)
            P[at[layer] : at[layer + 1], at[layer + 1] : at[layer + 2]] += block / len(X)
    return np.abs(P) if strength == "absolute" else P


def _tensorflow_block(W, B, x, t, loss, coupling, strength, layer, keep):
    import tensorflow as tf

    def run(upto, start=0, z=None):
        z = tf.constant(x[:, None], tf.float64) if z is None else z
        for m in range(start, upto):
            z = W[m] @ z + B[m][:, None]
            z = tf.nn.relu(z) if m < len(W) - 1 else z
        return z

    def total_loss(logits):
        if loss == "squared_error":
            return 0.5 * tf.reduce_sum((logits[:, 0] - t) ** 2)
        return tf.nn.softmax_cross_entropy_with_logits(tf.constant(t), logits[:, 0])

    below = [W[layer], B[layer]]
    above = [W[layer + 1], B[layer + 1]]
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(above)
        with tf.GradientTape(persistent=True) as inner:
            inner.watch(below)
            u = run(layer)
            if coupling == "direct":
                with tf.GradientTape() as tape:
                    pre = W[layer + 1] @ run(layer + 1) + B[layer + 1][:, None]
                    pre = tf.constant(pre.numpy())
                    tape.watch(pre)
                    out = tf.nn.relu(pre) if layer + 1 < len(W) - 1 else pre
                    c = total_loss(run(len(W), layer + 2, out))
                e = tf.stop_gradient(tape.gradient(c, pre))
                u = tf.stop_gradient(u)
                if strength == "magnitude":
                    e, u = tf.abs(e), tf.abs(u)
                    # the mask belongs to the actual pre-activation, not to that of |u|
                mask = tf.stop_gradient(
                    tf.cast(W[layer] @ run(layer) + B[layer][:, None] > 0, tf.float64)
                )
                z = mask * (W[layer] @ u + B[layer][:, None])
                c = tf.reduce_sum(e * (W[layer + 1] @ z))
            else:
                c = total_loss(run(len(W)))
        first = inner.gradient(c, below, unconnected_gradients="zero")
    rows = []
    for g, wanted in zip(first, (True, keep[layer]), strict=True):
        if wanted:
            cells = [
                outer.jacobian(g, v, unconnected_gradients="zero", experimental_use_pfor=False)
                for v in above
            ]
            n = int(tf.size(g))
            parts = [tf.reshape(cells[0], (n, -1)).numpy()]
            if keep[layer + 1]:
                parts.append(tf.reshape(cells[1], (n, -1)).numpy())
            rows.append(np.hstack(parts))
    return np.vstack(rows)


def exact_spread(ins, outs):
    """S and H of degrees between 1/2 and 2, from their definition in whole numbers."""
    # Such a double is a multiple of 2^-53; n times its deviation from the mean is then whole, too.
    ins, outs = ([int(value * 2.0**53) for value in side.tolist()] for side in (ins, outs))
    n, total, sent = len(ins), sum(ins), sum(outs)
    ins, outs = [n * value - total for value in ins], [n * value - sent for value in outs]
    v_in, v_out, both = (
        sum(a * b for a, b in zip(*pair, strict=True))
        for pair in ((ins, ins), (outs, outs), (ins, outs))
    )
    with localcontext() as context:
        context.prec = 60
        sigmas = (Decimal(v_in) * Decimal(v_out)).sqrt()
        return float(Decimal(both) / sigmas), float(sigmas / n**2 / total / 2**53)
