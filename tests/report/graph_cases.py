"""Line graphs whose pages are tested."""

import numpy as np

import edgedyn as ed
from edgedyn.linegraph import (
    Add,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Network,
    Pooling,
    Scale,
)

MARKUP = '<img src=x onerror="window.hacked = 1"></script><script>window.hacked = 2</script>'


def perceptron(strength="magnitude"):
    """Return a network with biases, weighted by data, and its values."""
    net = ed.ReLUMLP.random([4, 5, 4, 3], seed=0)
    X = np.random.default_rng(0).standard_normal((30, 4))
    return net.interaction(X, np.arange(30) % 3, strength=strength, nodes="all"), net.parameters


def cnn():
    """Return a chain of a convolution, a batch norm, pooling and two dense layers."""
    layers = [Conv2D(2, 3), Scale(), Pooling(2), Flatten(), Dense(4), Dense(3)]
    return ed.line_graph(Network.sequential((6, 6, 1), layers), nodes="all")


def residual(name="second"):
    """Return a network with two branches."""
    network = Network((5, 5, 2))
    first = network.add(Conv2D(3, 2), network.input, name="first")
    second = network.add(Conv2D(3, 3, padding="same"), first, name=name)
    network.add(Dense(2), network.add(Flatten(), network.add(Add(), first, second)))
    return ed.line_graph(network)


GRAPHS = {
    "perceptron": ed.line_graph([4, 5, 3]),
    "no links": ed.line_graph([3, 2]),
    "biases": ed.line_graph([4, 5, 3, 2], bias=[True, False, True]),
    "cnn": cnn(),
    "residual": residual(),
    "one dimension": ed.line_graph(
        Network.sequential((9, 2), [Conv1D(4, 3, groups=2), Conv1D(2, 2), Flatten(), Dense(2)])
    ),
    "a lone shift": ed.line_graph(
        Network.sequential((4, 4, 2), [Conv2D(2, 2), Scale(gamma=False), Conv2D(1, 2)]), nodes="all"
    ),
    "a shift first": ed.line_graph(
        Network.sequential((4, 4, 2), [Scale(gamma=False), Conv2D(1, 2)]), nodes="all"
    ),
}

# One layer of each kind, without biases, to stand between two pointwise layers.
LAYERS = {
    "groups": Conv2D(6, (2, 3), groups=2, bias=False),
    "depthwise": DepthwiseConv2D(2, multiplier=3, bias=False),
    "transposed": Conv2DTranspose(3, 2, strides=2, bias=False),
    "dense": Dense(3, bias=False),
    "turned": Dense(3, bias=False, kernel="outputs x inputs"),
    "scale": Scale(beta=False),
}
