"""Line graphs of networks against brute force over neurons, and against cases counted by hand."""

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from random_networks import describe, networks, seeded_network
from unroller import node_names, unroll

import edgedyn as ed
from edgedyn.linegraph import (
    Add,
    Concatenate,
    Conv1D,
    Conv2D,
    Cropping,
    Dense,
    Flatten,
    GlobalPooling,
    Multiply,
    Network,
    Pooling,
    Reshape,
    Scale,
    ZeroPadding,
)

NODES = ("kernels", "all")


@st.composite
def cases(draw):
    """Return a line graph and its multiplicities by brute force."""
    network, nodes = draw(networks()), draw(st.sampled_from(NODES))
    note(f"nodes={nodes!r}\n{describe(network)}")
    return ed.line_graph(network, nodes=nodes), unroll(network, nodes)


def links(P):
    return (P > 0).astype(np.int64)


def expected_of(P, values):
    return links(P) if values == "links" else P


def check_matrices(network, nodes):
    gb, P = ed.line_graph(network, nodes=nodes), unroll(network, nodes)
    assert gb.n_nodes == len(P)
    assert gb.n_links == np.count_nonzero(P)
    for values in ("links", "multiplicities"):
        matrix = gb.to_scipy(values=values)
        np.testing.assert_array_equal(matrix.toarray(), expected_of(P, values))
        assert matrix.nnz == gb.n_links  # no explicit zeros


# Random networks ---------------------------------------------------------------------------------


@pytest.mark.slow
@settings(deadline=None, max_examples=350)
@given(networks())
def test_every_multiplicity_equals_brute_force(network):
    note(describe(network))
    for nodes in NODES:
        check_matrices(network, nodes)


@pytest.mark.parametrize(
    "chunk", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in range(1, 8))]
)
def test_seeded_networks_equal_brute_force(chunk):
    for seed in range(100 * chunk, 100 * chunk + 100):
        network = seeded_network(seed)
        for nodes in NODES:
            try:
                check_matrices(network, nodes)
            except Exception as error:
                error.add_note(f"seed {seed}, nodes={nodes!r}\n{describe(network)}")
                raise


@settings(deadline=None, max_examples=120)
@given(cases(), st.sampled_from(["links", "multiplicities"]))
def test_degrees_are_row_and_column_sums(case, values):
    gb, P = case
    expected = expected_of(P, values)
    degrees = {"in": gb.in_degree(values=values), "out": gb.out_degree(values=values)}
    for axis, (direction, found) in zip((1, 0), degrees.items(), strict=True):
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, expected.sum(axis=axis))
        distribution = gb.degree_distribution(direction=direction, values=values)
        for part, wanted in zip(
            distribution, np.unique(expected.sum(axis=axis), return_counts=True), strict=True
        ):
            np.testing.assert_array_equal(part, wanted)


@settings(deadline=None, max_examples=100)
@given(cases())
def test_the_matrix_is_canonical(case):
    for values in ("links", "multiplicities"):
        matrix = case[0].to_scipy(values=values)
        checked = matrix.copy()
        checked.has_canonical_format = False
        checked.sum_duplicates()
        np.testing.assert_array_equal(checked.indices, matrix.indices)
        np.testing.assert_array_equal(checked.indptr, matrix.indptr)


@settings(deadline=None, max_examples=100)
@given(cases(), st.data())
def test_sources_and_targets_of_a_node(case, data):
    gb, P = case
    for _ in range(3):
        node = data.draw(st.integers(0, len(P) - 1))
        np.testing.assert_array_equal(gb.sources(node), np.flatnonzero(P[node]))
        np.testing.assert_array_equal(gb.targets(node), np.flatnonzero(P[:, node]))


@settings(deadline=None, max_examples=100)
@given(cases(), st.sampled_from(["links", "multiplicities"]), st.integers(0, 2**31))
def test_the_operator_multiplies_from_both_sides(case, values, seed):
    gb, P = case
    operator, expected = gb.operator(values=values), expected_of(P, values)
    assert operator.shape == P.shape
    rng = np.random.default_rng(seed)
    v, V = rng.integers(-9, 10, len(P)), rng.integers(-9, 10, (len(P), 3))
    np.testing.assert_array_equal(operator @ v, expected @ v)
    np.testing.assert_array_equal(operator.T @ v, expected.T @ v)
    np.testing.assert_array_equal(operator @ V, expected @ V)


@settings(deadline=None, max_examples=100)
@given(cases())
def test_blocks_tile_the_matrix(case):
    gb, P = case
    rebuilt = {values: np.zeros_like(P) for values in ("links", "multiplicities")}
    assert len(set(gb.pairs)) == len(gb.pairs)
    for target, source in gb.pairs:
        assert target < source
        rows, columns = gb.index.layer_slice(target), gb.index.layer_slice(source)
        for values, matrix in rebuilt.items():
            block = gb.block(target, source, values)
            assert block.nnz
            matrix[rows, columns] = block.toarray()
    for values, matrix in rebuilt.items():
        np.testing.assert_array_equal(matrix, expected_of(P, values))


@settings(deadline=None, max_examples=120)
@given(cases(), st.sampled_from(["links", "multiplicities"]))
def test_beta_eff_and_the_moments_equal_their_definitions(case, values):
    gb, P = case
    expected, found = expected_of(P, values), gb.moments(values=values)
    delta_in, delta_out = expected.sum(axis=1), expected.sum(axis=0)
    if not P.any():
        assert np.isnan(gb.beta_eff)
        assert np.isnan(found.beta_eff)
        assert found.mean_strength == 0
        return
    mean, spread = delta_in.mean(), delta_in.std() * delta_out.std()
    symmetry = np.mean((delta_in - mean) * (delta_out - mean)) / spread if spread else 0.0
    np.testing.assert_allclose(found.mean_strength, mean, rtol=1e-12)
    np.testing.assert_allclose(found.heterogeneity, spread / mean, rtol=1e-12)
    np.testing.assert_allclose(found.symmetry, symmetry, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.beta_eff, delta_out @ delta_in / delta_in.sum(), rtol=1e-12)
    assert gb.beta_eff == gb.moments().beta_eff


@settings(deadline=None, max_examples=100)
@given(networks(), st.sampled_from(NODES))
def test_nodes_keep_the_documented_order(network, nodes):
    index = ed.line_graph(network, nodes=nodes).index
    names = node_names(network, nodes)
    assert index.n_layers == len({layer for layer, _ in names})
    assert [tuple(index.locate(node)) for node in range(len(names))] == names
    assert [index.id(*name) for name in names] == list(range(len(names)))


@settings(deadline=None, max_examples=40)
@given(cases())
def test_networkx_has_the_links_from_source_to_target(case):
    gb, P = case
    graph = gb.to_networkx(max_links=10**6)
    targets, sources = np.nonzero(P)
    assert graph.number_of_nodes() == len(P)
    wanted = zip(sources.tolist(), targets.tolist(), P[targets, sources].tolist(), strict=True)
    assert set(graph.edges(data="multiplicity")) == set(wanted)


# Counted by hand ---------------------------------------------------------------------------------


def assert_multiplicities(network, expected, nodes="kernels"):
    """Compare package and brute force with a matrix derived on paper."""
    np.testing.assert_array_equal(unroll(network, nodes), expected)
    gb = ed.line_graph(network, nodes=nodes)
    np.testing.assert_array_equal(gb.to_scipy(values="multiplicities").toarray(), expected)
    np.testing.assert_array_equal(gb.to_scipy().toarray(), np.asarray(expected) > 0)


def above_diagonal(block):
    """Return P of two layers without biases from its one block."""
    rows, columns = np.shape(block)
    P = np.zeros((rows + columns, rows + columns), np.int64)
    P[:rows, rows:] = block
    return P


# Three positions, windows of three, zeros around: the outer taps bring real inputs to two positions
# ({1, 2} and {0, 1}) and read two ({0, 1} and {1, 2}); the middle tap brings and reads all three.
SAME_3 = [[1, 2, 2], [2, 3, 2], [2, 2, 1]]


def test_two_convolutions_along_one_axis():
    network = Network.sequential(
        (3, 1), [Conv1D(1, 3, padding="same", bias=False) for _ in range(2)]
    )
    assert_multiplicities(network, above_diagonal(SAME_3))


def test_two_convolutions_multiply_over_the_axes():
    # 3 rows, but a single column: the outer column taps read padding only and have no routes.
    network = Network.sequential(
        (3, 1, 1), [Conv2D(1, 3, padding="same", bias=False) for _ in range(2)]
    )
    columns = np.zeros((3, 3), int)
    columns[1, 1] = 1
    assert_multiplicities(network, above_diagonal(np.kron(SAME_3, columns)))
    square = Network.sequential(
        (3, 3, 1), [Conv2D(1, 3, padding="same", bias=False) for _ in range(2)]
    )
    assert_multiplicities(square, above_diagonal(np.kron(SAME_3, SAME_3)))


def test_a_stride_larger_than_the_kernel_skips_neurons():
    # The first layer's taps bring real inputs to {0, 1, 2} and {0, 1} (padding behind); the second
    # layer reads positions 0 and 2.
    network = Network.sequential(
        (3, 1), [Conv1D(1, 2, padding="same", bias=False), Conv1D(1, 1, strides=2, bias=False)]
    )
    assert_multiplicities(network, above_diagonal([[2], [1]]))


def test_padding_wider_than_the_kernel():
    # Two positions, two zeros on both sides: the kernel brings them to outputs 2 and 3 of 6, the
    # bias reaches all 6. The next layer's taps read {0, 2, 4} and {1, 3, 5}.
    network = Network.sequential(
        (2, 1), [Conv1D(1, 1, padding=((2, 2),)), Conv1D(1, 2, strides=2, bias=False)]
    )
    assert_multiplicities(
        network, [[0, 0, 1, 1], [0, 0, 3, 3], [0, 0, 0, 0], [0, 0, 0, 0]], nodes="all"
    )


def test_a_kernel_that_reads_padding_only_is_isolated():
    # One position behind one zero, stride 2: the only output reads the zero.
    padded = Conv1D(1, 1, strides=2, padding=((1, 0),))
    network = Network.sequential((1, 1), [padded, Conv1D(1, 1, bias=False)])
    assert_multiplicities(network, [[0, 0, 0], [0, 0, 1], [0, 0, 0]], nodes="all")
    behind = Network.sequential(
        (1, 1), [Conv1D(1, 1, bias=False), ZeroPadding(((1, 0),)), Conv1D(1, 1, 2, bias=False)]
    )
    assert_multiplicities(behind, np.zeros((2, 2)))


def test_a_layer_behind_nothing_but_padding_receives_for_its_bias_only():
    layers = [ZeroPadding(((1, 0),)), Cropping(((0, 1),)), Conv1D(1, 1), Dense(1, bias=False)]
    network = Network.sequential((1, 1), layers)
    assert_multiplicities(network, [[0, 0, 0], [0, 0, 1], [0, 0, 0]], nodes="all")
    assert_multiplicities(network, np.zeros((2, 2)))


def parallel_pools():
    """Four neurons, each with a weight of its own, into two pools whose results are added."""
    network = Network((1,))
    x = network.add(Reshape((4, 1)), network.add(Dense(4, bias=False), network.input))
    maximum = network.add(Pooling(2), x)  # windows {0, 1} and {2, 3}
    average = network.add(Pooling(3, 2, "same"), x)  # windows {0, 1, 2} and {2, 3}
    return network, maximum, average


def test_paths_over_parallel_pools_add_up():
    network, maximum, average = parallel_pools()
    network.add(Dense(1, bias=False), network.add(Flatten(), network.add(Add(), maximum, average)))
    assert_multiplicities(network, above_diagonal([[2, 0], [2, 0], [1, 2], [0, 2]]))


def test_concatenated_pools_stay_apart():
    network, maximum, average = parallel_pools()
    both = network.add(Concatenate(-1), maximum, average)
    network.add(Dense(1, bias=False), network.add(Flatten(), both))
    # Flattened: (window 0: maximum, average), (window 1: maximum, average).
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 1], [0, 0, 1, 1]]
    assert_multiplicities(network, above_diagonal(expected))


def test_squeeze_and_excitation():
    network = Network((2, 2, 2))
    x = network.add(Conv2D(2, 1, bias=False), network.input)
    gate = network.add(Dense(2, bias=False), network.add(GlobalPooling(), x))
    network.add(Dense(1, bias=False), network.add(Multiply(), x, gate))
    P = np.zeros((10, 10), int)
    # Nodes 0..3: convolution (i, o) = (0, 0), (0, 1), (1, 0), (1, 1); 4..7: gate alike; 8 and 9:
    # last layer. Whatever a convolution's output o leads to, it does so from four positions.
    P[np.ix_([0, 2], [4, 5, 8])] = P[np.ix_([1, 3], [6, 7, 9])] = 4
    # The gate's outputs 0 and 1 are broadcast to four positions.
    P[np.ix_([4, 6], [8])] = P[np.ix_([5, 7], [9])] = 4
    assert_multiplicities(network, P)
    gb = ed.line_graph(network)
    # In-degrees 3, 1, 0 and out-degrees 0, 2, 4: only the gate's four nodes have both.
    assert gb.n_links == 16
    assert gb.beta_eff == 4 * (1 * 2) / 16
    assert gb.pairs == [(1, 2), (1, 3), (2, 3)]


def test_a_batch_norm_is_a_layer_only_where_all_parameters_are_nodes():
    def between(scale):
        return Network.sequential((1,), [Dense(2, bias=False), scale, Dense(1, bias=False)])

    one_by_one = np.eye(2, dtype=int)
    plain = above_diagonal(one_by_one)
    for flags in [(True, True), (True, False), (False, True), (False, False)]:
        assert_multiplicities(between(Scale(*flags)), plain)
    assert_multiplicities(between(Scale(False, False)), plain, nodes="all")
    # Two weights, then gammas and betas: gammas cut the paths.
    P = np.zeros((8, 8), int)
    P[:2, 2:4] = P[2:4, 6:8] = P[4:6, 6:8] = one_by_one
    assert_multiplicities(between(Scale()), P, nodes="all")
    # Betas alone receive, send nothing and let the paths through.
    P = np.zeros((6, 6), int)
    P[:2, 4:6] = P[2:4, 4:6] = one_by_one
    assert_multiplicities(between(Scale(gamma=False)), P, nodes="all")
