"""How well early beta_eff orders the cells of NAS-Bench-201, beside what is cheaper.

Reads the records of nas/run.py and the benchmark's table, writes results/nas.json, nas.md and a
sentence of the site's page of verdicts. A cell's truth is its tabulated validation accuracy after
200 epochs of the full network; every method sees no more than the few epochs of the small one, or
none.
Run after nas/run.py:
``EDGEDYN_DATA=... python -m papers.jiang2024.nas.tables`` (three minutes).
"""

from dataclasses import asdict, dataclass, replace
from math import inf, isfinite, nan

import numpy as np
from msgspec.structs import replace as changed

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn.predict.rank_quality import judge
from papers.jiang2024.judging import headline
from papers.jiang2024.nas import page as nas_page
from papers.jiang2024.nas import run as nas

RESULTS = nas.HERE / "results"
OBSERVED = (3, 5)
RULES = ("capacitance", "pooled")
SCOPES = ("probe", "network")
DRAWS, SEED = 1000, 0


@dataclass(frozen=True)
class Method:
    """What one method says of every cell.

    Parameters
    ----------
    name, kind : str
        ``curve`` (of early epochs), ``proxy`` (ours, before training), ``table`` (the benchmark's
        proxies, computed by others on the full network), ``count``.
    epochs : int
        Of training that it sees.
    values : dict of str to float
        By cell; higher promises more.
    seconds : float
        The median cell's.
    """

    name: str
    kind: str
    epochs: int
    values: dict
    seconds: float


# Methods ----------------------------------------------------------------------------------------


def methods(records, table, places):
    """Return all methods on a sample's cells."""
    longest = min(len(r.epochs) for r in records)
    found = [_last_value(records, k) for k in range(1, longest + 1)]
    for k in OBSERVED:
        if k <= longest:
            for scope in SCOPES:
                found += _by_beta(records, k, scope)
    for proxy in sorted(set.intersection(*(set(r.scores) for r in records))):
        values = _means(records, lambda r, name=proxy: r.scores[name])
        times = [r.provenance["score_seconds"][proxy] for r in records]
        found.append(Method(proxy, "proxy", 0, values, float(np.median(times))))
    return found + _tabulated(table, places)


def _last_value(records, k):
    """Return the validation accuracy after k epochs."""
    values = _means(records, lambda r: r.epochs[k - 1].val_accuracy)
    return Method("last_value", "curve", k, values, _seconds(records, k))


def _by_beta(records, k, scope):
    """Return the rules and beta_eff itself, which should go to 0, after k epochs."""
    records = records if scope == "probe" else [_of_network(r) for r in records]
    seconds = _seconds(records, k, measured=True)
    rows = ed.rank(records, RULES, observed=k, n_validation=nas.VALIDATION, n_bootstrap=1).rows
    found = []
    for rule in RULES:
        values = {r.model: r.prediction for r in rows if r.method == rule}
        found.append(Method(f"{rule}, {scope}", "curve", k, values, seconds))
    small = _means(records, lambda r: -r.epochs[k - 1].beta_eff)
    return [*found, Method(f"-beta_eff, {scope}", "curve", k, small, seconds)]


def _of_network(record):
    """Return a record whose beta_eff is that of the whole network."""
    epochs = tuple(
        changed(e, beta_eff=e.measures["beta_network"], beta_seconds=e.measures["network_seconds"])
        for e in record.epochs
    )
    return replace(record, epochs=epochs)


def _seconds(records, k, *, measured=False):
    """Return what k epochs take, with or without beta_eff; compilation is in the first."""
    return float(
        np.median(
            [
                sum(e.train_seconds + (e.beta_seconds if measured else 0.0) for e in r.epochs[:k])
                for r in records
            ]
        )
    )


def _means(records, value):
    """Return a value of each cell, the mean over its seeds."""
    found = {}
    for record in records:
        found.setdefault(record.model, []).append(value(record))
    return {model: float(np.mean(values)) for model, values in found.items()}


def _tabulated(table, places):
    """Return what the benchmark's table holds besides the accuracies."""
    counts = {"parameters": table.parameters, "flops": table.flops}
    columns = {**counts, **table.proxies}
    return [
        Method(
            name,
            "count" if name in counts else "table",
            0,
            {nas.name(table.cells[k]): float(values[k]) for k in places},
            0.0 if name in counts else float(np.median(table.seconds[name][places])),
        )
        for name, values in columns.items()
    ]


# Judging ----------------------------------------------------------------------------------------


def judged(found, truth):
    """Return every method's rank correlations, and its lead over the last value at equal compute.

    That is the last value after as many epochs as the method's time allows, and after one where it
    allows none.
    """
    lasts = sorted((m for m in found if m.name == "last_value"), key=lambda m: m.epochs)
    rows = []
    for method in found:
        equal = max(
            (m for m in lasts if m.seconds <= method.seconds), key=lambda m: m.epochs, default=None
        )
        equal = lasts[0] if equal is None else equal
        tables = [{name: (m.values[name], truth[name]) for name in truth} for m in (method, equal)]
        rng = np.random.default_rng(SEED)
        result = judge(method.name, tables[:1], tables[1:], {}, DRAWS, rng, method.seconds)
        row = asdict(result)
        del row["improvement"]
        row |= {"kind": method.kind, "epochs": method.epochs, "against_epochs": equal.epochs}
        rows.append(row)
    return rows


def sample(records, table, places):
    """Return the results on one sample."""
    truth = {nas.name(table.cells[k]): float(table.accuracy[k]) for k in places}
    kept = [r for r in records if r.model in truth and r.status == "completed"]
    missing = sorted(set(truth) - {r.model for r in kept})
    truth = {name: value for name, value in truth.items() if name not in missing}
    places = [k for k in places if nas.name(table.cells[k]) in truth]
    found = methods(kept, table, places)
    values = list(truth.values())
    return {
        "cells": len(truth),
        "missing": missing,
        "accuracy": [min(values), max(values)],
        "truth": truth,
        "without_beta": sum(
            not any(isfinite(e.beta_eff) for r in kept if r.model == name for e in r.epochs)
            for name in truth
        ),
        "reached": _reached(kept),
        "rows": judged(found, truth),
    }


def _reached(records):
    """Return the least and most validation accuracy after the last epoch here."""
    low, high = inf, -inf
    for record in records:
        value = record.epochs[-1].val_accuracy
        low, high = min(low, value), max(high, value)
    return [low, high] if records else [nan, nan]


def main() -> None:
    """Read records and table, judge, write."""
    table = nas.table()
    records = list(ed.load_records(nas.FOLDER))
    result = {
        "samples": {
            name: sample(records, table, places)
            for name, places in nas.samples(table.accuracy).items()
        },
        "seeds": sorted({r.seed for r in records}),
        "epochs": max(len(r.epochs) for r in records),
        "skeleton": {"channels": nas.CHANNELS, "n_cells": nas.CELLS_A_STAGE},
        "images": {"size": nas.IMAGE_SIZE, "train": nas.TRAIN, "validation": nas.VALIDATION},
        "network_samples": nas.SAMPLES,
        "bootstrap": {"draws": DRAWS, "seed": SEED},
        "training": records[0].provenance["environment"],
        "environment": environment(),
    }
    write_text(output_folder(RESULTS) / "nas.json", to_json(result) + "\n")
    nas_page.write()
    headline.write("nas")


if __name__ == "__main__":
    main()
