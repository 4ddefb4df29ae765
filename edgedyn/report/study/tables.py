"""The tables of a study's page: ranking, comparison of methods, cost; and the ranking as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from math import isfinite, nan
from typing import Any

from edgedyn.predict.methods import method_named
from edgedyn.report.html import escape
from edgedyn.report.study import drawings, words

MOST_OTHERS = 3  # other methods' predictions beside the ranking; all are in the CSV
# A spreadsheet would take a text that begins so for a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def ranking_table(ranking: Mapping[str, Any], summary: Mapping[str, Any], k: int) -> str:
    """Return the ranking as a sortable table; rows link to the panels ``model-K-N``."""
    rows, is_accuracy = ranking["rows"], summary["is_accuracy"]
    shown = [row["prediction"] for row in rows]
    if is_accuracy:
        shown += [row[name] for row in rows for name in ("last_value", "test")]
        scale, ceiling = drawings.Scale(shown), 1.0
    else:
        scale, ceiling = drawings.Scale(shown, (-float("inf"), float("inf"))), None
    others = _others(ranking, summary)
    ended = [n for n in ("validation", "test") if any(isfinite(row[n]) for row in rows)]
    head = [
        _head("Place", "number"),
        _head("Candidate", "text"),
        _head("Predicted" if is_accuracy else "Score", "number"),
        f'<th scope="col" class="drawing">{drawings.axis(scale, ceiling)}</th>',
        _head(f"Last&nbsp;seen<br>(epoch&nbsp;{summary['observed']})", "number"),
        *(_head(f"By {escape(method_named(name).label)}", "number") for name in others),
        *(_head(f"Final<br>{name}", "number") for name in ended),
        _head("Status", "text"),
    ]
    body = []
    for n, row in enumerate(rows):
        cells = [
            _cell(f"{row['rank']:g}" if isfinite(row["rank"]) else "–", row["rank"]),
            f'<th scope="row"><a href="#model-{k}-{n}">{escape(row["model"])}</a></th>',
            _cell(_predicted(row, is_accuracy), row["prediction"]),
            f'<td class="drawing">{_drawing(scale, row, summary, ceiling)}</td>',
            _cell(words.accuracy(row["last_value"]), row["last_value"]),
            *(_other(row, name) for name in others),
            *(_cell(words.accuracy(row[name]), row[name]) for name in ended),
            f'<td class="words">{_status(row, summary)}</td>',
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<table class="sortable"><thead><tr>{"".join(head)}</tr></thead>'
        f"<tbody>\n{chr(10).join(body)}\n</tbody></table>"
    )


def _others(ranking: Mapping[str, Any], summary: Mapping[str, Any]) -> list[str]:
    """Return the methods that get a column of their own."""
    known = [m for row in ranking["rows"] for m in row["by_method"]]
    kept = [m for m in dict.fromkeys(known) if m not in (summary["method"], "last_value")]
    return kept[:MOST_OTHERS]


def _head(title: str, kind: str) -> str:
    """Return a heading; the page's script makes a button of it."""
    return f'<th scope="col" data-sort="{kind}">{title}</th>'


def _cell(markup: str, value: float) -> str:
    """Return a cell that is sorted by a number."""
    number = f"{value:.10g}" if isfinite(value) else ""
    return f'<td data-value="{number}">{markup}</td>'


def _predicted(row: Mapping[str, Any], is_accuracy: bool) -> str:
    """Return the prediction; one that is no accuracy says so."""
    value = row["prediction"]
    if not is_accuracy:
        return words.number(value, 4)
    text = words.accuracy(value, row["std"])
    if not isfinite(value) or 0 <= value <= 1:
        return text
    return f'{text}<br><small class="odd">{"above 1" if value > 1 else "below 0"}</small>'


def _other(row: Mapping[str, Any], name: str) -> str:
    """Return another method's prediction."""
    value = row["by_method"].get(name, {}).get("prediction", nan)
    return _cell(words.number(value, 3) if abs(value) >= 100 else words.accuracy(value), value)


def _drawing(
    scale: drawings.Scale,
    row: Mapping[str, Any],
    summary: Mapping[str, Any],
    ceiling: float | None,
) -> str:
    """Return the drawing of a row."""
    value, std = row["prediction"], row["std"]
    if not isfinite(value) and not isfinite(row["last_value"]):
        return ""
    said = [f"predicted {words.accuracy(value, std)}"] if isfinite(value) else []
    extra = {}
    if summary["is_accuracy"]:
        extra = {"last": row["last_value"], "final": row["test"]}
        said += [
            f"{name} {words.accuracy(v)}"
            for name, v in (("last seen", row["last_value"]), ("final test", row["test"]))
            if isfinite(v)
        ]
    text = f"{row['model']}: {', '.join(said)}"
    return drawings.interval(scale, value, value - std, value + std, text, ceiling=ceiling, **extra)


def _status(row: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return how far a candidate has come, with reasons."""
    text = escape(words.standing(row, summary["epochs"]))
    reasons = "".join(f"<br><small>{escape(reason)}</small>" for reason in row["reasons"])
    return text + reasons


def ranking_csv(rankings: Sequence[Mapping[str, Any]]) -> str:
    """Return the rankings of all training sizes, one row a candidate."""
    methods = list(
        dict.fromkeys(m for r in rankings for row in r["rows"] for m in row["by_method"])
    )
    plain = ["rank", "prediction", "std", "last_value", "validation", "test"]
    text = io.StringIO()
    writer = csv.writer(text)
    by_method = [f"{m}_{part}" for m in methods for part in ("prediction", "std")]
    writer.writerow(["n_train", "model", *plain, "status", "reason", *by_method])
    for ranking in rankings:
        for row in ranking["rows"]:
            found = [
                row["by_method"].get(m, {}).get(part, nan)
                for m in methods
                for part in ("prediction", "std")
            ]
            size = "" if ranking["n_train"] is None else ranking["n_train"]
            reason = "; ".join(row["reasons"])
            writer.writerow(
                [size, _safe(row["model"]), *(_number(row[name]) for name in plain)]
                + [_safe(row["status"]), _safe(reason), *map(_number, found)]
            )
    return text.getvalue()


def _number(value: float) -> str:
    """Return a number in full; nothing for NaN."""
    return repr(float(value)) if isfinite(value) else ""


def _safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text


# Comparison --------------------------------------------------------------------------------------


def methods_table(rankings: Sequence[Mapping[str, Any]]) -> str:
    """Return how well the methods rank; empty where there are no truths."""
    judged = [
        (ranking["n_train"], method)
        for ranking in rankings
        for method in ranking["methods"]
        if isfinite(method["rho"])
    ]
    if not judged:
        return ""
    several = len(rankings) > 1
    rho = drawings.Scale([-1, 1], (-1, 1), 150)
    names = ("lead", "lead_low", "lead_high")
    leads = [m[name] for _, m in judged for name in names]
    lead = drawings.Scale([-0.1, 0.1, *leads], (-2, 2), 150)
    head = [
        _head("Method", "text"),
        *([_head("Training samples", "number")] if several else []),
        _head("Spearman's ρ,<br>95&nbsp;% interval", "number"),
        f'<th scope="col" class="drawing">{drawings.axis(rho)}</th>',
        _head("Lead over<br>last value", "number"),
        f'<th scope="col" class="drawing">{drawings.axis(lead)}</th>',
        _head("Regret", "number"),
        _head("Regret,<br>best of 3", "number"),
        _head("Candidates", "number"),
    ]
    body = []
    for n, one in judged:
        name = method_named(one["method"]).label
        own = one["method"] == "last_value"
        cells = [
            f'<th scope="row"><span>{escape(name)}</span></th>',
            *(
                [_cell("all" if n is None else f"{n:,}", nan if n is None else n)]
                if several
                else []
            ),
            _cell(_between(one, "rho"), one["rho"]),
            f'<td class="drawing">{_whiskers(rho, one, "rho", name)}</td>',
            _cell("" if own else _between(one, "lead"), one["lead"]),
            f'<td class="drawing">{"" if own else _whiskers(lead, one, "lead", name)}</td>',
            _cell(words.accuracy(one["regret"]), one["regret"]),
            _cell(words.accuracy(one["regret_top3"]), one["regret_top3"]),
            _cell(str(one["n_models"]), one["n_models"]),
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<table class="sortable"><thead><tr>{"".join(head)}</tr></thead>'
        f"<tbody>\n{chr(10).join(body)}\n</tbody></table>"
    )


def _between(one: Mapping[str, Any], name: str) -> str:
    """Return a value with its interval."""
    value, low, high = (f"{one[key]:.2f}" for key in (name, f"{name}_low", f"{name}_high"))
    return f"{value} <small>({low} to {high})</small>".replace("-", "\u2212")


def _whiskers(scale: drawings.Scale, one: Mapping[str, Any], name: str, method: str) -> str:
    """Return the drawing of a value with its interval."""
    value, low, high = (one[key] for key in (name, f"{name}_low", f"{name}_high"))
    said = f"{method}: {value:.2f}, 95 % interval {low:.2f} to {high:.2f}"
    return drawings.interval(scale, value, low, high, said, rule=0.0)


# Cost --------------------------------------------------------------------------------------------


def cost_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what each candidate took."""
    most = max((row["ratio"] for row in rows if isfinite(row["ratio"])), default=1.0) or 1.0
    memory = any(isfinite(row["peak_memory_mib"]) for row in rows)
    sizes = any(isfinite(row["parameters"]) for row in rows)
    head = [
        _head("Candidate", "text"),
        *([_head("Parameters", "number")] if sizes else []),
        _head("Epochs trained", "number"),
        _head("Training", "number"),
        _head("Measuring β<sub>eff</sub>", "number"),
        _head("c", "number"),
        '<th scope="col" class="drawing"><span class="visually-hidden">c as a bar</span></th>',
        *([_head("Peak memory", "number")] if memory else []),
    ]
    body = []
    for row in rows:
        ratio, peak = row["ratio"], row["peak_memory_mib"]
        drawn = drawings.bar(ratio / most, f"c = {ratio:.3f}") if isfinite(ratio) else ""
        count = f"{row['parameters']:,}" if isfinite(row["parameters"]) else "–"
        cells = [
            f'<th scope="row"><span>{escape(row["model"])}</span></th>',
            *([_cell(count, row["parameters"])] if sizes else []),
            _cell(f"{row['epochs']:,}", row["epochs"]),
            _cell(words.duration(row["train_seconds"]), row["train_seconds"]),
            _cell(words.duration(row["beta_seconds"]), row["beta_seconds"]),
            _cell(f"{ratio:.3f}" if isfinite(ratio) else "–", ratio),
            f'<td class="drawing">{drawn}</td>',
            *([_cell(f"{peak:,.0f} MiB" if isfinite(peak) else "–", peak)] if memory else []),
        ]
        body.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<table class="sortable"><thead><tr>{"".join(head)}</tr></thead>'
        f"<tbody>\n{chr(10).join(body)}\n</tbody></table>"
    )
