"""The zoo of papers/jiang2024: real weights in the right places, features of the right shape."""

import os
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")

import h5py  # noqa: E402
import keras  # noqa: E402

import edgedyn as ed  # noqa: E402
from edgedyn import nn  # noqa: E402

PAPER = Path(__file__).resolve().parents[2] / "papers" / "jiang2024"
FOLDER = Path(os.environ.get("EDGEDYN_DATA", "."))
pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]
SMALL = ("vgg", "densenet", "mobilenetv2", "mlp", "cnn2", "cnn4", "resnet10")


def needs_data(test):
    """Mark a test that reads the real data."""
    missing = "EDGEDYN_DATA" not in os.environ
    return pytest.mark.realdata(pytest.mark.skipif(missing, reason="EDGEDYN_DATA is not set")(test))


@pytest.fixture(scope="module")
def paper():
    """Return the modules that are looked into."""
    from papers.jiang2024.zoo import candidates as zoo_candidates
    from papers.jiang2024.zoo import networks as zoo

    return {"zoo": zoo, "candidates": zoo_candidates}


@pytest.fixture(scope="module")
def cifar10():
    with np.load(FOLDER / "images" / "cifar10.npz") as stored:
        return stored["x_test"][:500].astype(np.float32), stored["y_test"][:500]


FEATURES = {
    "resnet8": 64,
    "resnet20": 64,
    "resnet32": 64,
    "resnet56": 64,
    "mobilenet": 256,
    "squeezenet": 512,
    "vgg": 64,
    "mlp": 128,
    "cnn2": 64,
    "cnn4": 128,
}


def built(paper, name, **changes):
    """Build a candidate as a study does."""
    function, options, _ = paper["candidates"].ZOO[name]
    side = paper["candidates"].image_size(name)
    build = getattr(paper["zoo"], function)
    return build(**{**options, **changes}, input_shape=(side, side, 3))


PRETRAINED = (*FEATURES, "densenet", "mobilenetv2", "resnet10")


def accuracy(model, images, labels):
    """Return the accuracy of a model's own classifier."""
    return (model.predict(images, batch_size=250, verbose=0).argmax(axis=1) == labels).mean()


@pytest.mark.parametrize("name", PRETRAINED)
def test_random_weights_give_flat_finite_features(paper, name):
    keras.utils.set_random_seed(0)
    backbone = nn.backbone(built(paper, name, weights=None))
    images = np.random.default_rng(0).uniform(0, 255, (4, *backbone.input_shape[1:]))
    features = backbone.predict(images.astype(np.float32), verbose=0)
    assert features.ndim == 2 and np.isfinite(features).all() and features.std() > 0
    if name in FEATURES:
        assert features.shape == (4, FEATURES[name])


def test_the_table_lists_every_network_once_and_twins_of_some(paper):
    candidates = paper["candidates"]
    assert set(candidates.PRETRAINED) == set(PRETRAINED)
    assert len(candidates.PRETRAINED) >= 12
    assert set(candidates.SMALL) == set(paper["zoo"].SMALL)
    for name in candidates.SCRATCH:
        assert name.removesuffix("-scratch") in candidates.PRETRAINED
        assert candidates.candidate(name)["options"]["weights"] is None


@pytest.mark.parametrize("name", ["resnet8", "resnet20", "squeezenet", "mobilenetv2", "densenet"])
def test_line_graphs_know_every_layer(paper, name):
    model = built(paper, name, weights=None)
    kernels = sum(np.prod(w.shape) for w in model.trainable_weights if w.name == "kernel")
    assert ed.line_graph(model).n_nodes == kernels


def test_a_shortcut_takes_every_other_pixel_and_pads_channels(paper):
    model = paper["zoo"].cifar_resnet(20, weights=None)
    pool = next(la for la in model.layers if isinstance(la, keras.layers.AveragePooling2D))
    permuted = [la for la in model.layers if isinstance(la, keras.layers.Permute)][1]
    part = keras.Model(model.inputs[0], [pool.input, permuted.output])
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    before, after = part.predict(images, verbose=0)
    expected = np.pad(before[:, ::2, ::2], ((0, 0), (0, 0), (0, 0), (8, 8)))
    np.testing.assert_array_equal(after, expected)


def test_unknown_names_and_weights_are_refused(paper):
    zoo = paper["zoo"]
    with pytest.raises(ValueError, match="depth must be one of"):
        zoo.cifar_resnet(18)
    with pytest.raises(ValueError, match="weights must be one of"):
        zoo.squeezenet(weights="cifar10")
    with pytest.raises(ValueError, match="name must be one of"):
        zoo.small_network("alexnet")


def test_the_studies_of_all_tasks_can_be_read(paper):
    import argparse

    from papers.jiang2024.zoo import run as run_zoo

    for task in paper["candidates"].TASKS:
        given = argparse.Namespace(
            task=task,
            seeds=[0, 1],
            epochs=7,
            candidates=["mlp", "squeezenet"],
            workers=2,
            threads=1,
        )
        plan = run_zoo.study(given)
        assert len(plan.trials) == 4
        assert plan.candidates[1].image_size == 64 and plan.data.image_size == 32
        assert str(PAPER) not in str(plan.to_dict())
        trained = run_zoo.study(given, "trained")
        one, other = plan.to_dict(), trained.to_dict()
        assert other.pop("output") == one.pop("output") + "-trained-probe"
        assert (one.pop("probe")["frozen"], other.pop("probe")["frozen"]) == (True, False)
        measured = "papers.jiang2024.ablations.measures:measures" if task == "cifar100-a" else None
        assert one.pop("capacitance")["measures"] == measured
        assert other.pop("capacitance")["measures"] is None and one == other


def test_augmented_images_are_mirrored_and_shifted_ones():
    from papers.jiang2024.zoo import pretrain

    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
    found = pretrain.augmented(images, np.random.default_rng(1))
    assert found.shape == images.shape and found.dtype == np.uint8
    mirrored = 0
    for one, new in zip(images, found, strict=True):
        wide = np.pad(one, ((4, 4), (4, 4), (0, 0)), mode="reflect")
        crops = [wide[i : i + 8, j : j + 8] for i in range(9) for j in range(9)]
        plain = any((new == crop).all() for crop in crops)
        turned = any((new == crop[:, ::-1]).all() for crop in crops)
        assert plain or turned
        mirrored += turned and not plain
    assert 5 < mirrored < 35


@needs_data
@pytest.mark.parametrize("name", SMALL)
def test_our_own_weights_reach_what_is_written(paper, name, cifar10):
    import json

    stated = json.loads((PAPER / "results" / "pretraining.json").read_text("utf-8"))[name]
    p = stated["test_accuracy"]
    found = accuracy(built(paper, name), *cifar10)
    assert abs(found - p) < 4 * np.sqrt(p * (1 - p) / 500)


@needs_data
def test_resnet20_has_the_stated_accuracy(paper, cifar10):
    found = accuracy(paper["zoo"].cifar_resnet(20), *cifar10)
    # 500 images: four standard errors of a share of .917 are .05; other weights are at .1
    assert abs(found - 0.917) < 4 * np.sqrt(0.917 * 0.083 / 500)


@needs_data
def test_squeezenet_takes_all_weights_of_the_file(paper):
    model = paper["zoo"].squeezenet()
    assert model.count_params() == 722_496
    with h5py.File(FOLDER / "weights" / "imagenet_squeezenet_notop.h5") as file:
        stored = file["fire5/expand3x3/uniform13"][...]
        first = file["conv1/uniform1"][...]
    np.testing.assert_array_equal(model.get_layer("fire5_expand3x3").get_weights()[0], stored)
    np.testing.assert_array_equal(model.get_layer("conv1").get_weights()[0], first[:, :, ::-1])


@needs_data
def test_tasks_are_disjoint_and_balanced(paper, tmp_path):
    candidates = paper["candidates"]
    found = {}
    for task in candidates.TASKS:
        candidates.write_task(task, tmp_path / f"{task}.npz")
        options = {k: v for k, v in candidates.TASKS[task].items() if k != "n_train"}
        found[task] = nn.load_dataset(f"npz:{tmp_path / task}.npz", **options)
    assert not set(found["cifar100-a"].class_names) & set(found["cifar100-b"].class_names)
    sizes = {"cifar100-a": (4000, 1000, 2000), "fashion-mnist": (1000, 500, 500)}
    for task, (train, validation, test) in sizes.items():
        data = found[task]
        assert (len(data.train), len(data.validation), len(data.test)) == (train, validation, test)
        counts = np.bincount(data.train.y, minlength=data.n_classes)
        assert counts.min() > 0.7 * counts.mean()
