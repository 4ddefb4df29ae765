"""What a study found and what to doubt, in plain sentences; plain text, nothing escaped yet."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

from edgedyn.predict.methods import method_named
from edgedyn.studies.summary_types import Problem, RankingRow, SizeSummary, StudySummary

STATUSES = {
    "gauge_degenerate": "signed strengths cancel exactly, so that the value says nothing",
    "dead": "no strength at all, though errors are left: no unit is active",
    "vanishing": "so small beside the errors that features or weights all but vanish on the way",
    "not_finite": "sums overflow",
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
    """Return a few sentences: which candidate, how sure, what it will reach, did it come true."""
    if ranking.choice is None:
        return (
            f"No candidate could be ranked: none has a usable prediction from its first "
            f"{summary.observed} epochs."
        )
    first = next(row for row in ranking.rows if row.model == ranking.choice.chosen[0])
    parts = [_named(ranking, summary), _expected(first, summary.epochs)]
    return f"{'; '.join(filter(None, parts))}. {capital(_outcome(ranking.choice, ranking.rows))}."


def _named(ranking: SizeSummary, summary: StudySummary) -> str:
    """Say which candidate is named, and how surely it is ahead."""
    choice = ranking.choice
    assert choice is not None
    first, *others = choice.chosen
    after = f"after {plural(choice.epochs, 'epoch')}"
    early = choice.epochs < summary.epochs and not summary.rungs
    if early and summary.method != "last_value":
        after = f"by {method_named(summary.method).label} {after}"
    if choice.status != "ok":
        return f"{first} is named {after}, without a measure of how sure that is"
    if not choice.leads:
        return f"{first} is the only candidate {after}"
    chance = f"the best with probability {choice.chance[first]:.2f}"
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        near = choice.leads[others[0]]
        return (
            f"{first} and {others[0]}{more} cannot be told apart {after}: {first} is {chance}, and "
            f"{others[0]} in its place would cost {_points(near.value)} ({_points(near.low)} to "
            f"{_points(near.high)}) of validation accuracy{_of_one_seed(near)}"
        )
    name, near = min(choice.leads.items(), key=lambda one: one[1].low)
    word = "ahead of" if near.value >= 0 else "though behind"
    return (
        f"{first} is named {after}, {word} {name} by {_points(near.value)} ({_points(near.low)} to "
        f"{_points(near.high)}) of validation accuracy{_of_one_seed(near)}; {chance}"
    )


def _of_one_seed(lead: Any) -> str:
    """Say that how much seeds differ is not in an interval."""
    return ", how other seeds would do not counted" if lead.n_seeds == 1 else ""


def _points(value: float) -> str:
    """Return a difference of accuracies."""
    return f"{value:z.3f}".replace("-", "\u2212")


def _expected(row: RankingRow, epochs: int) -> str:
    """Say what the final accuracy is forecast to be; nothing where it is known or unknowable."""
    if isfinite(row.curves.test) or not isfinite(row.forecast.value):
        return ""
    return f"its accuracy after {epochs} epochs is forecast as {forecast(row.forecast)}"


def forecast(one: Any) -> str:
    """Return a forecast with its 68 % interval.

    Examples
    --------
    >>> from edgedyn.predict.forecast import Forecast
    >>> forecast(Forecast(0.71, 0.66, 0.75, 0.58, 0.81, "ok"))
    '0.710 (0.660 to 0.750)'
    """
    if not isfinite(one.value):
        return "–"
    return f"{one.value:.3f} ({one.low_68:.3f} to {one.high_68:.3f})"


def by_method(value: float, is_accuracy: bool) -> str:
    """Return a method's value; what lies outside 0 to 1 is no accuracy and not printed as one."""
    if not is_accuracy:
        return number(value, 4)
    return accuracy(value) if not isfinite(value) or 0 <= value <= 1 else "no accuracy"


def capital(text: str) -> str:
    """Begin a sentence."""
    return text[:1].upper() + text[1:]


def _outcome(choice: Any, rows: Sequence[RankingRow]) -> str:
    """Say whether the choice was right, as far as candidates were trained to the end."""
    first = choice.chosen[0]
    true = {row.model: row.curves.test for row in rows if isfinite(row.curves.test)}
    own = true.get(first)
    if own is None:
        others = "though others were" if true else "so that nobody knows yet"
        return f"it was not trained to the end, {others}"
    if len(true) == 1:
        return (
            f"trained to the end, it reached a test accuracy of {own:.3f}; as no other candidate "
            "was, whether another would have been better is not known"
        )
    best = max(true, key=lambda name: true[name])
    if true[best] == own:
        return (
            f"that came true: with {own:.3f} it has the best test accuracy of "
            f"{len(true)} candidates trained to the end"
        )
    place = 1 + sum(value > own for value in true.values())
    with_best = f"{best} is best with {true[best]:.3f}"
    if best in choice.chosen:
        with_best = f"the best, {best} with {true[best]:.3f}, is among those named"
    return (
        f"trained to the end, {first} has a test accuracy of {own:.3f}, number {place} of "
        f"{len(true)}, and {with_best}"
    )


def notes(ranking: SizeSummary, summary: StudySummary) -> list[str]:
    """Return sentences to be read with the verdict: what other rules would have named."""
    if ranking.choice is None:
        return []
    found = []
    methods = dict.fromkeys(m for row in ranking.rows for m in row.by_method)
    for name in (m for m in methods if m in REFERENCES and m != summary.method):
        asked = [row for row in ranking.rows if name in row.by_method]
        values = [(row.by_method[name].prediction, row.model) for row in asked]
        known = [pair for pair in values if isfinite(pair[0])]
        if not known:
            continue
        value, best = max(known, key=lambda pair: pair[0])
        odd = "" if 0 <= value <= 1 else ", by a value that is no accuracy"
        same = best == ranking.choice.chosen[0]
        what = "would name it too" if same else f"would name {best}"
        found.append(f"{capital(REFERENCES[name])} {what}{odd}.")
    if summary.head_after:
        found.append(
            "Forecasts are of training with the probe; the ordinary head that takes its place "
            f"after epoch {summary.head_after} usually reaches more."
        )
    return found


# Rules that are always shown beside the one that chooses.
REFERENCES = {
    "capacitance": "the paper's rule, the line read off at β_eff = 0,",
    "last_value": "the simplest prediction, the last accuracy that was observed,",
}


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
    "vanishing": "Vanishing values of β_eff: right, but too small to compare.",
    "outside": "Outside 0 to 1: these predictions are no accuracies; only their order counts.",
    "forecast": "Forecasts that reach beyond what was learnt: their intervals are wider.",
    "slope": "The line slopes the wrong way: accuracy rises with β_eff, against the theory, and "
    "the prediction lies below what was seen.",
    "far": "The line is read off far from what was seen: β_eff = 0 lies more than five times the "
    "observed range away, and its interval holds only if the line does.",
    "flat": "β_eff hardly changes: the slope of the line cannot be learnt.",
    "status": "The method itself has doubts, or says nothing.",
}


def _detail(one: Problem) -> str:
    """Return what is special to a warning of its kind."""
    word = one.status.replace("_", " ")
    if one.kind in ("failed", "diverged"):
        after = f" (after {plural(len(one.epochs), 'epoch')})" if one.epochs else ""
        return f"{one.reason or 'no reason given'}{after}"
    if one.kind in ("degenerate", "vanishing"):
        why = f": {STATUSES[one.status]}" if one.status in STATUSES else ""
        return f"{word} in {_epochs(one.epochs)}{why}"
    whose = f"{one.method}: " if one.method else ""
    special = {
        "outside": number(one.value),
        "slope": f"slope +{number(one.value)}",
        "far": f"{number(one.value)} ranges away",
    }
    return whose + special.get(one.kind, word)


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
