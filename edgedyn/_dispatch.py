"""Public functions that take Keras models too, told apart without importing Keras."""

import sys
from functools import wraps
from typing import Any

from edgedyn import linegraph


@wraps(linegraph.line_graph)
def line_graph(source: Any, **options: Any) -> linegraph.LineGraph:
    """See `edgedyn.linegraph.line_graph`; Keras models become networks first."""
    if _is_keras_model(source):
        from edgedyn.nn.extract import extract

        if options.get("bias") is not None:
            raise TypeError("bias belongs to sizes; a model's layers have their own.")
        source = extract(source, nodes="all").network()
    return linegraph.line_graph(source, **options)


def _is_keras_model(source: Any) -> bool:
    """Tell whether the source is a Keras model, which it cannot be before Keras is imported."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(source, keras.Model)
