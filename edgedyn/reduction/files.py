"""Networks from files: tables of text, stored matrices, graphs of other programs; projections."""

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import iterparse

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn.reduction.pajek import Link, read_pajek
from edgedyn.reduction.tables import WEIGHTS, read_table, say_added

if TYPE_CHECKING:
    from scipy.sparse import csr_array

TABLES, ARRAYS, GRAPHS = (".csv", ".tsv"), (".mat", ".npz", ".mtx"), (".graphml", ".gml", ".net")
NETWORK_SUFFIXES = (*TABLES, *ARRAYS, *GRAPHS)
MOST_NODES = 10_000_000  # of a file that states its size before anything is read


def read_network(
    path: str | Path,
    *,
    variable: str | None = None,
    project: str | None = None,
    rows: str = "targets",
    undirected: bool = False,
) -> "csr_array":
    r"""Read a directed weighted network as ``A[target, source]``, a square csr_array of floats.

    Parameters
    ----------
    path : path
        - ``.csv``, ``.tsv``: an edge list whose header has ``source`` and ``target`` (or ``from``
          and ``to``) and maybe ``weight`` (or ``value``), nodes by whatever name they have; or a
          matrix of numbers, with or without names in the first row and column: columns are put
          into the order of the rows. Commas, semicolons or tabs separate cells; with the last two
          decimal commas are read.
        - ``.mat``: a matrix of MATLAB up to version 7.2. ``.mtx``: one of Matrix Market.
        - ``.npz``: a sparse matrix of scipy, such as edgedyn's own exports, or numpy arrays.
        - ``.graphml``, ``.gml``, ``.net`` (Pajek): a graph; edges lead from source to target, the
          attribute ``weight`` or ``value`` counts, in any case of letters.
    variable : str, optional
        Which matrix of a ``.mat`` or ``.npz`` file that holds several.
    project : {"rows", "columns"}, optional
        Turn a bipartite matrix into a network among its rows or its columns, see `projection`.
    rows : {"targets", "sources"}
        What the rows of a stored matrix are: by default ``A[i, j]`` is the influence of j on i.
        beta_eff does not notice, the states do. Edge lists and graphs say it themselves.
    undirected : bool
        Every link counts in both directions, also where the file has one of them only.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        For another suffix, a file that cannot be read (tables: which line), several matrices and no
        name, columns of which none is called weight, a matrix that is not square, or whose rows and
        columns have other names, and is not projected, values that are not finite numbers,
        `undirected` links that have other weights each way.

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
    suffix = path.suffix.lower()
    if variable is not None and suffix not in (".mat", ".npz"):
        raise ValueError(f"variable belongs to .mat and .npz files; got {path.name!r}.")
    matrix: Any
    if suffix in TABLES:
        matrix = read_table(path, bipartite=project is not None)
    else:
        matrix = _read_arrays(path, variable) if suffix in ARRAYS else _read_graph(path)
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
    return _both_ways(path, matrix) if undirected else matrix


def _both_ways(path: Path, matrix: "csr_array") -> "csr_array":
    """Return a matrix whose links lead both ways."""
    there, back = matrix != 0, (matrix != 0).T
    twice = there.multiply(back)
    if (abs(matrix - matrix.T).multiply(twice)).max() > 0:
        raise ValueError(
            f"{path.name} has links with one weight there and another back; they have directions."
        )
    return (matrix + matrix.T - matrix.multiply(twice)).tocsr()


def described(matrix: "csr_array") -> str:
    """Say how a network was read: nodes, links, direction, weights.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> described(csr_array([[0, 1.0], [0, 0]]))
    'directed, unweighted, 2 nodes, 1 link, none with an opposite'
    """
    links = int((matrix != 0).sum())
    opposite = int((matrix != 0).multiply((matrix != 0).T).sum())
    same = abs(matrix - matrix.T).max() == 0 if links else True
    weighted = links and not (matrix.data[matrix.data != 0] == 1).all()
    words = [
        "undirected" if same else "directed",
        "weighted" if weighted else "unweighted",
        f"{matrix.shape[0]} node{'s' * (matrix.shape[0] != 1)}",
        f"{links} link{'s' * (links != 1)}",
    ]
    return ", ".join(words + ["none with an opposite"] * (links > 0 and opposite == 0))


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


def _read_arrays(path: Path, variable: str | None) -> Any:
    """Read a matrix of a .mat, .npz or .mtx file."""
    try:
        stored = _stored(path)
    except NotImplementedError:
        raise ValueError(
            f"{path.name} is a MATLAB 7.3 file; save it with '-v7' or as csv."
        ) from None
    except Exception as error:  # of damaged files the readers raise what they like
        raise ValueError(
            f"{path.name} could not be read: {error or type(error).__name__}."
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


def _stored(path: Path) -> dict[str, Any]:
    """Return the arrays of a file by name."""
    if path.suffix.lower() == ".mtx":
        return {"matrix": _matrix_market(path)}
    if path.suffix.lower() == ".mat":
        return _of_matlab(path)
    with np.load(path, allow_pickle=False) as file:
        stored = {name: file[name] for name in file.files}
    return {"matrix": _sparse(stored)} if "format" in stored else stored


_LOAD_MATLAB = """
import sys, numpy
from scipy.io import loadmat
from scipy.sparse import issparse
found = {}
for name, value in loadmat(sys.argv[1]).items():
    if issparse(value):
        one = value.tocoo()
        parts = {"format": "coo", "shape": one.shape, "data": one.data}
        parts |= {"row": one.row, "col": one.col}
        found |= {f"{name}/{part}": array for part, array in parts.items()}
    elif isinstance(value, numpy.ndarray) and value.dtype.kind in "biuf":
        found[name] = value
numpy.savez(sys.argv[2], **found)
"""


def _of_matlab(path: Path) -> dict[str, Any]:
    """Read MATLAB's matrices in a process of its own: scipy's reader crashes on damaged files."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.npz"
        command = [sys.executable, "-P", "-c", _LOAD_MATLAB, str(path.resolve()), str(out)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            said = done.stderr.strip().splitlines() or ["its reader crashed"]
            if said[-1].startswith("NotImplementedError"):
                raise NotImplementedError
            raise ValueError("its reader crashed" if done.returncode < 0 else said[-1])
        with np.load(out, allow_pickle=False) as file:
            stored = {name: file[name] for name in file.files}
    parts: dict[str, dict[str, Any]] = {}
    for name in [name for name in stored if "/" in name]:
        matrix, _, part = name.partition("/")
        parts.setdefault(matrix, {})[part] = stored.pop(name)
    return stored | {name: _sparse(one) for name, one in parts.items()}


def _sparse(stored: Mapping[str, Any]) -> Any:
    """Make a sparse matrix of its parts, of which none is believed; ValueError, KeyError else."""
    from scipy.sparse import coo_array

    kind = stored["format"].item()
    kind = kind.decode() if isinstance(kind, bytes) else str(kind)
    shape = tuple(int(n) for n in stored["shape"])
    if len(shape) != 2 or kind not in ("coo", "csr", "csc"):
        raise ValueError(f"a sparse matrix of format {kind!r} and shape {shape} is not taken")
    if kind == "coo":
        places = [stored["row"], stored["col"]]
    else:
        ends, inner = stored["indptr"], stored["indices"]
        n = shape[0] if kind == "csr" else shape[1]
        if ends.dtype.kind not in "iu" or ends.shape != (n + 1,) or ends[0] != 0:
            raise ValueError("its indptr is damaged")
        lengths = np.diff(ends.astype(np.int64))
        if (lengths < 0).any() or ends[-1] != len(inner):
            raise ValueError("its indptr is damaged")
        outer = np.repeat(np.arange(n), lengths)
        places = [outer, inner] if kind == "csr" else [inner, outer]
    data = stored["data"]
    if any(p.dtype.kind not in "iu" or p.shape != data.shape or p.ndim != 1 for p in places):
        raise ValueError("its indices are damaged")
    return _within(shape, places, lambda: coo_array((data, tuple(places)), shape=shape))


def _matrix_market(path: Path) -> Any:
    """Read a sparse matrix of Matrix Market by numpy: scipy's reader crashes on damaged files."""
    from scipy.sparse import coo_array

    with path.open(encoding="latin-1") as file:
        _, kind, form, field, symmetry = file.readline().lower().split()
        if (kind, form) != ("matrix", "coordinate") or field not in ("real", "integer", "pattern"):
            raise ValueError(f"{form} {kind} of {field} values is not taken; save a sparse matrix")
        line = next(line for line in file if line.strip() and not line.startswith("%"))
        rows, columns, links = map(int, line.split())
        if max(rows, columns) > MOST_NODES:
            raise ValueError(f"it states the shape {rows, columns}, {MOST_NODES} nodes are taken")
        width = 2 if field == "pattern" else 3
        body = np.loadtxt(file, comments="%", ndmin=2) if links else np.empty((0, width))
    if body.shape != (links, width):
        raise ValueError(f"it states {links} entries of {width} numbers; it has {body.shape}")
    if (body[:, :2] % 1 != 0).any():
        raise ValueError("its rows and columns are no whole numbers")
    places = body[:, :2].astype(np.int64) - 1
    above, below = places[:, 0] < places[:, 1], places[:, 0] > places[:, 1]
    if symmetry != "general" and above.any() and below.any():
        raise ValueError(f"it is {symmetry} and has entries on both sides of the diagonal")
    values = body[:, 2] if width == 3 else np.ones(links)
    shape, at = (rows, columns), tuple(places.T)
    found = _within(shape, at, lambda: coo_array((values, at), shape=shape))
    signs = {"general": 0, "symmetric": 1, "skew-symmetric": -1}
    if symmetry not in signs:
        raise ValueError(f"a {symmetry} matrix is not taken")
    mirrored = places[:, 0] != places[:, 1]
    back = coo_array((values[mirrored], places[mirrored].T[::-1]), shape=(columns, rows))
    return found if symmetry == "general" else found + signs[symmetry] * back.tocsr()


def _within(shape: tuple[int, ...], places: Sequence[Any], make: Callable[[], Any]) -> Any:
    """Make a sparse matrix whose stored places are all within its shape, in rows."""
    if max(shape) > MOST_NODES:
        raise ValueError(f"it states the shape {shape}, {MOST_NODES} nodes are taken")
    for place, size in zip(places, shape, strict=True):
        if place.size and not (0 <= place.min() and place.max() < size):
            raise ValueError("it has entries outside its shape")
    return make().tocsr()


def _read_graph(path: Path) -> Any:
    """Read a graph; both directions where it is undirected."""
    import networkx as nx

    suffix = path.suffix.lower()
    readers = {".graphml": _read_graphml, ".gml": _read_gml}
    try:
        if suffix == ".net":
            return _of_links(path, *read_pajek(path, MOST_NODES))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of attributes that nobody reads here
            graph = readers[suffix](path)
        for _, _, attributes in graph.edges(data=True):
            _weigh(attributes, graph.graph.get("edge_default", {}))
        say_added(path, graph.number_of_edges(), len(set(graph.edges())))
        return nx.to_scipy_sparse_array(graph, dtype=np.float64).T
    except Exception as error:  # of damaged files the readers raise what they like
        kind = {".graphml": "GraphML", ".gml": "GML", ".net": "Pajek's network"}[suffix]
        raise ValueError(f"{path.name} could not be read as {kind}: {error}.") from None


def _of_links(path: Path, nodes: int, links: Sequence[Link]) -> Any:
    """Make a matrix of links; of several between two nodes the weights add."""
    from scipy.sparse import csr_array

    targets, sources, weights = zip(*links, strict=True) if links else ((), (), ())
    say_added(path, len(links), len({link[:2] for link in links}))
    return csr_array((np.array(weights, float), (targets, sources)), shape=(nodes, nodes))


def _read_graphml(path: Path) -> Any:
    """Read GraphML; refuse links to nodes that are not declared, and keep defaults of all kinds."""
    import networkx as nx

    graph = nx.read_graphml(path)
    declared, default = 0, dict[str, str]()
    for _, element in iterparse(path):
        tag = element.tag.rpartition("}")[2]
        declared += tag == "node"
        given = next((e.text for e in element if e.tag.rpartition("}")[2] == "default"), None)
        if tag == "key" and element.get("for") in ("all", "edge") and given is not None:
            default[element.get("attr.name", "")] = given
    if graph.number_of_nodes() > declared:
        raise ValueError("a link leads to a node that is not declared")
    graph.graph["edge_default"] = default | graph.graph.get("edge_default", {})
    return graph


def _read_gml(path: Path) -> Any:
    """Read GML by labels, or where nodes have none by their numbers."""
    import networkx as nx

    try:
        return nx.read_gml(path)
    except nx.NetworkXError as error:
        if "no 'label' attribute" not in str(error):
            raise
        return nx.read_gml(path, label="id")


def _weigh(attributes: dict[str, Any], default: dict[str, Any]) -> None:
    """Put an edge's weight where networkx looks for it."""
    values = {str(k).lower(): v for k, v in {**default, **attributes}.items()}
    known = [values[word] for word in WEIGHTS if word in values]
    if known and isinstance(known[0], bool):
        raise ValueError("its weights are true and false")
    attributes["weight"] = float(known[0]) if known else 1.0
