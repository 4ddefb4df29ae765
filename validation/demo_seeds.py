"""How good is the candidate that the demo names, ten times with other seeds.

For each of ten starting seeds, 100 apart, the demo as it stands (three seeds, 15 candidates): how
far is the final test accuracy of the candidate that is named below the best one's, by the rule that
chooses, by the paper's rule, and by the race? How often do the forecasts' intervals hold? Writes
``demo_seeds.png`` and ``results/demo_seeds.json``. Run from the project's root, five minutes on a
core: ``python -m validation.demo_seeds``
"""

from pathlib import Path

import numpy as np

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.report.figures import saved_figure
from edgedyn.report.figures.style import COLOURS, MARKERS
from edgedyn.studies import run_demo
from edgedyn.studies.demo import N_VALIDATION, OBSERVED
from edgedyn.studies.early import early_ranking

HERE = Path(__file__).parent
SEEDS = tuple(range(0, 1000, 100))
NEAR = 0.03
LABELS = {"chosen": "last value (chooses)", "capacitance": "the paper's rule", "race": "race"}


def one(seed):
    """Return what each way of choosing loses, and how often forecasts hold."""
    demo = run_demo(seed=seed)
    final = {}
    for r in demo.records:
        final.setdefault(r.model, []).append(r.final_test_accuracy)
    truth = {model: float(np.mean(values)) for model, values in final.items()}
    best = max(truth.values())
    paper = early_ranking(demo.records, ["capacitance"], OBSERVED, N_VALIDATION, n_bootstrap=1)
    named = {
        "chosen": demo.chosen[0],
        "capacitance": paper.best("capacitance")[0],
        "race": demo.race.order[0],
    }
    ends = [(f.low_68, f.high_68, f.low_95, f.high_95, truth[m])
            for m, f in demo.forecasts.items()]  # fmt: skip
    return {
        "seed": seed,
        "named": named,
        "regret": {name: best - truth[model] for name, model in named.items()},
        "spread": best - min(truth.values()),
        "inside_68": float(np.mean([a <= t <= b for a, b, _, _, t in ends])),
        "inside_95": float(np.mean([a <= t <= b for _, _, a, b, t in ends])),
        "race_epochs": demo.race.epochs,
    }


def sentence(rows):
    """Say how often the candidate named is near the best."""
    near = {name: sum(r["regret"][name] <= NEAR for r in rows) for name in LABELS}
    inside = [np.mean([r[f"inside_{p}"] for r in rows]) for p in (68, 95)]
    return (
        f"In {near['chosen']} of {len(rows)} runs the demo names a candidate within {NEAR} of the "
        f"best final test accuracy (by the paper's rule in {near['capacitance']}, by the race in "
        f"{near['race']}); its 68 % intervals hold for {inside[0]:.0%}, its 95 % intervals for "
        f"{inside[1]:.0%} of the candidates."
    )


def figure(rows, path):
    """Draw the regrets, run by run."""
    with saved_figure(path, width=6.5, height=4) as (_, (ax,)):
        at = np.arange(len(rows))
        for k, (name, label) in enumerate(LABELS.items()):
            values = [r["regret"][name] for r in rows]
            ax.plot(at + 0.12 * (k - 1), values, MARKERS[k], color=COLOURS[k], label=label)
        ax.axhline(NEAR, color="0.6", linewidth=0.8, linestyle="--")
        ax.set(xlabel="starting seed", ylabel="below the best final test accuracy")
        ax.set_xticks(at, [r["seed"] for r in rows])
        ax.set_ylim(bottom=-0.002)
        ax.legend(loc="upper left", bbox_to_anchor=(0, 1.16), ncols=3, frameon=False)


def main():
    """Run, write, print."""
    rows = [one(seed) for seed in SEEDS]
    found = {"rows": rows, "sentence": sentence(rows), "environment": environment()}
    write_text(HERE / "results" / "demo_seeds.json", to_json(found))
    figure(rows, HERE / "demo_seeds.png")
    print(sentence(rows))


if __name__ == "__main__":
    main()
