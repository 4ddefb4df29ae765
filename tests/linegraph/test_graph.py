"""The line graph of MLPs against networkx's line graph of the neuron graph."""

import subprocess
import sys
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgedyn as ed
from edgedyn.linegraph._kernels import copy_patterns
from edgedyn.linegraph.matrix import index_dtype, structure


@st.composite
def perceptrons(draw):
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=5))
    n_layers = len(sizes) - 1
    return sizes, draw(st.lists(st.booleans(), min_size=n_layers, max_size=n_layers))


def neuron_graph(sizes, bias):
    """G_A built here from its definition; edges numbered in the documented order."""
    graph, number = nx.DiGraph(), 0
    for layer in range(1, len(sizes)):
        for i in range(sizes[layer]):
            for j in range(sizes[layer - 1]):
                graph.add_edge((layer - 1, j), (layer, i), id=number)
                number += 1
        for i in range(sizes[layer] if bias[layer - 1] else 0):
            graph.add_edge((layer, "bias"), (layer, i), id=number)
            number += 1
    return graph


def networkx_links(graph):
    """(source, target) of the reversed line graph by networkx."""
    number = nx.get_edge_attributes(graph, "id")
    return {(number[b], number[a]) for a, b in nx.line_graph(graph).edges()}


@settings(deadline=None, max_examples=150)
@given(perceptrons())
def test_directed_links_and_degrees_equal_networkx(case):
    sizes, bias = case
    gb = ed.line_graph(sizes, bias=bias)
    expected = networkx_links(neuron_graph(sizes, bias))
    P = gb.to_scipy()
    coo = P.tocoo()
    assert set(zip(coo.col.tolist(), coo.row.tolist(), strict=True)) == expected
    assert P.nnz == gb.n_links == len(expected)
    assert set(gb.to_networkx().edges()) == expected
    dense = P.toarray()
    np.testing.assert_array_equal(gb.in_degree(), dense.sum(axis=1))
    np.testing.assert_array_equal(gb.out_degree(), dense.sum(axis=0))
    graph = gb.to_networkx()
    np.testing.assert_array_equal(gb.in_degree(), [graph.in_degree(k) for k in range(gb.n_nodes)])
    assert set(gb.ga().edges(data="id")) == set(neuron_graph(sizes, bias).edges(data="id"))
    checked = P.copy()
    checked.has_canonical_format = False
    checked.sum_duplicates()
    np.testing.assert_array_equal(checked.indices, P.indices)
    np.testing.assert_array_equal(checked.indptr, P.indptr)


def test_numpy_route_of_networkx_has_the_orientation_of_P():
    gb = ed.line_graph([3, 2, 4])
    graph = gb.ga()
    number = nx.get_edge_attributes(graph, "id")
    line = nx.line_graph(graph)
    order = sorted(line.nodes(), key=number.__getitem__)
    np.testing.assert_array_equal(nx.to_numpy_array(line, nodelist=order), gb.to_scipy().toarray())


@settings(deadline=None, max_examples=60)
@given(perceptrons())
def test_blocks_tile_the_matrix(case):
    sizes, bias = case
    gb = ed.line_graph(sizes, bias=bias)
    rebuilt = np.zeros((gb.n_nodes, gb.n_nodes))
    for target, source, block in gb.blocks():
        assert source == target + 1
        rows, columns = gb.index.layer_slice(target), gb.index.layer_slice(source)
        rebuilt[rows, columns] = block.toarray()
    np.testing.assert_array_equal(rebuilt, gb.to_scipy().toarray())


@settings(deadline=None, max_examples=60)
@given(perceptrons())
def test_locate_and_id_are_inverse(case):
    index = ed.line_graph(case[0], bias=case[1]).index
    for node in range(index.n_nodes):
        assert index.id(*index.locate(node)) == node


def test_links_run_from_the_next_layer_backwards():
    gb = ed.line_graph([1, 1, 1])
    assert set(gb.to_networkx().edges()) == {(1, 0)}
    expected = {"layer": 2, "layer_name": "layer 2", "position": "0 0", "position1": 0}
    assert expected.items() <= gb.to_networkx().nodes[1].items()


def test_a_network_gives_kernels_or_all():
    net = ed.ReLUMLP.random([4, 5, 3], seed=0)
    assert ed.line_graph(net) == ed.line_graph([4, 5, 3])
    assert ed.line_graph(net, nodes="all") == ed.line_graph([4, 5, 3], bias=True)
    bare = ed.ReLUMLP.random([4, 5, 3], seed=0, bias=False)
    assert ed.line_graph(bare, nodes="all") == ed.line_graph([4, 5, 3])


def test_counts_are_exact_beyond_64_bits():
    gb = ed.line_graph([10**7] * 4)
    assert gb.n_nodes == 3 * 10**14
    assert gb.n_links == 2 * 10**21


def test_int64_once_2_to_the_31_is_passed():
    assert index_dtype(2**31 - 1, 5) == np.int32
    assert index_dtype(2**31, 5) == np.int64
    assert index_dtype(5, 2**31) == np.int64


@settings(deadline=None, max_examples=60)
@given(perceptrons())
def test_the_int64_route_gives_the_same_arrays(case):
    sizes, bias = case
    gb = ed.line_graph(sizes, bias=bias)
    P = gb.to_scipy()
    reach, kind = gb.reach, np.dtype(np.int64)
    indices, indptr = structure(reach.parameters, reach.blocks, gb.n_nodes, gb.n_links, 0, kind)
    assert indices.dtype == indptr.dtype == np.int64
    np.testing.assert_array_equal(indices, P.indices)
    np.testing.assert_array_equal(indptr, P.indptr)


def test_the_kernel_fills_int64_arrays_beyond_2_to_the_31():
    # Rows far down a large graph: 2^32 links before them, columns from 2^33.
    first, links = 2**33, 2**32
    columns, starts = np.array([first, first + 2, first + 1, first + 3]), np.array([0, 2, 4])
    indptr, indices = np.empty(4, np.int64), np.empty(8, np.int64)
    copy_patterns(np.array([0, 1, 0, 1], np.int32), starts, columns, links, indptr, indices)
    np.testing.assert_array_equal(indices, [first, first + 2, first + 1, first + 3] * 2)
    np.testing.assert_array_equal(indptr, [links + 2, links + 4, links + 6, links + 8])


def test_too_large_a_matrix_is_refused_with_its_bytes():
    gb = ed.line_graph([10**5] * 3)
    needed = 10**15 * 16 + (2 * 10**10 + 1) * 8
    with pytest.raises(ValueError, match=f"{needed:,} bytes"):
        gb.to_scipy()
    with pytest.raises(ValueError, match="max_bytes"):
        gb.block(1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int8])
def test_the_bytes_named_are_those_taken(dtype):
    gb = ed.line_graph([4, 5, 3], bias=True)
    P = gb.to_scipy(dtype=dtype)
    taken = P.data.nbytes + P.indices.nbytes + P.indptr.nbytes
    assert P.dtype == dtype
    assert gb.to_scipy(dtype=dtype, max_bytes=taken).nnz == gb.n_links
    with pytest.raises(ValueError, match=f"{taken:,} bytes, more than max_bytes={taken - 1:,};"):
        gb.to_scipy(dtype=dtype, max_bytes=taken - 1)


@pytest.mark.parametrize("degrees", ["in_degree", "out_degree"])
def test_too_many_degrees_are_refused_with_their_bytes(degrees):
    with pytest.raises(ValueError, match="would take 16,000,000,000,000 bytes"):
        getattr(ed.line_graph([10**6] * 3), degrees)()


def test_limits_are_integers():
    gb = ed.line_graph([4, 5, 3])
    with pytest.raises(TypeError, match="max_bytes must be an integer; got '4GB'"):
        gb.to_scipy(max_bytes="4GB")
    with pytest.raises(TypeError, match="max_links must be an integer"):
        gb.to_networkx(max_links=None)


def test_counting_does_not_overflow_by_default():
    P = ed.line_graph([1, 1, 300]).to_scipy()
    assert (P @ P.T)[0, 0] == 300


def test_too_large_for_networkx():
    with pytest.raises(ValueError, match="60 links, more than max_links=59"):
        ed.line_graph([4, 5, 3]).to_networkx(max_links=59)
    with pytest.raises(ValueError, match="1,000,000 nodes, more than max_links=100,000"):
        ed.line_graph([1000, 1000]).to_networkx()
    with pytest.raises(ValueError, match="35 edges"):
        ed.line_graph([4, 5, 3]).ga(max_links=34)


@pytest.mark.parametrize("bad", ["432", 5, None, object()])
def test_other_sources_are_named(bad):
    with pytest.raises(TypeError, match="accepts sizes such as"):
        ed.line_graph(bad)


def test_sizes_and_flags_of_a_network_are_checked():
    net = SimpleNamespace(sizes=(2, 2, 2), layer_biases=(True,))
    with pytest.raises(ValueError, match="bias must hold 2 times True or False"):
        ed.line_graph(net)


def test_options_of_the_other_kind_of_source():
    with pytest.raises(TypeError, match="nodes belongs to a network"):
        ed.line_graph([2, 2], nodes="all")
    with pytest.raises(TypeError, match="bias belongs to sizes"):
        ed.line_graph(ed.ReLUMLP.random([2, 2], seed=0), bias=True)
    with pytest.raises(ValueError, match="nodes must be one of"):
        ed.line_graph(ed.ReLUMLP.random([2, 2], seed=0), nodes="weights")


@pytest.mark.parametrize("bad", [[True], [1, 0], "no", 1])
def test_bias_flags(bad):
    with pytest.raises((TypeError, ValueError), match="bias must"):
        ed.line_graph([2, 2, 2], bias=bad)


@pytest.mark.parametrize("bad", [-1, 35, 10**9])
def test_nodes_out_of_range(bad):
    with pytest.raises(IndexError, match=r"numbered 0\.\.34"):
        ed.line_graph([4, 5, 3]).index.locate(bad)


@pytest.mark.parametrize(
    ("layer", "position", "error"),
    [
        (0, (0, 0), IndexError),
        (3, (0, 0), IndexError),
        (1, (5, 0), IndexError),
        (1, (0, 4), IndexError),
        (1, ("bias", 0), IndexError),
        (1, (0,), TypeError),
        (1, 3, TypeError),
        (1, (0.5, 1), TypeError),
        ("1", (0, 0), TypeError),
    ],
)
def test_positions_out_of_range(layer, position, error):
    with pytest.raises(error):
        ed.line_graph([4, 5, 3]).index.id(layer, position)


def test_node_numbers_are_integers():
    with pytest.raises(TypeError, match="must be an integer"):
        ed.line_graph([4, 5, 3]).index.locate(1.5)


def test_blocks_end_before_the_last_layer():
    with pytest.raises(IndexError, match=r"layer 2 receives links from layers \[\]"):
        ed.line_graph([4, 5, 3]).block(2)
    with pytest.raises(IndexError, match="no links lead from layer 1 to layer 2"):
        ed.line_graph([4, 5, 3]).block(2, 1)


@pytest.mark.parametrize(("layer", "error"), [(0, IndexError), (7, IndexError), ("a", TypeError)])
def test_the_refused_layer_is_named(layer, error):
    with pytest.raises(error, match=f"got {layer!r}"):
        ed.line_graph([4, 5, 3]).index.layer_slice(layer)


def test_describing_a_line_graph_loads_no_heavy_library():
    code = (
        "import sys, edgedyn as ed; gb = ed.line_graph([4, 5, 3]); gb.n_links, gb.in_degree();"
        "print([name for name in ('scipy', 'numba', 'networkx') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@settings(deadline=None, max_examples=60)
@given(perceptrons())
def test_unweighted_beta_eff_equals_its_definition(case):
    gb = ed.line_graph(case[0], bias=case[1])
    P = gb.to_scipy().toarray()
    ones = np.ones(len(P))
    if gb.n_links == 0:
        assert np.isnan(gb.beta_eff)
    else:
        np.testing.assert_allclose(gb.beta_eff, (ones @ P @ P @ ones) / (ones @ P @ ones))
