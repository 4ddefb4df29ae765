"""``edgedyn demo``: Algorithm 1 on bundled real data."""

import argparse
from typing import Any

from edgedyn.commands.console import add_common, check_seed, print_table, progress_bar


def add(commands: Any) -> None:
    """Add the command."""
    demo = commands.add_parser(
        "demo",
        help="predict which pre-trained network will be best, on bundled digits",
        epilog="example: edgedyn demo --out demo --seed 1",
    )
    add_common(demo, "edgedyn-demo")
    demo.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the demo, write its folder, print its table."""
    from edgedyn._environment import document
    from edgedyn._files import result_folder, to_json
    from edgedyn.commands.report import write_report
    from edgedyn.linegraph import line_graph
    from edgedyn.report.files import write_demo, write_graphs_picture
    from edgedyn.studies import run_demo
    from edgedyn.studies.demo import fitted_line

    check_seed(arguments.seed)
    with result_folder(arguments.out) as folder:
        with progress_bar(arguments.json) as progress:
            demo = run_demo(seed=arguments.seed, progress=progress)
        write_graphs_picture(folder / "graphs.png", line_graph([3, 4, 2]))
        results = document("demo", demo.to_dict())
        write_demo(folder, demo, fitted_line(demo), results)
        page = write_report(folder)
    if arguments.json:
        print(to_json(results))
        return
    rows = [
        [m.method.replace("_", " "), f"{m.rho:.3f}", f"{m.rho_low:.2f} .. {m.rho_high:.2f}"]
        + [f"{m.lead:+.3f}", f"{m.regret:.4f}"]
        for m in demo.ranking.methods
    ]
    n_models, observed = len({r.model for r in demo.records}), demo.settings["observed_epochs"]
    title = f"Ranking {n_models} candidates by their first {observed} epochs"
    print_table(title, ["method", "Spearman rho", "95 %", "- last value", "regret"], rows)
    _say(demo)
    print(f"Computing beta_eff took {demo.cost:.2f} of the training time of these tiny networks.")
    print(f"Written to {folder}/; everything on one page: {page}")


def _say(demo: Any) -> None:
    """Print what is named, what it will reach, what a race takes, and how the paper's rule did."""
    first, observed, epochs = demo.chosen[0], demo.settings["observed_epochs"], demo.race.epochs
    all_epochs = demo.settings["epochs"] * len({r.model for r in demo.records})
    print(f"After {observed} epochs: {demo.choice}.")
    print(f"Forecast for {first}: {demo.forecasts[first]}.")
    print(
        f"Its final test accuracy is {demo.regret:.3f} below the best one's."
        if demo.regret
        else "No other has a better final test accuracy."
    )
    print(
        f"A race would name {demo.race.order[0]} after {epochs} epochs of all candidates together, "
        f"of {all_epochs}."
    )
    print(demo.verdict)
