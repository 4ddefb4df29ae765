"""Judges the regime map's runs: line against last value in every cell, and -beta_eff by itself.

A draw takes candidates and, apart from them, seeds with replacement; the first draw is the data as
they are. The seeds drawn are cut into groups of as many as are averaged; curves and the truth are
means over a group, lines are fitted to these means, and a draw's value is the mean over its groups.
All methods see the same draws, so that differences are paired.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

from edgedyn.predict import NeuralCapacitanceRegressor
from papers.jiang2024.judging.bootstrap import candidates_drawn, interval
from papers.jiang2024.regime.candidates import CANDIDATES, POOLS, SCRATCH, TASKS
from papers.jiang2024.regime.lines import lines, mean_ranks, partial, rank_correlation
from papers.jiang2024.regime.runs import EARLY, PROBES, RATES, SIZES

DRAWS, SEED = 500, 0
ENDS = ("interpolated", "early")
LAGS = (0.0, 0.7)
REPEATS = (1, 5, 20)
OBSERVED = (3, 5, 10)
TRUTH = {"interpolated": "test_late", "early": "test_early"}
# -beta_eff by itself is also judged among pools that mix those of the cells.
BETA_POOLS = {**POOLS, "scratch": SCRATCH, "all": CANDIDATES}
FACTORS = ("task", "pool", "end", "validation", "lag", "repeats", "rate", "probe", "observed")


@dataclass(frozen=True)
class Draws:
    """Resamplings of candidates and seeds.

    Parameters
    ----------
    candidates : dict of str to ndarray, shape (1 + n, n_candidates)
        How often each is drawn, by pool; 0 for those of other pools.
    seeds : ndarray of int, shape (1 + n, n_seeds)
    """

    candidates: dict
    seeds: np.ndarray

    def groups(self, repeats):
        """Return which share each seed has in each group, shape (1 + n, n_groups, n_seeds)."""
        n, n_seeds = self.seeds.shape
        cut = self.seeds[:, : n_seeds // repeats * repeats].reshape(n, -1, repeats)
        return (cut[..., None] == np.arange(n_seeds)).mean(axis=2)


def draw(n_seeds, n=DRAWS, seed=SEED):
    """Draw candidates of every pool, and seeds."""
    rng = np.random.default_rng(seed)
    names = list(CANDIDATES)
    candidates = {}
    for pool, members in BETA_POOLS.items():
        at = [names.index(name) for name in members]
        candidates[pool] = np.zeros((1 + n, len(names)), int)
        candidates[pool][:, at] = candidates_drawn(len(at), n, rng)
    seeds = np.vstack([np.arange(n_seeds), rng.integers(0, n_seeds, (n, n_seeds))])
    return Draws(candidates, seeds)


def lagging(accuracy, momentum, chance):
    """Return accuracies that lag like the averages of a batch norm, and begin at chance."""
    found, before = np.empty_like(accuracy), np.full(accuracy.shape[:-1], chance)
    for k in range(accuracy.shape[-1]):
        before = momentum * before + (1 - momentum) * accuracy[..., k]
        found[..., k] = before
    return found


def averaged(values, shares):
    """Return means over groups of seeds.

    Parameters
    ----------
    values : ndarray, shape (n_candidates, n_seeds, ...)
    shares : ndarray, shape (n_draws, n_groups, n_seeds)

    Returns
    -------
    ndarray, shape (n_draws, n_groups, n_candidates, ...)
    """
    return np.tensordot(shares, values, axes=(2, 1))


# Line against last value ------------------------------------------------------------------------


def cells(runs, tasks, drawn, report=lambda line: None):
    """Return one row a cell: rho and mean absolute error of line and last value, and the leads.

    Parameters
    ----------
    runs : dict of str to ndarray
        From `regime_runs.together`.
    tasks : sequence of str
        What the first axis of the runs stands for.
    drawn : Draws
    report : callable
        Takes a line of progress.
    """
    rows = []
    repeats = [m for m in REPEATS if m <= drawn.seeds.shape[1]]
    for (t, task), (p, probe), (k, rate) in product(*map(enumerate, (tasks, PROBES, RATES))):
        part = {name: values[t, p, k] for name, values in runs.items()}
        for (v, size), lag, m in product(enumerate(SIZES), LAGS, repeats):
            samples = min(size, TASKS[task].n_validation)
            chance = 1 / len(TASKS[task].target[1])
            curves = part["beta"], lagging(part["accuracy"][:, :, v], lag, chance)
            common = {"task": task, "probe": probe, "rate": rate, "validation": size, "lag": lag,
                      "repeats": m}  # fmt: skip
            rows += _cells_of(part, curves, samples * m, drawn, common)
        report(f"judged: {task}, {probe} probe, rate {rate}")
    return rows


def _cells_of(part, curves, samples, drawn, common):
    """Return the cells that share runs, validation and repeats."""
    shares = drawn.groups(common["repeats"])
    if common["repeats"] == 1:  # a line a seed: fitted once, drawn later
        shares = shares[:1]
    beta, accuracy = (averaged(values, shares) for values in curves)
    truths = {end: averaged(part[TRUTH[end]], shares) for end in ENDS}
    rows = []
    for K in OBSERVED:
        predicted = lines(beta[..., :K], accuracy[..., :K], samples), accuracy[..., K - 1]
        for pool, end in product(POOLS, ENDS):
            judged = judge(predicted, truths[end], drawn, pool)
            rows.append({**common, "pool": pool, "end": end, "observed": K, **judged})
    return rows


def judge(predicted, truth, drawn, pool):
    """Return what line and last value are worth in one cell, with intervals of the leads."""
    at = drawn.candidates[pool][0] > 0
    weights = drawn.candidates[pool][:, None, at]
    line, last = (values[..., at] for values in predicted)
    truth = truth[..., at]
    ranks = mean_ranks(truth, weights)
    rho, error = [], []
    for values in (line, last):
        rho.append(
            over_groups(rank_correlation(mean_ranks(values, weights), ranks, weights), drawn)
        )
        wrong = (weights * abs(values.clip(0, 1) - truth)).sum(axis=-1) / weights.sum(axis=-1)
        error.append(over_groups(wrong, drawn))
    found = {"rho_line": rho[0][0], "rho_last": rho[1][0]}
    found |= with_ends("lead", rho[0] - rho[1])
    found |= {"mae_line": error[0][0], "mae_last": error[1][0]}
    found["bias_line"], found["bias_last"] = (
        float((values.clip(0, 1) - truth)[0].mean()) for values in (line, last)
    )
    return found | with_ends("gain", error[1] - error[0])


def over_groups(values, drawn):
    """Return the mean over the groups of each draw.

    Parameters
    ----------
    values : ndarray, shape (n_draws, n_groups)
        Of single runs there is one group a seed, from which those drawn are taken.
    """
    n, n_seeds = drawn.seeds.shape
    if values.shape == (n, n_seeds):
        values = np.take_along_axis(values, drawn.seeds, axis=1)
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=1)
    return np.divide(total, known.sum(axis=1), out=np.full(n, np.nan), where=known.any(axis=1))


def with_ends(name, drawn):
    """Return the value of the first draw and the interval of the others."""
    low, high = interval(drawn[1:])
    return {name: float(drawn[0]), f"{name}_low": low, f"{name}_high": high}


def verdict(row, name):
    """Return 1 where a lead's interval lies above 0, -1 where below, else 0."""
    return int(row[f"{name}_low"] > 0) - int(row[f"{name}_high"] < 0)


# -beta_eff by itself ----------------------------------------------------------------------------


def sizes():
    """Return log width of the features and log number of parameters, by candidate."""
    width = np.log([one.widths[-1] for one in CANDIDATES.values()])
    return {"width": width, "parameters": np.log([c.parameters for c in CANDIDATES.values()])}


def by_beta(runs, drawn):
    """Return one row a pool, probe, rate, end, K and number of repeats: ranking by -beta_eff.

    Means over tasks, in every draw. The yardsticks: the last value on all validation samples, the
    negative training loss, the sizes; then the correlation of -beta_eff and truth with sizes held.
    """
    rows = []
    repeats = sorted({1, drawn.seeds.shape[1]})
    for pool, (p, probe), (k, rate), end, K, m in product(
        BETA_POOLS, enumerate(PROBES), enumerate(RATES), ENDS, OBSERVED, repeats
    ):
        tasks = []
        for t in range(len(runs["beta"])):
            part = {name: values[t, p, k] for name, values in runs.items()}
            tasks.append(_by_beta(part, drawn, pool, TRUTH[end], K, m))
        with np.errstate(invalid="ignore"):
            mean = {name: np.mean([one[name] for one in tasks], axis=0) for name in tasks[0]}
        row = {"pool": pool, "probe": probe, "rate": rate, "end": end, "observed": K, "repeats": m}
        for name, values in mean.items():
            row |= with_ends(name, values)
        row |= with_ends("lead", mean["beta"] - mean["last"])
        row |= with_ends("lead_loss", mean["beta"] - mean["loss"])
        row["lead_by_task"] = [float(one["beta"][0] - one["last"][0]) for one in tasks]
        rows.append(row)
    return rows


def _by_beta(part, drawn, pool, truth, K, m):
    """Return the correlations of one task in every draw."""
    at = drawn.candidates[pool][0] > 0
    weights = drawn.candidates[pool][:, None, at]
    shares = drawn.groups(m)[:1] if m == 1 else drawn.groups(m)

    def ranks(values):
        return mean_ranks(averaged(values, shares)[..., at], weights)

    def size_ranks(values):
        return mean_ranks(values[None, None, at], weights)

    known = {
        "truth": ranks(part[truth]),
        "beta": ranks(-part["beta"][..., K - 1]),
        "last": ranks(part["accuracy"][:, :, -1, K - 1]),
        "loss": ranks(-part["loss"][..., K - 1]),
        **{name: size_ranks(values) for name, values in sizes().items()},
    }

    def rho(a, b):
        return rank_correlation(known[a], known[b], weights)

    found = {name: rho(name, "truth") for name in known if name != "truth"}
    held = {name: _held(rho, name) for name in ("width", "parameters")}
    found |= {f"beta_given_{name}": partial(*three) for name, three in held.items()}
    # Both sizes: the formula once more, on correlations with the first already held.
    second = ("beta", "truth"), ("beta", "parameters"), ("truth", "parameters")
    found["beta_given_both"] = partial(
        *(partial(rho(a, b), rho(a, "width"), rho(b, "width")) for a, b in second)
    )
    return {name: over_groups(_each(values, drawn, m), drawn) for name, values in found.items()}


def _held(rho, name):
    """Return the three correlations a partial one is made of."""
    return rho("beta", "truth"), rho("beta", name), rho("truth", name)


def _each(values, drawn, m):
    """Give correlations among sizes, which have one group, the groups of the rest."""
    n, n_seeds = drawn.seeds.shape
    return np.broadcast_to(values, (n, n_seeds if m == 1 else n_seeds // m))


def checked(runs, tasks, n=200):
    """Return how far `lines` and the regressor are apart on curves of the runs."""
    rng = np.random.default_rng(SEED)
    apart = []
    for _ in range(n):
        at = tuple(int(rng.integers(size)) for size in runs["beta"].shape[:-1])
        v, K = int(rng.integers(len(SIZES))), int(rng.choice(OBSERVED))
        samples = min(SIZES[v], TASKS[tasks[at[0]]].n_validation)
        beta, accuracy = runs["beta"][at][:K], runs["accuracy"][at][v, :K]
        if np.isfinite(beta).all():
            line = NeuralCapacitanceRegressor(n_validation=samples).fit(beta[:, None], accuracy)
            apart.append(abs(line.final_ - lines(beta[None], accuracy[None], samples)[0]))
    return {"curves": len(apart), "median": np.median(apart), "largest": np.max(apart)}


# What the runs are like -------------------------------------------------------------------------


def described(runs, tasks):
    """Return, by task, probe and rate, how far training goes and how much candidates differ."""
    rows = []
    for (t, task), (p, probe), (k, rate) in product(*map(enumerate, (tasks, PROBES, RATES))):
        part = {name: values[t, p, k] for name, values in runs.items()}
        row = {
            "task": task,
            "probe": probe,
            "rate": rate,
            "interpolated": float(part["interpolated"].mean()),
            "epochs": float(np.median(part["epochs"])),
            "no_beta": int((~np.isfinite(part["beta"])).any(axis=-1).sum()),
            "beta_first": float(np.nanmedian(part["beta"][..., 0])),
            "beta_tenth": float(np.nanmedian(part["beta"][..., 9])),
            "beta_end": float(np.nanmedian(part["beta_late"])),
            "accuracy_tenth": float(part["accuracy"][:, :, -1, 9].mean()),
            "test_early": float(part["test_early"].mean()),
            "test_late": float(part["test_late"].mean()),
        }
        for pool, members in POOLS.items():
            at = [list(CANDIDATES).index(name) for name in members]
            row[f"spread_{pool}"] = float(part["test_late"][at].mean(axis=1).std())
        rows.append(row)
    return rows


ENDS_IN_WORDS = {"interpolated": "until interpolation", "early": f"stopped after {EARLY} epochs"}
