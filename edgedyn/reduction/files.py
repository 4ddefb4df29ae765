"""Networks from files: edge lists and matrices as csv, .mat, .npz, GraphML; projections."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedyn import _validate as check

if TYPE_CHECKING:
    from scipy.sparse import csr_array

# Rows and columns of Web of Life's files that say how a species was sampled.
_NOTES = ("num. of hosts sampled", "numbers of flowers", "frequency of occurrences")
NETWORK_SUFFIXES = (".csv", ".mat", ".npz", ".graphml")


def read_network(
    path: str | Path,
    *,
    variable: str | None = None,
    project: str | None = None,
    rows: str = "targets",
) -> "csr_array":
    r"""Read a directed weighted network as ``A[target, source]``, a square csr_array of floats.

    Parameters
    ----------
    path : path
        - ``.csv``: an edge list with the header ``source,target`` or ``source,target,weight``; or a
          matrix of numbers, with or without names in the first row and column.
        - ``.mat``: a matrix of MATLAB up to version 7.2.
        - ``.npz``: a sparse matrix of scipy, such as edgedyn's own exports, or numpy arrays.
        - ``.graphml``: a graph; edges lead from source to target, the attribute ``weight`` counts.
    variable : str, optional
        Which matrix of a ``.mat`` or ``.npz`` file that holds several.
    project : {"rows", "columns"}, optional
        Turn a bipartite matrix into a network among its rows or its columns, see `projection`.
    rows : {"targets", "sources"}
        What the rows of a stored matrix are: by default ``A[i, j]`` is the influence of j on i.
        beta_eff does not notice, the states do. Edge lists and graphs say it themselves.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For another suffix, a file that cannot be read, several matrices and no name, a matrix that
        is not square and is not projected, or values that are not finite numbers.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from edgedyn.reduction import read_network
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "net.csv"
    ...     _ = path.write_text("source,target,weight\na,b,2\nb,c,1\n")
    ...     read_network(path).toarray()
    array([[0., 0., 0.],
           [2., 0., 0.],
           [0., 1., 0.]])
    """
    from scipy.sparse import csr_array

    path = Path(path)
    if path.suffix.lower() not in NETWORK_SUFFIXES:
        accepted = ", ".join(NETWORK_SUFFIXES)
        raise ValueError(f"a network file must end in one of {accepted}; got {path.name!r}.")
    if not path.is_file():
        raise FileNotFoundError(2, "No such file", str(path))
    if project is not None:
        check.choice(project, "project", ("rows", "columns"))
    check.choice(rows, "rows", ("targets", "sources"))
    reader = {".csv": _read_csv, ".graphml": _read_graphml}.get(path.suffix.lower())
    if reader is not None and variable is not None:
        raise ValueError(f"variable belongs to .mat and .npz files; got {path.name!r}.")
    matrix: Any = reader(path) if reader is not None else _read_arrays(path, variable)
    if project is not None:
        matrix = projection(matrix, project)
    matrix = csr_array(matrix, dtype=np.float64)
    if rows == "sources":
        matrix = matrix.T.tocsr()
    if matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"{path.name} holds a matrix of shape {matrix.shape}, which is not square; if it is "
            "bipartite say project='rows' or 'columns' (--project on the command line)."
        )
    if not matrix.shape[0]:
        raise ValueError(f"{path.name} holds no nodes.")
    if not np.isfinite(matrix.data).all():
        raise ValueError(f"{path.name} holds NaN or infinity; all weights must be finite.")
    return matrix


def projection(M: ArrayLike, onto: str = "columns") -> "csr_array":
    r"""Return the network among one side of a bipartite network: symmetric, without diagonal.

    .. math:: A_{jk} = \sum_i \frac{M_{ij} + M_{ik}}{\sum_l M_{il}} [M_{ij} \ne 0][M_{ik} \ne 0],
              \qquad j \ne k

    for the columns; for the rows the same with M transposed. Gao, Barzel and Barabasi, Nature
    530:307 (2016), supplementary Eq. 25: mutualists help each other in proportion to what they
    share of each partner's visits.

    Parameters
    ----------
    M : array_like or sparse, shape (n_rows, n_columns)
        Not negative.
    onto : {"columns", "rows"}

    Raises
    ------
    ValueError
        For another word, or negative entries.

    Examples
    --------
    >>> from edgedyn.reduction import projection
    >>> projection([[1, 1, 0], [0, 1, 1]]).toarray()
    array([[0., 1., 0.],
           [1., 0., 1.],
           [0., 1., 0.]])
    """
    from scipy.sparse import csr_array, diags_array

    check.choice(onto, "onto", ("columns", "rows"))
    matrix = csr_array(M, dtype=np.float64)
    if matrix.nnz and not (np.isfinite(matrix.data).all() and matrix.data.min() >= 0):
        raise ValueError("a bipartite matrix must hold finite numbers that are not negative.")
    if onto == "rows":
        matrix = csr_array(matrix.T)
    matrix.eliminate_zeros()
    visits = np.asarray(matrix.sum(axis=1)).ravel()
    share = diags_array(np.divide(1.0, visits, out=np.zeros_like(visits), where=visits > 0))
    half = (matrix != 0).astype(np.float64).T @ share @ matrix
    found = csr_array(half + half.T)
    found.setdiag(0.0)
    found.eliminate_zeros()
    return found


def _read_csv(path: Path) -> Any:
    """Read an edge list or a matrix."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path.name} could not be read as csv: {error}.") from None
    if not rows:
        raise ValueError(f"{path.name} is empty.")
    head = [cell.strip().lower() for cell in rows[0]]
    if head[:2] == ["source", "target"]:
        return _edges(path, rows)
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        raise ValueError(f"{path.name}: all rows must have {width} cells like the first.")
    # Names head the columns and rows; square or not, the numbers are what remains.
    named = not all(_is_number(cell) for cell in rows[0][1:]) or not rows[0][0].strip()
    if not named:
        return _numbers(path, rows)
    first = 2 if head[1] in _NOTES else 1
    return _numbers(path, [row[first:] for row in rows[1:] if row[0].strip().lower() not in _NOTES])


def _edges(path: Path, rows: Sequence[Sequence[str]]) -> Any:
    """Return the matrix of an edge list; nodes in order of appearance, or by number."""
    from scipy.sparse import coo_array

    weighted = len(rows[0]) > 2
    if any(len(row) < 2 + weighted for row in rows[1:]):
        raise ValueError(f"{path.name}: every line needs {2 + weighted} cells like the first.")
    names = [cell.strip() for row in rows[1:] for cell in row[:2]]
    numbered = all(name.isdigit() for name in names)
    order = {name: int(name) if numbered else k for k, name in enumerate(dict.fromkeys(names))}
    n_nodes = max(order.values(), default=-1) + 1
    weights = np.ones(len(rows) - 1)
    if weighted:
        weights = _numbers(path, [[row[2]] for row in rows[1:]]).ravel()
    source, target = np.array([order[name] for name in names], int).reshape(-1, 2).T
    return coo_array((weights, (target, source)), shape=(n_nodes, n_nodes)).tocsr()


def _numbers(path: Path, rows: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Return cells as numbers."""
    try:
        return np.array([[float(cell) for cell in row] for row in rows], np.float64)
    except ValueError as error:
        raise ValueError(
            f"{path.name}: {error}; accepted are an edge list with the header source,target,weight "
            "or a matrix of numbers."
        ) from None


def _is_number(cell: str) -> bool:
    """Tell whether a cell holds a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_arrays(path: Path, variable: str | None) -> Any:
    """Read a matrix of a .mat or .npz file."""
    from zipfile import BadZipFile

    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError
    from scipy.sparse import load_npz

    try:
        if path.suffix.lower() == ".mat":
            stored = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
        else:
            with np.load(path, allow_pickle=False) as file:
                if "format" in file.files:
                    return load_npz(path)
                stored = {name: file[name] for name in file.files}
    except (ValueError, TypeError, OSError, EOFError, BadZipFile, MatReadError) as error:
        raise ValueError(f"{path.name} could not be read: {error}.") from None
    except NotImplementedError:
        raise ValueError(
            f"{path.name} is a MATLAB 7.3 file; save it with '-v7' or as csv."
        ) from None
    matrices = {k: v for k, v in stored.items() if np.ndim(v) == 2 and v.dtype.kind in "biuf"}
    if variable is not None:
        if variable not in matrices:
            raise ValueError(
                f"{path.name} has no matrix {variable!r}; it holds {', '.join(matrices) or 'none'}."
            )
        return matrices[variable]
    if len(matrices) != 1:
        shapes = ", ".join(f"{k} {v.shape}" for k, v in matrices.items()) or "none"
        raise ValueError(
            f"{path.name} holds several matrices or none ({shapes}); say which with variable= "
            "(--variable on the command line)."
        )
    return next(iter(matrices.values()))


def _read_graphml(path: Path) -> Any:
    """Read a graph; both directions where it is undirected."""
    from xml.etree.ElementTree import ParseError

    import networkx as nx

    try:
        graph = nx.read_graphml(path)
        return nx.to_scipy_sparse_array(graph, dtype=np.float64).T
    except (ParseError, nx.NetworkXError, ValueError, TypeError) as error:
        raise ValueError(f"{path.name} could not be read as GraphML: {error}.") from None
