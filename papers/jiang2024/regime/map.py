"""The regime map: where the paper's line leads the last value, from thousands of perceptrons.

Trains what ``results/regime_runs.npz`` lacks, then writes ``results/regime_map.json``,
``results/regime_cells.csv``, ``regime_map.md`` and two figures. An interrupted call is taken up
again. Run: ``EDGEDYN_DATA=... python -m papers.jiang2024.regime.map`` (20 minutes on one idle core;
``--seeds 5`` for a quick look).
"""

import argparse
import sys
from pathlib import Path

from edgedyn import _validate as check
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from papers.jiang2024.judging.pages import those
from papers.jiang2024.regime.candidates import CANDIDATES, TASKS, folder
from papers.jiang2024.regime.cells import (
    DRAWS,
    FACTORS,
    SEED,
    by_beta,
    cells,
    checked,
    described,
    draw,
)
from papers.jiang2024.regime.figures import beta_figure, regime_figure
from papers.jiang2024.regime.page import counted, page
from papers.jiang2024.regime.runs import PROBES, RATES, complete, settings, stored, together

HERE = Path(__file__).resolve().parents[1]
SEEDS, RUNS = 20, "regime_runs.npz"
NUMBERS = ("rho_line", "rho_last", "lead", "lead_low", "lead_high", "mae_line", "mae_last", "gain",
           "gain_low", "gain_high", "bias_line", "bias_last")  # fmt: skip


def say(line):
    """Print a line of progress at once."""
    print(line, flush=True)


def make(home, tasks, n_seeds, n_draws):
    """Train what is missing, judge, write.

    Parameters
    ----------
    home : Path
        Of the page; results and figures go into its folders.
    tasks : list of str
    n_seeds, n_draws : int
    """
    results, pictures = home / "results", home / "figures"
    seeds = list(range(n_seeds))
    arrays, notes = complete(results / RUNS, tasks, seeds, say)
    runs = together(arrays, tasks, seeds)
    drawn = draw(n_seeds, n_draws)
    rows = cells(runs, tasks, drawn, say)
    result = {
        "environment": environment(),
        "seed": SEED,
        "seeds": seeds,
        "draws": n_draws,
        "tasks": tasks,
        "runs": len(tasks) * n_seeds * len(PROBES) * len(RATES) * len(CANDIDATES),
        "settings": settings(),
        "blocks": {f"{t}/{s}": notes["blocks"][f"{t}/{s}"] for t in tasks for s in seeds},
        "lines": checked(runs, tasks),
        "described": described(runs, tasks),
        "cells": counted(rows),
        "by_factor": {
            name: {str(value): counted(those(rows, **{name: value})) for value in values}
            for name, values in ((f, dict.fromkeys(row[f] for row in rows)) for f in FACTORS)
        },
        "by_beta": by_beta(runs, drawn),
    }
    write_text(results / "regime_map.json", to_json(result) + "\n")
    write_text(results / "regime_cells.csv", table(rows))
    regime_figure(pictures / "regime_map.png", rows)
    beta_figure(pictures / "regime_beta.png", result["by_beta"])
    write_text(home / "regime_map.md", page(result, rows))


def table(rows):
    """Return the cells as csv."""
    lines = [",".join((*FACTORS, *NUMBERS))]
    for row in rows:
        lines.append(
            ",".join([*(str(row[f]) for f in FACTORS), *(f"{row[name]:.4f}" for name in NUMBERS)])
        )
    return "\n".join(lines) + "\n"


def main(arguments=None):
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(description="Map where the paper's line leads.")
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many (default: {SEEDS})")
    parser.add_argument("--draws", type=int, default=DRAWS, help=f"bootstrap (default: {DRAWS})")
    parser.add_argument("--home", type=Path, default=HERE, help="folder of page, results, figures")
    given = parser.parse_args(arguments)
    try:  # whatever can be wrong with the input, before any work
        n_seeds = check.positive_int(given.seeds, "--seeds")
        n_draws = check.positive_int(given.draws, "--draws")
        folder()
        output_folder(given.home / "figures")
        stored(output_folder(given.home / "results") / RUNS)
    except (TypeError, ValueError) as error:
        print(f"regime/map.py: {error}", file=sys.stderr)
        return 2
    make(given.home, given.tasks, n_seeds, n_draws)
    print((given.home / "regime_map.md").read_text("utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
