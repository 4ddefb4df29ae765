"""Transferability of Keras models: the pure functions on features and classes taken by hand."""

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.capacitance import DivergedError  # noqa: E402
from edgedyn.predict import transferability as pure  # noqa: E402

pytestmark = pytest.mark.tensorflow


def source_model(head="softmax", n_source=5, dropout=True):
    """Return a small classifier and its features."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    h = kl.GlobalAveragePooling2D(name="pool")(kl.Conv2D(7, 3, activation="relu")(inputs))
    features = keras.Model(inputs, h)
    h = kl.Dropout(0.5)(h) if dropout else h
    out = kl.Dense(n_source, activation=None if head == "logits" else head, name="head")(h)
    return keras.Model(inputs, out), features


def data(n=30):
    x = np.random.default_rng(0).standard_normal((n, 6, 6, 2)).astype("float32")
    y = np.arange(n) % 3
    x[:, 0, 0, 0] += y
    return x, y


def by_hand(features, theta, y):
    F, theta = features.astype(float), theta.astype(float)
    return {
        "nce": pure.nce(theta.argmax(1), y),
        "leep": pure.leep(theta, y),
        "logme": pure.logme(F, y),
        "h_score": pure.h_score(F, y),
        "h_score_shrunk": pure.h_score(F, y, covariance="ledoit_wolf"),
    }


@pytest.mark.parametrize("batch_size", [7, 64])
@pytest.mark.parametrize("head", ["softmax", "logits"])
def test_one_pass_gives_what_the_pure_functions_do(head, batch_size):
    model, features = source_model(head)
    x, y = data()
    theta = model.predict(x, verbose=0)
    if head == "logits":
        theta = keras.ops.convert_to_numpy(keras.ops.softmax(theta))
    expected = by_hand(features.predict(x, verbose=0), theta, y)
    found = nn.transfer_scores(model, x, y, source_head=head, batch_size=batch_size)
    assert found.scores == pytest.approx(expected, rel=1e-4)
    assert (found.n_samples, found.n_features, found.n_classes) == (30, 7, 3)
    assert found.n_source_classes == 5


def test_softmax_is_recognised_however_it_is_written():
    model, _ = source_model("softmax")
    x, y = data()
    expected = nn.transfer_scores(model, x, y, source_head="softmax").scores
    assert nn.transfer_scores(model, x, y).scores == expected
    logits, _ = source_model("logits")
    apart = keras.Model(logits.input, kl.Softmax()(logits.output))
    assert nn.transfer_scores(apart, x, y).scores == pytest.approx(expected, rel=1e-5)
    plain = keras.Sequential(model.layers)
    assert nn.transfer_scores(plain, x, y).scores == pytest.approx(expected, rel=1e-5)


def test_without_a_source_head():
    model, features = source_model("softmax")
    x, y = data()
    whole = nn.transfer_scores(model, x, y)
    probed = nn.attach_probe(features, 3, seed=0)
    for other in (features, probed):
        found = nn.transfer_scores(other, x, y)
        assert found.logme == pytest.approx(whole.logme, rel=1e-5)
        assert np.isnan(found.leep) and found.nce.status == "no_source_head"
        assert found.n_source_classes == 0
    assert nn.transfer_scores(model, x, y, source_head="none").n_features == 5


def test_features_by_name():
    model, features = source_model("softmax")
    x, y = data()
    named = nn.transfer_scores(model, x, y, features="pool")
    assert named.scores == pytest.approx(nn.transfer_scores(model, x, y).scores, rel=1e-6)
    h = kl.Reshape((5,))(kl.Conv2D(5, 1)(kl.Reshape((1, 1, 7))(features.output)))
    convolved = keras.Model(features.input, kl.Activation("softmax")(h))
    with pytest.raises(ValueError, match="does not end in a dense layer; name the layer"):
        nn.transfer_scores(convolved, x, y)
    assert nn.transfer_scores(convolved, x, y, features="pool").leep.status == "ok"


def test_names_as_labels_and_one_class():
    model, _ = source_model()
    x, y = data()
    names = np.array(["cat", "dog", "eel"])[y]
    assert nn.transfer_scores(model, x, names).scores == nn.transfer_scores(model, x, y).scores
    found = nn.transfer_scores(model, x, np.zeros(30, int))
    assert {score.status for score in found.scores.values()} == {"one_class"}


def test_result_prints_and_becomes_plain():
    model, features = source_model()
    x, y = data()
    seen = []
    found = nn.transfer_scores(
        model, x, y, batch_size=10, progress=lambda done, word: seen.append(word)
    )
    assert seen == 3 * ["features"] + ["nce", "leep", "logme", "h_score", "h_score_shrunk"]
    assert "30 samples of 3 classes, 7 features, 5 source classes" in str(found)
    assert "no source classes" in str(nn.transfer_scores(features, x, y))
    plain = found.to_dict()
    assert plain["leep"] == {"value": float(found.leep), "status": "ok"}
    assert set(plain["seconds"]) == {"features", *found.scores} and plain["n_features"] == 7


def test_weights_stay():
    model, _ = source_model()
    before = [w.copy() for w in model.get_weights()]
    nn.transfer_scores(model, *data())
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"source_head": "yes"}, "source_head must be one of"),
        ({"source_head": "logits"}, "ends in a softmax"),
        ({"features": "pond"}, "features must name a layer .* got 'pond'"),
        ({"features": "conv2d"}, r"must have shape \(batch, n_features\)"),
        ({"batch_size": 0}, "batch_size"),
    ],
)
def test_refusals(options, words):
    model, _ = source_model()
    if options.get("features") == "conv2d":
        options = {"features": model.layers[1].name}
    with pytest.raises(ValueError, match=words):
        nn.transfer_scores(model, *data(), **options)


def test_refused_models_and_data():
    model, features = source_model()
    x, y = data()
    with pytest.raises(TypeError, match="must be a Keras model; got str"):
        nn.transfer_scores("model", x, y)
    with pytest.raises(TypeError, match="functional or built sequential"):
        nn.transfer_scores(keras.Sequential([kl.Dense(3)]), x, y)
    with pytest.raises(ValueError, match="carries a probe"):
        nn.transfer_scores(nn.attach_probe(features, 3), x, y, source_head="softmax")
    with pytest.raises(ValueError, match="x has 30 samples; y has shape"):
        nn.transfer_scores(model, x, y[:-1])
    with pytest.raises(ValueError, match="argmax of one-hot"):
        nn.transfer_scores(model, x, np.eye(3)[y])
    maps = keras.Model(model.input, model.layers[1].output)
    with pytest.raises(ValueError, match="pooling layer"):
        nn.transfer_scores(maps, x, y)
    model.layers[-1].bias.assign([np.nan, 0, 0, 0, 0])
    with pytest.raises(DivergedError, match="not finite"):
        nn.transfer_scores(model, x, y)
