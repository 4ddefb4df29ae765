"""``edgedyn linegraph``: count, draw or export a line graph."""

import argparse
import os
from pathlib import Path
from typing import Any, NamedTuple

from edgedyn.commands.console import number_or_why, print_table

SAMPLES = 256  # of a model's training images; enough for a drawing
MOMENTS = ("mean_strength", "symmetry", "heterogeneity", "beta_eff")


class _Subject(NamedTuple):
    """What is described: a line graph, and on data its strengths and the weights' values."""

    name: str
    graph: Any
    weighted: Any = None
    values: Any = None


def add(commands: Any) -> None:
    """Add the command."""
    graph = commands.add_parser(
        "linegraph",
        help="count, draw or export a line graph",
        epilog="example: edgedyn linegraph 4 5 3 --out gb.html",
    )
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
    graph.add_argument(
        "--data",
        help="weigh the links of a page or an export by P: digits, a .npz or .csv for sizes (a "
        "random network, nothing is trained); any data set of edgedyn beta for a model file",
    )
    graph.add_argument(
        "--out", type=Path, help="a .png, .svg, .html, .graphml, .gexf, .npz or .csv file"
    )
    graph.add_argument(
        "--layers", action="store_true", help="write one node a layer: a .graphml, .gexf or .gml"
    )
    graph.add_argument("--json", action="store_true", help="print JSON")
    graph.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Describe a line graph and write it."""
    import json

    from edgedyn._environment import document
    from edgedyn._files import json_ready, output_folder

    _check_out(arguments)
    name, graph, weighted, values = _subject(arguments)
    moments = graph.moments()
    summary: dict[str, Any] = {
        "network": name,
        "nodes": arguments.nodes or ("all" if arguments.bias else "kernels"),
        **{name: getattr(graph, name) for name in ("n_layers", "n_nodes", "n_links")},
        **{name: getattr(moments, name) for name in MOMENTS},
    }
    if arguments.out is not None:
        output_folder(arguments.out.parent)
        _write(arguments, _Subject(name, graph, weighted, values))
        if weighted is not None:
            summary |= {"data": arguments.data, "n_samples": weighted.n_samples}
        summary["written"] = str(arguments.out)
    if arguments.json:
        print(json.dumps(json_ready(document("linegraph", summary))))
        return
    shown = [
        [
            key.replace("_", " "),
            number_or_why(value, "no links", ".6g") if isinstance(value, float) else str(value),
        ]
        for key, value in summary.items()
    ]
    print_table(f"Line graph of {name}", ["", "value"], shown)


def _check_out(arguments: argparse.Namespace) -> None:
    """Refuse an output that is none, and options that do not go with it, before any work."""
    from edgedyn.linegraph.export import EXPORT_SUFFIXES, LAYER_SUFFIXES
    from edgedyn.report.files import check_drawing

    suffix = "" if arguments.out is None else arguments.out.suffix.lower()
    if arguments.layers:
        if suffix not in LAYER_SUFFIXES:
            raise ValueError(
                f"--layers writes one of {', '.join(LAYER_SUFFIXES)}; say --out layers.gexf."
            )
        if arguments.data is not None:
            raise ValueError("--layers counts links, which need no --data; leave one of them out.")
    elif arguments.out is not None and suffix not in EXPORT_SUFFIXES:
        check_drawing(arguments.out)
    if arguments.data is not None and suffix not in (".html", *EXPORT_SUFFIXES):
        raise ValueError(
            "--data belongs to an .html page or an export, which hold the links' strengths; say "
            "--out gb.html."
        )


def _write(arguments: argparse.Namespace, subject: _Subject) -> None:
    """Write the file in the format of its suffix."""
    from edgedyn.linegraph.export import EXPORT_SUFFIXES, MAX_LINKS, write, write_layers
    from edgedyn.report.files import write_line_graph

    graph = subject.graph if subject.weighted is None else subject.weighted
    if arguments.layers:
        write_layers(arguments.out, subject.graph)
    elif arguments.out.suffix.lower() in EXPORT_SUFFIXES:
        if subject.graph.n_links > MAX_LINKS:
            raise ValueError(
                f"{subject.name} has {subject.graph.n_links:,} links, more than the {MAX_LINKS:,} "
                "that a file of them all may have; add --layers for one node a layer."
            )
        write(arguments.out, graph)
    else:
        write_line_graph(arguments.out, graph, values=subject.values, name=subject.name)


def _subject(arguments: argparse.Namespace) -> _Subject:
    """Return what belongs to the sizes or the model."""
    if bool(arguments.sizes) == (arguments.model is not None):
        raise ValueError("give either neurons per layer such as 4 5 3, or --model NAME.")
    if arguments.model is None:
        for option in ("nodes", "image_size", "no_top"):
            if getattr(arguments, option):
                raise ValueError(f"--{option.replace('_', '-')} belongs to --model.")
        return _of_sizes(arguments)
    if arguments.bias:
        raise ValueError("--bias belongs to sizes; with --model say --nodes all.")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not results
    return _of_model(arguments)


def _of_sizes(arguments: argparse.Namespace) -> _Subject:
    """Return what belongs to a perceptron; on data its weights are drawn at random, seed 0."""
    from edgedyn._dispatch import line_graph

    graph = line_graph(arguments.sizes, bias=arguments.bias)
    name = "-".join(map(str, arguments.sizes))
    if arguments.data is None:
        return _Subject(name, graph)
    from edgedyn._data import load_table
    from edgedyn.mlp import ReLUMLP

    X, y = load_table(arguments.data)
    if X.shape[1] != arguments.sizes[0] or y.max() >= arguments.sizes[-1]:
        raise ValueError(
            f"{arguments.data} has {X.shape[1]} features and {y.max() + 1} classes; the sizes must "
            f"begin with {X.shape[1]} and end with at least {y.max() + 1}; got {name}."
        )
    net = ReLUMLP.random(arguments.sizes, bias=arguments.bias, seed=0)
    weighted = net.interaction(X, y, nodes="all" if arguments.bias else "kernels")
    title = f"{name}, random weights, on {Path(arguments.data).name}"
    return _Subject(title, graph, weighted, net.parameters)


def _of_model(arguments: argparse.Namespace) -> _Subject:
    """Return what belongs to a named network or a model file."""
    from edgedyn._dispatch import line_graph
    from edgedyn.nn.models.backbones import architecture
    from edgedyn.nn.models.weights import is_model_file, load_model

    if is_model_file(arguments.model):
        if arguments.image_size or arguments.no_top:
            raise ValueError("--image-size and --no-top belong to named networks, not to files.")
        model = load_model(arguments.model)
    elif arguments.data is not None:
        raise ValueError(
            "--data needs weights with values: a .keras or .h5 file, or sizes; got the published "
            f"network {arguments.model!r}."
        )
    else:
        size = 224 if arguments.image_size is None else arguments.image_size
        model = architecture(arguments.model, (size, size, 3), include_top=not arguments.no_top)
    graph = line_graph(model, nodes=arguments.nodes)
    if arguments.data is None:
        return _Subject(model.name, graph)
    weighted, values = _on_data(model, arguments.data, graph.nodes)
    return _Subject(f"{model.name} on {Path(arguments.data).name}", graph, weighted, values)


def _on_data(model: Any, data: str, nodes: Any) -> tuple[Any, Any]:
    """Return a model's strengths on data, images or a table as it takes them, and its weights."""
    import numpy as np

    from edgedyn._data import load_table
    from edgedyn.nn import interaction, load_dataset
    from edgedyn.nn.data.images import as_taken
    from edgedyn.nn.data.sampling import sample_dataset
    from edgedyn.nn.graph.extract import extract
    from edgedyn.nn.graph.graph import nodes_of

    if len(model.input_shape) == 2:
        x, y = load_table(data)
    else:
        train = load_dataset(data, image_size=model.input_shape[1:3]).train
        x, y = as_taken(train.x, model), train.y
    x, y = sample_dataset(x, y, SAMPLES, np.random.default_rng(0))
    weighted = interaction(model, x, y, nodes=nodes)
    layers = extract(model, nodes=nodes).layers
    parts = [np.ravel(part.value) for layer in layers for part in nodes_of(layer)]
    return weighted, np.concatenate(parts)
