"""How well the learning-curve predictors do on real training runs.

Runs: 20 CIFAR-10 and 49 ImageNet runs of gluon-cv (100 to 360 epochs; the truth is each run's last
epoch) and 265 configurations of Klein et al. (40 epochs). Methods that learn from completed curves
are fitted without the run in question and without all runs of the same architecture
(gluon-cv: with and without mixup), or on the other nine tenths of the configurations. They use of a
completed curve only the observed epochs and the end, so that runs of different lengths can be put
side by side; Domhan's families get the true last epoch.

Left out: two ImageNet logs that are copies of another, and resnet152_v1d, whose final top-1
accuracy of 0.99 is none of ImageNet's. Intervals are bootstraps over runs.

A method that has learnt nothing but the mean of the other runs ranks in reverse when each run is
left out, as a good run lowers the mean of the others: hence rho far below 0 where BGRN's error is
that of this mean (`status` counts such fits as weak where it is known). Run, five to ten minutes:
``EDGEDYN_DATA=../shared/data OMP_NUM_THREADS=1 python validation/backtest_curves.py``.
"""

import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import perf_counter
from zipfile import ZipFile

import numpy as np
from scipy.stats import norm, rankdata

from edgedyn._environment import environment
from edgedyn._files import to_json, write_text
from edgedyn.predict import curves

OBSERVED = (3, 5, 10, 20)
DRAWS = 100  # of the random search
BOOTSTRAP = 1000
FOLDS = 10
SEED = 0
COPIES = ("inceptionv3-mixup", "mobilenet1.0-mixup")
BROKEN = ("resnet152_v1d",)

METHODS = {
    "last value": lambda: curves.LastValue(),
    "best value": lambda: curves.BestValue(),
    "BGRN": lambda: curves.BGRN(n_draws=DRAWS),
    "BGRN summary": lambda: curves.BGRN("curve+summary", n_draws=DRAWS),
    "BGRN scaled": lambda: curves.BGRN(scale=True, n_draws=DRAWS),
    "BGRN scaled, config": lambda: curves.BGRN(scale=True, n_draws=DRAWS),
    "CL exact": lambda: curves.CL(),
    "CL exact, recency": lambda: curves.CL(recency=True),
    "CL gd": lambda: curves.CL("gd"),
    "Domhan": lambda: curves.Domhan(),
    "Domhan, BIC": lambda: curves.Domhan(weights="bic"),
}


def gluon(folder, which):
    """Return the curves of one group, and a group key: the architecture."""
    logs = json.loads((folder / "imagenet_52_models.json").read_text(encoding="utf-8"))
    found, keys = [], []
    for path, points in logs.items():
        name = Path(path).name.removesuffix(".log")
        if f"classification/{which}/" not in path or name in COPIES + BROKEN:
            continue
        found.append(np.array([accuracy for _, accuracy in points]))
        keys.append(name.replace("_mixup", "").replace("-mixup", ""))
    return {"curves": found, "keys": np.array(keys), "config": None}


def configurations(folder):
    """Return the 265 curves, their fold and their hyper-parameters."""
    found, config = [], []
    with ZipFile(folder / "cifar10_265_configs_40_epochs.zip") as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".json")):
            run = json.loads(archive.read(name))
            found.append(1 - np.array(run["learning_curve"]))
            config.append([run["config"][key] for key in sorted(run["config"])])
    folds = np.random.default_rng(SEED).permutation(len(found)) % FOLDS
    return {"curves": found, "keys": folds, "config": np.array(config)}


def predict(data, name, observed):
    """Return values, deviations and seconds a prediction, each run left out with its kin."""
    method, runs, keys = METHODS[name](), data["curves"], data["keys"]
    value, std, words = np.full((2, len(runs)), np.nan).tolist() + [[""] * len(runs)]
    begin = perf_counter()
    # The observed epochs, then the end.
    table = np.array([np.append(run[:observed], run[-1]) for run in runs])
    for key in dict.fromkeys(keys.tolist()):
        out = np.flatnonzero(keys == key)
        groups = [out]
        if method.needs_completed_curves:
            if name.endswith("config"):
                method.fit(table[keys != key], architecture=data["config"][keys != key])
            else:
                method.fit(table[keys != key])
        else:  # the target epoch is the run's own
            groups = [np.array([k]) for k in out]
        for group in groups:
            learned = method.needs_completed_curves
            target = observed + 1 if learned else len(runs[group[0]])
            extra = {"architecture": data["config"][group]} if name.endswith("config") else {}
            got = method.predict_final(table[group, :observed], target, True, **extra)
            for k, v, s, w in zip(group, *got, method.status_, strict=True):
                value[k], std[k], words[k] = v, s, str(w)
    return np.array(value), np.array(std), words, (perf_counter() - begin) / len(runs)


def correlation(a, b):
    """Return Spearman's rho along the last axis; NaN where one side is constant."""
    a, b = (rankdata(v, axis=-1) for v in (a, b))
    a, b = (v - v.mean(axis=-1, keepdims=True) for v in (a, b))
    size = np.sqrt((a * a).sum(axis=-1) * (b * b).sum(axis=-1))
    return np.divide((a * b).sum(axis=-1), size, out=np.full(size.shape, np.nan), where=size > 0)


def interval(samples):
    """Return the bootstrap's 95 % interval."""
    return np.nanquantile(samples, [0.025, 0.975]).tolist()


def judge(value, std, truth, last):
    """Return rho, its lead over the last value, MAE and coverage, with intervals over runs."""
    rng = np.random.default_rng(SEED)
    rows = rng.integers(0, len(truth), (BOOTSTRAP, len(truth)))
    error = np.abs(value - truth)
    rho, of_last = (correlation(v[rows], truth[rows]) for v in (value, last))
    point, point_last = (float(correlation(v, truth)) for v in (value, last))
    result = {
        "rho": point,
        "rho_interval": interval(rho),
        "rho_minus_last_value": point - point_last,
        "rho_minus_last_value_interval": interval(rho - of_last),
        "mae": float(error.mean()),
        "mae_interval": interval(error[rows].mean(axis=1)),
        "n_with_deviation": int(np.isfinite(std).sum()),
    }
    for level in (68, 95):
        inside = np.where(np.isfinite(std), error <= norm.ppf(0.5 + level / 200) * std, np.nan)
        known = np.isfinite(std).any()
        result[f"coverage_{level}"] = float(np.nanmean(inside)) if known else None
        enough = inside[rows][np.isfinite(inside[rows]).any(axis=1)]
        result[f"coverage_{level}_interval"] = (
            interval(np.nanmean(enough, axis=1)) if known else None
        )
    result["median_deviation"] = float(np.nanmedian(std)) if known else None
    return result


def one(task):
    """Backtest one method on one group; called in a worker process."""
    folder, group, observed, name = task
    data = load(folder, group)
    truth = np.array([run[-1] for run in data["curves"]])
    last = np.array([run[observed - 1] for run in data["curves"]])
    row = {"group": group, "observed": observed, "method": name, "n": len(truth)}
    if observed < METHODS[name]().min_epochs:
        return row | {"status": f"needs {METHODS[name]().min_epochs} epochs"}
    value, std, words, seconds = predict(data, name, observed)
    counts = {word: words.count(word) for word in sorted(set(words))}
    return row | {
        "status": counts,
        "seconds_per_prediction": seconds,
        **judge(value, std, truth, last),
    }


def constant(folder, group):
    """Return the error of the other runs' mean final accuracy, which ranks nothing."""
    data = load(folder, group)
    truth = np.array([run[-1] for run in data["curves"]])
    mean = [truth[data["keys"] != key].mean() for key in data["keys"]]
    return float(np.abs(np.array(mean) - truth).mean())


def load(folder, group):
    """Return one group of runs."""
    kind, which = group.split()
    return configurations(folder) if kind == "configurations" else gluon(folder, which)


GROUPS = ("gluon-cv cifar", "gluon-cv imagenet", "configurations cifar")


def table(rows, group, observed):
    """Print one setting."""
    print(f"\n{group}, {observed} epochs observed")
    print(f"{'method':20}{'rho':>7}{'95 %':>16}{'- last value':>22}{'MAE':>8}{'68 %':>7}{'95 %':>7}"
          f"{'ms':>8}")  # fmt: skip
    for row in rows:
        if (row["group"], row["observed"]) != (group, observed):
            continue
        if "rho" not in row:
            print(f"{row['method']:20}{row['status']:>20}")
            continue
        low, high = row["rho_interval"]
        down, up = row["rho_minus_last_value_interval"]
        lead = f"{row['rho_minus_last_value']:+.2f} ({down:+.2f}..{up:+.2f})"
        cover = "".join(f"{'-' if (c := row[f'coverage_{k}']) is None else f'{c:.2f}':>7}"
                        for k in (68, 95))  # fmt: skip
        print(f"{row['method']:20}{row['rho']:7.3f}{f'{low:.2f} .. {high:.2f}':>16}{lead:>22}"
              f"{row['mae']:8.4f}{cover}{1e3 * row['seconds_per_prediction']:8.1f}")  # fmt: skip


def main():
    """Backtest all methods and write the results."""
    if not os.environ.get("EDGEDYN_DATA"):
        sys.exit("Set EDGEDYN_DATA to the folder of the shared real data.")
    folder = Path(os.environ["EDGEDYN_DATA"]) / "curves"
    tasks = [
        (folder, group, observed, name)
        for group in GROUPS
        for observed in OBSERVED
        for name in METHODS
        if group == GROUPS[2] or not name.endswith("config")
    ]
    begin = perf_counter()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(one, tasks))
    for group in GROUPS:
        for observed in OBSERVED:
            table(rows, group, observed)
    results = {
        "environment": environment(),
        "seconds": perf_counter() - begin,
        "random_search_draws": DRAWS,
        "bootstrap_resamples": BOOTSTRAP,
        "left_out": {"copies": COPIES, "broken": BROKEN},
        "not_run": "Domhan with mode='mcmc': some ten seconds a curve",
        "mae_of_the_others_mean": {group: constant(folder, group) for group in GROUPS},
        "rows": rows,
    }
    print("\nMAE of the other runs' mean:", results["mae_of_the_others_mean"])
    path = Path(__file__).parent / "results" / "backtest_curves.json"
    write_text(path, to_json(results))


if __name__ == "__main__":
    main()
