"""Random small Keras networks, as programs, and their dense P by the definition.

As in `dense_oracle`, no code of edgedyn is used.
"""

import keras
import tensorflow as tf
from dense_oracle import Keras, Oracle, degrees
from hypothesis import strategies as st
from keras import layers as kl
from keras import ops

ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "silu", "elu", "leaky_relu", "softplus")
NOTHING = (
    lambda: kl.Dropout(0.5),
    lambda: kl.SpatialDropout2D(0.5),
    lambda: kl.GaussianNoise(1.0),
    lambda: kl.GaussianDropout(0.5),
    lambda: kl.RandomFlip(),
    lambda: kl.RandomContrast(0.9),
    lambda: kl.Activation("linear"),
    lambda: kl.Identity(),
)


class Builder(Keras):
    """Builds the model; `Keras` has most layers."""

    def separable(self, name, x, filters, size, **options):
        return self._call(name, kl.SeparableConv2D(filters, size, name=name, **options), x)

    def transposed(self, name, x, filters, size, **options):
        return self._call(name, kl.Conv2DTranspose(filters, size, name=name, **options), x)

    def act(self, word, x):
        return kl.Activation(word)(x)

    def multiply(self, x, y):
        return kl.Multiply()([x, y]) if x is y else x * y

    def minus(self, x, y):
        return x - y

    def affine(self, x, factor, shift, way):
        if way == 0:
            return kl.Rescaling(factor, shift)(x)
        if way == 1:
            return shift - (x * (-factor))
        return (x / (1 / factor)) + shift if way == 2 else -(x * (-factor) - shift)

    def nothing(self, x, k):
        return NOTHING[k]()(x)

    def nested(self, inner, x):
        given = keras.Input(x.shape[1:])
        return keras.Model(given, inner(self, given))(x)


class Dense(Oracle):
    """Runs the program with hooks; all magnitudes through straight lines of absolute slope."""

    def separable(self, name, x, filters, size, **options):
        x = self._layer(f"{name}/depthwise", x)
        return self._layer(f"{name}/pointwise", x)

    def transposed(self, name, x, filters, size, **options):
        return self._layer(name, x)

    def _straight(self, out, *terms):
        """Return `out` with the derivatives of sums of ``slope * x``."""
        out = tf.stop_gradient(out)
        for slope, x in terms:
            out = out + tf.stop_gradient(slope) * (x - tf.stop_gradient(x))
        return out

    def act(self, word, x):
        function = getattr(keras.activations, word)
        if not self.magnitude:
            return function(x)
        with tf.GradientTape() as tape:
            held = tf.stop_gradient(x)
            tape.watch(held)
            out = function(held)
        return self._straight(out, (tf.abs(tape.gradient(out, held)), x))

    def multiply(self, x, y):
        if not self.magnitude:
            return x * y
        return self._straight(x * y, (tf.abs(y), x), (tf.abs(x), y))

    def minus(self, x, y):
        one = tf.ones_like(x)
        return self._straight(x - y, (one, x), (one, y)) if self.magnitude else x - y

    def affine(self, x, factor, shift, way):
        slope = abs(factor) if self.magnitude else factor
        return self._straight(factor * x + shift, (slope * tf.ones_like(x), x))

    def nothing(self, x, k):
        return x

    def nested(self, inner, x):
        return inner(self, x)

    # Layers as functions of their kernels ---------------------------------------------------------

    def parameters(self, name):
        owner, _, part = name.partition("/")
        layer = self.made[owner]
        if part == "depthwise":
            return layer.depthwise_kernel.value, None
        if part == "pointwise":
            return layer.pointwise_kernel.value, layer.bias.value
        return super().parameters(name)

    def is_shift(self, name):
        return "/" not in name and super().is_shift(name)

    def apply(self, name, kernel, bias, u):
        owner, _, part = name.partition("/")
        layer = self.made[owner]
        if isinstance(layer, kl.BatchNormalization | kl.Dense):
            return super().apply(name, kernel, bias, u)
        if part == "pointwise":
            out = ops.conv(u, kernel, 1, "valid")
        elif part == "depthwise" or isinstance(layer, kl.DepthwiseConv2D):
            out = ops.depthwise_conv(u, kernel, layer.strides, layer.padding)
        elif isinstance(layer, kl.Conv2DTranspose):
            out = ops.conv_transpose(u, kernel, layer.strides, layer.padding)
        else:
            window = layer.strides, layer.padding, None, layer.dilation_rate
            pairs = zip(
                tf.split(u, layer.groups, -1), tf.split(kernel, layer.groups, -1), strict=True
            )
            out = tf.concat([ops.conv(v, k, *window) for v, k in pairs], -1)
        return out if bias is None else out + bias


def dense_betas(net, made, x, target, nodes):
    """Return, by strength, 1' P P 1 and 1' P 1 of one sample, from dense blocks."""
    found = {}
    for strength in ("magnitude", "signed"):
        pairs = degrees(net, made, x, target, strength, nodes, kind=Dense).values()
        found[strength] = sum(i @ o for i, o in pairs), sum(i.sum() for i, _ in pairs)
    return found


# Programs ----------------------------------------------------------------------------------------


def _window(k):
    return {"padding": ("same", "valid")[k % 2], "strides": 1 + (k // 2) % 2}


def _conv(L, name, x, k):
    groups = 2 if x.shape[-1] % 2 == 0 and k % 3 == 0 else 1
    window = {**_window(k), "strides": ((1, 1), (2, 2), (1, 2))[k // 2 % 3]}
    return L.conv(name, x, 2 + 2 * (k % 2), 1 + (k // 4) % 3, groups=groups, **window)


def _pool(L, name, x, k):
    kind = (kl.MaxPooling2D, kl.AveragePooling2D)[k % 2]
    return kind(1 + (k // 2) % 3, strides=1 + (k // 6) % 2, padding=("same", "valid")[k // 12 % 2])(
        x
    )


def _shape(L, name, x, k):
    h, w, c = x.shape[1:]
    made = (
        lambda: kl.ZeroPadding2D(((1, 0), (0, 1)))(x),
        lambda: kl.Cropping2D(((0, 1), (0, 0)))(x),
        lambda: kl.UpSampling2D((1, 2), interpolation="nearest")(x),
        lambda: kl.Permute((2, 1, 3))(x),
        lambda: kl.Reshape((w, h, c))(x),
        lambda: kl.GlobalAveragePooling2D(keepdims=True)(x),
        lambda: kl.GlobalMaxPooling2D(keepdims=True)(x),
    )
    return made[k % len(made)]()


def _twice(L, name, x, k):
    y = L.conv(name, x, x.shape[-1], 1, use_bias=bool(k % 2))
    merges = (
        lambda: kl.Add()([x, y]),
        lambda: kl.Average()([x, y, x]),
        lambda: kl.Maximum()([x, y]),
        lambda: kl.Minimum()([y, y]),
        lambda: kl.Concatenate()([x, y, x]),
        lambda: L.multiply(x, y),
        lambda: L.multiply(x, x),
        lambda: L.multiply(y, y),
        lambda: L.minus(x, y),
        lambda: L.minus(L.multiply(y, x), x),
        lambda: kl.Add()([y, y]),
    )
    return merges[k % len(merges)]()


def _inner(L, name, x, k):
    def inner(L, x):
        x = L.bn(f"{name}n", L.conv(name, x, 2, 1), scale=bool(k % 2), center=k % 3 > 0)
        return L.act(ACTIVATIONS[k % len(ACTIVATIONS)], x)

    return L.nested(inner, x)


STEPS = {
    "conv": _conv,
    "depthwise": lambda L, n, x, k: L.depthwise(n, x, 1 + k // 4 % 2, depth_multiplier=1 + k % 2),
    "separable": lambda L, n, x, k: L.separable(n, x, 2, 1 + k // 4 % 2, **_window(k)),
    "transposed": lambda L, n, x, k: L.transposed(n, x, 2, 1 + k // 4 % 2, **_window(k)),
    "dense": lambda L, n, x, k: L.dense(n, x, 2 + k % 2, use_bias=k % 3 > 0),
    "bn": lambda L, n, x, k: L.bn(n, x, scale=k % 2 > 0, center=k % 3 > 0),
    "act": lambda L, n, x, k: L.act(ACTIVATIONS[k % len(ACTIVATIONS)], x),
    "pool": _pool,
    "shape": _shape,
    "twice": _twice,
    "scalar": lambda L, n, x, k: L.affine(x, (-1.5, 0.5, 2.0)[k % 3], 0.25, k // 3 % 4),
    "nothing": lambda L, n, x, k: L.nothing(x, k % len(NOTHING)),
    "inner": _inner,
}
PROGRAMS = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 200)), min_size=1, max_size=4
)
LARGEST = 60  # entries of a tensor


def network(program):
    """Return the network of a program; a step that does not fit is left out."""

    def net(L, x):
        if isinstance(L, Builder):
            x = kl.RandomFlip()(kl.GaussianNoise(0.5)(x))  # nothing, in inference
        x = L.conv("first", x, 2, 2)
        for k, (word, number) in enumerate(program):
            n, (h, w, c) = f"l{k}", x.shape[1:]
            fits = min(h, w) > 2 or word not in ("conv", "depthwise", "separable", "pool", "shape")
            grows = (
                word in ("twice", "shape", "transposed", "depthwise") and 3 * h * w * c > LARGEST
            )
            if fits and not grows:
                x = STEPS[word](L, n, x, number)
        x = kl.GlobalAveragePooling2D()(x) if x.shape[1] * x.shape[2] > 6 else kl.Flatten()(x)
        return L.dense("out", L.act("relu", L.dense("last", x, 3)), 3)

    return net
