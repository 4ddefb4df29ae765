"""Which rule beside the paper's: variants compared on some tasks, the chosen one judged on others.

A task: a permutation of the digits' classes makes five of them the source and five the target; the
demo's 15 perceptrons, pre-trained for long, briefly or not at all, are fine-tuned for 40 epochs,
two seeds each. Variants are compared on tasks 1-6; the rule that was chosen there is judged, beside
the paper's rule and the last value, on tasks 7-14, which played no part in the choice. rho is
Spearman's against the final test accuracy, mean over tasks and seeds with its standard error; mae
the mean absolute error of the clipped predictions. Run: ``python validation/better_rule.py``
(five minutes on two cores).
"""

from math import sqrt
from pathlib import Path

import numpy as np

import edgedyn as ed
from edgedyn import _data
from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.predict import PooledCapacitanceRegressor
from edgedyn.predict.rank_quality import spearman
from edgedyn.studies import demo

CHOICE, REPORT = range(1, 7), range(7, 15)
SEEDS, OBSERVED = 2, (3, 5, 10, 20)
CHOSEN = "pooled slope, unit recent mean, from the last value"


def records(task):
    """Run all candidates of a task; return one list of records a seed."""
    X, y = _data.digits()
    y = np.random.default_rng(task).permutation(10)[y]
    found = []
    for seed in range(SEEDS):
        split = demo._target_task(X, y, seed)
        runs = []
        for widths in demo.WIDTHS:
            for name, epochs in demo.PRETRAINING.items():
                backbone = demo._pretrained(X[y < 5], y[y < 5], widths, epochs, seed)
                model = f"{'-'.join(map(str, widths))} {name}"
                runs.append(demo._trial(model, backbone, split, demo.EPOCHS, seed))
        found.append(runs)
    return found


def paper(beta, accuracy, t0):
    """Fit the paper's line, read off at 0."""
    line = ed.NeuralCapacitanceRegressor(t0=t0, n_validation=demo.N_VALIDATION)
    return line.fit(beta[:, None], accuracy)


def alone(beta, accuracy, every=True):
    """Return the rules that look at one candidate; all variants of them or the basic ones."""
    line, last = paper(beta, accuracy, "bic"), accuracy[-1]
    found = {"last value": last, "paper's line": line.final_}
    if not every:
        return found
    found["paper's line, all points"] = paper(beta, accuracy, 1).final_
    found["mean of line and last value"] = (line.final_ + last) / 2
    for tau in (0.02, 0.05, 0.1, 0.2):
        std = min(line.final_std_, 1e6)
        weight = tau**2 / (tau**2 + std**2)
        found[f"line shrunk to the last value, tau {tau}"] = last + weight * (line.final_ - last)
    n = demo.N_VALIDATION
    logit = np.log((accuracy * n + 0.5) / (n - accuracy * n + 0.5))
    found["line on the logit scale"] = 1 / (1 + np.exp(-paper(beta, logit, 1).final_))
    return found


UNITS = {
    "first": lambda b: b[0],
    "mean": lambda b: b.mean(),
    "largest": lambda b: b.max(),
    "recent mean": lambda b: b[-3:].mean(),
}


def together(betas, accuracies):
    """Return the rules that share a slope among candidates."""
    found = {}
    for word, unit in UNITS.items():
        z = [b / unit(b) for b in betas]
        sxx, sxy, syy = moments(z, accuracies)
        slope = sxy.sum() / sxx.sum()
        slopes = hierarchical(sxx, sxy, syy, len(betas[0]))
        for name, s in (("pooled", np.full(len(z), slope)), ("hierarchical", slopes)):
            rows = list(zip(z, accuracies, s, strict=True))
            word_of = f"{name} slope, unit {word}, from the"
            found[f"{word_of} last value"] = [a[-1] - c * b[-1] for b, a, c in rows]
            found[f"{word_of} mean"] = [a.mean() - c * b.mean() for b, a, c in rows]
            found[f"{word_of} last value, half"] = [a[-1] - c * b[-1] / 2 for b, a, c in rows]
    return found


def moments(z, accuracies):
    """Return sums of squares and products within candidates."""
    dz = [v - v.mean() for v in z]
    da = [v - v.mean() for v in accuracies]
    return (
        np.array([v @ v for v in dz]),
        np.array([v @ w for v, w in zip(dz, da, strict=True)]),
        np.array([w @ w for w in da]),
    )


def hierarchical(sxx, sxy, syy, n):
    """Slopes drawn from a normal distribution, by 50 rounds of expectation maximisation."""
    mean, spread = sxy.sum() / sxx.sum(), 1.0
    noise = max((syy.sum() - mean * sxy.sum()) / (len(sxx) * (n - 1)), 1e-8)
    for _ in range(50):
        v = 1 / (sxx / noise + 1 / spread)
        slopes = v * (sxy / noise + mean / spread)
        mean = slopes.mean()
        spread = max(((slopes - mean) ** 2 + v).mean(), 1e-10)
        rest = syy - 2 * slopes * sxy + (slopes**2 + v) * sxx
        noise = max(rest.sum() / (len(sxx) * (n - 1)), 1e-10)
    return slopes


def compare(groups, observed, only=None):
    """Return rho, its standard error and the mean absolute error of every rule."""
    scores = {}
    for runs in groups:
        betas = [np.array([e.beta_eff for e in r.epochs[:observed]]) for r in runs]
        accuracies = [np.array([e.val_accuracy for e in r.epochs[:observed]]) for r in runs]
        truth = np.array([r.final_test_accuracy for r in runs])
        rows = [alone(b, a, only is None) for b, a in zip(betas, accuracies, strict=True)]
        values = {name: [row[name] for row in rows] for name in rows[0]}
        values.update(together(betas, accuracies))
        for name, predicted in values.items():
            if only is None or name in only:
                p = np.array(predicted)
                error = np.abs(np.clip(p, 0, 1) - truth).mean()
                scores.setdefault(name, []).append((spearman(p, truth), error))
    return {
        name: {
            "rho": float(np.mean([r for r, _ in found])),
            "rho_stderr": float(np.std([r for r, _ in found], ddof=1) / sqrt(len(found))),
            "mae": float(np.mean([e for _, e in found])),
        }
        for name, found in scores.items()
    }


def paired(groups, observed):
    """Return the chosen rule's mean lead over last value and paper, with standard errors."""
    leads = {"last value": [], "paper's line": []}
    inside = []
    for runs in groups:
        betas, values, names = [], [], []
        for k, run in enumerate(runs):
            b, a = run.observed(observed)
            betas += b
            values += a
            names += [k] * len(b)
        rule = PooledCapacitanceRegressor().fit(np.array(betas)[:, None], values, groups=names)
        truth = np.array([r.final_test_accuracy for r in runs])
        inside += (np.abs(rule.final_ - truth) < rule.final_std_).tolist()
        ours = spearman(rule.final_, truth)
        rows = [alone(*map(np.array, run.observed(observed)), every=False) for run in runs]
        for name, found in leads.items():
            found.append(ours - spearman([row[name] for row in rows], truth))
    result = {
        name: {"lead": float(np.mean(v)), "stderr": float(np.std(v, ddof=1) / sqrt(len(v)))}
        for name, v in leads.items()
    }
    return {**result, "truth_within_one_std": float(np.mean(inside))}


def main():
    """Compare on some tasks, judge on others, write the results."""
    choice = [runs for task in CHOICE for runs in records(task)]
    report = [runs for task in REPORT for runs in records(task)]
    results = {"chosen": CHOSEN, "choice": {}, "report": {}, "paired": {}}
    only = {"last value", "paper's line", CHOSEN}
    for k in OBSERVED:
        results["choice"][k] = compare(choice, k)
        results["report"][k] = compare(report, k, only)
        results["paired"][k] = paired(report, k)
        best = max(results["choice"][k].items(), key=lambda item: item[1]["rho"])
        print(f"{k} epochs; best of the choice: {best[0]} ({best[1]['rho']:.3f})", flush=True)
        for name, r in results["report"][k].items():
            print(f"  {name:52s} rho {r['rho']:.3f} +- {r['rho_stderr']:.3f}  mae {r['mae']:.3f}")
        print(f"  {results['paired'][k]}")
    path = Path(__file__).parent / "results" / "better_rule.json"
    settings = {"choice": list(CHOICE), "report": list(REPORT), "seeds": SEEDS}
    write_text(path, to_json({"environment": environment(), "tasks": settings, **results}))


if __name__ == "__main__":
    main()
