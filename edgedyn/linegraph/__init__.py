"""From a neural network G_A to its reversed line graph G_B: topology only."""

from edgedyn.linegraph.graph import LineGraph, line_graph
from edgedyn.linegraph.index import NodeIndex, NodeLocation

__all__ = ["LineGraph", "NodeIndex", "NodeLocation", "line_graph"]
