"""A page about one study, for people who have not read the paper."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import asdict, replace
from math import isfinite
from typing import Any

import edgedyn
from edgedyn.report import html
from edgedyn.report.study import words
from edgedyn.report.study.drawings import legend_mark
from edgedyn.report.study.provenance import commands_again, facts_of
from edgedyn.report.study.tables import cost_table, methods_table, ranking_csv, ranking_table
from edgedyn.studies.summary_types import CandidateCurves, StudySummary

MOST_NUMBERS = 150_000  # in all curves; beyond, single runs and then the last panels are left out
DIGITS = 6


def study_page(summary: StudySummary) -> str:
    """Return a self-contained page: ranking, panels, methods, cost, warnings, provenance."""
    rankings = summary.rankings
    title = f"Which model for {summary.data}?"
    data = _data(summary)
    download = b64encode(ranking_csv(rankings).encode("utf-8", "replace")).decode("ascii")
    tests = [sum(isfinite(row.curves.test) for row in ranking.rows) for ranking in rankings]
    body = html.render(
        "study.html",
        summary=summary,
        words=words,
        mark=legend_mark,
        title=title,
        counts=_counts(summary),
        notes=words.notes(rankings[0], summary),
        csv=f"data:text/csv;charset=utf-8;base64,{download}",
        rankings=[
            {
                "title": words.size_words(ranking.n_train),
                "verdict": words.verdict(ranking, summary),
                "table": ranking_table(ranking, summary, k),
            }
            for k, ranking in enumerate(rankings)
        ],
        left_out=_left_out(summary, data),
        methods=methods_table(rankings),
        most_tests=max(tests),
        cost=cost_table(summary.cost),
        warnings=words.warnings(summary),
        facts=facts_of(summary),
        commands=commands_again(summary),
        version=edgedyn.__version__,
        data=html.data_block("data", data),
    )
    return html.page(
        title,
        body,
        scripts=[html.vendored("d3"), html.asset("study.js"), html.asset("sort.js")],
        styles=["common.css", "study.css"],
    )


def _counts(summary: StudySummary) -> str:
    """Return the line below the title."""
    sizes = " and ".join(f"{r.n_train:,}" for r in summary.rankings if r.n_train is not None)
    parts = [
        words.plural(len(summary.rankings[0].rows), "candidate"),
        f"a race to {summary.epochs} epochs"
        if summary.rungs
        else f"predicted after {summary.observed} of {summary.epochs} epochs",
        words.plural(len(summary.provenance.seeds), "seed"),
        sizes and f"{sizes} training samples",
        summary.date[:10],
    ]
    return " · ".join(filter(None, parts))


def _left_out(summary: StudySummary, data: Mapping[str, Any]) -> list[str]:
    """Say what a page of this size does not draw."""
    given = [row.curves for ranking in summary.rankings for row in ranking.rows]
    drawn = [model for ranking in data["rankings"] for model in ranking["models"]]
    found = []
    if sum(len(m["runs"]) for m in drawn) < sum(len(m.runs) for m in given[: len(drawn)]):
        found.append("single seeds are not drawn")
    if len(drawn) < len(given):
        found.append(f"only the first {len(drawn)} of {len(given)} panels are here")
    return found


# Data --------------------------------------------------------------------------------------------


def _data(summary: StudySummary) -> dict[str, Any]:
    """Return what the panels draw."""
    left = MOST_NUMBERS
    whole = sum(_size(row.curves) for ranking in summary.rankings for row in ranking.rows)
    found = []
    for ranking in summary.rankings:
        models = []
        for row in ranking.rows:
            kept = row.curves if whole <= MOST_NUMBERS else replace(row.curves, runs=[])
            left -= _size(kept)
            if left < 0:
                break
            f = row.forecast
            half = (f.high_68 - f.low_68) / 2
            own = {"forecast": f.value, "half": half, "words": words.forecast(f), "rank": row.rank}
            models.append(asdict(kept) | own)
        found.append({"n_train": ranking.n_train, "models": models})
    return _rounded({"observed": summary.observed, "epochs": summary.epochs, "rankings": found})


def _size(model: CandidateCurves) -> int:
    """Return how many numbers a candidate's curves have."""
    return 2 * (len(model.accuracy) + sum(len(run.accuracy) for run in model.runs))


def _rounded(value: Any) -> Any:
    """Round to what a drawing shows."""
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
