"""Data for the command line and the demo: scikit-learn's digits, or the user's npz or csv."""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from edgedyn import _validate as check
from edgedyn._array import Array

_DAMAGED = (  # what numpy and zipfile raise on files that are none, or damaged
    *(OSError, EOFError, ValueError, TypeError, AttributeError, NotImplementedError, RuntimeError),
    *(BadZipFile, zlib.error),
)


_LABELS = "category class diagnosis label labels outcome species target type y".split()


def digits() -> tuple[Array, Array]:
    """Return scikit-learn's 1797 handwritten digits, shape (1797, 64) in [0, 1], and labels."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X / 16.0, y.astype(np.int64)


def load_table(spec: str) -> tuple[Array, Array]:
    """Return samples and integer labels by name or from a file.

    ``digits``, a ``.npz`` file with arrays ``X`` and ``y``, or a ``.csv`` file with one sample a
    row, the label in the last column, with or without a header line. The columns of a file are
    standardised; labels are integers or text and are numbered in sorted order. A file that cannot
    be read, text among the features, NaN, or one class only are a ValueError.
    """
    if spec == "digits":
        return digits()
    path = Path(spec)
    readers = {".npz": _read_npz, ".csv": _read_csv}
    if path.suffix.lower() not in readers:
        raise ValueError(f"data must be 'digits', a .npz or a .csv file; got {spec!r}.")
    if not path.is_file():
        raise ValueError(f"there is no file {spec!r}; give 'digits', a .npz or a .csv file.")
    X, y = readers[path.suffix.lower()](path)
    try:
        X = check.real_matrix(X)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{spec}: {error}") from None
    return standardise(X), _labels(y, len(X), spec)


def standardise(X: Array) -> Array:
    """Return the columns with mean 0 and standard deviation 1; constant ones become 0."""
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


@contextmanager
def open_npz(path: Path) -> Iterator[Any]:
    """Open a .npz file, whose arrays are read as they are asked for; nothing in it is executed."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            yield stored
    except _DAMAGED:
        raise ValueError(f"{path} could not be read as a .npz file of plain arrays.") from None


def _read_npz(path: Path) -> tuple[Array, Array]:
    """Read arrays X and y."""
    with open_npz(path) as stored:
        names = ", ".join(stored.files) or "nothing"
        arrays = [stored[name] for name in ("X", "y") if name in stored.files]
    if len(arrays) < 2:
        raise ValueError(f"{path} holds {names}; it must hold X and y.")
    X, y = arrays
    return X.reshape(len(X), -1) if X.ndim > 2 else X, y


def _read_csv(path: Path) -> tuple[Array, Array]:
    """Read a table of numbers whose last column is the label, which may be text."""
    import pandas as pd

    try:
        table = pd.read_csv(path, header=None, skipinitialspace=True, dtype=str)
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(f"{path} could not be read as csv: {str(error).strip()}") from None
    cells = table.to_numpy(object)
    numbers = table.apply(pd.to_numeric, errors="coerce").to_numpy(float)
    text = np.isnan(numbers) & table.notna().to_numpy()
    first = int(_has_header(cells, numbers, text))
    cells, numbers, text = cells[first:], numbers[first:], text[first:]
    if table.shape[1] < 2 or not len(cells):
        raise ValueError(f"{path} must hold at least one feature and a label in each row.")
    if text[:, :-1].any():
        row, column = np.argwhere(text[:, :-1])[0]
        raise ValueError(
            f"{path}: row {row + 1 + first}, column {column + 1} holds {cells[row, column]!r}; all "
            "entries but the label, which is the last, must be numbers."
        )
    return numbers[:, :-1], _labels_of(path, cells[:, -1], numbers[:, -1], text[:, -1], first)


def _has_header(cells: Array, numbers: Array, text: Array) -> bool:
    """Tell whether the first row names the columns.

    It does where all names of features are text. Numbers are names where they count the columns, as
    programs write them that know no names, and the last cell is a word for labels, and no label.
    """
    if not len(cells) or text.shape[1] < 2:
        return False
    named = numbers[0, :-1], text[0, :-1]
    if named[1].any():
        return bool((named[1] | np.isnan(named[0])).all())
    counted = any((named[0] == np.arange(len(named[0])) + start).all() for start in (0, 1))
    last = cells[0, -1]
    return counted and str(last).strip().lower() in _LABELS and not (cells[1:, -1] == last).any()


def _labels_of(path: Path, cells: Array, numbers: Array, text: Array, first: int) -> Array:
    """Return labels as numbers or, where all are text, as text."""
    if not text.any():
        return numbers
    if not text.all():
        row = int(np.argmin(text))
        missing = "none" if not isinstance(cells[row], str) else repr(cells[row])
        raise ValueError(
            f"{path}: labels must be all numbers or all text; row {row + 1 + first} has {missing}, "
            f"others have text such as {cells[int(np.argmax(text))]!r}."
        )
    return np.array([cell.strip() for cell in cells.tolist()])


def _labels(y: Array, n_samples: int, spec: str) -> Array:
    """Return the classes numbered 0, 1, ... in sorted order."""
    if y.shape != (n_samples,):
        raise ValueError(f"{spec}: y must have shape ({n_samples},), one label a sample.")
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.floor(y)).all()):
        raise ValueError(f"{spec}: labels must be integers or text.")
    if y.dtype.kind not in "biufU":
        raise ValueError(f"{spec}: labels must be integers or text; got {y.dtype}.")
    classes, numbered = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(f"{spec} holds one class only; give at least two.")
    return numbered.astype(np.int64)
