"""The reversed line graph G_B of a neural network."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgedyn import _notebook as notebook
from edgedyn import _validate as check
from edgedyn.linegraph.index import NodeIndex
from edgedyn.linegraph.limits import check_bytes, check_links
from edgedyn.linegraph.network import Network

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator

    from edgedyn.linegraph.counting import Moments
    from edgedyn.linegraph.reach import Parameter, Reach

MAX_BYTES = 2**32
NODES = ("kernels", "all")
VALUES = ("links", "multiplicities")


@dataclass(frozen=True, repr=False, eq=False)
class LineGraph:
    """The reversed line graph G_B of a neural network, known without building it.

    Nodes are parameters. There is a link from parameter q to parameter p of an earlier layer where
    a parameter-free path leads from the end of a route of p to the beginning of a route of q; a
    route is a pair of neurons that the parameter connects. The number of such paths is the link's
    multiplicity: 1 in a perceptron, more where weights are shared. A bias is the weight of an edge
    from a constant neuron: it receives links and sends none. Obtain one from `edgedyn.line_graph`.

    Parameters
    ----------
    network : Network
        The neural network G_A.
    nodes : {"kernels", "all"}
        Whether biases and batch norms are nodes, too.

    Notes
    -----
    As a matrix, ``P[target, source]``: rows are what is influenced, columns what influences, as
    ``x_i' = f(x_i) + sum_j P_ij g(x_i, x_j)`` demands. Graph libraries keep the transpose.
    Everything but the explicit matrix comes from path counts between groups of parameters with the
    same routes' ends, of which there are few; links are never enumerated.

    Jiang et al., Nat. Commun. 15:5718 (2024), for perceptrons; shared weights and acyclic graphs
    follow the definition above.

    Examples
    --------
    >>> import edgedyn as ed
    >>> from edgedyn.linegraph import Conv1D, Network
    >>> gb = ed.line_graph(Network.sequential((5, 1), [Conv1D(1, 2), Conv1D(1, 3)]))
    >>> gb
    LineGraph(2 layers, 5 nodes, 6 links)
    >>> gb.to_scipy("multiplicities").toarray()[:2, 2:]
    array([[2., 2., 2.],
           [2., 2., 2.]])
    """

    network: Network
    nodes: str = "kernels"

    # What is there ------------------------------------------------------------------------------

    @cached_property
    def index(self) -> NodeIndex:
        """The order of the nodes."""
        from edgedyn.linegraph.reach import layer_nodes

        return NodeIndex(layer_nodes(self.network, self.nodes))

    @property
    def n_layers(self) -> int:
        """Layers with nodes."""
        return self.index.n_layers

    @property
    def n_nodes(self) -> int:
        """Number of nodes, an exact integer."""
        return self.index.n_nodes

    @cached_property
    def n_links(self) -> int:
        """Number of links, an exact integer."""
        from edgedyn.linegraph.counting import total_in

        return total_in(self.reach, self._groups("in", "links"))

    @property
    def beta_eff(self) -> float:
        """beta_eff of the unweighted graph, ``sum delta_out delta_in / n_links``; NaN if empty."""
        return self.moments().beta_eff

    @cached_property
    def reach(self) -> "Reach":
        """Path counts between the layers."""
        from edgedyn.linegraph.reach import trace

        return trace(self.network, self.nodes)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The pairs (target, source) of layers between which there are links."""
        return sorted({(b.target.layer, b.source.layer) for b in self.reach.blocks})

    def layer_links(self) -> list[tuple[int, int, int]]:
        """Return (target, source, number of links) for each pair of layers that has any.

        Examples
        --------
        >>> import edgedyn as ed
        >>> ed.line_graph([4, 5, 3, 2]).layer_links()
        [(1, 2, 60), (2, 3, 30)]
        """
        found = dict.fromkeys(self.pairs, 0)
        for block in self.reach.blocks:
            found[block.target.layer, block.source.layer] += block.n_links
        return [(target, source, n) for (target, source), n in found.items()]

    def __repr__(self) -> str:
        return f"LineGraph({self.n_layers} layers, {self.n_nodes} nodes, {self.n_links} links)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: counts, and the links between the layers."""
        facts = {
            "nodes": self.n_nodes,
            "links": self.n_links,
            "layers": self.n_layers,
            "β_eff, unweighted": self.beta_eff,
        }
        names = {layer: self.index.name(layer) for layer in range(1, self.n_layers + 1)}
        rows = [(names[b], names[a], n) for a, b, n in self.layer_links()]
        return notebook.card(f"{self!r}", facts, notebook.table(["from", "to", "links"], rows))

    # Degrees ------------------------------------------------------------------------------------

    def in_degree(self, values: str = "links", *, max_bytes: int = MAX_BYTES) -> NDArray[np.int64]:
        """Return how many links lead into each node, shape (n_nodes,).

        Parameters
        ----------
        values : {"links", "multiplicities"}
            Whether links count once or as often as there are paths.
        max_bytes : int
            4 GiB by default; a larger array, like other values, is a ValueError.
        """
        self._check_degrees(values, max_bytes)
        return self._degrees("in", values)

    def out_degree(self, values: str = "links", *, max_bytes: int = MAX_BYTES) -> NDArray[np.int64]:
        """Return how many links lead out of each node, shape (n_nodes,); 0 for biases.

        Parameters and errors are those of `in_degree`.
        """
        self._check_degrees(values, max_bytes)
        return self._degrees("out", values)

    def degree_distribution(
        self, direction: str = "in", values: str = "links"
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the different degrees, "in" or "out", sorted, and how many nodes have each.

        Examples
        --------
        >>> import edgedyn as ed
        >>> ed.line_graph([4, 5, 3]).degree_distribution("out")
        (array([0, 4]), array([20, 15]))
        """
        from edgedyn.linegraph.counting import distribution

        check.choice(direction, "direction", ("in", "out"))
        check.choice(values, "values", VALUES)
        groups = self._groups(direction, values).items()
        return distribution([(n, p.entries.members(_side(p, direction))) for p, n in groups])

    def moments(self, values: str = "links") -> "Moments":
        """Return ``<s>``, S, H and beta_eff over all nodes, of "links" or of "multiplicities".

        Examples
        --------
        >>> import edgedyn as ed
        >>> ed.line_graph([4, 5, 3, 3]).moments().beta_eff  # 15 * 4 * 3 / (60 + 45)
        1.7142857142857142
        """
        from edgedyn.linegraph.counting import moments

        check.choice(values, "values", VALUES)
        return moments(self.reach, self.n_nodes, values)

    # Neighbours and products --------------------------------------------------------------------

    def sources(self, node: int) -> NDArray[np.int64]:
        """Return the numbers of the nodes that send `node` a link: the columns of its row.

        A number that is no node's is a TypeError or IndexError.
        """
        from edgedyn.linegraph.matrix import Rows

        parameter, group = self._group_of(node, "in")
        blocks, kind = self.reach.into(parameter), np.dtype(np.int64)
        return Rows(parameter, blocks, 0, "links", kind, np.array([group])).columns

    def targets(self, node: int) -> NDArray[np.int64]:
        """Return the numbers of the nodes that `node` sends a link: the rows of its column.

        A number that is no node's is a TypeError or IndexError.
        """
        parameter, group = self._group_of(node, "out")
        found = [np.zeros(0, np.int64)]
        for block in self.reach.blocks:
            if block.source is parameter:
                ends = block.paths[:, [group]].tocoo().coords[0]
                found += [block.target.ending_in(e) for e in ends.tolist()]
        return np.sort(np.concatenate(found))

    def operator(self, values: str = "links") -> "LinearOperator":
        """Return P, of "links" or of "multiplicities", as an operator that stores no link.

        Returns
        -------
        scipy.sparse.linalg.LinearOperator, shape (n_nodes, n_nodes)

        Examples
        --------
        >>> import edgedyn as ed, numpy as np
        >>> gb = ed.line_graph([4, 5, 3])
        >>> bool((gb.operator() @ np.ones(35) == gb.in_degree()).all())
        True
        """
        from scipy.sparse.linalg import LinearOperator

        check.choice(values, "values", VALUES)
        forth, back = [], []
        for b in self.reach.blocks:
            matrix = b.counts(values)
            into, out_of = (b.target, b.target.entries.ends), (b.source, b.source.entries.starts)
            forth.append((into, matrix, out_of))
            back.append((out_of, matrix.T, into))

        def product(blocks: list[Any], v: NDArray[Any]) -> NDArray[Any]:
            v = np.asarray(v, np.float64).ravel()
            out = np.zeros(self.n_nodes)
            for (receiver, reached), matrix, (sender, begun) in blocks:
                view = receiver.entries.view(out[receiver.nodes])
                view += (matrix @ sender.entries.sums(begun, v[sender.nodes]))[reached.of]
            return out

        return LinearOperator(
            (self.n_nodes, self.n_nodes),
            matvec=partial(product, forth),
            rmatvec=partial(product, back),
            dtype=np.dtype(np.float64),
        )

    # Explicit forms -----------------------------------------------------------------------------

    def block(
        self,
        target: int,
        source: int | None = None,
        values: str = "links",
        *,
        dtype: DTypeLike = np.float64,
        max_bytes: int = MAX_BYTES,
    ) -> "csr_array":
        """Return the links from one layer to another.

        Parameters
        ----------
        target, source : int
            Layers, from 1; the source may be left out where only one sends links to the target.
        values, dtype, max_bytes
            As for `to_scipy`.

        Returns
        -------
        scipy.sparse.csr_array, shape (nodes of the target, nodes of the source)
            Numbers count from 0 within each layer.

        Raises
        ------
        TypeError, IndexError, ValueError
            For layers without links between them, or a block over `max_bytes`.
        """
        from edgedyn.linegraph.matrix import block_matrix

        check.choice(values, "values", VALUES)
        source = self._source(target, source)
        layers = (target, source)
        blocks = [b for b in self.reach.blocks if (b.target.layer, b.source.layer) == layers]
        parameters = [p for p in self.reach.parameters if p.layer == target]
        shape = (self.index.layer_nodes(target), self.index.layer_nodes(source))
        origin = self.index.layer_slice(source).start
        return block_matrix(parameters, blocks, shape, origin, values, dtype, max_bytes)

    def blocks(self, values: str = "links") -> Iterator[tuple[int, int, "csr_array"]]:
        """Yield ``(target, source, block(target, source))``, one block in memory at a time."""
        for target, source in self.pairs:
            yield target, source, self.block(target, source, values)

    def to_scipy(
        self,
        values: str = "links",
        *,
        dtype: DTypeLike = np.float64,
        max_bytes: int = MAX_BYTES,
    ) -> "csr_array":
        """Return the adjacency matrix as ``P[target, source]``.

        Parameters
        ----------
        values : {"links", "multiplicities"}
            Every link a 1, or the number of its paths.
        dtype : data type
            Of the values. float64 by default: 12 bytes a link with its index, accepted by every
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
        from edgedyn.linegraph.matrix import block_matrix, check_matrix_bytes

        check.choice(values, "values", VALUES)
        shape = (self.n_nodes, self.n_nodes)
        check_matrix_bytes(self.n_links, shape, np.dtype(dtype), max_bytes)
        reach = self.reach
        return block_matrix(reach.parameters, reach.blocks, shape, 0, values, dtype, max_bytes)

    def to_networkx(self, *, max_links: int = 100_000) -> "nx.DiGraph":
        """Return the graph with edges source -> target, as text and numbers that any file holds.

        Nodes carry ``label`` and ``name``, which no other node has, ``layer``, ``layer_name``,
        ``kind`` ("kernel" or "bias"), ``position`` as text and, index by index, as ``position0``,
        ``position1``, ...; ``shape``, and ``x`` and ``y`` to draw them, see
        `edgedyn.linegraph.pos`. Edges carry their ``multiplicity`` and a ``weight`` of 1, the
        link's entry in `to_scipy`. More links or nodes than `max_links` are a ValueError;
        `layer_graph` has no such limit.

        Examples
        --------
        >>> import edgedyn as ed
        >>> graph = ed.line_graph([4, 5, 3]).to_networkx()
        >>> graph.nodes[20]["label"], graph.nodes[3]["label"], graph.edges[20, 3]
        ('W₂[0, 0]', 'W₁[0, 3]', {'weight': 1.0, 'multiplicity': 1})
        """
        import networkx as nx

        from edgedyn.linegraph.attributes import node_attributes

        check_links(self.n_links, max_links, "links", "this line graph", "to_scipy()")
        # Two layers have no links, however many nodes.
        check_links(self.n_nodes, max_links, "nodes", "this line graph", "to_scipy()")
        graph: nx.DiGraph = nx.DiGraph()
        for node in range(self.n_nodes):
            graph.add_node(node, **node_attributes(self.index, node))
        links = self.to_scipy("multiplicities", dtype=np.int64).tocoo()
        columns, rows, paths = links.col.tolist(), links.row.tolist(), links.data.tolist()
        for source, target, several in zip(columns, rows, paths, strict=True):
            graph.add_edge(source, target, weight=1.0, multiplicity=several)
        return graph

    def layer_graph(self) -> "nx.DiGraph":
        """Return a small graph of a network of any size: one node a layer, numbered from 1.

        Edges lead from the layer that sends links to the one that receives them. They carry
        ``links``, how many there are, and ``weight``, the same as a float; ``multiplicity``, the
        paths behind them; ``link_share``, of all links; and ``beta_share``, of the unweighted
        beta_eff, the mean in-degree of the nodes that links come from. Nodes carry ``label`` and
        ``name``, which no other node has, ``layer``, ``n_nodes``, ``shape`` (of the kernel, as
        text), ``beta_share`` (of the links that the layer sends), ``x`` and ``y``. Shares are 0
        where beta_eff is 0 or there is none. `edgedyn.linegraph.export.write_layers` writes it.

        Examples
        --------
        >>> import edgedyn as ed
        >>> graph = ed.line_graph([4, 5, 3, 2]).layer_graph()
        >>> graph.edges[2, 1]["links"], graph.edges[3, 2]["links"]
        (60, 30)
        >>> graph.edges[2, 1]["beta_share"], graph.nodes[2]["n_nodes"]
        (1.0, 15)
        """
        from edgedyn.linegraph.by_layer import layer_graph

        return layer_graph(self.index, self.reach)

    # Helpers ------------------------------------------------------------------------------------

    def _groups(self, direction: str, values: str) -> "dict[Parameter, NDArray[Any]]":
        """Return the degrees of each parameter's groups."""
        from edgedyn.linegraph.counting import in_groups, out_groups

        return (in_groups if direction == "in" else out_groups)(self.reach, values)

    def _check_degrees(self, values: str, max_bytes: int) -> None:
        """Refuse other values and a vector of degrees that is too large."""
        check.choice(values, "values", VALUES)
        what = f"the degrees of {self.n_nodes:,} nodes"
        check_bytes(8 * self.n_nodes, max_bytes, what, "degree_distribution() takes little")

    def _degrees(self, direction: str, values: str) -> NDArray[np.int64]:
        """Return the degree of each node."""
        degrees = np.zeros(self.n_nodes, np.int64)
        for p, totals in self._groups(direction, values).items():
            p.entries.view(degrees[p.nodes])[...] = totals[_side(p, direction).of]
        return degrees

    def _group_of(self, node: int, direction: str) -> "tuple[Parameter, int]":
        """Return the parameter a node belongs to, and its group there."""
        node = self.index.check_node(node)
        owner = next(p for p in reversed(self.reach.parameters) if p.offset <= node)
        groups = owner.entries.in_order(_side(owner, direction).of)
        return owner, int(groups.flat[node - owner.offset])

    def _source(self, target: int, source: int | None) -> int:
        """Return the layer that sends links to another, or refuse."""
        self.index.check_layer(target)
        sources = [b for a, b in self.pairs if a == target]
        if source is None:
            if len(sources) != 1:
                raise IndexError(
                    f"layer {target} receives links from layers {sources}; say which source."
                )
            return sources[0]
        self.index.check_layer(source)
        if source not in sources:
            raise IndexError(
                f"no links lead from layer {source} to layer {target}; pairs lists those that do."
            )
        return source


def _side(parameter: "Parameter", direction: str) -> Any:
    """Return the groups by which a parameter's nodes receive ("in") or send ("out")."""
    return parameter.entries.ends if direction == "in" else parameter.entries.starts
