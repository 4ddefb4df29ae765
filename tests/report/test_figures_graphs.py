"""Figures of graphs: places, links and shares, as the artists hold them."""

import numpy as np
import pytest
from matplotlib.collections import EllipseCollection
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

import edgedyn as ed
from edgedyn.report import figures

SIZES = [[3, 4, 2], [4, 4, 4], [1, 1], [5, 1, 5], [2, 7, 3, 6]]


@pytest.fixture
def ax():
    return Figure().subplots()


def discs(ax):
    """Places of all discs, one array a kind: neurons behind, nodes in front."""
    found = [c for c in ax.collections if isinstance(c, EllipseCollection)]
    return [np.asarray(c.get_offsets()) for c in sorted(found, key=lambda c: c.get_zorder())]


def arrows(ax):
    """Tails and heads of all arrows."""
    found = next(c for c in ax.collections if isinstance(c, Quiver))
    tails = np.column_stack([found.X, found.Y])
    return tails, tails + np.column_stack([found.U, found.V])


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_nodes_of_the_line_graph_are_at_the_middles_of_the_weights(ax, sizes):
    gb = ed.line_graph(sizes)
    (neurons,) = discs(figures.neuron_graph(ax, sizes))
    behind, nodes = discs(figures.line_graph(Figure().subplots(), sizes, []))
    np.testing.assert_array_equal(behind, neurons)
    first = np.concatenate([[0], np.cumsum(sizes)])
    assert len(neurons) == first[-1] and len(nodes) == gb.n_nodes
    for k, place in enumerate(nodes):
        layer, (i, j) = gb.index.locate(k)
        ends = neurons[[first[layer - 1] + j, first[layer] + i]]
        np.testing.assert_allclose(place, ends.mean(axis=0), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_no_two_nodes_coincide(ax, sizes):
    _, nodes = discs(figures.line_graph(ax, sizes, []))
    apart = np.hypot(*(nodes[:, None] - nodes[None]).transpose(2, 0, 1))
    assert apart[~np.eye(len(nodes), dtype=bool)].min(initial=1.0) > 0.1


def test_an_arrow_a_weight_and_a_link_in_their_directions(ax):
    gb = ed.line_graph([3, 4, 2])
    tails, heads = arrows(figures.neuron_graph(ax, gb.sizes))
    assert len(tails) == gb.n_nodes
    assert (tails[:, 0] < heads[:, 0]).all()
    links = np.array(list(gb.to_networkx().edges()))
    other = figures.line_graph(Figure().subplots(), gb.sizes, links)
    _, nodes = discs(other)
    tails, heads = arrows(other)
    assert (tails[:, 0] > heads[:, 0]).all()  # gradients flow backwards
    for k, (source, target) in enumerate(links):
        for end, node in ((tails[k], source), (heads[k], target)):
            assert np.argmin(np.hypot(*(nodes - end).T)) == node
    assert ax.get_xlim() == other.get_xlim() and ax.get_ylim() == other.get_ylim()


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_everything_is_inside_the_axes(ax, sizes):
    (neurons,) = discs(figures.neuron_graph(ax, sizes))
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    assert (neurons > [left, low]).all() and (neurons < [right, high]).all()
    ax.figure.canvas.draw()


@pytest.mark.parametrize(
    "sizes, links, error, words",
    [
        ([3], [], ValueError, "input and an output"),
        ([3, 0], [], ValueError, "at least 1"),
        ([3, 2.5], [], TypeError, "integer"),
        ([3, 2], [(0, 6)], ValueError, r"nodes 0\.\.5"),
        ([3, 2], [(-1, 2)], ValueError, r"got -1\.\.2"),
        ([3, 2], [(0, 1, 2)], ValueError, "pairs of node numbers"),
        ([3, 2], [(0.5, 1)], ValueError, "pairs of node numbers"),
    ],
)
def test_wrong_graphs_are_refused(ax, sizes, links, error, words):
    with pytest.raises(error, match=words):
        figures.line_graph(ax, sizes, links)


def test_layers_are_joined_by_one_arc_a_pair(ax):
    names = ["a", "cost $x", "c\x0b"]  # dollars and control characters are text like any other
    figures.layer_links(ax, names, [4, 400, 4], [(1, 2, 10), (2, 3, 10), (1, 3, 1000)])
    arcs = [line for line in ax.lines if len(line.get_xdata()) > 2]
    ends = [(line.get_xdata()[0], line.get_xdata()[-1]) for line in arcs]
    np.testing.assert_allclose(ends, [(1, 2), (2, 3), (1, 3)])
    np.testing.assert_allclose([line.get_ydata().max() for line in arcs], [0.5, 0.5, 1.0])
    widths = [line.get_linewidth() for line in arcs]
    assert widths[0] == widths[1] < widths[2]
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a\n4", "cost \\$x\n400", "c?\n4"]
    assert [t.get_text() for t in ax.texts if t.get_text()] == ["10", "10", "1 k"]
    ax.figure.canvas.draw()


def test_a_deep_network_has_arcs_and_no_names(ax):
    n = 60
    links = [(k, k + 1, 10) for k in range(1, n)]
    figures.layer_links(ax, [str(k) for k in range(n)], [5] * n, links)
    assert len(ax.lines) == n - 1 and not ax.texts
    assert ax.get_xlabel() == "layer"


def test_a_graph_without_links_is_drawn(ax):
    figures.layer_links(ax, ["only"], [5], [])
    other = ax.figure.add_subplot()
    none = (np.array([0]), np.array([5]))
    figures.degree_distribution(other, none, none)
    assert [text.get_text() for text in other.texts] == ["no links"]
    ax.figure.canvas.draw()


def test_wrong_layers_are_refused(ax):
    with pytest.raises(ValueError, match="n_nodes must have 2 values"):
        figures.layer_links(ax, ["a", "b"], [1], [])
    with pytest.raises(ValueError, match="n_nodes is empty"):
        figures.layer_links(ax, [], [], [])
    for link in ((0, 1, 5), (1, 3, 5), (2, 1, 5)):
        with pytest.raises(ValueError, match=r"1 <= target <= source <= 2"):
            figures.layer_links(ax, ["a", "b"], [1, 1], [link])


def test_the_degree_distribution_is_the_share_of_nodes_at_or_above(ax):
    figures.degree_distribution(ax, ([0, 2, 4], [5, 3, 2]), ([1], [10]))
    into, out = ax.lines[0], ax.lines[1]
    np.testing.assert_allclose(into.get_xdata(), [2, 4])
    np.testing.assert_allclose(into.get_ydata(), [0.5, 0.2])
    np.testing.assert_allclose(out.get_ydata(), [1.0])
    assert into.get_color() != out.get_color() and into.get_linestyle() != out.get_linestyle()


def test_wrong_degrees_are_refused(ax):
    with pytest.raises(ValueError, match="counts of in-degrees must have 2 values"):
        figures.degree_distribution(ax, ([1, 2], [3]), ([1], [4]))
    with pytest.raises(ValueError, match="out-degrees is empty"):
        figures.degree_distribution(ax, ([1], [4]), ([], []))


@pytest.mark.parametrize(
    "n, words", [(0, "0"), (999, "999"), (1000, "1 k"), (25_088, "25.1 k"), (1.2e13, "12 T")]
)
def test_short_counts(n, words):
    assert figures.short(n) == words
