"""Networks as tables of text: edge lists and matrices, whatever separates their cells."""

import csv
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Rows and columns of Web of Life's files that say how a species was sampled.
_NOTES = ("num. of hosts sampled", "numbers of flowers", "frequency of occurrences")
SOURCES, TARGETS, WEIGHTS = (
    ("source", "from"),
    ("target", "to"),
    ("weight", "value", "multiplicity"),
)
Row = tuple[int, list[str]]  # its line's number and its cells


def read_table(path: Path, *, bipartite: bool) -> Any:
    """Read an edge list or a matrix; a bipartite one may name its rows and columns differently."""
    rows, decimal = _rows(path)
    if not rows:
        raise ValueError(f"{path.name} is empty.")
    head = [cell.lower() for cell in rows[0][1]]
    if any(word in head for word in SOURCES) and any(word in head for word in TARGETS):
        return _edges(path, rows, decimal)
    return _matrix(path, rows, decimal, bipartite=bipartite)


def _rows(path: Path) -> tuple[list[Row], str]:
    """Return the rows that are not empty, and what separates a number from its decimals."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} could not be read as csv: {error}.") from None
    lines = text.splitlines()
    separator = next((one for one in "\t;," if _separates(lines, one)), None)
    if separator is None:  # none gives equal rows: the most frequent one's are told of
        first = next((line for line in lines if line.strip()), "")
        separator = max(",;\t", key=first.count)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        where = f"{path.name}, line {reader.line_num}"
        raise ValueError(f"{where} could not be read as csv: {error}.") from None
    found = [row for row in rows if any(row[1])]
    for number, cells in found[1:]:
        if len(cells) != len(found[0][1]):
            raise ValueError(
                f"{path.name}, line {number}: {len(cells)} cells, but all rows must have "
                f"{len(found[0][1])} like the first (decimal commas need ; or tabs between cells)."
            )
    return found, "." if separator == "," else ","


def _separates(lines: Sequence[str], separator: str) -> bool:
    """Tell whether cells between such separators make rows of one length, of two cells or more.

    Tabs and semicolons come before commas, which may be in numbers or names then.
    """
    try:
        rows = csv.reader(lines, delimiter=separator, strict=True)
        lengths = {len(row) for row in rows if any(cell.strip() for cell in row)}
    except csv.Error:
        return False
    return len(lengths) == 1 and min(lengths) > 1


def _edges(path: Path, rows: Sequence[Row], decimal: str) -> Any:
    """Return the matrix of an edge list; nodes by name, numbers in their order."""
    from scipy.sparse import coo_array

    head = [cell.lower() for cell in rows[0][1]]
    source, target = (_column(path, head, words) for words in (SOURCES, TARGETS))
    weighted = [k for k, cell in enumerate(head) if cell in WEIGHTS]
    if len(weighted) > 1 or (not weighted and len(head) > 2):
        raise ValueError(
            f"{path.name} has the columns {', '.join(rows[0][1])}; call the one with the weights "
            "'weight', or leave two columns."
        )
    ends = []
    for number, cells in rows[1:]:
        if not (cells[source] and cells[target]):
            raise ValueError(f"{path.name}, line {number}: a link needs a source and a target.")
        ends += [cells[source], cells[target]]
    names = list(dict.fromkeys(ends))
    if all(name.isdecimal() for name in names):
        names.sort(key=int)
    order = {name: k for k, name in enumerate(names)}
    weights = np.ones(len(rows) - 1)
    if weighted:
        column = [(number, [cells[weighted[0]]]) for number, cells in rows[1:]]
        weights = _numbers(path, column, decimal).reshape(-1)
    pairs = np.array([order[name] for name in ends], int).reshape(-1, 2)
    say_added(path, len(pairs), len(np.unique(pairs, axis=0)))
    shape = len(names), len(names)
    return coo_array((weights, (pairs[:, 1], pairs[:, 0])), shape=shape).tocsr()


def say_added(path: Path, links: int, distinct: int) -> None:
    """Say it where a file has a link more than once, whose weights are added."""
    if links > distinct:
        words = f"{path.name} has {links} links, {distinct} of them distinct"
        warnings.warn(f"{words}: weights of the same link are added.", stacklevel=2)


def _column(path: Path, head: Sequence[str], words: Sequence[str]) -> int:
    """Return the only column that has one of some names."""
    found = [k for k, cell in enumerate(head) if cell in words]
    if len(found) != 1:
        raise ValueError(f"{path.name} has {len(found)} columns called {' or '.join(words)}.")
    return found[0]


# What stands above the rows' names.
_CORNERS = ("id", "ids", "name", "names", "node", "nodes", "label", "species", "row", "rows")


def _matrix(path: Path, rows: Sequence[Row], decimal: str, *, bipartite: bool) -> Any:
    """Return a matrix, its columns in the order of the rows where both have the same names."""
    head = rows[0][1]
    if head[0] and all(_is_number(cell, decimal) for cell in head):
        return _numbers(path, rows, decimal)
    body, first = rows[1:], 1
    numbers_first = bool(body) and all(_is_number(cells[0], decimal) for _, cells in body)
    known = [cell for cell in map(str.lower, head) if cell in WEIGHTS]
    if known:  # no node's name: a list of links whose ends are called otherwise
        raise ValueError(
            f"{path.name} has a column {known[0]!r} and none called source and target (or from and "
            "to): name the columns of the links' ends so."
        )
    unnamed = head[0] and numbers_first and head[0].lower() not in _CORNERS
    if unnamed and (bipartite or len(body) == len(head)):  # columns have names, rows have none
        return _numbers(path, body, decimal)
    if len(head) > 1 and head[1].lower() in _NOTES:
        first = 2
    body = [row for row in body if row[1][0].lower() not in _NOTES]
    columns, names = head[first:], [cells[0] for _, cells in body]
    if not (names and columns):
        raise ValueError(f"{path.name} holds no numbers.")
    matrix = _numbers(path, [(number, cells[first:]) for number, cells in body], decimal)
    for side, given in (("rows", names), ("columns", columns)):
        if repeated := sorted({name for name in given if given.count(name) > 1}):
            raise ValueError(f"{path.name}: two {side} are called {repeated[0]!r}.")
    if set(names) == set(columns):
        place = {name: k for k, name in enumerate(columns)}
        return matrix[:, [place[name] for name in names]]
    if not bipartite:
        raise ValueError(
            f"{path.name}: rows and columns have other names ({names[0]!r}, {columns[0]!r}), so it "
            "is bipartite; say project='rows' or 'columns' (--project on the command line)."
        )
    return matrix


def _numbers(path: Path, rows: Sequence[Row], decimal: str) -> NDArray[np.float64]:
    """Return cells as numbers."""
    for number, cells in rows:
        for cell in cells:
            if not _is_number(cell, decimal):
                what = f"{cell!r} is no number" if cell else "a cell is empty"
                raise ValueError(
                    f"{path.name}, line {number}: {what}; accepted are an edge list with the "
                    "header source,target,weight or a matrix of numbers."
                )
    return np.array([[_number(cell, decimal) for cell in cells] for _, cells in rows], np.float64)


def _is_number(cell: str, decimal: str) -> bool:
    """Tell whether a cell holds a number."""
    try:
        _number(cell, decimal)
    except ValueError:
        return False
    return True


def _number(cell: str, decimal: str) -> float:
    """Return a cell's number; Python's own 1_000 is none elsewhere."""
    if "_" in cell:
        raise ValueError(cell)
    return float(cell.replace(decimal, ".") if decimal == "," else cell)
