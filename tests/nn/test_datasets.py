"""Data sets by name, from folders and files: what they hold, how they split, what is refused."""

import os
from collections import Counter
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import keras  # noqa: E402
from dataset_files import (  # noqa: E402
    PARTS,
    collect,
    draw,
    folder_of,
    numbered_images,
    numbers,
    refused,
    save,
    svhn,
)
from sklearn.datasets import load_digits  # noqa: E402

from edgedyn.nn import load_dataset  # noqa: E402

pytestmark = pytest.mark.tensorflow

# What the sources hold


def test_digits_are_scikit_learns_in_0_to_255():
    data = load_dataset("digits")
    stored = load_digits()
    grey = np.floor(stored.images * 255 / 16 + 0.5).astype(np.uint8)
    wanted = Counter((x.tobytes(), y) for x, y in zip(grey, stored.target.tolist(), strict=True))
    got = Counter()
    for split in (getattr(data, part) for part in PARTS):
        assert split.x.dtype == np.uint8 and split.y.dtype == np.int64
        assert (split.x[..., :1] == split.x).all()  # grey: three equal channels
        pairs = zip(split.x[..., 0], split.y.tolist(), strict=True)
        got.update((x.tobytes(), y) for x, y in pairs)
    assert got == wanted and sum(got.values()) == 1797


def test_a_data_set_tells_what_it_is():
    data = load_dataset("digits", image_size=(16, 12), n_train=50)
    assert repr(data) == (
        "Dataset('digits', 50 training, 288 validation and 359 test images (16, 12, 3), 10 classes)"
    )
    assert repr(data.train) == "Split(50 images (16, 12, 3))"
    assert data.to_dict() == {
        "name": "digits",
        "class_names": list("0123456789"),
        "image_shape": [16, 12, 3],
        "train": 50,
        "validation": 288,
        "test": 359,
    }
    assert data.n_classes == 10 and data.class_names == tuple("0123456789")
    with pytest.raises(FrozenInstanceError):
        data.name = "other"
    assert data == data and data.train != data.test


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3)])
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_npz_images_become_rgb_bytes(tmp_path, shape, kind):
    x, y = numbered_images(40, shape), np.arange(40) % 2
    data = load_dataset(save(tmp_path, x=x.astype(kind), y=y))
    wanted = x if x.ndim == 4 else x[..., None]
    for split in (getattr(data, part) for part in PARTS):
        assert split.x.dtype == np.uint8 and split.x.shape[1:] == (4, 5, 3) == data.image_shape
        of_rgb = split.x if wanted.shape[3] == 3 else split.x[..., :1]
        number = numbers(of_rgb)
        np.testing.assert_array_equal(split.x, np.broadcast_to(wanted[number], split.x.shape))
        np.testing.assert_array_equal(split.y, y[number])


@pytest.mark.parametrize("names", [("x", "y"), ("X", "y")])
def test_npz_without_parts_is_split(tmp_path, names):
    data = load_dataset(
        save(tmp_path, **dict(zip(names, (numbered_images(50), np.arange(50) % 5), strict=True)))
    )
    assert [len(getattr(data, part)) for part in PARTS] == [32, 8, 10]


def test_npz_with_parts_keeps_them(tmp_path):
    x, other = numbered_images(30), numbered_images(12, start=30)
    spec = save(
        tmp_path,
        x_train=x,
        y_train=(np.arange(30) % 3)[:, None],
        x_test=other,
        y_test=np.arange(12) % 3,
        class_names=np.array(["a", "b", "c"]),
    )
    data = load_dataset(spec, validation_size=6)
    np.testing.assert_array_equal(data.test.x, other)
    kept = np.concatenate([numbers(data.train.x), numbers(data.validation.x)])
    assert sorted(kept.tolist()) == list(range(30)) and len(data.validation) == 6
    assert data.class_names == ("a", "b", "c") and data.name == spec


def test_labels_with_gaps_are_numbered_in_sorted_order(tmp_path):
    y = np.array([7, -2, 40] * 10, dtype=float)
    data = load_dataset(save(tmp_path, x=numbered_images(30), y=y))
    assert data.class_names == ("-2", "7", "40")
    number = numbers(data.test.x)
    assert [[-2, 7, 40][c] for c in data.test.y] == y[number].tolist()


def test_svhn_calls_the_digit_zero_ten(tmp_path):
    data = load_dataset(svhn(tmp_path))
    assert data.class_names == tuple("0123456789") and data.image_shape == (32, 32, 3)
    assert len(data.test) == 40
    for split in (getattr(data, part) for part in PARTS):
        np.testing.assert_array_equal(split.y, (numbers(split.x) % 10 + 1) % 10)


@pytest.mark.parametrize(
    ("name", "n_classes"), [("cifar10", 10), ("cifar100", 100), ("fashion_mnist", 10)]
)
def test_keras_loaders(monkeypatch, name, n_classes):
    shape = (28, 28) if name == "fashion_mnist" else (32, 32, 3)
    y = np.arange(500)[:, None] % n_classes
    stored = (numbered_images(500, shape), y), (numbered_images(200, shape), y[:200])
    monkeypatch.setattr(getattr(keras.datasets, name), "load_data", lambda: stored)
    data = load_dataset(name)
    assert data.n_classes == n_classes and len(data.test) == 200 and len(data.validation) == 100
    assert data.image_shape == (*shape[:2], 3)


@pytest.mark.parametrize(
    "error", [Exception("URL fetch failure on https://x: None -- x"), OSError("no route")]
)
def test_a_failed_download_names_the_way_out(monkeypatch, error):
    def load_data():
        raise error

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", load_data)
    refused("cifar10 could not be downloaded", "cifar10")
    refused("npz:PATH", "cifar10")


# Folders


def test_a_folder_of_classes(tmp_path):
    folder_of(tmp_path, ["dog", "cat", "emu"])
    draw(tmp_path / "cat" / "._000.png", 0)  # hidden files are not images, macOS writes such
    (tmp_path / "cat" / "._001.png").write_bytes(b"resource fork")
    (tmp_path / "cat" / "notes.txt").write_text("no image", encoding="utf-8")
    with pytest.warns(UserWarning, match="skipped 1 file with .txt; 30 images are taken"):
        data = load_dataset(f"folder:{tmp_path}", image_size=8)
    assert data.class_names == ("cat", "dog", "emu") and data.image_shape == (8, 8, 3)
    assert [len(getattr(data, part)) for part in PARTS] == [19, 5, 6]
    label = {"dog": 0, "cat": 10, "emu": 20}
    greys = []
    for split in (getattr(data, part) for part in PARTS):
        assert split.x.dtype == np.uint8 and split.x.shape == (len(split), 8, 8, 3)
        greys += split.x[:, 0, 0, 0].tolist()
        for grey, y in zip(split.x[:, 3, 4, 1].tolist(), split.y, strict=True):
            assert label[data.class_names[y]] == grey // 10 * 10
    assert sorted(greys) == list(range(30))


def test_folders_are_224_by_224_unless_told(tmp_path):
    data = load_dataset(f"folder:{folder_of(tmp_path, 'ab', 5)}")
    assert data.image_shape == (224, 224, 3) and data.test.first(1).x.shape == (1, 224, 224, 3)


@pytest.mark.parametrize("word", ["valid", "val", "validation"])
def test_folders_of_parts_are_used_as_they_are(tmp_path, word):
    for part, n, start in (("train", 6, 0), (word, 2, 100), ("test", 3, 200)):
        folder_of(tmp_path / part, ["a", "b"], n, start)
    data = load_dataset(f"folder:{tmp_path}", image_size=4)
    assert data.train.x[:, 0, 0, 0].tolist() == list(range(12))
    assert data.validation.x[:, 0, 0, 0].tolist() == list(range(100, 104))
    assert data.test.x[:, 0, 0, 0].tolist() == list(range(200, 206))
    assert data.train.y.tolist() == [0] * 6 + [1] * 6
    refused("has a validation part of its own", f"folder:{tmp_path}", validation_size=2)
    birds = load_dataset(f"birds:{tmp_path}", image_size=4)
    np.testing.assert_array_equal(birds.test.x, data.test.x)


def test_folders_without_a_validation_part_get_one(tmp_path):
    for part, start in (("train", 0), ("test", 100)):
        folder_of(tmp_path / part, ["a", "b"], 10, start)
    data = load_dataset(f"folder:{tmp_path}", image_size=4)
    assert [len(getattr(data, part)) for part in PARTS] == [16, 4, 20]
    assert np.bincount(data.validation.y).tolist() == [2, 2]


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_every_kind_of_image_becomes_rgb(tmp_path, mode):
    folder_of(tmp_path, ["a", "b"], 5)
    image = Image.new("RGBA", (6, 5), (255, 255, 255, 255)).convert(mode)
    for k in range(5):
        image.save(tmp_path / "a" / f"{k:03}.png")
    data = load_dataset(f"folder:{tmp_path}", image_size=4)
    white = data.train.x[data.train.y == 0]
    assert white.shape[1:] == (4, 4, 3) and (white == 255).all()


def test_resizing_is_bilinear(tmp_path):
    """Doubled, a step between two pixels passes a quarter and three quarters of the way."""
    ramp = np.array([[0, 200]], dtype=np.uint8)
    wanted = [0, 50, 150, 200]
    x = np.broadcast_to(ramp[..., None], (10, 1, 2, 3))
    data = load_dataset(save(tmp_path, x=x, y=np.arange(10) % 2), image_size=(1, 4))
    assert data.image_shape == (1, 4, 3) and data.train.x[0, 0, :, 1].tolist() == wanted
    for name in "ab":
        (tmp_path / "f" / name).mkdir(parents=True)
        for k in range(4):
            Image.fromarray(ramp).save(tmp_path / "f" / name / f"{k}.png")
    data = load_dataset(f"folder:{tmp_path / 'f'}", image_size=(1, 4))
    assert data.train.x[0, 0, :, 1].tolist() == wanted


def test_the_home_folder_may_be_abbreviated(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder_of(tmp_path / "photos", "ab", 5)
    assert load_dataset("folder:~/photos").n_classes == 2


# How they split


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    counts=st.lists(st.integers(8, 40), min_size=2, max_size=5),
    share=st.sampled_from([None, 0.1, 0.25, 0.5, 6]),
    seed=st.integers(0, 3),
)
def test_parts_are_disjoint_complete_and_stratified(tmp_path, counts, share, seed):
    y = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    total = len(y)
    spec = save(tmp_path, x=numbered_images(total), y=y)
    data = load_dataset(spec, validation_size=share, seed=seed)
    parts = {part: numbers(getattr(data, part).x) for part in PARTS}
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(total))
    n_test = round(0.2 * total)
    rest = total - n_test
    n_validation = share if share == 6 else round((share or 0.2) * rest)
    assert [len(parts[part]) for part in PARTS] == [rest - n_validation, n_validation, n_test]
    for part, chosen in parts.items():
        np.testing.assert_array_equal(getattr(data, part).y, y[chosen])
    of = np.array(counts)
    tested = np.bincount(data.test.y, minlength=len(of))
    assert (abs(tested - n_test * of / total) < 1).all()
    validated = np.bincount(data.validation.y, minlength=len(of))
    share_of = n_validation * (of - tested) / rest
    lifted = (share_of < 1).sum()  # classes that get one anyway, at the cost of others
    assert (abs(validated - share_of) < 1 + lifted).all()
    assert (validated > 0).all() or n_validation < len(of)


def test_the_papers_15000_validate_where_a_fifth_would_be_more(tmp_path):
    y = np.arange(80_000) % 2
    x = np.full((80_000, 1, 1), 255, np.uint8)
    spec = save(tmp_path, x_train=x, y_train=y, x_test=x[:4], y_test=y[:4])
    data = load_dataset(spec)
    assert (len(data.train), len(data.validation)) == (65_000, 15_000)


def test_the_seed_decides_and_the_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, again, other = (load_dataset("digits", seed=s) for s in (1, 1, 2))
    generator = load_dataset("digits", seed=np.random.default_rng(1))
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    for part in PARTS:
        np.testing.assert_array_equal(getattr(first, part).x, getattr(again, part).x)
        np.testing.assert_array_equal(getattr(first, part).x, getattr(generator, part).x)
        assert not np.array_equal(getattr(first, part).y, getattr(other, part).y)


def test_smaller_training_parts_are_contained_in_larger_ones(tmp_path):
    y = np.repeat([0, 1, 2], [100, 60, 15])
    spec = save(tmp_path, x=numbered_images(175), y=y)
    whole = load_dataset(spec)
    assert len(whole.train) == 112
    last = np.empty(0, int)
    for n in (3, 10, 29, 30, 31, 80, 112):
        data = load_dataset(spec, n_train=n)
        chosen = numbers(data.train.x)
        assert len(chosen) == n
        np.testing.assert_array_equal(chosen[: len(last)], last)
        for part in ("validation", "test"):
            np.testing.assert_array_equal(getattr(data, part).x, getattr(whole, part).x)
        counts, available = np.bincount(data.train.y, minlength=3), np.bincount(whole.train.y)
        assert ((counts >= counts.max() - 1) | (counts == available)).all()
        last = chosen
    assert set(last.tolist()) == set(numbers(whole.train.x).tolist())


# Splits as arrays and as batches


@pytest.fixture(params=["arrays", "files"])
def split(request, tmp_path):
    if request.param == "arrays":
        return load_dataset(save(tmp_path, x=numbered_images(50), y=np.arange(50) % 2)).train
    return load_dataset(f"folder:{folder_of(tmp_path, 'ab', 25)}", image_size=(4, 5)).train


def test_batches_hold_the_split(split):
    x, y, sizes = collect(split.batches(10))
    assert x.dtype == np.float32 and y.dtype == np.int64 and sizes == [10, 10, 10, 2]
    np.testing.assert_array_equal(x, split.x)
    np.testing.assert_array_equal(y, split.y)
    assert len(split.batches(10)) == 4
    if keras.backend.backend() == "tensorflow":
        assert split.batches(10).element_spec[0].shape.as_list() == [None, 4, 5, 3]


def test_every_epoch_has_an_order_of_its_own(split):
    batches = split.batches(10, shuffle_seed=3)
    first = collect(batches)[:2]
    if isinstance(batches, keras.utils.PyDataset):
        batches.on_epoch_end()  # which fit calls
    second = collect(batches)[:2]
    again = collect(split.batches(10, shuffle_seed=3))[0]
    other = collect(split.batches(10, shuffle_seed=4))[0]
    np.testing.assert_array_equal(first[0], again)
    assert not np.array_equal(first[0], second[0]) and not np.array_equal(first[0], other)
    wanted = Counter((x.tobytes(), y) for x, y in zip(split.x, split.y.tolist(), strict=True))
    for x, y in (first, second):
        pairs = zip(x.astype(np.uint8), y.tolist(), strict=True)
        assert Counter((x.tobytes(), y) for x, y in pairs) == wanted


def test_the_first_images(split):
    few = split.first(5)
    assert len(few) == 5 and "x" not in vars(few)  # a file is not read before it is needed
    np.testing.assert_array_equal(few.x, split.x[:5])
    np.testing.assert_array_equal(few.y, split.y[:5])
    np.testing.assert_array_equal(collect(few.batches(2))[0], few.x)
    with pytest.raises(ValueError, match="n must be at most 32; got 33"):
        split.first(33)
    with pytest.raises(ValueError, match="n must be at least 1; got 0"):
        split.first(0)


def test_files_are_read_late_and_once(tmp_path, monkeypatch):
    from edgedyn.nn.data import datasets, feeding

    read, original = [], datasets.read_image
    for module in (datasets, feeding):
        monkeypatch.setattr(
            module, "read_image", lambda path, size: read.append(path) or original(path, size)
        )
    train = load_dataset(f"folder:{folder_of(tmp_path, 'ab', 10)}", image_size=4).train
    assert len(train) == 13 and read == []
    assert train.x is train.x and len(read) == 13
    batches = train.batches(4)
    assert len(read) == 13
    collect(batches)
    assert len(read) == 26


def test_a_model_trains_on_batches(split):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4, 5, 3)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit(
        split.batches(8, shuffle_seed=0), epochs=2, shuffle=False, verbose=0
    ).history
    assert len(history["loss"]) == 2


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"batch_size": "8"}, TypeError, "batch_size must be an integer"),
        ({"shuffle_seed": 0.5}, TypeError, "shuffle_seed must be an integer or None; got 0.5"),
        ({"shuffle_seed": True}, TypeError, "shuffle_seed must be an integer"),
        ({"shuffle_seed": -1}, ValueError, "shuffle_seed must be in"),
    ],
)
def test_batches_that_are_refused(options, error, words):
    with pytest.raises(error, match=words):
        load_dataset("digits").train.batches(**options)


# Real data


@pytest.fixture(scope="module")
def real():
    if "EDGEDYN_DATA" not in os.environ:
        pytest.skip("EDGEDYN_DATA is not set")
    return Path(os.environ["EDGEDYN_DATA"]) / "images"


@pytest.mark.realdata
def test_real_cifar10(real):
    data = load_dataset(f"npz:{real / 'cifar10.npz'}", n_train=1000)
    assert [len(getattr(data, part)) for part in PARTS] == [1000, 2000, 4000]
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert data.class_names == tuple(names.split()) and data.image_shape == (32, 32, 3)
    assert set(np.bincount(data.train.y)) == {100} and set(np.bincount(data.validation.y)) == {200}
    with np.load(real / "cifar10.npz") as stored:
        np.testing.assert_array_equal(data.test.x, stored["x_test"])
        np.testing.assert_array_equal(data.test.y, stored["y_test"].ravel())
        label = {
            x.tobytes(): int(y)
            for x, y in zip(stored["x_train"], stored["y_train"].ravel(), strict=True)
        }
    seen = [(x.tobytes(), int(y)) for x, y in zip(data.train.x, data.train.y, strict=True)]
    assert all(label[x] == y for x, y in seen)


@pytest.mark.realdata
def test_real_cifar100(real):
    data = load_dataset(f"npz:{real / 'cifar100_40classes.npz'}")
    assert data.n_classes == 40 and [len(getattr(data, p)) for p in PARTS] == [8000, 2000, 4000]
    assert set(np.bincount(data.train.y)) == {200}


@pytest.mark.realdata
def test_keras_cifar100_has_the_names_of_the_real_classes(real):
    from edgedyn.nn.data.readers import _NAMES

    names = _NAMES["cifar100"]
    with np.load(real / "cifar100_40classes.npz") as stored:
        assert {str(name) for name in stored["class_names"]} <= set(names)
    assert len(set(names)) == 100 and names == sorted(names)
