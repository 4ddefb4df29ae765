"""Layers made of others, and keras.ops between layers, against the same network in plain layers."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402
from keras import ops  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn import nn  # noqa: E402
from edgedyn.nn.graph.extract import extract  # noqa: E402

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("float64")]


class Block(kl.Layer):
    """A residual block of two dense layers, as people write them."""

    def build(self, shape):
        self.norm = kl.LayerNormalization(name="norm")
        self.up = kl.Dense(5, activation="relu", name="up")
        self.down = kl.Dense(shape[-1], name="down")
        self.drop = kl.Dropout(0.5)
        for layer, width in ((self.norm, shape[-1]), (self.up, shape[-1]), (self.down, 5)):
            layer.build((*shape[:-1], width))

    def call(self, x, training=None):
        return x + 0.5 * self.drop(self.down(self.up(self.norm(x))), training=training)


class Two(kl.Layer):
    """Two blocks in a row."""

    def build(self, shape):
        self.blocks = [Block(name=f"block_{k}") for k in range(2)]
        for block in self.blocks:
            block.build(shape)

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return x


def plain(x):
    for _ in range(2):
        h = kl.Dense(5, activation="relu")(kl.LayerNormalization()(x))
        x = kl.Add()([x, kl.Rescaling(0.5)(kl.Dense(4)(h))])
    return x


def model_of(net, shape, end=kl.Flatten):
    inputs = keras.Input(shape)
    x = net(kl.Dense(4, activation="tanh")(inputs))
    x = x if end is None else end()(x)
    model = keras.Model(inputs, kl.Dense(3, activation="softmax")(x))
    rng = np.random.default_rng(0)
    for weight in model.trainable_weights:
        weight.assign(rng.standard_normal(weight.shape))
    return model


def data(shape, n=6):
    return np.random.default_rng(1).standard_normal((n, *shape)), np.arange(n) % 3


def alike(model, twin, shape):
    x, y = data(shape)
    np.testing.assert_allclose(model(x), twin(x), rtol=1e-12)
    for strength in ("magnitude", "signed"):
        for nodes in ("kernels", "all"):
            options = {"scope": "network", "strength": strength, "nodes": nodes}
            one, other = (nn.neural_capacitance(m, x, y, **options) for m in (model, twin))
            assert one.status == other.status and one.n_nodes == other.n_nodes
            assert one.value == pytest.approx(other.value, rel=1e-10, nan_ok=True)
            assert one.mean_strength == pytest.approx(other.mean_strength, rel=1e-10)


@pytest.mark.parametrize("shape", [(7,), (3, 2)])
def test_a_layer_made_of_others_is_what_it_is_made_of(shape):
    model, twin = (model_of(net, shape) for net in (Two(name="two"), plain))
    alike(model, twin, shape)
    graph = extract(model)
    assert graph.traced == ("two", "block_0", "block_1")
    assert [layer.name for layer in graph.layers][1:3] == ["two/block_0/up", "two/block_0/down"]


def token(x):
    return x[:, 0]


def token_plain(x):
    return kl.Flatten()(kl.Cropping1D((0, 2))(x))


def mean(x):
    return ops.squeeze(ops.expand_dims(ops.mean(ops.transpose(x, (0, 2, 1)), axis=-1), 1), axis=1)


@pytest.mark.parametrize(
    ("net", "same"), [(token, token_plain), (mean, lambda x: kl.GlobalAveragePooling1D()(x))]
)
def test_operations_that_rearrange_a_sample(net, same):
    model, twin = (model_of(f, (3, 2), end=None) for f in (net, same))
    alike(model, twin, (3, 2))
    with pytest.raises(ValueError, match="no line graph: its routes .* are not known"):
        ed.line_graph(model)


class Otherwise(kl.Layer):
    """Does otherwise with values than with symbols."""

    def build(self, shape):
        self.inner = kl.Dense(4)
        self.inner.build(shape)

    def call(self, x):
        out = self.inner(x)
        return out if isinstance(x, keras.KerasTensor) else ops.sign(out)


class Scalar(kl.Layer):
    """Has a parameter that no layer of Keras has."""

    def build(self, shape):
        self.factor = self.add_weight(shape=(), name="factor", initializer="ones")

    def call(self, x):
        return x * self.factor


def test_a_trained_factor_before_the_first_layer_is_no_preprocessing():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, kl.Dense(3)(Scalar(name="odd")(inputs)))
    with pytest.raises(ValueError, match="'odd' of type Scalar is not known; taken apart, layer"):
        extract(model)


class Values(kl.Layer):
    """Needs values, not symbols."""

    def build(self, shape):
        self.inner = kl.Dense(4)
        self.inner.build(shape)

    def compute_output_shape(self, shape):
        return shape

    def call(self, x):
        return self.inner(x) if np.asarray(x).sum() > 0 else x


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (Otherwise, "gives another output than its layers .'odd'., taken apart"),
        (Scalar, "of type Scalar is not known; taken apart, layer .* of type Multiply"),
        (Values, "'odd' of type Values is not known"),
    ],
)
def test_what_is_not_made_of_others_is_refused(layer, words):
    model = model_of(layer(name="odd"), (7,))
    with pytest.raises(ValueError, match=words):
        nn.neural_capacitance(model, *data((7,)), scope="network")


@pytest.mark.parametrize(
    "net",
    [
        lambda x: ops.mean(x, axis=0, keepdims=True) + 0 * x,
        lambda x: ops.sum(x) * ops.ones((1, 1)) + 0 * x,
    ],
    ids=["mean", "sum"],
)
def test_what_mixes_samples_is_refused(net):
    inputs = keras.Input((4,))
    x = net(kl.Dense(4)(inputs))
    model = keras.Model(inputs, kl.Dense(3)(x))
    with pytest.raises(ValueError, match="is not known"):
        extract(model)


def test_joined_padded_rolled_and_reshaped():
    def net(x):
        y = ops.concatenate(xs=[x, ops.roll(x, 1, axis=1)], axis=-1)
        y = ops.pad(y, ((0, 0), (1, 0), (0, 0)))
        return ops.reshape(y, (-1, 2, 4 * 8))

    def plain(x):
        rolled = kl.Concatenate(axis=1)([kl.Cropping1D((6, 0))(x), kl.Cropping1D((0, 1))(x)])
        y = kl.ZeroPadding1D((1, 0))(kl.Concatenate()([x, rolled]))
        return kl.Reshape((2, 4 * 8))(y)

    alike(*(model_of(f, (7, 3)) for f in (net, plain)), (7, 3))


def test_zeros_beside_samples_are_refused():
    inputs = keras.Input((4,))
    x = ops.pad(kl.Dense(4)(inputs), ((1, 0), (0, 0)))
    with pytest.raises(ValueError, match="is not known"):
        extract(keras.Model(inputs, kl.Dense(3)(x)))
