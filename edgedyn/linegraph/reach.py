"""Which parameters lead to which: blocks of path counts between the layers of a network."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from edgedyn._array import Array
from edgedyn.linegraph.entries import Entries, bias_entries, kernel_entries
from edgedyn.linegraph.index import LayerNodes
from edgedyn.linegraph.layers import Layer, Scale
from edgedyn.linegraph.moves import Along, carry
from edgedyn.linegraph.network import Network, Operation
from edgedyn.linegraph.routes import Opaque, Route
from edgedyn.linegraph.terms import Term, add_up, advance, gather


@dataclass(frozen=True, eq=False)
class Parameter:
    """A kernel or a bias: its layer's number, from 1, that of its first node, and its entries."""

    layer: int
    offset: int
    entries: Entries

    @property
    def nodes(self) -> slice:
        """Numbers of its nodes."""
        return slice(self.offset, self.offset + self.entries.size)

    def ending_in(self, group: int) -> Array:
        """Return the numbers of the nodes whose routes end in a group."""
        return self.entries.ending_in(group) + self.offset


@dataclass(frozen=True, eq=False)
class Block:
    """Path counts from the routes' ends of one parameter to the routes' beginnings of another.

    The earlier one, the target, receives links; the later one, a kernel, sends them. `paths`, shape
    (groups of ends of the target, groups of beginnings of the source), holds the multiplicity of
    each link between a member of one group and a member of the other.
    """

    target: Parameter
    source: Parameter
    paths: csr_array

    @cached_property
    def links(self) -> csr_array:
        """A 1 for each pair of groups that are linked."""
        matrix = self.paths.copy()
        matrix.data = np.ones_like(matrix.data)
        return matrix

    @property
    def n_links(self) -> int:
        """Number of links, an exact integer."""
        per_group = np.diff(self.paths.indptr).tolist()
        pairs = zip(per_group, self.target.entries.ending.tolist(), strict=True)
        return sum(a * b for a, b in pairs) * self.source.entries.fan

    def counts(self, values: str) -> csr_array:
        """Return multiplicities or ones."""
        return self.links if values == "links" else self.paths


@dataclass(frozen=True, eq=False)
class Reach:
    """All parameters and all blocks, in the order of targets, then sources."""

    parameters: tuple[Parameter, ...]
    blocks: tuple[Block, ...]

    def into(self, target: Parameter) -> list[Block]:
        """Return the blocks of links into a parameter, in the order of their sources."""
        return [block for block in self.blocks if block.target is target]


def owns_nodes(operation: Layer | Route, nodes: str) -> bool:
    """Tell whether an operation owns nodes; batch norms do with ``nodes="all"`` only."""
    if isinstance(operation, Scale):
        return nodes == "all" and bool(operation.gamma or operation.beta)
    return isinstance(operation, Layer)


def layer_nodes(network: Network, nodes: str) -> tuple[LayerNodes, ...]:
    """Return the shapes of all layers' parameters that are nodes."""
    found = []
    for operation in network.operations:
        g = operation.geometry
        if g is not None and owns_nodes(operation.what, nodes):
            kernel = g.kernel_shape if g.kernel else (0,)
            n_bias = g.n_out if g.bias and nodes == "all" else 0
            found.append(LayerNodes(kernel, n_bias, operation.name))
    return tuple(found)


def trace(network: Network, nodes: str) -> Reach:
    """Follow all parameter-free paths of a network from layer to layer.

    An opaque operation after a layer with parameters is a ValueError.
    """
    return _Tracer(network, nodes).run()


class _Tracer:
    """Walks through a network; tensors carry the paths of the parameters that reach them."""

    def __init__(self, network: Network, nodes: str) -> None:
        self.network, self.nodes = network, nodes
        self.terms: dict[int, dict[Parameter, tuple[Term, ...]]] = {0: {}}
        self.real: dict[int, Array | None] = {0: None}
        self.parameters: list[Parameter] = []
        self.blocks: list[Block] = []
        self.offset = self.layer = 0

    def run(self) -> Reach:
        """Walk; return what was found."""
        uses = [t.number for o in self.network.operations for t in o.inputs]
        left = {number: uses.count(number) for number in set(uses)}
        for operation in self.network.operations:
            number = operation.output.number
            self.real[number] = None
            if owns_nodes(operation.what, self.nodes):
                self.terms[number] = self._layer(operation)
            elif isinstance(operation.what, Opaque):
                self.terms[number] = self._opaque(operation)
            elif isinstance(operation.what, Scale):
                self.terms[number] = self.terms[operation.inputs[0].number]
                self.real[number] = self.real[operation.inputs[0].number]
            else:
                self.terms[number] = self._route(operation)
                self.real[number] = self._real(operation)
            for tensor in operation.inputs:
                left[tensor.number] -= 1
                if not left[tensor.number]:
                    self.terms.pop(tensor.number), self.real.pop(tensor.number)
        blocks = sorted(self.blocks, key=lambda b: (b.target.offset, b.source.offset))
        return Reach(tuple(self.parameters), tuple(blocks))

    def _layer(self, operation: Operation) -> dict[Parameter, tuple[Term, ...]]:
        """Close the paths that arrive at a layer's kernel, and begin those of its parameters."""
        g, tensor = operation.geometry, operation.inputs[0]
        assert g is not None
        self.layer += 1
        emitted = {} if g.cuts else dict(self.terms[tensor.number])
        if g.kernel:
            entries, terms = kernel_entries(g, self.real[tensor.number])
            kernel = self._parameter(entries)
            reads = [Along((*(w.reads() for w in g.windows), None))]
            shape = reads[0].shape(tensor.shape)
            for target, arriving in self.terms[tensor.number].items():
                paths = add_up(advance(arriving, reads, tensor.shape), shape).T.tocsr()
                paths.sort_indices()
                if paths.nnz:
                    self.blocks.append(Block(target, kernel, paths))
            if terms:  # none where the layer reads padding only
                emitted[kernel] = terms
        if g.bias and self.nodes == "all":
            entries, terms = bias_entries(g)
            emitted[self._parameter(entries)] = terms
        return emitted

    def _parameter(self, entries: Entries) -> Parameter:
        """Give the next numbers to a parameter."""
        parameter = Parameter(self.layer, self.offset, entries)
        self.offset += entries.size
        self.parameters.append(parameter)
        return parameter

    def _opaque(self, operation: Operation) -> dict[Parameter, tuple[Term, ...]]:
        """Refuse paths into the unknown."""
        if any(self.terms[t.number] for t in operation.inputs):
            raise ValueError(
                f"the opaque operation {operation.name or operation.what!r} follows a layer with "
                "parameters; paths through it are not known."
            )
        return {}

    def _route(self, operation: Operation) -> dict[Parameter, tuple[Term, ...]]:
        """Advance all paths; those over several inputs add up."""
        branches: dict[Parameter, list[tuple[Term, ...]]] = {}
        for tensor, moves in zip(operation.inputs, operation.moves, strict=True):
            for parameter, terms in self.terms[tensor.number].items():
                moved = advance(terms, moves, tensor.shape)
                branches.setdefault(parameter, []).append(moved)
        shape = operation.output.shape
        return {p: b[0] if len(b) == 1 else gather(b, shape) for p, b in branches.items()}

    def _real(self, operation: Operation) -> Array | None:
        """Return which neurons are more than padding; None where all are."""
        masks = [self.real[t.number] for t in operation.inputs]
        if all(mask is None for mask in masks) and (
            len(masks) > 1 or not any(map(_pads, operation.moves[0]))
        ):
            return None
        total = np.zeros(operation.output.shape, bool)
        for tensor, mask, moves in zip(operation.inputs, masks, operation.moves, strict=True):
            values = np.ones(tensor.shape, np.int8) if mask is None else mask.astype(np.int8)
            total |= carry(moves, values) > 0
        return None if total.all() else total


def _pads(move: Any) -> bool:
    """Tell whether some position after a move is reached from none before."""
    maps = move.maps if isinstance(move, Along) else ()
    return any(m is not None and not np.diff(m.indptr).all() for m in maps)
