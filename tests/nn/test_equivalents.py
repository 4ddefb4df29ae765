"""Different ways to write one network have one capacitance."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402
from keras import ops  # noqa: E402

from edgedyn import nn  # noqa: E402

pytestmark = [pytest.mark.tensorflow, pytest.mark.usefixtures("float64")]
SHAPE = (6, 6, 2)


def network(middle, head=None):
    """Build a convolution, something in the middle, a convolution, a classifier."""
    inputs = keras.Input(SHAPE)
    x = middle(kl.ReLU()(kl.Conv2D(4, 3, padding="same")(inputs)))
    x = kl.Flatten()(kl.ReLU()(kl.Conv2D(3, 2)(x)))
    x = head(x) if head else kl.Dense(3, activation="softmax")(x)
    return keras.Model(inputs, x)


def randomised(model, values=None):
    """Give a model the weights of another, in order, or random ones."""
    rng = np.random.default_rng(0)
    for k, weight in enumerate(model.weights):
        weight.assign(rng.standard_normal(weight.shape) * 0.4 if values is None else values[k])
    return model


def same(first, second, **options):
    randomised(first)
    randomised(second, first.get_weights())
    x = np.random.default_rng(1).standard_normal((7, *SHAPE))
    y = np.arange(7) % 3
    for kind in ({}, {"strength": "signed"}, {"nodes": "all"}):
        one, other = (
            nn.neural_capacitance(m, x, y, scope="network", **kind, **o)
            for m, o in zip((first, second), options.get("each", ({}, {})), strict=True)
        )
        assert one.status == other.status
        assert one.value == pytest.approx(other.value, rel=1e-10, nan_ok=one.status != "ok")
        assert one.n_nodes == other.n_nodes
        assert one.mean_strength == pytest.approx(other.mean_strength, rel=1e-10)


@pytest.mark.slow
def test_separable_is_depthwise_and_pointwise():
    def apart(x):
        x = kl.DepthwiseConv2D(3, strides=2, depth_multiplier=2, use_bias=False)(x)
        return kl.Conv2D(5, 1, activation="relu")(x)

    same(
        network(kl.SeparableConv2D(5, 3, strides=2, depth_multiplier=2, activation="relu")),
        network(apart),
    )


def test_a_negative_weight_of_a_residual():
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    def branch(x):
        return kl.Conv2D(4, 1)(x)

    def scaled(x):
        return CustomScaleLayer(-0.25)([x, branch(x)])

    def rescaled(x):
        return kl.Add()([x, kl.Rescaling(-0.25)(branch(x))])

    def by_ops(x):
        return x + -0.25 * branch(x)

    same(network(scaled), network(rescaled))
    same(network(by_ops), network(rescaled))


def test_operations_and_layers():
    same(
        network(lambda x: ops.relu(ops.add(x, 0.25)) * x),
        network(lambda x: kl.Multiply()([kl.ReLU()(kl.Rescaling(1.0, offset=0.25)(x)), x])),
    )


def test_logits_and_probabilities():
    losses = (
        {"loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        {"loss": "sparse_categorical_crossentropy"},
    )
    identity = kl.Identity()
    same(network(identity, kl.Dense(3)), network(identity), each=losses)
    with_layer = network(identity, lambda x: kl.Softmax()(kl.Dense(3)(x)))
    same(with_layer, network(identity))


def test_what_does_nothing():
    noise = [kl.Dropout(0.5), kl.SpatialDropout2D(0.5), kl.GaussianNoise(1.0)]
    assert len(network(keras.Sequential([keras.Input((6, 6, 4)), *noise])).weights) > 0

    def nothing(x):
        for layer in noise:
            x = layer(x)
        return kl.Permute((2, 1, 3))(kl.Permute((2, 1, 3))(kl.Reshape((6, 6, 4))(x)))

    inputs = keras.Input(SHAPE)
    quiet = network(kl.Identity())
    loud = network(nothing)
    kernels = [w for w in loud.weights if "seed" not in w.path]
    for weight, value in zip(kernels, randomised(quiet).get_weights(), strict=True):
        weight.assign(value)
    x, y = np.random.default_rng(1).standard_normal((7, *SHAPE)), np.arange(7) % 3
    values = [nn.neural_capacitance(m, x, y, scope="network").value for m in (quiet, loud)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    assert inputs.shape[1:] == SHAPE


def test_class_order_and_sample_order_do_not_matter():
    model = randomised(network(kl.Identity()))
    x, y = np.random.default_rng(1).standard_normal((7, *SHAPE)), np.arange(7) % 3
    value = nn.neural_capacitance(model, x, y, scope="network").value
    order = np.random.default_rng(2).permutation(7)
    again = nn.neural_capacitance(model, x[order], y[order], scope="network", batch_size=3)
    assert again.value == pytest.approx(value, rel=1e-12)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel[:, [2, 0, 1]], bias[[2, 0, 1]]])
    swapped = nn.neural_capacitance(model, x, np.array([1, 2, 0])[y], scope="network")
    assert swapped.value == pytest.approx(value, rel=1e-12)
