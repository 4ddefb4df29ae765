"""Backups of a training: used only whole, and of the epoch whose name they have."""

import shutil
import tempfile
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "SHARE", inf)  # whatever they cost
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


@pytest.mark.parametrize("owner", ["", "small-s1"])
def test_another_trial_s_backup_is_not_used(tmp_path, owner):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((20, 4)), np.arange(20) % 3
    saved = backup.EpochBackup(tmp_path / "checkpoint", "small-s0")
    fresh().fit(x, y, verbose=0, callbacks=[saved])
    assert backup.backed_up(saved.folder, "small-s0") == 1
    assert backup.backed_up(saved.folder, owner) == 0


@pytest.mark.parametrize(
    "text", ['{"epoch": 3, "files": {}}', "[" * 100_000, '{"files": ' + "[" * 100_000]
)
def test_digests_that_nobody_wrote_are_none(trained, tmp_path, text):
    folder = shutil.copytree(trained[0], tmp_path / "checkpoint")
    (folder / "epoch-0003" / "digests.json").write_text(text)
    assert backup.backed_up(folder) == 2


@pytest.mark.parametrize("name", ["epoch-0001", "unfinished", ""])
def test_files_in_the_way_are_removed(tmp_path, name):
    folder = tmp_path / "checkpoint"
    if name:
        folder.mkdir()
    (folder / name if name else folder).write_text("a file")
    x, y = np.zeros((6, 4)), np.arange(6) % 3
    fresh().fit(x, y, verbose=0, callbacks=[backup.EpochBackup(folder)])
    assert backup.backed_up(folder) == 1


def test_backups_take_little_of_the_time_and_the_last_epoch_has_one(tmp_path, monkeypatch):
    made, now = [], [0.0]
    monkeypatch.setattr(backup, "perf_counter", lambda: now[0])

    def back_up(self, epoch):
        self.waiting = None
        made.append(epoch)
        now[0] += 1.0  # a second

    monkeypatch.setattr(backup.EpochBackup, "_back_up", back_up)
    saved = backup.EpochBackup(tmp_path)
    for epoch in range(58):
        now[0] += 2.0
        saved.on_epoch_end(epoch)
    saved.on_train_end()
    assert made == [0, 25, 50, 57]  # every fifty seconds, and at the end
    saved.on_train_end()
    assert made[-1] == 57 and len(made) == 4


# Random damage -----------------------------------------------------------------------------------

PART = st.floats(0, 1, exclude_max=True)
OPERATIONS = st.tuples(
    st.sampled_from(["flip", "cut", "add", "empty", "delete", "copy", "swap", "rename", "drop"]),
    PART,
    PART,
)


def damaged(folder, word, which, where):
    """Do one thing to one file of the backups, or to one backup."""
    whole = word in ("copy", "rename", "drop")
    known = folder.iterdir() if whole else folder.rglob("*")
    paths = sorted(p for p in known if p.is_dir() == whole)
    if not paths:
        return
    chosen, other = (paths[int(part * len(paths))] for part in (which, where))
    if not whole:
        damaged_file(chosen, other, word, where)
    elif word == "drop":
        shutil.rmtree(chosen)
    elif not (target := folder / f"epoch-{int(10 * where):04d}").exists():
        shutil.copytree(chosen, target) if word == "copy" else chosen.rename(target)


def damaged_file(path, other, word, where):
    """Do one thing to a file."""
    data = path.read_bytes()
    at = int(where * len(data))
    flipped = bytes(b ^ (1 << at % 8) for b in data[at : at + 1])
    changed = {
        "flip": data[:at] + flipped + data[at + 1 :],
        "cut": data[:at],
        "add": data + (data[at:] or b"{}"),
        "empty": b"",
        "swap": other.read_bytes(),
    }
    if word == "delete":
        path.unlink()
    else:
        path.write_bytes(changed[word])


@pytest.mark.slow
@settings(max_examples=400, deadline=None)
@given(operations=st.lists(OPERATIONS, min_size=1, max_size=6))
def test_whatever_happens_to_the_backups_no_other_weights_are_used(trained, model, operations):
    model, first = model
    with tempfile.TemporaryDirectory() as place:
        folder = shutil.copytree(trained[0], Path(place) / "checkpoint")
        for operation in operations:
            damaged(folder, *operation)
        epoch = backup.backed_up(folder)
        assert epoch in (0, 2, 3)
        model.set_weights(first)
        backup.restore(model, folder)
        for found, expected in zip(model.get_weights(), trained[1].get(epoch, first), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert all(isinstance(note, str) for note in backup.discard_unusable(folder, most=3))
        assert backup.backed_up(folder) == epoch


@pytest.fixture(scope="module")
def model():
    """Build the network once; its first weights beside it."""
    made = fresh()
    return made, made.get_weights()
