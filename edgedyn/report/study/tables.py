"""The tables of a study's page: ranking, comparison of methods, cost; and the ranking as CSV."""

import csv
import io
from collections.abc import Sequence
from math import isfinite, nan

from markupsafe import Markup

from edgedyn._files import no_formula
from edgedyn.predict.methods import method_named
from edgedyn.report.html import render
from edgedyn.report.study import drawings, words
from edgedyn.studies.summary_types import (
    CandidateCost,
    MethodValue,
    RankingRow,
    SizeSummary,
    StudySummary,
)

MOST_OTHERS = 3  # other methods' predictions beside the ranking; all are in the CSV


def ranking_table(ranking: SizeSummary, summary: StudySummary, k: int) -> Markup:
    """Return the ranking as a sortable table; rows link to the panels ``model-K-N``."""
    rows = ranking.rows
    known = (
        (f.low_95, f.high_95, row.curves.last_value, row.curves.test)
        for row in rows
        for f in (row.forecast,)
    )
    scale = drawings.Scale([value for values in known for value in values])
    found = dict.fromkeys(m for row in rows for m in row.by_method)
    others = [m for m in found if m not in ("last_value", "best_value")][:MOST_OTHERS]
    ends = {name: [getattr(row.curves, name) for row in rows] for name in ("validation", "test")}
    return render(
        "ranking.html",
        k=k,
        summary=summary,
        words=words,
        axis=drawings.axis(scale, 1.0),
        others={name: method_named(name) for name in others},
        ended=[name for name, values in ends.items() if any(map(isfinite, values))],
        rows=[(row, _drawing(scale, row)) for row in rows],
    )


def _drawing(scale: drawings.Scale, row: RankingRow) -> Markup:
    """Return the drawing of a row: forecast, last value, truth."""
    f, last, final = row.forecast, row.curves.last_value, row.curves.test
    if not isfinite(f.value) and not isfinite(last):
        return Markup()
    said = [f"forecast {words.forecast(f)}"] if isfinite(f.value) else []
    marks = {"last seen": last, "final test": final}
    said += [f"{name} {words.accuracy(v)}" for name, v in marks.items() if isfinite(v)]
    text = f"{row.model}: {', '.join(said)}"
    return drawings.interval(
        scale, f.value, f.low_68, f.high_68, text, last=last, final=final, ceiling=1.0
    )


def ranking_csv(rankings: Sequence[SizeSummary]) -> str:
    """Return the rankings of all training sizes, one row a candidate."""
    methods = list(dict.fromkeys(m for r in rankings for row in r.rows for m in row.by_method))
    text = io.StringIO()
    writer = csv.writer(text)
    own, seen = ["rank", "prediction", "std"], ["last_value", "validation", "test"]
    ends = ["value", "low_68", "high_68", "low_95", "high_95"]
    expected = ["forecast", *(f"forecast_{end}" for end in ends[1:])]
    by_method = [f"{m}_{part}" for m in methods for part in ("prediction", "std", "status")]
    writer.writerow(["n_train", "model", *own, *seen, *expected, "status", "reason", *by_method])
    unknown = MethodValue(nan, nan, "")
    for ranking in rankings:
        size = "" if ranking.n_train is None else ranking.n_train
        for row in ranking.rows:
            values = [getattr(row, m) for m in own] + [getattr(row.curves, m) for m in seen]
            values += [getattr(row.forecast, end) for end in ends]
            cells = [size, no_formula(row.model), *map(_number, values)]
            cells += [no_formula(row.status), no_formula("; ".join(row.reasons))]
            for one in (row.by_method.get(m, unknown) for m in methods):
                cells += [_number(one.prediction), _number(one.std), no_formula(one.status)]
            writer.writerow(cells)
    return text.getvalue()


def _number(value: float) -> str:
    """Return a number in full; nothing for NaN."""
    return repr(float(value)) if isfinite(value) else ""


def methods_table(rankings: Sequence[SizeSummary]) -> Markup:
    """Return how well the methods rank; empty where there are no truths."""
    judged = [(r.n_train, m) for r in rankings for m in r.methods if isfinite(m.rho)]
    if not judged:
        return Markup()
    rho = drawings.Scale([-1, 1], (-1, 1), 150)
    leads = [value for _, m in judged for value in (m.lead, m.lead_low, m.lead_high)]
    lead = drawings.Scale([-0.1, 0.1, *leads], (-2, 2), 150)
    rows = []
    for n, one in judged:
        name = method_named(one.method).label
        own = _whiskers(rho, one.rho, one.rho_low, one.rho_high, name)
        ahead = _whiskers(lead, one.lead, one.lead_low, one.lead_high, name)
        rows.append((n, one, name, own, "" if one.method == "last_value" else ahead))
    return render(
        "methods.html",
        words=words,
        several=len(rankings) > 1,
        rho_axis=drawings.axis(rho),
        lead_axis=drawings.axis(lead),
        rows=rows,
    )


def _whiskers(scale: drawings.Scale, value: float, low: float, high: float, name: str) -> Markup:
    """Return the drawing of a value with its interval."""
    said = f"{name}: {value:.2f}, 95 % interval {low:.2f} to {high:.2f}"
    return drawings.interval(scale, value, low, high, said, rule=0.0)


def cost_table(rows: Sequence[CandidateCost]) -> Markup:
    """Return what each candidate took."""
    most = max((row.ratio for row in rows if isfinite(row.ratio)), default=1.0) or 1.0
    bars = [
        drawings.bar(row.ratio / most, f"c = {row.ratio:.3f}") if isfinite(row.ratio) else ""
        for row in rows
    ]
    return render(
        "cost.html",
        words=words,
        rows=list(zip(rows, bars, strict=True)),
        sizes=any(isfinite(row.parameters) for row in rows),
        memory=any(isfinite(row.peak_memory_mib) for row in rows),
    )
