"""The paper's split: the first images as stored train, the last ones validate."""

import msgspec
import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

from dataset_files import folder_of, numbered_images, numbers, refused, save  # noqa: E402

from edgedyn._job import Job, Settings  # noqa: E402
from edgedyn.nn import load_dataset  # noqa: E402
from edgedyn.nn.data import datasets
from edgedyn.nn.training import trial as trials  # noqa: E402
from edgedyn.studies import protocol  # noqa: E402
from edgedyn.studies.record import upgraded_settings  # noqa: E402
from edgedyn.studies.study import read_study  # noqa: E402

pytestmark = pytest.mark.tensorflow

N, N_TEST = 40, 8


@pytest.fixture
def spec(tmp_path):
    """Write images that tell their own place in the file."""
    return save(
        tmp_path,
        x_train=numbered_images(N),
        y_train=np.arange(N) % 3,
        x_test=numbered_images(N_TEST, start=N),
        y_test=np.arange(N, N + N_TEST) % 3,
    )


@pytest.mark.parametrize(
    ("n_train", "validation_size", "first", "last"),
    [(20, 10, 20, 10), (30, 10, 30, 10), (None, 10, 30, 10), (4, 0.25, 4, 10), (6, None, 6, 8)],
)
def test_the_first_images_train_and_the_last_validate(spec, n_train, validation_size, first, last):
    for seed in (0, 1):
        data = load_dataset(
            spec, n_train=n_train, validation_size=validation_size, split="ordered", seed=seed
        )
        assert numbers(data.train.x).tolist() == list(range(first))
        assert numbers(data.validation.x).tolist() == list(range(N - last, N))
        assert numbers(data.test.x).tolist() == list(range(N, N + N_TEST))
        for part in (data.train, data.validation, data.test):
            np.testing.assert_array_equal(part.y, numbers(part.x) % 3)


def test_the_default_is_drawn_and_the_fingerprint_tells(spec):
    options = {"n_train": 20, "validation_size": 10}
    drawn, ordered = load_dataset(spec, **options), load_dataset(spec, **options, split="ordered")
    named = load_dataset(spec, **options, split="stratified")
    assert drawn.fingerprint == named.fingerprint != ordered.fingerprint
    again = load_dataset(spec, **options, split="ordered", seed=5)
    assert again.fingerprint == ordered.fingerprint


def test_overlaps_and_wrong_words_are_refused(spec):
    refused(
        "of 40 training images the first 35 were to train and the last 10 to validate: 5 too many",
        spec, n_train=35, validation_size=10, split="ordered",
    )  # fmt: skip
    refused("1..39 of 40 images; got 40", spec, validation_size=40, split="ordered")
    refused("split must be one of 'stratified', 'ordered'", spec, split="sorted")


def test_images_that_are_stored_class_by_class_are_refused(tmp_path):
    for part in ("train", "test"):
        folder_of(tmp_path / part, "abc", 4)
    plain = f"folder:{tmp_path}"
    refused("class 'c' has no training image", plain, validation_size=5, split="ordered")
    refused("all validation images are of class 'c'", plain, validation_size=3, split="ordered")
    refused("class 'b' has no training image", plain, n_train=4, validation_size=5, split="ordered")


def test_a_validation_part_of_its_own_stays(tmp_path):
    for part, start in (("train", 0), ("valid", 100), ("test", 200)):
        folder_of(tmp_path / part, "ab", 6, start)
    data = load_dataset(f"folder:{tmp_path}", image_size=4, n_train=7, split="ordered")
    assert data.train.x[:, 0, 0, 0].tolist() == list(range(7))
    assert data.validation.x[:, 0, 0, 0].tolist() == list(range(100, 112))
    refused("of 12 training images the first 13", f"folder:{tmp_path}", n_train=13, split="ordered")


def test_a_study_says_how_its_images_were_split(spec):
    data = {"spec": spec, "n_train": [12], "validation_size": 10, "split": "ordered"}
    study = read_study({"data": data, "candidates": ["MobileNet"]})
    (trial,) = study.trials
    settings = study.settings(trial)
    assert settings["data"]["split"] == "ordered"
    job = Job("any", spec, 3, trial.n_train, msgspec.convert(settings, Settings))
    loaded = trials.dataset(job)
    assert numbers(loaded.train.x).tolist() == list(range(12))
    assert numbers(loaded.validation.x).tolist() == list(range(30, 40))
    with pytest.raises(ValueError, match="data.split must be one of 'stratified', 'ordered'"):
        read_study({"data": {**data, "split": "first"}, "candidates": ["MobileNet"]})


def test_a_study_knows_the_same_words():
    assert datasets.SPLITS == protocol.SPLITS


def test_older_settings_were_drawn():
    old = {"data": {"spec": "digits", "image_size": 8, "validation_size": None}}
    study = read_study({"data": {"spec": "digits", "image_size": 8}, "candidates": ["MobileNet"]})
    assert upgraded_settings(old)["data"] == study.settings(study.trials[0])["data"]
    assert "split" not in old["data"]
    assert upgraded_settings({}) == {}
