"""Everything a report says of a study, as plain values, from the files in its folder alone."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any

import msgspec

from edgedyn._environment import published
from edgedyn.predict.forecast import Forecast
from edgedyn.predict.methods import method_named
from edgedyn.predict.rank import Ranking
from edgedyn.predict.rank_quality import Judgement
from edgedyn.studies.chosen import forecasts, study_choice, taught_by
from edgedyn.studies.early import early_ranking
from edgedyn.studies.record import TrialRecord, whole
from edgedyn.studies.store import STUDY, load_records
from edgedyn.studies.study_file import study_toml
from edgedyn.studies.summary_models import candidate_curves
from edgedyn.studies.summary_types import (
    CandidateCost,
    CandidateCurves,
    DataUsed,
    MethodValue,
    Problem,
    Provenance,
    RankingRow,
    SizeSummary,
    StudySummary,
)
from edgedyn.studies.written import Environment, checked

RESULTS, SELECTION = "results.json", "selection.json"
FINE = ("ok", "converged", "no_probe")  # no_probe: the probe was taken off on purpose
NONE = Forecast(nan, nan, nan, nan, nan, "not observed long enough")
EARLY = 5  # where a folder does not say how many epochs were observed


@dataclass
class _Source:
    """What a folder holds, of whichever kind."""

    kind: str
    folder: Path
    records: Sequence[TrialRecord]
    observed: int
    last: int
    methods: tuple[str, ...]
    environment: Mapping[str, Any]
    planned: list[tuple[str, int, int | None]] = field(default_factory=list)
    study: Mapping[str, Any] = field(default_factory=dict)  # empty where it is not known
    settings: Mapping[str, Any] = field(default_factory=dict)
    judged: list[Judgement] | None = None
    n_validation: int | None = None


def summary(
    folder: Path | str, rankings: Mapping[int | None, Ranking] | None = None
) -> StudySummary:
    """Summarise the folder of ``edgedyn select`` or ``edgedyn demo`` for a report.

    Everything is computed from the records, so that interrupted studies have a summary too. Needs
    no TensorFlow. `rankings` are `edgedyn.studies.Selection.rankings` of a study that has just
    ended; by default its records are ranked. ValueError for a folder with neither records nor a
    demo's results, or with files that cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> from edgedyn.studies import EpochRecord, TrialRecord
    >>> from edgedyn.studies.store import Store
    >>> from edgedyn.studies.summary import summary
    >>> store = Store(tempfile.mkdtemp())
    >>> for name, last in (("vgg", 0.8), ("mlp", 0.7)):
    ...     values = [(last - 0.1 / k, float("nan"), 0.5 / k) for k in range(1, 6)]
    ...     epochs = tuple(EpochRecord(k, 1.0, *v, "ok") for k, v in enumerate(values, start=1))
    ...     store.write(name, TrialRecord(name, "digits", 0, {}, epochs, "early", 1.0, 0.1))
    >>> found = summary(store.folder)
    >>> [(row.model, round(row.prediction, 2)) for row in found.rankings[0].rows]
    [('vgg', 0.78), ('mlp', 0.68)]
    """
    source = _source(Path(folder))
    sizes = sorted({n for _, _, n in source.planned}, key=lambda n: -(n or 0))
    ranked = {n: _rank(source, n) for n in sizes} if rankings is None else rankings
    shown = [_ranking(source, n, ranked.get(n)) for n in sizes]
    return StudySummary(
        kind=source.kind,
        folder=source.folder.resolve().name,
        data=source.records[0].data,
        date=source.environment.get("date", ""),
        observed=source.observed,
        epochs=source.last,
        method=source.methods[0],
        scope=source.study.get("capacitance", {}).get("scope", "probe"),
        over="run" if source.judged else "mean",
        head_after=_head_after(source),
        rungs=_rungs(source),
        rankings=shown,
        cost=_cost(source),
        problems=_problems(source, shown),
        provenance=_provenance(source),
    )


def _source(folder: Path) -> _Source:
    """Read a folder."""
    if not folder.is_dir():
        raise ValueError(
            f"there is no folder {str(folder)!r}; give one that edgedyn select or edgedyn demo "
            "has written."
        )
    if (folder / RESULTS).is_file() and not (folder / STUDY).is_file():
        return _demo(folder)
    return _study(folder)


def _demo(folder: Path) -> _Source:
    """Read the demo's results."""
    path = folder / RESULTS
    values = _json(path)
    try:
        records = [TrialRecord.from_dict(one) for one in values["records"]]
        settings = values["settings"]
        observed, last = settings["observed_epochs"], settings["epochs"]
        judged = [Judgement(**whole(one)) for one in values["ranking"]["methods"]]
        methods = tuple(one.method for one in judged)
        n_validation = settings["n_validation"]
        environment = {**_environment(path, values), "seed": values["seed"]}
        planned: list[tuple[str, int, int | None]] = [(r.model, r.seed, None) for r in records]
    except (KeyError, TypeError, AttributeError, msgspec.ValidationError) as error:
        raise ValueError(
            f"{str(path)!r} holds no results of edgedyn demo ({error!r} is amiss); give the folder "
            "of a demo or of a study."
        ) from None
    return _Source(
        "demo", folder, records, observed, last, methods, environment, planned,
        settings=settings, judged=judged, n_validation=n_validation,
    )  # fmt: skip


def _study(folder: Path) -> _Source:
    """Read a study's records, and what was planned."""
    records = list(load_records(folder))
    # Both hold the study; the command writes the one when it begins, the other when it ends.
    paths = [p for name in (STUDY, SELECTION) if (p := folder / name).is_file()]
    written = {p.name: _json(p) for p in paths}
    newest = max(paths, key=lambda p: p.stat().st_mtime_ns, default=None)
    study = written[newest.name].get("study") if newest else None
    environment = _environment(folder / STUDY, written.get(STUDY, {}))
    if study is None:
        observed = min([EARLY, *(r.n_epochs for r in records if r.status == "early")])
        last = max(r.n_epochs for r in records)
        environment = environment or records[0].provenance.get("environment", {})
        planned = list(dict.fromkeys((r.model, r.seed, r.n_train) for r in records))
        return _Source(
            "study", folder, records, observed, last, ("last_value", "capacitance", "pooled"),
            environment, planned, n_validation=_n_validation(records),
        )  # fmt: skip
    try:
        checked(study)
        planned = [
            (c["name"], seed, n)
            for n in (study["data"]["n_train"] or [None])
            for seed in study["training"]["seeds"]
            for c in study["candidates"]
        ]
        training, methods = study["training"], tuple(study["methods"])
    except (KeyError, TypeError, msgspec.ValidationError) as error:
        raise ValueError(f"{str(newest)!r} holds no study: {error!r} is amiss.") from None
    wanted = {trial: k for k, trial in enumerate(planned)}
    kept = [r for r in records if (r.model, r.seed, r.n_train) in wanted]
    kept.sort(key=lambda r: wanted[r.model, r.seed, r.n_train])  # ties as the study decides them
    if not kept:
        raise ValueError(f"{str(folder)!r} holds no record of the study's trials; run it first.")
    return _Source(
        "study", folder, kept, training["early_epochs"], training["epochs"], methods, environment,
        planned, study=study, n_validation=_n_validation(kept),
    )  # fmt: skip


def _environment(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return with what a file was made; empty where it does not say."""
    found = values.get("environment") or {}
    try:
        msgspec.convert(found, Environment)
    except msgspec.ValidationError as error:
        raise ValueError(f"{str(path)!r} has an environment that is none: {error}.") from None
    return dict(found)


def _n_validation(records: Sequence[TrialRecord]) -> int | None:
    """Return the number of validation samples, where the records say it."""
    found = (r.provenance.get("data", {}).get("validation") for r in records)
    return next((n for n in found if n), None)


def _json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{str(path)!r} cannot be read: {error}.") from None
    if not isinstance(values, dict):
        raise ValueError(f"{str(path)!r} cannot be read: it holds no JSON object.")
    return values


def _rank(source: _Source, n_train: int | None) -> Ranking | None:
    """Rank means over seeds with one training size, as `edgedyn.select` does."""
    return early_ranking(
        [r for r in source.records if r.n_train == n_train],
        source.methods,
        source.observed,
        source.n_validation,
        n_bootstrap=1 if source.judged else 1000,  # the demo has judged single runs already
    )


def _ranking(source: _Source, n_train: int | None, ranking: Ranking | None) -> SizeSummary:
    """Return what the report shows of one training size."""
    found = []
    records = [r for r in source.records if r.n_train == n_train]
    others = source.study.get("forecast", {}).get("from", ())
    taught = taught_by(f for f in others if Path(f).is_dir())
    expected = forecasts(records, source.observed, source.last, source.n_validation, taught)
    for name in dict.fromkeys(model for model, _, n in source.planned if n == n_train):
        own = [r for r in records if r.model == name]
        curves = candidate_curves(name, own, source.observed, source.last, source.n_validation)
        forecast = expected.get(name, NONE)
        found.append(_row(source, n_train, own, curves, ranking, forecast))
    found.sort(key=lambda row: (row.rank if isfinite(row.rank) else inf, -row.n_epochs))
    stage = source.study.get("stage", "full")  # a demo trains all to the end
    choice = study_choice(ranking, records, source.last, stage)
    judged = source.judged or (list(ranking.methods) if ranking else [])
    return SizeSummary(n_train, found, choice, judged)


def _head_after(source: _Source) -> int:
    """Return the epoch after which the best candidates get an ordinary head; 0 where none does."""
    if source.study.get("finish", {}).get("probe") != "remove":
        return 0
    taken = (r.settings.get("early_epochs") for r in source.records)
    planned = source.observed if source.study["stage"] == "finish" else 0
    return next((n for n in taken if n), planned)


def _rungs(source: _Source) -> list[int]:
    """Return the epochs after which a race left candidates behind; none without a race."""
    if source.study.get("stage") != "race":
        return []
    return [rung for rung in source.study["race"]["rungs"] if rung < source.last]


def _row(
    source: _Source,
    n_train: int | None,
    own: Sequence[TrialRecord],
    curves: CandidateCurves,
    ranking: Ranking | None,
    forecast: Forecast,
) -> RankingRow:
    """Return a candidate's row of the ranking."""
    name = curves.model
    found = {row.method: row for row in ranking.rows if row.model == name} if ranking else {}
    values = nan, nan, nan, "not observed long enough"
    if chosen := found.get(source.methods[0]):
        values = chosen.rank, chosen.prediction, chosen.std, chosen.status
    return RankingRow(
        curves,
        *values,
        by_method={m: MethodValue(r.prediction, r.std, r.status) for m, r in found.items()},
        forecast=forecast,
        n_epochs=min((r.n_epochs for r in own), default=0),
        n_planned=len({seed for m, seed, n in source.planned if (m, n) == (name, n_train)}),
        failed=[r.status for r in own if r.status in ("failed", "diverged")],
        reasons=list(dict.fromkeys(r.reason for r in own if r.reason)),
    )


def _cost(source: _Source) -> list[CandidateCost]:
    """Return what each candidate took, over all its runs."""
    rows = []
    for name in dict.fromkeys(model for model, _, _ in source.planned):
        own = [r for r in source.records if r.model == name and r.epochs]
        if not own:
            continue
        train, beta = sum(r.train_seconds for r in own), sum(r.beta_seconds for r in own)
        memory = [r.provenance.get("peak_memory_mib") for r in own]
        known = [m for m in memory if m is not None and isfinite(m)]
        sizes = (r.provenance["parameters"] for r in own if "parameters" in r.provenance)
        row = CandidateCost(
            model=name,
            runs=len(own),
            epochs=sum(r.n_epochs for r in own),
            parameters=next(sizes, nan),
            train_seconds=train,
            beta_seconds=beta,
            ratio=beta / train if train > 0 else nan,
            peak_memory_mib=max(known, default=nan),
        )
        rows.append(row)
    return rows


def _problems(source: _Source, rankings: Sequence[SizeSummary]) -> list[Problem]:
    """Return what went wrong, and which values should not be trusted."""
    there = {(r.model, r.seed, r.n_train) for r in source.records}
    found = [
        Problem("missing", model, n, seed)
        for model, seed, n in source.planned
        if (model, seed, n) not in there
    ]
    for r in source.records:
        trial = r.model, r.n_train, r.seed
        if r.status in ("failed", "diverged"):
            epochs = tuple(e.epoch for e in r.epochs)
            found.append(Problem(r.status, *trial, reason=r.reason, epochs=epochs))
        odd: dict[str, list[int]] = {}
        for e in r.epochs:
            if e.beta_status not in FINE and e.beta_status != "diverged":
                odd.setdefault(e.beta_status, []).append(e.epoch)
        for status, numbers in odd.items():
            kind = status if status == "vanishing" else "degenerate"
            found.append(Problem(kind, *trial, status=status, epochs=tuple(numbers)))
    for ranking in rankings:
        for row in ranking.rows:
            found += _doubts(source, ranking.n_train, row)
    return found


# The problem that tells of a status of the paper's line.
TOLD_BY = {
    "flat": "flat",
    "wrong_slope": "slope",
    "far_extrapolation": "far",
    "outside_unit": "outside",
}


def _doubts(source: _Source, n_train: int | None, row: RankingRow) -> list[Problem]:
    """Return why a prediction should not be trusted, or why there is none."""
    who = row.model, n_train
    found = _of_the_line(who, row)
    told = {one.kind for one in found} | {"outside"}
    for name, one in row.by_method.items():
        method, value = method_named(name), one.prediction
        if method.is_accuracy and isfinite(value) and not 0 <= value <= 1:
            found.append(Problem("outside", *who, value=value, method=method.label))
        if one.status != "ok" and not row.failed and TOLD_BY.get(one.status) not in told:
            found.append(Problem("status", *who, status=one.status, method=method.label))
    if isfinite(row.forecast.value) and row.forecast.status != "ok":
        found.append(Problem("forecast", *who, status=row.forecast.status))
    return found


def _of_the_line(who: tuple[str, int | None], row: RankingRow) -> list[Problem]:
    """Return the doubt about a candidate's line that has a heading of its own, if there is one."""
    fit = row.curves.fit
    if fit is None:
        return []
    if fit.status == "flat":
        return [Problem("flat", *who)]
    if fit.slope > 0 and fit.value + fit.std < row.curves.last_value:
        return [Problem("slope", *who, value=fit.slope)]
    return [Problem("far", *who, value=fit.reach)] if fit.status == "far_extrapolation" else []


def _provenance(source: _Source) -> Provenance:
    """Return versions, hardware, data, settings and what to run again."""
    environments = [source.environment] if source.environment else []
    data: dict[tuple[int | None, str], DataUsed] = {}
    for r in source.records:
        made = r.provenance.get("environment")
        keys = ("edgedyn", "python", "packages", "cpu", "cores", "platform")
        if made and not any(all(made.get(k) == e.get(k) for k in keys) for e in environments):
            environments.append(made)
        fingerprint = r.provenance.get("data_fingerprint")
        if fingerprint:
            sizes = r.provenance.get("data", {})
            parts = (sizes.get(k) for k in ("train", "validation", "test", "image_shape"))
            entry = DataUsed(r.n_train, fingerprint, [], *parts)
            seeds = data.setdefault((r.n_train, fingerprint), entry).seeds
            if r.seed not in seeds:
                seeds.append(r.seed)
    return Provenance(
        command=published(source.environment.get("command", "")),
        environments=environments,
        seeds=sorted({seed for _, seed, _ in source.planned}),
        data=list(data.values()),
        settings=dict(source.settings),
        study=published(study_toml(source.study)) if source.study else "",
        output=published(source.study.get("output", "")),
        seed=source.environment.get("seed"),
    )
