"""Which form of beta_eff carries information, and what does as well without it: tables.

From the stored records of cifar100-a, and where they are there, of its zoo with a trained probe and
of ablations/run.py. Writes ``results/ablations.json`` and ``ablations.md``. Run:
``python -m papers.jiang2024.ablations.tables`` (a minute on one core).
"""

from math import isfinite

import numpy as np

from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from papers.jiang2024.ablations import words as ablation_words
from papers.jiang2024.ablations.explanations import explain, scale
from papers.jiang2024.ablations.retraining import retraining
from papers.jiang2024.ablations.trained import trained_probe
from papers.jiang2024.ablations.words import CONTROLS, DEFAULT, FORMS, OBSERVED, SCALES
from papers.jiang2024.judging.evidence import HERE, RESULTS, evidence, judge, sources
from papers.jiang2024.judging.rules import applied, by_choice, groups_of, last_value, line, pooled

TASK, SEED = "cifar100-a", 0
RULES = {"line": line, "pooled": pooled}


def compare(found):
    """Return a row for every form and control, rule, number of epochs and group of candidates.

    Every row has rho, its lead over the last value, and ``over_default``, its lead over the default
    form by the same rule; all draws are the same for all rows.
    """
    rows = []
    for group, part, curves in groups_of(found):
        names = [n for n in (*FORMS, *CONTROLS) if n in next(iter(curves.values())).measures]
        for k in OBSERVED:
            early = {choice: c.first(k) for choice, c in curves.items()}
            last = by_choice(early, lambda c: last_value(None, c.accuracy))
            base = {"group": group, "observed": k}
            result = _judged(last, last, part)
            rows.append({**base, "name": "last_value", "rule": None, **result})
            for rule, predict in RULES.items():
                mine = {name: by_choice(early, applied(predict, name)) for name in names}
                for name in names:
                    against = _judged(mine[name], mine[DEFAULT], part)
                    lead = {f"over_default{e}": against[f"lead{e}"] for e in ("", "_low", "_high")}
                    result = {**_judged(mine[name], last, part), **lead}
                    rows.append({**base, "name": name, "rule": rule, **result})
    return rows


def _judged(mine, yardstick, found):
    """Judge with the same draws every time, so that rows can be compared."""
    return judge(mine, yardstick, found.seeds, np.random.default_rng(SEED))


def verdict(rows):
    """Return the forms that are better, or worse, than the default by either rule.

    Better: the lead over the default excludes 0 for all candidates with both rules, at the fewest
    epochs; that is what a new default would have to show. ``none``: no numbers in a majority of
    candidates.
    """
    k = min(row["observed"] for row in rows)
    found = {"better": [], "worse": [], "same": [], "none": []}
    for name in FORMS:
        mine = [r for r in rows if (r["name"], r["group"], r["observed"]) == (name, "all", k)]
        if name == DEFAULT or not mine:
            continue
        if not all(isfinite(r["rho"]) for r in mine):
            found["none"].append(name)
        elif all(r["over_default_low"] > 0 for r in mine):
            found["better"].append(name)
        elif all(r["over_default_high"] < 0 for r in mine):
            found["worse"].append(name)
        else:
            found["same"].append(name)
    return found


def main():
    """Judge, explain, write."""
    folder = output_folder(RESULTS)
    found = evidence(TASK)
    rows = compare(found)
    print(f"{len(rows)} rows", flush=True)
    result = {
        "environment": environment(),
        "sources": sources(found),
        "seed": SEED,
        "n_pretrained": len(found.group("pretrained").models),
        "verdict": verdict(rows),
        "rows": rows,
        "why": {k: explain(found, k, np.random.default_rng(SEED)) for k in OBSERVED},
        "scale": {name: scale(found, by) for name, by in SCALES.items()},
        "retraining": retraining(),
        "trained": trained_probe(TASK),
    }
    write_text(folder / "ablations.json", to_json(result) + "\n")
    write_text(HERE / "ablations.md", ablation_words.page(result))
    print(ablation_words.page(result))


if __name__ == "__main__":
    main()
