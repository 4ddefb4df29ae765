"""Backups of a training: used only whole, and of the epoch whose name they have."""

import shutil

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="install the extra 'tf'")
pytestmark = pytest.mark.tensorflow

import keras  # noqa: E402

from edgedyn.nn.training import backup  # noqa: E402


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train for three epochs; return the folder of the backups and the weights after each."""
    folder = tmp_path_factory.mktemp("trained") / "checkpoint"
    model, seen = fresh(), {}
    watch = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.update({epoch + 1: model.get_weights()})
    )
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 4)), np.arange(20) % 3
    model.fit(x, y, epochs=3, verbose=0, callbacks=[backup.EpochBackup(folder), watch])
    return folder, seen


def fresh():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def cut(path, n=100):
    path.write_bytes(path.read_bytes()[:-n])


DAMAGES = {
    "nothing": (lambda last: None, 3, ""),
    "weights missing": (lambda last: (last / "latest.weights.h5").unlink(), 2, "h5 is missing"),
    "weights cut": (lambda last: cut(last / "latest.weights.h5"), 2, "h5 has changed"),
    "number missing": (lambda last: (last / "training_metadata.json").unlink(), 2, "is missing"),
    "number empty": (lambda last: (last / "training_metadata.json").write_text(""), 2, "changed"),
    "digests missing": (lambda last: (last / "digests.json").unlink(), 2, "is missing or cannot"),
    "digests empty": (lambda last: (last / "digests.json").write_text("[]"), 2, "cannot be read"),
    "a copy": (lambda last: shutil.copytree(last, last.with_name("epoch-0003 (copy)")), 3, ""),
    "another name": (lambda last: last.rename(last.with_name("epoch-0007")), 2, "of epoch 3"),
    "a file of that name": (lambda last: last.with_name("epoch-0009").touch(), 3, ""),
    "all": (lambda last: [cut(p) for p in last.parent.rglob("*.h5")], 0, "has changed"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_the_newest_whole_backup_is_used(trained, tmp_path, name):
    damage, epoch, words = DAMAGES[name]
    folder = shutil.copytree(trained[0], tmp_path / "checkpoint")
    damage(folder / "epoch-0003")
    assert backup.backed_up(folder) == epoch
    model = fresh()
    first = model.get_weights()
    backup.restore(model, folder)
    for found, expected in zip(model.get_weights(), trained[1].get(epoch, first), strict=True):
        np.testing.assert_array_equal(found, expected)
    notes = backup.discard_unusable(folder, most=7)
    assert words in "".join(notes) and bool(notes) == bool(words)
    assert backup.backed_up(folder) == epoch and not backup.discard_unusable(folder, most=7)


def test_the_last_two_are_kept_and_those_beyond_the_journal_go(trained, tmp_path):
    folder = shutil.copytree(trained[0], tmp_path / "checkpoint")
    assert sorted(p.name for p in folder.iterdir()) == ["epoch-0002", "epoch-0003"]
    assert backup.discard_unusable(folder, most=2) == [] and backup.backed_up(folder) == 2
    assert backup.backed_up(tmp_path / "none") == 0
