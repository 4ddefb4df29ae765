"""What a report shows of one candidate: mean curves, the line through them, what became of it."""

from collections.abc import Sequence
from math import isfinite, nan

import numpy as np

from edgedyn.predict import lines
from edgedyn.studies.record import TrialRecord, at_its_end
from edgedyn.studies.summary_types import CandidateCurves, LineFit, RunCurves

GRID = 25  # places at which the line's band is drawn


def candidate_curves(
    name: str, records: Sequence[TrialRecord], observed: int, last: int, n_validation: int | None
) -> CandidateCurves:
    """Return one candidate's curves and fit, averaged over seeds as `edgedyn.rank` does.

    `records` are its runs with one training size, maybe none; `observed` and `last` the early
    epochs and those of a whole run.
    """
    whole = [r for r in records if _observed(r, observed)]
    shown = whole or [r for r in records if r.epochs]
    length = min((r.n_epochs for r in shown), default=0)
    ended = [r for r in whole if at_its_end(r, last)]
    done = bool(ended) and len(ended) == len(whole)
    accuracy = _means([[e.val_accuracy for e in r.epochs[:length]] for r in shown])
    beta = _means([[e.beta_eff for e in r.epochs[:length]] for r in shown])
    runs = [
        RunCurves(r.seed, [e.val_accuracy for e in r.epochs], [e.beta_eff for e in r.epochs])
        for r in shown
    ]
    return CandidateCurves(
        model=name,
        accuracy=accuracy,
        beta=beta,
        statuses=[_worst([r.epochs[k].beta_status for r in shown]) for k in range(length)],
        runs=runs if len(runs) > 1 else [],
        last_value=accuracy[observed - 1] if whole else nan,
        validation=_mean([r.epochs[-1].val_accuracy for r in ended]) if done else nan,
        test=_mean([r.final_test_accuracy for r in ended]) if done else nan,
        n_runs=len(records),
        n_whole=len(whole),
        n_completed=len(ended),
        fit=fit_line(beta[:observed], accuracy[:observed], n_validation) if whole else None,
    )


def fit_line(
    beta: Sequence[float], accuracy: Sequence[float], n_validation: int | None
) -> LineFit | None:
    """Return the paper's line and its band; None with fewer than three usable epochs."""
    b, a = np.array([beta], float), np.array([accuracy], float)
    line = lines.fit(b, a, n_validation)
    if not line.n[0]:
        return None
    kept = np.flatnonzero(np.isfinite(b[0]) & np.isfinite(a[0]))
    window = b[0, kept[line.t0[0] - 1 :]]
    low, high = min(0.0, float(b[0, kept].min())), max(0.0, float(b[0, kept].max()))
    margin = 0.05 * (high - low)
    grid = np.linspace(low - margin * (low < 0), high + margin * (high > 0), GRID)
    mean, band = line.band(grid[None])
    return LineFit(
        value=float(line.final[0]),
        std=float(line.std[0]),
        slope=float(line.slope[0]),
        first=int(kept[line.t0[0] - 1]) + 1,
        n=len(window),
        status=line.statuses()[0],
        reach=float(line.away[0]),
        grid=grid.tolist(),
        mean=mean[0].tolist(),
        band=band[0].tolist(),
    )


def _observed(record: TrialRecord, observed: int) -> bool:
    """Tell whether a run has the early epochs."""
    early = record.epochs[:observed]
    return len(early) == observed and all(isfinite(e.val_accuracy) for e in early)


def _means(rows: Sequence[Sequence[float]]) -> list[float]:
    """Return the means over runs, epoch by epoch."""
    return np.mean(np.array(rows, float), axis=0).tolist() if rows else []


def _mean(values: Sequence[float]) -> float:
    """Return the mean; NaN without values."""
    return float(np.mean(values)) if values else nan


def _worst(statuses: Sequence[str]) -> str:
    """Return the first status that is not fine, if there is one."""
    return next((s for s in statuses if s not in ("ok", "converged")), statuses[0])
