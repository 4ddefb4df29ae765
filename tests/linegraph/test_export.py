"""Exports of line graphs: read back, in any pieces, in little memory, whole or not at all."""

import csv
import errno
import subprocess
import sys
import tracemalloc

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from random_networks import describe, networks
from scipy.sparse import csr_array, load_npz

import edgedyn as ed
from edgedyn.linegraph import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Network,
    Pooling,
    Scale,
    export,
)
from edgedyn.linegraph.matrix import row_pieces
from edgedyn.report.files import write_line_graph

SUFFIXES = export.EXPORT_SUFFIXES


def cnn():
    """Return a chain with groups, padding, a depthwise convolution and a batch norm."""
    layers = [
        Conv2D(4, (3, 2), padding="same"),
        Scale(),
        Pooling(2),
        Conv2D(6, 2, groups=2),
        DepthwiseConv2D(2, multiplier=2),
        Flatten(),
        Dense(3, kernel="outputs x inputs"),
    ]
    return Network.sequential((7, 6, 1), layers)


def residual():
    """Return a network with two branches, and layers whose names need escapes."""
    network = Network((5, 5, 2))
    first = network.add(Conv2D(3, 2), network.input, name='first, "of" <two> & \x0b more')
    second = network.add(Conv2D(3, 3, padding="same"), first, name="second\r\nline, é")
    last = network.add(Add(), first, second)
    network.add(Dense(2), network.add(Flatten(), last))
    return network


GRAPHS = {
    "perceptron": ed.line_graph([4, 5, 3, 2], bias=[True, False, True]),
    "without links": ed.line_graph([2, 3]),
    "cnn": ed.line_graph(cnn(), nodes="all"),
    "residual": ed.line_graph(residual()),
}


@pytest.fixture(params=GRAPHS.values(), ids=GRAPHS)
def graph(request):
    return request.param


def position_text(position):
    return " ".join(map(str, position))


def node_shape(graph, node):
    layer, position = graph.index.locate(node)
    owner = graph.index.layers[layer - 1]
    return (owner.n_bias,) if position[0] == "bias" else owner.kernel_shape


def node_table(graph):
    """(node, label, layer, name, position, shape) of all nodes, one by one."""
    table = []
    for node in range(graph.n_nodes):
        layer, position = graph.index.locate(node)
        shape = position_text(node_shape(graph, node))
        label = graph.index.label(node)
        table.append((node, label, layer, graph.index.name(layer), position_text(position), shape))
    return table


# Read back ---------------------------------------------------------------------------------------


def check_npz(path, graph, values):
    found, expected = load_npz(path), graph.to_scipy(values)
    assert isinstance(found, csr_array)
    assert found.shape == expected.shape
    for name in ("data", "indices", "indptr"):
        assert getattr(found, name).dtype == getattr(expected, name).dtype
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    with np.load(path) as file:
        layers, positions = file["node_layer"], file["node_position"]
        names, shapes = file["layer_names"].tolist(), file["layer_shapes"].tolist()
    for node in range(graph.n_nodes):
        layer, position = graph.index.locate(node)
        assert layers[node] == layer
        wanted = (-1, position[1]) if position[0] == "bias" else position
        padding = [-1] * (positions.shape[1] - len(wanted))
        assert positions[node].tolist() == [*wanted, *padding]
    assert len(layers) == len(positions) == graph.n_nodes
    assert names == [graph.index.name(k + 1) for k in range(graph.n_layers)]
    assert shapes == [position_text(layer.kernel_shape) for layer in graph.index.layers]


def check_graph(found, expected):
    """Compare what is read back with what `to_networkx` gives, attributes, their types and all."""
    assert isinstance(found, nx.DiGraph) and not found.is_multigraph()
    assert list(found.nodes()) == list(expected.nodes())
    name = "layer_name"
    for node, data in expected.nodes(data=True):
        data = data | {name: data[name].replace("\x0b", "\ufffd")}  # which XML cannot hold
        back = {k: v for k, v in found.nodes[node].items() if k != "viz"}
        assert back == data
        assert [type(back[k]) for k in data] == list(map(type, data.values()))
    edges = {(a, b): (d["weight"], d["multiplicity"]) for a, b, d in expected.edges(data=True)}
    back = {(a, b): (d["weight"], d["multiplicity"]) for a, b, d in found.edges(data=True)}
    assert back == edges


def check_xml(folder, graph):
    export.write_graphml(folder / "gb.graphml", graph)
    check_graph(nx.read_graphml(folder / "gb.graphml", node_type=int), graph.to_networkx())
    export.write_gexf(folder / "gb.gexf", graph)
    check_graph(nx.read_gexf(folder / "gb.gexf", node_type=int), graph.to_networkx())


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def check_csv(path, graph):
    header, *rows = read_csv(path)
    assert header == ["source", "target", "multiplicity"]
    matrix = graph.to_scipy("multiplicities", dtype=np.int64).tocoo()
    expected = np.column_stack([matrix.col, matrix.row, matrix.data])
    assert [list(map(int, row)) for row in rows] == expected.tolist()
    header, *rows = read_csv(path.with_suffix(".nodes.csv"))
    assert header == ["node", "label", "layer", "layer_name", "position", "shape"]
    assert rows == [list(map(str, row)) for row in node_table(graph)]


def check_all(folder, graph):
    for values in ("links", "multiplicities"):
        export.write_npz(folder / "gb.npz", graph, values)
        check_npz(folder / "gb.npz", graph, values)
    check_xml(folder, graph)
    export.write_csv(folder / "gb.csv", graph)
    check_csv(folder / "gb.csv", graph)


def test_exports_read_back(graph, tmp_path):
    check_all(tmp_path, graph)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(networks(), st.sampled_from(["kernels", "all"]), st.integers(1, 50), st.integers(1, 9))
def test_random_networks_read_back(tmp_path_factory, network, nodes, piece, lines):
    note(describe(network))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "PIECE", piece)
        patch.setattr(export, "LINES", lines)
        check_all(tmp_path_factory.mktemp("export"), ed.line_graph(network, nodes=nodes))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_write_goes_by_the_suffix(suffix, graph, tmp_path):
    writers = (export.write_npz, export.write_graphml, export.write_gexf, export.write_csv)
    direct = dict(zip(SUFFIXES, writers, strict=True))
    export.write(str(tmp_path / f"a{suffix}"), graph)
    direct[suffix](tmp_path / f"b{suffix}", graph)
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@pytest.mark.parametrize("name", ["gb.mtx", "gb", "npz", "gb.csv.gz"])
def test_other_suffixes(name, tmp_path):
    with pytest.raises(
        ValueError, match=rf"must end in one of \.npz, \.graphml, \.gexf, \.csv; got '{name}"
    ):
        export.write(tmp_path / name, GRAPHS["perceptron"])
    assert list(tmp_path.iterdir()) == []


def test_other_values(tmp_path):
    with pytest.raises(ValueError, match="values must be one of"):
        export.write_npz(tmp_path / "gb.npz", GRAPHS["perceptron"], "paths")


# Pieces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("piece", [1, 7, 60])
def test_the_size_of_the_pieces_does_not_matter(piece, graph, tmp_path, monkeypatch):
    for k, size in enumerate([export.PIECE, piece]):
        monkeypatch.setattr(export, "PIECE", size)
        for suffix in SUFFIXES:
            export.write(tmp_path / f"{k}{suffix}", graph)
    for suffix in (".graphml", ".gexf", ".csv", ".nodes.csv"):
        first, second = ((tmp_path / f"{k}{suffix}").read_bytes() for k in range(2))
        assert first == second
    with np.load(tmp_path / "0.npz") as first, np.load(tmp_path / "1.npz") as second:
        assert first.files == second.files
        for name in first.files:
            assert first[name].dtype == second[name].dtype
            np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("limit", [1, 7, 60, 10**6])
def test_pieces_keep_their_limit_and_hold_all_rows(limit, graph):
    before = 0
    links = []
    for piece in row_pieces(graph.reach, "multiplicities", np.dtype(np.int64), limit):
        assert piece.row >= before
        before = piece.row + len(piece.lengths)
        assert piece.lengths.sum() == len(piece.columns) == len(piece.values)
        assert len(piece.lengths) == 1 or max(len(piece.lengths), len(piece.columns)) <= limit
        rows = np.repeat(np.arange(piece.row, before), piece.lengths)
        links += zip(rows.tolist(), piece.columns.tolist(), piece.values.tolist(), strict=True)
    matrix = graph.to_scipy("multiplicities", dtype=np.int64).tocoo()
    coordinates = (matrix.row.tolist(), matrix.col.tolist(), matrix.data.tolist())
    assert links == list(zip(*coordinates, strict=True))


def large_graphs():
    # Each row its own pattern, or patterns shared by many rows.
    channelwise = [Conv2D(40, 3, bias=False), DepthwiseConv2D(5), Conv2D(64, 5)]
    return {
        "perceptron": ed.line_graph([100, 200, 100]),
        "own patterns": ed.line_graph(Network.sequential((20, 20, 1), channelwise)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", ["perceptron", "own patterns"])
@pytest.mark.parametrize("suffix", [*SUFFIXES, "multiplicities"])
def test_little_memory(case, suffix, tmp_path):
    graph = large_graphs()[case]
    graph.reach  # noqa: B018, what is known about the network belongs to the graph
    assert graph.n_links > 1_500_000
    small = ed.line_graph(residual())
    for size in (small, graph):  # the first call loads modules and compiled functions
        tracemalloc.start()
        if suffix == "multiplicities":
            export.write_npz(tmp_path / "gb.npz", size, "multiplicities")
        else:
            export.write(tmp_path / f"gb{suffix}", size)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 12 * graph.n_links / 4  # a quarter of the matrix


# Whole or not at all -----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left")])
def test_an_interrupt_leaves_nothing_half_written(suffix, older, error, tmp_path, monkeypatch):
    names = [f"gb{suffix}", *(["gb.nodes.csv"] if suffix == ".csv" else [])]
    for name in names if older else []:
        (tmp_path / name).write_bytes(b"older")

    def interrupted(*arguments):
        yield next(row_pieces(*arguments))
        raise error

    monkeypatch.setattr(export, "PIECE", 20)
    monkeypatch.setattr(export, "row_pieces", interrupted)
    with pytest.raises(type(error)):
        export.write(tmp_path / f"gb{suffix}", GRAPHS["perceptron"])
    assert sorted(p.name for p in tmp_path.iterdir()) == (sorted(names) if older else [])
    assert all(p.read_bytes() == b"older" for p in tmp_path.iterdir())


@pytest.mark.parametrize(
    "suffix", [s if s == ".csv" else pytest.param(s, marks=pytest.mark.slow) for s in SUFFIXES]
)
def test_a_disk_that_takes_no_more(suffix, tmp_path):
    pytest.importorskip("resource")
    code = (
        "import resource, sys, edgedyn as ed\n"
        "from edgedyn.linegraph.export import write\n"
        "gb = ed.line_graph([30, 40, 30], bias=True)\n"
        "gb.to_scipy('multiplicities')\n"  # compiles, which may write files, too
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try: write(sys.argv[1], gb)\n"
        "except OSError as error: print(type(error).__name__)"
    )
    command = [sys.executable, "-W", "error", "-c", code, str(tmp_path / f"gb{suffix}")]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (run.stdout.strip(), run.stderr) == ("OSError", "")
    assert list(tmp_path.iterdir()) == []


def test_both_tables_of_a_csv_appear_or_none(tmp_path, monkeypatch):
    (tmp_path / "gb.nodes.csv").mkdir()  # which cannot be replaced by a file
    with pytest.raises(OSError):
        export.write_csv(tmp_path / "gb.csv", GRAPHS["perceptron"])
    assert [p.name for p in tmp_path.iterdir()] == ["gb.nodes.csv"]


# Drawings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["perceptron", "cnn", "residual"])
def test_drawings_replace_one_another(name, tmp_path):
    for _ in range(2):
        write_line_graph(tmp_path / "gb.svg", GRAPHS[name])
        write_line_graph(tmp_path / "gb.html", GRAPHS[name])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["gb.html", "gb.svg"]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".pdf"])
def test_drawings_have_suffixes_of_their_own(suffix, tmp_path):
    with pytest.raises(ValueError, match=rf"must end in one of \.png.*got 'gb{suffix}'"):
        write_line_graph(tmp_path / f"gb{suffix}", ed.line_graph([2, 2]))
