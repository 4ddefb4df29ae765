"""How well a method's predictions rank the candidates, with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from math import isfinite, nan

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedyn.predict.bootstrap import counts, interval, weighted_regret, weighted_rho, weighted_tau

Array = NDArray[np.float64]
# (prediction, truth) of each candidate; one table a seed, or one of the means.
Table = Mapping[str, tuple[float, float]]
OURS = "capacitance"


@dataclass(frozen=True)
class Judgement:
    """One method against the truth; means over seeds where there are several.

    Parameters
    ----------
    method : str
    n_models : int
        Candidates with a prediction and a truth (the fewest of the seeds).
    rho, rho_low, rho_high : float
        Spearman's rank correlation and its 95 % bootstrap interval over candidates, and over seeds
        where there are several.
    tau, tau_low, tau_high : float
        Kendall's tau-b, likewise.
    regret, regret_top3 : float
        Accuracy lost against the best candidate by taking the method's first, or the best of its
        first three.
    lead, lead_low, lead_high : float
        rho minus that of the last observed value on the same candidates, paired, with its interval.
    improvement : float
        (rho - best baseline) / best baseline, the baselines being all methods but ``capacitance``;
        NaN for them, and where the best baseline is not positive.
    seconds : float
        Time of one prediction, fitting included.
    status : str
        "ok", or why there are no numbers.
    """

    method: str
    n_models: int
    rho: float
    rho_low: float
    rho_high: float
    tau: float
    tau_low: float
    tau_high: float
    regret: float
    regret_top3: float
    lead: float
    lead_low: float
    lead_high: float
    improvement: float
    seconds: float
    status: str


def judge(
    method: str,
    tables: Sequence[Table],
    last: Sequence[Table],
    by_method: Mapping[str, Sequence[Table]],
    n_bootstrap: int,
    rng: np.random.Generator,
    seconds: float,
) -> Judgement:
    """Judge one method by its own and the last value's predictions, seed by seed.

    Those of all methods are for the relative improvement; `rng` draws candidates and seeds.
    """
    each = [_columns(table) for table in tables]
    n_models = min((int(np.isfinite(p + t).sum()) for p, t in each), default=0)
    rho = _mean([spearman(p, t) for p, t in each])
    if not isfinite(rho):
        status = "no truth to judge by" if n_models < 3 else "constant predictions or truths"
        words = [f.name for f in fields(Judgement) if f.type is float]
        numbers = {**dict.fromkeys(words, nan), "seconds": seconds}
        return Judgement(method=method, n_models=n_models, status=status, **numbers)
    draws = _resampled(tables, last, n_bootstrap, rng)
    found = {name: (float(v[0]), *interval(v[1:])) for name, v in draws.items()}
    return Judgement(
        method,
        n_models,
        *found["rho"],
        *found["tau"],
        _mean([regret(p, t) for p, t in each]),
        _mean([regret_of_first(p, t, 3) for p, t in each]),
        *found["lead"],
        _improvement(method, rho, by_method),
        seconds,
        "ok",
    )


def spearman(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Return Spearman's rank correlation, in [-1, 1]; ties get their mean rank.

    NaN where fewer than three pairs are finite or one side is constant.
    """
    p, t = _vectors(predicted, truth)
    kept = np.isfinite(p) & np.isfinite(t)
    return float(weighted_rho(p[kept], t[kept], np.ones((1, kept.sum()), int))[0])


def regret(predicted: ArrayLike, truth: ArrayLike) -> float:
    """Return how much accuracy the choice of the highest prediction loses against the best.

    Among tied predictions the mean truth counts. NaN where no pair is finite.

    Examples
    --------
    >>> round(regret([0.7, 0.9, 0.8], [0.6, 0.8, 0.9]), 12)
    0.1
    """
    p, t = _vectors(predicted, truth)
    return float(weighted_regret(p, t, np.ones((1, len(p)), int))[0])


def _vectors(predicted: ArrayLike, truth: ArrayLike) -> tuple[Array, Array]:
    """Return both as vectors of one length."""
    p, t = np.asarray(predicted, float), np.asarray(truth, float)
    if p.shape != t.shape or p.ndim != 1:
        raise ValueError(
            f"predicted and truth must be vectors of one length; got {p.shape}, {t.shape}."
        )
    return p, t


def regret_of_first(predicted: Array, truth: Array, n: int) -> float:
    """Return the accuracy lost by the best of the n highest predictions.

    Candidates without a prediction (NaN) are never chosen, but may be the best. Ties at the border
    of the first n count by the mean over the ways to take them.
    """
    known = np.isfinite(truth)
    best = float(truth[known].max()) if known.any() else nan
    kept = known & np.isfinite(predicted)
    predicted, truth = predicted[kept], truth[kept]
    if not len(predicted):
        return nan
    order = np.sort(predicted)[::-1]
    n = min(n, len(order))
    border = order[n - 1]
    sure, tied = truth[predicted > border], truth[predicted == border]
    ways = [max([*sure, *chosen]) for chosen in combinations(tied.tolist(), n - len(sure))]
    return best - float(np.mean(ways))


def _columns(table: Table) -> tuple[Array, Array]:
    """Return predictions and truths of all candidates."""
    both = np.array(list(table.values()), float).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _resampled(
    tables: Sequence[Table], last: Sequence[Table], n: int, rng: np.random.Generator
) -> dict[str, Array]:
    """Return rho, tau and lead: first as they are, then of resampled candidates and seeds."""
    models = list(dict.fromkeys(model for table in tables for model in table))
    if len(tables) == 1:
        drawn, seeds = rng.integers(len(models), size=(n, len(models))), np.zeros((n, 1), int)
    else:  # candidates and seeds in turn, draw by draw
        sizes = len(models), len(tables)
        each = [[rng.integers(size, size=size) for size in sizes] for _ in range(n)]
        drawn, seeds = (np.array(values) for values in zip(*each, strict=True))
    weights = np.vstack([np.ones(len(models), int), counts(drawn, len(models))])
    seeds = np.vstack([np.arange(len(tables)), seeds])
    by_seed = [_weighted(*pair, models, weights) for pair in zip(tables, last, strict=True)]
    found = {}
    for name in ("rho", "tau", "lead"):
        values = np.array([one[name] for one in by_seed])[seeds.T, np.arange(n + 1)]
        known = np.isfinite(values)
        total, share = np.where(known, values, 0).sum(axis=0), known.sum(axis=0)
        found[name] = np.where(share > 0, total / np.maximum(share, 1), nan)
    return found


def _weighted(table: Table, other: Table, models: list[str], weights: Array) -> dict[str, Array]:
    """Return rho, tau and lead of one table in every draw."""
    nothing = (nan, nan)
    p, t = np.array([table.get(m, nothing) for m in models], float).T
    q = np.array([other.get(m, nothing)[0] for m in models], float)
    kept = np.isfinite(p) & np.isfinite(t)
    both = kept & np.isfinite(q)
    ours, theirs = (weighted_rho(v[both], t[both], weights[:, both]) for v in (p, q))
    pairs = p[kept], t[kept], weights[:, kept]
    return {"rho": weighted_rho(*pairs), "tau": weighted_tau(*pairs), "lead": ours - theirs}


def _improvement(method: str, rho: float, by_method: Mapping[str, Sequence[Table]]) -> float:
    """Return the paper's relative improvement over the best baseline."""
    if method != OURS:
        return nan
    others = [
        _mean([spearman(*_columns(table)) for table in tables])
        for name, tables in by_method.items()
        if name != OURS
    ]
    best = max((value for value in others if isfinite(value)), default=nan)
    return (rho - best) / best if best > 0 else nan


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the finite values; NaN without any."""
    finite = [v for v in values if isfinite(v)]
    return float(np.mean(finite)) if finite else nan
