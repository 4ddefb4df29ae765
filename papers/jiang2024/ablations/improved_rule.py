"""A better rule: chosen among many on one task, reported on the others.

Chosen by the mean over 3, 5 and 10 observed epochs of Spearman's rho on cifar100-a, all candidates;
the other tasks play no part in the choice. Regressors that only cifar100-a has (mean prediction
error, gradient) cannot be reported and do not take part. Writes ``results/improved_rule.json`` and
``improved_rule.md``. Run (two minutes on one core):
``python -m papers.jiang2024.ablations.improved_rule``
"""

from math import isfinite

import numpy as np

from edgedyn._environment import environment
from edgedyn._files import output_folder, to_json, write_text
from edgedyn.predict import lines
from edgedyn.predict.rank_quality import spearman
from papers.jiang2024.judging.evidence import (
    HERE,
    RESULTS,
    all_evidence,
    judge,
    sources,
    with_interval,
)
from papers.jiang2024.judging.rules import (
    applied,
    by_choice,
    falling,
    groups_of,
    line,
    mean_curves,
    pooled,
)

CHOICE, OBSERVED, SEED = "cifar100-a", (3, 5, 10), 0
LAST, PAPER, OURS = "last value", "the paper's line", "pooled rule"
REGRESSORS = {
    "1/epoch": "inverse_epoch",
    "training loss": "train_loss",
    "training error": "train_error",
    "validation loss": "val_loss",
}


def last(c):
    """Return the last value, which all rules have to beat."""
    return c.accuracy[:, -1]


def shrunk(c, tau):
    """Return the line, drawn to the last value the more uncertain it is."""
    beta = c.measures["beta_eff"]
    found = lines.fit(beta, c.accuracy, c.n_validation)
    std = np.minimum(found.std, 1e6)  # infinite where beta_eff is flat
    return last(c) + tau**2 / (tau**2 + std**2) * (found.final - last(c))


def logit(c):
    """Return the line through log odds of accuracy; half a sample keeps 0 and 1 finite."""
    n = c.n_validation
    odds = np.log((c.accuracy * n + 0.5) / (n - c.accuracy * n + 0.5))
    return 1 / (1 + np.exp(-line(c.measures["beta_eff"], odds, None)))


def _with_beta():
    """Return the rules that use beta_eff; simpler ones come first."""

    def in_root(rule):
        return lambda c: rule(np.sqrt(c.measures["beta_eff"]), c.accuracy, c.n_validation)

    def both(name):
        return lambda c: pooled(np.stack([c.measures["beta_eff"], c.measures[name]]), c.accuracy)

    rules = {
        PAPER: applied(line),
        OURS: applied(pooled),
        "mean of line and last value": lambda c: (applied(line)(c) + last(c)) / 2,
        "mean of line and pooled rule": lambda c: (applied(line)(c) + applied(pooled)(c)) / 2,
        "line where it rises as beta_eff falls, else last value": applied(falling),
        "line, but no less than the last value": lambda c: np.fmax(applied(line)(c), last(c)),
        "pooled rule, half the step": lambda c: pooled(
            c.measures["beta_eff"], c.accuracy, step=0.5
        ),
        "line on the logit scale": logit,
        # A logarithm has no zero to read off at; the root bends the same way.
        "line in the root of beta_eff": in_root(line),
        "pooled rule in the root of beta_eff": in_root(pooled),
        "pooled rule over beta_eff and 1/epoch": both("inverse_epoch"),
        "pooled rule over beta_eff and training loss": both("train_loss"),
    }
    for tau in (0.02, 0.05, 0.1, 0.2):
        rules[f"line shrunk to the last value, tau {tau}"] = lambda c, tau=tau: shrunk(c, tau)
    return rules


def _without_beta():
    """Return the controls: the same rules in other regressors, and accuracy alone."""
    rules = {
        LAST: last,
        "best value": lambda c: c.accuracy.max(axis=1),
        "mean of the last three values": lambda c: c.accuracy[:, -3:].mean(axis=1),
    }
    for words, name in REGRESSORS.items():
        rules[f"line in {words}"] = applied(line, name)
        rules[f"pooled rule in {words}"] = applied(pooled, name)
        rules[f"mean of line in {words} and last value"] = lambda c, name=name: (
            (applied(line, name)(c) + last(c)) / 2
        )
    return rules


WITH_BETA, WITHOUT_BETA = _with_beta(), _without_beta()
RULES = {**WITHOUT_BETA, **WITH_BETA}


def choose(rows):
    """Return the best rule, and the best of those that use beta_eff, by their mean rho.

    Parameters
    ----------
    rows : dict of str to dict
        With ``mean``; NaN where a rule has no prediction.
    """
    # Rounded, so that of equals the first in the list is taken: the simpler one.
    known = {name: round(row["mean"], 9) for name, row in rows.items() if isfinite(row["mean"])}
    best = max(known, key=known.get)
    ours = max((name for name in known if name in WITH_BETA), key=known.get)
    return best, ours


def compare(found):
    """Return rho of every rule on the task of the choice, by observed epochs, and their mean."""
    whole = mean_curves(found)[tuple(found.seeds)]
    rows = {}
    for name, rule in RULES.items():
        row = {}
        for k in OBSERVED:
            predicted = rule(whole.first(k))
            kept = np.isfinite(predicted)
            row[k] = spearman(predicted[kept], whole.truth[kept])
        row["mean"] = float(np.mean(list(row.values())))
        rows[name] = row
    return rows


def report(found, names):
    """Return how some rules do on a task that had no part in the choice."""
    rows = []
    for group, part, curves in groups_of(found):
        for k in OBSERVED:
            early = {choice: c.first(k) for choice, c in curves.items()}
            mine = {name: by_choice(early, RULES[name]) for name in names}
            for name in names:
                judged = {
                    other: judge(mine[name], mine[other], part.seeds, np.random.default_rng(SEED))
                    for other in (LAST, PAPER)
                }
                value, truth = mine[name][tuple(part.seeds)].T
                over = {f"over_paper{e}": judged[PAPER][f"lead{e}"] for e in ("", "_low", "_high")}
                rows.append(
                    {
                        "group": group,
                        "observed": k,
                        "rule": name,
                        **judged[LAST],
                        **over,
                        "mae": float(np.nanmean(abs(np.clip(value, 0, 1) - truth))),
                    }
                )
    return rows


# The page ---------------------------------------------------------------------------------------

HEAD = """# A better rule: chosen on {choice}, reported on the others

Made by `python -m papers.jiang2024.ablations.improved_rule`; numbers in
`results/improved_rule.json`. rho is Spearman's against the final test accuracy; leads are paired;
intervals are 95 %, by bootstrap over candidates and seeds; mae is of the clipped prediction.
"""


def page(result):
    """Return the page."""
    source = result["sources"][CHOICE]
    parts = [
        HEAD.format(choice=CHOICE).strip(),
        _chosen(result),
        f"## The choice: {CHOICE}, {len(source['models'])} candidates, seeds "
        f"{', '.join(map(str, source['seeds']))}",
        _choice_table(result["choice"]),
    ]
    for task, rows in result["report"].items():
        source = result["sources"][task]
        parts.append(
            f"## The report: {task}, {len(source['models'])} candidates, seeds "
            f"{', '.join(map(str, source['seeds']))}"
        )
        for name in dict.fromkeys([result["chosen"], result["chosen_with_beta"]]):
            parts.append(_plain(rows, name))
        parts.append(_report_table(rows))
    if not result["report"]:
        parts.append("No other task has enough records yet: nothing can be reported.")
    return "\n\n".join(parts) + "\n"


def _chosen(result):
    """Say what was chosen."""
    best, ours, rows = result["chosen"], result["chosen_with_beta"], result["choice"]
    text = f"Chosen: **{best}**, mean rho {rows[best]['mean']:.2f}"
    if best != ours:
        text += (
            f"; it does not use beta_eff. The best that does: **{ours}**, {rows[ours]['mean']:.2f}"
        )
    return (
        f"{text}. There the last value has {rows[LAST]['mean']:.2f}, the paper's line "
        f"{rows[PAPER]['mean']:.2f}. The best of {len(rows)} rules is flattered by the task it was "
        "chosen on; the report below is not."
    )


def _choice_table(rows):
    """Return every rule, best first."""
    lines = [
        f"| rule | uses beta_eff | {' | '.join(f'{k} epochs' for k in OBSERVED)} | mean |",
        "|---|---|" + "---:|" * (len(OBSERVED) + 1),
    ]
    order = sorted(rows, key=lambda n: -rows[n]["mean"] if isfinite(rows[n]["mean"]) else np.inf)
    for name in order:
        cells = [f"{rows[name][k]:.2f}" for k in (*OBSERVED, "mean")]
        lines.append(f"| {name} | {'yes' if name in WITH_BETA else ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(rows, name):
    """Say in words whether the chosen rule beats the last value, all candidates."""
    words = []
    for row in rows:
        if row["rule"] == name and row["group"] == "all":
            words.append(f"after {row['observed']} epochs it {verdict(row)} (lead "
                         f"{with_interval(row, 'lead')})")  # fmt: skip
    return f"{name}, against the last value, all candidates: {'; '.join(words)}."


def verdict(row):
    """Return what a lead's interval says."""
    if not isfinite(row["lead"]):
        return "has no prediction"
    if row["lead_low"] > 0:
        return "is better"
    return "is worse" if row["lead_high"] < 0 else "is not told apart"


def _report_table(rows):
    """Return the rules of a report."""
    lines = [
        "| candidates | epochs | rule | rho | over last value | over the paper's line | mae |",
        "|---|---:|---|---|---|---|---:|",
    ]
    for r in rows:
        over = {f"lead{e}": r[f"over_paper{e}"] for e in ("", "_low", "_high")}
        lead = "" if r["rule"] == LAST else with_interval(r, "lead")
        paper = "" if r["rule"] == PAPER else with_interval(over, "lead")
        lines.append(
            f"| {r['group']} | {r['observed']} | {r['rule']} | {with_interval(r)} | {lead} "
            f"| {paper} | {r['mae']:.3f} |"
        )
    return "\n".join(lines)


def main():
    """Choose, report, write."""
    folder = output_folder(RESULTS)
    found = {one.task: one for one in all_evidence()}
    if CHOICE not in found:
        raise SystemExit(f"{CHOICE} has not enough records yet; run zoo/run.py first.")
    rows = compare(found[CHOICE])
    best, ours = choose(rows)
    names = list(dict.fromkeys([LAST, PAPER, OURS, ours, best]))
    result = {
        "environment": environment(),
        "sources": {task: sources(one) for task, one in found.items()},
        "seed": SEED,
        "chosen": best,
        "chosen_with_beta": ours,
        "choice": rows,
        "report": {task: report(one, names) for task, one in found.items() if task != CHOICE},
    }
    write_text(folder / "improved_rule.json", to_json(result) + "\n")
    write_text(HERE / "improved_rule.md", page(result))
    print(page(result))


if __name__ == "__main__":
    main()
