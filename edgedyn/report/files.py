"""Result folders and graph files: what the command line leaves on disk."""

from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from edgedyn._files import csv_text, to_json, write_text
from edgedyn.report import figures
from edgedyn.report.linegraph.page import MOST_DRAWN_LINKS, graph_page

DRAWING_SUFFIXES = (".png", ".svg", ".html")


def write_demo(folder: Path, demo: Any, lines: dict[str, Any], results: dict[str, Any]) -> None:
    """Write the results.json, results.csv and figures of an `edgedyn.studies.Demo`.

    `results` is what the .json holds; `lines` is what `figures.accuracy_fit` draws: keys ``beta,
    accuracy, line, truth, title, t0``.
    """
    write_text(folder / "results.json", to_json(results))
    write_text(folder / "results.csv", csv_text(demo.to_frame()))
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
    path = folder / "predicted_against_true.png"
    rows = (len(demo.ranking.methods) + 1) // 2  # two in a row, on a page's width
    with figures.saved_figure(path, columns=2, rows=rows) as (_, axes):
        figures.predicted_by_method(axes, demo.ranking)


def write_graphs_picture(path: Path, graph: Any) -> None:
    """Draw a network and its line graph side by side."""
    links = list(graph.to_networkx().edges())
    with figures.saved_figure(path, columns=2) as (_, axes):
        figures.neuron_graph(axes[0], graph.sizes)
        figures.line_graph(axes[1], graph.sizes, links)


def write_theorem1(folder: Path, report: Any, results: dict[str, Any]) -> None:
    """Write the verification's results.json, which holds `results`, its .csv and figure."""
    write_text(folder / "results.json", to_json(results))
    write_text(folder / "results.csv", csv_text(report.to_frame()))
    runs = {"interpolating": report.interpolating, **report.floors}
    with figures.saved_figure(folder / "theorem1.png", columns=2, rows=2) as (_, axes):
        triples = {k: [(p.mean_error, p.beta, p.bound) for p in run] for k, run in runs.items()}
        figures.theorem1_runs(axes[0], triples, floors=tuple(report.floors))
        axes[0].set_title("(a), (d) The value, its bound, its floors")  # letters as in the tables
        points = [(p.epoch, p.signed, p.beta) for p in report.interpolating]
        epochs, signed, beta = zip(*points, strict=True)
        figures.signed_run(axes[1], epochs, signed, beta)
        axes[1].set_title("(c) Signed strengths")
        for ax, (name, flow) in zip(axes[2:], report.dynamics.items(), strict=True):
            figures.flow_deviations(ax, flow.times, flow.deviations, f"(f) Edge dynamics, {name}")


def check_drawing(path: Path) -> None:
    """Refuse a file's name that is none of a line graph's drawing."""
    if path.suffix.lower() not in DRAWING_SUFFIXES:
        raise ValueError(
            f"the output must end in one of {', '.join(DRAWING_SUFFIXES)} for a drawing, or .npz, "
            f".graphml, .gexf, .csv for an export by edgedyn.linegraph.export; got {path.name!r}."
        )


def write_line_graph(
    path: Path | str, graph: Any, *, values: ArrayLike | None = None, name: str | None = None
) -> None:
    """Draw a `LineGraph` or an `Interaction` in the format of the file's suffix.

    ``.png``, ``.svg``: a small perceptron without bias nodes is drawn node by node beside its
    neurons, others layer by layer beside their degrees. ``.html``: one interactive page, see
    `edgedyn.report.linegraph.page.graph_page`. `edgedyn.linegraph.export.write` writes the links
    themselves. ValueError for another suffix, and for a picture of an interaction or of values.
    """
    path = Path(path)
    check_drawing(path)
    if path.suffix.lower() == ".html":
        write_text(path, graph_page(graph, values, name))
    elif hasattr(graph, "strength") or values is not None:
        raise ValueError(
            f"strengths and values are shown on .html pages only; got {path.name!r}. For a picture "
            "of the links alone give the line graph."
        )
    elif hasattr(graph, "sizes") and not any(graph.bias) and graph.n_links <= MOST_DRAWN_LINKS:
        write_graphs_picture(path, graph)
    else:
        layers = graph.index.layers
        names = [graph.index.name(k) for k in range(1, len(layers) + 1)]
        both = graph.degree_distribution("in"), graph.degree_distribution("out")
        with figures.saved_figure(path, columns=2, width=13, height=5) as (_, axes):
            figures.layer_links(axes[0], names, [v.n_nodes for v in layers], graph.layer_links())
            figures.degree_distribution(axes[1], *both)
