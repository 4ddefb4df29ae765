"""Figures: what the artists hold, not pixels."""

import numpy as np
import pytest
from matplotlib.figure import Figure

import edgedyn as ed
from edgedyn.report import figures


@pytest.fixture
def ax():
    return Figure().subplots()


def test_graphs_show_every_neuron_node_and_link(ax):
    gb = ed.line_graph([3, 4, 2])
    links = list(gb.to_networkx().edges())
    assert figures.line_graph(ax, gb.sizes, links) is ax
    assert len(ax.collections[0].get_offsets()) == gb.n_nodes
    assert len(ax.texts) == gb.n_links  # annotations carry the arrows
    other = figures.neuron_graph(Figure().subplots(), gb.sizes)
    assert sum(len(c.get_offsets()) for c in other.collections) == 9
    assert len(other.texts) == gb.n_nodes


def test_nodes_of_a_layer_do_not_coincide(ax):
    gb = ed.line_graph([3, 4, 2])
    figures.line_graph(ax, gb.sizes, [])
    places = np.round(ax.collections[0].get_offsets(), 6)
    assert len({tuple(p) for p in places.tolist()}) == gb.n_nodes


def test_curves_count_epochs_from_one(ax):
    figures.curves(ax, {"a": [0.1, 0.2, 0.3]}, "accuracy", observed=2)
    np.testing.assert_array_equal(ax.lines[0].get_xdata(), [1, 2, 3])
    assert ax.get_xlabel() == "epoch"


def test_the_fit_shows_both_ends_at_zero(ax):
    line = (np.linspace(0, 1, 5), np.linspace(0.9, 0.5, 5), np.full(5, 0.1))
    figures.accuracy_fit(ax, [0.8, 0.6], [0.6, 0.7], line, truth=0.95)
    marks = {m.get_label(): m.get_ydata()[0] for m in ax.lines if len(m.get_xdata()) == 1}
    assert marks == {"predicted 0.900": 0.9, "true 0.950": 0.95}


def test_predictions_outside_the_unit_interval_are_marked(ax):
    figures.predicted_against_true(ax, [0.5, 1.7, -2.0], [0.6, 0.7, 0.8], "x")
    outside = next(m for m in ax.lines if m.get_label() == "outside [0, 1]")
    np.testing.assert_array_equal(outside.get_ydata(), [1.0, 0.0])


def test_layers_are_joined_by_one_arc_a_pair(ax):
    names = ["a", "cost $x", "c\x0b"]  # dollars and control characters are text like any other
    figures.layer_links(ax, names, [4, 400, 4], [(1, 2, 10), (2, 3, 10), (1, 3, 1000)])
    arcs = [line for line in ax.lines if len(line.get_xdata()) > 2]
    tops = [line.get_ydata().max() for line in arcs]
    np.testing.assert_allclose(tops, [0.5, 0.5, 1.0], rtol=1e-2)
    assert [t.get_text() for t in ax.get_xticklabels()] == ["a\n4", "cost \\$x\n400", "c?\n4"]
    ax.figure.canvas.draw()


def test_a_graph_without_links_is_drawn(ax):
    figures.layer_links(ax, ["only"], [5], [])
    none = (np.array([0]), np.array([5]))
    figures.degree_distribution(ax.figure.add_subplot(), none, none)
    ax.figure.canvas.draw()


def test_the_degree_distribution_is_the_share_of_nodes_at_or_above(ax):
    figures.degree_distribution(ax, ([0, 2, 4], [5, 3, 2]), ([1], [10]))
    into, out = ax.lines[0], ax.lines[1]
    np.testing.assert_allclose(into.get_xdata(), [2, 4])
    np.testing.assert_allclose(into.get_ydata(), [0.5, 0.2])
    np.testing.assert_allclose(out.get_ydata(), [1.0])
