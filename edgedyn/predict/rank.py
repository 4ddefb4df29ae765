"""Ranking candidates from their first epochs, by several methods side by side."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgedyn import _notebook as notebook
from edgedyn import _validate as check
from edgedyn._plain import Plain
from edgedyn.predict.methods import METHODS, Curve, Method, Prediction, Sight, method_named
from edgedyn.predict.rank_quality import Judgement, judge

if TYPE_CHECKING:
    import pandas as pd

OVER = ("mean", "run")


@dataclass(frozen=True)
class RankedModel:
    """What one method says of one candidate.

    Parameters
    ----------
    method, model : str
    seed : int or None
        Of the run; None where curves were averaged over seeds.
    prediction : float
        Predicted final accuracy, or a training-free score; higher is better; NaN where there is
        none. Not clipped, so that good candidates do not tie at 1.
    std : float
        Standard deviation where the method has one, else NaN.
    rank : float
        1 is best; ties share their mean rank; NaN without a prediction.
    truth : float
        Test accuracy after the last epoch; NaN where the run was not completed.
    status : str
        "ok", or why there is no prediction, or why not to trust it (``weak``: the fit on the other
        candidates was no better than their mean).
    """

    method: str
    model: str
    seed: int | None
    prediction: float
    std: float
    rank: float
    truth: float
    status: str


@dataclass(frozen=True)
class Ranking(Plain):
    """Predictions of all methods, and how well they rank.

    Parameters
    ----------
    observed : int
        Epochs that were seen.
    over : {"mean", "run"}
        Whether curves were averaged over seeds, or each run ranked among those of its seed.
    rows : tuple of RankedModel
    methods : tuple of Judgement
        One a method; values are NaN where fewer than three candidates can be compared.
    """

    observed: int
    over: str
    rows: tuple[RankedModel, ...]
    methods: tuple[Judgement, ...]

    def best(self, method: str = "last_value", top: int = 1) -> list[str]:
        """Return the names of the first candidates by a method, mean rank over seeds.

        Raises
        ------
        ValueError
            For a method that was not asked for, or that ranked none.
        """
        ranks: dict[str, list[float]] = {}
        for row in self.rows:
            if row.method == method and isfinite(row.rank):
                ranks.setdefault(row.model, []).append(row.rank)
        if not ranks:
            raise ValueError(f"method {method!r} has ranked no candidate.")
        return sorted(ranks, key=lambda m: float(np.mean(ranks[m])))[:top]

    def to_frame(self) -> "pd.DataFrame":
        """Return the rows as a pandas DataFrame."""
        import pandas as pd

        return pd.DataFrame([asdict(row) for row in self.rows])

    def __repr__(self) -> str:
        first = [
            f"first by {m.method}: {', '.join(self._first(m.method)) or 'none'}"
            + (f" (rho {m.rho:.2f})" if isfinite(m.rho) else "")
            for m in self.methods
        ]
        n = len({row.model for row in self.rows})
        return f"Ranking({n} candidates after {self.observed} epochs; {'; '.join(first)})"

    def _first(self, method: str, top: int = 1) -> list[str]:
        """Return the names of a method's first candidates; none where it has ranked none."""
        try:
            return self.best(method, top)
        except ValueError:
            return []

    def _repr_html_(self) -> str:
        """Return what a notebook shows: each method's first candidates, and how well it ranks."""
        n = len({row.model for row in self.rows})
        title = f"Ranking of {n} candidates by their first {self.observed} epochs"
        return notebook.card(title, {}, self.html_table())

    def html_table(self) -> str:
        """Return a line a method, in HTML: its first candidates, rho, lead and regret."""
        head = ["method", "first", "rho (95 %)", "- last value (95 %)", "regret", "status"]
        rows = [
            (
                method_named(m.method).label,
                ", ".join(self._first(m.method, 3)) or "none",
                f"{m.rho:.3f} ({m.rho_low:.2f} .. {m.rho_high:.2f})" if isfinite(m.rho) else "-",
                f"{m.lead:+.3f} ({m.lead_low:+.2f} .. {m.lead_high:+.2f})"
                if isfinite(m.lead)
                else "-",
                m.regret if isfinite(m.regret) else "-",
                m.status,
            )
            for m in self.methods
        ]
        return notebook.table(head, rows)

    def __str__(self) -> str:
        lines = [
            f"{'method':14}{'rho':>8}{'95 %':>18}{'regret':>9}{'top 3':>8}{'- last value':>24}"
        ]
        for m in self.methods:
            interval = f"{m.rho_low:.2f} .. {m.rho_high:.2f}"
            lead = f"{m.lead:+.2f} ({m.lead_low:+.2f} .. {m.lead_high:+.2f})"
            line = f"{m.method:14}{m.rho:8.3f}{interval:>18}{m.regret:9.4f}{m.regret_top3:8.4f}"
            lines.append(f"{line}{lead:>24}  {m.status if m.status != 'ok' else ''}".rstrip())
        return "\n".join(lines)


def rank(
    records: Sequence[Any],
    methods: Sequence[str] = ("capacitance", "last_value", "best_value"),
    *,
    observed: int = 5,
    over: str = "mean",
    n_validation: int | None = None,
    n_bootstrap: int = 1000,
    seed: int | np.random.Generator = 0,
) -> Ranking:
    """Rank candidates by their first epochs and, where they were completed, judge the ranking.

    The truth is the test accuracy after the last epoch of completed runs. Methods are judged on the
    candidates for which they have a prediction; the paired lead over the last value uses the
    candidates both have.

    Parameters
    ----------
    records : sequence of TrialRecord
        Runs of one task; see `edgedyn.studies.TrialRecord`.
    methods : sequence of str
        ``capacitance`` (the paper's rule); ``pooled`` (ours, see
        `edgedyn.predict.PooledCapacitanceRegressor`; it sees the first epochs of all candidates);
        ``level`` (the last value shrunk by `edgedyn.predict.level.levels`; needs `n_validation`,
        else it is the last value); ``last_value``, ``best_value``; ``bgrn``, ``cl``,
        ``domhan`` (see `edgedyn.predict.curves`; the first two learn from the completed curves of
        the *other* candidates); any training-free score the records carry in ``scores``, such as
        ``logme``.
    observed : int
        Epochs that may be seen, at least 3.
    over : {"mean", "run"}
        ``mean``: curves averaged over seeds (the paper's Fig. 4); ``run``: every run among those of
        its seed (its Supplementary S2).
    n_validation : int, optional
        Validation samples behind each accuracy; bounds the noise the capacitance rule assumes.
    n_bootstrap : int
        Resamplings of the candidates behind each interval.
    seed : int or numpy.random.Generator
        Of the resamplings and of methods that draw random numbers.

    Raises
    ------
    TypeError, ValueError
        For no records, records of several tasks or of data that are known to differ, unknown
        methods, too few epochs.

    Examples
    --------
    >>> import edgedyn as ed
    >>> from edgedyn.studies import run_demo
    >>> ranking = ed.rank(run_demo(n_seeds=1, epochs=6).records, ["capacitance", "last_value"])
    >>> len(ranking.rows), [m.method for m in ranking.methods]
    (30, ['capacitance', 'last_value'])
    """
    runs = _checked(records, observed)
    names = list(dict.fromkeys(methods))
    scores = {name for run in runs for name in getattr(run, "scores", {})}
    known = [m.name for m in METHODS.values() if m.kind != "score"] + sorted(scores)
    for name in names:
        check.choice(name, "method", known)
    check.choice(over, "over", OVER)
    check.positive_int(n_bootstrap, "n_bootstrap")
    rng = np.random.default_rng(seed)
    groups = _groups(runs, over, observed)
    rows: dict[str, list[list[RankedModel]]] = {}  # by method, then by group
    seconds = {}
    for name in dict.fromkeys([*names, "last_value"]):  # the yardstick, asked for or not
        began = time.perf_counter()
        rows[name] = [_rows(method_named(name), g, observed, n_validation) for g in groups]
        seconds[name] = (time.perf_counter() - began) / max(sum(map(len, rows[name])), 1)
    tables = {  # (prediction, truth) of each candidate of a group
        name: [{row.model: (row.prediction, row.truth) for row in group} for group in found]
        for name, found in rows.items()
    }
    asked = {name: tables[name] for name in names}
    judged = tuple(
        judge(name, table, tables["last_value"], asked, n_bootstrap, rng, seconds[name])
        for name, table in asked.items()
    )
    chosen = tuple(row for name in names for group in rows[name] for row in group)
    return Ranking(observed, over, chosen, judged)


# Curves ------------------------------------------------------------------------------------------


def _checked(records: Sequence[Any], observed: int) -> list[Any]:
    """Refuse what cannot be ranked."""
    runs = list(records)
    if not runs:
        raise ValueError("records is empty; give at least one run.")
    for run in runs:
        if not all(hasattr(run, name) for name in ("model", "seed", "data", "epochs", "status")):
            raise TypeError(f"records must be TrialRecords; got {type(run).__name__}.")
    if len({run.data for run in runs}) > 1:
        tasks = ", ".join(sorted({run.data for run in runs}))
        raise ValueError(f"records are of several tasks ({tasks}); rank one at a time.")
    _check_same_data(runs)
    if check.positive_int(observed, "observed") < 3:
        raise ValueError(f"observed must be at least 3; got {observed}.")
    longest = max(len(run.epochs) for run in runs)
    if longest < observed:
        raise ValueError(f"observed={observed} epochs are more than any run has ({longest}).")
    return runs


def _check_same_data(runs: list[Any]) -> None:
    """Refuse runs whose data, or whose candidate's files, are known not to be the same."""
    seen: dict[Any, tuple[str, str]] = {}
    for run in runs:
        made, settings = getattr(run, "provenance", {}), getattr(run, "settings", {})
        who = f"{run.model}, seed {run.seed}"
        found: dict[Any, str | None] = {("data",): made.get("source_fingerprint")}
        # Parts depend on seed, number and size; all candidates of one seed have the same.
        parts = (run.seed, getattr(run, "n_train", None), repr(made.get("data")))
        found["parts", *parts] = made.get("data_fingerprint")
        candidate = settings.get("candidate") or {}
        found["files", run.model] = repr([candidate.get(name) for name in ("file", "weights")])
        for key, value in found.items():
            if value and (other := seen.setdefault(key, (value, who)))[0] != value:
                what = "candidates' files" if key[0] == "files" else "data"
                raise ValueError(
                    f"{other[1]} and {who} were run with different {what} (fingerprints {other[0]} "
                    f"and {value}); rank runs of the same ones."
                )


def _groups(runs: list[Any], over: str, observed: int) -> list[list[Curve]]:
    """Return the candidates to be compared: all means, or the runs of each seed."""
    longest = max(len(run.epochs) for run in runs)
    curves = [_curve(run, observed, longest) for run in runs]
    if over == "run":
        seeds = sorted({c.seed for c in curves if c.seed is not None})
        return [[c for c in curves if c.seed == seed] for seed in seeds]
    models = list(dict.fromkeys(c.model for c in curves))
    return [[_mean([c for c in curves if c.model == model]) for model in models]]


def _curve(run: Any, observed: int, longest: int) -> Curve:
    """Return a run's curve."""
    epochs = run.epochs
    accuracy = np.array([e.val_accuracy for e in epochs], float)
    word = "stopped" if run.status == "early" else run.status
    failed = "" if len(epochs) >= observed else f"{word} after {len(epochs)} epochs"
    if not failed and not np.isfinite(accuracy[:observed]).all():
        failed = "accuracy not finite"
    # One whose finish ended early, for want of anything better, has come to its end, too.
    whole = len(epochs) == longest or "patience" in getattr(run, "settings", {})
    done = run.status == "completed" and whole
    measures = [getattr(e, "measures", None) or {} for e in epochs]  # none where it was not kept
    return Curve(
        model=run.model,
        seed=run.seed,
        accuracy=accuracy,
        beta=np.array([e.beta_eff for e in epochs], float),
        training=np.array([one.get("train_accuracy", nan) for one in measures], float),
        truth=float(epochs[-1].test_accuracy) if done else nan,
        scores=getattr(run, "scores", {}),
        failed=failed,
    )


def _mean(curves: list[Curve]) -> Curve:
    """Average the curves of one candidate over seeds; failed runs are left out."""
    whole = [c for c in curves if not c.failed]
    if not whole:
        return Curve(curves[0].model, np.zeros(0), np.zeros(0), failed=curves[0].failed)
    length = min(len(c.accuracy) for c in whole)
    names = set.intersection(*(set(c.scores) for c in whole))
    return Curve(
        model=curves[0].model,
        accuracy=np.mean([c.accuracy[:length] for c in whole], axis=0),
        beta=np.mean([c.beta[:length] for c in whole], axis=0),
        training=np.mean([c.training[:length] for c in whole if c.training is not None], axis=0),
        n_runs=len(whole),
        truth=float(np.mean([c.truth for c in whole])),
        scores={name: float(np.mean([c.scores[name] for c in whole])) for name in sorted(names)},
    )


def _rows(
    by: Method, group: list[Curve], observed: int, n_validation: int | None
) -> list[RankedModel]:
    """Predict all candidates of a group and rank them."""
    last = max((len(c.accuracy) for c in group), default=0)
    whole = [k for k, curve in enumerate(group) if not curve.failed]
    predicted = by.predict(group, whole, Sight(observed, last, n_validation)) if whole else []
    by_place = dict(zip(whole, predicted, strict=True))
    found = [by_place.get(k) or Prediction(nan, nan, c.failed) for k, c in enumerate(group)]
    ranks = _ranks(np.array([one.value for one in found]))
    return [
        RankedModel(by.name, c.model, c.seed, one.value, one.std, float(r), c.truth, one.status)
        for c, one, r in zip(group, found, ranks, strict=True)
    ]


def _ranks(values: NDArray[Any]) -> NDArray[Any]:
    """Return 1 for the highest value, tied ones their mean rank, NaN for none."""
    kept = np.isfinite(values)
    ranks = np.full(len(values), nan)
    _, kind, sizes = np.unique(-values[kept], return_inverse=True, return_counts=True)
    ranks[kept] = (np.cumsum(sizes) - (sizes - 1) / 2)[kind]
    return ranks
