"""The line graph as a file, written piece by piece: no more than a few MiB of links in memory.

A graph weighted by strengths is written in the same way, but its strengths are all in memory. A
file appears under its name only when it is complete.
"""

import re
from collections.abc import Iterator, Sequence
from math import prod
from os import PathLike
from pathlib import Path
from typing import IO, Any, NamedTuple
from xml.sax.saxutils import escape
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn._files import atomic, no_formula
from edgedyn.linegraph.attributes import KINDS, text, x_of, y_of
from edgedyn.linegraph.graph import VALUES, LineGraph
from edgedyn.linegraph.index import NodeIndex
from edgedyn.linegraph.interaction import Interaction
from edgedyn.linegraph.limits import check_links
from edgedyn.linegraph.matrix import index_dtype, length_pieces, row_pieces
from edgedyn.linegraph.xml_words import Gexf, GraphML, Parts

EXPORT_SUFFIXES = (".npz", ".graphml", ".gexf", ".csv")
LAYER_SUFFIXES = (".graphml", ".gexf", ".gml")
MAX_LINKS = 10**9  # some minutes and, as .npz, over a gigabyte
PIECE = 2**15  # nodes or links in memory; some 50 bytes each
LINES = 2**10  # lines of text that are written at once: they fit into the processor's cache

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_XML_TEXT = {'"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}  # escape knows &<>


def write(
    path: str | PathLike[str], graph: LineGraph | Interaction, *, max_links: int = MAX_LINKS
) -> None:
    """Write a line graph, or one weighted by strengths P, in the format of the file's suffix.

    Parameters
    ----------
    path : path
        ``.npz``: `write_npz`, ``.graphml``: `write_graphml`, ``.gexf``: `write_gexf`, ``.csv``:
        `write_csv`.
    graph : LineGraph or Interaction
    max_links : int
        Refuse a larger graph: a billion links take some minutes and, as .npz, over a gigabyte.

    Raises
    ------
    ValueError
        For another suffix, or more links.

    Examples
    --------
    >>> import tempfile, edgedyn as ed
    >>> from scipy.sparse import load_npz
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/gb.npz", ed.line_graph([4, 5, 3]))
    ...     load_npz(f"{folder}/gb.npz").shape
    (35, 35)
    """
    path = Path(path)
    functions = (write_npz, write_graphml, write_gexf, write_csv)
    writers = dict(zip(EXPORT_SUFFIXES, functions, strict=True))
    if path.suffix.lower() not in writers:
        accepted = ", ".join(EXPORT_SUFFIXES)
        raise ValueError(f"an export must end in one of {accepted}; got {path.name!r}.")
    links, _ = _parts_of(graph)
    ways_out = "block() by block, layer_graph() for one node a layer"
    check_links(links.n_links, max_links, "links", "this line graph", ways_out)
    writers[path.suffix.lower()](path, graph)


def write_layers(path: str | PathLike[str], graph: LineGraph) -> None:
    """Write the small graph of a network of any size, one node a layer, for other programs.

    Parameters
    ----------
    path : path
        Ending in ``.graphml`` or ``.gexf`` (Gephi, Cytoscape), or ``.gml``.
    graph : LineGraph
        What is written is its `LineGraph.layer_graph`.

    Raises
    ------
    ValueError
        For another suffix.

    Examples
    --------
    >>> import tempfile, networkx as nx, edgedyn as ed
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_layers(f"{folder}/layers.graphml", ed.line_graph([784, 300, 100, 10]))
    ...     nx.read_graphml(f"{folder}/layers.graphml", node_type=int).edges[3, 2]["links"]
    300000
    """
    import networkx as nx

    path, found = Path(path), graph.layer_graph()
    writers = dict(
        zip(LAYER_SUFFIXES, (nx.write_graphml, nx.write_gexf, nx.write_gml), strict=True)
    )
    if path.suffix.lower() not in writers:
        accepted = ", ".join(LAYER_SUFFIXES)
        raise ValueError(f"a graph of layers must end in one of {accepted}; got {path.name!r}.")
    for _, data in found.nodes(data=True):
        for name in ("label", "name"):
            data[name] = _NOT_XML.sub("\ufffd", data[name])
        if path.suffix.lower() == ".gexf":  # where Gephi looks for places
            data["viz"] = {"position": {"x": data["x"], "y": data["y"], "z": 0.0}}
    with atomic(path) as temporary:
        writers[path.suffix.lower()](found, temporary)


def _parts_of(graph: LineGraph | Interaction) -> tuple[LineGraph, Array | None]:
    """Return the links, and their strengths in the order of the matrix where there are any."""
    if isinstance(graph, Interaction):
        return graph.graph, np.asarray(graph.to_scipy().data)
    return graph, None


# Scipy's format ----------------------------------------------------------------------------------


def write_npz(
    path: str | PathLike[str], graph: LineGraph | Interaction, values: str = "links"
) -> None:
    """Write the matrix ``P[target, source]`` as `scipy.sparse.load_npz` reads it.

    The values are float64: of every link a 1 or, with "multiplicities", the number of its paths; of
    an `Interaction` the strengths.
    `numpy.load` finds the nodes in the same file: ``node_layer``, the layer of each, from 1;
    ``node_position``, its index into the layer's kernel, filled up with -1 on the right, or -1 and
    i for bias i; and for each layer its name in ``layer_names`` and its kernel's shape in
    ``layer_shapes``, as text such as ``5 5 1 6``.
    """
    check.choice(values, "values", VALUES)
    graph, weights = _parts_of(graph)
    data = _data(graph, values) if weights is None else iter([weights])
    links, nodes, index = graph.n_links, graph.n_nodes, graph.index
    kind = index_dtype(links, nodes)
    columns = (piece.columns for piece in row_pieces(graph.reach, "links", kind, PIECE))
    node_layers = (np.full(len(piece.numbers), piece.layer) for piece in _node_pieces(index))
    arrays = [
        _Member("indices", kind, (links,), columns),
        _Member("indptr", kind, (nodes + 1,), _row_ends(graph)),
        _Member("data", np.dtype(np.float64), (links,), data),
        _Member("node_layer", np.dtype(np.int32), (nodes,), node_layers),
        _Member("node_position", *_position_type(index), _node_positions(index)),
    ]
    small = {
        "format": np.array(b"csr"),
        "shape": np.array([nodes, nodes]),
        "_is_array": np.array(True),
        "layer_names": np.array([index.name(k + 1) for k in range(index.n_layers)]),
        "layer_shapes": np.array([text(layer.kernel_shape) for layer in index.layers]),
    }
    arrays += [_Member(name, v.dtype, v.shape, iter([v])) for name, v in small.items()]
    # The least compression: the usual one takes several times as long and saves little.
    with (
        atomic(Path(path)) as temporary,
        ZipFile(temporary, "w", ZIP_DEFLATED, compresslevel=1) as archive,
    ):
        for array in arrays:
            with archive.open(f"{array.name}.npy", "w", force_zip64=True) as file:
                _write_array(file, array)


class _Member(NamedTuple):
    """An array of an npz file, to be written piece by piece."""

    name: str
    kind: "np.dtype[Any]"
    shape: tuple[int, ...]
    pieces: Iterator[Array]


def _write_array(file: IO[bytes], array: _Member) -> None:
    """Write an array in numpy's format."""
    descr = np.lib.format.dtype_to_descr(array.kind)
    header = {"descr": descr, "fortran_order": False, "shape": array.shape}
    np.lib.format.write_array_header_1_0(file, header)
    for piece in array.pieces:
        file.write(np.ascontiguousarray(piece, array.kind).data)


def _row_ends(graph: LineGraph) -> Iterator[Array]:
    """Yield how many links lie before each row, and at last how many there are."""
    before = 0
    yield np.zeros(1, np.int64)
    for lengths in length_pieces(graph.reach, PIECE):
        ends = before + np.cumsum(lengths)
        before = int(ends[-1])
        yield ends


def _data(graph: LineGraph, values: str) -> Iterator[Array]:
    """Yield ones or the links' multiplicities."""
    if values == "links":
        ones = np.ones(PIECE)
        for first in range(0, graph.n_links, PIECE):
            yield ones[: graph.n_links - first]
    else:
        for piece in row_pieces(graph.reach, values, np.dtype(np.int64), PIECE):
            yield piece.values


def _position_type(index: NodeIndex) -> tuple["np.dtype[Any]", tuple[int, int]]:
    """Return the type and shape of the array of positions."""
    shapes = [layer.kernel_shape for layer in index.layers]
    biases = [layer.n_bias for layer in index.layers]
    width = max(*map(len, shapes), 2 if any(biases) else 1)
    longest = max(*map(max, shapes), *biases)
    return index_dtype(0, longest), (index.n_nodes, width)


def _node_positions(index: NodeIndex) -> Iterator[Array]:
    """Yield the positions of the nodes as rows of integers."""
    kind, (_, width) = _position_type(index)
    for piece in _node_pieces(index):
        table = np.full((len(piece.numbers), width), -1, kind)
        for axis, coordinate in enumerate(piece.position, int(piece.bias)):
            table[:, axis] = coordinate
        yield table


# Text --------------------------------------------------------------------------------------------


def write_graphml(path: str | PathLike[str], graph: LineGraph | Interaction) -> None:
    """Write GraphML, with edges source -> target: for networkx, igraph, Gephi, Cytoscape.

    Nodes and edges carry what they do in `LineGraph.to_networkx`; what XML cannot hold in a name
    becomes a replacement character.
    """
    _write_xml(Path(path), graph, GraphML())


def write_gexf(path: str | PathLike[str], graph: LineGraph | Interaction) -> None:
    """Write GEXF 1.2, with edges source -> target: for Gephi, which draws nodes where they belong.

    Nodes and edges carry what they do in `LineGraph.to_networkx`.
    """
    _write_xml(Path(path), graph, Gexf())


def _write_xml(path: Path, graph: LineGraph | Interaction, words: GraphML | Gexf) -> None:
    """Write nodes, then links, in the words of a format."""
    graph, weights = _parts_of(graph)
    axes = max(len(layer.kernel_shape) for layer in graph.index.layers)
    positions = dict.fromkeys([f"position{axis}" for axis in range(axes)], "int")
    types = dict.fromkeys(["label", "name", "layer", "layer_name", "kind", "position"], "string")
    types |= {"layer": "int", **positions, "shape": "string", "x": "double", "y": "double"}
    with atomic(path) as temporary, temporary.open("wb") as file:
        file.write(words.begin(types).encode())
        for piece in _node_pieces(graph.index):
            _write_lines(file, words.node(piece.numbers, piece.columns(graph.index)))
        file.write(words.middle.encode())
        for link in _links(graph, weights):
            _write_lines(file, words.edge(*link))
        file.write(words.last.encode())


def write_csv(path: str | PathLike[str], graph: LineGraph | Interaction) -> None:
    """Write the list of links as ``NAME.csv`` and, beside it as ``NAME.nodes.csv``, the nodes.

    The columns are source, target and multiplicity, of an `Interaction` weight, too; and node,
    label, layer, layer_name, position and shape. Positions are text such as ``1 3`` or ``bias 3``,
    shapes likewise. Both files appear when both are complete.
    """
    path = Path(path)
    graph, weights = _parts_of(graph)
    # The inner file is the first to get its name: where there are links, there are nodes.
    with atomic(path) as links, atomic(path.with_suffix(".nodes.csv")) as nodes:
        with nodes.open("wb") as file:
            file.write(b"node,label,layer,layer_name,position,shape\n")
            for piece in _node_pieces(graph.index):
                label: Parts = [',"', *piece.label(graph.index), '"']
                before = f",{piece.layer},{_quoted(piece.name)},"
                after = f",{text(piece.shape)}\n"
                line: Parts = [piece.numbers, *label, before, *piece.position_parts, after]
                _write_lines(file, line)
        with links.open("wb") as file:
            head = "source,target,multiplicity" + (",weight" if weights is not None else "")
            file.write(f"{head}\n".encode())
            for source, target, weight, paths in _links(graph, weights):
                last: Parts = [",", weight] if weights is not None else []
                _write_lines(file, [source, ",", target, ",", paths, *last, "\n"])


def _links(
    graph: LineGraph, weights: Array | None
) -> Iterator[tuple[Array, Array, str | Array, Array]]:
    """Yield sources, targets, weights and multiplicities of links, in the order of the matrix."""
    done = 0
    for piece in row_pieces(graph.reach, "multiplicities", np.dtype(np.int64), PIECE):
        rows = piece.row + np.arange(len(piece.lengths))
        before, done = done, done + len(piece.columns)
        weight = "1" if weights is None else weights[before:done]
        yield piece.columns, np.repeat(rows, piece.lengths), weight, piece.values


def _write_lines(file: IO[bytes], parts: Parts) -> None:
    """Write lines, each put together from texts and from one number of every array."""
    encoded = [part.encode() if isinstance(part, str) else part for part in parts]
    n = next(len(part) for part in parts if not isinstance(part, str))
    for first in range(0, n, LINES):
        some = slice(first, first + LINES)
        file.write(_lines([part if isinstance(part, bytes) else part[some] for part in encoded]))


def _lines(parts: Sequence[bytes | Array]) -> bytes:
    """Return lines as text: a table of characters with the numbers' leading zeros left out."""
    n = next(len(part) for part in parts if not isinstance(part, bytes))
    parts = [
        part if isinstance(part, bytes) or part.dtype.kind in "iu" else _digits(part)
        for part in parts
    ]
    widths = [_width(part) for part in parts]
    table = np.empty((n, sum(widths)), np.uint8)
    kept = np.ones(table.shape, bool)
    end = 0
    for part, width in zip(parts, widths, strict=True):
        end += width
        if isinstance(part, bytes):
            table[:, end - width : end] = np.frombuffer(part, np.uint8)
            continue
        if part.dtype.kind == "S":
            table[:, end - width : end] = part.view(np.uint8).reshape(n, width)
            kept[:, end - width : end] = table[:, end - width : end] > 0
            continue
        for column in range(end - 1, end - width - 1, -1):
            if column < end - 1:  # a zero has its last digit
                kept[:, column] = part > 0
            rest = part // 10
            table[:, column] = part - 10 * rest + ord("0")
            part = rest
    return table[kept].tobytes()


def _digits(values: Array) -> Array:
    """Return floats as text from which they can be read back to the last bit."""
    return np.array([repr(value).encode() for value in values.tolist()])


def _width(part: bytes | Array) -> int:
    """Return how many characters a part of a line takes at most."""
    if isinstance(part, bytes):
        return len(part)
    return part.dtype.itemsize if part.dtype.kind == "S" else len(str(part.max()))


# Nodes -------------------------------------------------------------------------------------------


class _Nodes(NamedTuple):
    """Some consecutive nodes, all of one kernel or all of one bias, of the given shape."""

    layer: int
    name: str
    bias: bool
    shape: tuple[int, ...]
    numbers: Array
    position: tuple[Array, ...]

    @property
    def position_parts(self) -> Parts:
        """What positions are put together from as text."""
        return ["bias " if self.bias else "", *_joined(self.position, " ")]

    def label(self, index: NodeIndex) -> Parts:
        """Return what the nodes' labels are put together from."""
        return [f"{index.symbol(self.layer, self.bias)}[", *_joined(self.position, ", "), "]"]

    def columns(self, index: NodeIndex) -> dict[str, Parts]:
        """Return what `node_attributes` says of each node, put together as text for XML."""
        rank = self.numbers - index.layer_slice(self.layer).start
        label = self.label(index)
        return {
            "label": label,
            "name": label,
            "layer": [str(self.layer)],
            "layer_name": [escape(_NOT_XML.sub("\ufffd", self.name), _XML_TEXT)],
            "kind": [KINDS[self.bias]],
            "position": self.position_parts,
            **{f"position{axis}": [numbers] for axis, numbers in enumerate(self.position)},
            "shape": [text(self.shape)],
            "x": [str(x_of(index, self.layer))],
            "y": [y_of(index, self.layer, rank)],
        }


def _joined(numbers: Sequence[Array], mark: str) -> Parts:
    """Return columns of numbers with a mark between them."""
    parts: Parts = []
    for axis, column in enumerate(numbers):
        parts += [mark, column] if axis else [column]
    return parts


def _node_pieces(index: NodeIndex) -> Iterator[_Nodes]:
    """Yield all nodes in order, few at a time."""
    start = 0
    for layer, nodes in enumerate(index.layers, 1):
        for bias, shape in ((False, nodes.kernel_shape), (True, (nodes.n_bias,))):
            size = prod(shape)
            for first in range(0, size, PIECE):
                numbers = np.arange(first, min(first + PIECE, size))
                position = np.unravel_index(numbers, shape)
                yield _Nodes(layer, index.name(layer), bias, shape, start + numbers, position)
            start += size


def _quoted(name: str) -> str:
    """Return a name as a field of a csv file, and never as a formula."""
    name = no_formula(name)
    if not any(mark in name for mark in '",\r\n'):
        return name
    return '"' + name.replace('"', '""') + '"'
