"""Neural capacitance: line graphs and edge dynamics of neural networks.

The public names are resolved on first use, so that ``import edgedyn`` loads no more than numpy.

Examples
--------
>>> import edgedyn as ed
>>> gb = ed.line_graph([4, 5, 3])
>>> gb.n_nodes, gb.n_links
(35, 60)
"""

import logging
from typing import TYPE_CHECKING

from edgedyn._lazy import attach

if TYPE_CHECKING:  # type checkers and editors see all names; what runs loads them on first use
    from edgedyn import linegraph as linegraph
    from edgedyn import mlp as mlp
    from edgedyn import nn as nn
    from edgedyn import predict as predict
    from edgedyn import reduction as reduction
    from edgedyn import report as report
    from edgedyn import studies as studies
    from edgedyn._dispatch import line_graph
    from edgedyn.capacitance import Capacitance
    from edgedyn.linegraph import LineGraph
    from edgedyn.measure import neural_capacitance
    from edgedyn.mlp import ReLUMLP, Theorem1Report, verify_theorem1
    from edgedyn.predict import NeuralCapacitanceRegressor
    from edgedyn.predict.rank import Ranking, rank
    from edgedyn.predict.search import SearchResult, search
    from edgedyn.reduction import Reduction, reduce
    from edgedyn.studies.selection import Selection, select
    from edgedyn.studies.store import load_records

__version__ = "0.2.0"

_HOME = {
    "Capacitance": "edgedyn.capacitance",
    "neural_capacitance": "edgedyn.measure",
    "LineGraph": "edgedyn.linegraph",
    "line_graph": "edgedyn._dispatch",
    "ReLUMLP": "edgedyn.mlp",
    "Theorem1Report": "edgedyn.mlp",
    "verify_theorem1": "edgedyn.mlp",
    "NeuralCapacitanceRegressor": "edgedyn.predict",
    "Ranking": "edgedyn.predict.rank",
    "rank": "edgedyn.predict.rank",
    "SearchResult": "edgedyn.predict.search",
    "search": "edgedyn.predict.search",
    "Reduction": "edgedyn.reduction",
    "reduce": "edgedyn.reduction",
    "Selection": "edgedyn.studies.selection",
    "select": "edgedyn.studies.selection",
    "load_records": "edgedyn.studies.store",
}
_ROOMS = ("linegraph", "mlp", "nn", "predict", "reduction", "report", "studies")

__all__ = [
    "Capacitance",
    "LineGraph",
    "NeuralCapacitanceRegressor",
    "Ranking",
    "ReLUMLP",
    "Reduction",
    "SearchResult",
    "Selection",
    "Theorem1Report",
    "line_graph",
    "load_records",
    "neural_capacitance",
    "rank",
    "reduce",
    "search",
    "select",
    "verify_theorem1",
]

if not TYPE_CHECKING:  # else every misspelt name would have a type
    __getattr__, __dir__ = attach(__name__, _HOME, _ROOMS, here=["__version__"])

# Quiet unless the program that uses edgedyn asks for its notes: logging.basicConfig(level="INFO").
logging.getLogger(__name__).addHandler(logging.NullHandler())
