"""What a network described by hand refuses, each in one sentence; interactions of perceptrons."""

import numpy as np
import pytest

import edgedyn as ed
from edgedyn.linegraph import (
    Add,
    Concatenate,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Cropping,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Identity,
    Network,
    Opaque,
    Permute,
    Pooling,
    Reshape,
    Scale,
    UpSampling,
    ZeroPadding,
)
from edgedyn.mlp import coupling_matrix

REFUSED = [
    (
        (8, 8, 3),
        Conv1D(2, 3),
        r"Conv1D takes inputs \(positions, channels\); got shape \(8, 8, 3\)",
    ),
    ((8, 3), Conv2D(2, 3), "Conv2D takes inputs"),
    ((8, 3), DepthwiseConv2D(3), "DepthwiseConv2D takes inputs"),
    ((8, 8, 3), Conv2D(2, 9), "reaches over 9 positions, but its input has 8"),
    ((8, 8, 3), Conv2D(0, 3), "filters must be at least 1; got 0"),
    ((8, 8, 3), Conv2D(2, 0), "kernel_size must be an integer of at least 1, or 2 of them; got 0"),
    ((8, 8, 3), Conv2D(2, (3, 3, 3)), r"kernel_size .* got \(3, 3, 3\)"),
    ((8, 8, 3), Conv2D(2, 3, strides="two"), "strides must be"),
    ((8, 8, 3), Conv2D(2, 3, padding="full"), "padding must be 'valid', 'same' or 2 pairs"),
    (
        (8, 8, 3),
        Conv2D(2, 3, padding=((1, -1), (0, 0))),
        "padding must be an integer of at least 0",
    ),
    ((8, 8, 3), Conv2D(4, 3, groups=2), "groups=2 must divide the 3 channels before and the 4"),
    ((8, 8, 3), Conv2DTranspose(2, 3, padding=((1, 1), (1, 1))), "padding must be one of 'valid'"),
    ((8, 8, 3), DepthwiseConv2D(3, multiplier=0), "multiplier must be at least 1"),
    ((8,), Dense(0), "units must be at least 1"),
    ((8,), Dense(2, kernel="rows"), "kernel must be one of 'inputs x outputs'"),
    ((8, 8, 3), Pooling(9), "a pooling reaches over 9 positions"),
    ((8, 8, 3), Cropping(4), "leaves nothing of shape"),
    ((8, 8, 3), ZeroPadding(((1, 1),)), "ZeroPadding must be"),
    (
        (8, 8, 3),
        UpSampling(2, "cubic"),
        "interpolation must be 'nearest' or 'bilinear'; got 'cubic'",
    ),
    ((8, 3), Reshape((5, 5)), r"shape \(8, 3\) cannot become \(5, 5\): 24 neurons"),
    ((8, 3), Permute((1, 2)), r"order \(1, 2\) does not permute the axes of \(8, 3\)"),
    ((8, 3), Concatenate(2), r"axis 2 does not exist in shape \(8, 3\)"),
]


@pytest.mark.parametrize(("shape", "operation", "message"), REFUSED)
def test_what_does_not_fit_is_named(shape, operation, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Network.sequential(shape, [operation])


@pytest.mark.parametrize("shape", [(), 0, (8, -1), "8", (8.5,), None])
def test_input_shapes(shape):
    with pytest.raises((ValueError, TypeError), match="input_shape"):
        Network(shape)


def test_operations_and_tensors_belong_together():
    network, other = Network((4, 2)), Network((4, 3))
    with pytest.raises(TypeError, match="made of layers and routes"):
        network.add("Dense", network.input)
    with pytest.raises(TypeError, match="must be tensors of this network"):
        network.add(Dense(2), other.input)
    with pytest.raises(TypeError, match="must be tensors of this network"):
        network.add(Dense(2), np.ones(3))
    with pytest.raises(ValueError, match=r"Dense takes 1 input\(s\); got 2"):
        network.add(Dense(2), network.input, network.input)
    with pytest.raises(ValueError, match=r"Add takes at least 2 input\(s\); got 1"):
        network.add(Add(), network.input)
    x = network.add(Dense(3), network.input)
    with pytest.raises(ValueError, match=r"shapes \(4, 2\), \(4, 3\) do not fit together"):
        network.add(Add(), network.input, x)
    with pytest.raises(ValueError, match="differ elsewhere than along axis 0"):
        network.add(Concatenate(0), network.input, x)
    assert len(network.operations) == 1  # nothing refused was added


def test_nothing_opaque_after_a_layer():
    network = Network.sequential((4, 2), [Dense(3), Opaque((7,)), Dense(2)])
    with pytest.raises(ValueError, match="opaque operation .* follows a layer"):
        ed.line_graph(network).n_links  # noqa: B018


def test_a_network_without_nodes():
    with pytest.raises(ValueError, match="has no layer whose parameters are nodes"):
        ed.line_graph(Network.sequential((4, 2), [Scale(), Flatten()]))
    assert ed.line_graph(Network.sequential((4, 2), [Scale()]), nodes="all").n_nodes == 4


def test_options_of_networks():
    network = Network.sequential((4, 2), [Dense(3), Identity(), Dense(2)])
    with pytest.raises(TypeError, match="bias belongs to sizes"):
        ed.line_graph(network, bias=True)
    with pytest.raises(ValueError, match="nodes must be one of"):
        ed.line_graph(network, nodes="weights")
    graph = ed.line_graph(network)
    network.add(Dense(5), network.output)
    assert graph.n_layers == 2  # a line graph is that of the network when it was asked for
    for call in (graph.in_degree, graph.out_degree, graph.moments, graph.to_scipy, graph.operator):
        with pytest.raises(ValueError, match="values must be one of 'links', 'multiplicities'"):
            call("weights")
    with pytest.raises(ValueError, match="direction must be one of"):
        graph.degree_distribution("both")
    with pytest.raises(IndexError, match="nodes are numbered"):
        graph.sources(graph.n_nodes)
    with pytest.raises(TypeError, match="must be an integer"):
        graph.targets("first")


@pytest.mark.parametrize("nodes", ["kernels", "all"])
@pytest.mark.parametrize("strength", ["magnitude", "signed"])
def test_interactions_of_a_perceptron_are_its_coupling_matrix(strength, nodes):
    net = ed.ReLUMLP.random([4, 6, 5, 3], seed=1)
    X, y = np.random.default_rng(0).standard_normal((30, 4)), np.arange(30) % 3
    P = net.interaction(X, y, strength=strength, nodes=nodes)
    dense = coupling_matrix(net, X, y, strength=strength, nodes=nodes).toarray()
    scale = np.abs(dense).max()
    np.testing.assert_allclose(P.to_scipy().toarray(), dense, rtol=1e-12, atol=1e-14 * scale)
    v = np.random.default_rng(1).standard_normal(P.graph.n_nodes)
    np.testing.assert_allclose(P.operator @ v, dense @ v, rtol=1e-10, atol=1e-13 * scale)
    np.testing.assert_allclose(P.operator.T @ v, dense.T @ v, rtol=1e-10, atol=1e-13 * scale)
    if strength == "magnitude":
        beta = P.in_degree() @ P.out_degree() / P.in_degree().sum()
        assert beta == pytest.approx(ed.neural_capacitance(net, X, y, nodes=nodes).value, rel=1e-12)


def test_interactions_check_their_input():
    net = ed.ReLUMLP.random([4, 6, 3], seed=1)
    X, y = np.ones((6, 4)), np.arange(6) % 3
    with pytest.raises(ValueError, match="strength must be one of 'magnitude', 'signed'"):
        net.interaction(X, y, strength="absolute")
    with pytest.raises(ValueError, match="nodes must be one of"):
        net.interaction(X, y, nodes="biases")
    with pytest.raises(ValueError, match="takes 4 inputs"):
        net.interaction(np.ones((6, 5)), y)
    with pytest.raises(ValueError, match="max_links"):
        net.interaction(X, y).to_networkx(max_links=5)
