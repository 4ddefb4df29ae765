"""The command line: ``edgedyn demo | linegraph | theorem1 | beta``."""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import edgedyn

DEFAULT_LAYERS = [64, 48, 32, 24, 10]


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence and exit code 2."""

    def error(self, message: str) -> NoReturn:
        print(f"edgedyn: {message}. Try: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    argv : sequence of str, optional
        By default the process's arguments.

    Returns
    -------
    int
        0 on success, 1 where ``beta --check`` fails, 2 on bad input (one sentence on the error
        stream), 130 when interrupted.

    Examples
    --------
    >>> from edgedyn.cli import main
    >>> main(["linegraph", "4", "5", "3", "--json"])
    {"sizes": [4, 5, 3], "bias": false, "n_nodes": 35, "n_links": 60, "beta_eff": 0.0}
    0
    """
    arguments = build_parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
    except (ValueError, TypeError, ImportError) as error:
        print(f"edgedyn: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f" {error.filename!r}" if error.filename else ""
        print(f"edgedyn: could not write or read{where}: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("edgedyn: interrupted; nothing half-written was left.", file=sys.stderr)
        return 130
    return code or 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with all commands."""
    parser = _Parser(prog="edgedyn", description="Neural capacitance: line graphs of networks.")
    parser.add_argument("--version", action="version", version=f"edgedyn {edgedyn.__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Parser
    )
    demo = commands.add_parser(
        "demo", help="predict which pre-trained network will be best, on bundled digits"
    )
    _common(demo, "edgedyn-demo")
    demo.set_defaults(run=_demo)

    graph = commands.add_parser("linegraph", help="count, draw or export a line graph")
    graph.add_argument("sizes", type=int, nargs="+", help="neurons per layer, input first")
    graph.add_argument("--bias", action="store_true", help="biases are nodes, too")
    graph.add_argument("--out", type=Path, help="a .png, .svg, .html, .graphml or .npz file")
    graph.add_argument("--json", action="store_true", help="print JSON")
    graph.set_defaults(run=_linegraph)

    theorem = commands.add_parser("theorem1", help="verify Theorem 1 and show where it stops")
    theorem.add_argument(
        "--data", default="digits", help="digits, a .npz with X and y, or a .csv (label last)"
    )
    theorem.add_argument(
        "--layers", type=int, nargs="+", default=DEFAULT_LAYERS, help="neurons per layer"
    )
    theorem.add_argument("--epochs", type=int, default=300, help="of each run (default 300)")
    _common(theorem, "edgedyn-theorem1")
    theorem.set_defaults(run=_theorem1)
    _add_beta(commands)
    return parser


def _add_beta(commands: Any) -> None:
    """Add the command that measures beta_eff of a Keras model."""
    beta = commands.add_parser("beta", help="measure beta_eff of a Keras model on data")
    beta.add_argument(
        "--model", required=True, help="a backbone's name (MobileNetV2), or a .keras or .h5 file"
    )
    beta.add_argument(
        "--data",
        default="digits",
        help="digits, cifar10, cifar100, fashion_mnist, svhn:PATH, birds:PATH, folder:PATH or "
        "npz:PATH (default digits)",
    )
    beta.add_argument(
        "--weights", default="imagenet", help="of a named backbone: imagenet, none, or a file"
    )
    beta.add_argument("--alpha", type=float, help="width multiplier of MobileNet and MobileNetV2")
    beta.add_argument("--image-size", type=int, help="resize images to this (default as stored)")
    beta.add_argument("--samples", type=int, default=1024, help="training samples (default 1024)")
    beta.add_argument("--scope", default="probe", help="probe (default) or network")
    beta.add_argument("--coupling", default="direct", help="direct (default) or full")
    beta.add_argument("--strength", default="magnitude", help="magnitude, absolute or signed")
    beta.add_argument("--nodes", default="kernels", help="kernels (default) or all")
    beta.add_argument("--batch-size", type=int, default=64, help="default 64")
    beta.add_argument("--seed", type=int, default=0, help="of probe and sample (default 0)")
    beta.add_argument(
        "--check", action="store_true", help="compare closed form and automatic differentiation"
    )
    beta.add_argument("--json", action="store_true", help="print the results as JSON")
    beta.set_defaults(run=_beta)


def _common(command: argparse.ArgumentParser, folder: str) -> None:
    """Add the options that every long command has."""
    command.add_argument("--seed", type=int, default=0, help="default 0")
    command.add_argument("--out", type=Path, default=Path(folder), help=f"default {folder}/")
    command.add_argument("--json", action="store_true", help="print the results as JSON")


def _demo(arguments: argparse.Namespace) -> None:
    """Run the demo, write its folder, print its table."""
    from edgedyn._environment import environment
    from edgedyn._files import output_folder, to_json
    from edgedyn.linegraph import line_graph
    from edgedyn.report.files import write_demo, write_graphs_picture
    from edgedyn.studies import run_demo
    from edgedyn.studies.demo import fitted_line

    _seed(arguments.seed)
    folder = output_folder(arguments.out)
    with _progress(arguments.json) as progress:
        demo = run_demo(seed=arguments.seed, progress=progress)
    write_graphs_picture(folder / "graphs.png", line_graph([3, 4, 2]))
    write_demo(folder, demo, fitted_line(demo), environment())
    if arguments.json:
        print(to_json({"environment": environment(), **demo.to_dict()}))
        return
    rows = [
        [
            m.method.replace("_", " "),
            f"{m.rho:.3f}",
            f"{m.rho_low:.3f} .. {m.rho_high:.3f}",
            f"{m.regret:.4f}",
            f"{m.mean_absolute_error:.3f}",
        ]
        for m in demo.methods
    ]
    n_models = len({r.model for r in demo.records})
    title = (
        f"Ranking {n_models} candidates by their first {demo.settings['observed_epochs']} epochs"
    )
    _table(title, ["method", "Spearman rho", "over seeds", "regret", "mean error"], rows)
    print(demo.verdict)
    print(f"Computing beta_eff took {demo.cost:.2f} of the training time of these tiny networks.")
    print(f"Written to {folder}/")


def _linegraph(arguments: argparse.Namespace) -> None:
    """Describe a line graph and write it."""
    from edgedyn.linegraph import line_graph

    graph = line_graph(arguments.sizes, bias=arguments.bias)
    summary: dict[str, Any] = {
        "sizes": list(graph.sizes),
        "bias": arguments.bias,
        "n_nodes": graph.n_nodes,
        "n_links": graph.n_links,
        "beta_eff": graph.beta_eff,
    }
    if arguments.out is not None:
        from edgedyn._files import output_folder
        from edgedyn.report.files import write_line_graph

        output_folder(arguments.out.parent)
        write_line_graph(arguments.out, graph)
        summary["written"] = str(arguments.out)
    if arguments.json:
        from edgedyn._files import json_ready

        print(json.dumps(json_ready(summary)))
        return
    shown = [
        [name.replace("_", " "), f"{value:.6g}" if isinstance(value, float) else str(value)]
        for name, value in summary.items()
    ]
    _table(f"Line graph of {'-'.join(map(str, graph.sizes))}", ["", "value"], shown)


def _theorem1(arguments: argparse.Namespace) -> None:
    """Verify Theorem 1, write its folder, print its tables."""
    from edgedyn._data import load_table
    from edgedyn._environment import environment
    from edgedyn._files import output_folder, to_json
    from edgedyn.mlp import verify_theorem1
    from edgedyn.report.files import write_theorem1

    _seed(arguments.seed)
    folder = output_folder(arguments.out)
    X, y = load_table(arguments.data)
    with _progress(arguments.json) as progress:
        report = verify_theorem1(
            X,
            y,
            layers=arguments.layers,
            epochs=arguments.epochs,
            seed=arguments.seed,
            progress=progress,
        )
    write_theorem1(folder, report, environment())
    if arguments.json:
        print(to_json({"environment": environment(), **report.to_dict()}))
        return
    _theorem1_tables(report)
    print(f"Written to {folder}/")


def _beta(arguments: argparse.Namespace) -> int:
    """Measure beta_eff of a Keras model; print it with a table per layer."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # its start-up notes are not results
    import numpy as np

    from edgedyn._environment import environment
    from edgedyn._files import to_json
    from edgedyn._validate import positive_int
    from edgedyn.nn.capacitance import CapacitanceMeter, check_kind
    from edgedyn.nn.crosscheck import cross_check
    from edgedyn.nn.sampling import sample_dataset

    _seed(arguments.seed)
    positive_int(arguments.samples, "--samples")
    positive_int(arguments.batch_size, "--batch-size")
    kind = {name: getattr(arguments, name) for name in ("scope", "coupling", "strength", "nodes")}
    check_kind(**kind)
    if arguments.check and (arguments.scope != "probe" or arguments.strength == "absolute"):
        raise ValueError(
            "--check compares the probe's magnitude or signed strengths; got --scope "
            f"{arguments.scope} --strength {arguments.strength}."
        )
    data, model = _beta_inputs(arguments)
    x, y = sample_dataset(
        data.train.x, data.train.y, arguments.samples, np.random.default_rng(arguments.seed)
    )
    meter = CapacitanceMeter(model, batch_size=arguments.batch_size, **kind)
    x, targets = meter.check_data(x, y)
    with _progress(arguments.json) as progress:
        cap = meter.measure(x, targets, progress=progress)
        check = cross_check(meter, meter.features(x), targets) if arguments.check else None
        progress(1.0, "done")
    if arguments.json:
        settings = {k: v for k, v in vars(arguments).items() if k not in ("run", "json")}
        result = {"settings": settings, "capacitance": cap.to_dict()}
        if check is not None:
            result["check"] = check.to_dict()
        print(to_json({"environment": environment(), **result}))
    else:
        _beta_table(cap, f"{model.name} on {data.name}, {arguments.scope} scope")
        if check is not None:
            print(f"Check: {check}")
    return 0 if check is None or check.passed else 1


def _beta_inputs(arguments: argparse.Namespace) -> tuple[Any, Any]:
    """Load the data, then the model, with a probe if it has none and needs one."""
    from edgedyn import nn
    from edgedyn.nn.probe import has_probe
    from edgedyn.nn.weights import is_model_file, load_model

    data = nn.load_dataset(arguments.data, image_size=arguments.image_size, seed=arguments.seed)
    options = {} if arguments.alpha is None else {"alpha": arguments.alpha}
    if is_model_file(arguments.model):
        model = load_model(arguments.model)
        if has_probe(model) or arguments.scope == "network":
            return data, model
        backbone = nn.backbone(model)
    else:
        weights = None if arguments.weights.lower() == "none" else arguments.weights
        backbone = nn.backbone(
            arguments.model, weights=weights, input_shape=data.image_shape, **options
        )
    return data, nn.attach_probe(backbone, data.n_classes, seed=arguments.seed)


def _beta_table(cap: Any, title: str) -> None:
    """Print a capacitance and its layers."""
    rows = [
        [
            layer.name,
            str(layer.n_nodes),
            f"{layer.in_total:.4g}",
            f"{layer.out_total:.4g}",
            f"{layer.contribution:.4g}",
        ]
        for layer in cap.per_layer
    ]
    _table(title, ["layer", "nodes", "sum of in-degrees", "sum of out-degrees", "share"], rows)
    print(cap)


def _theorem1_tables(report: Any) -> None:
    """Print what was verified, letter by letter."""
    runs = {"interpolating": report.interpolating, **report.floors}
    rows = [
        [name, *(f"{v:.3g}" for v in (p.mean_error, p.gradient_norm, p.beta, p.bound))]
        for name, run in runs.items()
        for p in (run[0], run[-1])
    ]
    header = ["run (first, last epoch)", "mean |e|", "|gradient|", "beta_eff", "bound K eps"]
    _table("(a)-(d) Runs", header, rows)
    print(
        f"(a) beta_eff falls by a factor {report.fall:.3g}, as |e|^({report.slope:.3f} +- "
        f"{report.slope_stderr:.3f}); largest relative difference from brute force "
        f"{report.brute_force_error:.1g}"
    )
    print(f"(c) the signed value changes sign {report.sign_changes} times along that run")
    _table(
        "(d) Stationary points with beta_eff > 0",
        ["example", "|gradient|", "beta_eff", "by hand"],
        [
            [c.name, f"{c.gradient_norm:g}", f"{c.magnitude:g}", f"{c.predicted:g}"]
            for c in report.counterexamples
        ],
    )
    _table(
        "(e) Signed strengths by depth",
        ["L", "loss", "coupling", "status", "value", "row sum / entry"],
        [
            [
                str(g.n_layers),
                g.loss,
                g.coupling,
                g.status,
                f"{g.value:.3g}",
                f"{g.last_block_row_sum:.1g}",
            ]
            for g in report.gauge
        ],
    )
    _table(
        "(f) Linear flows against the true edge dynamics",
        ["equilibrium", "flow", "parts by 10 % at", "growth rate"],
        [
            [name, flow, f"{result.parting_time[flow]:.3g}", f"{result.growth_rate[flow]:.3g}"]
            for name, result in report.dynamics.items()
            for flow in result.deviations
        ],
    )


def _seed(seed: int) -> None:
    """Refuse a seed numpy does not take."""
    if seed < 0:
        raise ValueError(f"--seed must be 0 or more; got {seed}.")


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left")
    for k, name in enumerate(header):
        table.add_column(name, justify="right" if k else "left")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[float, str], None]]:
    """Yield a callback behind a progress bar with a time estimate, on the error stream."""
    if quiet:
        yield lambda fraction, what: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeRemainingColumn())
    bar = Progress(*columns, TextColumn("{task.description}"), console=Console(stderr=True))
    task = bar.add_task("starting", total=1.0)

    def advance(fraction: float, what: str) -> None:
        bar.start()  # only now: bad input is found before, and gets a sentence without a bar
        bar.update(task, completed=fraction, description=what)

    try:
        yield advance
    finally:
        bar.stop()


if __name__ == "__main__":
    sys.exit(main())
