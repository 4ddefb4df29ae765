"""The index of a folder of records: one file from which many are read at once.

The records remain the truth. An entry counts only while its record's file is the very one it was
made of, by inode, size and times; whatever is missing, older or wrong is read from the records.
"""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from edgedyn import __version__
from edgedyn._files import atomic, sync
from edgedyn.studies.record import SCHEMA, TrialRecord, packed
from edgedyn.studies.record_file import read_record

INDEX = "index.msgpack"
FEW = 256  # records: so many are read as quickly without an index
# A file that changes twice between two ticks of its system's clock has the same times both times.
SETTLED = 2_000_000_000  # nanoseconds; longer than any tick
HEAD = f"edgedyn {__version__}, index of records, schema {SCHEMA}\n".encode()
TELLING = os.name == "posix"  # elsewhere a changed file may have its old times
LENGTH, DIGEST = 8, 32  # bytes before each part
Stamp = tuple[int, int, int, int]


class Entry(msgspec.Struct, array_like=True):
    """One record, checked when its file was read."""

    key: str
    stamp: Stamp
    fields: dict[str, Any]  # all but the epochs
    n_epochs: int
    epochs: bytes


_PART = msgspec.msgpack.Decoder(list[Entry])


class Index:
    """What a folder's index says, and what was read from records since.

    Parameters
    ----------
    folder : str
        That of the records.
    """

    def __init__(self, folder: str) -> None:
        self.path = Path(folder, INDEX)
        self._said = 0  # entries in the file, also those of files that are no more
        self._sound = False  # whether the file can be appended to
        self._entries = {entry.key: entry for entry in self._parts()}
        self._read: list[Entry] = []

    def record(self, file: "os.DirEntry[str]") -> TrialRecord:
        """Return the record of a file; ValueError where it cannot be read."""
        try:
            key, stamp = file.name.removesuffix(".json"), _stamp(file.stat())
        except OSError as error:  # gone, or a link to nowhere
            raise ValueError(f"the record {file.path!r} cannot be read: {error}") from error
        entry = self._entries.get(key)
        if entry is None or entry.stamp != stamp:
            settled = time.time_ns() - max(stamp[2:]) > SETTLED
            record = read_record(file.path)
            if not settled:
                return record
            fields = {name: value for name, value in vars(record).items() if name != "epochs"}
            entry = Entry(key, stamp, fields, record.n_epochs, packed(record.epochs))
            self._read.append(entry)
        return TrialRecord.with_packed(entry.fields, entry.n_epochs, entry.epochs)

    def save(self) -> None:
        """Append what was read from records, if it is much; begin anew where that is better.

        Without room or rights for it, or with values that MessagePack has not, such as 2**64,
        there is none: it is for speed only.
        """
        if not TELLING or len(self._read) <= FEW:
            return
        known = self._entries | {entry.key: entry for entry in self._read}
        with suppress(OSError, OverflowError, RecursionError):
            if self._sound and self._said + len(self._read) <= 2 * len(known):
                with self.path.open("ab") as file:
                    file.write(_part(self._read))
                sync(self.path)
            else:
                with atomic(self.path) as temporary:
                    temporary.write_bytes(HEAD + _part(list(known.values())))

    def _parts(self) -> Iterator[Entry]:
        """Yield the file's entries, up to what was not written whole or by this edgedyn."""
        try:
            if not TELLING or not self.path.is_file():  # of a pipe, reading would not end
                return
            data = memoryview(self.path.read_bytes())
        except OSError:
            return
        at = len(HEAD)
        if data[:at] != HEAD:
            return
        while at < len(data):
            size = int.from_bytes(data[at : at + LENGTH], "little")
            start = at + LENGTH + DIGEST
            part = data[start : start + size]
            at = start + size
            if at > len(data) or hashlib.sha256(part).digest() != data[start - DIGEST : start]:
                return
            try:
                entries = _PART.decode(part)
            except (msgspec.DecodeError, RecursionError):
                return
            self._said += len(entries)
            yield from entries
        self._sound = True


def _part(entries: list[Entry]) -> bytes:
    """Return entries as a part of the file: their length, digest and themselves."""
    text = msgspec.msgpack.encode(entries)
    return len(text).to_bytes(LENGTH, "little") + hashlib.sha256(text).digest() + text


def _stamp(status: os.stat_result) -> Stamp:
    """Return what changes whenever a file is written to, replaced or copied."""
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
