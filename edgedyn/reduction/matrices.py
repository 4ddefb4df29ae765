"""Networks as users have them, read as matrices ``A[target, source]``; nothing is copied if spared.

The rooms of the house know nothing of each other, so that line graphs and interactions are
recognised by what they offer, not by their class.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from math import isnan, nan
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._array import Array

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator

NOT_FINITE = "A contains NaN or infinity (or its sums overflow); weights are finite."
ACCEPTED = (
    "a square matrix (numpy or scipy.sparse), a networkx graph, a line graph, an interaction or "
    "a LinearOperator"
)
_BLOCK = 2**20
_LARGE_PAGE = 2**21 // 8  # floats on one


@runtime_checkable
class KnowsDegrees(Protocol):
    """A network that knows its degrees without its matrix, such as `edgedyn.LineGraph`."""

    def in_degree(self) -> Array:
        """Return ``A 1``."""

    def out_degree(self) -> Array:
        """Return ``1' A``."""

    def to_scipy(self) -> "csr_array":
        """Return ``A[target, source]``."""

    @property
    def operator(self) -> Any:
        """Products with A: a LinearOperator, or a method that returns one."""


class Degrees(NamedTuple):
    """In- and out-degrees of a network and what else one pass over it tells."""

    into: Array
    out: Array
    absolute: float  # sum |A|; NaN where the entries are not at hand
    exact: Any = None  # total, symmetry, heterogeneity, beta_eff of networks that count them


def is_graph(A: Any) -> bool:
    """Tell whether A is a networkx graph, without importing networkx."""
    networkx = sys.modules.get("networkx")
    return networkx is not None and isinstance(A, networkx.Graph)


def is_operator(A: Any) -> bool:
    """Tell whether A is a LinearOperator, without importing scipy."""
    module = sys.modules.get("scipy.sparse.linalg")
    return module is not None and isinstance(A, module.LinearOperator)


def is_sparse(A: Any) -> bool:
    """Tell whether A is a scipy.sparse array or matrix, without importing scipy."""
    module = sys.modules.get("scipy.sparse")
    return module is not None and module.issparse(A)


def degrees(A: Any) -> Degrees:
    """Return the degrees of any finite, real, square, non-empty network; else raise."""
    if is_operator(A):
        _check(A.shape, A.dtype)
        ones = np.ones(A.shape[0])
        try:
            out = A.rmatvec(ones)
        except NotImplementedError:
            raise TypeError(
                "the LinearOperator defines no rmatvec; out-degrees are A' 1 and need it."
            ) from None
        found = Degrees(_vector(A @ ones), _vector(out), nan)
    elif is_graph(A) or is_sparse(A):
        found = _sparse_degrees(_from_graph(A) if is_graph(A) else A)
    elif isinstance(A, KnowsDegrees):
        into, out = _vector(A.in_degree()), _vector(A.out_degree())
        exact = A.moments() if hasattr(A, "moments") else None
        known = exact is not None or getattr(A, "strength", None) == "magnitude"
        found = Degrees(into, out, float(into.sum()) if known else nan, exact)
    else:
        found = _dense_degrees(_dense(A))
    total = found.into.sum() if isnan(found.absolute) else found.absolute
    if not all(np.isfinite(part).all() for part in (total, found.into, found.out)):
        raise ValueError(NOT_FINITE)
    return found


def csr_degrees(data: Array, indices: Array, indptr: Array, shape: tuple[int, int]) -> Degrees:
    """Return the degrees of CSR arrays as they are, memory-mapped ones included."""
    data, indices, indptr = _check_csr(data, indices, indptr, shape)
    into = np.empty(int(shape[0]))
    out, absolute = _rows_pass(data, indices, indptr, into)
    return Degrees(into, out, absolute)


def as_csr(A: Any) -> "csr_array":
    """Return A[target, source] as a csr_array of floats, sharing memory where that is possible."""
    from scipy.sparse import csr_array

    if is_operator(A):
        raise TypeError(
            "this needs the links of the network, one by one, which a LinearOperator does not "
            "tell; give a matrix, or a system whose terms separate."
        )
    if is_graph(A):
        A = _from_graph(A)
    elif not is_sparse(A):
        A = A.to_scipy() if isinstance(A, KnowsDegrees) else _dense(A)
    _check(A.shape, A.dtype)
    matrix = csr_array(A if is_sparse(A) else _native(A))
    if matrix.dtype.kind != "f" or matrix.dtype.itemsize > 8:
        matrix = matrix.astype(np.float64)
    if not np.isfinite(matrix.data.sum(dtype=np.float64)):
        raise ValueError(NOT_FINITE)
    return matrix


def as_operator(A: Any) -> "LinearOperator":
    """Return products with A, through its entries only where it has no products of its own."""
    from scipy.sparse.linalg import aslinearoperator

    if is_operator(A):
        _check(A.shape, A.dtype)
        return A
    if isinstance(A, KnowsDegrees) and not (is_graph(A) or is_sparse(A)):
        return A.operator() if hasattr(A, "moments") else A.operator
    return aslinearoperator(as_csr(A))


def zeros(n: int) -> Array:
    """Return n zeros for additions here and there, which begin and end where large pages do.

    A tenth faster where the system has large pages: fewer addresses to look up.
    """
    if n < _LARGE_PAGE:
        return np.zeros(n)
    whole = np.zeros(-(-n // _LARGE_PAGE) * _LARGE_PAGE + _LARGE_PAGE)
    begin = -whole.ctypes.data // whole.itemsize % _LARGE_PAGE
    return whole[begin : begin + n]


def node_values(x: ArrayLike, n_nodes: int, name: str = "x") -> Array:
    """Return one float for each node, or refuse another shape."""
    values = np.asarray(x, np.float64)
    if values.shape != (n_nodes,):
        raise ValueError(
            f"{name} must hold one value for each of the {n_nodes} nodes; got shape {values.shape}."
        )
    return values


# Reading ----------------------------------------------------------------------------------------


def _from_graph(graph: Any) -> Any:
    """Return a networkx graph's matrix, transposed: libraries keep ``[source, target]``."""
    import networkx as nx

    if len(graph) == 0:
        raise ValueError("A is a graph without nodes; give at least one.")
    try:
        matrix = nx.to_scipy_sparse_array(graph, weight="weight", format="csr")
    except (TypeError, ValueError) as error:
        raise TypeError(f"the weights of the graph must be real numbers: {error}.") from None
    return matrix.T.tocsr()


def _aligned(A: Any) -> Any:
    """Return a table of pandas with its columns in the order of its rows; others as they are."""
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(A, pandas.DataFrame) or A.index.equals(A.columns):
        return A
    if isinstance(A.index, pandas.RangeIndex) or isinstance(A.columns, pandas.RangeIndex):
        return A  # one side has no names
    names, columns = list(A.index), list(A.columns)
    if len(set(names)) != len(names) or len(set(columns)) != len(columns):
        raise ValueError("A names a row or a column twice; give every node one name.")
    if set(names) != set(columns):
        raise ValueError(
            f"the rows and columns of A have other names ({names[0]!r}, {columns[0]!r}), so it is "
            "bipartite; give its projection (edgedyn.reduction.projection)."
        )
    return A[names]


def _dense(A: Any) -> Array:
    """Return A as a two-dimensional array of real numbers."""
    rows = A if isinstance(A, list | tuple) else [A]
    if any(isinstance(row, np.ma.MaskedArray) for row in rows):
        raise TypeError("A is a masked array; say what masked entries are: A.filled(0).")
    aligned = _aligned(A)
    try:
        array = np.asarray(aligned)
        if array.dtype.kind == "O" and array.ndim == 2:
            if any(isinstance(entry, str | bytes) for entry in array.flat):
                raise TypeError
            array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"A must be {ACCEPTED}; got {type(A).__name__}.") from None
    if array.ndim != 2 and array.dtype.kind not in "biufc":
        raise TypeError(f"A must be {ACCEPTED}; got {type(A).__name__}.")
    _check(array.shape, array.dtype)
    return array


def _check(shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse what is not a square matrix of real numbers."""
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ValueError(
            f"A must be square, A[target, source], one row and one column a node; got shape "
            f"{tuple(int(n) for n in shape)}."
        )
    if shape[0] == 0:
        raise ValueError("A has no nodes: its shape is (0, 0); give at least one.")
    if np.dtype(dtype).kind not in "biuf":
        raise TypeError(f"A must hold real numbers; got {np.dtype(dtype)}.")


def _vector(degree: Any) -> Array:
    """Return degrees as floats."""
    return np.asarray(degree, np.float64).ravel()


def _dense_degrees(array: Array) -> Degrees:
    """Return the degrees block by block of rows, so that no temporary is as large as A."""
    n = len(array)
    into, out, absolute = np.empty(n), np.zeros(n), 0.0
    rows = max(1, _BLOCK // n)
    with np.errstate(invalid="ignore", over="ignore"):
        for start in range(0, n, rows):
            block = np.asarray(array[start : start + rows], np.float64)
            into[start : start + rows] = block.sum(axis=1)
            out += block.sum(axis=0)
            absolute += float(np.abs(block).sum())
    return Degrees(into, out, absolute)


def _sparse_degrees(A: Any) -> Degrees:
    """Return the degrees of a sparse matrix; CSC is read as the CSR of the transpose."""
    _check(A.shape, A.dtype)
    if A.format == "csc":
        found = csr_degrees(A.data, A.indices, A.indptr, A.shape)
        return Degrees(found.out, found.into, found.absolute)
    A = A if A.format == "csr" else A.tocsr()
    return csr_degrees(A.data, A.indices, A.indptr, A.shape)


def _native(array: Array) -> Array:
    """Return an array of a type that kernels and scipy know; a copy only of the exotic ones."""
    if array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        return array.astype(np.float64)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _check_csr(data: Any, indices: Any, indptr: Any, shape: Any) -> tuple[Array, Array, Array]:
    """Refuse arrays that are no CSR matrix, before a kernel reads past their ends."""
    # Subclasses such as numpy.memmap are read through plain views of the same memory.
    data, indices, indptr = (np.asarray(part) for part in (data, indices, indptr))
    _check(shape, data.dtype)
    data, indices, indptr = _native(data), _native(indices), _native(indptr)
    for name, part in (("indices", indices), ("indptr", indptr)):
        if part.dtype.kind not in "iu":
            raise TypeError(f"{name} must hold integers; got {part.dtype}.")
    if data.ndim != 1 or indices.ndim != 1 or len(data) != len(indices):
        raise ValueError(
            f"data and indices must be vectors of one length; got {data.shape}, {indices.shape}."
        )
    if indptr.shape != (shape[0] + 1,):
        raise ValueError(f"indptr must have {shape[0] + 1} entries; got shape {indptr.shape}.")
    if indptr[0] != 0 or indptr[-1] > len(data) or (indptr[1:] < indptr[:-1]).any():
        raise ValueError(
            f"indptr must rise from 0 to at most {len(data)}, the number of entries; got "
            f"{indptr[0]} to {indptr[-1]}."
        )
    return data, indices, indptr


def _rows_pass(data: Array, indices: Array, indptr: Array, into: Array) -> tuple[Array, float]:
    """Fill the in-degrees and return the out-degrees and sum |A|; two threads for many links."""
    from edgedyn.reduction._kernels import csr_degrees as kernel

    links = int(indptr[-1])
    # Always the same two halves, whatever the machine, so that sums round alike everywhere.
    parts = 2 if links > 16 * _BLOCK else 1
    halves = np.array([links * k // parts for k in range(1, parts)], indptr.dtype)  # no copy of it
    bounds = [0, *np.searchsorted(indptr, halves).tolist(), len(into)]
    outs = [zeros(len(into)) for _ in range(parts)]

    def read(k: int) -> tuple[float, int]:
        return kernel(data, indices, indptr, bounds[k], bounds[k + 1], into, outs[k])

    with ThreadPoolExecutor(min(parts, os.cpu_count() or 1)) as pool:
        results = list(pool.map(read, range(parts)))
    for _, bad in results:
        if bad >= 0:
            raise ValueError(
                f"indices must lie in 0..{len(into) - 1}; got {indices[bad]} at entry {bad}."
            )
    for other in outs[1:]:
        outs[0] += other
    return outs[0], float(sum(absolute for absolute, _ in results))
