"""What nodes carry into other programs: distinct names, their place as numbers, where to draw them.

Programs such as Gephi and Cytoscape take numbers and text only. Layers stand in columns, from left
to right, and the nodes of each are spread over the same height, the first on top.
"""

from typing import TYPE_CHECKING, Any

from edgedyn._array import Array
from edgedyn.linegraph.index import NodeIndex

if TYPE_CHECKING:
    import networkx as nx

SPACING = 10  # of the nodes of the largest layer, in the units of x and y
WIDTH = 1.6  # of the whole drawing, relative to its height
KINDS = ("kernel", "bias")  # the other one where true


def pos(graph: "nx.Graph") -> dict[Any, tuple[float, float]]:
    """Return where the nodes of a networkx graph of this package are drawn: (x, y) of each.

    For `networkx.draw` and its relatives; the nodes themselves carry ``x`` and ``y``, since no file
    format holds pairs.

    Parameters
    ----------
    graph : networkx graph
        As `LineGraph.to_networkx`, `LineGraph.layer_graph` or `Interaction.to_networkx` gives it,
        or as networkx reads it back from a file of `edgedyn.linegraph.export`.

    Examples
    --------
    >>> import edgedyn as ed
    >>> ed.linegraph.pos(ed.line_graph([2, 1, 1]).to_networkx())
    {0: (0.0, 15.0), 1: (0.0, 5.0), 2: (32.0, 10.0)}
    """
    return {node: (data["x"], data["y"]) for node, data in graph.nodes(data=True)}


def x_of(index: NodeIndex, layer: int) -> int:
    """Return where a layer's column stands."""
    gaps = max(index.n_layers - 1, 1)
    return round(WIDTH * _height(index) / gaps) * (layer - 1)


def y_of(index: NodeIndex, layer: int, rank: Any) -> Any:
    """Return the heights of nodes, whole numbers, by their ranks in their layer."""
    height, n = _height(index), index.layer_nodes(layer)
    return height - (2 * rank + 1) * height // (2 * n)


def _height(index: NodeIndex) -> int:
    """Return the height of the drawing."""
    return SPACING * max(layer.n_nodes for layer in index.layers)


def node_attributes(index: NodeIndex, node: int) -> dict[str, Any]:
    """Return what a node carries, by name, as text and numbers.

    >>> import edgedyn as ed
    >>> node_attributes(ed.line_graph([4, 5, 3]).index, 7)  # doctest: +NORMALIZE_WHITESPACE
    {'label': 'W₁[1, 3]', 'name': 'W₁[1, 3]', 'layer': 1, 'layer_name': 'layer 1',
     'kind': 'kernel', 'position': '1 3', 'position0': 1, 'position1': 3, 'shape': '5 4',
     'x': 0.0, 'y': 125.0}
    """
    layer, position = index.locate(node)
    nodes, bias = index.layers[layer - 1], position[0] == "bias"
    numbers = position[1:] if bias else position
    label, rank = index.label(node), node - index.layer_slice(layer).start
    return {
        "label": label,
        "name": label,
        "layer": layer,
        "layer_name": index.name(layer),
        "kind": KINDS[bias],
        "position": text(position),
        **{f"position{axis}": number for axis, number in enumerate(numbers)},
        "shape": text((nodes.n_bias,) if bias else nodes.kernel_shape),
        "x": float(x_of(index, layer)),
        "y": float(y_of(index, layer, rank)),
    }


def text(numbers: tuple[Any, ...] | Array) -> str:
    """Return a position or a shape as text."""
    return " ".join(map(str, numbers))
