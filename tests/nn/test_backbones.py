"""Backbones: preprocessing, sizes, cut heads, the table, and what is refused."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.nn.models import backbones  # noqa: E402
from edgedyn.nn.models.alexnet import AlexNet  # noqa: E402

pytestmark = pytest.mark.tensorflow
realdata = pytest.mark.realdata
NAMES = [row.name for row in nn.list_backbones()]
SMALL = ["AlexNet", "VGG16", "MobileNet", "MobileNetV2", "ResNet50", "DenseNet121"]
MOBILENET = {"name": "MobileNet", "alpha": 0.25}

SLOW = pytest.mark.slow


def pixels(side=32, n=2, seed=0):
    shape = (n, side, side, 3)
    return np.random.default_rng(seed).integers(0, 256, shape).astype("float32")


def module(name):
    """Return the module of keras.applications that has a model's preprocess_input."""
    return sys.modules[getattr(keras.applications, name).__module__]


def kernels(model):
    kinds = (kl.Conv2D, kl.DepthwiseConv2D, kl.Dense)
    separable = sum(isinstance(layer, kl.SeparableConv2D) for layer in model.layers)
    return sum(isinstance(layer, kinds) for layer in model.layers) + 2 * separable


# Named models -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", [n if n == "MobileNet" else pytest.param(n, marks=pytest.mark.slow) for n in SMALL]
)
def test_the_table_is_true(name):
    row = next(row for row in nn.list_backbones() if row.name == name)
    model = nn.backbone(name, weights=None, input_shape=(32, 32, 3))
    assert model.name == name
    assert model.count_params() == row.parameters
    assert model.output_shape == (None, row.features)
    assert kernels(model) == row.depth
    assert np.isfinite(np.asarray(model(pixels(), training=False))).all()


def test_the_table_prints_and_converts():
    table = nn.list_backbones()
    lines = repr(table).splitlines()
    assert len(lines) == 18 and lines[2].split() == ["VGG16", "14,714,688", "512", "32", "13"]
    frame = table.to_frame()
    assert list(frame.index) == NAMES
    assert frame.loc["Xception", "minimum_size"] == 71
    assert isinstance(table[:2], tuple) and table[-1].name == "Xception"


@pytest.mark.parametrize("name", NAMES[1:])
def test_preprocessing_is_that_of_keras(name):
    inputs = keras.Input((None, None, 3))
    mode = backbones._mode(name, getattr(keras.applications, name))
    ours = keras.Model(inputs, backbones._preprocessed(inputs, mode))(pixels())
    expected = module(name).preprocess_input(pixels())
    np.testing.assert_allclose(ours, expected, atol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        "MobileNet",
        *(pytest.param(n, marks=SLOW) for n in ("VGG16", "DenseNet121", "MobileNetV3Small")),
    ],
)
def test_features_are_those_of_keras_on_preprocessed_images(name):
    """One model each of caffe, torch, tf, and of those that preprocess inside."""
    ours = nn.backbone(name, weights=None, input_shape=(40, 32, 3))
    theirs = getattr(keras.applications, name)(
        include_top=False, weights=None, input_shape=(40, 32, 3), pooling="avg"
    )
    theirs.set_weights(ours.get_weights())
    x = pixels(40)[:, :, :32]
    given = module(name).preprocess_input(x.copy())
    expected = np.asarray(theirs(given, training=False))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        np.asarray(ours(x, training=False)), expected, rtol=1e-3, atol=1e-5 * scale
    )
    with_weights = [layer.name for layer in theirs.layers if layer.weights]
    assert [layer.name for layer in ours.layers if layer.weights] == with_weights


def test_preprocessing_is_saved_with_the_model(tmp_path):
    model = nn.backbone("VGG16", weights=None, input_shape=(20, 20, 3))
    model.save(tmp_path / "vgg.keras")
    loaded = keras.models.load_model(tmp_path / "vgg.keras")
    np.testing.assert_array_equal(loaded(pixels(20)), model(pixels(20)))
    assert not np.allclose(model(pixels(20)), model(pixels(20)[..., ::-1]))  # RGB is not BGR


@pytest.mark.parametrize(
    "name, given, inside",
    [
        pytest.param("Xception", (32, 90, 3), (71, 90), marks=SLOW),
        pytest.param("Xception", (71, 80, 3), None, marks=SLOW),
        pytest.param("Xception", None, (299, 299), marks=SLOW),
        pytest.param("Xception", (120, None, 3), (299, 299), marks=SLOW),
        ("AlexNet", None, (227, 227)),
        ("AlexNet", (300, 32, 3), (227, 227)),
        ("AlexNet", (227, 227, 3), None),
        ("MobileNet", None, None),
        ("MobileNet", (28, 28, 3), (32, 32)),
    ],
)
def test_small_images_are_resized_inside(name, given, inside):
    model = nn.backbone(name, weights=None, input_shape=given)
    sizes = [(la.height, la.width) for la in model.layers if isinstance(la, kl.Resizing)]
    assert sizes == ([] if inside is None else [inside])
    assert model.input_shape == (None, *(given or (None, None, 3)))


def test_every_size_of_image_goes_into_a_model_without_one():
    model = nn.backbone(**MOBILENET, weights=None)
    assert model(pixels(32)).shape == model(pixels(50)).shape == (2, 256)


def test_pooling():
    mean, highest = (
        nn.backbone(**MOBILENET, weights=None, input_shape=(64, 64, 3), pooling=pooling)
        for pooling in ("avg", "max")
    )
    highest.set_weights(mean.get_weights())
    low, high = np.asarray(mean(pixels(64))), np.asarray(highest(pixels(64)))
    assert (low <= high).all() and (low < high).any()


@pytest.mark.slow
def test_alexnet_has_the_published_layers_and_trains():
    model = nn.backbone("AlexNet", weights=None, input_shape=(32, 32, 3))
    shapes = [w.shape for w in model.weights if w.name == "kernel"]
    assert shapes == [
        (11, 11, 3, 96),
        (5, 5, 48, 256),
        (3, 3, 256, 384),
        (3, 3, 192, 384),
        (3, 3, 192, 256),
    ]
    assert model.get_layer("conv1").output.shape == (None, 55, 55, 96)
    assert model.get_layer("pool5").output.shape == (None, 6, 6, 256)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(1.0), "mse")
    model.fit(pixels(), np.ones((2, 256)), verbose=0)
    changed = [not np.array_equal(u, v) for u, v in zip(before, model.get_weights(), strict=True)]
    assert all(changed)


def test_alexnet_with_its_top():
    model = AlexNet(classes=10, input_shape=(67, 67, 3))  # a 1x1 map: few weights into fc6
    assert [la.units for la in model.layers if isinstance(la, kl.Dense)] == [4096, 4096, 10]
    assert AlexNet(include_top=False, pooling="max").output_shape == (None, 256)
    with pytest.raises(ValueError, match="no weights to download"):
        AlexNet(weights="imagenet")


# Weights ----------------------------------------------------------------------------------------


def test_where_imagenet_weights_cannot_be_downloaded(monkeypatch):
    def offline(*args, **kw):
        raise Exception("URL fetch failure on https://storage.googleapis.com/...: None")

    monkeypatch.setattr("keras.src.utils.file_utils.get_file", offline)
    words = "MobileNet could not be downloaded; give a local file with weights=PATH, or weights=N"
    with pytest.raises(ValueError, match=words):
        nn.backbone("MobileNet", input_shape=(32, 32, 3))
    with pytest.raises(ValueError, match="Keras has no ImageNet weights of AlexNet"):
        nn.backbone("AlexNet")


def test_imagenet_weights_come_from_keras(monkeypatch, tmp_path):
    """Keras' file goes into our graph, resizing and preprocessing included."""
    full = keras.applications.MobileNet(alpha=0.25, weights=None, include_top=False)
    full.save_weights(tmp_path / "downloaded.weights.h5")
    found = str(tmp_path / "downloaded.weights.h5")
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda *args, **kw: found)
    model = nn.backbone(**MOBILENET, input_shape=(28, 28, 3))
    for ours, theirs in zip(model.get_weights(), full.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_numbered_layers_of_a_file_fit_whatever_was_built_before(tmp_path):
    first = nn.backbone("Xception", weights=None, input_shape=(32, 32, 3))
    first.save(tmp_path / "xception.keras")
    second = nn.backbone("Xception", weights=tmp_path / "xception.keras", input_shape=(32, 32, 3))
    names = [[la.name for la in model.layers if la.weights] for model in (first, second)]
    assert names[0] != names[1]
    np.testing.assert_array_equal(first(pixels()), second(pixels()))


# Models of one's own ----------------------------------------------------------------------------


def features(pool=True):
    inputs = keras.Input((8, 8, 3))
    x = kl.Conv2D(5, 3, activation="relu", name="conv")(inputs)
    return inputs, kl.GlobalAveragePooling2D()(x) if pool else x


def softmax(x):
    return kl.Dense(4, activation="softmax")(x)


def logits_and_layer(x):
    return kl.Softmax()(kl.Dense(4)(x))


def logits_and_operation(x):
    return keras.ops.softmax(kl.Dense(4)(x))


def binary(x):
    return kl.Activation("sigmoid")(kl.Dense(1)(x))


@pytest.mark.parametrize("head", [softmax, kl.Dense(4), logits_and_layer, binary])
def test_heads_are_cut_off(head):
    inputs, x = features()
    model = keras.Model(inputs, head(x), name="mine")
    cut = nn.backbone(model)
    assert cut.name == "mine" and cut.output_shape == (None, 5)
    np.testing.assert_array_equal(cut(pixels(8)), keras.Model(inputs, x)(pixels(8)))
    assert cut.get_layer("conv") is model.get_layer("conv")


def test_heads_of_operations_nested_and_sequential_models():
    inputs, x = features()
    model = keras.Model(inputs, logits_and_operation(x))
    assert nn.backbone(model).output_shape == (None, 5)
    outer = keras.Sequential([keras.Input((8, 8, 3)), kl.Rescaling(1 / 255), model])
    cut = nn.backbone(outer)
    np.testing.assert_allclose(
        cut(pixels(8)), keras.Model(inputs, x)(pixels(8) / 255), rtol=1e-4, atol=1e-6
    )
    plain = keras.Sequential([keras.Input((8, 8, 3)), keras.Model(inputs, x), kl.Dense(3)])
    assert nn.backbone(plain).output_shape == (None, 5)
    bare = keras.Sequential([keras.Input((8, 8, 3)), keras.Model(inputs, x)])
    assert nn.backbone(bare).output_shape == (None, 5)


def test_the_convolutional_head_of_mobilenet():
    full = keras.applications.MobileNet(alpha=0.25, weights=None, input_shape=(32, 32, 3))
    assert nn.backbone(full).output_shape == (None, 256)


def test_models_without_a_head_stay_whole():
    inputs, x = features()
    assert nn.backbone(keras.Model(inputs, x)).output_shape == (None, 5)
    hidden = kl.Dense(7, activation="relu")(x)
    assert nn.backbone(keras.Model(inputs, hidden)).output_shape == (None, 7)
    inputs, x = features(pool=False)
    cut = nn.backbone(keras.Model(inputs, x), pooling="max")
    expected = np.asarray(keras.Model(inputs, x)(pixels(8))).max(axis=(1, 2))
    np.testing.assert_array_equal(cut(pixels(8)), expected)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore::UserWarning:keras.src.saving")  # .h5 is "legacy"
def test_files(ending, tmp_path):
    inputs, x = features()
    model = keras.Model(inputs, softmax(x))
    path = tmp_path / f"mine{ending}"
    model.save(path)
    expected = keras.Model(inputs, x)(pixels(8))
    np.testing.assert_array_equal(nn.backbone(path)(pixels(8)), expected)
    np.testing.assert_array_equal(nn.backbone(str(path))(pixels(8)), expected)
    fresh = nn.backbone(model, weights=None)
    assert not np.array_equal(fresh(pixels(8)), expected)
    filled = nn.backbone(keras.models.clone_model(model), weights=path)
    np.testing.assert_array_equal(filled(pixels(8)), expected)


# What is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, error, words",
    [
        ({"name": "resnet50"}, ValueError, "no backbone 'resnet50'; did you mean ResNet50"),
        ({"name": "Transformer9"}, ValueError, "no backbone 'Transformer9'; "),
        ({"name": "qqq"}, ValueError, "known are AlexNet, VGG16"),
        ({"name": 3}, TypeError, "a name, a path or a Keras model; got 3"),
        ({"name": "missing.keras"}, ValueError, "there is no file 'missing.keras'"),
        ({"pooling": "mean"}, ValueError, "pooling must be one of 'avg', 'max'; got 'mean'"),
        ({"weights": "imagnet"}, ValueError, "weights must be 'imagenet', None or the path"),
        ({"weights": 0}, TypeError, "weights must be"),
        ({"weights": "missing.h5"}, ValueError, "there is no file 'missing.h5'"),
        ({"input_shape": (32, 32)}, TypeError, r"\(height, width, 3\) or None"),
        ({"input_shape": "32x32"}, TypeError, "input_shape must be"),
        ({"input_shape": (32, 32, 1)}, ValueError, r"must be RGB.*got \(32, 32, 1\)"),
        ({"input_shape": (32.0, 32, 3)}, TypeError, "input_shape must be an integer"),
        ({"input_shape": (0, 32, 3)}, ValueError, "input_shape must be at least 1"),
        ({"input_shape": (7, 32, 3)}, ValueError, "at least 8 pixels; got"),
        ({"beta": 1}, ValueError, "MobileNet takes no option beta; it takes alpha, depth_mult"),
        ({"include_top": True}, ValueError, "takes no option include_top"),
        ({"name": "AlexNet", "alpha": 1}, ValueError, "no option alpha; it takes none"),
    ],
)
def test_bad_arguments(change, error, words):
    arguments = {"name": "MobileNet", "weights": None, **change}
    with pytest.raises(error, match=words):
        nn.backbone(**arguments)


def test_a_model_whose_preprocessing_is_unknown(monkeypatch):
    monkeypatch.setattr(module("MobileNet"), "preprocess_input", lambda x: x / 3)
    with pytest.raises(ValueError, match="the preprocessing of MobileNet is not known"):
        nn.backbone("MobileNet", weights=None)


def test_models_that_cannot_be_backbones():
    inputs, x = features()
    model = keras.Model(inputs, softmax(x))
    with pytest.raises(ValueError, match="takes no options; got alpha"):
        nn.backbone(model, alpha=1)
    with pytest.raises(ValueError, match=r"takes images of shape \(8, 8, 3\); it cannot take"):
        nn.backbone(model, input_shape=(32, 32, 3))
    assert nn.backbone(model, input_shape=(8, 8, 3)).output_shape == (None, 5)
    with pytest.raises(ValueError, match="one input and one output"):
        nn.backbone(keras.Model(inputs, [x, softmax(x)]))
    with pytest.raises(ValueError, match="with an input layer"):
        nn.backbone(keras.Sequential([kl.Dense(3)]))
    with pytest.raises(ValueError, match="features of shape"):
        nn.backbone(keras.Model(inputs, kl.Reshape((5, 1))(x)))
    flat = keras.Input((6,))
    with pytest.raises(ValueError, match="nothing before its last dense layer"):
        nn.backbone(keras.Model(flat, softmax(flat)))
    maps = kl.Conv2D(4, 1)(features(pool=False)[1])
    pooled = kl.Softmax()(kl.GlobalAveragePooling2D()(maps))
    with pytest.raises(ValueError, match="ends in probabilities"):
        nn.backbone(keras.Model(keras.utils.get_source_inputs(pooled), pooled))


# Real data --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder():
    if "EDGEDYN_DATA" not in os.environ:
        pytest.skip("set EDGEDYN_DATA to the folder of the shared real data")
    return Path(os.environ["EDGEDYN_DATA"])


@pytest.fixture(scope="module")
def cifar10(folder):
    """300 training and 300 test images, enlarged to 224x224."""
    with np.load(folder / "images/cifar10.npz") as file:
        arrays = [file[f"{kind}_{part}"] for part in ("train", "test") for kind in "xy"]
    rng = np.random.default_rng(0)
    picked = []
    for x, y in zip(arrays[::2], arrays[1::2], strict=True):
        k = rng.permutation(len(x))[:300]
        picked += [np.asarray(kl.Resizing(224, 224)(x[k].astype("float32"))), y[k].ravel()]
    return picked


def imagenet_mobilenet(folder):
    return folder / "weights/imagenet_mobilenet_v1_0.25_224.h5"


def accuracy(model, sets):
    """Test accuracy of a logistic regression on the features."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train, y_train, test, y_test = sets
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=500))
    classifier.fit(model.predict(train, verbose=0), y_train)
    return classifier.score(model.predict(test, verbose=0), y_test)


@realdata
def test_a_file_of_keras_2_is_a_backbone(folder):
    model = nn.backbone(folder / "weights/cifar10_resnet8.h5")
    assert model.output_shape == (None, 64)


@pytest.mark.slow
@realdata
def test_imagenet_weights_of_mobilenet_are_good_features(folder, cifar10):
    keras.utils.set_random_seed(0)
    options = {**MOBILENET, "input_shape": (224, 224, 3)}
    model = nn.backbone(**options, weights=imagenet_mobilenet(folder))
    good = accuracy(model, cifar10)
    raw = keras.Model(model.get_layer("conv1").input, model.output)  # no preprocessing
    assert good > 0.5
    assert good > accuracy(nn.backbone(**options, weights=None), cifar10) + 0.1
    assert good > accuracy(raw, cifar10) + 0.1


@pytest.mark.slow
@realdata
def test_the_file_itself_agrees(folder):
    """The whole model of the file, with its top, gives the same features on inputs in [-1, 1]."""
    path = imagenet_mobilenet(folder)
    named = nn.backbone(**MOBILENET, weights=path, input_shape=(32, 32, 3))
    own = nn.backbone(path)
    assert own.input_shape == (None, 224, 224, 3) and own.output_shape == (None, 256)
    at_224 = nn.backbone(**MOBILENET, weights=path, input_shape=(224, 224, 3))
    x = pixels(224)
    np.testing.assert_allclose(at_224(x), own(x / 127.5 - 1), rtol=1e-4, atol=1e-4)
    for a, b in zip(named.get_weights(), own.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@realdata
def test_mobilenet_sees_dogs(folder, cifar10):
    """ImageNet's classes 151 to 268 are breeds of dogs."""
    *_, images, labels = cifar10
    model = backbones.load_model(imagenet_mobilenet(folder))
    classes = model.predict(images / 127.5 - 1, verbose=0).argmax(axis=1)
    seen = (classes >= 151) & (classes <= 268)
    assert seen[labels == 5].mean() > 0.4
    assert seen[np.isin(labels, [0, 1, 8, 9])].mean() < 0.1  # planes, cars, ships, lorries
