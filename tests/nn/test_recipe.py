"""Training settings of a study in Keras, and what they change."""

import keras
import numpy as np
import pytest

from edgedyn import nn
from edgedyn._job import TrainingSettings
from edgedyn.nn.models import small
from edgedyn.nn.models.probe import probe_input
from edgedyn.nn.training import recipe
from edgedyn.nn.training.finetune import finetune
from edgedyn.predict.transferability import logme


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [0.1, 0.1, 0.1]),
        ("cosine", [0.1, 0.05, 0.0]),
        ("linear", [0.1, 0.05, 0.0]),
    ],
)
def test_the_rate_falls_to_zero(schedule, expected):
    made = recipe.optimizer(TrainingSettings(schedule=schedule, learning_rate=0.1), 10)
    rate = made.get_config()["learning_rate"]
    if schedule == "constant":
        assert float(rate) == pytest.approx(0.1)
        return
    rate = keras.optimizers.schedules.deserialize(rate)
    assert [float(rate(step)) for step in (0, 5, 10)] == pytest.approx(expected, abs=1e-7)


def test_weight_decay_and_loss_scaling():
    made = recipe.optimizer(TrainingSettings(weight_decay=0.01), 1)
    assert made.weight_decay == 0.01
    made = recipe.optimizer(TrainingSettings(precision="mixed_float16"), 1)
    assert isinstance(made, keras.optimizers.LossScaleOptimizer)


def test_balanced_classes_count_alike():
    y = np.array([0] * 6 + [1] * 3 + [3])
    weights = recipe.class_weights(TrainingSettings(class_weights="balanced"), y, 4)
    assert weights[2] == 0.0  # has no samples
    counted = [weights[k] * np.sum(y == k) for k in (0, 1, 3)]
    assert counted == pytest.approx([10 / 4] * 3)
    assert recipe.class_weights(TrainingSettings(), y, 4) is None


@pytest.mark.parametrize("name", recipe.AUGMENTATION)
def test_images_are_changed_and_stay_images(name):
    (layer,) = recipe.augmentation(TrainingSettings(augmentation=(name,)), seed=3)
    images = np.random.default_rng(0).uniform(0, 255, (8, 16, 16, 3)).astype("float32")
    changed = np.asarray(layer(images, training=True))
    assert changed.shape == images.shape and np.abs(changed - images).max() > 1
    assert changed.min() >= 0 and changed.max() <= 255
    np.testing.assert_array_equal(layer(images, training=False), images)
    (again,) = recipe.augmentation(TrainingSettings(augmentation=(name,)), seed=3)
    np.testing.assert_array_equal(again(images, training=True), changed)


def model(seed=0):
    keras.utils.set_random_seed(seed)
    layers = keras.layers
    body = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(1 / 255), layers.Flatten(),
         layers.Dense(10, activation="softmax")]
    )  # fmt: skip
    body.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return body


def trained(folder, data, stops, **options):
    """Return an epoch's weights; training stops and goes on at the epochs given."""
    for epochs in stops:
        network = model()
        augmentation = recipe.augmentation(TrainingSettings(augmentation=("flip", "zoom")), 0)
        finetune(network, data, epochs=epochs, backup=folder, report=lambda line: None,
                 augmentation=augmentation, **options)  # fmt: skip
    return network.get_weights()


@pytest.mark.slow
def test_an_interrupted_training_draws_the_same_changes(tmp_path):
    data = nn.load_dataset("digits", n_train=60, validation_size=30)
    whole = trained(tmp_path / "a", data, [3])
    parts = trained(tmp_path / "b", data, [1, 2, 3])
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(one, other)


def test_class_weights_reach_the_loss(tmp_path):
    data = nn.load_dataset("digits", n_train=60, validation_size=30)
    losses = []
    for weight in (None, dict.fromkeys(range(10), 3.0)):
        network = model()
        network.compile(
            keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )  # fmt: skip
        finetune(network, data, epochs=1, backup=tmp_path / str(weight is None),
                 report=lambda line: losses.append(line["train_loss"]),
                 class_weight=weight)  # fmt: skip
    assert losses[1] == pytest.approx(3 * losses[0], rel=1e-5)


def test_training_ends_where_it_is_over(tmp_path):
    data = nn.load_dataset("digits", n_train=60, validation_size=30)
    seen = []
    finetune(model(), data, epochs=5, backup=tmp_path, report=seen.append,
             over=lambda: len(seen) == 2)  # fmt: skip
    assert [line["epoch"] for line in seen] == [1, 2]


def test_candidates_compute_in_another_precision_and_probes_do_not():
    with recipe.computing_in("mixed_bfloat16"):
        body = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(),
                                 keras.layers.Dense(4, activation="relu")])  # fmt: skip
    assert keras.config.dtype_policy().name == "float32"
    probed = nn.attach_probe(nn.backbone(body), 3, units=(4, 3), seed=0)
    computed = {layer.name: layer.compute_dtype for layer in probed.layers if layer.weights}
    assert set(computed.values()) == {"bfloat16", "float32"}
    assert all(dtype == "float32" for name, dtype in computed.items() if "probe" in name)
    x = np.random.default_rng(0).uniform(0, 1, (6, 8, 8, 3)).astype("float32")
    found = nn.neural_capacitance(probed, x, np.arange(6) % 3)
    # The probe alone, in float32, on the features that the body gives, by differentiation.
    features = np.asarray(keras.ops.cast(body(x), "float32"))
    alone = keras.Model(probe_input(probed), probed.output)
    expected = nn.neural_capacitance(alone, features, np.arange(6) % 3, scope="network")
    assert found.status == "ok" and found.value == pytest.approx(expected.value, rel=1e-5)
    whole = nn.neural_capacitance(probed, x, np.arange(6) % 3, scope="network")
    assert whole.status == "ok" and len(whole.per_layer) == 1 + len(found.per_layer)


def test_scores_of_candidates_in_half_precision():
    with recipe.computing_in("mixed_bfloat16"):
        body = nn.backbone(small.cnn((8, 8, 3), width=4))
    x = np.random.default_rng(0).uniform(0, 255, (30, 8, 8, 3)).astype("float32")
    y = np.arange(30) % 3
    found = nn.transfer_scores(body, x, y, source_head="none")
    features = np.asarray(keras.ops.cast(body(x), "float32"), float)
    assert float(found.logme) == pytest.approx(float(logme(features, y)), rel=1e-6)
