"""Result folders and graph files: what the command line leaves on disk."""

from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from edgedyn._files import to_json, write_text
from edgedyn.report import figures

DRAWING_SUFFIXES = (".png", ".svg", ".html")


def write_demo(folder: Path, demo: Any, lines: dict[str, Any], environment: dict[str, Any]) -> None:
    """Write the demo's results.json, results.csv and figures.

    Parameters
    ----------
    folder : Path
        An existing folder.
    demo : edgedyn.studies.Demo
    lines : dict
        What `figures.accuracy_fit` draws: keys ``beta, accuracy, line, truth, title``.
    environment : dict
    """
    write_text(folder / "results.json", to_json({"environment": environment, **demo.to_dict()}))
    write_text(folder / "results.csv", demo.to_frame().to_csv(index=False))
    first = [r for r in demo.records if r.seed == demo.seed]
    observed = demo.settings["observed_epochs"]
    with figures.saved_figure(folder / "learning_curves.png", width=7, height=5) as (_, axes):
        series = {r.model: [e.val_accuracy for e in r.epochs] for r in first}
        figures.curves(axes[0], series, "validation accuracy", observed)
    with figures.saved_figure(folder / "beta_curves.png", width=7, height=5) as (_, axes):
        series = {r.model: [e.beta_eff for e in r.epochs] for r in first}
        figures.curves(axes[0], series, r"neural capacitance $\beta_{eff}$", observed)
        axes[0].set_yscale("log")
    with figures.saved_figure(folder / "accuracy_against_beta.png") as (_, axes):
        figures.accuracy_fit(axes[0], **lines)
    with figures.saved_figure(folder / "predicted_against_true.png", columns=3) as (_, axes):
        truth = [p.truth for p in demo.predictions]
        for ax, method in zip(axes, demo.methods, strict=True):
            predicted = [getattr(p, method.method) for p in demo.predictions]
            title = f"{method.method.replace('_', ' ')}: mean rho {method.rho:.2f}"
            figures.predicted_against_true(ax, predicted, truth, title)


def write_graphs_picture(path: Path, graph: Any) -> None:
    """Draw a network and its line graph side by side."""
    links = list(graph.to_networkx().edges())
    with figures.saved_figure(path, columns=2) as (_, axes):
        figures.neuron_graph(axes[0], graph.sizes)
        figures.line_graph(axes[1], graph.sizes, links)


def write_theorem1(folder: Path, report: Any, environment: dict[str, Any]) -> None:
    """Write the verification's results.json, results.csv and figure."""
    write_text(folder / "results.json", to_json({"environment": environment, **report.to_dict()}))
    write_text(folder / "results.csv", report.to_frame().to_csv(index=False))
    runs = {"interpolating": report.interpolating, **report.floors}
    with figures.saved_figure(folder / "theorem1.png", columns=2, rows=2) as (_, axes):
        figures.theorem1_runs(
            axes[0],
            {name: [(p.mean_error, p.beta, p.bound) for p in run] for name, run in runs.items()},
        )
        points = report.interpolating
        figures.signed_run(
            axes[1],
            [p.epoch for p in points],
            [p.signed for p in points],
            [p.beta for p in points],
        )
        for ax, (name, flow) in zip(axes[2:], report.dynamics.items(), strict=True):
            title = f"Edge dynamics, {name}"
            figures.flow_deviations(ax, flow.times, flow.deviations, title)


def write_line_graph(path: Path, graph: Any) -> None:
    """Draw a perceptron and its line graph in the format of the file's suffix.

    Parameters
    ----------
    path : Path
        ``.png``, ``.svg`` or ``.html`` (one page, no network requests).
        `edgedyn.linegraph.export.write` writes the links themselves.
    graph : edgedyn.LineGraph
        Of a perceptron whose biases are no nodes.

    Raises
    ------
    ValueError
        For another suffix, another graph, or one that is too large to be drawn.
    """
    if path.suffix not in DRAWING_SUFFIXES:
        raise ValueError(
            f"the output must end in one of {', '.join(DRAWING_SUFFIXES)} for a drawing, or .npz, "
            f".graphml, .csv for an export by edgedyn.linegraph.export; got {path.name!r}."
        )
    if getattr(graph, "sizes", None) is None or any(graph.bias):
        raise ValueError(
            "drawings show perceptrons whose biases are no nodes; export this line graph as .npz, "
            ".graphml or .csv instead."
        )
    if path.suffix == ".html":
        write_text(path, _page(graph))
    else:
        write_graphs_picture(path, graph)


def _page(graph: Any) -> str:
    """Return a self-contained page: both drawings as vector graphics and the table of nodes."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    links = list(graph.to_networkx().edges())
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    axes = figure.subplots(1, 2)
    figures.neuron_graph(axes[0], graph.sizes)
    figures.line_graph(axes[1], graph.sizes, links)
    text = StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    title = escape(f"Line graph of {'-'.join(map(str, graph.sizes))}")
    degrees = np.column_stack([graph.in_degree(), graph.out_degree()])
    rows = "".join(
        f"<tr><td>{k}</td><td>{layer}</td><td>W[{i}, {j}]</td><td>{a}</td><td>{b}</td></tr>"
        for k, (a, b) in enumerate(degrees.tolist())
        for layer, (i, j) in [graph.index.locate(k)]
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font-family:sans-serif;max-width:70rem;margin:1rem auto;padding:0 1rem}}
svg{{width:100%;height:auto}}td,th{{padding:.1rem .8rem;text-align:right}}</style></head><body>
<h1>{title}</h1>
<p>{graph.n_nodes} nodes, {graph.n_links} links. Each weight of the network is a node of the line
graph. Gradients flow backwards, so links run from a layer's weights to those of the layer before
that share a neuron with them.</p>
{svg}
<table><thead><tr><th>node</th><th>layer</th><th>weight</th><th>in-degree</th>
<th>out-degree</th></tr></thead><tbody>{rows}</tbody></table></body></html>
"""
