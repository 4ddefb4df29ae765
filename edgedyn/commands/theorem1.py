"""``edgedyn theorem1``: verify Theorem 1 and show where it stops."""

import argparse
from math import isfinite
from typing import Any

from edgedyn.commands.console import (
    add_common,
    check_seed,
    number_or_why,
    print_table,
    progress_bar,
)


def add(commands: Any) -> None:
    """Add the command."""
    theorem = commands.add_parser(
        "theorem1",
        help="verify Theorem 1 and show where it stops",
        epilog="example: edgedyn theorem1 --data digits --layers 64 48 32 24 10",
    )
    theorem.add_argument(
        "--data",
        default="digits",
        help="digits, a .npz with X and y, or a .csv (label last, a number or text)",
    )
    theorem.add_argument(
        "--layers",
        type=int,
        nargs="+",
        help="neurons per layer, input first (default: features, 48, 32, 24, classes)",
    )
    theorem.add_argument("--epochs", type=int, default=300, help="of each run (default 300)")
    add_common(theorem, "edgedyn-theorem1")
    theorem.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Verify Theorem 1, write its folder, print its tables."""
    from edgedyn._data import load_table
    from edgedyn._environment import document
    from edgedyn._files import result_folder, to_json
    from edgedyn.mlp import verify_theorem1
    from edgedyn.report.files import write_theorem1

    check_seed(arguments.seed)
    with result_folder(arguments.out) as folder:
        X, y = load_table(arguments.data)
        with progress_bar(arguments.json) as progress:
            options = {name: getattr(arguments, name) for name in ("layers", "epochs", "seed")}
            report = verify_theorem1(X, y, **options, progress=progress)
        results = document("theorem1", report.to_dict())
        write_theorem1(folder, report, results)
    if arguments.json:
        print(to_json(results))
        return
    _tables(report)
    print(report.verdict)
    print(f"Written to {folder}/")


def _tables(report: Any) -> None:
    """Print what was verified, letter by letter."""
    runs = {"interpolating": report.interpolating, **report.floors}
    rows = [
        [
            name,
            *(f"{v:.3g}" for v in (p.mean_error, p.gradient_norm)),
            number_or_why(p.beta, p.beta_status),
            f"{p.bound:.3g}",
        ]
        for name, run in runs.items()
        for p in (run[0], run[-1])
    ]
    header = ["run (first, last epoch)", "mean |e|", "|gradient|", "beta_eff", "bound K eps"]
    print_table("(a)-(d) Runs", header, rows)
    error = number_or_why(report.brute_force_error, "P is too large to be written out", ".1g")
    print(
        f"(a) beta_eff falls by a factor {number_or_why(report.fall, 'no value')}, {report.rate}; "
        f"largest relative difference from brute force {error}"
    )
    print(f"(c) the signed value changes sign {report.sign_changes} times along that run")
    print_table(
        "(d) Stationary points with beta_eff > 0",
        ["example", "|gradient|", "beta_eff", "by hand"],
        [
            [c.name, f"{c.gradient_norm:g}", f"{c.magnitude:g}", f"{c.predicted:g}"]
            for c in report.counterexamples
        ],
    )
    header = ["L", "loss", "coupling", "status", "value", "row sum / entry"]
    rows = [
        [
            *(g.n_layers, g.loss, g.coupling, g.status),
            number_or_why(g.value, g.status),
            f"{g.last_block_row_sum:.1g}",
        ]
        for g in report.gauge
    ]
    print_table("(e) Signed strengths by depth", header, rows)
    print_table(
        "(f) Linear flows against the true edge dynamics",
        ["equilibrium", "flow", "parts by 10 % at", "growth rate"],
        [
            [
                *(name, flow),
                f"{result.parting_time[flow]:.3g}"
                if isfinite(result.parting_time[flow])
                else f"not until {result.times[-1]:.3g}",
                f"{result.growth_rate[flow]:.3g}",
            ]
            for name, result in report.dynamics.items()
            for flow in result.deviations
        ],
    )
