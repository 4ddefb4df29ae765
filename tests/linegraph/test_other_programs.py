"""Graphs as networkx, igraph, Gephi and Cytoscape take them: names, places, numbers, no tuples."""

import warnings
from itertools import pairwise

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import networks
from scipy.sparse import load_npz
from test_export import GRAPHS, check_graph, read_csv

import edgedyn as ed
from edgedyn.linegraph import export, pos

WRITERS = {
    "graphml": (nx.write_graphml, lambda path: nx.read_graphml(path, node_type=int)),
    "gexf": (nx.write_gexf, lambda path: nx.read_gexf(path, node_type=int)),
    "gml": (nx.write_gml, lambda path: nx.read_gml(path, label="id")),
}


def weighted(strength="magnitude"):
    net = ed.ReLUMLP.random([4, 5, 4, 3], seed=0)
    X = np.random.default_rng(0).standard_normal((30, 4))
    return net.interaction(X, np.arange(30) % 3, strength=strength, nodes="all")


EXAMPLES = GRAPHS | {"magnitude": weighted(), "signed": weighted("signed")}


@pytest.fixture(params=EXAMPLES.values(), ids=EXAMPLES)
def graph(request):
    return request.param


@pytest.mark.parametrize("suffix", WRITERS)
def test_networkx_writes_them_and_reads_them_back(suffix, graph, tmp_path):
    write, read = WRITERS[suffix]
    expected = graph.to_networkx()
    for _, data in expected.nodes(data=True):
        name = data["layer_name"].replace("\x0b", "?")  # networkx knows nothing of XML's rules
        data["layer_name"] = name.replace("\r", "")
    write(expected, tmp_path / f"gb.{suffix}")
    found = read(tmp_path / f"gb.{suffix}")
    if suffix == "gml":  # networkx's own label, the number, goes there
        for node, data in found.nodes(data=True):
            data["label"] = data["name"]
            assert expected.nodes[node]["label"] == data["label"]
    check_graph(found, expected)


def test_nodes_have_distinct_names_and_places(graph):
    found = graph.to_networkx()
    index = getattr(graph, "graph", graph).index
    for name in ("label", "name"):
        assert len(set(nx.get_node_attributes(found, name).values())) == len(found)
    places = pos(found)
    assert len(set(places.values())) == len(found)
    assert {type(v) for _, data in found.nodes(data=True) for v in data.values()} <= {
        str,
        int,
        float,
    }
    for node, data in found.nodes(data=True):
        layer, position = index.locate(node)
        assert (data["layer"], data["layer_name"]) == (layer, index.name(layer))
        assert data["kind"] == ("bias" if position[0] == "bias" else "kernel")
        numbers = [p for p in position if p != "bias"]
        assert [data[f"position{k}"] for k in range(len(numbers))] == numbers
        assert f"position{len(numbers)}" not in data
    layers = {data["x"]: data["layer"] for _, data in found.nodes(data=True)}
    assert [layers[x] for x in sorted(layers)] == list(range(1, index.n_layers + 1))


@pytest.mark.parametrize("strength", ["magnitude", "signed"])
def test_weighted_graphs_in_all_formats(strength, tmp_path):
    P = weighted(strength)
    dense = P.operator @ np.eye(P.graph.n_nodes)
    for suffix in export.EXPORT_SUFFIXES:
        export.write(tmp_path / f"P{suffix}", P)
    for read, name in ((nx.read_graphml, "P.graphml"), (nx.read_gexf, "P.gexf")):
        found = read(tmp_path / name, node_type=int)
        check_graph(found, P.to_networkx())
        table = nx.to_numpy_array(found, nodelist=range(len(dense)), weight="weight")
        np.testing.assert_allclose(table.T, dense, rtol=1e-12, atol=1e-15)
        assert ed.reduce(found).beta_eff == pytest.approx(ed.reduce(P).beta_eff, rel=1e-9)
    np.testing.assert_allclose(
        load_npz(tmp_path / "P.npz").toarray(), dense, rtol=1e-12, atol=1e-15
    )
    header, *rows = read_csv(tmp_path / "P.csv")
    assert header == ["source", "target", "multiplicity", "weight"]
    for source, target, _, weight in rows:
        assert float(weight) == pytest.approx(dense[int(target), int(source)], rel=1e-12, abs=1e-15)


def test_the_reduction_of_a_graph_read_back_is_that_of_the_line_graph(tmp_path):
    gb = GRAPHS["cnn"]
    export.write(tmp_path / "gb.graphml", gb)
    for found in (gb.to_networkx(), nx.read_graphml(tmp_path / "gb.graphml")):
        assert ed.reduce(found).beta_eff == pytest.approx(ed.reduce(gb).beta_eff, rel=1e-12)


def test_igraph_reads_them(graph, tmp_path):
    igraph = pytest.importorskip("igraph", reason="igraph is not installed: pip install igraph")
    expected = graph.to_networkx()
    export.write(tmp_path / "gb.graphml", graph)
    nx.write_gml(expected, tmp_path / "gb.gml")
    with warnings.catch_warnings():  # igraph leaves networkx's spelling of W₁ in GML as it is
        warnings.filterwarnings("ignore", "One or more unknown entities", RuntimeWarning)
        from_gml = igraph.Graph.Read_GML(str(tmp_path / "gb.gml"))
    from_graphml = igraph.Graph.Read_GraphML(str(tmp_path / "gb.graphml"))
    for found in (from_graphml, from_gml):
        assert found.is_directed() and found.vcount() == len(expected)
        edges = {edge.tuple: (edge["weight"], edge["multiplicity"]) for edge in found.es}
        assert edges == {
            (a, b): (d["weight"], d["multiplicity"]) for a, b, d in expected.edges(data=True)
        }
        for node, data in expected.nodes(data=True):
            for name in ("layer", "kind", "position0", "x", "y"):
                assert found.vs[node][name] == data[name]
    assert from_graphml.vs["name"] == list(nx.get_node_attributes(expected, "name").values())


# Layer by layer ----------------------------------------------------------------------------------


def by_links(gb):
    """Return the sums over the links, added one by one."""
    into, index = gb.in_degree(), gb.index
    found = {}
    matrix = gb.to_scipy("multiplicities", dtype=np.int64).tocoo()
    for target, source, paths in zip(matrix.row, matrix.col, matrix.data, strict=True):
        pair = (index.locate(int(source)).layer, index.locate(int(target)).layer)
        links, several, product = found.get(pair, (0, 0, 0))
        found[pair] = (links + 1, several + int(paths), product + int(into[source]))
    return found


def check_layers(gb):
    graph = gb.layer_graph()
    expected = by_links(gb)
    total = sum(product for *_, product in expected.values())
    assert set(graph.edges()) == set(expected)
    for pair, (links, several, product) in expected.items():
        data = graph.edges[pair]
        assert (data["links"], data["weight"], data["multiplicity"]) == (links, links, several)
        assert data["link_share"] == pytest.approx(links / gb.n_links)
        assert data["beta_share"] == pytest.approx(product / total if total else 0.0)
    assert [data["n_nodes"] for _, data in graph.nodes(data=True)] == [
        gb.index.layer_nodes(k) for k in range(1, gb.n_layers + 1)
    ]
    if total:
        assert sum(nx.get_node_attributes(graph, "beta_share").values()) == pytest.approx(1)
        assert gb.beta_eff == pytest.approx(total / gb.n_links)


@pytest.mark.parametrize("gb", GRAPHS.values(), ids=GRAPHS)
def test_layers_sum_up_the_links(gb):
    check_layers(gb)


@settings(deadline=None, max_examples=30)
@given(networks(), st.sampled_from(["kernels", "all"]))
def test_layers_of_random_networks_sum_up_the_links(network, nodes):
    check_layers(ed.line_graph(network, nodes=nodes))


@pytest.mark.parametrize("suffix", export.LAYER_SUFFIXES)
def test_layers_are_written_and_read_back(suffix, tmp_path):
    gb = GRAPHS["residual"]
    expected = gb.layer_graph()
    export.write_layers(tmp_path / f"layers{suffix}", gb)
    found = WRITERS[suffix[1:]][1](tmp_path / f"layers{suffix}")
    found = nx.relabel_nodes(found, nx.get_node_attributes(found, "layer"))  # GML has own numbers
    assert set(found.edges()) == set(expected.edges())
    for edge in expected.edges():
        assert expected.edges[edge].items() <= found.edges[edge].items()
    for node, data in expected.nodes(data=True):
        assert found.nodes[node]["n_nodes"] == data["n_nodes"]
        name = data["name"].replace("\x0b", "\ufffd").replace("\r", "")  # as networkx writes it
        assert found.nodes[node]["name"].replace("\r", "") == name
    assert pos(found) == pos(expected)
    assert [p.name for p in tmp_path.iterdir()] == [f"layers{suffix}"]


def test_layers_of_one_name_are_told_apart():
    network = ed.linegraph.Network(3)
    tensor = network.input
    for n in (4, 5, 2):
        tensor = network.add(ed.linegraph.Dense(n), tensor, name="dense" if n != 2 else "")
    names = nx.get_node_attributes(ed.line_graph(network).layer_graph(), "name")
    assert list(names.values()) == ["dense (1)", "dense (2)", "layer 3"]


def test_graphs_of_layers_have_suffixes_of_their_own(tmp_path):
    with pytest.raises(ValueError, match=r"\.graphml, \.gexf, \.gml; got 'layers.npz'"):
        export.write_layers(tmp_path / "layers.npz", GRAPHS["cnn"])


def test_layers_of_vgg16_s_classifier_by_hand():
    """Its billions of links are counted by products of widths."""
    sizes = [25088, 4096, 4096, 1000]
    graph = ed.line_graph(sizes).layer_graph()
    expected = [a * b * c for a, b, c in zip(sizes, sizes[1:], sizes[2:], strict=False)]
    assert [graph.edges[k + 1, k]["links"] for k in (1, 2)] == expected
    assert [graph.nodes[k]["n_nodes"] for k in (1, 2, 3)] == [a * b for a, b in pairwise(sizes)]


def test_too_many_links_name_the_graph_of_layers(tmp_path):
    with pytest.raises(ValueError, match="layer_graph\\(\\) for one node a layer"):
        export.write(tmp_path / "gb.gexf", ed.line_graph([25088, 4096, 4096, 1000]))
