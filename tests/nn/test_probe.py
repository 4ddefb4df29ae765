"""The probe: its layers, options, freezing, seeds, saving, and taking it off."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

from edgedyn import nn  # noqa: E402

pytestmark = pytest.mark.tensorflow


def backbone(n_features=6):
    inputs = keras.Input((4,))
    return keras.Model(inputs, kl.Dense(n_features, activation="relu", name="body")(inputs))


def test_default_layers_are_those_of_the_paper():
    model = nn.attach_probe(backbone(), 10, seed=0)
    kinds = [type(layer).__name__ for layer in model.layers[2:]]
    block = ["Dense", "BatchNormalization", "ReLU", "Dropout"]
    assert kinds == [*block, *block, "Dense"]
    dense = [layer for layer in model.layers[2:] if isinstance(layer, kl.Dense)]
    assert [layer.units for layer in dense] == [256, 128, 10]
    assert {layer.rate for layer in model.layers if isinstance(layer, kl.Dropout)} == {0.4}
    assert dense[-1].activation is keras.activations.softmax
    assert model.trainable_weights == [*model.get_layer("body").trainable_weights]


def test_a_frozen_probe_does_not_move_and_the_backbone_does():
    model = nn.attach_probe(backbone(), 3, seed=0)
    model.compile("adam", "sparse_categorical_crossentropy")
    before = {w.path: w.numpy().copy() for w in model.weights}
    x = np.random.default_rng(0).standard_normal((60, 4))
    model.fit(x, np.arange(60) % 3, epochs=2, verbose=0)
    moved = {w.path for w in model.weights if not np.array_equal(before[w.path], w.numpy())}
    assert moved and not any("probe_" in path and "seed" not in path for path in moved)


def test_frozen_batch_norm_is_the_identity_up_to_epsilon():
    model = nn.attach_probe(backbone(), 3, seed=0)
    norm = model.get_layer("probe_batch_norm_1")
    x = np.random.default_rng(0).standard_normal((5, 256)).astype("f4")
    out = np.asarray(norm(x, training=True))
    np.testing.assert_allclose(out, x / np.sqrt(1 + 1e-3), rtol=1e-6)


def test_statistics_follow_the_batches_while_everything_else_stays():
    model = nn.attach_probe(backbone(), 3, batch_norm="statistics", momentum=0.5, seed=0)
    norm = model.get_layer("probe_batch_norm_1")
    assert model.trainable_weights == [*model.get_layer("body").trainable_weights]
    assert [w.name for w in norm.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    model.compile("adam", "sparse_categorical_crossentropy")
    before = {w.path: w.numpy().copy() for w in model.weights}
    x = np.random.default_rng(0).standard_normal((60, 4))
    model.fit(x, np.arange(60) % 3, epochs=2, verbose=0)
    moved = {w.path for w in model.weights if not np.array_equal(before[w.path], w.numpy())}
    of_probe = {path.split("/")[-1] for path in moved if "probe_" in path and "seed" not in path}
    assert of_probe == {"moving_mean", "moving_variance"}


def test_statistics_are_the_batches_in_training_and_their_averages_in_inference():
    model = nn.attach_probe(backbone(), 3, batch_norm="statistics", momentum=0.75, seed=0)
    norm = model.get_layer("probe_batch_norm_1")
    x = np.random.default_rng(0).standard_normal((50, 256)).astype("f4") * 3 + 1
    mean, variance = x.mean(0), x.var(0)
    training = np.asarray(norm(x, training=True))
    np.testing.assert_allclose(
        training, (x - mean) / np.sqrt(variance + 1e-3), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(norm.moving_mean.numpy(), 0.25 * mean, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.numpy(), 0.75 + 0.25 * variance, rtol=1e-4)
    inference = np.asarray(norm(x, training=False))
    expected = (x - 0.25 * mean) / np.sqrt(0.75 + 0.25 * variance + 1e-3)
    np.testing.assert_allclose(inference, expected, rtol=1e-3, atol=1e-4)


def test_gamma_and_beta_cannot_be_thawed_by_the_way():
    model = nn.attach_probe(backbone(), 3, batch_norm="statistics", seed=0)
    norm = model.get_layer("probe_batch_norm_1")
    norm.trainable = False
    norm.trainable = True
    assert not norm.trainable_weights


def test_a_trained_probe_has_ordinary_batch_norms():
    for word in ("identity", "statistics"):
        model = nn.attach_probe(backbone(), 3, batch_norm=word, frozen=False, seed=0)
        assert len(model.get_layer("probe_batch_norm_1").trainable_weights) == 2


def test_seeds_decide_the_kernels():
    kernels = [
        nn.attach_probe(backbone(), 3, seed=seed).get_layer("probe_output").kernel.numpy()
        for seed in (0, 0, 1, np.random.default_rng(0))
    ]
    assert np.array_equal(kernels[0], kernels[1]) and np.array_equal(kernels[0], kernels[3])
    assert not np.array_equal(kernels[0], kernels[2])
    wide = nn.attach_probe(backbone(400), 3, seed=0).get_layer("probe_dense_1").kernel.numpy()
    assert wide.std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)  # He


def test_options():
    model = nn.attach_probe(
        backbone(), 4, units=[7], dropout=0, batch_norm="none", frozen=False, seed=0,
        initializer=keras.initializers.Ones(),
    )  # fmt: skip
    assert [type(layer).__name__ for layer in model.layers[2:]] == ["Dense", "ReLU", "Dense"]
    assert (model.get_layer("probe_dense_1").kernel.numpy() == 1).all()
    assert len(model.trainable_weights) == 6


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("batch_norm", ["identity", "statistics"])
@pytest.mark.filterwarnings("ignore")  # Keras warns that .h5 is its older format
def test_saved_and_loaded_it_is_the_same(tmp_path, suffix, batch_norm):
    model = nn.attach_probe(backbone(), 3, batch_norm=batch_norm, seed=0)
    model.save(tmp_path / f"model.{suffix}")
    loaded = keras.models.load_model(tmp_path / f"model.{suffix}")
    x = np.random.default_rng(0).standard_normal((12, 4))
    values = [nn.neural_capacitance(m, x, np.arange(12) % 3).value for m in (model, loaded)]
    assert values[0] == values[1]
    assert not loaded.get_layer("probe_dense_1").trainable
    assert len(loaded.trainable_weights) == len(model.trainable_weights)


def test_detached_backbone_shares_its_layers_and_trains_on():
    model = nn.attach_probe(backbone(), 3, seed=0)
    head = nn.detach_probe(model, 5, seed=0)
    assert head.output_shape == (None, 5) and head.get_layer("body") is model.get_layer("body")
    assert not any(layer.name.startswith("probe_") for layer in head.layers)
    head.compile("sgd", "sparse_categorical_crossentropy")
    x = np.random.default_rng(0).standard_normal((20, 4))
    head.fit(x, np.arange(20) % 5, verbose=0)
    again = nn.detach_probe(model, 5, seed=0)
    assert again.get_layer("head").kernel.shape == (6, 5)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"n_classes": 1}, ValueError, "at least 2"),
        ({"n_classes": 2.5}, TypeError, "must be an integer"),
        ({"units": ()}, ValueError, "at least one hidden layer"),
        ({"units": 256}, TypeError, "sequence of integers"),
        ({"units": (8, 0)}, ValueError, r"units\[1\] must be at least 1"),
        ({"dropout": 1.0}, ValueError, "below 1"),
        ({"dropout": -0.1}, ValueError, "at least 0"),
        ({"batch_norm": True}, TypeError, "give 'identity' for True"),
        ({"batch_norm": False}, TypeError, "give 'none' for False"),
        ({"batch_norm": "batch"}, ValueError, "one of 'identity', 'statistics', 'none'"),
        ({"momentum": 1.0}, ValueError, "momentum must be below 1"),
        ({"initializer": "nonsense"}, ValueError, "got 'nonsense'"),
        ({"backbone": "MobileNet"}, TypeError, "must be a Keras model"),
    ],
)
def test_bad_options(change, error, words):
    options = {"backbone": backbone(), "n_classes": 3, **change}
    with pytest.raises(error, match=words):
        nn.attach_probe(**options)


def test_backbones_without_flat_features_are_refused():
    inputs = keras.Input((8, 8, 3))
    spatial = keras.Model(inputs, kl.Conv2D(4, 3)(inputs))
    with pytest.raises(ValueError, match="end it with a pooling or flatten layer"):
        nn.attach_probe(spatial, 3)
    with pytest.raises(ValueError, match="has a probe already"):
        nn.attach_probe(nn.attach_probe(backbone(), 3), 3)
    with pytest.raises(ValueError, match="has no probe"):
        nn.detach_probe(backbone(), 3)
