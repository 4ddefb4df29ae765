"""What a study found and what to doubt, in plain sentences; plain text, nothing escaped yet."""

from collections.abc import Sequence
from math import hypot, isfinite

from edgedyn.studies.summary_types import Problem, RankingRow, SizeSummary, StudySummary

STATUSES = {
    "gauge_degenerate": "signed strengths cancel exactly, so that the value says nothing",
    "ill_conditioned": "it is a small difference of large terms, so that rounding decides",
    "no_interior_layer": "the measured layers are too few for links of both directions",
}


def accuracy(value: float, std: float | None = None) -> str:
    """Return a value, with its standard deviation if that is given and finite.

    Examples
    --------
    >>> accuracy(0.91234, 0.0456), accuracy(-0.05), accuracy(float("nan"))
    ('0.912 ± 0.046', '−0.050', '–')
    """
    if not isfinite(value):
        return "–"
    spread = f" ± {std:.3f}" if std is not None and isfinite(std) else ""
    return f"{value:.3f}".replace("-", "\u2212") + spread


def number(value: float, digits: int = 3) -> str:
    """Return a number to so many significant digits; a dash for NaN."""
    if not isfinite(value):
        return "–"
    return f"{value:,.{digits}g}".replace("-", "\u2212").replace("e+", "e")


def duration(seconds: float) -> str:
    """Return a time that a person can read."""
    if not isfinite(seconds):
        return "–"
    if seconds < 90:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plural(n: int, word: str) -> str:
    """Return a number with its noun."""
    return f"{n:,} {word}{'' if n == 1 else 's'}"


def size_words(n_train: int | None) -> str:
    """Return the training size in words, a heading; empty where a study does not vary it."""
    return "" if n_train is None else f"With {n_train:,} training samples"


# The verdict -------------------------------------------------------------------------------------


def verdict(ranking: SizeSummary, summary: StudySummary) -> str:
    """Return one sentence: which candidate, by how much, how sure, and whether it came true."""
    ranked = [row for row in ranking.rows if isfinite(row.rank)]
    if not ranked:
        return (
            f"No candidate could be ranked: none has a usable prediction from its first "
            f"{summary.observed} epochs."
        )
    first = ranked[0]
    if len(ranked) == 1:
        value = accuracy(first.prediction, first.std)
        found = f"{first.model} is the only candidate with a prediction, {value}"
    else:
        found = _lead(first, ranked[1], summary.is_accuracy)
    return f"{found}; {_outcome(first, ranking.rows)}."


def _lead(first: RankingRow, second: RankingRow, is_accuracy: bool) -> str:
    """Say who leads by how much, and how sure that is."""
    gap = first.prediction - second.prediction
    what = "predicted to end best" if is_accuracy else "scored best"
    if gap == 0:
        return f"{first.model} and {second.model} are {what}, level with each other"
    spread = hypot(first.std, second.std)
    lead = f"{first.model} is {what}, ahead of {second.model} by"
    if not isfinite(spread):
        return f"{lead} {number(gap)}, without a measure of how sure that is"
    sure = (
        "too close to call"
        if gap < spread
        else "a lean, not a certainty"
        if gap < 2 * spread
        else "clear by the line's own error"
    )
    odd = not all(0 <= row.prediction <= 1 for row in (first, second))
    hint = ", though the values are no accuracies" if is_accuracy and odd else ""
    return f"{lead} {gap:.3f} ± {spread:.3f}: {sure}{hint}"


def _outcome(first: RankingRow, rows: Sequence[RankingRow]) -> str:
    """Say whether the choice was right, as far as candidates were trained to the end."""
    true = {row.model: row.curves.test for row in rows if isfinite(row.curves.test)}
    own = true.get(first.model)
    if own is None:
        others = "though others were" if true else "so that nobody knows yet"
        return f"it was not trained to the end, {others}"
    if len(true) == 1:
        return (
            f"trained to the end, it reached a test accuracy of {own:.3f}; as no other candidate "
            "was, whether another would have been better is not known"
        )
    place = 1 + sum(value > own for value in true.values())
    if place == 1:
        return (
            f"that came true: with {own:.3f} it has the best test accuracy of "
            f"{len(true)} candidates trained to the end"
        )
    best = max(true, key=lambda name: true[name])
    return (
        f"that did not come true: trained to the end, its test accuracy of {own:.3f} is number "
        f"{place} of {len(true)}, and {best} is best with {true[best]:.3f}"
    )


def notes(ranking: SizeSummary, summary: StudySummary) -> list[str]:
    """Return sentences to be read with the verdict: what limits it."""
    ranked = [row for row in ranking.rows if isfinite(row.rank)]
    if not ranked or not summary.is_accuracy:
        return []
    found = []
    first = ranked[0]
    if not 0 <= first.prediction <= 1:
        value = accuracy(first.prediction)
        found.append(
            f"Its predicted value, {value}, lies outside 0 to 1 and cannot be read as an "
            "accuracy; only the order of the candidates counts."
        )
    known = [row for row in ranking.rows if isfinite(row.curves.last_value)]
    ahead = max(known, key=lambda row: row.curves.last_value, default=None)
    if ahead is not None and summary.method != "last_value":
        chosen = "chooses it too"
        if ahead.curves.last_value > first.curves.last_value:
            values = f"{ahead.curves.last_value:.3f} against {first.curves.last_value:.3f}"
            chosen = f"would choose {ahead.model} instead: {values}"
        found.append(
            "The simplest prediction, the last accuracy that was observed (epoch "
            f"{summary.observed}), {chosen}."
        )
    return found


def standing(row: RankingRow, epochs: int) -> str:
    """Say how far a candidate has come."""
    n = row.n_planned
    if not row.curves.n_runs:
        return "not run yet"
    parts = []
    if row.failed:
        word = " and ".join(dict.fromkeys(row.failed))
        parts.append(word if n == 1 else f"{len(row.failed)} of {n} runs {word}")
    if row.curves.n_completed:
        share = "" if row.curves.n_completed == n else f"{row.curves.n_completed} of {n} runs "
        parts.append(f"{share}{'all' if not share else 'with all'} {epochs} epochs")
    elif not row.failed or len(row.failed) < row.curves.n_runs:
        parts.append(f"{row.n_epochs} of {epochs} epochs")
    if row.curves.n_runs < n:
        parts.append(f"{n - row.curves.n_runs} of {n} runs still to come")
    if isfinite(row.prediction) and row.status != "ok":
        parts.append(row.status)
    elif not isfinite(row.prediction) and not row.failed:
        parts.append(f"no prediction: {row.status}")
    return "; ".join(parts)


# Warnings ----------------------------------------------------------------------------------------


def warnings(summary: StudySummary) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return groups of warnings: what they mean, and whom they concern in which way."""
    groups: dict[str, tuple[str, list[tuple[str, str]]]] = {
        kind: (heading, []) for kind, heading in HEADINGS.items()
    }
    several = len(summary.rankings) > 1
    for one in summary.problems:
        where = []
        if one.seed is not None and len(summary.provenance.seeds) > 1:
            where.append(f"seed {one.seed}")
        if several and one.n_train is not None:
            where.append(f"{one.n_train:,} samples")
        who = one.model + (f" ({', '.join(where)})" if where else "")
        groups[one.kind][1].append((who, _detail(one)))
    return [group for group in groups.values() if group[1]]


HEADINGS = {
    "failed": "Failed: these runs stopped before their end; their candidates are ranked "
    "without them.",
    "diverged": "Diverged: the loss or the weights became infinite or no number.",
    "missing": "Not run yet: the study was interrupted; the same command takes it up where it "
    "stopped.",
    "degenerate": "Degenerate or ill-conditioned values of β_eff: left out of every fit.",
    "outside": "Outside 0 to 1: do not read these predictions as accuracies; only their order "
    "counts.",
    "slope": "The line slopes the wrong way: accuracy rises with β_eff, against the theory, and "
    "the prediction lies below what was seen.",
    "flat": "β_eff hardly changes: the slope of the line cannot be learnt.",
    "status": "The method itself has doubts.",
}


def _detail(one: Problem) -> str:
    """Return what is special to a warning of its kind."""
    word = one.status.replace("_", " ")
    if one.kind in ("failed", "diverged"):
        after = f" (after {plural(len(one.epochs), 'epoch')})" if one.epochs else ""
        return f"{one.reason or 'no reason given'}{after}"
    if one.kind == "degenerate":
        why = f": {STATUSES[one.status]}" if one.status in STATUSES else ""
        return f"{word} in {_epochs(one.epochs)}{why}"
    special = {"outside": accuracy(one.value), "slope": f"slope +{number(one.value)}"}
    return special.get(one.kind, word)


def _epochs(epochs: Sequence[int]) -> str:
    """Return epochs, runs of them as ranges."""
    runs: list[list[int]] = []  # first and last epoch
    for epoch in epochs:
        if runs and epoch == runs[-1][-1] + 1:
            runs[-1][1:] = [epoch]
        else:
            runs.append([epoch])
    words = ["–".join(map(str, run)) for run in runs]
    return f"epoch{'' if len(epochs) == 1 else 's'} {', '.join(words)}"
