"""A training run's backups: whole, of one epoch, and proven to be both before they are used."""

import json
import re
import shutil
from pathlib import Path
from time import perf_counter
from typing import Any

import keras

from edgedyn._files import sealed, sha256, sync, unsealed, write_text

DIGESTS = "digests.json"
SHARE = 0.02  # of the time, for backups
KEPT = 2  # backups: should the newest be damaged, the one before is there
NAME = re.compile(r"epoch-(\d{4,})")


class EpochBackup(keras.callbacks.Callback):
    """Keras' own `BackupAndRestore`, each epoch in a folder of its own.

    That callback overwrites the weights and then the epoch's number, so that a process killed in
    between or in the midst of writing leaves a backup that lies about its epoch or cannot be read.
    Here it writes into a new folder with the digests of all its files, which takes its name
    ``epoch-0005`` only when it is whole and on the disk; those before the last two are then
    removed. A backup of which a file is missing or changed, or that was made for another `owner`,
    is never used. The folder is that of one training run alone.

    After the first epoch and the last there is one, and in between as often as backups take at
    most `SHARE` of the time: an interruption repeats fifty times as much as a backup takes.
    """

    def __init__(self, folder: Path, owner: str = "") -> None:
        super().__init__()
        self.folder, self.owner = folder, owner
        self.due = 0.0  # when the next one is
        self.waiting: int | None = None  # an epoch that has none

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Restore the newest whole backup, if there is one."""
        epoch = backed_up(self.folder, self.owner)
        if epoch:
            self._keras(self.folder / _name(epoch)).on_train_begin()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Make a backup if it is time."""
        self.waiting = epoch
        began = perf_counter()
        if began >= self.due:
            self._back_up(epoch)
            self.due = perf_counter() + (perf_counter() - began) / SHARE

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Make a backup of the last epoch if it has none."""
        if self.waiting is not None:
            self._back_up(self.waiting)

    def _back_up(self, epoch: int) -> None:
        """Make a backup, then remove the older ones."""
        self.waiting = None
        if not self.folder.is_dir():
            _clear(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        new = self.folder / "unfinished"
        _clear(new)
        self._keras(new).on_epoch_end(epoch)
        files = _files(new)
        for path in files.values():
            sync(path)
        digests = {name: sha256(path) for name, path in files.items()}
        text = json.dumps({"epoch": epoch + 1, "files": digests})
        write_text(new / DIGESTS, sealed(text, self.owner))
        final = self.folder / _name(epoch + 1)
        _clear(final)
        new.rename(final)
        sync(self.folder)
        for older in sorted(_backups(self.folder))[:-KEPT]:
            shutil.rmtree(self.folder / _name(older))

    def _keras(self, folder: Path) -> keras.callbacks.BackupAndRestore:
        """Return Keras' callback for a folder."""
        backup = keras.callbacks.BackupAndRestore(str(folder), delete_checkpoint=False)
        backup.set_model(self.model)
        return backup


def backed_up(folder: Path, owner: str = "") -> int:
    """Return the number of epochs of the newest whole backup in a folder; 0 without one."""
    return next((e for e in sorted(_backups(folder))[::-1] if not _fault(folder, e, owner)), 0)


def discard_unusable(folder: Path, most: int, owner: str = "") -> list[str]:
    """Remove backups that are damaged, or of more than `most` epochs; say what was damaged."""
    faults = []
    for epoch in sorted(_backups(folder)):
        fault = _fault(folder, epoch, owner)
        if fault:
            faults.append(f"the backup of epoch {epoch} was not used: {fault}")
        if fault or epoch > most:
            shutil.rmtree(folder / _name(epoch))
    return faults


def restore(model: keras.Model, folder: Path, owner: str = "") -> None:
    """Load the newest whole backup's weights into a compiled model."""
    backup = EpochBackup(folder, owner)
    backup.set_model(model)
    backup.on_train_begin()


def _name(epoch: int) -> str:
    """Return a backup's folder name."""
    return f"epoch-{epoch:04d}"


def _backups(folder: Path) -> list[int]:
    """Return the epochs of all backups, whole or not; what else lies there is not ours."""
    if not folder.is_dir():
        return []
    named = [match for p in folder.iterdir() if (match := NAME.fullmatch(p.name)) and p.is_dir()]
    return [int(match[1]) for match in named if _name(int(match[1])) == match[0]]


def _clear(path: Path) -> None:
    """Remove whatever lies in the way."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _fault(folder: Path, epoch: int, owner: str) -> str:
    """Say what is wrong with a backup; nothing where every file is as it was written."""
    own = folder / _name(epoch)
    try:
        text = (own / DIGESTS).read_bytes()
        inner = unsealed(text, owner)
        stated = {} if inner is text else json.loads(inner)
        known, stated_epoch = dict(stated["files"]), stated["epoch"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return f"its {DIGESTS} is missing or cannot be read, or is another trial's"
    if stated_epoch != epoch:
        return f"it says that it is of epoch {stated_epoch}"
    for name, path in _files(own).items():
        if name in known and sha256(path) == known[name]:
            del known[name]
        elif name in known:
            return f"its {name} has changed"
    return f"its {sorted(known)[0]} is missing" if known else ""


def _files(folder: Path) -> dict[str, Path]:
    """Return a backup's files by their names in it."""
    paths = (p for p in folder.rglob("*") if p.is_file() and p.name != DIGESTS)
    return {p.relative_to(folder).as_posix(): p for p in paths}
