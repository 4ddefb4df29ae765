"""``edgedyn linegraph``: count, draw or export a line graph."""

import argparse
import os
from pathlib import Path
from typing import Any

from edgedyn.commands.console import print_table


def add(commands: Any) -> None:
    """Add the command."""
    graph = commands.add_parser("linegraph", help="count, draw or export a line graph")
    graph.add_argument("sizes", type=int, nargs="*", help="neurons per layer, input first")
    graph.add_argument("--model", help="instead: a network's name (VGG16), or a .keras or .h5 file")
    graph.add_argument("--image-size", type=int, help="side of a named network's images (224)")
    graph.add_argument(
        "--no-top", action="store_true", help="a named network without its classifier"
    )
    graph.add_argument("--bias", action="store_true", help="biases are nodes, too")
    graph.add_argument(
        "--nodes", help="of a model: kernels (default), or all: biases and batch norms, too"
    )
    graph.add_argument("--out", type=Path, help="a .png, .svg, .html, .graphml, .npz or .csv file")
    graph.add_argument("--json", action="store_true", help="print JSON")
    graph.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Describe a line graph and write it."""
    import json

    from edgedyn._files import json_ready, output_folder
    from edgedyn.linegraph.export import EXPORT_SUFFIXES, write

    name, graph = _graph(arguments)
    moments = graph.moments()
    summary: dict[str, Any] = {
        "network": name,
        "nodes": arguments.nodes or ("all" if arguments.bias else "kernels"),
        "n_layers": graph.n_layers,
        "n_nodes": graph.n_nodes,
        "n_links": graph.n_links,
        "mean_strength": moments.mean_strength,
        "symmetry": moments.symmetry,
        "heterogeneity": moments.heterogeneity,
        "beta_eff": moments.beta_eff,
    }
    if arguments.out is not None:
        output_folder(arguments.out.parent)
        if arguments.out.suffix in EXPORT_SUFFIXES:
            write(arguments.out, graph)
        else:
            from edgedyn.report.files import write_line_graph

            write_line_graph(arguments.out, graph)
        summary["written"] = str(arguments.out)
    if arguments.json:
        print(json.dumps(json_ready(summary)))
        return
    shown = [
        [key.replace("_", " "), f"{value:.6g}" if isinstance(value, float) else str(value)]
        for key, value in summary.items()
    ]
    print_table(f"Line graph of {name}", ["", "value"], shown)


def _graph(arguments: argparse.Namespace) -> tuple[str, Any]:
    """Return a name and the line graph of the sizes or the model."""
    from edgedyn._dispatch import line_graph

    if bool(arguments.sizes) == (arguments.model is not None):
        raise ValueError("give either neurons per layer such as 4 5 3, or --model NAME.")
    if arguments.model is None:
        for option in ("nodes", "image_size", "no_top"):
            if getattr(arguments, option):
                raise ValueError(f"--{option.replace('_', '-')} belongs to --model.")
        graph = line_graph(arguments.sizes, bias=arguments.bias)
        return "-".join(map(str, arguments.sizes)), graph
    if arguments.bias:
        raise ValueError("--bias belongs to sizes; with --model say --nodes all.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not results
    from edgedyn.nn.backbones import architecture
    from edgedyn.nn.weights import is_model_file, load_model

    if is_model_file(arguments.model):
        if arguments.image_size or arguments.no_top:
            raise ValueError("--image-size and --no-top belong to named networks, not to files.")
        model = load_model(arguments.model)
    else:
        size = 224 if arguments.image_size is None else arguments.image_size
        model = architecture(arguments.model, (size, size, 3), include_top=not arguments.no_top)
    return model.name, line_graph(model, nodes=arguments.nodes)
