"""NCE and LEEP of the zoo: which runs have them, and one of them counted by hand."""

import json
import os
from math import log
from pathlib import Path

import numpy as np
import pytest

import edgedyn as ed

pytestmark = pytest.mark.slow

PAPER = Path(__file__).resolve().parents[2] / "papers" / "jiang2024"
STORED = PAPER / "results" / "source_scores.json"
TASKS = {"cifar100-a": 20, "cifar100-b": 20, "fashion-mnist": 10}
NO_CLASSIFIER = {"mobilenet", "squeezenet"}  # the ImageNet files end in features
needs_data = pytest.mark.skipif("EDGEDYN_DATA" not in os.environ, reason="EDGEDYN_DATA is not set")


@pytest.fixture(scope="module")
def stored():
    return json.loads(STORED.read_text("utf-8"))


def test_every_run_has_scores_or_a_reason(stored):
    runs = {}
    for task in TASKS:
        for r in ed.load_records(PAPER / "records" / task):
            runs[task, r.model, r.seed] = r
    rows = {(r["task"], r["model"], r["seed"]): r for r in stored["rows"]}
    assert len(rows) == len(stored["rows"])
    left = {key for key in runs if key not in rows}
    assert {model for _, model, _ in left} == set(stored["without"])
    for model, reason in stored["without"].items():
        assert ("no classifier" in reason) == (model in NO_CLASSIFIER)
        assert ("random weights" in reason) == model.endswith("-scratch")
    for key, row in rows.items():
        assert row["logme"] == pytest.approx(runs[key].scores["logme"], rel=1e-3, abs=1e-3)
        assert row["n_source_classes"] == 10
        assert row["n_train"] == runs[key].provenance["data"]["train"]
        # No worse than to know nothing but the classes' shares, no better than to know all.
        assert -log(TASKS[row["task"]]) - 1e-9 <= row["nce"] < 0 and row["leep"] < 0


@needs_data
@pytest.mark.realdata
@pytest.mark.tensorflow
def test_one_run_counted_by_hand(stored, tmp_path):
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    import keras

    from papers.jiang2024.zoo import networks as zoo
    from papers.jiang2024.zoo import source_scores
    from papers.jiang2024.zoo.candidates import write_task

    write_task("fashion-mnist", tmp_path / "images.npz")
    records = ed.load_records(PAPER / "records" / "fashion-mnist")
    (record,) = [r for r in records if (r.model, r.seed) == ("cnn2", 1)]
    row = source_scores.scored("fashion-mnist", record, tmp_path / "images.npz")
    (known,) = [r for r in stored["rows"] if (r["task"], r["model"], r["seed"])
                == ("fashion-mnist", "cnn2", 1)]  # fmt: skip
    data = ed.nn.load_dataset(f"npz:{tmp_path / 'images.npz'}", image_size=32, validation_size=500,
                              n_train=record.n_train, seed=1)  # fmt: skip
    keras.utils.set_random_seed(5)  # the weights are the file's, whatever the seed
    theta = zoo.small_network("cnn2").predict(data.train.x.astype(np.float32), verbose=0)
    theta, y = theta.astype(float), data.train.y
    joint = np.zeros((10, 10))
    np.add.at(joint, (theta.argmax(axis=1), y), 1 / len(y))
    part = joint[joint > 0]
    given = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)[joint > 0]
    nce = float((part * np.log(part / given)).sum())
    empirical = np.stack([theta[y == c].sum(axis=0) for c in range(10)], 1)
    leep = float(
        np.log((theta @ (empirical / theta.sum(axis=0)[:, None]))[range(len(y)), y]).mean()
    )
    for found in (row, known):
        assert found["nce"] == pytest.approx(nce, abs=2e-3)
        assert found["leep"] == pytest.approx(leep, abs=1e-4)


@needs_data
@pytest.mark.realdata
@pytest.mark.tensorflow
def test_other_data_are_refused(tmp_path):
    pytest.importorskip("tensorflow", reason="install the extra 'tf'")
    from papers.jiang2024.zoo import source_scores
    from papers.jiang2024.zoo.candidates import write_task

    write_task("cifar100-b", tmp_path / "images.npz")
    record = ed.load_records(PAPER / "records" / "cifar100-a")[0]
    with pytest.raises(ValueError, match="the data are not those of the record"):
        source_scores.scored("cifar100-a", record, tmp_path / "images.npz")
