"""Why the rules do or do not beat the last value: each explanation tested, none guessed.

All tests read the records' curves; nothing is trained. `ablation_tables` writes what they find.
"""

from math import nan

import numpy as np

from edgedyn.predict import lines
from edgedyn.predict.rank_quality import spearman
from papers.jiang2024.judging.evidence import interval, judge
from papers.jiang2024.judging.rules import applied, by_choice, falling, line, mean_curves, pooled

SHUFFLES = 200
# Regressors that could tell how much accuracy is still to come; accuracy's own rise beside them.
HINTS = (
    "beta_eff",
    "beta_absolute",
    "beta_all_nodes",
    "train_loss",
    "train_error",
    "mean_error",
    "gradient",
    "feature_norm",
)


def explain(found, observed, rng):
    """Return all tests on one task's evidence.

    Parameters
    ----------
    found : evidence.Evidence
    observed : int
        Epochs that the rules see.
    rng : numpy.random.Generator
    """
    curves = mean_curves(found)
    whole = curves[tuple(found.seeds)]
    early = {choice: c.first(observed) for choice, c in curves.items()}
    ends = {choice: c.measures["beta_eff"][:, -1] for choice, c in curves.items()}
    return {
        "fall": fall(found.models, whole, observed),
        "errors": errors(whole.first(observed)),
        "falling": wrong_way(early, found.seeds, rng),
        "distance": distance(early, found.seeds, rng),
        "oracle": oracle(early, ends, found.seeds, rng),
        "shuffled": shuffled(whole.first(observed), rng, SHUFFLES),
        "gain": {name: gain(early, name, found.seeds, rng) for name in _hints(whole)},
    }


def _hints(whole):
    """Return the hints that were measured, and the accuracy itself."""
    return [name for name in HINTS if name in whole.measures] + ["accuracy"]


def fall(models, whole, observed):
    """Return where beta_eff is after the observed epochs and at the end, by candidate.

    Theorem 1 has it go to 0 as the errors do; the line is read off there.
    """
    beta = whole.measures["beta_eff"]
    found = {
        "observed_to_first": beta[:, observed - 1] / beta[:, 0],
        "last_to_first": beta[:, -1] / beta[:, 0],
        "last_to_observed": beta[:, -1] / beta[:, observed - 1],
        "epoch_of_least": 1.0 + np.where(np.isnan(beta), np.inf, beta).argmin(axis=1),
    }
    for name in ("train_loss", "train_error", "mean_error"):
        if name in whole.measures:
            found[f"last_{name}"] = whole.measures[name][:, -1]
    return {
        "models": list(models),
        **{name: values.tolist() for name, values in found.items()},
        "medians": {name: float(np.nanmedian(values)) for name, values in found.items()},
    }


def scale(found, by):
    """Return how much of beta_eff's course within runs the courses of other measures explain.

    The share of the variance of log beta_eff, each run around its own mean, that a linear function
    of the others' logarithms takes away; nan where they were not measured.

    Parameters
    ----------
    found : evidence.Evidence
    by : sequence of str
    """
    logs = []
    for run in found.records:
        rows = [(e.beta_eff, *(e.measures.get(name, nan) for name in by)) for e in run.epochs]
        rows = np.array([row for row in rows if all(v > 0 for v in row)])  # others have no log
        if len(rows) > 1:
            logs.append(np.log(rows) - np.log(rows).mean(axis=0))
    if not logs:
        return nan
    y, x = (both := np.concatenate(logs))[:, 0], both[:, 1:]
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(1 - (rest @ rest) / (y @ y))


def errors(early):
    """Return how far predictions are from the truth, and which way the lines lean."""
    beta, accuracy = early.measures["beta_eff"], early.accuracy
    predicted = {
        "line": line(beta, accuracy, early.n_validation),
        "pooled": pooled(beta, accuracy),
        "last_value": accuracy[:, -1],
    }
    slopes = lines.fit(beta, accuracy, early.n_validation).slope
    return {
        "mean_absolute": {k: float(np.nanmean(abs(p - early.truth))) for k, p in predicted.items()},
        "mean": {k: float(np.nanmean(p - early.truth)) for k, p in predicted.items()},
        # Accuracy that rises while beta_eff falls: what the theory expects.
        "falling_slopes": int((slopes < 0).sum()),
        "n_models": len(slopes),
    }


def distance(early, seeds, rng):
    """Return the rank correlation of how far the line reaches with how wrong it is.

    The reach is the last beta_eff in units of the range observed.
    """
    found = {}
    for choice, c in early.items():
        beta = c.measures["beta_eff"]
        wrong = abs(line(beta, c.accuracy, c.n_validation) - c.truth)
        found[choice] = np.column_stack([beta[:, -1] / np.ptp(beta, axis=1), wrong])
    return _correlation(found, seeds, rng)


def _correlation(found, seeds, rng):
    """Return Spearman's rho of two quantities, with its interval."""
    judged = judge(found, found, seeds, rng)
    return {name: judged[name] for name in ("rho", "rho_low", "rho_high", "n_models")}


def wrong_way(early, seeds, rng):
    """Return how the line does with the last value in place of lines that slope the wrong way."""
    last = by_choice(early, lambda c: c.accuracy[:, -1])
    mine, lines_alone = (by_choice(early, applied(rule)) for rule in (falling, line))
    over_line = judge(mine, lines_alone, seeds, rng)
    return {**judge(mine, last, seeds, rng), "over_line": over_line}


def oracle(early, ends, seeds, rng):
    """Return how the rules do that know where beta_eff will end, and read off there, not at 0."""
    last = by_choice(early, lambda c: c.accuracy[:, -1])
    found = {}
    for name, rule in (("line", line), ("pooled", pooled)):
        mine, at_zero = {}, {}
        for choice, c in early.items():
            points = c.measures["beta_eff"], c.accuracy, c.n_validation
            mine[choice] = np.column_stack([rule(*points, ends[choice]), c.truth])
            at_zero[choice] = np.column_stack([rule(*points), c.truth])
        over_zero = judge(mine, at_zero, seeds, rng)
        found[name] = {**judge(mine, last, seeds, rng), "over_zero": over_zero}
    return found


def shuffled(early, rng, shuffles):
    """Return rho where every candidate's accuracies meet another one's beta_eff.

    ``at_least`` is the share of shuffles that do as well as the candidates' own beta_eff: small if
    it carries something of its candidate.
    """
    beta, accuracy, truth = early.measures["beta_eff"], early.accuracy, early.truth
    n = len(beta)
    # Lines of all pairs once: a shuffle only picks among them.
    turned = [np.roll(beta, -k, axis=0) for k in range(n)]
    pairs = np.array([line(other, accuracy, early.n_validation) for other in turned])
    found = {"line": [], "pooled": []}
    for _ in range(shuffles):
        order = _derangement(n, rng)
        lines = pairs[(order - np.arange(n)) % n, np.arange(n)]
        found["line"].append(spearman(lines, truth))
        found["pooled"].append(spearman(pooled(beta[order], accuracy), truth))
    own = {
        "line": spearman(pairs[0], truth),
        "pooled": spearman(pooled(beta, accuracy), truth),
    }
    result = {}
    for name, values in found.items():
        low, high = interval(values)
        result[name] = {
            "own": own[name],
            "mean": float(np.mean(values)),
            "low": low,
            "high": high,
            "at_least": float(np.mean(np.array(values) >= own[name])),
        }
    return result


def _derangement(n, rng):
    """Return a random permutation that leaves nothing in its place."""
    if n < 2:
        raise ValueError(f"a shuffle needs at least 2 candidates; got {n}.")
    while True:
        order = rng.permutation(n)
        if (order != np.arange(n)).all():
            return order


def gain(early, name, seeds, rng):
    """Return the rank correlation of a measure with the accuracy that is still to come.

    The truth minus the last value is all a rule can add to the last value. ``relative``: the last
    observed value over the first; ``level``: itself. The accuracy's own rise is the control.
    """
    kinds = {"level": {}, "relative": {}}
    for choice, c in early.items():
        rest = c.truth - c.accuracy[:, -1]
        if name == "accuracy":
            values = {"level": c.accuracy[:, -1], "relative": c.accuracy[:, -1] - c.accuracy[:, 0]}
        else:
            x = c.measures[name]
            values = {"level": x[:, -1], "relative": x[:, -1] / x[:, 0]}
        for kind, value in values.items():
            kinds[kind][choice] = np.column_stack([value, rest])
    return {kind: _correlation(found, seeds, rng) for kind, found in kinds.items()}
