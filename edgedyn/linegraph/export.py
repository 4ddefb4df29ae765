"""The line graph as a file, written piece by piece: no more than a few MiB of links in memory.

A file appears under its name only when it is complete.
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
from edgedyn.linegraph.graph import VALUES, LineGraph
from edgedyn.linegraph.index import NodeIndex
from edgedyn.linegraph.limits import check_links
from edgedyn.linegraph.matrix import index_dtype, length_pieces, row_pieces

Parts = list[str | Array]
EXPORT_SUFFIXES = (".npz", ".graphml", ".csv")
PIECE = 2**15  # nodes or links in memory; some 50 bytes each
LINES = 2**12  # lines of text that are written at once: they fit into the processor's cache

_GRAPHML_BEGIN = """<?xml version="1.0" encoding="UTF-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns" \
xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" \
xsi:schemaLocation="http://graphml.graphdrawing.org/xmlns \
http://graphml.graphdrawing.org/xmlns/1.0/graphml.xsd">
<key id="layer" for="node" attr.name="layer" attr.type="int"/>
<key id="name" for="node" attr.name="name" attr.type="string"/>
<key id="position" for="node" attr.name="position" attr.type="string"/>
<key id="shape" for="node" attr.name="shape" attr.type="string"/>
<key id="multiplicity" for="edge" attr.name="multiplicity" attr.type="long"/>
<graph edgedefault="directed">
"""
_GRAPHML_END = "</graph>\n</graphml>\n"
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(path: str | PathLike[str], graph: LineGraph, *, max_links: int = 10**9) -> None:
    """Write a line graph in the format of the file's suffix.

    Parameters
    ----------
    path : path
        ``.npz``: `write_npz`, ``.graphml``: `write_graphml`, ``.csv``: `write_csv`.
    graph : LineGraph
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
    writers = dict(zip(EXPORT_SUFFIXES, (write_npz, write_graphml, write_csv), strict=True))
    if path.suffix.lower() not in writers:
        accepted = ", ".join(EXPORT_SUFFIXES)
        raise ValueError(f"an export must end in one of {accepted}; got {path.name!r}.")
    check_links(graph.n_links, max_links, "links", "this line graph", "block() by block")
    writers[path.suffix.lower()](path, graph)


# Scipy's format ----------------------------------------------------------------------------------


def write_npz(path: str | PathLike[str], graph: LineGraph, values: str = "links") -> None:
    """Write the matrix ``P[target, source]`` as `scipy.sparse.load_npz` reads it.

    The values are float64: of every link a 1 or, with "multiplicities", the number of its paths.
    `numpy.load` finds the nodes in the same file: ``node_layer``, the layer of each, from 1;
    ``node_position``, its index into the layer's kernel, filled up with -1 on the right, or -1 and
    i for bias i; and for each layer its name in ``layer_names`` and its kernel's shape in
    ``layer_shapes``, as text such as ``5 5 1 6``.
    """
    check.choice(values, "values", VALUES)
    links, nodes, index = graph.n_links, graph.n_nodes, graph.index
    kind = index_dtype(links, nodes)
    columns = (piece.columns for piece in row_pieces(graph.reach, "links", kind, PIECE))
    node_layers = (np.full(len(piece.numbers), piece.layer) for piece in _node_pieces(index))
    arrays = [
        _Member("indices", kind, (links,), columns),
        _Member("indptr", kind, (nodes + 1,), _row_ends(graph)),
        _Member("data", np.dtype(np.float64), (links,), _data(graph, values)),
        _Member("node_layer", np.dtype(np.int32), (nodes,), node_layers),
        _Member("node_position", *_position_type(index), _node_positions(index)),
    ]
    small = {
        "format": np.array(b"csr"),
        "shape": np.array([nodes, nodes]),
        "_is_array": np.array(True),
        "layer_names": np.array([index.name(k + 1) for k in range(index.n_layers)]),
        "layer_shapes": np.array([_text(layer.kernel_shape) for layer in index.layers]),
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


def write_graphml(path: str | PathLike[str], graph: LineGraph) -> None:
    """Write GraphML, with edges source -> target.

    Nodes carry ``layer``, ``name``, ``position`` and ``shape``, edges their ``multiplicity``.
    GraphML has no tuples: positions are text such as ``1 3`` or ``bias 3``, shapes likewise.
    """
    with atomic(Path(path)) as temporary, temporary.open("wb") as file:
        file.write(_GRAPHML_BEGIN.encode())
        for piece in _node_pieces(graph.index):
            name = escape(_NOT_XML.sub("\ufffd", piece.name), {"\r": "&#13;"})
            before = f'"><data key="layer">{piece.layer}</data><data key="name">{name}</data>'
            after = f'</data><data key="shape">{_text(piece.shape)}</data></node>\n'
            begin: Parts = ['<node id="', piece.numbers, f'{before}<data key="position">']
            _write_lines(file, [*begin, *piece.position_parts, after])
        for targets, sources, paths in _links(graph):
            ends: Parts = ['<edge source="', sources, '" target="', targets]
            _write_lines(file, [*ends, '"><data key="multiplicity">', paths, "</data></edge>\n"])
        file.write(_GRAPHML_END.encode())


def write_csv(path: str | PathLike[str], graph: LineGraph) -> None:
    """Write the list of links as ``NAME.csv`` and, beside it as ``NAME.nodes.csv``, the nodes.

    The columns are source, target and multiplicity; and node, layer, name, position and shape.
    Positions are text such as ``1 3`` or ``bias 3``, shapes likewise. Both files appear when both
    are complete.
    """
    path = Path(path)
    # The inner file is the first to get its name: where there are links, there are nodes.
    with atomic(path) as links, atomic(path.with_suffix(".nodes.csv")) as nodes:
        with nodes.open("wb") as file:
            file.write(b"node,layer,name,position,shape\n")
            for piece in _node_pieces(graph.index):
                before = f",{piece.layer},{_quoted(piece.name)},"
                after = f",{_text(piece.shape)}\n"
                _write_lines(file, [piece.numbers, before, *piece.position_parts, after])
        with links.open("wb") as file:
            file.write(b"source,target,multiplicity\n")
            for targets, sources, paths in _links(graph):
                _write_lines(file, [sources, ",", targets, ",", paths, "\n"])


def _links(graph: LineGraph) -> Iterator[tuple[Array, Array, Array]]:
    """Yield targets, sources and multiplicities of links, in the order of the matrix."""
    for piece in row_pieces(graph.reach, "multiplicities", np.dtype(np.int64), PIECE):
        rows = piece.row + np.arange(len(piece.lengths))
        yield np.repeat(rows, piece.lengths), piece.columns, piece.values


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
    widths = [len(p) if isinstance(p, bytes) else len(str(p.max())) for p in parts]
    table = np.empty((n, sum(widths)), np.uint8)
    kept = np.ones(table.shape, bool)
    end = 0
    for part, width in zip(parts, widths, strict=True):
        end += width
        if isinstance(part, bytes):
            table[:, end - width : end] = np.frombuffer(part, np.uint8)
            continue
        for column in range(end - 1, end - width - 1, -1):
            if column < end - 1:  # a zero has its last digit
                kept[:, column] = part > 0
            rest = part // 10
            table[:, column] = part - 10 * rest + ord("0")
            part = rest
    return table[kept].tobytes()


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
        parts: Parts = ["bias " if self.bias else ""]
        for axis, coordinate in enumerate(self.position):
            parts += [" ", coordinate] if axis else [coordinate]
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


def _text(shape: Sequence[int]) -> str:
    """Return a shape as text."""
    return " ".join(map(str, shape))


def _quoted(name: str) -> str:
    """Return a name as a field of a csv file, and never as a formula."""
    name = no_formula(name)
    if not any(mark in name for mark in '",\r\n'):
        return name
    return '"' + name.replace('"', '""') + '"'
