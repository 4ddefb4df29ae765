"""Table 1 and the supplementary tables, from the committed records of the zoo.

Writes results/table1.json (rho of every method after 3, 5 and 10 epochs, among all candidates and
among the pretrained ones alone; leads over the last value and over the best baseline),
results/supplementary.json (ranking from single runs, fixed windows, fewer training samples, times),
tables.md, which says the same for people, and a sentence of the site's page of verdicts. Run after
zoo/run.py (and zoo/run_sizes.py, if you like):
``python -m papers.jiang2024.tables.tables`` (a few minutes for three tasks on one core).
"""

from math import nan

import numpy as np

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from papers.jiang2024.judging import dead, headline, source_rows
from papers.jiang2024.judging.bootstrap import DRAWS, LEVEL, SEED, draw, judge_tasks
from papers.jiang2024.judging.evidence import (
    GROUPS,
    HERE,
    RESULTS,
    SLOW,
    all_evidence,
    at_sizes,
    by_group,
    from_window,
    predictions,
    seconds_per_epoch,
    sources,
)
from papers.jiang2024.tables import words as tables_words

OURS = ("capacitance", "pooled")
SCORES = ("logme", "h_score", "naswot", "synflow")
BASELINES = ("last_value", "best_value", "bgrn", "cl", "domhan", *SCORES)
METHODS = (*OURS, *BASELINES)
YARDSTICK = "last_value"
OBSERVED = (3, 5, 10)
MAIN = 5  # epochs of the figures and of the supplementary tables
WINDOWS = {5: (1, 2, 3), 10: tuple(range(1, 9))}  # first observations, by epochs observed
SIZED = (*OURS, YARDSTICK, "logme")
MEAN = "mean over tasks"


def judged(cases, methods):
    """Return all methods' results on one or several tasks, ours with the best baseline."""
    drawn = draw([found for found, _ in cases])
    rows = [{"method": m, **judge_tasks(cases, m, YARDSTICK, drawn)} for m in methods]
    best = max(
        (row for row in rows if row["method"] in BASELINES and row["status"] == "ok"),
        key=lambda row: row["rho"],
        default=None,
    )
    for row in rows:
        del row["improvement"], row["improvement_low"], row["improvement_high"]
        if row["method"] in OURS and best is not None:
            against = judge_tasks(cases, row["method"], best["method"], drawn)
            row["best_baseline"] = {
                "method": best["method"],
                "rho": best["rho"],
                **{k: v for k, v in against.items() if k.startswith(("lead", "improvement"))},
            }
    return rows


def by_task(cases, methods, **labels):
    """Return the results of every task, and of their mean where there are several."""
    named = [(found.task, [(found, tables)]) for found, tables in cases]
    if len(cases) > 1:
        named.append((MEAN, cases))
    return [
        {"task": task, **labels, **row} for task, some in named for row in judged(some, methods)
    ]


def compare(all_found, observed, methods, over="mean"):
    """Return the results of all methods, and their predictions."""
    cases = {group: [] for group in GROUPS}
    predicted = []
    for found in all_found:
        print(f"{found.task}: {observed} epochs, {over} curves", flush=True)
        groups = by_group(found, methods, observed, over=over)
        for group, case in groups.items():
            cases[group].append(case)
        predicted += listed(found, groups["all"][1], observed)
    rows = []
    for group in GROUPS:
        rows += by_task(cases[group], methods, group=group, observed=observed)
    return rows, predicted


def from_sources(all_found):
    """Return Table 1 among the candidates with a source head, NCE and LEEP in it; who has none."""
    scores = source_rows.read(RESULTS)
    if scores is None:
        print("no NCE and LEEP: there is no source_scores.json yet; run zoo/source_scores.py.")
        return None
    some = [source_rows.scored(found, scores) for found in all_found]
    methods = [m for m in (*METHODS, *source_rows.SCORES) if m not in SLOW]
    rows = []
    for observed in OBSERVED:
        print(f"candidates with a source head: {observed} epochs", flush=True)
        cases = [(found, predictions(found, methods, observed)) for found in some]
        rows += by_task(cases, methods, group=source_rows.GROUP, observed=observed)
    return {"rows": rows, "without": scores["without"]}


def without_dead(all_found):
    """Return the dead runs, and Table 1 without them; slow methods are left out."""
    runs = [row for found in all_found for row in dead.described(found)]
    methods = [m for m in METHODS if m not in SLOW]
    some = [dead.alive(found) for found in all_found]
    parts = [compare(some, observed, methods)[0] for observed in OBSERVED] if runs else []
    rows = [row for part in parts for row in part]
    return {"runs": runs, "rows": rows, "denominator": dead.denominator(all_found)}


def listed(found, tables, observed):
    """Return the predictions behind the point estimates, one row a candidate or run."""
    return [
        {"task": found.task, "observed": observed, "method": method, "model": model,
         "seeds": choice, "prediction": p, "truth": t}
        for method, by_choice in tables.items()
        for choice, table in by_choice.items()
        if choice == found.seeds or len(choice) == 1
        for model, (p, t) in zip(found.models, table, strict=True)
    ]  # fmt: skip


def windows(all_found, starts_by_observed):
    """Return rho of lines that begin at a fixed observation: Fig. 3b."""
    rows = []
    for observed, starts in starts_by_observed.items():
        names = ["bic", *map(str, starts)]
        cases = []
        for found in all_found:
            print(f"{found.task}: {observed} epochs, fixed windows", flush=True)
            tables = predictions(found, (YARDSTICK,), observed)
            tables |= {str(t0): from_window(found, observed, t0) for t0 in ("bic", *starts)}
            cases.append((found, tables))
        rows += by_task(cases, names, observed=observed)
    return [{"t0": row.pop("method"), **row} for row in rows]


def sizes(all_found, methods=SIZED):
    """Return rho with fewer training samples, the truth being that of all of them: Fig. 3c."""
    rows = []
    for found in all_found:
        for n, one in at_sizes(found).items():
            tables = predictions(one, methods, MAIN, full=found)
            more = {"task": found.task, "n_train": n, "models": one.models, "seeds": one.seeds}
            rows += [{**more, **row} for row in judged([(one, tables)], methods)]
    return rows


def times(all_found):
    """Return what beta_eff costs: c, and the equal-cost numbers of epochs of k observations."""
    rows = []
    for found in all_found:
        for model, took in seconds_per_epoch(found).items():
            c = took["c"]
            costs = {"observation": MAIN * c, "with_training": MAIN * (1 + c)}
            rows.append({"task": found.task, "model": model, **took, **costs})
    return rows


def method_seconds(found, methods):
    """Return what one prediction takes on one task; a training-free score sees no epoch."""
    curves = [m for m in methods if m not in SCORES]
    ranking = ed.rank(
        found.records, curves, observed=MAIN, n_validation=found.n_validation, n_bootstrap=1
    )
    rows = [{"method": j.method, "seconds": j.seconds} for j in ranking.methods]
    for name in (m for m in methods if m in SCORES):
        took = [r.provenance.get("score_seconds", {}).get(name, nan) for r in found.records]
        rows.append({"method": name, "seconds": float(np.median(took))})
    return rows


def results(found, methods, observed, starts_by_observed):
    """Compute everything.

    Parameters
    ----------
    found : sequence of Evidence
    methods : sequence of str
    observed : sequence of int
        Numbers of epochs, `MAIN` among them.
    starts_by_observed : dict of int to sequence of int
        First observations of fixed windows, by epochs observed.

    Returns
    -------
    tuple of dict
        What results/table1.json and results/supplementary.json hold.
    """
    head = {
        "environment": environment(),
        "bootstrap": {"draws": DRAWS, "level": LEVEL, "seed": SEED},
        "sources": [sources(one) for one in found],
    }
    parts = [compare(found, n, methods) for n in observed]
    table = {
        **head,
        "rows": [row for rows, _ in parts for row in rows],
        "source": None,  # those of this zoo alone have been scored
        "dead": without_dead(found),
        "predictions": [row for _, rows in parts for row in rows if row["observed"] == MAIN],
    }
    fast = [m for m in methods if m not in SLOW]  # each run anew would take minutes
    rows, runs = compare(found, MAIN, fast, over="run")
    supplement = {
        **head,
        "runs": rows,
        "run_predictions": [row for row in runs if row["method"] in OURS],
        "windows": windows(found, starts_by_observed),
        "sizes": sizes(found, [m for m in SIZED if m in methods]),
        "seconds_per_epoch": times(found),
        "seconds_per_method": {"task": found[0].task, "rows": method_seconds(found[0], methods)},
    }
    return table, supplement


def main():
    """Compute everything and write the three files."""
    folder = output_folder(RESULTS)
    found = all_evidence()
    table, supplement = results(found, METHODS, OBSERVED, WINDOWS)
    table["source"] = from_sources(found)
    write_text(folder / "table1.json", to_json(table) + "\n")
    write_text(folder / "supplementary.json", to_json(supplement) + "\n")
    write_text(HERE / "tables.md", tables_words.page(table, supplement))
    headline.write("table1")


if __name__ == "__main__":
    main()
