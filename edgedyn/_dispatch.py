"""The line graph of whatever has one; Keras models are told apart without importing Keras."""

from collections.abc import Sequence
from functools import wraps
from typing import Any

from edgedyn import _validate as check
from edgedyn import linegraph
from edgedyn.capacitance import Nodes


@wraps(linegraph.line_graph)
def line_graph(
    source: Any, *, bias: bool | Sequence[bool] | None = None, nodes: Nodes | None = None
) -> linegraph.LineGraph:
    """See `edgedyn.linegraph.line_graph`; Keras models become networks first."""
    if check.is_keras_model(source):
        from edgedyn.nn.graph.extract import extract

        if bias is not None:
            raise TypeError("bias belongs to sizes; a model's layers have their own.")
        source = extract(source, nodes="all").network()
    return linegraph.line_graph(source, bias=bias, nodes=nodes)
