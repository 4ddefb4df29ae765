"""The regime map's page: tables and sentences, both from the numbers alone."""

from itertools import product
from math import isfinite

import numpy as np

from papers.jiang2024.judging.bootstrap import with_interval
from papers.jiang2024.judging.pages import those
from papers.jiang2024.regime.candidates import POOLS, SCRATCH
from papers.jiang2024.regime.cells import (
    BETA_POOLS,
    ENDS,
    ENDS_IN_WORDS,
    FACTORS,
    OBSERVED,
    verdict,
)
from papers.jiang2024.regime.runs import EARLY, INTERPOLATED, LATEST, PROBE, PROBES, RATES

SHOWN = 12  # rows of the table of the best cells
NAMES = {
    "task": "task",
    "pool": "candidates",
    "end": "training",
    "validation": "validation samples",
    "lag": "lag of the accuracy",
    "repeats": "runs averaged",
    "rate": "learning rate",
    "probe": "probe",
    "observed": "epochs seen",
}
LEVELS = {"end": ENDS_IN_WORDS}

HEAD = """# The regime map: where does the paper's line lead the last value?

Made by `EDGEDYN_DATA=... python -m papers.jiang2024.regime.map`: {runs} runs of `ReLUMLP`, {seeds}
seeds; runs in `results/regime_runs.npz`, every cell in `results/regime_cells.csv`, the rest in
`results/regime_map.json`. The line is `NeuralCapacitanceRegressor` with all defaults, vectorised:
on {curves} curves of these runs the two differ by {median:.0e} in the median and by {largest:.4f}
at most. Candidates are ranked by its unclipped value. *Lead* is its Spearman's rho
against the final test accuracy minus that of the validation accuracy after the same epoch; *gain*
is by how much its mean absolute error (clipped) is smaller. A cell is *ahead* or *behind* where the
95 % interval (paired bootstrap over candidates and seeds) lies above or below 0: with no difference
2.5 % of cells would be each by chance."""

SETUP = """## The cells

Images of 8 by 8 grey pixels. Tasks: {tasks}; every seed draws its own. A backbone has a probe of
{probe} neurons on top. *Frozen* is the identity reading. **The other reading, frozen weights with
running statistics, does not exist here: `ReLUMLP` has no batch norm.** Adam, seven steps an
epoch. Training ends after {early} epochs, or at interpolation (every training label right and a
mean loss below {interpolated}), at the latest after {latest} epochs: what share gets there is in
the last table. Validation accuracy is that of nested samples (digits has 400 instead of 1000). Lag
0.7 is a moving average of it that starts at chance, as a batch norm's statistics do. Candidates:
*close*, {close} widths and lengths of pre-training that hardly differ; *wide*, {wide} of one
family whose widths differ sixteenfold, pre-trained or not; *unrelated*, {unrelated} of different
depths, shapes, starts and sources."""


TASK_WORDS = {
    "digits": "digits 5-9 (pre-trained on digits 0-4, 100 training samples)",
    "cifar10": "five classes of CIFAR-10 (pre-trained on the other five, 200)",
    "fashion": "Fashion-MNIST (pre-trained on CIFAR-10, 200)",
}


def page(result, rows):
    """Return the page.

    Parameters
    ----------
    result : dict
        What ``results/regime_map.json`` holds.
    rows : list of dict
        From `regime_cells.cells`.
    """
    tasks = ", ".join(TASK_WORDS[task] for task in result["tasks"])
    counts = {pool: len(members) for pool, members in POOLS.items()}
    words = {"probe": "-".join(map(str, PROBE)), "early": EARLY, "latest": LATEST}
    parts = [
        HEAD.format(runs=result["runs"], seeds=len(result["seeds"]), **result["lines"]),
        "## What the map says",
        "\n".join(f"- {line}" for line in (*answers(rows), *beta_answers(result["by_beta"]))),
        "![Median leads and gains by regime](figures/regime_map.png)",
        SETUP.format(interpolated=INTERPOLATED, tasks=tasks, **words, **counts),
        "## Factor by factor",
        factor_table(rows),
        "## The regimes that matter most",
        regime_table(rows),
        "## Which way the values err",
        bias_table(rows),
        "## Where the line leads in rank",
        best_table(rows),
        "## Ranking by -beta_eff itself",
        BETA.format(scratch=len(SCRATCH)).strip(),
        "![Ranking by -beta_eff](figures/regime_beta.png)",
        beta_table(result["by_beta"]),
        "## What the runs are like",
        described_table(result["described"]),
        LIMITS.format(cells=len(rows), early=EARLY).strip(),
    ]
    return "\n\n".join(parts) + "\n"


# Counts -----------------------------------------------------------------------------------------


def counted(rows):
    """Return how many cells are ahead and behind, and the medians, in rank and in value."""
    found = {"cells": len(rows)}
    for name in ("lead", "gain"):
        signs = [verdict(row, name) for row in rows]
        values = [row[name] for row in rows if isfinite(row[name])]
        found[name] = float(np.median(values)) if values else np.nan
        found[f"{name}_ahead"], found[f"{name}_behind"] = signs.count(1), signs.count(-1)
    return found


def level(name, value):
    """Return a factor's level in words."""
    return str(LEVELS.get(name, {}).get(value, value))


def levels(rows, name):
    """Return a factor's levels in the order of the rows."""
    return list(dict.fromkeys(row[name] for row in rows))


def on_all_tasks(rows, name, sign):
    """Return the configurations in which every task has the same verdict, as tuples of levels."""
    others = [factor for factor in FACTORS if factor != "task"]
    found = {}
    for row in rows:
        found.setdefault(tuple(row[f] for f in others), []).append(verdict(row, name))
    return [key for key, signs in found.items() if set(signs) == {sign}], len(found)


# Sentences --------------------------------------------------------------------------------------


def answers(rows):
    """Return what the cells say of the line, one sentence or two each."""
    all_of = counted(rows)
    n, tasks = all_of["cells"], len(levels(rows, "task"))
    lines = []
    for name, words, unit in (("lead", "rank", "lead"), ("gain", "value", "gain")):
        ahead, behind = all_of[f"{name}_ahead"], all_of[f"{name}_behind"]
        same, configurations = on_all_tasks(rows, name, 1)
        lines.append(
            f"**In {words}** the line is ahead of the last value in {ahead} of {n} cells "
            f"({ahead / n:.1%}), behind in {behind} ({behind / n:.1%}), not told apart in the "
            f"rest; median {unit} {all_of[name]:+.3f}."
            + f" It is ahead on all {tasks} tasks at once in {len(same)} of {configurations} "
            f"configurations{_common(same)}." * (tasks > 1)
        )
        lines.append(f"{words.capitalize()}, {_extremes(rows, name)}.")
    both = sum(verdict(r, "lead") == 1 and verdict(r, "gain") == 1 for r in rows)
    either = sum(verdict(r, "lead") == -1 and verdict(r, "gain") == 1 for r in rows)
    lines.append(
        f"Ahead in both: {both} cells. Nearer in value but behind in rank: {either} cells: a line "
        "can remove an error that all candidates share and still order them worse."
    )
    return lines


def _common(configurations):
    """Say what the configurations that are ahead on all tasks share."""
    if not configurations:
        return ""
    others = [factor for factor in FACTORS if factor != "task"]
    shared = []
    for k, name in enumerate(others):
        seen = {key[k] for key in configurations}
        if len(seen) == 1:
            shared.append(f"{NAMES[name]} {level(name, seen.pop())}")
    return f" (all of them: {', '.join(shared)})" if shared else ""


def _extremes(rows, name):
    """Say in which regime of probe, rate, end and epochs most and fewest cells are ahead."""
    regimes = list(by_regime(rows))
    best = max(regimes, key=lambda one: (one[1][f"{name}_ahead"], one[1][name]))
    worst = max(regimes, key=lambda one: (one[1][f"{name}_behind"], -one[1][name]))
    parts = []
    for word, (key, found), end in (("best", best, "ahead"), ("worst", worst, "behind")):
        parts.append(
            f"{word} regime: {_regime(key)}, {end} in {found[f'{name}_{end}']} of "
            f"{found['cells']} cells (median {found[name]:+.3f})"
        )
    return "; ".join(parts)


def _regime(key):
    """Return a regime in words."""
    probe, rate, end, K = key
    return f"{probe} probe, rate {rate:g}, {ENDS_IN_WORDS[end]}, {K} epochs seen"


def by_regime(rows):
    """Yield (probe, rate, end, observed) and its counts."""
    for key in product(PROBES, RATES, ENDS, OBSERVED):
        probe, rate, end, K = key
        chosen = those(rows, probe=probe, rate=rate, end=end, observed=K)
        if chosen:
            yield key, counted(chosen)


def beta_answers(rows):
    """Return what the rows of `regime_cells.by_beta` say."""
    most = those(rows, repeats=max(row["repeats"] for row in rows))
    trained, frozen = (those(most, probe=probe) for probe in ("trained", "frozen"))
    lines = [_against_last(trained, "trained"), _against_last(frozen, "frozen")]
    lines += [_of_pool(those(trained, pool=pool), pool) for pool in BETA_POOLS]
    return lines


def sure(rows, name, sign):
    """Return in how many rows an interval lies on one side of 0."""
    return sum(verdict(row, name) == sign for row in rows)


def _against_last(rows, probe):
    """Say how often -beta_eff ranks better or worse than last value and training loss."""
    return (
        f"**-beta_eff by itself, {probe} probe**, all seeds averaged: ahead of the last value in "
        f"{sure(rows, 'lead', 1)} of {len(rows)} rows (pool, rate, training, epochs), behind in "
        f"{sure(rows, 'lead', -1)}; ahead of the negative training loss in "
        f"{sure(rows, 'lead_loss', 1)}, behind in {sure(rows, 'lead_loss', -1)}."
    )


def _of_pool(rows, pool):
    """Say how -beta_eff ranks a pool, and whether what it says is only the width."""
    n = len(rows)

    def middle(name):
        values = [r[name] for r in rows if isfinite(r[name])]
        return float(np.median(values)) if values else np.nan

    alone, held = sure(rows, "beta", 1), sure(rows, "beta_given_width", 1)
    return (
        f"Trained probe, *{pool}* candidates: median rho {middle('beta'):.2f} (last value "
        f"{middle('last'):.2f}, -training loss {middle('loss'):.2f}, width alone "
        f"{middle('width'):.2f}), with the width held {middle('beta_given_width'):.2f}. In {n} "
        f"rows rho is surely positive in {alone}, with the width held in {held}: "
        f"{_only_width(n, held, middle('beta'), middle('beta_given_width'))}."
    )


def _only_width(n, held, rho, rest):
    """Say how much of a ranking is left with the width held, by the median correlations."""
    if held > n / 2 and rest > rho + 0.2:
        return "the width **hides** it: with the width held it ranks"
    if rho < 0.2:
        return "there is no ranking to explain"
    if rest < rho / 4:
        return "it goes with **the width**"
    sure_of = "" if held > n / 2 else ", but what is left is not sure"
    if rest < 0.75 * rho:
        return f"it goes **in part** with the width{sure_of}"
    return f"it is **not only width**: holding it takes little away{sure_of}"


# Tables -----------------------------------------------------------------------------------------

COUNTS = "cells | rank: ahead | behind | median lead | value: ahead | behind | median gain |"


def _counts(found):
    """Return the columns of `COUNTS`."""
    return (
        f"{found['cells']} | {found['lead_ahead']} | {found['lead_behind']} | {found['lead']:+.3f} "
        f"| {found['gain_ahead']} | {found['gain_behind']} | {found['gain']:+.3f} |"
    )


def factor_table(rows):
    """Return counts by each factor's levels."""
    lines = [f"| factor | level | {COUNTS}", "|---|---|" + "---:|" * 7]
    for name in FACTORS:
        for value in levels(rows, name):
            found = counted(those(rows, **{name: value}))
            lines.append(f"| {NAMES[name]} | {level(name, value)} | {_counts(found)}")
    lines.append(f"| all |  | {_counts(counted(rows))}")
    return "\n".join(lines)


def regime_table(rows):
    """Return counts by probe, rate, end and epochs seen."""
    lines = [
        f"| probe | rate | training | epochs seen | {COUNTS}",
        "|---|---|---|---:|" + "---:|" * 7,
    ]
    for (probe, rate, end, K), found in by_regime(rows):
        lines.append(f"| {probe} | {rate:g} | {ENDS_IN_WORDS[end]} | {K} | {_counts(found)}")
    return "\n".join(lines)


def bias_table(rows):
    """Return mean signed errors by task and epochs seen."""
    lines = [
        "Mean of the prediction minus the final test accuracy, clipped predictions, all cells.",
        "",
        "| task | epochs seen | line | last value |",
        "|---|---:|---:|---:|",
    ]
    for task, K in product(levels(rows, "task"), OBSERVED):
        chosen = those(rows, task=task, observed=K)
        line, last = (np.mean([r[f"bias_{name}"] for r in chosen]) for name in ("line", "last"))
        lines.append(f"| {task} | {K} | {line:+.3f} | {last:+.3f} |")
    return "\n".join(lines)


def best_table(rows):
    """Return the cells whose lead is surest, or a sentence."""
    ahead = sorted((r for r in rows if verdict(r, "lead") == 1), key=lambda r: -r["lead_low"])
    if not ahead:
        return "Nowhere: in no cell does the interval of the lead lie above 0."
    columns = " | ".join(NAMES[name] for name in FACTORS)
    lines = [
        f"The {min(SHOWN, len(ahead))} surest of {len(ahead)} cells.",
        "",
        f"| {columns} | rho, line | rho, last | lead |",
        "|" + "---|" * len(FACTORS) + "---:|---:|---|",
    ]
    for row in ahead[:SHOWN]:
        shown = " | ".join(level(name, row[name]) for name in FACTORS)
        lines.append(
            f"| {shown} | {row['rho_line']:.2f} | {row['rho_last']:.2f} "
            f"| {with_interval(row, 'lead')} |"
        )
    return "\n".join(lines)


BETA = """
Rank correlation of -beta_eff after K epochs with the final test accuracy, mean over the
tasks, curves averaged over all seeds; beside it the last value on all validation samples, the
negative training loss of the same epoch, and the width of the features (the layer below the probe)
by itself. *Width held* and *both held* are partial rank correlations given the logarithm of that
width, and given it and that of the number of the backbone's parameters: what -beta_eff says beyond
them. A dash: one determines the other. *all* are the candidates of the three pools together;
*scratch* are the {scratch} among them that begin with He's random weights, so that nothing but
widths and depths differs.
"""


def beta_table(rows):
    """Return the ranking by -beta_eff after the most epochs, all seeds averaged."""
    lines = [
        "| candidates | probe | rate | training | -beta_eff | last value | lead | -loss "
        "| width alone | width held | both held |",
        "|---|---|---|---|---|---:|---|---:|---:|---|---|",
    ]
    repeats = max(row["repeats"] for row in rows)
    for row in those(rows, observed=max(OBSERVED), repeats=repeats):
        lines.append(
            f"| {row['pool']} | {row['probe']} | {row['rate']:g} | {ENDS_IN_WORDS[row['end']]} "
            f"| {with_interval(row, 'beta')} | {row['last']:.2f} | {with_interval(row, 'lead')} "
            f"| {row['loss']:.2f} | {row['width']:.2f} | {with_interval(row, 'beta_given_width')} "
            f"| {with_interval(row, 'beta_given_both')} |"
        )
    return "\n".join(lines)


def described_table(rows):
    """Return how far training goes."""
    lines = [
        "Medians over candidates and seeds of beta_eff, means of accuracies; the spread is the "
        "standard deviation among candidates of the mean final test accuracy.",
        "",
        "| task | probe | rate | interpolate | epochs | beta_eff, epoch 1 | 10 | end | validation, "
        "epoch 10 | test, early | test, end | spread close | wide | unrelated |",
        "|---|---|---|" + "---:|" * 11,
    ]
    for r in rows:
        lines.append(
            f"| {r['task']} | {r['probe']} | {r['rate']:g} | {r['interpolated']:.0%} "
            f"| {r['epochs']:.0f} | {r['beta_first']:.2f} | {r['beta_tenth']:.2f} "
            f"| {r['beta_end']:.3f} | {r['accuracy_tenth']:.2f} | {r['test_early']:.2f} "
            f"| {r['test_late']:.2f} | {r['spread_close']:.3f} | {r['spread_wide']:.3f} "
            f"| {r['spread_unrelated']:.3f} |"
        )
    return "\n".join(lines)


LIMITS = """
## What it does not say

The {cells} cells share runs and are far from independent: a count of cells is a description, not a
test. Perceptrons on tiny images are no convolutional networks with weights of ImageNet; a probe on
few features is narrow; ranks of eight or ten candidates are coarse. Learning rates differ fivefold
and not more. Lag is added to the accuracies, not to the networks. Where a run interpolates within
{early} epochs, both ends are the same.
"""
