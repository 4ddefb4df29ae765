"""Result folders and graph files: what the command line leaves on disk."""

from collections import Counter
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from edgedyn._files import to_json, write_text
from edgedyn.report import figures

MOST_DRAWN_LINKS = 10_000
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
    methods = demo.ranking.methods
    path = folder / "predicted_against_true.png"
    with figures.saved_figure(path, columns=len(methods)) as (_, axes):
        for ax, method in zip(axes, methods, strict=True):
            rows = [row for row in demo.ranking.rows if row.method == method.method]
            predicted, truth = [row.prediction for row in rows], [row.truth for row in rows]
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


def write_line_graph(path: Path | str, graph: Any) -> None:
    """Draw a line graph in the format of the file's suffix.

    Parameters
    ----------
    path : path
        ``.png``, ``.svg`` or ``.html`` (one page, no network requests).
        `edgedyn.linegraph.export.write` writes the links themselves.
    graph : edgedyn.LineGraph
        A small perceptron without bias nodes is drawn node by node beside its neurons, others layer
        by layer beside their degrees.

    Raises
    ------
    ValueError
        For another suffix.
    """
    path = Path(path)
    if path.suffix not in DRAWING_SUFFIXES:
        raise ValueError(
            f"the output must end in one of {', '.join(DRAWING_SUFFIXES)} for a drawing, or .npz, "
            f".graphml, .csv for an export by edgedyn.linegraph.export; got {path.name!r}."
        )
    if path.suffix == ".html":
        write_text(path, _page(graph))
    elif drawn_by_node(graph):
        write_graphs_picture(path, graph)
    else:
        with figures.saved_figure(path, columns=2, width=13, height=5) as (_, axes):
            _draw_layers(axes, graph)


def drawn_by_node(graph: Any) -> bool:
    """Tell whether a line graph is drawn node by node."""
    sizes = getattr(graph, "sizes", None)
    return sizes is not None and not any(graph.bias) and graph.n_links <= MOST_DRAWN_LINKS


def _draw_layers(axes: Any, graph: Any) -> None:
    """Draw a line graph layer by layer, and its degrees."""
    layers = graph.index.layers
    names = [graph.index.name(k) for k in range(1, len(layers) + 1)]
    figures.layer_links(axes[0], names, [v.n_nodes for v in layers], graph.layer_links())
    both = graph.degree_distribution("in"), graph.degree_distribution("out")
    figures.degree_distribution(axes[1], *both)


def _svg(draw: Any, height: float) -> str:
    """Return two panels as vector graphics."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, height), layout="constrained")
    draw(figure.subplots(1, 2))
    text = StringIO()
    FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]


def _page(graph: Any) -> str:
    """Return a self-contained page: both drawings and a table of nodes, or of layers."""
    if drawn_by_node(graph):
        links = list(graph.to_networkx().edges())

        def draw(axes: Any) -> None:
            figures.neuron_graph(axes[0], graph.sizes)
            figures.line_graph(axes[1], graph.sizes, links)

        name, head = "-".join(map(str, graph.sizes)), "node,layer,weight,in-degree,out-degree"
        degrees = np.column_stack([graph.in_degree(), graph.out_degree()]).tolist()
        rows: list[tuple[Any, ...]] = [
            (k, layer, f"W[{i}, {j}]", a, b)
            for k, (a, b) in enumerate(degrees)
            for layer, (i, j) in [graph.index.locate(k)]
        ]
        svg = _svg(draw, 5)
    else:
        name, head = f"{graph.n_layers} layers", "layer,name,kernel,biases,links in,links out"
        into: Counter[int] = Counter()
        out: Counter[int] = Counter()
        for target, source, n in graph.layer_links():
            into[target] += n
            out[source] += n
        rows = [
            (
                k,
                graph.index.name(k),
                " x ".join(map(str, v.kernel_shape)),
                v.n_bias,
                into[k],
                out[k],
            )
            for k, v in enumerate(graph.index.layers, start=1)
        ]
        svg = _svg(lambda axes: _draw_layers(axes, graph), 5)
    cells = "".join(
        "<tr>" + "".join(f"<td>{escape(str(v))}</td>" for v in row) + "</tr>" for row in rows
    )
    titles = "".join(f"<th>{word}</th>" for word in head.split(","))
    title = escape(f"Line graph of {name}")
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font-family:sans-serif;max-width:75rem;margin:1rem auto;padding:0 1rem}}
svg{{width:100%;height:auto}}td,th{{padding:.1rem .8rem;text-align:right}}</style></head><body>
<h1>{title}</h1>
<p>{graph.n_nodes:,} nodes, {graph.n_links:,} links. Each weight of the network is a node of the
line graph. Gradients flow backwards, so links run from a layer's weights to those of the layers
before that share a neuron with them.</p>
{svg}
<table><thead><tr>{titles}</tr></thead><tbody>{cells}</tbody></table></body></html>
"""
