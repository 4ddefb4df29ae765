"""Layers, losses, models and data that are refused, by name; and what is accepted."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.nn.graph.extract import extract  # noqa: E402
from edgedyn.nn.graph.loss import output_loss  # noqa: E402

pytestmark = pytest.mark.tensorflow


def network(*middle, n_classes=3, activation="softmax"):
    inputs = keras.Input((6, 6, 2))
    x = kl.Conv2D(4, 3)(inputs)
    for layer in middle:
        x = layer(x)
    x = kl.GlobalAveragePooling2D()(x) if len(x.shape) == 4 else x
    return keras.Model(inputs, kl.Dense(n_classes, activation=activation)(x))


def data(n=6):
    x = np.random.default_rng(0).standard_normal((n, 6, 6, 2)).astype("f4")
    return x, np.arange(n) % 3


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (kl.Resizing(4, 4, name="odd"), "'odd' of type Resizing is not known"),
        (kl.Activation("softmax", name="odd"), "follows a softmax"),
        (kl.Conv2DTranspose(3, 2, output_padding=0, name="odd"), "'odd' has output_padding="),
        (kl.BatchNormalization(axis=1, name="odd"), "'odd' normalises axis 1"),
        (kl.UpSampling2D(2, interpolation="bicubic", name="odd"), "interpolates by 'bicubic'"),
        (
            kl.Lambda(lambda x: keras.ops.cumsum(x, axis=1), name="odd"),
            "'odd' of type Lambda is not known",
        ),
        (kl.Activation(keras.activations.threshold, name="odd"), "'threshold' of layer 'odd'"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, kl.Layer) else "",
)
def test_unknown_layers_are_refused_by_name(layer, words):
    model = network(layer)
    with pytest.raises(ValueError, match=words):
        nn.neural_capacitance(model, *data(), scope="network")


def test_what_is_no_sequential_or_functional_model_is_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(TypeError, match="only sequential and functional"):
        extract(Own())
    with pytest.raises(TypeError, match="is not built"):
        extract(keras.Sequential([kl.Dense(2)]))
    with pytest.raises(TypeError, match="or a Keras model; got str"):
        nn.neural_capacitance("MobileNet", *data())
    inputs = keras.Input((3,))
    two = keras.Model(inputs, [kl.Dense(2)(inputs), kl.Dense(2)(inputs)])
    with pytest.raises(ValueError, match="2 outputs"):
        extract(two)
    with pytest.raises(ValueError, match="no layer with a kernel"):
        extract(keras.Model(inputs, kl.ReLU()(inputs)))


def test_anything_is_accepted_before_the_first_layer():
    inputs = keras.Input((6, 6, 2))
    x = kl.Normalization(mean=[0.1, 0.2], variance=[1.0, 2.0])(inputs)
    x = keras.ops.flip(kl.Rescaling([2.0, 0.5], [1.0, 0.0])(x), axis=-1)
    x = kl.Resizing(7, 7)(x)
    h = kl.ReLU()(kl.Conv2D(4, 3)(x))
    h = kl.ReLU()(kl.Conv2D(4, 3)(h))
    model = keras.Model(inputs, kl.Dense(3, activation="softmax")(kl.Flatten()(h)))
    images, y = data()
    cap = nn.neural_capacitance(model, images, y, scope="network")
    inner = keras.Input((7, 7, 2))
    h = inner
    for layer in model.layers[-6:]:
        h = layer(h)
    ready = keras.Model(inputs, x).predict(images, verbose=0)
    alone = nn.neural_capacitance(keras.Model(inner, h), ready, y, scope="network")
    assert cap.value == pytest.approx(alone.value, rel=1e-5)


def test_nested_and_sequential_models_are_unrolled():
    block = keras.Sequential([keras.Input((6, 6, 2)), kl.Conv2D(4, 3), kl.ReLU()], name="block")
    inputs = keras.Input((6, 6, 2))
    h = kl.ReLU()(kl.Conv2D(3, 2)(block(inputs)))
    nested = keras.Model(inputs, kl.Dense(3, activation="softmax")(kl.Flatten()(h)))
    flat = keras.Sequential([keras.Input((6, 6, 2)), *block.layers, *nested.layers[2:]])
    x, y = data()
    values = [nn.neural_capacitance(m, x, y, scope="network").value for m in (nested, flat)]
    assert values[0] == pytest.approx(values[1], rel=1e-6)


def test_frozen_parameters_are_nodes_all_the_same():
    model = network(kl.ReLU(), kl.Conv2D(3, 2), kl.ReLU())
    x, y = data()
    before = nn.neural_capacitance(model, x, y, scope="network")
    model.trainable = False
    assert nn.neural_capacitance(model, x, y, scope="network") == before


@pytest.mark.parametrize(
    ("loss", "head", "words"),
    [
        ("hinge", "softmax", "'hinge' is not known"),
        (keras.losses.KLDivergence(), "softmax", "'KLDivergence' is not known"),
        (lambda y, p: p, "softmax", "'<lambda>' is not known"),
        ("mean_absolute_error", "", "'mean_absolute_error' is not known"),
        ("nonsense", "softmax", "'nonsense' is not known"),
        (keras.losses.CategoricalCrossentropy(from_logits=True), "softmax", "expects logits"),
        ("sparse_categorical_crossentropy", "", "expects probabilities"),
        (keras.losses.SparseCategoricalCrossentropy(ignore_class=0), "softmax", "ignore_class"),
        ({"a": "mse", "b": "mse"}, "softmax", "'dict of losses' is not known"),
        (["mse", "mse"], "softmax", "'list of losses' is not known"),
        ("binary_crossentropy", "softmax", "goes with a sigmoid; the model ends in a softmax"),
        ("categorical_crossentropy", "sigmoid", "goes with a softmax; the model ends in a sigm"),
        ("binary_crossentropy", "", "expects probabilities"),
        (keras.losses.BinaryCrossentropy(from_logits=True), "sigmoid", "expects logits"),
    ],
)
def test_unknown_losses_are_refused_by_name(loss, head, words):
    with pytest.raises(ValueError, match=words):
        output_loss(loss, head)


@pytest.mark.parametrize("name", ["mse", "mean_squared_error", keras.losses.MeanSquaredError()])
def test_mean_squared_error_by_any_name(name):
    assert output_loss(name, "").name == "mean_squared_error"
    assert output_loss(name, "softmax").name == "softmax_mean_squared_error"


@pytest.mark.parametrize("several", [["mse"], {"out": "mse"}, ("mse",)])
def test_one_loss_in_a_list_or_dictionary_is_that_loss(several):
    assert output_loss(several, "softmax") == output_loss("mse", "softmax")


def keras_value(loss, y, logits, head):
    heads = {"softmax": keras.ops.softmax, "sigmoid": keras.ops.sigmoid}
    given = heads.get(head, keras.ops.convert_to_tensor)(logits)
    return float(keras.ops.mean(loss(y, given)))


@pytest.mark.parametrize("head", ["softmax", "sigmoid", ""])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_losses_are_those_of_keras(head, smoothing):
    rng = np.random.default_rng(0)
    logits, y = rng.standard_normal((5, 3)), np.array([0, 1, 2, 0, 1])
    rows = np.eye(3)[y]
    options = {"from_logits": not head, "label_smoothing": smoothing}
    losses = [(keras.losses.MeanSquaredError(), rows)]
    if head != "softmax":
        losses.append((keras.losses.BinaryCrossentropy(**options), rng.integers(0, 2, (5, 3))))
    if head != "sigmoid":
        losses += [
            (keras.losses.SparseCategoricalCrossentropy(from_logits=not head), y),
            (keras.losses.CategoricalCrossentropy(**options), rows),
        ]
    for loss, targets in losses:
        ours = output_loss(loss, head)
        checked = ours.targets(targets, 5, 3, "float32")
        tensors = (
            keras.ops.convert_to_tensor(logits.astype("f4")),
            keras.ops.convert_to_tensor(checked),
        )
        value = float(keras.ops.mean(ours.per_sample(*tensors)))
        assert value == pytest.approx(keras_value(loss, targets, logits, head), rel=1e-5)
        e = np.asarray(ours.cotangent(*tensors))
        step = 1e-2
        for k in range(3):
            move = step * np.eye(3)[k]
            plus, minus = (keras_value(loss, targets, logits + s * move, head) for s in (1, -1))
            assert e[:, k].mean() == pytest.approx((plus - minus) / (2 * step), abs=2e-4)


def test_bad_data_are_refused():
    model = network(kl.ReLU())
    x, y = data()

    def ask(x, y, **options):
        return nn.neural_capacitance(model, x, y, scope="network", **options)

    with pytest.raises(ValueError, match=r"the model takes \(n_samples, \*\(6, 6, 2\)\)"):
        ask(x[..., :1], y)
    with pytest.raises(ValueError, match="contains inf"):
        ask(np.where(x > 1, np.inf, x), y)
    with pytest.raises(ValueError, match="empty"):
        ask(x[:0], y[:0])
    with pytest.raises(TypeError, match="real numbers"):
        ask(x.astype(str), y)
    with pytest.raises(ValueError, match="integers in 0..2"):
        ask(x, y + 1)
    with pytest.raises(ValueError, match="integers in 0..2"):
        ask(x, y + 0.5)
    with pytest.raises(ValueError, match="one class only"):
        ask(x, np.ones(6, int))
    with pytest.raises(ValueError, match="integer labels"):
        ask(x, np.eye(3)[y])
    with pytest.raises(ValueError, match="one row of targets"):
        ask(x, y, loss="categorical_crossentropy")
    with pytest.raises(ValueError, match="probabilities"):
        ask(x, 2 * np.eye(3)[y], loss="categorical_crossentropy")
    with pytest.raises(ValueError, match="NaN or infinity"):
        ask(x, np.full((6, 3), np.nan), loss="mse")
    with pytest.raises(ValueError, match="'absolute'"):
        ask(x, y, strength="absolute")
    with pytest.raises(ValueError, match="scope must be one of 'probe', 'network'"):
        nn.neural_capacitance(model, x, y, scope="all")
    with pytest.raises(ValueError, match="batch_size must be at least 1"):
        ask(x, y, batch_size=0)


def test_batch_size_does_not_change_the_value():
    model = network(kl.ReLU(), kl.Conv2D(3, 2), kl.ReLU())
    x, y = data(11)
    values = [
        nn.neural_capacitance(model, x, y, scope="network", batch_size=b).value for b in (3, 11)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-5)
