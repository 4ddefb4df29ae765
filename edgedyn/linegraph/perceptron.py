"""The line graph of a multilayer perceptron: counts by formula, whatever the widths."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgedyn.linegraph.graph import LineGraph
from edgedyn.linegraph.index import LayerNodes, NodeIndex
from edgedyn.linegraph.layers import Dense
from edgedyn.linegraph.limits import check_links
from edgedyn.linegraph.network import Network

if TYPE_CHECKING:
    import networkx as nx


class PerceptronLineGraph(LineGraph):
    """The reversed line graph of a perceptron with one kernel entry for each pair of neurons.

    There is a link from weight (i -> k) of layer l + 1 to weight (j -> i) of layer l, which share
    neuron i: ``n_{l-1} n_l n_{l+1}`` links a hidden layer, each of multiplicity 1. The in-degree
    is ``n_{l+1}`` for every node of layer l < L, 0 in the last; the out-degree ``n_{l-2}``, plus 1
    where the biases of layer l - 1 are nodes, for every kernel entry of layer l > 1, 0 for biases
    and in the first. Obtain one from `edgedyn.line_graph`.

    Parameters
    ----------
    sizes : tuple of int
        Neurons per layer, input first.
    bias : tuple of bool
        For each layer with weights, whether its biases are nodes.

    Notes
    -----
    ``networkx.line_graph(gb.ga())`` has every link the other way round, along forward propagation.

    Examples
    --------
    >>> import edgedyn as ed
    >>> gb = ed.line_graph([2, 1, 2])
    >>> gb.to_scipy().toarray()
    array([[0., 0., 1., 1.],
           [0., 0., 1., 1.],
           [0., 0., 0., 0.],
           [0., 0., 0., 0.]])
    >>> gb.in_degree(), gb.out_degree()
    (array([2, 2, 0, 0]), array([0, 0, 2, 2]))
    """

    def __init__(self, sizes: tuple[int, ...], bias: tuple[bool, ...]) -> None:
        pairs = zip(sizes[1:], bias, strict=True)
        layers = [Dense(n, bias=b, kernel="outputs x inputs") for n, b in pairs]
        super().__init__(Network.sequential(sizes[0], layers), "all")
        object.__setattr__(self, "sizes", tuple(sizes))
        object.__setattr__(self, "bias", tuple(bias))

    sizes: tuple[int, ...]
    bias: tuple[bool, ...]

    @cached_property
    def index(self) -> NodeIndex:
        """The order of the nodes."""
        pairs = zip(self.sizes[:-1], self.sizes[1:], self.bias, strict=True)
        return NodeIndex(tuple(LayerNodes((n, m), n if b else 0) for m, n, b in pairs))

    @property
    def n_links(self) -> int:
        """Number of links, an exact integer: ``sum_l n_l (n_{l-1} + bias_l) n_{l+1}``."""
        layers = range(1, self.n_layers)
        return sum(self.index.layer_nodes(layer) * self.sizes[layer + 1] for layer in layers)

    @property
    def beta_eff(self) -> float:
        """beta_eff of the unweighted graph, ``sum delta_out delta_in / n_links``; NaN if empty.

        From counts alone: within a layer all kernel entries have the same degrees, and biases,
        which send no links, do not count.
        """
        n, products = self.sizes, 0
        for layer in range(2, self.n_layers):
            out = n[layer - 2] + self.bias[layer - 2]
            products += n[layer] * n[layer - 1] * out * n[layer + 1]
        return products / self.n_links if self.n_links else float("nan")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PerceptronLineGraph):
            return NotImplemented
        return (self.sizes, self.bias) == (other.sizes, other.bias)

    def __hash__(self) -> int:
        return hash((self.sizes, self.bias))

    def __repr__(self) -> str:
        chain = "-".join(map(str, self.sizes))
        return f"LineGraph({chain}, {self.n_nodes} nodes, {self.n_links} links)"

    def _degrees(self, direction: str, values: str) -> NDArray[np.int64]:
        """Return the degree of each node by formula."""
        layers = self.index.layers
        if direction == "in":
            after = np.array([*self.sizes[2:], 0], np.int64)
            return np.repeat(after, [layer.n_nodes for layer in layers])
        before = [0, *(n + b for n, b in zip(self.sizes, self.bias[:-1], strict=False))]
        counts = [[layer.n_kernel, layer.n_bias] for layer in layers]
        return np.repeat(np.array([[n, 0] for n in before], np.int64).ravel(), np.ravel(counts))

    def ga(self, *, max_links: int = 100_000) -> "nx.DiGraph":
        """Return the neuron graph G_A, whose edges are the nodes of this line graph.

        Neurons are ``(layer, i)``, layer 0 the input; the constant neuron behind the biases of
        layer l is ``(l, "bias")``. Edges carry ``id``, their number in the line graph; more than
        `max_links` of them are a ValueError.

        Examples
        --------
        >>> import edgedyn as ed
        >>> sorted(ed.line_graph([2, 1]).ga().edges(data="id"))
        [((0, 0), (1, 0), 0), ((0, 1), (1, 0), 1)]
        """
        import networkx as nx

        check_links(self.n_nodes, max_links, "edges", "the neuron graph", "n_nodes and index")
        graph: nx.DiGraph = nx.DiGraph()
        for layer, size in enumerate(self.sizes):
            graph.add_nodes_from((layer, i) for i in range(size))
        for node in range(self.n_nodes):
            layer, (first, second) = self.index.locate(node)
            if first == "bias":
                graph.add_edge((layer, "bias"), (layer, second), id=node)
            else:
                graph.add_edge((layer - 1, second), (layer, first), id=node)
        return graph
