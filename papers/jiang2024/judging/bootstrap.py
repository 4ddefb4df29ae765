"""Bootstrap intervals of rho over candidates and seeds, paired between methods and over tasks.

A draw takes candidates and, apart from them, seeds with replacement; all methods see the same
draws, so that differences are paired. Candidates are the same in all tasks and drawn once for all
of them; seeds are drawn task by task. The first draw is the data as they are.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb, isfinite, nan

import numpy as np

from edgedyn.predict.bootstrap import LEVEL as LEVEL
from edgedyn.predict.bootstrap import interval, weighted_rho

DRAWS, SEED = 2000, 0
CHOICES = 500  # of seeds, for each of which everything is predicted anew


# Draws ------------------------------------------------------------------------------------------


def candidates_drawn(n_models, n, rng):
    """Return how often each candidate is drawn, shape (1 + n, n_models); first, each once."""
    drawn = rng.multinomial(n_models, np.full(n_models, 1 / n_models), size=n)
    return np.vstack([np.ones(n_models, int), drawn])


def choices_of(seeds):
    """Return all ways to draw as many seeds with replacement; first, each once.

    Of many seeds (more than six) there are too many ways: `CHOICES` of them, drawn once for all.
    """
    seeds = tuple(seeds)
    if _few(seeds):
        return list(dict.fromkeys([seeds, *combinations_with_replacement(seeds, len(seeds))]))
    rng = np.random.default_rng(SEED)
    drawn = np.sort(rng.choice(seeds, size=(CHOICES - 1, len(seeds))), axis=1)
    return list(dict.fromkeys([seeds, *map(tuple, drawn.tolist())]))


def _few(seeds):
    """Tell whether all choices of seeds can be gone through."""
    return comb(2 * len(seeds) - 1, len(seeds)) <= CHOICES


def seeds_drawn(seeds, n, rng):
    """Return 1 + n choices of as many seeds, sorted; first, each once."""
    if not _few(seeds):
        whole, *known = choices_of(seeds)
        return [whole, *(known[k] for k in rng.integers(len(known), size=n))]
    drawn = np.sort(rng.choice(seeds, size=(n, len(seeds))), axis=1)
    return [tuple(seeds), *map(tuple, drawn.tolist())]


@dataclass(frozen=True)
class Draws:
    """Resamplings of the candidates and seeds of some tasks.

    Parameters
    ----------
    models : list of str
    weights : ndarray, shape (1 + n, n_models)
    choices : dict of str to list of tuple of int
        Seeds of each draw, by task.
    """

    models: list[str]
    weights: np.ndarray
    choices: dict[str, list]


def draw(found, n=DRAWS, seed=SEED):
    """Draw candidates and seeds of the evidence of some tasks."""
    rng = np.random.default_rng(seed)
    models = list(dict.fromkeys(m for one in found for m in one.models))
    weights = candidates_drawn(len(models), n, rng)
    return Draws(models, weights, {one.task: seeds_drawn(one.seeds, n, rng) for one in found})


def paired(ours, other, weights, choices):
    """Return rho of two methods in every draw, on the candidates for which both predict.

    Parameters
    ----------
    ours, other : dict of tuple to ndarray, shape (n_models, 2)
        As `evidence.predictions` gives them for one method, each with the truth that it is judged
        by. Of single runs, rho is the mean over
        the seeds drawn. If one has the mean of all seeds alone, only candidates are drawn.
    weights : ndarray, shape (1 + n, n_models)
    choices : list of tuple of int
        The first has all seeds.

    Returns
    -------
    ndarray, shape (2, 1 + n)
    """
    rows = {}
    for k, choice in enumerate(choices):
        rows.setdefault(choice, []).append(k)
    result = np.full((2, len(weights)), nan)
    for choice, at in rows.items():
        parts = []
        for key in keys_of(choice, choices[0], ours, other):
            (p, t), (q, u) = ours[key].T, other[key].T
            kept = np.isfinite(ours[key]).all(axis=1) & np.isfinite(other[key]).all(axis=1)
            w = weights[at][:, kept]
            parts.append([weighted_rho(v[kept], true[kept], w) for v, true in ((p, t), (q, u))])
        result[:, at] = np.mean(parts, axis=0)
    return result


def keys_of(choice, whole, *tables):
    """Return which entries of two methods' predictions a choice of seeds stands for."""
    for keys in ([choice], [(s,) for s in choice]):
        if all(key in table for key in keys for table in tables):
            return keys
    return [whole]


# Judgements -------------------------------------------------------------------------------------


def judge(tables, yardstick, seeds, rng, draws=DRAWS):
    """Return Spearman's rho of a method, its lead over another, and intervals of both.

    Parameters
    ----------
    tables, yardstick : dict of tuple to ndarray, shape (n_models, 2)
        As `evidence.predictions` gives them for one method.
    seeds : tuple of int
    rng : numpy.random.Generator
    draws : int

    Returns
    -------
    dict
        ``rho`` and ``lead`` with their ``_low`` and ``_high``; ``n_models``, the fewest with a
        prediction; ``status``.
    """
    n_models = len(next(iter(tables.values())))
    drawn = candidates_drawn(n_models, draws, rng), seeds_drawn(seeds, draws, rng)
    own, _ = paired(tables, tables, *drawn)
    ours, other = paired(tables, yardstick, *drawn)
    return summary({"rho": own, "lead": ours - other}, [tables])


def judge_tasks(cases, method, yardstick, drawn):
    """Return the same of the mean over tasks, and the improvement over the yardstick.

    Parameters
    ----------
    cases : sequence of (Evidence, dict)
        Of each task, and the predictions of all methods.
    method, yardstick : str
    drawn : Draws

    Returns
    -------
    dict
        As `judge`; ``improvement`` is the lead over the yardstick's rho, NaN where that is not
        positive.
    """
    own, ours, other = [], [], []
    for found, tables in cases:
        at = [drawn.models.index(m) for m in found.models]
        draws = drawn.weights[:, at], drawn.choices[found.task]
        own.append(paired(tables[method], tables[method], *draws)[0])
        for values, one in zip((ours, other), paired(tables[method], tables[yardstick], *draws),
                               strict=True):  # fmt: skip
            values.append(one)
    own, ours, other = (np.mean(values, axis=0) for values in (own, ours, other))
    lead = ours - other
    relative = np.divide(lead, other, out=np.full(len(lead), nan), where=other > 0)
    values = {"rho": own, "lead": lead, "improvement": relative}
    return summary(values, [tables[method] for _, tables in cases])


def summary(values, tables):
    """Return the values of the first draw with the intervals of the others."""
    result = {}
    for name, drawn in values.items():
        known = isfinite(drawn[0])
        result[name] = float(drawn[0])
        result[f"{name}_low"], result[f"{name}_high"] = interval(drawn[1:]) if known else (nan, nan)
    predicted = [np.isfinite(t).all(axis=1).sum() for by_seeds in tables for t in by_seeds.values()]
    result["n_models"] = int(min(predicted))
    result["status"] = "ok" if isfinite(result["rho"]) else "no prediction"
    return result


def with_interval(found, name="rho"):
    """Return ``0.71 (0.40 .. 0.88)`` of a judgement, or a dash where there is no number.

    A JSON file's null stands for NaN.
    """
    value, low, high = (found[name + end] for end in ("", "_low", "_high"))
    if value is None or not isfinite(value):
        return "-"
    sign = "+" if name in ("lead", "gain") else ""
    return f"{value:{sign}.2f} ({low:{sign}.2f} .. {high:{sign}.2f})"
