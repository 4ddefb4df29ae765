"""Writing results so that an interrupted run never leaves half a file under the final name."""

import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

_SEAL = re.compile(rb'\{"digest": "([0-9a-f]{64})",')


def json_ready(value: Any) -> Any:
    """Replace numpy values by plain ones and numbers JSON cannot hold (NaN, infinity) by None."""
    if isinstance(value, dict):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_ready(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return json_ready(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def to_json(value: Any) -> str:
    """Return strict JSON text, two spaces deep."""
    return json.dumps(json_ready(value), indent=2, allow_nan=False)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that takes its place only if all went well."""
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        sync(temporary)  # else a name may survive a power loss, and its contents not
        temporary.replace(path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def csv_text(frame: Any) -> str:
    """Return a pandas DataFrame as csv, with no text that a spreadsheet would run as a formula."""
    text = [name for name in frame.columns if frame[name].map(lambda v: isinstance(v, str)).any()]
    safe = {
        name: frame[name].map(lambda v: no_formula(v) if isinstance(v, str) else v) for name in text
    }
    return frame.assign(**safe).to_csv(index=False)


def no_formula(cell: str) -> str:
    """Return a cell's text; an apostrophe comes before what would begin a formula."""
    begins = cell.lstrip(" \n").startswith(
        ("=", "+", "-", "@", "\t", "\r", *"\uff1d\uff0b\uff0d\uff20")
    )
    return f"'{cell}" if begins else cell


def sealed(text: str, of: str = "") -> str:
    """Put a digest of all that follows at the beginning of a JSON object's text.

    `of` is whom the text is about: what is sealed for one is no other's.
    """
    rest = text[text.index("{") + 1 :]
    return f'{{"digest": "{hashlib.sha256((of + rest).encode()).hexdigest()}",{rest}'


def unsealed(text: bytes, of: str = "") -> bytes:
    """Return a JSON object's text without its digest; ValueError where one is not of the rest.

    >>> unsealed(sealed('{"a": 1}').encode())
    b'{"a": 1}'
    """
    found = _SEAL.match(text)
    if found is None:
        return text
    rest = text[found.end() :]
    if hashlib.sha256(of.encode() + rest).hexdigest().encode() != found[1]:
        raise ValueError("it has changed since it was written")
    return b"{" + rest


def sha256(path: Path) -> str:
    """Return the digest of a file's contents."""
    with path.open("rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk, where the system can tell."""
    with suppress(OSError):  # some systems open no folders, some disks know no such thing
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _umask() -> int:
    """Read the process's file mode mask (there is no call that only reads it)."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as a whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def output_folder(path: Path) -> Path:
    """Create the folder and prove that a file can be written in it, before any work."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            f"cannot write to the output folder {str(path)!r}: {error.strerror or error}; "
            "choose another with --out."
        ) from None
    return path


@contextmanager
def result_folder(path: Path) -> Iterator[Path]:
    """Yield an `output_folder`; where nothing was written there, leave none behind."""
    made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        yield output_folder(path)
    finally:
        for folder in made:
            with suppress(OSError):  # something lies there
                folder.rmdir()
