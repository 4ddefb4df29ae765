"""How well a method's predictions rank the candidates, with bootstrap intervals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import isfinite, nan

import numpy as np
from numpy.typing import NDArray

from edgedyn.predict.ranking import regret, spearman

Array = NDArray[np.float64]
# (prediction, truth) of each candidate; one table a seed, or one of the means.
Table = Mapping[str, tuple[float, float]]
LEVEL = 0.95
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
    """Judge one method.

    Parameters
    ----------
    method : str
    tables, last : sequence of Table
        The method's and the last value's predictions, seed by seed.
    by_method : mapping of str to sequence of Table
        Those of all methods, for the relative improvement.
    n_bootstrap : int
    rng : numpy.random.Generator
    seconds : float
    """
    pairs = [_pairs(table) for table in tables]
    n_models = min((len(p) for p, _ in pairs), default=0)
    rho = _mean([spearman(p, t) for p, t in pairs])
    if not isfinite(rho):
        status = "no truth to judge by" if n_models < 3 else "constant predictions or truths"
        words = [f.name for f in fields(Judgement) if f.type == "float" or f.type is float]
        numbers = {**dict.fromkeys(words, nan), "seconds": seconds}
        return Judgement(method=method, n_models=n_models, status=status, **numbers)
    common = [_common(table, other) for table, other in zip(tables, last, strict=True)]
    draws = _resampled(tables, last, n_bootstrap, rng)
    bounds = {name: _interval(values) for name, values in draws.items()}
    lead = _mean([spearman(p, t) - spearman(q, t) for p, q, t in common])
    return Judgement(
        method,
        n_models,
        rho,
        *bounds["rho"],
        _mean([kendall(p, t) for p, t in pairs]),
        *bounds["tau"],
        _mean([regret(*_all(table)) for table in tables]),
        _mean([regret_of_first(*_all(table), 3) for table in tables]),
        lead,
        *bounds["lead"],
        _improvement(method, rho, by_method),
        seconds,
        "ok",
    )


def kendall(predicted: Array, truth: Array) -> float:
    """Return Kendall's tau-b, in [-1, 1]; NaN for fewer than three pairs or a constant side.

    Examples
    --------
    >>> import numpy as np
    >>> round(kendall(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 2.0])), 12)
    0.333333333333
    """
    if len(predicted) < 3 or np.ptp(predicted) == 0 or np.ptp(truth) == 0:
        return nan
    from scipy.stats import kendalltau

    return float(kendalltau(predicted, truth).statistic)


def regret_of_first(predicted: Array, truth: Array, n: int) -> float:
    """Return the accuracy lost by the best of the n highest predictions.

    Candidates without a prediction (NaN) are never chosen, but may be the best. Ties at the border
    of the first n count by the mean over the ways to take them.

    Examples
    --------
    >>> import numpy as np
    >>> truth = np.array([0.5, 0.6, 0.7, 0.9])
    >>> round(regret_of_first(np.array([0.9, 0.8, 0.7, 0.1]), truth, 3), 12)
    0.2
    """
    from itertools import combinations

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


def _pairs(table: Table) -> tuple[Array, Array]:
    """Return predictions and truths where both are finite."""
    kept = [(p, t) for p, t in table.values() if isfinite(p) and isfinite(t)]
    both = np.array(kept, float).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _all(table: Table) -> tuple[Array, Array]:
    """Return predictions and truths of all candidates."""
    both = np.array(list(table.values()), float).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def _common(table: Table, other: Table) -> tuple[Array, Array, Array]:
    """Return both predictions and the truth of the candidates both methods have."""
    kept = [
        (table[m][0], other[m][0], table[m][1])
        for m in table
        if m in other and all(map(isfinite, (table[m][0], other[m][0], table[m][1])))
    ]
    found = np.array(kept, float).reshape(-1, 3)
    return found[:, 0], found[:, 1], found[:, 2]


def _resampled(
    tables: Sequence[Table], last: Sequence[Table], n: int, rng: np.random.Generator
) -> dict[str, list[float]]:
    """Return rho, tau and lead of resampled candidates, and of resampled seeds."""
    models = list(dict.fromkeys(model for table in tables for model in table))
    found: dict[str, list[float]] = {"rho": [], "tau": [], "lead": []}
    for _ in range(n):
        drawn = [models[k] for k in rng.integers(len(models), size=len(models))]
        seeds = rng.integers(len(tables), size=len(tables)) if len(tables) > 1 else [0]
        values: dict[str, list[float]] = {name: [] for name in found}
        for s in seeds:
            table, other = tables[s], last[s]
            rows = np.array(
                [
                    (*table[m], other.get(m, (nan, nan))[0])
                    for m in drawn
                    if m in table and all(map(isfinite, table[m]))
                ],
                float,
            ).reshape(-1, 3)
            p, t, q = rows.T
            rho = rank_correlation(p, t)
            values["rho"].append(rho)
            values["tau"].append(kendall(p, t))
            both = np.isfinite(q)
            values["lead"].append(
                rank_correlation(p[both], t[both]) - rank_correlation(q[both], t[both])
            )
        for name, parts in values.items():
            found[name].append(_mean(parts))
    return found


def rank_correlation(p: Array, t: Array) -> float:
    """Return Spearman's rho like `spearman`, without its checks: for many small samples.

    Examples
    --------
    >>> import numpy as np
    >>> rank_correlation(np.array([1.0, 2.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0, 3.0]))
    1.0
    """
    if len(p) < 3:
        return nan
    a, b = (np.unique(v, return_inverse=True, return_counts=True)[1:] for v in (p, t))
    ranks = []
    for inverse, counts in (a, b):
        if len(counts) < 2:
            return nan
        # The mean rank of each group of ties.
        ranks.append((np.cumsum(counts) - (counts + 1) / 2)[inverse])
    x, y = (r - r.mean() for r in ranks)
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1, 1))


def _interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the central 95 % of the finite values."""
    finite = np.array([v for v in values if isfinite(v)])
    if not len(finite):
        return nan, nan
    low, high = np.quantile(finite, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _improvement(method: str, rho: float, by_method: Mapping[str, Sequence[Table]]) -> float:
    """Return the paper's relative improvement over the best baseline."""
    if method != OURS:
        return nan
    others = [
        _mean([spearman(*_pairs(table)) for table in tables])
        for name, tables in by_method.items()
        if name != OURS
    ]
    best = max((value for value in others if isfinite(value)), default=nan)
    return (rho - best) / best if best > 0 else nan


def _mean(values: Sequence[float]) -> float:
    """Return the mean of the finite values; NaN without any."""
    finite = [v for v in values if isfinite(v)]
    return float(np.mean(finite)) if finite else nan
