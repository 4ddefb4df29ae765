"""Weight files: formats, matching by name, and nothing changed unless everything fits."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import h5py  # noqa: E402
import keras  # noqa: E402
from keras import layers as kl  # noqa: E402

from edgedyn import nn  # noqa: E402
from edgedyn.nn.models.weights import load_model, load_weights  # noqa: E402

pytestmark = pytest.mark.tensorflow
realdata = pytest.mark.realdata
SHAPE = (8, 8, 3)


def network(top=False, filters=4, named=True):
    """Convolution, batch norm, depthwise and separable convolutions; a top if wanted."""

    def name(word):
        return {"name": word} if named else {}

    inputs = keras.Input(SHAPE)
    x = kl.Conv2D(filters, 3, **name("conv"))(inputs)
    x = kl.BatchNormalization(**name("bn"))(x)
    x = kl.DepthwiseConv2D(3, **name("dw"))(x)
    x = kl.SeparableConv2D(5, 3, **name("sep"))(x)
    x = kl.Conv2D(6, 1, **name("last"))(x)
    x = kl.GlobalAveragePooling2D()(x)
    if top:
        x = kl.Dense(10, activation="softmax", **name("predictions"))(x)
    model = keras.Model(inputs, x)
    rng = np.random.default_rng(len(model.weights))
    model.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    return model


def random_like(model):
    fresh = keras.models.clone_model(model)
    assert not same(fresh, model)
    return fresh


def same(a, b):
    """Whether a's weights are the first of b's."""
    pairs = zip(a.get_weights(), b.get_weights()[: len(a.weights)], strict=True)
    return all(np.array_equal(u, v) for u, v in pairs)


def write_old(path, layers, nested=True, chunks=1):
    """Write {layer: {weight: array}} as Keras 2 did."""
    with h5py.File(path, "w") as file:
        root = file.create_group("model_weights") if nested else file
        names = np.array_split(np.array([name.encode() for name in layers]), chunks)
        for k, part in enumerate(names):
            root.attrs["layer_names" + (str(k) if chunks > 1 else "")] = part
        for layer, weights in layers.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [name.encode() for name in weights]
            for name, array in weights.items():
                group[name] = array
    return path


def old_weights(model, owner=lambda name: name):
    """Return a model's weights under the names of Keras 2."""
    found = {}
    for layer in model.layers:
        if isinstance(layer, kl.DepthwiseConv2D):
            names = ["depthwise_kernel", "bias"]
        else:
            names = [w.name for w in layer.weights]
        name = owner(layer.name)
        arrays = zip(names, layer.get_weights(), strict=True)
        found[name] = {f"{name}/{n}:0": array for n, array in arrays}
    return found


@pytest.mark.parametrize(
    "ending", [".keras", *(pytest.param(e, marks=pytest.mark.slow) for e in (".h5", ".weights.h5"))]
)
@pytest.mark.filterwarnings("ignore::UserWarning:keras.src.saving")  # .h5 is "legacy"
def test_files_of_whole_networks_serve_the_part_below_the_top(ending, tmp_path):
    full, part = network(top=True), random_like(network())
    full.compile("adam", "sparse_categorical_crossentropy")
    full.fit(np.ones((2, *SHAPE)), np.array([0, 1]), verbose=0)
    path = tmp_path / f"full{ending}"
    (full.save_weights if ending == ".weights.h5" else full.save)(path)
    load_weights(part, path)
    assert same(part, full)


@pytest.mark.parametrize("nested, chunks", [(True, 1), (False, 1), (True, 3)])
def test_files_of_keras_2(nested, chunks, tmp_path):
    full, part = network(top=True), random_like(network())
    load_weights(part, write_old(tmp_path / "old.h5", old_weights(full), nested, chunks))
    assert same(part, full)


def test_slashes_in_old_layer_names(tmp_path):
    full = network()
    part = random_like(full)
    for layer in part.layers:
        layer.name = f"block_{layer.name}"
    load_weights(part, write_old(tmp_path / "a.h5", old_weights(full, lambda n: f"block/{n}")))
    assert same(part, full)


def test_names_numbered_by_keras_are_matched_in_order(tmp_path):
    full = network(top=True, named=False)
    part = random_like(network(named=False))
    renumbered = {"conv2d": 11, "batch_normalization": 9, "depthwise_conv2d": 0}

    def other(name):
        base = name.rstrip("0123456789_")
        first = [w for w in full.layers if w.name.startswith(base)].index(full.get_layer(name))
        number = renumbered.get(base, 5) + first
        return f"{base}_{number}" if number else base

    weights = old_weights(full, other)
    assert set(weights) != {layer.name for layer in full.layers}
    load_weights(part, write_old(tmp_path / "numbered.h5", dict(sorted(weights.items()))))
    assert same(part, full)


def test_layers_inside_the_group_of_a_nested_model(tmp_path):
    full = network()
    merged = {}
    for weights in old_weights(full).values():
        merged |= weights
    part = random_like(full)
    load_weights(part, write_old(tmp_path / "nested.h5", {"functional_7": merged}))
    assert same(part, full)
    outer = keras.Sequential([keras.Input(SHAPE), random_like(full)])
    load_weights(outer, tmp_path / "nested.h5")
    assert same(outer, full)


def test_foreign_weight_names_are_matched_by_shape_where_that_is_unique(tmp_path):
    inputs = keras.Input(SHAPE)
    model = keras.Model(inputs, kl.Conv2D(4, 3, name="block1_conv1")(inputs))
    kernel, bias = np.ones((3, 3, 3, 4)), np.arange(4.0)
    names = {"block1_conv1_b_1:0": bias, "block1_conv1_W_1:0": kernel}
    load_weights(model, write_old(tmp_path / "vgg.h5", {"block1_conv1": names}))
    np.testing.assert_array_equal(model.get_weights()[1], bias)

    norm = keras.Sequential([keras.Input((4,)), kl.BatchNormalization(name="bn")])
    four = {f"bn_{k}": np.full(4, k) for k in range(4)}
    with pytest.raises(ValueError, match="layer 'bn' needs gamma .* has bn_0 \\(4,\\)"):
        load_weights(norm, write_old(tmp_path / "bn.h5", {"bn": four}))


def unchanged_after(model, path, words):
    before = model.get_weights()
    with pytest.raises(ValueError, match=words):
        load_weights(model, path)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_missing_layers_are_named_and_counted(tmp_path):
    weights = old_weights(network())
    del weights["dw"], weights["last"]
    path = write_old(tmp_path / "less.h5", weights)
    unchanged_after(network(), path, "no weights for 2 of the 5 layers of .*: dw, last; it is")


def test_other_shapes_name_layer_and_both_shapes(tmp_path):
    path = write_old(tmp_path / "wide.h5", old_weights(network(filters=8)))
    words = r"kernel of layer 'conv' has shape \(3, 3, 3, 4\), but \(3, 3, 3, 8\).*alpha"
    unchanged_after(network(), path, words)
    late = old_weights(network())
    late["last"]["last/kernel:0"] = np.ones((1, 1, 5, 7))
    unchanged_after(network(), write_old(tmp_path / "late.h5", late), "layer 'last'")


def test_weights_of_keras_3_that_fit_half_way_change_nothing(tmp_path):
    inputs = keras.Input(SHAPE)
    first = kl.Conv2D(4, 3)(inputs)
    narrow = keras.Model(inputs, kl.Conv2D(6, 1)(first))
    wide = keras.Model(inputs, kl.Conv2D(7, 1)(first))
    wide.layers[1].set_weights([np.full(w.shape, 9.0) for w in wide.layers[1].get_weights()])
    wide.save_weights(tmp_path / "wide.weights.h5")
    narrow = keras.models.clone_model(narrow)
    unchanged_after(narrow, tmp_path / "wide.weights.h5", "does not fit .*another architecture")
    short = keras.Sequential([keras.Input(SHAPE), kl.Conv2D(4, 3)])
    short.save_weights(tmp_path / "short.weights.h5")
    unchanged_after(narrow, tmp_path / "short.weights.h5", "does not fit")


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
def test_unreadable_files(ending, tmp_path):
    path = tmp_path / f"broken{ending}"
    unchanged_after(network(), path, "there is no file")
    path.write_bytes(b"not a model at all")
    unchanged_after(network(), path, "cannot be (read|loaded)")
    if ending != ".weights.h5":
        with pytest.raises(ValueError, match="cannot be (read|loaded)"):
            load_model(path)


def test_other_endings_and_files_without_a_model(tmp_path):
    (tmp_path / "weights.bin").write_bytes(b"")
    with pytest.raises(ValueError, match="must end in .keras, .h5, .hdf5 or .npz"):
        load_weights(network(), tmp_path / "weights.bin")
    (tmp_path / "model.npz").write_bytes(b"")
    with pytest.raises(ValueError, match="must end in .keras, .h5 or .hdf5"):
        load_model(tmp_path / "model.npz")
    path = write_old(tmp_path / "old.h5", old_weights(network()))
    with pytest.raises(ValueError, match="holds weights without a model; name the architecture"):
        load_model(path)


def test_layers_of_one_name_are_refused(tmp_path):
    path = write_old(tmp_path / "old.h5", old_weights(network()))
    twice = keras.Sequential([keras.Input(SHAPE), network()])
    twice.add(kl.Dense(3, name="conv"))
    unchanged_after(twice, path, "several layers of one name")


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.filterwarnings("ignore::UserWarning:keras.src.saving")
def test_code_in_files_is_not_run(ending, tmp_path):
    model = keras.Sequential([keras.Input((3,)), kl.Lambda(lambda x: 2 * x)])
    path = tmp_path / f"code{ending}"
    model.save(path)
    with pytest.raises(ValueError, match=r"Lambda|lambda"):
        load_model(path)


def poisoned(path, kind, secret):
    """Make the first kernel of an HDF5 file lie elsewhere, or claim to be larger than it is."""
    with h5py.File(path, "r+") as file:
        names = []
        file.visititems(lambda n, item: names.append(n) if hasattr(item, "shape") else None)
        name = max(names, key=lambda n: file[n].size)
        shape = file[name].shape
        del file[name]
        if kind == "storage":
            file.create_dataset(name, shape, "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
        elif kind == "link":
            file[name] = h5py.ExternalLink(str(secret), "/x")
        elif kind == "soft link":
            file[name] = h5py.SoftLink("/elsewhere")
        elif kind == "virtual":
            layout = h5py.VirtualLayout(shape, "f4")
            layout[...] = h5py.VirtualSource(str(secret), "x", shape)
            file.create_virtual_dataset(name, layout)
        else:
            file.create_dataset(name, (2**40,), "f4", chunks=(2**16,))


@pytest.mark.parametrize("kind", ["storage", "link", "soft link", "virtual", "claim"])
@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5", "old .h5"])
def test_files_that_point_outside_themselves_are_not_read(ending, kind, tmp_path):
    model, secret = network(), tmp_path / "secret"
    secret.write_bytes(np.full(10_000, 7.0, np.float32).tobytes())
    path = tmp_path / f"file{ending.replace('old ', '')}"
    if ending == ".keras":
        model.save(path)
        inner = tmp_path / "model.weights.h5"
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        inner.write_bytes(parts["model.weights.h5"])
        poisoned(inner, kind, secret)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, inner.read_bytes() if name == inner.name else content)
    else:
        write = {".weights.h5": model.save_weights, ".h5": model.save}.get(ending)
        write(path) if write else write_old(path, old_weights(model))
        poisoned(path, kind, secret)
    words = "holds far fewer" if kind == "claim" else "it is not read"
    unchanged_after(network(), path, words)
    if ending in (".keras", ".h5"):
        with pytest.raises(ValueError, match=words):
            load_model(path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda file, name: file.__setitem__("loop", file["/"]), "groups without end"),
        (lambda file, name: file.__setitem__("type", np.dtype("f4")), ""),
        (lambda file, name: spoilt(file, name, lambda v: v * np.nan), "it has NaN"),
        (lambda file, name: spoilt(file, name, lambda v: v * 1j), "no real numbers"),
        (
            lambda file, name: spoilt(
                file, name, lambda v: np.full(v.shape, file["/"].ref, h5py.ref_dtype)
            ),
            "no real numbers",
        ),
        (lambda file, name: spoilt(file, name, lambda v: np.zeros(2**20)), "needs far fewer"),
    ],
)
@pytest.mark.parametrize("ending", [".weights.h5", ".h5"])
def test_strange_contents_of_files_are_named(ending, spoil, words, tmp_path):
    model, path = network(), tmp_path / f"file{ending}"
    (model.save_weights if ending == ".weights.h5" else model.save)(path)
    with h5py.File(path, "r+") as file:
        names = []
        file.visititems(lambda n, item: names.append(n) if hasattr(item, "shape") else None)
        spoil(file, max(names, key=lambda n: file[n].size))
    if words:
        unchanged_after(network(), path, words)
    else:
        load_weights(network(), path)


def spoilt(file, name, change):
    """Put other values in the place of a data set's."""
    values = change(file[name][()])
    del file[name]
    file.create_dataset(name, data=values)


def test_models_keep_their_loss(tmp_path):
    model = network(top=True)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.save(tmp_path / "full.keras")
    assert load_model(tmp_path / "full.keras").loss == "sparse_categorical_crossentropy"
    assert not load_model(tmp_path / "full.keras", compile=False).compiled


# Plain arrays -----------------------------------------------------------------------------------


def arrays_of(model):
    return {f"{la.name}/{w.name}": w.numpy() for la in model.layers for w in la.weights}


def test_plain_arrays_come_back(tmp_path):
    full, part = network(top=True), random_like(network())
    np.savez_compressed(tmp_path / "full.npz", **arrays_of(full))
    load_weights(part, tmp_path / "full.npz")
    assert same(part, full)


def test_a_backbone_takes_plain_arrays(tmp_path):
    options = {"alpha": 0.25, "input_shape": (32, 32, 3)}
    source = nn.backbone("MobileNet", weights=None, **options)
    np.savez(tmp_path / "mobilenet.npz", **arrays_of(source))
    filled = nn.backbone("MobileNet", weights=tmp_path / "mobilenet.npz", **options)
    assert same(filled, source)
    with pytest.raises(ValueError, match=r"path of a .keras, .h5 or .npz file; got 'm.bin'"):
        nn.backbone("MobileNet", weights="m.bin", **options)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda a: a.pop("last/bias") is None, "layer 'last' needs"),
        (lambda a: a.update({"last/bias": np.ones(7)}), "bias of layer 'last' has shape"),
        (lambda a: a.update({"last/bias": np.full(6, np.nan)}), "with NaN or infinity"),
        (lambda a: a.update({"last/bias": np.ones(6, int)}), "finite floating-point numbers"),
        (lambda a: a.update({"bias": np.ones(6)}), "named layer/weight, such as conv1/kernel"),
        (lambda a: a.update({"last/bias": np.array([None] * 6)}), "cannot be read as an npz"),
    ],
)
def test_plain_arrays_that_do_not_fit(tmp_path, change, words):
    arrays = arrays_of(network())
    change(arrays)
    np.savez(tmp_path / "w.npz", **arrays)
    unchanged_after(network(), tmp_path / "w.npz", words)


def test_a_damaged_npz(tmp_path):
    path = tmp_path / "w.npz"
    np.savez_compressed(path, **arrays_of(network()))
    whole = path.read_bytes()
    for damaged in (b"no zip", whole[: len(whole) // 2], whole[:200] + b"x" * 40 + whole[240:]):
        path.write_bytes(damaged)
        unchanged_after(network(), path, "cannot be read as an npz of arrays|has no weights|needs")


# Real data --------------------------------------------------------------------------------------


def data():
    if "EDGEDYN_DATA" not in os.environ:
        pytest.skip("set EDGEDYN_DATA to the folder of the shared real data")
    return Path(os.environ["EDGEDYN_DATA"])


@pytest.mark.slow
@realdata
def test_resnet8_of_keras_2_reaches_its_published_accuracy():
    model = load_model(data() / "weights/cifar10_resnet8.h5")
    images = np.load(data() / "images/cifar10.npz")
    predicted = model.predict(images["x_test"].astype("float32"), verbose=0, batch_size=250)
    accuracy = np.mean(predicted.argmax(axis=1) == images["y_test"].ravel())
    assert accuracy == pytest.approx(0.872, abs=0.01)

    fresh = keras.models.clone_model(model)
    load_weights(fresh, data() / "weights/cifar10_resnet8.h5")
    assert same(fresh, model)


@pytest.mark.slow
@realdata
@pytest.mark.parametrize(
    ("file", "name", "alpha"),
    [
        ("imagenet_mobilenet_v1_0.5_160", "MobileNet", 0.5),
        ("imagenet_mobilenet_v1_0.75_192", "MobileNet", 0.75),
        ("imagenet_mobilenet_v1_1.0_224", "MobileNet", 1.0),
        ("imagenet_mobilenet_v2_1.0_224", "MobileNetV2", 1.0),
        ("inat_birds_mobilenet_v2_1.0_224", "MobileNetV2", 1.0),
    ],
)
def test_the_shared_mobilenets_fill_their_backbones(file, name, alpha):
    path = data() / "weights" / f"{file}.npz"
    model = nn.backbone(name, weights=path, alpha=alpha, input_shape=(32, 32, 3))
    with np.load(path) as stored:
        for layer in model.layers:
            for weight in layer.weights:
                stays = stored[f"{layer.name}/{weight.name}"]
                assert np.array_equal(weight.numpy(), stays), (layer.name, weight.name)


@realdata
@pytest.mark.slow
def test_a_linear_head_on_mobilenet_reaches_what_its_source_says():
    """.722 at 1200 images of 96x96, says the data's README; chance with random weights."""
    from sklearn.linear_model import LogisticRegression

    path = data() / "weights/imagenet_mobilenet_v1_0.5_160.npz"
    model = nn.backbone("MobileNet", weights=path, alpha=0.5, input_shape=(96, 96, 3))
    images = np.load(data() / "images/cifar10.npz")
    x, y = images["x_train"][:1600], images["y_train"][:1600].ravel()
    large = keras.ops.image.resize(x.astype("float32"), (96, 96))
    features = model.predict(large, verbose=0, batch_size=100)
    scaled = (features - features[:1200].mean(0)) / (features[:1200].std(0) + 1e-6)
    head = LogisticRegression(C=0.01, max_iter=500).fit(scaled[:1200], y[:1200])
    assert head.score(scaled[1200:], y[1200:]) == pytest.approx(0.722, abs=0.06)
