"""What a race costs and what its choice loses, replayed over committed records.

Every committed study whose candidates were all trained to the end is replayed seed by seed: which
candidate would have been chosen, how many epochs would have been spent, and how far is its final
test accuracy below the best one's (regret)? Policies:

- race: `edgedyn.studies.race`, rungs 1, 2, 4, 8, 16, reduction 2, candidates in the order of their
  last value; plain halving, and, where records keep which validation samples were right, with all
  going on that cannot be told apart at 90 %, with a budget of four fifths of "five epochs for all";
- k epochs for all, then the best of them to the end, for k = 1, 3, 5, 10;
- all to the end, chosen by the last validation accuracy;
- a candidate drawn at random, trained to the end.

Means over seeds and studies; intervals are a bootstrap over seeds, study by study: candidates stay
as they are, a race is of these. Writes ``race.md``, ``race.png``,
``results/race.json`` and its sentences in ``docs/claims/verdicts.md`` and the README. Run from the
project's root, half a minute:
``python -m validation.race``
"""

from pathlib import Path

import numpy as np

import edgedyn as ed
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.studies.halving import cost, schedule
from edgedyn.studies.race import replay
from papers.jiang2024.judging import headline

HERE = Path(__file__).parent
RECORDS = HERE.parent / "papers" / "jiang2024" / "records"
WEAK = ("cifar100-a", "cifar100-b", "fashion-mnist")
CLOSE = ("close-cifar10", "close-cifar100-a", "close-fashion-mnist")
RUNGS, REDUCTIONS, FIXED = (1, 2, 4, 8, 16), (2.0, 3.0), (1, 3, 5, 10)
CONFIDENCE, SHARE = 0.9, 0.8
MARKERS = "osD^vP*X<>"
YARDSTICK = "5 epochs for all"
FEWEST, DRAWS, SEED = 5, 2000, 0


def seeds_of(study):
    """Return the runs of each seed that has all candidates, by seed then by candidate."""
    done = [r for r in ed.load_records(RECORDS / study) if r.status == "completed"]
    by = {}
    for r in done:
        by.setdefault(r.seed, {})[r.model] = r
    most = max((len(runs) for runs in by.values()), default=0)
    return {s: runs for s, runs in sorted(by.items()) if len(runs) == most >= FEWEST}


def studies():
    """Return the runs of all studies that can be replayed, in the records' order."""
    names = [p.name for p in sorted(RECORDS.iterdir()) if not p.name.startswith("ablation")]
    # Sizes were not trained to the end; cells of the search space have five epochs.
    found = {n: seeds_of(n) for n in names if not n.endswith("-sizes") and n != "nas"}
    return {n: runs for n, runs in found.items() if runs}


def after(runs, k):
    """Return the best after k epochs, and the epochs with its training to the end."""
    epochs = len(next(iter(runs.values())).epochs)
    best = max(runs, key=lambda m: runs[m].epochs[k - 1].val_accuracy)
    return best, len(runs) * k + (epochs - k)


def policies(runs):
    """Return the choice and cost of every policy on one seed; a random one has no choice."""
    epochs = len(next(iter(runs.values())).epochs)
    records = list(runs.values())
    found = {f"race, reduction {r:g}": _first(replay(records, RUNGS, r)) for r in REDUCTIONS}
    if all(e.val_correct for r in runs.values() for e in r.epochs):
        _, five = after(runs, 5)
        least = cost(schedule(len(runs), RUNGS, epochs, 2.0))
        budget = max(least, int(SHARE * five))
        paired = replay(records, RUNGS, confidence=CONFIDENCE, budget=budget)
        found["race, reduction 2, pairs"] = _first(paired)
    found |= {f"{k} epoch{'s' * (k > 1)} for all": after(runs, k) for k in FIXED}
    found["all to the end"] = (after(runs, epochs)[0], len(runs) * epochs)
    found["at random"] = (None, epochs)
    return found


def _first(raced):
    """Return the choice of a race and the epochs it took."""
    return raced.order[0], raced.epochs


def measured(runs):
    """Return regret and epochs of every policy on one seed."""
    truth = {m: r.final_test_accuracy for m, r in runs.items()}
    best, mean = max(truth.values()), float(np.mean(list(truth.values())))
    return {
        name: (best - (mean if choice is None else truth[choice]), spent)
        for name, (choice, spent) in policies(runs).items()
    }


def summary(found, names):
    """Return each policy's mean regret with its interval, and its epochs, over some studies."""
    rng = np.random.default_rng(SEED)
    drawn = {n: rng.integers(0, len(found[n]), (DRAWS, len(found[n]))) for n in names}
    rows = []
    shared = [p for p in found[names[0]][0] if all(p in one for n in names for one in found[n])]
    for policy in shared:
        values = {n: np.array([one[policy] for one in found[n]]) for n in names}
        mean = np.mean([v.mean(axis=0) for v in values.values()], axis=0)
        draws = np.mean([values[n][drawn[n], 0].mean(axis=1) for n in names], axis=0)
        low, high = np.quantile(draws, [0.025, 0.975])
        rows.append({"policy": policy, "regret": float(mean[0]), "low": float(low),
                     "high": float(high), "epochs": float(mean[1])})  # fmt: skip
    return rows


def run():
    """Replay everything."""
    found = {n: [measured(r) for r in runs.values()] for n, runs in studies().items()}
    close = [n for n in CLOSE if n in found]
    groups = {"weak candidates, three tasks": list(WEAK), "close zoo, identity probe": close,
              "all studies": list(found)}  # fmt: skip
    return {
        "groups": {g: {"studies": names, "rows": summary(found, names)}
                   for g, names in groups.items()},
        "by_study": {n: {"seeds": len(found[n]), "rows": summary(found, [n])} for n in found},
    }  # fmt: skip


def verdict(result):
    """Say whether the race pays, on the three tasks."""
    rows = {r["policy"]: r for r in result["groups"]["weak candidates, three tasks"]["rows"]}
    race, five = rows["race, reduction 2"], rows[YARDSTICK]
    share = race["epochs"] / five["epochs"]
    word = "not above" if race["regret"] <= five["regret"] + 1e-12 else "above"
    return (
        f"On the three tasks with 17 candidates the race costs {race['epochs']:.0f} epochs, "
        f"{share:.0%} of five epochs for all ({five['epochs']:.0f}), and its regret of "
        f"{race['regret']:.4f} is {word} that of {five['regret']:.4f}."
    )


def headline_of(result):
    """Return the sentence of the page of verdicts."""
    return f"**A race.** {verdict(result)} Every policy: [race.md](../../validation/race.md)."


def table(rows):
    """Return rows as Markdown."""
    lines = ["| policy | epochs | regret |", "|---|---:|---:|"]
    for r in rows:
        ends = f"({r['low']:.4f} .. {r['high']:.4f})"
        lines.append(f"| {r['policy']} | {r['epochs']:.0f} | {r['regret']:.4f} {ends} |")
    return "\n".join(lines)


def page(result):
    """Return race.md."""
    parts = [
        "# What a race costs, and what its choice loses",
        "Made by `python -m validation.race` from committed records; what is done stands at its "
        f"head. {verdict(result)}",
        "![Epochs against regret](race.png)",
    ]
    for name, group in result["groups"].items():
        parts += [f"## {name}", table(group["rows"])]
    parts.append("## Study by study")
    for name, one in result["by_study"].items():
        parts += [f"### {name}, seeds: {one['seeds']}", table(one["rows"])]
    return "\n\n".join(parts) + "\n"


def figure(result, path):
    """Draw epochs against regret, a panel a group."""
    from edgedyn.report.figures import saved_figure
    from edgedyn.report.figures.style import COLOURS

    groups = list(result["groups"].items())[:2]
    with saved_figure(path, len(groups), width=11, height=4.6) as (_, axes):
        for ax, (name, group) in zip(axes, groups, strict=True):
            for r, marker in zip(group["rows"], MARKERS, strict=False):
                colour = COLOURS[0 if r["policy"].startswith("race") else 1]
                ends = [[r["regret"] - r["low"]], [r["high"] - r["regret"]]]
                words = r["policy"].replace("epochs for all", "for all")
                ax.errorbar(r["epochs"], r["regret"], yerr=ends, fmt=marker, color=colour,
                            capsize=2, label=words)  # fmt: skip
            ax.legend(fontsize=8)
            ax.set(xscale="log", title=name, xlim=(15, 900), ylim=(-0.001, 0.4))
            ax.set(xlabel="epochs of all candidates, one seed", ylabel="regret, test accuracy")
            ax.set_yscale("symlog", linthresh=0.01)
            for axis, ticks in ((ax.xaxis, (20, 50, 100, 200, 500)),
                                (ax.yaxis, (0, 0.005, 0.01, 0.03, 0.1, 0.3))):  # fmt: skip
                axis.set_ticks(ticks, [f"{t:g}" for t in ticks])
                axis.set_ticks([], minor=True)


def main():
    """Run, write, print."""
    result = run()
    found = {**result, "environment": environment(), "seed": SEED}
    write_text(HERE / "results" / "race.json", to_json(found))
    write_text(HERE / "race.md", page(result))
    figure(result, HERE / "race.png")
    headline.put("race", headline_of(result))
    headline.put_text(headline.README, "race", headline.filled(verdict(result)))
    print(verdict(result))


if __name__ == "__main__":
    main()
