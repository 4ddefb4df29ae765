"""Everything a data set was made of: a digest that tells changed data, and whole files."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgedyn._files import sha256, write_text
from edgedyn.nn.data.images import bad_images, decoded
from edgedyn.nn.data.readers import Raw


class Known(msgspec.Struct, frozen=True):
    """What is known of a file, as long as size and time of its last change stay."""

    size: int
    changed: int  # in nanoseconds
    digest: str
    whole: bool = False  # whether its image was decoded


@dataclass(frozen=True, eq=False)
class Origin:
    """Images and labels as they were found, before any part, size or number was taken.

    Parameters
    ----------
    labels : str
        Digest of class names, labels and stored images.
    files : tuple of Path
        Images that are files.
    """

    labels: str
    files: tuple[Path, ...] = ()

    def fingerprint(self, cache: Path | None = None) -> str:
        """Return a digest of all contents; `cache` holds those of files that did not change."""
        known = _read(cache)
        digest = hashlib.sha256(self.labels.encode())
        for found in _each(partial(_digest, known=known), self.files):
            digest.update(found.encode())
        return "sha256:" + digest.hexdigest()

    def check_files(self, cache: Path) -> None:
        """Decode every image that `cache` does not know; ValueError with all that are damaged."""
        known = _read(cache)
        unknown = [
            p for p in self.files if not ((k := known.get(str(p))) and k.whole and _same(p, k))
        ]
        if unknown:
            looked = dict(zip(unknown, _each(_look, unknown), strict=True))
            bad = [path for path, found in looked.items() if found is None]
            if bad:
                raise bad_images(bad)
            known |= {str(path): found for path, found in looked.items() if found is not None}
            cache.parent.mkdir(parents=True, exist_ok=True)
            write_text(
                cache, json.dumps({name: msgspec.to_builtins(k) for name, k in known.items()})
            )


def origin(raw: Raw) -> Origin:
    """Return where a data set comes from."""
    digest, files = hashlib.sha256(repr(raw.class_names).encode()), []
    for part in (raw.train, raw.validation, raw.test):
        if part is None:
            digest.update(b"none")
            continue
        images, y = part
        digest.update(np.ascontiguousarray(y).tobytes())
        if images.dtype == object:
            files += list(images)
            digest.update("\n".join("/".join(path.parts[-2:]) for path in images).encode())
        else:
            digest.update(repr(images.shape).encode())
            digest.update(np.ascontiguousarray(images).data)
    return Origin(digest.hexdigest(), tuple(files))


def _each(function: Callable[[Path], Any], paths: Iterable[Path]) -> list[Any]:
    """Apply a function to files, some at a time: reading and decoding leave Python's lock."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, paths))


def _read(cache: Path | None) -> dict[str, Known]:
    """Return what is known of files; nothing where it cannot be read, it can be found again."""
    if cache is not None:
        with suppress(OSError, ValueError):
            return msgspec.json.decode(cache.read_bytes(), type=dict[str, Known])
    return {}


def _same(path: Path, known: Known) -> bool:
    """Tell whether a file is still the one that is known."""
    now = path.stat()
    return (now.st_size, now.st_mtime_ns) == (known.size, known.changed)


def _digest(path: Path, known: dict[str, Known]) -> str:
    """Return a file's SHA-256."""
    one = known.get(str(path))
    if one is not None and _same(path, one):
        return one.digest
    return sha256(path)


def _look(path: Path) -> Known | None:
    """Decode a file's image; None where it is damaged."""
    before = path.stat()
    return (
        Known(before.st_size, before.st_mtime_ns, _digest(path, {}), True)
        if decoded(path)
        else None
    )
