"""A page about one study, for people who have not read the paper."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import isfinite
from string import Template
from typing import Any

import edgedyn
from edgedyn.predict.methods import method_named
from edgedyn.report import html
from edgedyn.report.study import words
from edgedyn.report.study.drawings import legend_mark
from edgedyn.report.study.provenance import provenance
from edgedyn.report.study.tables import cost_table, methods_table, ranking_csv, ranking_table

MOST_NUMBERS = 150_000  # in all curves; beyond, single runs and then the last panels are left out
DIGITS = 6
PAPER = (
    '<a href="https://doi.org/10.1038/s41467-024-48069-8" rel="noreferrer">Jiang, Huang, '
    "Pedapati, Chen, Sun and Gao, <cite>Network properties determine neural network "
    "performance</cite>, Nature Communications 15, 5718 (2024), doi:10.1038/s41467-024-48069-8</a>"
)


def study_page(summary: Mapping[str, Any]) -> str:
    """Return a self-contained page: ranking, meaning, panels, methods, cost, warnings, provenance.

    Parameters
    ----------
    summary : mapping
        As `edgedyn.studies.summary.summary` returns it.

    Returns
    -------
    str

    Examples
    --------
    >>> import tempfile
    >>> from edgedyn.report.study.page import study_page
    >>> from edgedyn.studies import EpochRecord, TrialRecord
    >>> from edgedyn.studies.store import Store
    >>> from edgedyn.studies.summary import summary
    >>> store = Store(tempfile.mkdtemp())
    >>> epochs = tuple(EpochRecord(k, 1.0, 0.1 * k, 0.5, 1 / k, "ok") for k in range(1, 6))
    >>> store.write("a", TrialRecord("<vgg>", "digits", 0, {}, epochs, "completed", 1.0, 0.1))
    >>> page = study_page(summary(store.folder))
    >>> "&lt;vgg&gt; is the only candidate with a prediction" in page, "<vgg>" in page
    (True, False)
    """
    rankings = summary["rankings"]
    title = f"Which model for {summary['data']}?"
    table = methods_table(rankings)
    warnings = words.warnings(summary)
    data = _data(summary)
    body = Template(html.asset("study.html")).substitute(
        kind="A demonstration" if summary["kind"] == "demo" else "A model-selection study",
        title=html.escape(title),
        counts=html.escape(_counts(summary)),
        verdict=html.escape(words.verdict(rankings[0], summary)),
        notes=_paragraphs(words.notes(rankings[0], summary)),
        n_warnings=sum(len(cases) for _, cases in warnings),
        csv_name="ranking.csv",
        csv=_data_uri(ranking_csv(rankings)),
        legend=_legend(summary),
        rankings="\n".join(_ranking(k, r, summary) for k, r in enumerate(rankings)),
        meaning=_meaning(summary),
        panel_legend=_panel_legend(summary) + _left_out(summary, data),
        panels="\n".join(_panels(k, r, len(rankings)) for k, r in enumerate(rankings)),
        methods=_methods(summary, table),
        cost=_cost(summary["cost"]),
        warnings=_warnings(warnings),
        provenance=provenance(summary),
        version=html.escape(edgedyn.__version__),
        data=html.data_block("data", data),
    )
    return html.page(
        title,
        body,
        scripts=[html.vendored("d3"), html.asset("study.js"), html.asset("sort.js")],
        styles=["common.css", "study.css"],
    )


# The top -----------------------------------------------------------------------------------------


def _counts(summary: Mapping[str, Any]) -> str:
    """Return the line below the title."""
    rows = summary["rankings"][0]["rows"]
    seeds = len(summary["provenance"]["seeds"])
    sizes = [r["n_train"] for r in summary["rankings"] if r["n_train"] is not None]
    parts = [
        words.plural(len(rows), "candidate"),
        f"predicted after {summary['observed']} of {summary['epochs']} epochs",
        words.plural(seeds, "seed"),
    ]
    if sizes:
        parts.append(f"{' and '.join(f'{n:,}' for n in sizes)} training samples")
    return " · ".join([*parts, *([summary["date"][:10]] if summary["date"] else [])])


def _paragraphs(sentences: Sequence[str]) -> str:
    """Return sentences as one paragraph."""
    return f"<p>{html.escape(' '.join(sentences))}</p>" if sentences else ""


def _data_uri(text: str) -> str:
    """Return a text as an address that holds it, so that it downloads without a script."""
    data = text.encode("utf-8", "replace")
    return f"data:text/csv;charset=utf-8;base64,{b64encode(data).decode('ascii')}"


def _legend(summary: Mapping[str, Any]) -> str:
    """Return what the marks in the ranking mean."""
    if not summary["is_accuracy"]:
        return f"{legend_mark('dot')} score; higher is better, and it is no accuracy."
    parts = [
        f"{legend_mark('dot')} predicted final accuracy ± one standard deviation",
        f"{legend_mark('last')} last accuracy that was observed",
    ]
    if any(isfinite(row["test"]) for r in summary["rankings"] for row in r["rows"]):
        parts.append(f"{legend_mark('final')} test accuracy at the end")
    parts.append('<span class="swatch"></span> above 1: no accuracy')
    return " ".join(f'<span class="key">{part}</span>' for part in parts)


def _ranking(k: int, ranking: Mapping[str, Any], summary: Mapping[str, Any]) -> str:
    """Return one training size's table."""
    above = ""
    if len(summary["rankings"]) > 1:
        above = f"<h3>{_capital(words.size_words(ranking['n_train']))}</h3>"
        if k:
            above += f"<p>{html.escape(words.verdict(ranking, summary))}</p>"
    return f'{above}<div class="wide">{ranking_table(ranking, summary, k)}</div>'


def _capital(text: str) -> str:
    """Return a text with a capital letter in front."""
    return text[:1].upper() + text[1:]


# The middle --------------------------------------------------------------------------------------


def _meaning(summary: Mapping[str, Any]) -> str:
    """Return the method in a few sentences, and when not to trust it."""
    where = (
        "the whole network"
        if summary["scope"] == "network"
        else "a small frozen network, the probe, that was put on top of the candidate"
    )
    return f"""<p>Each candidate was trained for only {summary["observed"]} epochs before it was
judged. After every epoch one number was measured on {where}: the <b>neural capacitance
β<sub>eff</sub></b>. It sums up how strongly the weights still pull at one another through the
training loss: large while many samples are wrong, and 0 once the network fits all of its training
samples. So as training goes on, β<sub>eff</sub> falls towards 0 while the accuracy rises; where the
two follow a straight line, <b>the line's value at β<sub>eff</sub> = 0 is the accuracy the training
is heading for</b>, known without training to the end. The ± is one standard deviation of that
value; from a handful of epochs it is itself uncertain, and rather too small.</p>
<p><b>Do not trust it</b> where the points follow no line or β<sub>eff</sub> does not fall; where 0
is far from all that was measured; where a warning is shown below; or where the network will never
fit its training samples (wrong labels, too small a network), for then β<sub>eff</sub> never
reaches 0. The line knows no ceiling: a value above 1 is no accuracy, and only the order of the
candidates counts. And look at the last accuracy seen: on small networks this simplest of all
predictions often ranks better than the line does.</p>
<p>The theory and the method: {PAPER}.</p>"""


def _panel_legend(summary: Mapping[str, Any]) -> str:
    """Return what the panels show."""
    seeds = (
        " Bold: means over the seeds; thin: single seeds."
        if len(summary["provenance"]["seeds"]) > 1
        else ""
    )
    return (
        "Of each candidate: the validation accuracy after each epoch; β<sub>eff</sub>; and one "
        "against the other with the fitted line, its band of one standard deviation, and its value "
        "at β<sub>eff</sub> = 0 (blue square). Epochs the prediction has seen are on grey ground; "
        "hollow points were left out of the line, small grey ones came later. The orange star is "
        f"the test accuracy at the end.{seeds} Point at an epoch, or go through them with the "
        "arrow keys."
    )


def _left_out(summary: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Say what a page of this size does not draw."""
    given = [model for ranking in summary["rankings"] for model in ranking["models"]]
    drawn = [model for ranking in data["rankings"] for model in ranking["models"]]
    found = []
    if sum(len(m["runs"]) for m in drawn) < sum(len(m["runs"]) for m in given[: len(drawn)]):
        found.append("single seeds are not drawn")
    if len(drawn) < len(given):
        found.append(f"only the first {len(drawn)} of {len(given)} panels are here")
    return f" <b>To keep the page small, {' and '.join(found)}.</b>" if found else ""


def _panels(k: int, ranking: Mapping[str, Any], n: int) -> str:
    """Return the place of one training size's panels."""
    place = f'<div class="cards" data-ranking="{k}"></div>'
    if n == 1:
        return place
    title = _capital(words.size_words(ranking["n_train"]))
    return f"<details{'' if k else ' open'}><summary>{title}</summary>{place}</details>"


def _methods(summary: Mapping[str, Any], table: str) -> str:
    """Return the comparison of methods, or why there is none."""
    if not table:
        n = max(
            sum(isfinite(row["test"]) for row in ranking["rows"]) for ranking in summary["rankings"]
        )
        trained = "no candidate was" if n == 0 else f"only {n} {'was' if n == 1 else 'were'}"
        return (
            "<p>That can be judged only against the truth: it takes at least three candidates that "
            f"were trained to the end, and here {trained}. A study with "
            '<code>stage = "full"</code> trains them all.</p>'
        )
    single = (
        " Here each seed's runs were ranked on their own and the results averaged, whereas the "
        "ranking above averages the curves first."
        if summary["over"] == "run"
        else ""
    )
    return (
        "<p>Spearman's ρ compares a method's order with the true one: 1 is the same order, 0 "
        "chance, −1 the reverse. The lead is ρ minus that of the last observed accuracy on the "
        "same candidates. The regret is the test accuracy lost by taking the method's first, or "
        "the best of its first three. Intervals are from resampled candidates: if one for the lead "
        f"holds 0, the method has not shown that it is worth its effort.{single}</p>"
        f'<div class="wide">{table}</div>'
    )


def _cost(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the cost in a sentence and a table."""
    if not rows:
        return "<p>No epoch was trained.</p>"
    train = sum(row["train_seconds"] for row in rows)
    beta = sum(row["beta_seconds"] for row in rows)
    if not train > 0 or not isfinite(beta):
        said = "Times are not known."
    else:
        said = (
            f"Training took {words.duration(train)} in all, measuring β<sub>eff</sub> "
            f"{words.duration(beta)}: c = {beta / train:.3f} of the training time."
        )
    return f'<p>{said}</p><div class="wide">{cost_table(rows)}</div>'


def _warnings(groups: Sequence[tuple[str, Sequence[tuple[str, str]]]]) -> str:
    """Return the warnings, grouped by kind."""
    if not groups:
        return "<p>There are no warnings.</p>"
    found = []
    for heading, cases in groups:
        items = "".join(
            f"<li><b>{html.escape(who)}</b>{html.escape(f': {detail}' if detail else '')}</li>"
            for who, detail in cases
        )
        # Text before the first colon is what kind of warning it is.
        kind, _, rest = heading.partition(":")
        said = f"<b>{html.escape(kind)}</b>" + (f":{html.escape(rest)}" if rest else "")
        said = said.replace("β_eff", "β<sub>eff</sub>")
        found.append(f'<div class="notice"><p>{said}</p><ul>{items}</ul></div>')
    return "\n".join(found)


# Data --------------------------------------------------------------------------------------------


def _data(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the panels draw."""
    left = MOST_NUMBERS
    whole = sum(_size(model) for r in summary["rankings"] for model in r["models"])
    found = []
    for ranking in summary["rankings"]:
        models = []
        for row, model in zip(ranking["rows"], ranking["models"], strict=True):
            kept = dict(model) if whole <= MOST_NUMBERS else {**model, "runs": []}
            left -= _size(kept)
            if left < 0:
                break
            models.append({**kept, **{name: row[name] for name in ("prediction", "std", "rank")}})
        found.append({"n_train": ranking["n_train"], "models": models})
    return _rounded(
        {
            "observed": summary["observed"],
            "epochs": summary["epochs"],
            "method": method_named(summary["method"]).label,
            "is_line": summary["method"] == "capacitance",
            "is_accuracy": summary["is_accuracy"],
            "rankings": found,
        }
    )


def _size(model: Mapping[str, Any]) -> int:
    """Return how many numbers a candidate's curves have."""
    return 2 * (len(model["accuracy"]) + sum(len(run["accuracy"]) for run in model["runs"]))


def _rounded(value: Any) -> Any:
    """Round to what a drawing shows."""
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
