"""The order of the line graph's nodes, and the way between a node's number and its place."""

from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple


class NodeLocation(NamedTuple):
    """Where a node of the line graph sits in the network.

    Parameters
    ----------
    layer : int
        The layer that owns the parameter, from 1.
    position : tuple
        ``(i, j)`` for the kernel entry ``W^l[i, j]``, the weight from neuron j of layer l - 1 to
        neuron i of layer l; ``("bias", i)`` for a bias.
    """

    layer: int
    position: tuple[Any, ...]


@dataclass(frozen=True)
class NodeIndex:
    """Numbers of the nodes: layers in order; in a layer the kernel in C-order, then the bias.

    Parameters
    ----------
    sizes : tuple of int
        Neurons per layer, input first.
    bias : tuple of bool
        For each layer with weights, whether its biases are nodes.

    Examples
    --------
    >>> from edgedyn.linegraph import NodeIndex
    >>> index = NodeIndex((4, 5, 3), (True, False))
    >>> index.locate(7), index.locate(24)
    (NodeLocation(layer=1, position=(1, 3)), NodeLocation(layer=1, position=('bias', 4)))
    >>> index.id(2, (0, 0)), index.n_nodes
    (25, 40)
    """

    sizes: tuple[int, ...]
    bias: tuple[bool, ...]

    @property
    def n_layers(self) -> int:
        """Layers with weights."""
        return len(self.sizes) - 1

    @property
    def n_nodes(self) -> int:
        """Number of nodes, an exact integer."""
        return sum(self.layer_nodes(layer) for layer in range(1, self.n_layers + 1))

    def layer_nodes(self, layer: int) -> int:
        """Return how many nodes a layer owns."""
        self.check_layer(layer)
        return self.sizes[layer] * (self.sizes[layer - 1] + self.bias[layer - 1])

    def layer_slice(self, layer: int) -> slice:
        """Return the numbers of a layer's nodes."""
        self.check_layer(layer)
        start = sum(self.layer_nodes(below) for below in range(1, layer))
        return slice(start, start + self.layer_nodes(layer))

    def locate(self, node: int) -> NodeLocation:
        """Return the layer and position of a node.

        Raises
        ------
        TypeError, IndexError
            For a number that is no integer, or not in ``0..n_nodes - 1``.
        """
        if isinstance(node, bool) or not isinstance(node, Integral):
            raise TypeError(f"a node's number must be an integer; got {node!r}.")
        rest = int(node)
        if rest >= 0:
            for layer in range(1, self.n_layers + 1):
                if rest < self.layer_nodes(layer):
                    n_in = self.sizes[layer - 1]
                    kernel = self.sizes[layer] * n_in
                    position = divmod(rest, n_in) if rest < kernel else ("bias", rest - kernel)
                    return NodeLocation(layer, position)
                rest -= self.layer_nodes(layer)
        raise IndexError(f"nodes are numbered 0..{self.n_nodes - 1}; got {node}.")

    def id(self, layer: int, position: tuple[Any, ...]) -> int:
        """Return the number of the node at a layer and position; the inverse of `locate`.

        Raises
        ------
        TypeError, IndexError
            For a position of another form, or outside the layer.
        """
        self.check_layer(layer)
        n_out, n_in = self.sizes[layer], self.sizes[layer - 1]
        start = self.layer_slice(layer).start
        if not isinstance(position, tuple) or len(position) != 2:
            raise TypeError(f"position must be (i, j) or ('bias', i); got {position!r}.")
        first, second = position
        if first == "bias":
            if not self.bias[layer - 1]:
                raise IndexError(f"the biases of layer {layer} are no nodes of this line graph.")
            return start + n_out * n_in + _inside(second, n_out, position, layer)
        row = _inside(first, n_out, position, layer)
        return start + row * n_in + _inside(second, n_in, position, layer)

    def check_layer(self, layer: int) -> None:
        """Refuse a layer that does not exist."""
        if isinstance(layer, bool) or not isinstance(layer, Integral):
            raise TypeError(f"layer must be an integer; got {layer!r}.")
        if not 1 <= layer <= self.n_layers:
            raise IndexError(f"layers are numbered 1..{self.n_layers}; got {layer}.")


def _inside(value: Any, limit: int, position: tuple[Any, ...], layer: int) -> int:
    """Check one coordinate of a position."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"position must be (i, j) or ('bias', i); got {position!r}.")
    if not 0 <= int(value) < limit:
        raise IndexError(f"position {position!r} lies outside layer {layer}.")
    return int(value)
