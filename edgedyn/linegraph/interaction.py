"""The line graph weighted by interaction strengths P for given data."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from edgedyn import _notebook as notebook
from edgedyn._array import Array
from edgedyn.linegraph.graph import MAX_BYTES, LineGraph

if TYPE_CHECKING:
    import networkx as nx
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import LinearOperator

    from edgedyn.linegraph.reach import Parameter, Reach

Progress = Callable[[float, str], None]


@dataclass(frozen=True, eq=False)
class Interaction:
    """A line graph whose links carry the interaction strengths P of the direct coupling.

    Obtain one from `edgedyn.ReLUMLP.interaction` or `edgedyn.nn.interaction`.

    Parameters
    ----------
    graph : LineGraph
        The links; strengths may be zero on some of them, where activations are masked.
    strength : {"magnitude", "signed"}
    n_samples : int
        Samples averaged over.
    operator : scipy.sparse.linalg.LinearOperator
        ``P[target, source]``, which multiplies vectors without being stored.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Eqs. 5-6. The neural capacitance is
    ``1' P P 1 / 1' P 1``.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> net = ed.ReLUMLP.random([3, 5, 4, 2], seed=0)
    >>> X = np.random.default_rng(0).standard_normal((20, 3))
    >>> P = net.interaction(X, np.arange(20) % 2)
    >>> P
    Interaction(LineGraph(3-5-4-2, 43 nodes, 100 links), magnitude, 20 samples)
    >>> beta = P.out_degree() @ P.in_degree() / P.in_degree().sum()
    >>> bool(np.isclose(beta, ed.neural_capacitance(net, X, np.arange(20) % 2).value))
    True
    """

    graph: LineGraph
    strength: str
    n_samples: int
    operator: "LinearOperator" = field(repr=False)

    def __repr__(self) -> str:
        return f"Interaction({self.graph!r}, {self.strength}, {self.n_samples} samples)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the strengths' total, beta_eff, the graph."""
        into, out = self.in_degree(), self.out_degree()
        total = float(into.sum())
        facts = {
            "strength P": self.strength,
            "samples": self.n_samples,
            "nodes": self.graph.n_nodes,
            "links": self.graph.n_links,
            "total strength": total,
            "β_eff, weighted by P": float(out @ into) / total if total else None,
        }
        names = [self.graph.index.name(k + 1) for k in range(self.graph.n_layers)]
        slices = [self.graph.index.layer_slice(k + 1) for k in range(self.graph.n_layers)]
        rows = [
            (name, float(into[nodes].sum()), float(out[nodes].sum()))
            for name, nodes in zip(names, slices, strict=True)
        ]
        head = ["layer", "strength in", "strength out"]
        return notebook.card(f"{self!r}", facts, notebook.table(head, rows))

    def in_degree(self) -> Array:
        """Return the total strength into each node, ``P 1``."""
        return np.asarray(self.operator @ np.ones(self.graph.n_nodes))

    def out_degree(self) -> Array:
        """Return the total strength out of each node, ``P' 1``."""
        return np.asarray(self.operator.T @ np.ones(self.graph.n_nodes))

    def to_scipy(
        self, *, max_bytes: int = MAX_BYTES, progress: Progress | None = None
    ) -> "csr_array":
        """Return P as ``P[target, source]``, one entry a link of the graph.

        Rows that share no link are read off one product with the transposed operator, so that far
        fewer products than nodes are needed: taps times inputs for a convolution.

        Parameters
        ----------
        max_bytes : int
            4 GiB by default; a larger matrix is a ValueError before anything is allocated.
        progress : callable, optional
            Called with the fraction done and a word.

        Returns
        -------
        scipy.sparse.csr_array, shape (n_nodes, n_nodes)
        """
        matrix = self.graph.to_scipy(max_bytes=max_bytes)
        reach = self.graph.reach
        probes = [rows for parameter in reach.parameters for rows in _probes(reach, parameter)]
        for done, rows in enumerate(probes, 1):
            vector = np.zeros(self.graph.n_nodes)
            vector[rows] = 1.0
            values = self.operator.T @ vector
            for row in rows.tolist():
                part = slice(matrix.indptr[row], matrix.indptr[row + 1])
                matrix.data[part] = values[matrix.indices[part]]
            if progress is not None:
                progress(done / len(probes), "strengths")
        return matrix

    def to_networkx(self, *, max_links: int = 100_000) -> "nx.DiGraph":
        """Return the graph with edges source -> target and the strengths P as ``weight``.

        Nodes and edges carry what they do in `LineGraph.to_networkx`, but for the weight. More
        than `max_links` links are a ValueError.

        Examples
        --------
        >>> import numpy as np, edgedyn as ed
        >>> net = ed.ReLUMLP([[[1.0]], [[1.0]], [[2.0]]], loss="squared_error")
        >>> P = net.interaction([[3.0]], [5.0])
        >>> P.to_networkx().edges[1, 0]["weight"]  # |e_2| |x| = |2 * (6 - 5)| * 3
        6.0
        """
        graph = self.graph.to_networkx(max_links=max_links)
        links = self.to_scipy().tocoo()
        triples = (links.row.tolist(), links.col.tolist(), links.data.tolist())
        for target, source, weight in zip(*triples, strict=True):
            graph.edges[source, target]["weight"] = weight
        return graph


def _probes(reach: "Reach", parameter: "Parameter") -> list[Array]:
    """Return sets of a parameter's linked nodes that share no link's source."""
    colours = _colours(reach, parameter)
    found = []
    for colour in range(colours.max(initial=-1) + 1):
        members = [parameter.ending_in(g) for g in np.flatnonzero(colours == colour).tolist()]
        for k in range(max(map(len, members))):
            found.append(np.array([nodes[k] for nodes in members if k < len(nodes)]))
    return found


def _colours(reach: "Reach", parameter: "Parameter") -> Array:
    """Colour the groups of ends, greedily, so that one colour's share no source; -1: no links."""
    blocks = reach.into(parameter)
    offsets = np.cumsum([0, *(b.paths.shape[1] for b in blocks)])
    taken: list[Array] = []
    colours = np.full(parameter.entries.ends.n, -1)
    for group in range(len(colours)):
        starts = [
            b.paths.indices[b.paths.indptr[group] : b.paths.indptr[group + 1]] + offset
            for b, offset in zip(blocks, offsets, strict=False)
        ]
        linked = np.concatenate([np.zeros(0, np.int64), *starts])
        if not len(linked):
            continue
        free = (c for c, used in enumerate(taken) if not used[linked].any())
        colour = next(free, len(taken))
        if colour == len(taken):
            taken.append(np.zeros(offsets[-1], bool))
        taken[colour][linked] = True
        colours[group] = colour
    return colours
