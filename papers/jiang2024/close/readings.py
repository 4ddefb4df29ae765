"""Which reading of the frozen probe is the better default: the same trials with both, paired.

The rule was written down when of `statistics` one seed of one task had been looked at. Of the
comparisons of the mean over tasks (two lines, all and close candidates, three numbers of epochs
seen, in rank and in value): the default is `statistics` where more are surely better than surely
worse, else `identity`, what the probe has always had.
"""

from papers.jiang2024.close.evidence import (
    completed,
    draws,
    groups,
    load_runs,
    predictions,
    rank_and_value,
)
from papers.jiang2024.close.rules import LAST, MAIN
from papers.jiang2024.close.run import TASKS

READINGS = ("identity", "statistics")
LINES = ("capacitance", "capacitance, all epochs")
RULES = (*LINES, "pooled", LAST)


def paired_zoos():
    """Return, by group of candidates, both readings of each task with the same trials."""
    found = {"all": [], "close": []}
    for task in TASKS:
        records = [completed(task, variant) for variant in READINGS]
        trials = set.intersection(*({(r.model, r.seed) for r in some} for some in records))
        kept = [[r for r in some if (r.model, r.seed) in trials] for some in records]
        both = [load_runs(task, v, some) for v, some in zip(READINGS, kept, strict=True)]
        if None in both:
            continue
        for (group, one), (_, other) in zip(*map(groups, both), strict=True):
            found[group].append((one, other))
    return {group: pairs for group, pairs in found.items() if pairs}


def compare(observed, n_draws, mean):
    """Return ``rows`` and ``default`` of the comparison; None without trials of both readings."""
    rows = _rows(observed, n_draws, mean)
    return {"rows": rows, "default": default(rows, mean)} if rows else None


def _rows(observed, n_draws, mean):
    """Return a row for every rule, task and number of epochs: `statistics` beside `identity`.

    Parameters
    ----------
    observed : sequence of int
        Epochs seen.
    n_draws : int
        Of the bootstrap.
    mean : str
        What the mean over tasks is called.

    Returns
    -------
    list of dict
        As `evidence.rank_and_value`: ``lead`` and ``gain`` are those of `statistics` over
        `identity`, each judged by its own final accuracies.
    """
    rules = {name: MAIN[name] for name in RULES}
    rows = []
    for group, pairs in paired_zoos().items():
        drawn = draws([one for one, _ in pairs], n_draws)
        for k in observed:
            cases = []
            for pair in pairs:
                tables = [predictions(zoo, rules, k) for zoo in pair]
                table = {
                    (reading, name): found[name]
                    for reading, found in zip(READINGS, tables, strict=True)
                    for name in rules
                }
                cases.append((pair[0], table))
            parts = [([case], case[0].task) for case in cases]
            parts += [(cases, mean)] if len(cases) > 1 else []
            for some, task in parts:
                for name in rules:
                    names = [(reading, name) for reading in READINGS]
                    first = rank_and_value(some, names[0], names[1], drawn)
                    row = rank_and_value(some, names[1], names[0], drawn)
                    labels = {"group": group, "observed": k, "task": task, "method": name}
                    labels["seeds"] = min(len(zoo.seeds) for zoo, _ in some)
                    of_first = {f"{READINGS[0]}_{key}": first[key] for key in ("rho", "error")}
                    rows.append({**labels, **row, **of_first})
    return rows


def default(rows, mean):
    """Return the better default, and in how many comparisons it is surely better and worse."""
    tasks = {row["task"] for row in rows}
    kept = [r for r in rows if r["method"] in LINES and (r["task"] == mean or len(tasks) == 1)]
    values = [(r[f"{what}_low"], r[f"{what}_high"]) for r in kept for what in ("lead", "gain")]
    better, worse = sum(low > 0 for low, _ in values), sum(high < 0 for _, high in values)
    name = READINGS[1] if better > worse else READINGS[0]
    found = {"name": name, "comparisons": len(values), "better": better, "worse": worse}
    return {**found, "tasks": len(tasks - {mean}), "seeds": min(r["seeds"] for r in rows)}
