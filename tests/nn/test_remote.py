"""Keras models measured in parts, here and in processes that load TensorFlow themselves."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")
da = pytest.importorskip("dask.array", reason="install the extra 'dask'")
distributed = pytest.importorskip("distributed", reason="install the extra 'dask'")

import dask  # noqa: E402
import keras  # noqa: E402
from dense_oracle import NODES  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.nn import remote  # noqa: E402
from edgedyn.studies.spread import spread_capacitance  # noqa: E402

pytestmark = pytest.mark.tensorflow
CUTS = (9, 10, 23)
KINDS = [
    ("probe", "direct", "magnitude"),
    ("probe", "direct", "absolute"),
    ("probe", "direct", "signed"),
    ("probe", "full", "signed"),
    ("network", "direct", "magnitude"),
    ("network", "direct", "signed"),
    pytest.param("network", "full", "signed", marks=pytest.mark.slow),
]
# Batches of other sizes sum up in another order: about ten roundings of float32.
SINGLE = 1e-5


@pytest.fixture(autouse=True)
def here():
    with dask.config.set(scheduler="synchronous"):
        yield


def model_of(shape=(8, 8, 3), n_classes=4, **options):
    """Return a convolutional backbone with batch norm under a probe, weights at random."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = keras.layers.Conv2D(5, 3, activation="relu")(inputs)
    x = keras.layers.ReLU()(keras.layers.BatchNormalization()(keras.layers.Conv2D(4, 3)(x)))
    features = keras.layers.GlobalAveragePooling2D()(x)
    model = nn.attach_probe(
        keras.Model(inputs, features), n_classes, units=(7, 6), dropout=0.2, seed=0, **options
    )
    rng = np.random.default_rng(0)
    for weight in model.weights:
        value = rng.standard_normal(weight.shape)
        weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
    return model


def data(n=30, shape=(8, 8, 3), n_classes=4):
    x = np.random.default_rng(1).standard_normal((n, *shape)).astype(np.float32)
    return x, np.arange(n) % n_classes


def cut(x, y):
    return list(zip(np.split(x, CUTS), np.split(y, CUTS), strict=True))


def partitions(x, y):
    sizes = tuple(np.diff([0, *CUTS, len(x)]).tolist())
    chunks = [(sizes, *((n,) for n in array.shape[1:])) for array in (x, y)]
    return da.from_array(x, chunks=chunks[0]), da.from_array(y, chunks=chunks[1])


def assert_same(actual, expected, rtol):
    assert (actual.status, actual.n_samples, actual.n_nodes) == (
        expected.status,
        expected.n_samples,
        expected.n_nodes,
    )
    rtol = rtol / max(expected.conditioning, 1e-3)
    for name in ("value", "mean_strength", "symmetry", "heterogeneity"):
        assert getattr(actual, name) == pytest.approx(
            getattr(expected, name), rel=10 * rtol, nan_ok=True
        ), name
    assert [layer.name for layer in actual.per_layer] == [
        layer.name for layer in expected.per_layer
    ]
    for mine, other in zip(actual.per_layer, expected.per_layer, strict=True):
        scale = max(abs(layer.out_total) for layer in expected.per_layer)
        assert mine.in_total == pytest.approx(other.in_total, rel=rtol, abs=rtol * scale)
        assert mine.out_total == pytest.approx(other.out_total, rel=rtol, abs=rtol * scale)


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("nodes", NODES)
@pytest.mark.parametrize(("scope", "coupling", "strength"), KINDS)
def test_parts_give_one_pass_in_float64(scope, coupling, strength, nodes):
    model, (x, y) = model_of(), data()
    options = {"coupling": coupling, "strength": strength, "nodes": nodes, "scope": scope}
    once = nn.neural_capacitance(model, x, y, stderr=True, **options)
    spread = spread_capacitance(model, *partitions(x, y), stderr=True, **options)
    assert_same(spread, once, 1e-12)
    assert spread.stderr == pytest.approx(once.stderr, rel=1e-7, nan_ok=True)


@pytest.mark.parametrize("scope", ["probe", "network"])
def test_parts_in_float32_on_threads(scope):
    model, (x, y) = model_of(), data()
    once = nn.neural_capacitance(model, x, y, scope=scope)
    with ThreadPoolExecutor(3) as executor:
        spread = spread_capacitance(model, cut(x, y), executor=executor, scope=scope, batch_size=8)
    assert_same(spread, once, SINGLE)
    with dask.config.set(scheduler="threads"):
        assert_same(spread_capacitance(model, *partitions(x, y), scope=scope), once, SINGLE)
    assert not remote._METERS  # nothing is kept here


LOSSES = {
    "smoothed": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    "squared": "mean_squared_error",
}


@pytest.mark.usefixtures("float64")
@pytest.mark.parametrize("compiled", [pytest.param(True, marks=pytest.mark.slow), False])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_travels(loss, compiled):
    model, (x, y) = model_of(), data()
    rows = np.eye(4)[y]
    if compiled:
        model.compile("adam", LOSSES[loss])
        model.fit(x, rows, epochs=1, verbose=0)  # the optimizer has a state, which stays here
    options = {} if compiled else {"loss": LOSSES[loss]}
    once = nn.neural_capacitance(model, x, rows, **options)
    assert_same(spread_capacitance(model, *partitions(x, rows), **options), once, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["probe", "network"])
def test_a_model_is_rebuilt_in_processes_started_afresh(scope):
    model, (x, y) = model_of(), data()
    model.compile("adam", "sparse_categorical_crossentropy")
    once = nn.neural_capacitance(model, x, y, scope=scope)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        spread = spread_capacitance(model, cut(x, y), executor=executor, scope=scope)
        assert_same(spread, once, SINGLE)
        x[12, 3, 4, 0] = np.nan
        with pytest.raises(ValueError, match="batch 2 .*x contains nan at sample 2, feature"):
            spread_capacitance(model, cut(x, y), executor=executor, scope=scope)


@pytest.mark.slow
@pytest.mark.parametrize("processes", [False, True])
def test_a_cluster(processes):
    model, (x, y) = model_of(), data()
    once = nn.neural_capacitance(model, x, y)
    kind = {"processes": True, "host": "127.0.0.1"} if processes else {"processes": False}
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, dashboard_address="127.0.0.1:0", **kind
        ) as cluster,
        distributed.Client(cluster) as client,
        dask.config.set(scheduler=None),
    ):
        assert_same(spread_capacitance(model, *partitions(x, y)), once, SINGLE)
        spread = spread_capacitance(model, cut(x, y), executor=client.get_executor())
        assert_same(spread, once, SINGLE)


@pytest.mark.slow
def test_a_published_backbone_with_its_preprocessing_is_rebuilt():
    backbone = nn.backbone("MobileNetV2", weights=None, input_shape=(32, 32, 3))
    model = nn.attach_probe(backbone, 4, units=(8,), seed=0)
    x, y = data(8, (32, 32, 3))
    packed = remote.pack(model)
    features = remote._METERS[packed["token"]].features(x)
    remote.forget(packed)
    again = remote._meter(packed).features(x)
    remote.forget(packed)
    np.testing.assert_allclose(again, features, rtol=1e-5, atol=1e-7)
    assert np.ptp(features) > 0 and len(y) == 8


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork"
)
def test_forked_processes_are_refused():
    model, (x, y) = model_of(), data()
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        with pytest.raises(RuntimeError, match=r"does not survive a fork.*get_context\('spawn'\)"):
            spread_capacitance(model, cut(x, y), executor=executor)


def test_a_part_may_be_of_one_class_but_not_the_whole():
    model, (x, y) = model_of(), data()
    y = np.sort(y)
    once = nn.neural_capacitance(model, x, y)
    assert_same(spread_capacitance(model, *partitions(x, y)), once, SINGLE)
    same = np.full(len(x), 2)
    for targets, loss in ((same, None), (np.eye(4)[same], LOSSES["smoothed"])):
        with pytest.raises(ValueError, match=r"one class only \(2\) over all parts"):
            spread_capacitance(model, *partitions(x, targets), loss=loss)


def test_wrong_data_and_options_are_refused():
    model, (x, y) = model_of(), data()
    parts = partitions(x, y)
    with pytest.raises(ValueError, match="partition 1 .*y contains 7"):
        spread_capacitance(model, *partitions(x, np.where(np.arange(30) == 9, 7, y)))
    with pytest.raises(ValueError, match=r"the model takes \(n_samples, \*\(8, 8, 3\)\)"):
        spread_capacitance(model, *partitions(x[:, :7], y))
    with pytest.raises(ValueError, match="X is cut along other axes"):
        spread_capacitance(model, parts[0].rechunk({3: 1}), parts[1])
    for options, sentence in (
        ({"scope": "layer"}, "scope must be one of"),
        ({"scope": "network", "strength": "absolute"}, "no 'absolute' strength"),
        ({"loss": "hinge"}, "the loss 'hinge' is not known"),
    ):
        with pytest.raises(ValueError, match=sentence):
            spread_capacitance(model, *parts, **options)
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    with pytest.raises(ValueError, match="has no probe"):
        spread_capacitance(plain, *parts)


def test_features_that_are_not_finite():
    model, (x, y) = model_of(), data()
    model.layers[1].kernel.assign(np.full(model.layers[1].kernel.shape, 1e38))
    with pytest.raises(ValueError, match=r"partition \d .*features are not finite"):
        spread_capacitance(model, *partitions(x, y))
