r"""Figures: each function draws on given matplotlib axes and returns them; none computes results.

They can be drawn on any axes, in any style. ``STYLE`` is edgedyn's own, a matplotlib style file:
Okabe and Ito's colours, line styles that tell apart in grey, editable text in vector files.

>>> import tempfile
>>> from matplotlib import style
>>> from matplotlib.figure import Figure
>>> from edgedyn.report import figures
>>> with style.context(figures.STYLE):  # or plt.style.context
...     figure = Figure()
...     ax = figures.curves(figure.subplots(), {"VGG16": [0.6, 0.8]}, "accuracy")
...     with tempfile.TemporaryDirectory() as folder:
...         figure.savefig(f"{folder}/curves.pdf")

``saved_figure`` does the same in one step, and writes the file as a whole or not at all.
"""

from edgedyn.report.figures.graphs import (
    degree_distribution,
    layer_links,
    line_graph,
    neuron_graph,
    short,
)
from edgedyn.report.figures.ranking import (
    methods_compared,
    predicted_against_true,
    predicted_by_method,
    rho_against_t0,
    rho_against_training_size,
    scores_against_true,
)
from edgedyn.report.figures.reduction import collapse, resilience
from edgedyn.report.figures.study import (
    accuracy_fit,
    curves,
    layer_capacitances,
    model_columns,
    time_per_epoch,
)
from edgedyn.report.figures.style import COLOURS, STYLE, save, saved_figure
from edgedyn.report.figures.theorem1 import flow_deviations, signed_run, theorem1_runs

__all__ = [
    "COLOURS",
    "STYLE",
    "accuracy_fit",
    "collapse",
    "curves",
    "degree_distribution",
    "flow_deviations",
    "layer_capacitances",
    "layer_links",
    "line_graph",
    "methods_compared",
    "model_columns",
    "neuron_graph",
    "predicted_against_true",
    "predicted_by_method",
    "resilience",
    "rho_against_t0",
    "rho_against_training_size",
    "save",
    "saved_figure",
    "scores_against_true",
    "short",
    "signed_run",
    "theorem1_runs",
    "time_per_epoch",
]
