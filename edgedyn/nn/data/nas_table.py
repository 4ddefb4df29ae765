"""Tables of what cells of NAS-Bench-201 reached: JSON, csv, or the official files."""

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from math import isfinite, isnan
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedyn._array import Array
from edgedyn.nn.models.nas import Cell, cell_coding, cell_string

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]

MILLION = 1e6
PERCENT = 100.0
USUAL = "cifar10"
COUNTS = ("parameters", "flops")
SECONDS = " seconds"
# What a column or entry may be called besides its own name.
_ALIASES = {"arch": "cell", "params": "parameters"}
# Of these the official files hold a validation accuracy; on CIFAR-10 that of training on half of
# the images, which they keep under a name of its own.
_OFFICIAL = {"cifar10": "cifar10-valid", "cifar100": "cifar100", "ImageNet16-120": "ImageNet16-120"}
_EPOCHS = "200"


@dataclass(frozen=True, eq=False)
class NasTable:
    """Cells, their accuracies on one data set, and what is known of them without training.

    Arrays have shape (n_cells,). `proxies` are training-free scores and other columns, by name;
    some may be infinite (a logarithm of 0).
    """

    dataset: str  # the data set's name, empty where the file names none
    cells: tuple[Cell, ...]  # six numbers each, as for `nas201`; no cell twice
    accuracy: Array  # in [0, 1]
    parameters: Array | None = None  # trainable ones of the benchmark's network
    flops: Array | None = None  # operations on one image, as the file counts them
    proxies: dict[str, Array] = field(default_factory=dict)
    seconds: dict[str, Array] = field(default_factory=dict)  # of scores, where the file says so

    def __len__(self) -> int:
        return len(self.cells)

    def __repr__(self) -> str:
        """Say what there is, in a few lines."""
        low, middle, high = np.quantile(self.accuracy, [0.0, 0.5, 1.0])
        lines = [
            f"{len(self)} cells{f' on {self.dataset}' if self.dataset else ''}: accuracy "
            f"{low:.4f} to {high:.4f}, median {middle:.4f}"
        ]
        for name in COUNTS:
            values = getattr(self, name)
            if values is not None:
                lines.append(f"{name} {values.min():,.0f} to {values.max():,.0f}")
        if self.proxies:
            lines.append(f"proxies: {', '.join(self.proxies)}")
        best = int(self.accuracy.argmax())
        lines.append(f"best: {self.cells[best]} {cell_string(self.cells[best])}")
        return "\n".join(lines)

    def index(self, cell: Sequence[int] | str) -> int:
        """Return a cell's place in the table; ValueError for one that is not there."""
        coding = cell_coding(cell)
        if coding not in self.cells:
            raise ValueError(f"the table of {len(self)} cells does not hold {coding}.")
        return self.cells.index(coding)

    def to_frame(self) -> "pd.DataFrame":
        """Return the table as a pandas DataFrame, indexed by the cells' official text."""
        import pandas as pd

        columns: dict[str, Array] = {"accuracy": self.accuracy}
        columns |= {n: v for n in COUNTS if (v := getattr(self, n)) is not None}
        columns |= self.proxies
        columns |= {f"{name}_seconds": values for name, values in self.seconds.items()}
        index = pd.Index([cell_string(c) for c in self.cells], name="cell")
        return pd.DataFrame(columns, index=index)


def load_nas_table(path: str | Path, dataset: str | None = None) -> NasTable:
    r"""Read a `NasTable` of cells of NAS-Bench-201 and their accuracies.

    Parameters
    ----------
    path : str or Path
        - ``.json``: {data set: {cell: {"val_accuracy": per cent, name: {"score": number, "time":
          seconds}}}}, with ``params`` and ``flops`` in millions; NASLib's file of 724 cells.
        - ``.csv``: a header line with ``cell`` and ``accuracy`` (in [0, 1]); optional
          ``parameters`` and ``flops`` (counts); all other columns must hold numbers, and are
          proxies.
        - The official files, read by their own packages: a folder ``NATS-tss-...`` or a file
          ``.pickle.pbz2`` (package nats_bench), or ``NAS-Bench-201-....pth`` (package
          nas_201_api). The accuracy is that of validation after 200 epochs, the mean over runs.
    dataset : str, optional
        Which data set of a file with several; by default the only one, or ``cifar10``. A csv
        names none: whatever is given is the table's name.

    Raises
    ------
    ImportError
        For an official file without its package.
    ValueError
        For files that cannot be read or are of another kind, unknown data sets, what is no cell,
        cells that occur twice, accuracies out of range, text or NaN among the numbers.

    References
    ----------
    Dong and Yang, ICLR 2020; Krishnakumar et al., NeurIPS 2022 (the file of NASLib).

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from edgedyn import nn
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mine.csv"
    ...     lines = ["cell,accuracy", '"(2, 2, 2, 2, 2, 2)",0.9', '"(0, 2, 3, 2, 3, 1)",0.86']
    ...     _ = path.write_text("\n".join(lines))
    ...     table = nn.load_nas_table(path)
    >>> table
    2 cells: accuracy 0.8600 to 0.9000, median 0.8800
    best: (2, 2, 2, 2, 2, 2) |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+...
    >>> table.accuracy[table.index((0, 2, 3, 2, 3, 1))].item()
    0.86
    """
    if not isinstance(path, str | Path):
        raise TypeError(f"path must be the path of a table; got {path!r}.")
    path = Path(path)
    reader = _reader(path)
    if not path.exists():
        raise ValueError(f"there is no file {str(path)!r}.")
    return reader(path, dataset)


def _reader(path: Path) -> Callable[[Path, str | None], NasTable]:
    """Tell by its name how to read a file."""
    if path.suffix.lower() == ".json":
        return _read_json
    if path.suffix.lower() == ".csv":
        return _read_csv
    if path.name.endswith(".pickle.pbz2") or path.name.startswith("NATS-tss"):
        return _read_nats
    if path.suffix.lower() == ".pth":
        return _read_201
    raise ValueError(
        f"{path} is of no known kind; known are .json and .csv tables, the NATS-Bench folder "
        "NATS-tss-... or its .pickle.pbz2 file, and the NAS-Bench-201 .pth file."
    )


def _read_json(path: Path, dataset: str | None) -> NasTable:
    """Read NASLib's form."""

    def unique(pairs: list[tuple[str, Any]]) -> Row:
        """Refuse what JSON would pass over: an entry that occurs twice."""
        if twice := _twice(name for name, _ in pairs):
            raise ValueError(f"{path}: {twice[0]!r} occurs twice.")
        return dict(pairs)

    try:
        stored = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=unique)
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} could not be read as JSON: {error}.") from None
    if not isinstance(stored, dict) or not all(isinstance(v, dict) for v in stored.values()):
        raise ValueError(f"{path} must hold {{data set: {{cell: {{...}}}}}}.")
    dataset = _chosen(path, dataset, tuple(stored))
    rows = []
    for cell, entry in stored[dataset].items():
        if not isinstance(entry, dict):
            raise ValueError(f"{path}: cell {cell} must hold {{name: value}}; got {entry!r}.")
        rows.append({"cell": cell} | _json_row(path, cell, entry))
    return _table(path, dataset, rows)


def _twice(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [name for name, n in Counter(names).items() if n > 1]


def _json_row(path: Path, cell: str, entry: Row) -> Row:
    """Flatten one cell's entry: {"score", "time"} become two columns."""
    row: Row = {}
    for key, value in entry.items():
        name = _ALIASES.get(key, key)
        if key == "val_accuracy":
            row["accuracy"] = _number(path, cell, "accuracy", value) / PERCENT
        elif isinstance(value, dict):
            score = _number(path, cell, name, value.get("score"))
            row[name] = score * MILLION if name in COUNTS else score
            if "time" in value:
                row[name + SECONDS] = value["time"]
    return row


def _read_csv(path: Path, dataset: str | None) -> NasTable:
    """Read a user's own table."""
    try:
        # Spreadsheets begin their files with a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as file:
            lines = [line for line in csv.reader(file, skipinitialspace=True, strict=True) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} could not be read as csv: {error}.") from None
    names = [_ALIASES.get(name.strip(), name.strip()) for name in lines[0]] if lines else []
    if twice := _twice(names):
        raise ValueError(f"{path} has two columns {twice[0]!r}.")
    rows = []
    for line in lines[1:]:
        if len(line) != len(names):
            raise ValueError(
                f"{path}: the line of {line[0]!r} has {len(line)} values for {len(names)} columns."
            )
        rows.append({n: v if n == "cell" else _plain(v) for n, v in zip(names, line, strict=True)})
    return _table(path, dataset or "", rows)


def _plain(text: str) -> float | str:
    """Return a number, or the text where it is none."""
    try:
        return float(text)
    except ValueError:
        return text


def _read_nats(path: Path, dataset: str | None) -> NasTable:
    """Read NATS-Bench's folder or file by its own package."""
    package = _package("nats_bench", path, "nats_bench")
    options = {"fast_mode": path.is_dir(), "verbose": False}
    return _official(lambda: package.create(str(path), "tss", **options), path, dataset)


def _read_201(path: Path, dataset: str | None) -> NasTable:
    """Read NAS-Bench-201's file by its own package."""
    package = _package("nas_201_api", path, "nas-bench-201")
    return _official(lambda: package.NASBench201API(str(path), verbose=False), path, dataset)


def _package(name: str, path: Path, install: str) -> Any:
    """Import a benchmark's package, or say how to get it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{path} is read by the package {name}, which needs {error.name}; install it: "
            f"pip install {install}."
        ) from None


def _official(load: Callable[[], Any], path: Path, dataset: str | None) -> NasTable:
    """Ask either package for every cell; both answer to the same calls."""
    dataset = _chosen(path, dataset, tuple(_OFFICIAL))
    name = _OFFICIAL[dataset]
    rows = []
    try:
        api = load()
        for k in range(len(api)):
            found = api.get_more_info(k, name, hp=_EPOCHS, is_random=False)
            cost = api.get_cost_info(k, name, hp=_EPOCHS)
            counts = {"parameters": cost["params"] * MILLION, "flops": cost["flops"] * MILLION}
            accuracy = found["valid-accuracy"] / PERCENT
            rows.append({"cell": api.arch(k), "accuracy": accuracy, **counts})
    except Exception as error:  # the packages' own, of any type
        raise ValueError(f"the benchmark's package could not read {path}: {error!r}.") from None
    return _table(path, dataset, rows)


def _chosen(path: Path, dataset: str | None, known: tuple[str, ...]) -> str:
    """Return the data set to read."""
    if dataset is None and len(known) == 1:
        return known[0]
    wanted = USUAL if dataset is None else dataset
    if wanted not in known:
        given = ", ".join(known)
        raise ValueError(f"{path} has no data set {wanted!r}; give dataset= one of {given}.")
    return wanted


def _table(path: Path, dataset: str, rows: Sequence[Row]) -> NasTable:
    """Make a table of rows that hold the same names, after checking every value."""
    if not rows:
        raise ValueError(f"{path} holds no cell.")
    names = list(rows[0])
    for row in rows:
        if missing := [n for n in ("cell", "accuracy", *names) if n not in row]:
            raise ValueError(f"{path}: cell {row.get('cell')} has no {missing[0]!r}.")
        if more := [n for n in row if n not in names]:
            raise ValueError(f"{path}: cell {row['cell']} alone has {more[0]!r}.")
    cells = _cells(path, [row["cell"] for row in rows])
    columns = {
        name: np.array([_number(path, row["cell"], name, row[name]) for row in rows])
        for name in names
        if name != "cell"
    }
    accuracy = columns.pop("accuracy")
    if out := np.flatnonzero((accuracy < 0) | (accuracy > 1)).tolist():
        raise ValueError(
            f"{path}: cell {rows[out[0]]['cell']} has the accuracy {accuracy[out[0]]:g}; "
            "accuracies lie in [0, 1] (divide per cent by 100)."
        )
    timed = [name for name in columns if name.endswith(SECONDS)]
    seconds = {name.removesuffix(SECONDS): columns.pop(name) for name in timed}
    counts = {name: columns.pop(name, None) for name in COUNTS}
    if counts["parameters"] is not None:
        counts["parameters"] = np.rint(counts["parameters"]).astype(np.int64)
    return NasTable(dataset, cells, accuracy, **counts, proxies=columns, seconds=seconds)


def _cells(path: Path, given: Sequence[Any]) -> tuple[Cell, ...]:
    """Return the cells as numbers, each once."""
    seen: dict[Cell, Any] = {}
    for cell in given:
        try:
            coding = cell_coding(cell)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from None
        if coding in seen:
            raise ValueError(f"{path}: cell {cell} occurs twice, first as {seen[coding]}.")
        seen[coding] = cell
    return tuple(seen)


def _number(path: Path, cell: Any, name: str, value: Any) -> float:
    """Return a real number; scores may be infinite, what is counted or measured may not."""
    real = isinstance(value, Real) and not isinstance(value, bool) and not isnan(value)
    finite = real and isfinite(value)
    if not finite and (not real or name in ("accuracy", *COUNTS) or name.endswith(SECONDS)):
        raise ValueError(f"{path}: {name} of cell {cell} must be a number; got {value!r}.")
    return float(value)
