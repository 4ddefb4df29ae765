"""Pages about line graphs: what they hold, what they refuse."""

import re

import networkx as nx
import numpy as np
import pytest
from graph_cases import GRAPHS, LAYERS, MARKUP, cnn, perceptron, residual
from hypothesis import given, note, settings
from hypothesis import strategies as st
from linegraph.random_networks import describe as describe_network
from linegraph.random_networks import networks
from page_reader import Reader, data_of

import edgedyn as ed
from edgedyn.linegraph import Conv2D, Network
from edgedyn.report.files import write_line_graph
from edgedyn.report.linegraph import page as pages
from edgedyn.report.linegraph.channels import describe, kernel_ends, layer_geometries
from edgedyn.report.linegraph.page import graph_page


@pytest.fixture(params=GRAPHS.values(), ids=GRAPHS)
def graph(request):
    return request.param


@pytest.fixture
def by_layer(monkeypatch):
    """Pretend that nothing is small enough to be drawn weight by weight."""
    monkeypatch.setattr(pages, "MOST_DRAWN_NODES", 0)


def links_of(data):
    return list(zip(data["links"]["source"], data["links"]["target"], strict=True))


# Weight by weight --------------------------------------------------------------------------------


def test_nodes_and_links_are_the_graph_s(graph):
    data = data_of(graph_page(graph))
    expected = graph.to_networkx()
    assert len(data["edges"]) == len(data["labels"]) == graph.n_nodes
    assert sorted(links_of(data)) == sorted(expected.edges())
    found = data["links"]["multiplicity"] or [1] * graph.n_links
    paths = nx.get_edge_attributes(expected, "multiplicity")
    assert dict(zip(links_of(data), found, strict=True)) == paths
    for k, layer in enumerate(data["layers"], start=1):
        nodes = graph.index.layer_slice(k)
        assert (layer["first"], layer["size"]) == (nodes.start, nodes.stop - nodes.start)
        assert layer["name"] == graph.index.name(k)


def test_labels_hold_the_positions(graph):
    for node, label in enumerate(data_of(graph_page(graph))["labels"]):
        symbol, rest = label.split("[")
        layer, position = graph.index.locate(node)
        assert symbol[1:] == "".join("₀₁₂₃₄₅₆₇₈₉"[int(c)] for c in str(layer))
        assert (symbol[0] in "bβ") == (position[0] == "bias")
        assert rest == ", ".join(str(p) for p in position if p != "bias") + "]"


def test_the_edges_of_a_perceptron_are_those_of_its_network():
    graph = GRAPHS["biases"]
    data = data_of(graph_page(graph))
    expected = {k: (a, b) for a, b, k in graph.ga().edges(data="id")}
    columns = sorted({vertex[0] for vertex in data["vertices"]})

    def neuron(number):
        """(layer, i) by place: columns are layers, the constant is the lowest of the others."""
        x, y, _, kind, _ = data["vertices"][number]
        layer = columns.index(x)
        same = sorted(v[1] for v in data["vertices"] if v[0] == x and v[3] == "neuron")
        return (layer + 1, "bias") if kind == "constant" else (layer, same.index(y))

    for k, (*_, start, end, bent) in enumerate(data["edges"]):
        assert (neuron(start), neuron(end)) == expected[k]
        assert not bent


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_kernel_entries_connect_the_channels_that_the_links_say(layer):
    # Between two pointwise layers an entry is linked to what enters its input channel and to what
    # leaves its output channel, and to nothing else.
    pointwise = [Conv2D(n, 1, bias=False) for n in (4, 2)]
    network = Network.sequential((5, 5, 3), [pointwise[0], layer, pointwise[1]])
    graph = ed.line_graph(network, nodes="all")
    before, geometry, after = layer_geometries(graph)
    ends, first, last = map(kernel_ends, (geometry, before, after))
    into, out = (graph.block(k, k + 1).toarray() > 0 for k in (1, 2))
    np.testing.assert_array_equal(into, first.target[:, None] == ends.source)
    np.testing.assert_array_equal(out, ends.target[:, None] == last.source)
    assert ends.taps == (*[1] * (2 - len(geometry.taps)), *geometry.taps)
    kernel = np.zeros(ends.taps, int)
    np.add.at(kernel, tuple(ends.tap.T), 1)
    assert (kernel == len(ends.source) / kernel.size).all()
    assert str(geometry.n_out) in describe(geometry)


def test_drawings_hold_together(graph):
    data = data_of(graph_page(graph))
    check_that_linked_weights_meet(data)
    check_places(data)


def check_that_linked_weights_meet(data):
    """They meet in one vertex, or at both ends of a path without weights."""
    joints = {tuple(joint) for joint in data["joints"]}
    for source, target in links_of(data):
        end, start = data["edges"][target][3], data["edges"][source][2]
        assert end == start or (end, start) in joints


@settings(deadline=None, max_examples=40)
@given(networks(), st.sampled_from(["kernels", "all"]))
def test_random_networks_are_drawn(network, nodes):
    note(describe_network(network))
    graph = ed.line_graph(network, nodes=nodes)
    page = graph_page(graph)
    if graph.n_links <= 10_000 and graph.n_nodes <= 2_000:
        data = data_of(page)
        check_that_linked_weights_meet(data)
        check_places(data)


def check_places(data):
    for places in (data["edges"], data["vertices"]):
        spots = [tuple(place[:2]) for place in places]
        assert len(set(spots)) == len(spots)
        assert all(0 < x < data["width"] and 0 < y < data["height"] for x, y in spots)
    for x, _, start, end, _ in data["edges"]:
        assert data["vertices"][start][0] < x < data["vertices"][end][0]


def test_nodes_lie_by_the_middles_of_their_edges():
    data = data_of(graph_page(ed.line_graph([6, 7, 5])))
    for x, y, start, end, _ in data["edges"]:
        (xa, ya, *_), (xb, yb, *_) = data["vertices"][start], data["vertices"][end]
        assert abs(y - (ya + yb) / 2) < 0.02
        assert abs(x - (xa + xb) / 2) < 0.34 * (xb - xa)


@pytest.mark.parametrize("strength", ["magnitude", "signed"])
def test_strengths_and_values(strength):
    interaction, values = perceptron(strength)
    data = data_of(page := graph_page(interaction, values))
    dense = interaction.operator @ np.eye(interaction.graph.n_nodes)
    expected = [dense[target, source] for source, target in links_of(data)]
    np.testing.assert_allclose(data["links"]["strength"], expected, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(data["values"], values)
    assert "30 samples" in page and ("below 0 in orange" in page) == (strength == "signed")
    assert data_of(graph_page(interaction.graph))["links"]["strength"] is None


def test_the_table_holds_every_node():
    graph = cnn()
    page = graph_page(graph)
    assert page.count("<tr>") == 1 + graph.n_nodes
    rows = re.findall(r"<td>(\d+)</td><td>(\d+)</td></tr>", page)
    degrees = np.array(rows, int)
    np.testing.assert_array_equal(degrees[:, 0], graph.in_degree())
    np.testing.assert_array_equal(degrees[:, 1], graph.out_degree())


def test_the_number_below_the_title_is_explained_where_there_is_one():
    words = "the neural capacitance, sums up"
    assert words in graph_page(ed.line_graph([4, 5, 3]))
    assert words not in graph_page(ed.line_graph([4, 5]))


def test_a_name_is_text():
    for graph in (residual(MARKUP), ed.line_graph([100, 100, 100])):
        page = graph_page(graph, name=MARKUP)
        tags = [tag for tag, _ in Reader(page).elements]
        assert "img" not in tags and tags.count("script") == 4  # D3, two of ours, data
    assert data_of(graph_page(residual(MARKUP)))["layers"][1]["name"] == MARKUP


def test_nothing_points_out_of_a_page(graph):
    for _, attributes in Reader(graph_page(graph)).elements:
        assert not {"src", "href", "srcset", "action", "style"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)


# Layer by layer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "drawn"),
    [([20, 25, 20], True), ([20, 25, 21], False), ([40, 50], True), ([40, 51], False)],
)
def test_what_is_drawn_weight_by_weight(sizes, drawn):
    graph = ed.line_graph(sizes)
    assert drawn == (graph.n_links <= 10_000 and graph.n_nodes <= 2_000)
    page = graph_page(graph)
    assert ("labels" in data_of(page)) == drawn
    assert ("shown layer by layer" in page) != drawn
    assert page.count("<tr>") == 1 + (graph.n_nodes if drawn else graph.n_layers)


def test_layers_and_the_links_between_them(graph, by_layer):
    data = data_of(graph_page(graph))
    into, out = graph.in_degree(), graph.out_degree()
    blocks = {(a - 1, b - 1): block.nnz for a, b, block in graph.blocks()}
    assert {(a, b): n for a, b, n, _ in data["pairs"]} == blocks
    for k, layer in enumerate(data["layers"], start=1):
        nodes = graph.index.layer_slice(k)
        assert layer["links_in"] == f"{into[nodes].sum():,}"
        assert layer["mean_in"] == pytest.approx(into[nodes].mean(), rel=1e-12)
        assert layer["mean_out"] == pytest.approx(out[nodes].mean(), rel=1e-12)
    for way, degrees in (("in", into), ("out", out)):
        wanted = [[d, (degrees >= d).mean()] for d in np.unique(degrees[degrees > 0]).tolist()]
        np.testing.assert_allclose(data["degrees"][way], wanted or [], rtol=1e-12)


def test_layers_strengths(by_layer):
    interaction, _ = perceptron()
    data = data_of(graph_page(interaction))
    dense = interaction.operator @ np.eye(interaction.graph.n_nodes)
    for k, layer in enumerate(data["layers"], start=1):
        nodes = interaction.graph.index.layer_slice(k)
        assert layer["strength_in"] == pytest.approx(dense[nodes].sum(), rel=1e-12)
        assert layer["strength_out"] == pytest.approx(dense[:, nodes].sum(), rel=1e-12)


def test_many_different_degrees_are_thinned_out():
    degrees, counts = np.arange(5001), np.ones(5001, int)
    shares = pages._shares(degrees, counts)
    assert len(shares) <= pages.MOST_DEGREES
    assert shares[-1] == (5000, pytest.approx(1 / 5001))
    assert all(share == pytest.approx((5001 - d) / 5001) for d, share in shares)


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [np.ones(34), np.ones((35, 1)), np.full(35, np.nan), 1.0])
def test_values_that_do_not_fit(values, tmp_path):
    with pytest.raises(ValueError, match="one finite number for each of the 35 nodes"):
        write_line_graph(tmp_path / "gb.html", GRAPHS["perceptron"], values=values)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_pictures_show_no_strengths(suffix, tmp_path):
    interaction, values = perceptron()
    for graph, numbers in ((interaction, None), (interaction.graph, values)):
        with pytest.raises(ValueError, match=rf"on \.html pages only; got 'gb\.{suffix}'"):
            write_line_graph(tmp_path / f"gb.{suffix}", graph, values=numbers)
    assert list(tmp_path.iterdir()) == []
