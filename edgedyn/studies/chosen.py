"""What a study names: its choice with the paired evidence, and forecasts of final accuracies."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import isfinite, nan
from typing import Any

import numpy as np

from edgedyn._array import Array
from edgedyn._bits import unpack_bits
from edgedyn.predict.choice import Choice, choose
from edgedyn.predict.forecast import (
    LEAST_RATIO,
    Completed,
    Forecast,
    forecast,
    learn,
    shipped,
)
from edgedyn.predict.rank import Ranking
from edgedyn.studies.record import TrialRecord, at_its_end
from edgedyn.studies.store import load_records

FEWEST = 4  # epochs of a completed curve that teaches something


def study_choice(
    ranking: Ranking | None, records: Sequence[TrialRecord], last: int, stage: str
) -> Choice | None:
    """Return what a study names: the best of several trained to the end, else the early choice.

    A study that trains all candidates to the end judges its early choice, and keeps it. A race
    names the best of the last that were compared. `ranking` is that of means over seeds, `last` the
    last epoch; the records' `val_correct` says how surely.
    """
    found = None
    if stage == "race":
        found = _raced_choice(records)
    elif stage != "full":
        found = _final_choice(records, last)
    return found or early_choice(ranking, records)


def early_choice(ranking: Ranking | None, records: Sequence[TrialRecord]) -> Choice | None:
    """Return which candidates the first method names after the early epochs; None without any."""
    if ranking is None:
        return None
    rows = [row for row in ranking.rows if row.method == ranking.rows[0].method]
    ranked = sorted((row for row in rows if isfinite(row.rank)), key=lambda row: row.rank)
    if not ranked:
        return None
    return _chosen([row.model for row in ranked], records, ranking.observed)


def _final_choice(records: Sequence[TrialRecord], last: int) -> Choice | None:
    """Return which of the candidates trained to the end, two or more, are the best there."""
    done = [r for r in records if at_its_end(r, last)]
    # Those that ended earlier are as good as what they had then.
    padded = [replace(r, epochs=r.epochs + r.epochs[-1:] * (last - r.n_epochs)) for r in done]
    return _best_after(padded, last) if len({r.model for r in done}) > 1 else None


def _raced_choice(records: Sequence[TrialRecord]) -> Choice | None:
    """Return which of the candidates that came farthest is best after the last common epoch."""
    reached: dict[str, int] = {}
    for r in records:
        if r.status in ("completed", "early"):
            reached[r.model] = min(reached.get(r.model, r.n_epochs), r.n_epochs)
    if not reached:
        return None
    common = sorted(reached.values())[-min(2, len(reached))]
    kept = [r for r in records if reached.get(r.model, 0) >= common and r.n_epochs >= common]
    return _best_after(kept, common)


def _best_after(records: Sequence[TrialRecord], epochs: int) -> Choice:
    """Compare candidates by their validation accuracy after so many epochs."""
    values: dict[str, list[float]] = {}
    for r in records:
        values.setdefault(r.model, []).append(r.epochs[epochs - 1].val_accuracy)
    order = sorted(values, key=lambda model: -float(np.mean(values[model])))
    return _chosen(order, records, epochs)


def _chosen(order: Sequence[str], records: Sequence[TrialRecord], epochs: int) -> Choice:
    """Compare candidates by the validation samples each had right after so many epochs."""
    return choose(order, right_after(records, order, epochs), epochs=epochs)


def right_after(
    records: Sequence[TrialRecord], models: Sequence[str], epochs: int
) -> dict[str, Array]:
    """Return which validation samples each candidate had right, shape (n_seeds, n_samples).

    The seeds are those that all candidates have; none: nothing is returned.
    """
    bits: dict[str, dict[int, str]] = {model: {} for model in models}
    for r in records:
        if r.model in bits and r.n_epochs >= epochs and r.epochs[epochs - 1].val_correct:
            bits[r.model][r.seed] = r.epochs[epochs - 1].val_correct
    seeds = sorted(set.intersection(*(set(found) for found in bits.values())))
    if not seeds:
        return {}
    return {m: np.stack([unpack_bits(found[s]) for s in seeds]) for m, found in bits.items()}


# Forecasts ---------------------------------------------------------------------------------------


def completed_curves(
    records: Sequence[TrialRecord], n_validation: int | None = None
) -> list[Completed]:
    """Return what completed runs of a study teach a forecast; of each task's longest ones."""
    done = [r for r in records if r.status == "completed" and r.n_epochs >= FEWEST]
    longest = max((r.n_epochs for r in done), default=0)
    found = []
    for r in done:
        accuracy, training = _curve(r)
        shown = np.append(accuracy, r.final_test_accuracy)
        if r.n_epochs == longest and ((shown >= 0) & (shown <= 1)).all():
            n = r.provenance.get("data", {}).get("validation") or n_validation or 1000
            known = training if np.isfinite(training).all() else None
            found.append(Completed(accuracy, r.final_test_accuracy, known, n, r.data, r.model))
    return found


def taught_by(folders: Iterable[str]) -> list[Completed]:
    """Return the completed curves of the folders that a study's forecasts learn from."""
    return [curve for folder in folders for curve in completed_curves(load_records(folder))]


def forecasts(
    records: Sequence[TrialRecord],
    observed: int,
    last: int,
    n_validation: int | None,
    taught: Sequence[Completed] = (),
) -> dict[str, Forecast]:
    """Forecast every candidate's final accuracy from its early epochs.

    Parameters
    ----------
    records : sequence of TrialRecord
        Of one task and training size; runs of a candidate are averaged.
    observed, last : int
        Epochs seen and epochs in all.
    n_validation : int, optional
        Validation samples behind each accuracy.
    taught : sequence of Completed
        Curves of other studies; the completed runs of the *other* candidates are added.
    """
    own = completed_curves(records, n_validation)
    runs: dict[str, list[tuple[Array, Array]]] = {}
    for r in records:
        if r.n_epochs >= observed:
            runs.setdefault(r.model, []).append(_curve(r))
    found = {}
    for model, curves in runs.items():
        accuracy = np.mean([a[:observed] for a, _ in curves], axis=0)
        training = float(np.mean([t[observed - 1] for _, t in curves]))
        known = isfinite(training)
        others = [*taught, *(c for c in own if c.family != model)]
        told = [c for c in others if (c.training is not None) == known]
        told = [c for c in told if len(np.asarray(c.accuracy)) >= LEAST_RATIO * observed]
        lesson = learn(told, shipped(known), (observed,)) if told else None
        n = None if n_validation is None else n_validation * len(curves)
        found[model] = forecast(accuracy, last, training=training, n_samples=n, lesson=lesson)
    return found


def _curve(record: TrialRecord) -> tuple[Array, Array]:
    """Return validation and training accuracy after each epoch, NaN where unknown."""
    epochs = record.epochs
    training: list[Any] = [e.measures.get("train_accuracy", nan) for e in epochs]
    return np.array([e.val_accuracy for e in epochs], float), np.array(training, float)
