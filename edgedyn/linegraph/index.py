"""The order of the line graph's nodes, and the way between a node's number and its place."""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from numbers import Integral
from typing import Any, NamedTuple

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class NodeLocation(NamedTuple):
    """Where a node of the line graph sits in the network.

    Parameters
    ----------
    layer : int
        The layer that owns the parameter, from 1.
    position : tuple
        The index into the kernel as its owner holds it: ``(i, j)`` for the weight from neuron j to
        neuron i of a perceptron, ``(row, column, input, output)`` for a convolution, ``(c,)`` for
        the gamma of a batch norm; ``("bias", i)`` for a bias.
    """

    layer: int
    position: tuple[Any, ...]


@dataclass(frozen=True)
class LayerNodes:
    """The parameters of one layer that are nodes.

    Parameters
    ----------
    kernel_shape : tuple of int
        As the owner holds the kernel; ``(0,)`` where there is none.
    n_bias : int
        Number of biases that are nodes.
    name : str
        The layer's name where it has one.
    """

    kernel_shape: tuple[int, ...]
    n_bias: int = 0
    name: str = ""

    @property
    def n_kernel(self) -> int:
        """Number of kernel entries."""
        return prod(self.kernel_shape)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.n_kernel + self.n_bias


@dataclass(frozen=True)
class NodeIndex:
    """Numbers of the nodes: layers in order; in a layer the kernel in C-order, then the bias.

    Parameters
    ----------
    layers : tuple of LayerNodes

    Examples
    --------
    >>> import edgedyn as ed
    >>> index = ed.line_graph([4, 5, 3], bias=[True, False]).index
    >>> index.locate(7), index.locate(24)
    (NodeLocation(layer=1, position=(1, 3)), NodeLocation(layer=1, position=('bias', 4)))
    >>> index.id(2, (0, 0)), index.n_nodes
    (25, 40)
    """

    layers: tuple[LayerNodes, ...]

    @property
    def n_layers(self) -> int:
        """Layers with nodes."""
        return len(self.layers)

    @property
    def n_nodes(self) -> int:
        """Number of nodes, an exact integer."""
        return self._starts[-1]

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """Number of each layer's first node, and of the nodes altogether."""
        return tuple(accumulate((layer.n_nodes for layer in self.layers), initial=0))

    def layer_nodes(self, layer: int) -> int:
        """Return how many nodes a layer owns."""
        self.check_layer(layer)
        return self.layers[layer - 1].n_nodes

    def layer_slice(self, layer: int) -> slice:
        """Return the numbers of a layer's nodes."""
        self.check_layer(layer)
        return slice(self._starts[layer - 1], self._starts[layer])

    def name(self, layer: int) -> str:
        """Return a layer's name, or ``layer l`` where it has none."""
        self.check_layer(layer)
        return self.layers[layer - 1].name or f"layer {layer}"

    def symbol(self, layer: int, bias: bool) -> str:
        """Return the symbol of a layer's kernel or bias: W₁ or b₁, of a batch norm γ₁ or β₁."""
        self.check_layer(layer)
        scale = len(self.layers[layer - 1].kernel_shape) == 1
        letter = ("β" if bias else "γ") if scale else ("b" if bias else "W")
        return letter + str(layer).translate(_SUBSCRIPTS)

    def label(self, node: int) -> str:
        """Return a node's name, which no other has: its symbol and position, from 0.

        Examples
        --------
        >>> import edgedyn as ed
        >>> index = ed.line_graph([2, 1, 1], bias=True).index
        >>> [index.label(node) for node in range(5)]
        ['W₁[0, 0]', 'W₁[0, 1]', 'b₁[0]', 'W₂[0, 0]', 'b₂[0]']
        """
        layer, position = self.locate(node)
        bias = position[0] == "bias"
        place = ", ".join(map(str, position[1:] if bias else position))
        return f"{self.symbol(layer, bias)}[{place}]"

    def check_node(self, node: int) -> int:
        """Return a node's number as an int, or refuse one that is no node's."""
        if isinstance(node, bool) or not isinstance(node, Integral):
            raise TypeError(f"a node's number must be an integer; got {node!r}.")
        if not 0 <= node < self.n_nodes:
            raise IndexError(f"nodes are numbered 0..{self.n_nodes - 1}; got {node}.")
        return int(node)

    def locate(self, node: int) -> NodeLocation:
        """Return the layer and position of a node.

        Raises
        ------
        TypeError, IndexError
            For a number that is no integer, or not in ``0..n_nodes - 1``.
        """
        rest = self.check_node(node)
        layer = bisect_right(self._starts, rest)
        rest -= self._starts[layer - 1]
        nodes = self.layers[layer - 1]
        if rest >= nodes.n_kernel:
            return NodeLocation(layer, ("bias", rest - nodes.n_kernel))
        position: list[int] = []
        for length in reversed(nodes.kernel_shape):
            rest, coordinate = divmod(rest, length)
            position.insert(0, coordinate)
        return NodeLocation(layer, tuple(position))

    def id(self, layer: int, position: tuple[Any, ...]) -> int:
        """Return the number of the node at a layer and position; the inverse of `locate`.

        Raises
        ------
        TypeError, IndexError
            For a position of another form, or outside the layer.
        """
        self.check_layer(layer)
        nodes, start = self.layers[layer - 1], self._starts[layer - 1]
        coordinates, lengths = position, nodes.kernel_shape
        if isinstance(position, tuple) and len(position) == 2 and position[0] == "bias":
            if not nodes.n_bias:
                raise IndexError(f"the biases of layer {layer} are no nodes of this line graph.")
            coordinates, lengths, start = position[1:], (nodes.n_bias,), start + nodes.n_kernel
        if (
            not isinstance(position, tuple)
            or len(coordinates) != len(lengths)
            or any(isinstance(k, bool) or not isinstance(k, Integral) for k in coordinates)
        ):
            raise TypeError(_form(nodes, position))
        number = 0
        for value, length in zip(coordinates, lengths, strict=True):
            if not 0 <= int(value) < length:
                raise IndexError(f"position {position!r} lies outside layer {layer}.")
            number = number * length + int(value)
        return start + number

    def check_layer(self, layer: int) -> None:
        """Refuse a layer that does not exist."""
        if isinstance(layer, bool) or not isinstance(layer, Integral):
            raise TypeError(f"layer must be an integer; got {layer!r}.")
        if not 1 <= layer <= self.n_layers:
            raise IndexError(f"layers are numbered 1..{self.n_layers}; got {layer}.")


def _form(nodes: LayerNodes, position: Any) -> str:
    """Say what a position looks like."""
    axes = ", ".join("ijkmn"[: len(nodes.kernel_shape)])
    comma = "," if len(nodes.kernel_shape) == 1 else ""
    return f"position must be ({axes}{comma}) or ('bias', i); got {position!r}."
