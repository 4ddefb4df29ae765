"""From a neural network G_A to its reversed line graph G_B: topology only."""

from edgedyn.linegraph.attributes import pos
from edgedyn.linegraph.build import line_graph
from edgedyn.linegraph.graph import LineGraph
from edgedyn.linegraph.index import LayerNodes, NodeIndex, NodeLocation
from edgedyn.linegraph.interaction import Interaction
from edgedyn.linegraph.layers import (
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Scale,
    SeparableConv2D,
)
from edgedyn.linegraph.network import Network, Tensor
from edgedyn.linegraph.perceptron import PerceptronLineGraph
from edgedyn.linegraph.routes import (
    Add,
    Concatenate,
    Cropping,
    Flatten,
    GlobalPooling,
    Identity,
    Multiply,
    Opaque,
    Permute,
    Pooling,
    Reshape,
    UpSampling,
    ZeroPadding,
)

__all__ = [
    "Add",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "Conv2DTranspose",
    "Cropping",
    "Dense",
    "DepthwiseConv2D",
    "Flatten",
    "GlobalPooling",
    "Identity",
    "Interaction",
    "LayerNodes",
    "LineGraph",
    "Multiply",
    "Network",
    "NodeIndex",
    "NodeLocation",
    "Opaque",
    "PerceptronLineGraph",
    "Permute",
    "Pooling",
    "Reshape",
    "Scale",
    "SeparableConv2D",
    "Tensor",
    "UpSampling",
    "ZeroPadding",
    "line_graph",
    "pos",
]
