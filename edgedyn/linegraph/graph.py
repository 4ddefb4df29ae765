"""The reversed line graph G_B of a multilayer perceptron."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgedyn import _validate as check
from edgedyn.linegraph.index import NodeIndex

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_array

_INT32_LIMIT = 2**31 - 1
_MAX_BYTES = 2**32
NODES = ("kernels", "all")


@runtime_checkable
class SupportsLineGraph(Protocol):
    """A multilayer perceptron as far as its line graph needs it, such as `edgedyn.ReLUMLP`."""

    sizes: tuple[int, ...]
    layer_biases: tuple[bool, ...]


def line_graph(
    source: "Sequence[int] | SupportsLineGraph",
    *,
    bias: bool | Sequence[bool] | None = None,
    nodes: str | None = None,
) -> "LineGraph":
    """Describe the line graph of a multilayer perceptron; nothing is built yet.

    Parameters
    ----------
    source : sequence of int, or ReLUMLP
        Neurons per layer, input first; or a network.
    bias : bool or sequence of bool, optional
        With sizes: whether the layers have biases, which then are nodes (one bool for all or one
        a layer). By default they have none.
    nodes : {"kernels", "all"}, optional
        With a network: whether its biases are nodes, too. By default kernels only.

    Returns
    -------
    LineGraph

    Raises
    ------
    TypeError, ValueError
        For sizes that are not positive integers, or an option that belongs to the other kind of
        source.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024): weights are nodes, and since
    gradients flow backwards the links run from a layer's weights to those of the layer before.

    Examples
    --------
    >>> import edgedyn as ed
    >>> ed.line_graph([4, 5, 3])
    LineGraph(4-5-3, 35 nodes, 60 links)
    >>> ed.line_graph([4, 5, 3], bias=True).n_nodes
    43
    """
    if isinstance(source, SupportsLineGraph):
        if bias is not None:
            raise TypeError("bias belongs to sizes; for a network say nodes='kernels' or 'all'.")
        kind = check.choice("kernels" if nodes is None else nodes, "nodes", NODES)
        sizes = check.layer_sizes(source.sizes)
        flags = _bias_flags(source.layer_biases, len(sizes) - 1)
        return LineGraph(NodeIndex(sizes, tuple(b and kind == "all" for b in flags)))
    if not isinstance(source, Sequence | np.ndarray) or isinstance(source, str):
        raise TypeError(
            f"line_graph accepts sizes such as [64, 32, 10] or a ReLUMLP; got "
            f"{type(source).__name__}."
        )
    if nodes is not None:
        raise TypeError("nodes belongs to a network; for sizes say bias=True or bias=False.")
    sizes = check.layer_sizes(source)
    return LineGraph(NodeIndex(sizes, _bias_flags(bias, len(sizes) - 1)))


def _bias_flags(bias: bool | Sequence[bool] | None, n_layers: int) -> tuple[bool, ...]:
    """Return one flag a layer."""
    if bias is None or isinstance(bias, bool | np.bool_):
        return (bool(bias),) * n_layers
    if isinstance(bias, str) or not isinstance(bias, Sequence | np.ndarray):
        raise TypeError(f"bias must be True, False or one of them a layer; got {bias!r}.")
    flags = list(bias)
    if len(flags) != n_layers or not all(isinstance(b, bool | np.bool_) for b in flags):
        raise ValueError(f"bias must hold {n_layers} times True or False; got {bias!r}.")
    return tuple(bool(b) for b in flags)


@dataclass(frozen=True, repr=False)
class LineGraph:
    """The reversed line graph G_B of a multilayer perceptron, known without building it.

    Nodes are the weights (and, where asked for, the biases). There is a link from weight (i -> k)
    of layer l + 1 to weight (j -> i) of layer l, which share neuron i: ``n_{l-1} n_l n_{l+1}``
    links a hidden layer. A bias is the weight of an edge from a constant neuron: it receives links
    and sends none. Obtain one from `edgedyn.line_graph`.

    Parameters
    ----------
    index : NodeIndex
        The order of the nodes.

    Notes
    -----
    As a matrix, ``P[target, source]``: rows are what is influenced, columns what influences, as
    ``x_i' = f(x_i) + sum_j P_ij g(x_i, x_j)`` demands. Graph libraries keep the transpose, and
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

    index: NodeIndex

    @property
    def sizes(self) -> tuple[int, ...]:
        """Neurons per layer, input first."""
        return self.index.sizes

    @property
    def n_layers(self) -> int:
        """Layers with weights."""
        return self.index.n_layers

    @property
    def n_nodes(self) -> int:
        """Number of nodes, an exact integer."""
        return self.index.n_nodes

    @property
    def n_links(self) -> int:
        """Number of links, an exact integer: ``sum_l n_l (n_{l-1} + bias_l) n_{l+1}``."""
        return sum(self._block_links(layer) for layer in range(1, self.n_layers))

    @property
    def beta_eff(self) -> float:
        """beta_eff of the unweighted graph, ``sum delta_out delta_in / n_links``; NaN if empty.

        From counts alone: within a layer all kernel entries have the same degrees, and biases,
        which send no links, do not count.
        """
        products = 0
        for layer in range(2, self.n_layers):
            out = self.sizes[layer - 2] + self.index.bias[layer - 2]
            products += self.sizes[layer] * self.sizes[layer - 1] * out * self.sizes[layer + 1]
        return products / self.n_links if self.n_links else float("nan")

    def __repr__(self) -> str:
        chain = "-".join(map(str, self.sizes))
        return f"LineGraph({chain}, {self.n_nodes} nodes, {self.n_links} links)"

    def in_degree(self, *, max_bytes: int = _MAX_BYTES) -> NDArray[np.int64]:
        """Return the number of links into each node, shape (n_nodes,).

        ``n_{l+1}`` for every node of layer l < L; 0 in the last layer.

        Raises
        ------
        ValueError
            Where the array would take more than `max_bytes` (4 GiB by default).
        """
        self._check_degree_bytes(max_bytes)
        after = [*self.sizes[2:], 0]
        counts = [self.index.layer_nodes(layer) for layer in range(1, self.n_layers + 1)]
        return np.repeat(np.array(after, np.int64), counts)

    def out_degree(self, *, max_bytes: int = _MAX_BYTES) -> NDArray[np.int64]:
        """Return the number of links out of each node, shape (n_nodes,).

        ``n_{l-2}``, plus 1 where the biases of layer l - 1 are nodes, for every kernel entry of
        layer l > 1; 0 for biases and in the first layer.

        Raises
        ------
        ValueError
            Where the array would take more than `max_bytes` (4 GiB by default).
        """
        self._check_degree_bytes(max_bytes)
        parts = []
        for layer in range(1, self.n_layers + 1):
            into = 0
            if layer > 1:
                into = self.sizes[layer - 2] + self.index.bias[layer - 2]
            kernel = self.sizes[layer] * self.sizes[layer - 1]
            parts.append(np.full(kernel, into, np.int64))
            parts.append(np.zeros(self.index.layer_nodes(layer) - kernel, np.int64))
        return np.concatenate(parts)

    def block(
        self, layer: int, *, dtype: DTypeLike = np.float64, max_bytes: int = _MAX_BYTES
    ) -> "csr_array":
        """Return the links from layer `layer` + 1 to layer `layer`, 1 <= layer < L.

        Returns
        -------
        scipy.sparse.csr_array, shape (nodes of the layer, nodes of the next layer)
            Numbers count from 0 within each layer.

        Raises
        ------
        TypeError, IndexError, ValueError
            For a layer that has no next one, or a block over `max_bytes`.
        """
        self.index.check_layer(layer)
        if layer == self.n_layers:
            raise IndexError(f"blocks end in layers 1..{self.n_layers - 1}; got {layer}.")
        columns = self.index.layer_slice(layer + 1)
        shape = (self.index.layer_nodes(layer), columns.stop - columns.start)
        return self._matrix(range(layer, layer + 1), shape, columns.start, dtype, max_bytes)

    def blocks(self) -> Iterator[tuple[int, "csr_array"]]:
        """Yield ``(layer, block(layer))``, first layer first, one block in memory at a time."""
        for layer in range(1, self.n_layers):
            yield layer, self.block(layer)

    def to_scipy(
        self, *, dtype: DTypeLike = np.float64, max_bytes: int = _MAX_BYTES
    ) -> "csr_array":
        """Return the adjacency matrix as ``P[target, source]``, every link a 1.

        Parameters
        ----------
        dtype : data type
            Of the ones. float64 by default: 12 bytes a link with its index, accepted by every
            solver of scipy.sparse, and exact whatever is counted. Smaller types save memory and
            time but fail silently in products such as ``P @ P.T``, which counts common sources:
            int8 wraps beyond 127, and float32 sums round beyond 2^24. int8 suits the structure
            alone (5 bytes a link).
        max_bytes : int
            Refuse a larger matrix; 4 GiB by default.

        Returns
        -------
        scipy.sparse.csr_array, shape (n_nodes, n_nodes)
            With int32 indices, int64 once 2^31 links or nodes are passed; sorted, no duplicates.

        Raises
        ------
        ValueError
            Where it would take more than `max_bytes`, before anything is allocated.
        """
        shape = (self.n_nodes, self.n_nodes)
        return self._matrix(range(1, self.n_layers), shape, 0, dtype, max_bytes)

    def to_networkx(self, *, max_links: int = 100_000) -> "nx.DiGraph":
        """Return the graph with edges source -> target; nodes carry ``layer`` and ``position``.

        Raises
        ------
        ValueError
            Where it has more than `max_links` links, or more nodes than that.
        """
        import networkx as nx

        _check_links(self.n_links, max_links, "links", "this line graph", "to_scipy()")
        # Two layers have no links, however many nodes.
        _check_links(self.n_nodes, max_links, "nodes", "this line graph", "to_scipy()")
        graph: nx.DiGraph = nx.DiGraph()
        for node in range(self.n_nodes):
            layer, position = self.index.locate(node)
            graph.add_node(node, layer=layer, position=position)
        links = self.to_scipy(dtype=np.int8).tocoo()
        graph.add_edges_from(zip(links.col.tolist(), links.row.tolist(), strict=True))
        return graph

    def ga(self, *, max_links: int = 100_000) -> "nx.DiGraph":
        """Return the neuron graph G_A, whose edges are the nodes of this line graph.

        Neurons are ``(layer, i)``, layer 0 the input; the constant neuron behind the biases of
        layer l is ``(l, "bias")``. Edges carry ``id``, their number in the line graph.

        Raises
        ------
        ValueError
            Where it has more than `max_links` edges.

        Examples
        --------
        >>> import edgedyn as ed
        >>> sorted(ed.line_graph([2, 1]).ga().edges(data="id"))
        [((0, 0), (1, 0), 0), ((0, 1), (1, 0), 1)]
        """
        import networkx as nx

        _check_links(self.n_nodes, max_links, "edges", "the neuron graph", "n_nodes and index")
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

    def _block_links(self, layer: int) -> int:
        """Links into the nodes of one layer."""
        return self.index.layer_nodes(layer) * self.sizes[layer + 1]

    def _check_degree_bytes(self, max_bytes: int) -> None:
        """Refuse a vector of degrees that is too large."""
        what = f"the degrees of {self.n_nodes:,} nodes"
        _check_bytes(8 * self.n_nodes, max_bytes, what, "they are equal within a layer's kernel")

    def _matrix(
        self,
        layers: range,
        shape: tuple[int, int],
        origin: int,
        dtype: DTypeLike,
        max_bytes: int,
    ) -> "csr_array":
        """Build the rows of the given layers; node `origin` has column 0."""
        from scipy.sparse import csr_array

        links = sum(self._block_links(layer) for layer in layers)
        index_kind, data_kind = index_dtype(links, max(shape)), np.dtype(dtype)
        needed = links * (index_kind.itemsize + data_kind.itemsize)
        needed += (shape[0] + 1) * index_kind.itemsize
        ways = "use in_degree() and out_degree(), block by block, a smaller dtype"
        _check_bytes(needed, max_bytes, f"the matrix of {links:,} links", ways)
        indices, indptr = self._structure(layers, shape[0], origin, index_kind)
        matrix = csr_array((np.ones(links, data_kind), indices, indptr), shape=shape)
        matrix.has_canonical_format = True  # by construction: sorted, no duplicates
        return matrix

    def _structure(
        self, layers: range, n_rows: int, origin: int, index_kind: np.dtype[Any]
    ) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return the CSR arrays (indices, indptr) of the given layers' rows."""
        from edgedyn.linegraph._kernels import fill_block

        indices = np.empty(sum(self._block_links(layer) for layer in layers), index_kind)
        indptr = np.empty(n_rows + 1, index_kind)
        indptr[0] = row = links = 0
        for layer in layers:
            rows, end = row + self.index.layer_nodes(layer), links + self._block_links(layer)
            first = self.index.layer_slice(layer + 1).start - origin
            fill_block(
                indptr[row + 1 : rows + 1],
                indices[links:end],
                links,
                first,
                *self.sizes[layer - 1 : layer + 2],
            )
            row, links = rows, end
        indptr[row + 1 :] = links  # the last layer receives nothing
        return indices, indptr


def index_dtype(n_links: int, n_nodes: int) -> np.dtype[Any]:
    """Return int32, or int64 where a number of links or nodes does not fit."""
    return np.dtype(np.int32 if max(n_links, n_nodes) <= _INT32_LIMIT else np.int64)


def _check_bytes(needed: int, max_bytes: int, what: str, ways_out: str) -> None:
    """Refuse an array that is too large, before allocating it."""
    if needed > check.positive_int(max_bytes, "max_bytes"):
        raise ValueError(
            f"{what} would take {needed:,} bytes, more than max_bytes={max_bytes:,}; {ways_out}, "
            "or raise max_bytes."
        )


def _check_links(count: int, max_links: int, unit: str, what: str, way_out: str) -> None:
    """Refuse a networkx graph that is too large."""
    if count > check.positive_int(max_links, "max_links"):
        raise ValueError(
            f"{what} has {count:,} {unit}, more than max_links={max_links:,}; use {way_out}, or "
            "raise max_links."
        )
