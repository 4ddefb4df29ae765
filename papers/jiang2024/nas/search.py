"""Search among the cells that have records, replayed, by the last value and by beta_eff.

`edgedyn.search` (Optuna's successive halving) with the last value, the paper's line, the pooled
rule and chance as what decides who goes on, several seeds each; a seed decides the order of the
cells and nothing else. No cell is trained: epochs come from the records of nas/run.py, and
accuracies from the benchmark's table; a search therefore sees only the cells of a sample. Writes
results/nas_search.json and its section of nas.md. Run after nas/tables.py:
``EDGEDYN_DATA=... python -m papers.jiang2024.nas.search`` (three minutes).
"""

from importlib.metadata import version

import numpy as np

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn.predict.bootstrap import interval
from papers.jiang2024.nas import page as nas_page
from papers.jiang2024.nas import run as nas

RULES = ("last_value", "capacitance", "pooled", "random")
YARDSTICK = "last_value"
FIRST = (1, 3)  # the epoch of the first decision: early, or when the paper's line is there
SEEDS = 20
SHARES = (0.1, 0.25, 0.5, 1.0)  # of the epochs that training every cell would take
DRAWS = 2000


def curves(records):
    """Return each cell's beta_eff and accuracy by epoch, means over seeds."""
    found = {}
    for record in records:
        if record.status == "completed":
            pairs = [(e.beta_eff, e.val_accuracy) for e in record.epochs]
            found.setdefault(record.model, []).append(pairs)
    return {name: np.mean(runs, axis=0) for name, runs in found.items()}


def rule_of(name, seed):
    """Return a rule as `edgedyn.search` takes it."""
    if name != "random":
        return name
    rng = np.random.default_rng([nas.SEED, seed])
    return lambda run, others: float(rng.random())


def traces(truth, curve, rule, first, epochs):
    """Return the tabulated accuracy of the choice after each epoch spent, and epochs in all.

    A search that is through before the budget is spent keeps its choice.
    """
    budget = len(truth) * epochs
    found, spent = [], []
    for seed in range(SEEDS):
        result = ed.search(
            truth, curve.__getitem__, rule_of(rule, seed), epochs=epochs, first=first, seed=seed
        )
        rest = budget - len(result.accuracy)
        found.append(np.pad(result.accuracy, (0, rest), mode="edge"))
        spent.append(len(result.accuracy))
    return np.array(found), float(np.mean(spent))


def with_interval(values):
    """Return the mean over seeds and its 95 % bootstrap interval."""
    rng = np.random.default_rng(nas.SEED)
    means = values[rng.integers(len(values), size=(DRAWS, len(values)))].mean(axis=1)
    low, high = interval(means)
    return {"mean": float(values.mean()), "low": low, "high": high}


def compared(truth, curve, first):
    """Return the results of all rules at every share of the budget, paired with the last value."""
    epochs = min(len(c) for c in curve.values())
    found = {rule: traces(truth, curve, rule, first, epochs) for rule in RULES}
    rows = []
    for rule, (accuracy, spent) in found.items():
        for share in SHARES:
            at = max(round(share * accuracy.shape[1]), 1) - 1
            lead = accuracy[:, at] - found[YARDSTICK][0][:, at]
            rows.append(
                {
                    "rule": rule,
                    "first": first,
                    "share": share,
                    "epochs": at + 1,
                    "spent": spent,
                    "accuracy": with_interval(accuracy[:, at]),
                    "lead": with_interval(lead),
                }
            )
    return rows


def main() -> None:
    """Replay all searches on both samples, and write."""
    table = nas.table()
    known = curves(ed.load_records(nas.FOLDER))
    samples = {}
    for sample, places in nas.samples(table.accuracy).items():
        truth = {nas.name(table.cells[k]): float(table.accuracy[k]) for k in places}
        truth = {name: value for name, value in truth.items() if name in known}
        curve = {name: known[name] for name in truth}
        samples[sample] = {
            "cells": len(truth),
            "best": max(truth.values()),
            "mean": float(np.mean(list(truth.values()))),
            "rows": [row for first in FIRST for row in compared(truth, curve, first)],
        }
    result = {
        "samples": samples,
        "seeds": SEEDS,
        "bootstrap": {"draws": DRAWS, "seed": nas.SEED},
        "optuna": version("optuna"),
        "environment": environment(),
    }
    write_text(output_folder(nas.HERE / "results") / "nas_search.json", to_json(result) + "\n")
    nas_page.write()


if __name__ == "__main__":
    main()
