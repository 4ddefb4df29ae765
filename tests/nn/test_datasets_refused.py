"""Data sets that are refused, each in one sentence."""

import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import tensorflow as tf  # noqa: E402
from dataset_files import (  # noqa: E402
    collect,
    draw,
    folder_of,
    numbered_images,
    refused,
    save,
    svhn,
)

from edgedyn.nn import load_dataset  # noqa: E402

pytestmark = pytest.mark.tensorflow


# What is refused


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("mnist", ValueError, "got 'mnist'"),
        ("digits:x", ValueError, "got 'digits:x'"),
        (7, TypeError, "spec must be a string"),
        (None, TypeError, "spec must be a string"),
        ("svhn", ValueError, "train_32x32.mat and test_32x32.mat"),
        ("svhn:", ValueError, "write svhn:FOLDER"),
        ("birds", ValueError, "write birds:FOLDER"),
        ("folder", ValueError, "write folder:PATH"),
        ("npz", ValueError, "write npz:PATH"),
        ("npz:/nowhere.npz", ValueError, "there is no file '/nowhere.npz'"),
        ("folder:/nowhere", ValueError, "there is no folder '/nowhere'"),
        ("birds:/nowhere", ValueError, "there is no folder '/nowhere'"),
        ("svhn:/nowhere", ValueError, "there is no file '/nowhere/train_32x32.mat'"),
    ],
)
def test_specs_that_are_refused(spec, error, words):
    refused(words, spec, error)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"image_size": 0}, ValueError, "image_size must be at least 1"),
        ({"image_size": (8, 8, 3)}, ValueError, "one integer or (height, width)"),
        ({"image_size": 8.5}, TypeError, "image_size must be an integer; got 8.5"),
        ({"image_size": "8"}, TypeError, "image_size must be an integer"),
        ({"image_size": True}, TypeError, "image_size must be an integer"),
        ({"validation_size": 0}, ValueError, "validation_size must be at least 1"),
        ({"validation_size": 0.0}, ValueError, "must be in (0, 1)"),
        ({"validation_size": 1.0}, ValueError, "must be in (0, 1)"),
        ({"validation_size": float("nan")}, ValueError, "must be in (0, 1)"),
        ({"validation_size": "10"}, TypeError, "a number of images or a share"),
        ({"validation_size": True}, TypeError, "a number of images or a share"),
        ({"validation_size": 1438}, ValueError, "must take 1..1437 of 1438 images; got 1438"),
        ({"validation_size": 1e-4}, ValueError, "must take 1..1437 of 1438 images; got 0"),
        ({"validation_size": 1434}, ValueError, "without training images"),
        ({"n_train": 9}, ValueError, "n_train must be in 10..1150"),
        ({"n_train": 1151}, ValueError, "n_train must be in 10..1150"),
        ({"n_train": 0}, ValueError, "n_train must be at least 1"),
        ({"n_train": 0.5}, TypeError, "n_train must be an integer"),
        ({"seed": -1}, ValueError, "seed must be 0 or more; got -1"),
        ({"seed": 0.5}, TypeError, "seed must be an integer or a numpy.random.Generator"),
        ({"seed": "a"}, TypeError, "seed must be an integer or a numpy.random.Generator"),
        ({"seed": True}, TypeError, "seed must be an integer or a numpy.random.Generator"),
    ],
)
def test_options_that_are_refused(options, error, words):
    refused(words, "digits", error, **options)


def test_numpys_numbers_are_numbers():
    plain = load_dataset("digits", validation_size=0.25, image_size=9, seed=3)
    numpys = {"validation_size": np.float32(0.25), "image_size": np.int32(9), "seed": np.uint8(3)}
    data = load_dataset("digits", **numpys)
    np.testing.assert_array_equal(data.train.x, plain.train.x)
    np.testing.assert_array_equal(data.validation.y, plain.validation.y)


def changed(**arrays):
    """Return arrays of a good file with some replaced, or left out where None."""
    x, y = numbered_images(20), np.arange(20) % 2
    good = {"x_train": x, "y_train": y, "x_test": x[:6], "y_test": y[:6], **arrays}
    return {name: array for name, array in good.items() if array is not None}


def with_one(value):
    x = numbered_images(20).astype(np.float32)
    x[3, 2, 1, 0] = value
    return x


Y = np.arange(20) % 2


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        (changed(y_test=None), "it must hold x_train, y_train, x_test and y_test, or x and y"),
        (changed(y_train=Y[:15]), "20 images but 15 labels"),
        (changed(y_train=Y + 0.5), "labels must be integers"),
        (changed(y_train=np.where(Y, np.nan, 0)), "labels must be integers"),
        (changed(y_train=np.array(list("ab" * 10))), "labels must be one integer an image"),
        (changed(y_train=np.eye(2)[Y]), "labels must be one integer an image"),
        (changed(y_train=Y * 0, y_test=Y[:6] * 0), "one class only"),
        (changed(y_test=Y[:6] + 1), "the test part has the label 2, training has not"),
        (changed(class_names=np.array(["a"])), "1 class names but 2 classes"),
        (changed(class_names=np.array(list("abc"))), "3 class names but 2 classes"),
        (changed(x_train=with_one(np.nan)), "NaN or infinity"),
        (changed(x_train=with_one(np.inf)), "NaN or infinity"),
        (changed(x_train=with_one(-1)), "must be in 0..255; got -1..255"),
        (changed(x_train=with_one(256)), "must be in 0..255; got 0..256"),
        (changed(x_train=numbered_images(20) / 255), "got fractions, or nothing above 16, in 0..1"),
        (changed(x_train=numbered_images(20) / 127.5), "whole numbers in 0..255; got fractions"),
        (changed(x_train=np.round(numbered_images(20) / 16.0)), "nothing above 16, in 0..16"),
        (changed(x_train=(numbered_images(20) / 16.0).astype(int)), "nothing above 16, in 0..15"),
        (changed(x_train=with_one(255.0004)), "must be in 0..255; got 0..255.0004"),
        (changed(y_train=Y * 1e300), "labels must be within 2**53; got 0.0..1e+300"),
        (changed(x_train=with_one(1.0004)), "whole numbers in 0..255; got fractions"),
        (changed(x_val=numbered_images(6)), "holds x_val alone; give x_val and y_val"),
        (
            changed(x_val=numbered_images(6), y_val=Y[:6] + 1),
            "the validation part has the label 2, training has not",
        ),
        (changed(x_train=np.zeros((20, 4, 5, 4), np.uint8)), "got (20, 4, 5, 4)"),
        (changed(x_train=np.zeros((20, 60), np.uint8)), "got (20, 60)"),
        (changed(x_train=np.full((20, 4, 5), "a")), "images must hold numbers"),
        (changed(x_train=np.full((20, 4, 5), True)), "images must hold numbers"),
        (changed(x_test=numbered_images(6, (4, 4, 3))), "training images have shape (4, 5, 3)"),
        (changed(x_train=np.array([None] * 20)), "could not be read as a .npz file"),
        ({"x": numbered_images(4), "y": np.array([0, 0, 0, 1])}, "leaves class '1' without"),
    ],
)
def test_npz_arrays_that_are_refused(tmp_path, arrays, words):
    spec = save(tmp_path, **arrays)
    refused(words, spec)
    if "leaves" not in words:  # there the split is at fault, else the file, by name
        refused(str(tmp_path / "images.npz"), spec)


def test_a_broken_npz_is_named(tmp_path):
    spec = save(tmp_path, **changed())
    path = tmp_path / "images.npz"
    whole = path.read_bytes()
    for broken in (b"", b"no npz", whole[: len(whole) // 2], whole[:200] + b"?" + whole[201:]):
        path.write_bytes(broken)
        refused(f"{path} could not be read as a .npz file", spec)
    plain = tmp_path / "plain.npy"
    np.save(plain, np.zeros(3))
    refused("could not be read as a .npz file", f"npz:{plain}")


def test_svhn_files_that_are_missing_or_broken(tmp_path):
    spec = svhn(tmp_path)
    test = tmp_path / "test_32x32.mat"
    whole = test.read_bytes()
    for broken in (b"", b"no mat file at all" * 20, whole[:100], whole[: len(whole) // 2]):
        test.write_bytes(broken)
        refused(f"{test} could not be read as SVHN's cropped digits", spec)
    savemat(test, {"X": np.zeros((32, 32, 3, 5), np.uint8)})
    refused(f"{test} could not be read as SVHN's cropped digits", spec)
    savemat(test, {"X": np.zeros((32, 32, 3, 2), np.uint8), "y": [[0], [20]]})
    refused("labels must be in 1..10", spec)
    savemat(test, {"X": np.zeros((32, 5), np.uint8), "y": np.ones((5, 1))})
    refused("X must have shape (32, 32, 3, n)", spec)
    test.unlink()
    refused(f"there is no file '{test}'", spec)


def test_folders_that_are_refused(tmp_path):
    spec = f"folder:{tmp_path}"
    refused("has 0 class folders", spec)
    draw(tmp_path / "loose.png", 3)
    refused("has 0 class folders", spec)
    folder_of(tmp_path, ["a"])
    refused("has 1 class folders; give at least two", spec)
    (tmp_path / "loose.png").unlink()
    (tmp_path / "b").mkdir()
    refused(f"the class folder '{tmp_path / 'b'}' holds no images", spec)
    (tmp_path / "b" / "text.txt").write_text("x", encoding="utf-8")
    with pytest.warns(UserWarning, match="skipped 1 file with .txt; 10 images are taken"):
        refused("holds no images (.jpg, .jpeg, .png", spec)
    draw(tmp_path / "b" / "one.png", 3)
    (tmp_path / "b" / "text.txt").unlink()
    refused("leaves class 'b' without training images", spec)


def test_folders_of_parts_that_are_refused(tmp_path):
    folder_of(tmp_path / "train", ["a", "b"])
    refused("has the folders train; it must have both train and test", f"folder:{tmp_path}")
    folder_of(tmp_path / "val", ["a", "b"])
    refused("has the folders train, val; it must have both", f"folder:{tmp_path}")
    refused("it must have train, valid and test", f"birds:{tmp_path}")
    folder_of(tmp_path / "test", ["a", "b", "c"])
    refused("the folders train and test differ in class 'c'", f"folder:{tmp_path}")
    folder_of(tmp_path / "valid", ["a", "b"])
    refused("has the folders valid and val; keep one of them", f"folder:{tmp_path}")


def test_birds_without_a_validation_part_are_refused(tmp_path):
    for part in ("train", "test"):
        folder_of(tmp_path / part, ["a", "b"], 3)
    refused("it must have train, valid and test", f"birds:{tmp_path}")


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_named_before_any_work(tmp_path, content):
    bad = folder_of(tmp_path, ["a", "b"]) / "b" / "005.png"
    bad.write_bytes(content)
    refused(f"{bad} could not be read as an image", f"folder:{tmp_path}")


def test_all_files_that_are_no_images_are_named_together(tmp_path):
    folder = folder_of(tmp_path, ["a", "b"], 30) / "b"
    for k in range(25):
        (folder / f"{k:03d}.png").write_bytes(b"none")
    refused(
        "019.png and 5 more could not be read as images; repair or remove them",
        f"folder:{tmp_path}",
    )


def test_a_bomb_is_an_image_that_cannot_be_read(tmp_path):
    """Pillow refuses sizes out of all proportion by an error that is no OSError."""
    bad = folder_of(tmp_path, ["a", "b"]) / "b" / "005.bmp"
    stream = io.BytesIO()
    Image.new("RGB", (4, 4)).save(stream, "BMP")
    content = bytearray(stream.getvalue())
    content[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height
    bad.write_bytes(content)
    refused(f"{bad} is too large an image to be read", f"folder:{tmp_path}")


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_images_that_pillow_would_clip_are_refused(tmp_path, kind):
    bad = folder_of(tmp_path, ["a", "b"]) / "b" / "deep.tif"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.fromarray(np.arange(16).reshape(4, 4).astype(kind)).save(bad)
    refused(f"{bad} has more than 8 bits a channel", f"folder:{tmp_path}")


def test_a_truncated_image_is_named_when_it_is_decoded(tmp_path):
    folder_of(tmp_path, ["a", "b"], 5, suffix=".jpg")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for k in range(5):  # every image of class b, so that some are in training
        path = tmp_path / "b" / f"{k:03}.jpg"
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:2000])
    train = load_dataset(f"folder:{tmp_path}", image_size=8).train
    with pytest.raises(ValueError, match=r"b/00\d\.jpg could not be read .* cut short"):
        train.x  # noqa: B018
    with pytest.raises(
        (ValueError, tf.errors.OpError), match=r"b/00\d\.jpg could not be read .* cut short"
    ):
        collect(train.batches(2))


def test_an_npz_file_s_own_validation_part_is_used(tmp_path):
    spec = save(tmp_path, **changed(x_val=numbered_images(8)[::-1], y_val=Y[:8]))
    data = load_dataset(spec)
    np.testing.assert_array_equal(data.validation.x, numbered_images(8)[::-1])
    assert (len(data.train), len(data.test)) == (20, 6)
    refused("has a validation part of its own", spec, validation_size=4)


def test_what_is_skipped_is_counted(tmp_path):
    folder = folder_of(tmp_path, ["a", "b"])
    for k in range(6):
        (folder / "a" / f"{k}.heic").write_bytes(b"other")
    (folder / "b" / "notes").write_text("by hand")
    folder_of(folder / "b", ["more"], 3)
    for name in ("__MACOSX", ".git", "@eaDir"):
        folder_of(folder, [name], 2)
    words = "1 file with no suffix, 3 images in folders within class folders; 20 images are taken"
    with pytest.warns(UserWarning, match=f"skipped 6 files with .heic, {words}"):
        data = load_dataset(f"folder:{folder}")
    assert data.class_names == ("a", "b") and sum(map(len, data.parts)) == 20


def test_images_beside_the_classes_and_links_to_nothing_are_counted(tmp_path):
    folder = folder_of(tmp_path / "photos", ["a", "b"])
    folder_of(tmp_path / "other", ["c"], 3)
    for k, path in enumerate((tmp_path / "other" / "c").iterdir()):
        path.rename(folder / f"{k}.png")
    (folder / "a" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    words = "3 images beside the class folders, 1 link to files that are not there"
    with pytest.warns(UserWarning, match=f"skipped {words}; 20 images are taken"):
        load_dataset(f"folder:{folder}")


def test_folders_and_arrays_that_have_other_names_are_told_of(tmp_path):
    for part in ("train", "test", "dev"):
        folder_of(tmp_path / "parts" / part, ["a", "b"])
    with pytest.warns(UserWarning, match="skipped the folder dev; taken are train, test and one"):
        load_dataset(f"folder:{tmp_path / 'parts'}")
    x, y = numbered_images(20), np.arange(20) % 2
    arrays = {"x_train": x, "y_train": y, "x_test": x, "y_test": y}
    np.savez(tmp_path / "d.npz", **arrays, x_valid=x, y_valid=y)
    with pytest.warns(UserWarning, match="skipped the arrays x_valid, y_valid; taken are"):
        load_dataset(f"npz:{tmp_path / 'd.npz'}")


def test_images_are_upright_as_the_camera_was_held(tmp_path):
    folder = folder_of(tmp_path, ["a", "b"])
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: to be turned by 90 degrees
    Image.fromarray(pixels).save(folder / "a" / "000.png", exif=exif)
    data = load_dataset(f"folder:{folder}", image_size=(4, 6))
    part = next(p for p in data.parts if folder / "a" / "000.png" in p.source)
    where = part.source.index(folder / "a" / "000.png")
    np.testing.assert_array_equal(part.x[where], np.rot90(pixels, -1))


def test_a_fingerprint_of_the_origin_is_of_contents(tmp_path):
    folder = folder_of(tmp_path / "one", ["a", "b"])
    data = [load_dataset(f"folder:{folder}", image_size=n, seed=n).origin for n in (4, 8)]
    first, second = (one.fingerprint() for one in data)
    assert first == second  # whatever seed and size
    cache = tmp_path / "files.json"
    data[0].check_files(cache)
    assert data[1].fingerprint(cache) == first
    path = folder / "a" / "003.png"
    before, stat = path.read_bytes(), path.stat()
    path.write_bytes((folder / "a" / "004.png").read_bytes()[: len(before)].ljust(len(before)))
    assert data[1].fingerprint() != first
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert data[1].fingerprint(cache) != first
    cache.write_text("[1]")  # damaged: found anew
    path.write_bytes(before)
    assert data[0].fingerprint(cache) == first
    bad = folder / "b" / "002.png"
    bad.write_bytes(bad.read_bytes()[:-40])
    with pytest.raises(ValueError, match="002.png could not be read as an image; repair"):
        data[0].check_files(cache)


def test_dim_images_are_told_of(tmp_path):
    spec = save(tmp_path, **changed(x_train=numbered_images(20) // 3))
    with pytest.warns(UserWarning, match="nothing in the images is above 85; white is taken"):
        load_dataset(spec, seed=0)


def test_all_bad_images_are_named_together(tmp_path):
    folder = folder_of(tmp_path, ["a", "b"], suffix=".jpg")
    (folder / "a" / "000.jpg").write_text("hello")
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "b" / "003.jpg")
    cut = folder / "b" / "003.jpg"
    cut.write_bytes(cut.read_bytes()[:2000])
    with pytest.raises(ValueError, match=r"a/000\.jpg, .*b/003\.jpg could not be read as images"):
        load_dataset(f"folder:{folder}")
