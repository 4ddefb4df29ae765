"""Dense P of small Keras networks, pair by pair, from its definition; no code of edgedyn is used.

A network is a function ``net(L, x)`` of its layers: ``L.conv(...)``, ``L.bn(...)`` and so on. Run
with `Keras` it builds a functional model; run with `Oracle` it gives the inputs of all layers as
functions of one layer's output, everything else held: Jacobians by batches of unit tangents in
forward mode, derivatives by kernels entry by entry (all layers are linear in them).
"""

from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as kl


class Keras:
    """Builds the Keras model, with random parameters (negative gammas among them)."""

    def __init__(self, seed=0):
        self.made, self.rng = {}, np.random.default_rng(seed)

    def _call(self, name, layer, x):
        self.made[name] = layer
        return layer(x)

    def conv(self, name, x, filters, size, **options):
        return self._call(name, kl.Conv2D(filters, size, name=name, **options), x)

    def depthwise(self, name, x, size, **options):
        return self._call(name, kl.DepthwiseConv2D(size, name=name, **options), x)

    def dense(self, name, x, units, **options):
        return self._call(name, kl.Dense(units, name=name, **options), x)

    def bn(self, name, x, **options):
        return self._call(name, kl.BatchNormalization(name=name, **options), x)

    def subtract(self, x, y):
        return kl.Subtract()([x, y])

    def model(self, net, shape):
        inputs = keras.Input(shape)
        model = keras.Model(inputs, kl.Softmax()(net(self, inputs)))
        for weight in model.weights:
            value = self.rng.standard_normal(weight.shape)
            if "variance" in weight.path:
                value = np.abs(value) + 0.5
            elif "kernel" in weight.path:
                value = value / np.sqrt(np.prod(weight.shape[:-1]))
            weight.assign(value)
        return model


class Oracle:
    """Runs the network with hooks: records inputs and outputs, or holds all but one output."""

    def __init__(self, made, nodes):
        self.made, self.all = made, nodes == "all"
        self.recorded, self.inputs, self.deltas = {}, {}, {}
        self.free = None  # (name, value): this layer's output is a variable, the others are held
        self.arriving = {}  # every layer's input
        self.order = []
        self.magnitude = False

    # Hooks of the network -----------------------------------------------------------------------

    def conv(self, name, x, filters, size, **options):
        return self._layer(name, x)

    def depthwise(self, name, x, size, **options):
        return self._layer(name, x)

    def dense(self, name, x, units, **options):
        return self._layer(name, x)

    def bn(self, name, x, **options):
        layer = self.made[name]
        scale = 1 / tf.sqrt(layer.moving_variance.value + layer.epsilon)
        if self.all:
            x = (x - layer.moving_mean.value) * scale
            if layer.scale:
                return self._layer(name, x)
            return self._shift(name, x) if layer.center else x
        gamma = layer.gamma.value if layer.scale else tf.ones_like(scale)
        out = (x - layer.moving_mean.value) * scale * gamma
        out = out + layer.beta.value if layer.center else out
        if not self.magnitude:
            return out
        straight = tf.abs(scale * gamma) * (x - tf.stop_gradient(x))
        return tf.stop_gradient(out) + straight

    def subtract(self, x, y):
        if not self.magnitude:
            return x - y
        return tf.stop_gradient(x - y - x - y) + x + y

    def _layer(self, name, x):
        if self.free is None:
            self.order.append(name)
            self.inputs[name] = x
            out = self.apply(name, *self.parameters(name), x)
            self.recorded[name] = out
            return out + self.deltas.setdefault(name, tf.zeros_like(out))
        self.arriving[name] = x
        return self.free[1] if name == self.free[0] else self.recorded[name]

    def _shift(self, name, x):
        if self.free is None:
            self.order.append(name)
            self.inputs[name] = x
            self.recorded[name] = x + self.made[name].beta.value
            return self.recorded[name]
        return self.free[1] if name == self.free[0] else x + self.made[name].beta.value

    # Layers as functions of their parameters ------------------------------------------------------

    def is_shift(self, name):
        return isinstance(self.made[name], kl.BatchNormalization) and not self.made[name].scale

    def parameters(self, name):
        layer = self.made[name]
        if isinstance(layer, kl.BatchNormalization):
            return layer.gamma.value, layer.beta.value if layer.center else None
        return layer.kernel.value, layer.bias.value if layer.use_bias else None

    def apply(self, name, kernel, bias, u):
        layer = self.made[name]
        if isinstance(layer, kl.BatchNormalization):
            out = kernel * u
        elif isinstance(layer, kl.Dense):
            out = u @ kernel
        elif isinstance(layer, kl.DepthwiseConv2D):
            strides = [1, *layer.strides, 1]
            out = tf.nn.depthwise_conv2d(u, kernel, strides, layer.padding.upper())
        else:
            kernel = dilated(kernel, layer.dilation_rate)
            parts = zip(
                tf.split(u, layer.groups, -1), tf.split(kernel, layer.groups, -1), strict=True
            )
            pad = layer.padding.upper()
            out = tf.concat([tf.nn.conv2d(v, k, layer.strides, pad) for v, k in parts], -1)
        return out if bias is None else out + bias

    # The blocks -----------------------------------------------------------------------------------

    def run(self, net, x, target):
        """Record values and cotangents of one sample."""
        self.free, self.order = None, []
        net(self, x)
        self.deltas = {n: tf.zeros_like(v) for n, v in self.recorded.items()}
        self.order = []
        with tf.GradientTape() as tape:
            tape.watch(self.deltas)
            logits = net(self, x)
            loss = tf.nn.softmax_cross_entropy_with_logits(target, logits)
        e = tape.gradient(loss, self.deltas, unconnected_gradients="zero")
        return {name: tf.stop_gradient(v) for name, v in e.items()}

    def segments(self, net, x, below):
        """Return dense J from the output of `below` to every layer's input, a sample a tangent."""
        held, start = self.recorded, self.recorded[below]
        n = int(tf.size(start))
        self.recorded = {name: many(v, n) for name, v in held.items()}
        self.arriving, free = {}, self.recorded[below]
        with tf.autodiff.ForwardAccumulator(free, np.eye(n).reshape(free.shape)) as accumulator:
            self.free = (below, free)
            net(self, many(x, n))
            found = {name: accumulator.jvp(v) for name, v in self.arriving.items()}
        self.free, self.recorded = None, held
        return {name: J.numpy().reshape(n, -1).T for name, J in found.items() if J is not None}

    def below(self, name):
        """Return d f(theta, u) / d theta: (outputs, kernel and bias nodes)."""
        u = tf.abs(self.inputs[name]) if self.magnitude else self.inputs[name]
        columns = []
        if not self.is_shift(name):
            columns = [self.apply(name, unit, None, u) for unit in units(self.parameters(name)[0])]
        bias = self.made[name].beta.value if self.is_shift(name) else self.parameters(name)[1]
        if bias is not None and (self.all or self.is_shift(name)):
            n = int(tf.size(self.recorded[name])) // int(tf.size(bias))
            columns += [many(unit, n) for unit in units(bias)]
        return np.stack([np.ravel(c) for c in columns], axis=1)

    def above(self, name, e):
        """Return d^2 <e, f(theta, v)> / d theta d v: (kernel nodes, inputs)."""
        v = self.inputs[name]
        n = int(tf.size(v))
        unit_inputs = np.eye(n).reshape(n, *v.shape[1:])
        e = np.ravel(tf.abs(e) if self.magnitude else e)
        kernel = self.parameters(name)[0]
        return np.stack(
            [np.reshape(self.apply(name, k, None, unit_inputs), (n, -1)) @ e for k in units(kernel)]
        )


def many(v, n):
    """Repeat one sample, or one array, n times along a first axis."""
    v = v if len(v.shape) > 1 and v.shape[0] == 1 else v[None]
    return tf.constant(np.broadcast_to(v, (n, *v.shape[1:])))


def units(array):
    """Yield arrays of one 1 and zeros."""
    n = int(tf.size(array))
    yield from np.eye(n).reshape(n, *array.shape)


def dilated(kernel, rates):
    """Spread a kernel's taps, with zeros between them."""
    spread = []
    for size, rate in zip(kernel.shape[:2], rates, strict=True):
        matrix = np.zeros((rate * (size - 1) + 1, size))
        matrix[::rate] = np.eye(size)
        spread.append(tf.constant(matrix))
    return tf.einsum("ah,bw,hwio->abio", *spread, kernel)


def sizes(oracle):
    found = {}
    for name in oracle.order:
        if oracle.is_shift(name):
            found[name] = (0, int(tf.size(oracle.made[name].beta)))
            continue
        kernel, bias = oracle.parameters(name)
        found[name] = (int(tf.size(kernel)), int(tf.size(bias)) if bias is not None else 0)
    return {n: (k, b if oracle.all else 0) for n, (k, b) in found.items()}


def degrees(net, made, x, targets, strength, nodes, kind=Oracle):
    """In- and out-degrees of each layer, flat (kernel, then bias), from the dense blocks."""
    oracle = kind(made, nodes)
    ins, outs = {}, {}
    for sample, target in zip(x, targets, strict=True):
        oracle.magnitude = False
        sample = tf.constant(sample[None])
        e = oracle.run(net, sample, tf.constant(target[None]))
        oracle.magnitude = strength == "magnitude"
        size = sizes(oracle)
        for name in oracle.order:
            ins.setdefault(name, np.zeros(sum(size[name])))
            outs.setdefault(name, np.zeros(sum(size[name])))
        above = {n: oracle.above(n, e[n]) for n in oracle.order if not oracle.is_shift(n)}
        for below in oracle.order:
            own = oracle.below(below)
            for name, J in oracle.segments(net, sample, below).items():
                if name != below and name in above:
                    P = (above[name] @ J @ own).T / len(x)
                    ins[below] += P.sum(axis=1)
                    outs[name][: size[name][0]] += P.sum(axis=0)
    return {n: (ins[n], outs[n]) for n in oracle.order}


def full_degrees(net, made, model, x, targets, nodes):
    """Degrees of the mixed second derivatives between consecutive layers, by dense Jacobians."""
    oracle = Oracle(made, nodes)
    oracle.run(net, tf.constant(x[:1]), tf.constant(targets[:1]))
    variables = {}
    for name in oracle.order:
        layer = made[name]
        first = layer.gamma if isinstance(layer, kl.BatchNormalization) else layer.kernel
        use_bias = layer.center if isinstance(layer, kl.BatchNormalization) else layer.use_bias
        bias = layer.beta if isinstance(layer, kl.BatchNormalization) else layer.bias
        variables[name] = [v.value for v in [first] + [bias] * (use_bias and nodes == "all")]
    flat = [v for vs in variables.values() for v in vs]
    with tf.GradientTape(persistent=True) as outer:
        outer.watch(flat)
        with tf.GradientTape() as inner:
            inner.watch(flat)
            p = model(tf.constant(x), training=False)
            loss = -tf.reduce_mean(tf.reduce_sum(targets * tf.math.log(p), axis=1))
        gradient = inner.gradient(loss, flat)
        # One at a time: TensorFlow's vectorised loops compute some second derivatives in place.
        entries = [tf.unstack(tf.reshape(tf.convert_to_tensor(g), [-1])) for g in gradient]
    owner = [name for name, vs in variables.items() for _ in vs]
    total = {n: sum(int(tf.size(v)) for v in vs) for n, vs in variables.items()}
    result = {n: [np.zeros(total[n]), np.zeros(total[n])] for n in oracle.order}
    start = {}
    for k, name in enumerate(owner):
        start[k] = sum(int(tf.size(flat[m])) for m in range(k) if owner[m] == name)
    reached = {a: set(oracle.segments(net, tf.constant(x[:1]), a)) - {a} for a in oracle.order}
    linked = {(a, b) for a in oracle.order for b in reached[a]}
    for i, rows in enumerate(entries):
        near = [j for j in range(len(flat)) if (owner[i], owner[j]) in linked]
        own = result[owner[i]][0]
        for k, entry in enumerate(rows):
            found = outer.gradient(entry, [flat[j] for j in near], unconnected_gradients="zero")
            for j, H in zip(near, found, strict=True):
                H = H.numpy().ravel()
                own[start[i] + k] += H.sum()
                result[owner[j]][1][start[j] : start[j] + len(H)] += H
    return result


# Networks ---------------------------------------------------------------------------------------


def plain(L, x):
    x = kl.ReLU()(L.conv("c1", x, 3, 3, padding="same"))
    x = kl.MaxPooling2D(2)(x)
    x = kl.Activation("relu")(L.conv("c2", x, 4, 2, strides=1))
    return L.dense("out", kl.GlobalAveragePooling2D()(x), 3)


def residual(L, x):
    h = kl.ReLU()(L.bn("b1", L.conv("c1", x, 3, 3, padding="same", use_bias=False)))
    r = L.bn("b2", L.conv("c2", h, 3, 3, padding="same"))
    h = kl.ReLU()(kl.Add()([h, r]))
    h = kl.ReLU()(L.conv("c3", h, 2, 3, strides=2))
    return L.dense("out", kl.Flatten()(h), 3)


def branches(L, x):
    x = kl.ReLU()(L.conv("c1", x, 2, 2))
    parts = [
        kl.MaxPooling2D(3, strides=1, padding="same")(x),
        kl.AveragePooling2D(3, strides=1, padding="same")(x),
        L.conv("c2", kl.ZeroPadding2D(1)(x), 2, 3),
        x,
    ]
    x = kl.ReLU()(L.bn("b1", kl.Concatenate()(parts)))
    x = kl.ReLU(max_value=1.0)(L.conv("c3", x, 3, 1))
    return L.dense("out", kl.GlobalMaxPooling2D()(x), 3)


def mobile(L, x):
    x = kl.ReLU(6.0)(L.bn("b0", L.conv("c1", x, 2, 2, use_bias=False)))
    x = L.depthwise("d1", x, 3, strides=2, padding="same", depth_multiplier=2, use_bias=False)
    x = kl.ReLU(6.0)(L.bn("b1", x, scale=False))
    x = L.bn("b2", L.conv("p1", x, 3, 1, use_bias=False), center=False)
    x = kl.ReLU(negative_slope=0.1)(x)
    return L.dense("out", kl.GlobalAveragePooling2D()(x), 3)


def grouped(L, x):
    x = kl.Activation("tanh")(L.conv("c1", x, 4, 3, dilation_rate=2, padding="same"))
    x = kl.ReLU()(L.conv("c2", x, 6, 2, groups=2))
    x = L.subtract(L.conv("c3", x, 3, 1), L.conv("c4", x, 3, 1, use_bias=False))
    x = kl.ReLU()(kl.Dropout(0.5)(x))
    x = kl.Cropping2D(1)(kl.UpSampling2D(2)(x))
    return L.dense("out", kl.Flatten()(kl.AveragePooling2D(2)(x)), 3)


def gated(L, x):
    x = kl.ReLU()(L.conv("c1", x, 3, 2))
    g = L.conv("c2", kl.GlobalAveragePooling2D(keepdims=True)(x), 3, 1)
    x = kl.Multiply()([x, kl.Activation("sigmoid")(g)])
    x = kl.Maximum()([x, L.conv("c3", x, 3, 1)])
    return L.dense("out", kl.Flatten()(x), 3)


NETWORKS = {f.__name__: f for f in (plain, residual, branches, mobile, grouped, gated)}
# Dense double differentiation takes seconds each: one network a strength in the quick tier, all in
# the slow one; nodes="all" has the kernels among its nodes.
QUICK = {("plain", "signed"), ("branches", "magnitude")}
CASES = [
    case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow)
    for case in product(NETWORKS, ("magnitude", "signed"))
]
NODES = [pytest.param("kernels", marks=pytest.mark.slow), "all"]
SHAPE = (5, 6, 2)


def case(name, seed=0):
    """Build one of the networks; return its layers by name, the model, two samples and labels."""
    builder = Keras(seed)
    model = builder.model(NETWORKS[name], SHAPE)
    x = np.random.default_rng(seed).standard_normal((2, *SHAPE))
    return builder.made, model, x, np.array([0, 1])
