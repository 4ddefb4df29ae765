"""Normalisation, attention and shared layers against dense double differentiation."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from dense_oracle import degrees  # noqa: E402
from keras import layers as kl  # noqa: E402
from random_models import Builder, Dense  # noqa: E402
from test_sweeps import compare, measured  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn.nn.graph.extract import extract  # noqa: E402
from edgedyn.nn.graph.mixing import Centre, Divide, Softmax  # noqa: E402
from edgedyn.nn.graph.steps import sizes  # noqa: E402

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("float64")]


# The primitives ---------------------------------------------------------------------------------


@pytest.mark.tensorflow_oracle
@pytest.mark.parametrize("magnitude", [False, True])
@pytest.mark.parametrize("axes", [(1,), (3,), (2, 3), (1, 2, 3)])
@pytest.mark.parametrize(
    ("kind", "details"),
    [(Centre, ()), (Divide, (1e-3, False)), (Divide, (1e-24, True)), (Softmax, ())],
    ids=["centre", "mean square", "norm", "softmax"],
)
def test_products_are_those_of_the_dense_jacobian(kind, details, axes, magnitude):
    rng = np.random.default_rng(0)
    x, t = (tf.constant(rng.standard_normal((2, 1, 3, 4))) for _ in range(2))
    step = kind("step", (0,), 1, axes, *details, structure=None)
    with tf.GradientTape() as tape:
        tape.watch(x)
        out = step.forward(x)
    J = sizes(tape.jacobian(out, x), magnitude)
    n = int(np.prod([x.shape[a] for a in axes]))
    expected = tf.einsum("abcdefgh,efgh->abcd", J, t)
    back = tf.einsum("abcdefgh,abcd->efgh", J, t)
    scale = np.abs(expected).max() + 1e-300
    options = {"rtol": 1e-12, "atol": 1e-13 * max(scale, 1.0)}
    np.testing.assert_allclose(step.push([x], [t], magnitude), expected, **options)
    np.testing.assert_allclose(step.pull([x], t, magnitude)[0], back, **options)
    assert kind is not Centre or n > 1 or scale < 1e-12


def test_a_feature_of_zeros_is_divided_by_the_least_norm():
    step = Divide("step", (0,), 1, (1,), 1e-24, True, structure=None)
    zero = tf.zeros((1, 3), "float64")
    t = tf.constant([[1.0, 2.0, 3.0]], "float64")
    np.testing.assert_array_equal(step.forward(zero), zero)
    np.testing.assert_allclose(step.push([zero], [t], True), 1e12 * t, rtol=1e-12)
    np.testing.assert_allclose(
        keras.layers.UnitNormalization()(zero), step.forward(zero), atol=1e-15
    )


# Whole networks ---------------------------------------------------------------------------------


class Mixed(Builder):
    """Builds networks with norms and attention."""

    def norm(self, name, x, kind, **options):
        return self._call(name, getattr(kl, kind)(name=name, **options), x)

    def project(self, name, x, equation, shape, bias_axes):
        return self._call(name, kl.EinsumDense(equation, shape, bias_axes=bias_axes, name=name), x)

    def attend(self, name, query, value, heads, dim, *, key=None, shared=None):
        if shared:
            layer = kl.GroupQueryAttention(dim, heads, shared, name=name)
        else:
            layer = kl.MultiHeadAttention(heads, dim, name=name)
        out = layer(query, value) if key is None else layer(query, value, key=key)
        for word in ("query", "key", "value", "output"):
            self.made[f"{name}/{word}"] = getattr(layer, f"_{word}_dense")
        self.made[name] = layer
        return out


class MixedDense(Dense):
    """Runs them with hooks: of each primitive the dense Jacobian, or its entries' sizes."""

    def _primitive(self, f, x):
        if not self.magnitude:
            return f(x)
        one = tf.stop_gradient(x[:1])  # all samples are the same, their tangents differ
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(one)
            out = f(one)
        J = tf.abs(tape.batch_jacobian(out, one, experimental_use_pfor=False))
        moved = tf.reshape(x - tf.stop_gradient(x), (len(x), -1))
        J = tf.stop_gradient(tf.reshape(J, (-1, moved.shape[1])))
        pushed = tf.reshape(moved @ tf.transpose(J), (len(x), *out.shape[1:]))
        return tf.stop_gradient(f(x)) + pushed

    def norm(self, name, x, kind, **options):
        layer = self.made[name]
        rank = len(x.shape)
        if kind == "GroupNormalization":
            groups = layer.groups
            shape = x.shape
            x = tf.reshape(x, (*shape[:-1], groups, shape[-1] // groups))
            axes = [*range(1, rank - 1), rank]
        else:
            axes = [a % rank for a in np.atleast_1d(layer.axis)]
        if kind in ("GroupNormalization", "LayerNormalization"):
            x = self._primitive(lambda u: u - tf.reduce_mean(u, axes, keepdims=True), x)
        if kind == "UnitNormalization":
            return self._primitive(
                lambda u: u / tf.sqrt(tf.reduce_sum(u * u, axes, keepdims=True)), x
            )
        size = layer.epsilon
        x = self._primitive(
            lambda u: u / tf.sqrt(tf.reduce_mean(u * u, axes, keepdims=True) + size), x
        )
        if kind == "GroupNormalization":
            x = tf.reshape(x, shape)
        gamma, beta = self.parameters(name)
        if self.all:
            if gamma is None and beta is None:
                return x
            return self._shift(name, x) if gamma is None else self._layer(name, x)
        gamma = tf.ones(x.shape[-1:], "float64") if gamma is None else gamma
        slope = tf.abs(gamma) if self.magnitude else gamma
        out = gamma * x + (0.0 if beta is None else beta)
        return self._straight(out, (slope * tf.ones_like(x), x))

    def project(self, name, x, equation, shape, bias_axes):
        return self._layer(name, x)

    def attend(self, name, query, value, heads, dim, *, key=None, shared=None):
        q = self._layer(f"{name}/query", query)
        k = self._layer(f"{name}/key", value if key is None else key)
        v = self._layer(f"{name}/value", value)
        if shared:
            k, v = (tf.repeat(u, heads // shared, axis=2) for u in (k, v))
        scores = self._product("bqhd,bkhd->bhqk", q / np.sqrt(dim), k)
        p = self._primitive(tf.nn.softmax, scores)
        return self._layer(f"{name}/output", self._product("bhqk,bkhd->bqhd", p, v))

    def _product(self, equation, a, b):
        out = tf.einsum(equation, a, b)
        if not self.magnitude:
            return out
        da, db = a - tf.stop_gradient(a), b - tf.stop_gradient(b)
        held = [tf.stop_gradient(tf.abs(v)) for v in (a, b)]
        first, second = tf.einsum(equation, da, held[1]), tf.einsum(equation, held[0], db)
        return tf.stop_gradient(out) + first + second

    # Layers as functions of their parameters ------------------------------------------------------

    def is_norm(self, name):
        kinds = kl.LayerNormalization | kl.GroupNormalization | kl.RMSNormalization
        return isinstance(self.made[name], kinds)

    def is_shift(self, name):
        if self.is_norm(name):
            return self.parameters(name)[0] is None
        return not isinstance(self.made[name], kl.EinsumDense) and super().is_shift(name)

    def parameters(self, name):
        layer = self.made[name]
        if isinstance(layer, kl.EinsumDense):
            return layer.kernel.value, None if layer.bias is None else layer.bias.value
        if isinstance(layer, kl.RMSNormalization):
            return layer.scale.value, None
        if self.is_norm(name):
            parts = layer.gamma, layer.beta
            return tuple(None if part is None else part.value for part in parts)
        return super().parameters(name)

    def apply(self, name, kernel, bias, u):
        layer = self.made[name]
        if isinstance(layer, kl.EinsumDense):
            out = tf.einsum(layer.equation, u, kernel)
        elif self.is_norm(name):
            out = kernel * u
        else:
            return super().apply(name, kernel, bias, u)
        return out if bias is None else out + bias


def norms(L, x):
    x = L.norm("ln", L.conv("c1", x, 4, 2), "LayerNormalization")
    x = L.norm("gn", L.conv("c2", L.act("relu", x), 4, 2), "GroupNormalization", groups=2)
    x = L.norm("rms", L.conv("c3", L.act("gelu", x), 3, 2), "RMSNormalization")
    x = L.norm("unit", x, "UnitNormalization")
    return L.dense("out", kl.Flatten()(x), 3)


def wide_norms(L, x):
    x = L.norm("ln", L.conv("c1", x, 2, 2), "LayerNormalization", scale=False)
    x = L.norm("all", L.conv("c2", x, 2, 2, strides=(1, 2)), "LayerNormalization", axis=[1, 2, 3])
    x = L.norm("gn", L.conv("c3", x, 4, 1), "GroupNormalization", groups=4, center=False)
    return L.dense("out", kl.Flatten()(L.act("silu", x)), 3)


def transformer(L, x):
    x = kl.Reshape((4, 4))(L.conv("c1", x, 4, 2, strides=2))
    h = L.norm("ln1", x, "LayerNormalization")
    x = kl.Add()([x, L.attend("att", h, h, 2, 3)])
    h = L.dense("up", L.norm("ln2", x, "LayerNormalization"), 5)
    x = kl.Add()([x, L.dense("down", L.act("gelu", h), 4)])
    return L.dense("out", kl.GlobalAveragePooling1D()(x), 3)


def crossed(L, x):
    x = kl.Reshape((4, 4))(L.conv("c1", x, 4, 2, strides=2))
    y = L.project("p", x, "abc,cd->abd", (4, 3), "d")
    z = L.attend("att", x, L.act("tanh", y), 2, 2, key=y)
    z = L.attend("shared", z, z, 4, 2, shared=2)
    return L.dense("out", kl.Flatten()(z), 3)


NETWORKS = {f.__name__: f for f in (norms, wide_norms, transformer, crossed)}
SHAPE = (4, 4, 2)
QUICK = {("norms", "signed", "all"), ("transformer", "signed", "kernels")}
CASES = [
    case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow)
    for name in NETWORKS
    for case in [(name, s, n) for s in ("magnitude", "signed") for n in ("kernels", "all")]
]


def built(name, seed=0):
    builder = Mixed(seed)
    model = builder.model(NETWORKS[name], SHAPE)
    x = np.random.default_rng(seed).standard_normal((2, *SHAPE))
    return builder.made, model, x, np.array([0, 1])


@pytest.mark.tensorflow_oracle
@pytest.mark.parametrize(("name", "strength", "nodes"), CASES)
def test_direct_degrees_are_those_of_the_dense_matrix(name, strength, nodes):
    made, model, x, y = built(name)
    cap, ours = measured(model, x, y, strength=strength, nodes=nodes)
    dense = degrees(NETWORKS[name], made, x, np.eye(3)[y], strength, nodes, MixedDense)
    value = compare(ours, dense)
    if strength == "magnitude" or cap.status == "ok":
        assert cap.status == "ok" and cap.value == pytest.approx(value, rel=1e-9)
    else:  # what is centred next does not see what it adds to all features
        assert cap.status == "ill_conditioned"


def full_by_differences(model, parts, linked, x, y):
    """In- and out-degrees of the mixed second derivatives, from differences of gradients.

    `parts` are each layer's variables. TensorFlow's own second derivatives of a norm, entry by
    entry, differ from them.
    """
    flat = [v for variables in parts.values() for v in variables]

    def gradients(source, step):
        start = [v.numpy() for v in parts[source]]
        for v, value in zip(parts[source], start, strict=True):
            v.assign(value + step)
        with tf.GradientTape() as tape:
            p = model(tf.constant(x), training=False)
            loss = -tf.reduce_mean(tf.math.log(tf.gather(p, y, axis=1, batch_dims=1)))
        found = tape.gradient(loss, [v.value for v in flat], unconnected_gradients="zero")
        for v, value in zip(parts[source], start, strict=True):
            v.assign(value)
        rest = iter(found)
        return {n: np.concatenate([next(rest).numpy().ravel() for _ in parts[n]]) for n in parts}

    ends = {n: np.cumsum([0] + [int(np.prod(v.shape)) for v in parts[n]])[-1] for n in parts}
    ins, outs = ({n: np.zeros(ends[n]) for n in parts} for _ in range(2))
    h = 3e-4
    for source in parts:
        values = {k: gradients(source, k * h) for k in (-2, -1, 1, 2)}
        for n in parts:
            near, far = (values[k][n] - values[-k][n] for k in (1, 2))
            product = (8 * near - far) / (12 * h)
            if (n, source) in linked:
                ins[n] += product
            if (source, n) in linked:
                outs[n] += product
    return {n: (ins[n], outs[n]) for n in parts}


def alike(ours, expected):
    scale = max(np.abs(v).max() for pair in expected.values() for v in pair)
    assert set(ours) == set(expected)
    for name, pair in expected.items():
        for own, other in zip(ours[name], pair, strict=True):
            np.testing.assert_allclose(own, other, rtol=1e-6, atol=1e-7 * scale, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("name", ["norms", "transformer"])
def test_full_degrees_are_those_of_the_hessian(name, nodes):
    made, model, x, y = built(name)
    _, ours = measured(model, x, y, coupling="full", strength="signed", nodes=nodes)
    oracle = MixedDense(made, nodes)
    oracle.run(NETWORKS[name], tf.constant(x[:1]), tf.constant(np.eye(3)[y[:1]]))
    parts = {}
    for layer in oracle.order:
        found = made[layer].trainable_variables
        kernel = [v for v in found if "beta" not in v.path and "bias" not in v.path]
        parts[layer] = found if nodes == "all" else kernel
    reached = {
        (a, b)
        for a in oracle.order
        for b in oracle.segments(NETWORKS[name], tf.constant(x[:1]), a)
        if a != b
    }
    alike(ours, full_by_differences(model, parts, reached, x, y))


# Layers that are used more than once --------------------------------------------------------------


def looped(conv, norm):
    """Build a network that goes twice through a convolution and a norm."""
    inputs = keras.Input((4, 4, 2))
    x = kl.Conv2D(3, 1, name="first")(inputs)
    for k in range(2):
        x = norm[k](kl.Activation("tanh")(conv[k](x)))
    x = kl.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, kl.Dense(3, activation="softmax", name="out")(x))


def convolutions(*names):
    return [kl.Conv2D(3, 3, padding="same", name=name) for name in names]


@pytest.fixture
def shared():
    (conv,), norm = convolutions("conv"), kl.LayerNormalization(name="ln")
    model, rng = looped([conv, conv], [norm, norm]), np.random.default_rng(2)
    for weight in model.weights:
        weight.assign(rng.standard_normal(weight.shape))
    return model, rng.standard_normal((5, 4, 4, 2)), np.arange(5) % 3


@pytest.mark.parametrize("strength", ["magnitude", "signed"])
def test_a_shared_layer_adds_what_its_uses_have(shared, strength):
    """A twin has the same weights in layers of their own."""
    model, x, y = shared
    twin = looped(convolutions("a", "b"), [kl.LayerNormalization(name=n) for n in ("na", "nb")])
    pairs = {"conv": ("a", "b"), "ln": ("na", "nb"), "first": ("first",), "out": ("out",)}
    for name, uses in pairs.items():
        for use in uses:
            twin.get_layer(use).set_weights(model.get_layer(name).get_weights())
    _, ours = measured(model, x, y, strength=strength, nodes="all")
    _, theirs = measured(twin, x, y, strength=strength, nodes="all")
    assert set(ours) == set(pairs)
    for name, uses in pairs.items():
        for way in range(2):
            total = sum(theirs[use][way] for use in uses)
            np.testing.assert_allclose(ours[name][way], total, rtol=1e-10, atol=1e-13)


@pytest.mark.tensorflow_oracle
@pytest.mark.parametrize("nodes", ["kernels", "all"])
def test_the_full_coupling_of_a_shared_layer_is_of_its_parameters(shared, nodes):
    model, x, y = shared
    _, ours = measured(model, x, y, coupling="full", strength="signed", nodes=nodes)
    linked = {("first", "conv"), ("conv", "conv"), ("conv", "out")}
    if nodes == "all":
        linked = {("first", "conv"), ("conv", "ln"), ("ln", "conv"), ("ln", "out")}
    parts = {
        name: model.get_layer(name).trainable_variables[: None if nodes == "all" else 1]
        for name in ours
    }
    alike(ours, full_by_differences(model, parts, linked, x, y))


def test_what_takes_each_layer_once_says_so(shared):
    from edgedyn import nn

    model, x, y = shared
    with pytest.raises(ValueError, match="'conv' is used more than once"):
        ed.line_graph(model)
    with pytest.raises(ValueError, match="uses a layer more than once"):
        nn.zero_cost(model, x, y)


def test_attention_is_known_without_masks():
    inputs = keras.Input((4, 2))
    x = kl.Dense(4)(inputs)
    for options, words in [
        ({"use_causal_mask": True}, "use_causal_mask"),
        ({"attention_mask": np.ones((1, 4, 4), bool)}, "attention_mask"),
    ]:
        out = kl.MultiHeadAttention(2, 2, name="heads")(x, x, **options)
        model = keras.Model(inputs, kl.Dense(2)(kl.Flatten()(out)))
        with pytest.raises(ValueError, match=f"'heads' is called with {words}"):
            extract(model)
    out = kl.MultiHeadAttention(2, 2, use_gate=True, name="heads")(x, x)
    with pytest.raises(ValueError, match="'heads' has a gate"):
        extract(keras.Model(inputs, kl.Dense(2)(kl.Flatten()(out))))
    out = kl.LayerNormalization(axis=1, name="odd")(x)
    with pytest.raises(ValueError, match="'odd' normalises axes .1.; known are the last ones"):
        extract(keras.Model(inputs, kl.Dense(2)(kl.Flatten()(out))))


# One axis and three -------------------------------------------------------------------------------


def volume(axes):
    """Build a network over positions of which all but the last two axes have one."""
    flat = (1,) * (axes - 2)
    inputs = keras.Input((*flat, 6, 5, 2))

    def layer(kind, *args, **options):
        return getattr(kl, f"{kind}{axes}D")(*args, **options)

    x = layer("Conv", 3, (*flat, 2, 2), name="c1")(inputs)
    x = layer("ZeroPadding", (*(0 for _ in flat), 1, 1))(kl.PReLU(name="slopes")(x))
    x = layer("MaxPooling", (*flat, 2, 2), strides=1, padding="same")(x)
    x = layer("AveragePooling", (*flat, 2, 2), strides=1)(x)
    x = layer("Conv", 4, (*flat, 2, 2), strides=(*flat, 1, 2), activation="tanh", name="c2")(x)
    x = layer("UpSampling", (*flat, 2, 2))(layer("Cropping", (*(0 for _ in flat), 1, 0))(x))
    x = layer("GlobalAveragePooling")(x)
    return keras.Model(inputs, kl.Dense(3, activation="softmax", name="out")(x))


def sequence(axes):
    flat = (1,) * (axes - 1)
    inputs = keras.Input((*flat, 9, 3))

    def layer(kind, *args, **options):
        return getattr(kl, f"{kind}{axes}D")(*args, **options)

    x = layer("SeparableConv", 4, (*flat, 3), depth_multiplier=2, activation="relu", name="s")(
        inputs
    )
    x = kl.Flatten()(layer("DepthwiseConv", (*flat, 2), name="d")(x))
    return keras.Model(inputs, kl.Dense(3, activation="softmax", name="out")(x))


@pytest.mark.parametrize("strength", ["magnitude", "signed"])
@pytest.mark.parametrize(("net", "axes"), [(volume, 3), (sequence, 1)])
def test_one_and_three_axes_are_two_of_which_one_has_one_position(net, axes, strength):
    # TensorFlow pools in three axes in single precision only.
    keras.config.set_dtype_policy("float32")
    model, twin = net(axes), net(2)
    rng = np.random.default_rng(4)
    for weight, other in zip(model.weights, twin.weights, strict=True):
        value = rng.standard_normal(other.shape) * 0.5
        other.assign(value)
        weight.assign(value.reshape(weight.shape))
    shape = model.input_shape[1:]
    x, y = rng.standard_normal((3, *shape)), np.arange(3)
    options = {"strength": strength, "nodes": "all"}
    _, ours = measured(model, x, y, **options)
    _, theirs = measured(twin, x.reshape(3, *twin.input_shape[1:]), y, **options)
    assert list(ours) == list(theirs) and len(ours) >= 3
    for name, pair in theirs.items():
        for own, other in zip(ours[name], pair, strict=True):
            scale = np.abs(other).max()
            np.testing.assert_allclose(own, other, rtol=2e-4, atol=2e-5 * scale + 1e-6)
    with pytest.raises(ValueError, match="no line graph: windows are known along one axis or two"):
        ed.line_graph(model)


@pytest.mark.slow
def test_all_networks_of_keras_applications_are_read():
    from edgedyn.nn.graph.extract import without_values

    names = [name for name in dir(keras.applications) if name[0].isupper()]
    assert len(names) >= 38
    for name in names:
        with without_values():
            model = getattr(keras.applications, name)(weights=None)
            graph = extract(model)
        kernels = [w for w in model.trainable_weights if "kernel" in w.path]
        assert len(graph.layers) == len(kernels), name
