"""The race: successive halving of candidates by what they reach after a few epochs.

At each rung the better part goes on, and with it all that cannot be told apart from the last one
of these, as far as the budget allows. Decisions look at whole rungs only, so that it does not
matter in which order trials end.
"""

from collections.abc import Generator, Mapping, Sequence
from itertools import pairwise
from math import inf, isfinite
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgedyn.predict.pairs import lead
from edgedyn.studies.chosen import right_after
from edgedyn.studies.halving import RUNGS, cost, schedule
from edgedyn.studies.record import TrialRecord

# Candidates in order, the best first, and which validation samples each got right.
Seen = tuple[Sequence[str], Mapping[str, ArrayLike]]


def survivors(
    order: Sequence[str],
    keep: int,
    correct: Mapping[str, ArrayLike],
    *,
    confidence: float = 0.9,
    room: float = inf,
) -> tuple[str, ...]:
    """Return who goes on: the first, and those that cannot be told apart from the last of them.

    `order` are those alive, the best first; `keep` go on in any case, of the others as many as
    there is `room` in the budget. `correct` tells which validation samples each got right after
    this rung: bool, shape (n_seeds, n_samples); candidates without are told apart from all others.
    """
    first, rest = order[:keep], order[keep:]
    edge = first[-1]
    near = [
        name
        for name in rest
        if edge in correct
        and name in correct
        and not lead(correct[edge], correct[name], confidence).is_clear
    ]
    return (*first, *near[: int(min(room, len(near)))])


def room(at: int, plan: Sequence[tuple[int, int]], left: float) -> float:
    """Return how many more candidates than planned the budget lets go on after a rung.

    What is planned to the end is put aside; one more candidate takes what lies between this rung
    and the next, and may be left behind there.

    Parameters
    ----------
    at : int
        The rung, by its place in the plan.
    plan : sequence of (int, int)
        From `schedule`.
    left : float
        Epochs of the budget that are not spent.
    """
    if left == inf:
        return inf
    ends = plan[at:]
    steps = [(b[0] - a[0]) * b[1] for a, b in pairwise(ends)]
    return max(0.0, (left - sum(steps)) // (ends[1][0] - ends[0][0]))


def heats(
    names: Sequence[str],
    plan: Sequence[tuple[int, int]],
    *,
    confidence: float = 0.9,
    budget: float = inf,
) -> Generator[tuple[int, tuple[str, ...]], Seen, None]:
    """Run a race: say who is trained to which epoch, and take in what they have reached.

    Yields an epoch, and who is to be trained to it. To be sent: all of these in order, the best
    first, and which validation samples each got right. `plan` is from `schedule`, `budget` in
    epochs of one seed: ValueError below what the plan takes; with `inf` all that cannot be told
    apart goes on.
    """
    if budget < cost(plan):
        raise ValueError(
            f"a budget of {budget:g} epochs is less than the {cost(plan)} that the race takes; "
            "give more, fewer rungs or a larger reduction."
        )
    alive, spent, before = tuple(names), 0.0, 0
    for k, (epoch, _) in enumerate(plan):
        order, correct = yield epoch, alive
        spent += (epoch - before) * len(alive)
        before = epoch
        if k + 1 < len(plan):
            keep = plan[k + 1][1]
            more = room(k, plan, budget - spent)
            alive = survivors(order, keep, correct, confidence=confidence, room=more)


def standing(records: Sequence[TrialRecord], alive: Sequence[str], epoch: int) -> Seen:
    """Return what `heats` asks for: candidates by validation accuracy, and what each had right.

    `alive` were trained to the epoch, which counts from 1. Seeds of a candidate are averaged; equal
    ones stay in the order of their records. One none of whose runs has come so far is left out.
    """
    values: dict[str, list[float]] = {}
    for r in records:
        if r.model in alive and r.n_epochs >= epoch and r.status != "failed":
            values.setdefault(r.model, []).append(r.epochs[epoch - 1].val_accuracy)
    means = {model: float(np.mean(found)) for model, found in values.items()}
    order = sorted((m for m in means if isfinite(means[m])), key=lambda model: -means[model])
    return order, right_after(records, order, epoch) if order else {}


class Raced(NamedTuple):
    """How a race over finished runs ends."""

    order: tuple[str, ...]  # those that came to the end, the best validation accuracy first
    epochs: int  # what all candidates would have been trained together, for each seed


def replay(
    records: Sequence[TrialRecord],
    rungs: Sequence[int] = RUNGS,
    reduction: float = 2.0,
    *,
    confidence: float | None = None,
    budget: float = inf,
) -> Raced:
    """Run a race over runs that are finished; they are not trained again.

    All completed, with the same seeds of every candidate; the rest as for `schedule` and `heats`,
    without a confidence by the accuracies alone. ValueError for runs of different lengths, or a
    budget below what the race takes.
    """
    lengths = {r.n_epochs for r in records}
    if len(lengths) != 1:
        raise ValueError(f"runs must be of equal length; got {sorted(lengths)} epochs.")
    names = list(dict.fromkeys(r.model for r in records))
    plan = schedule(len(names), rungs, lengths.pop(), reduction)
    race = heats(names, plan, confidence=confidence or 0.9, budget=budget)
    epoch, alive = next(race)
    spent, before = 0, 0
    while True:
        spent, before = spent + (epoch - before) * len(alive), epoch
        order, correct = standing(records, alive, epoch)
        if confidence is None:
            correct = {}
        try:
            epoch, alive = race.send((order, correct))
        except StopIteration:
            return Raced(tuple(order), spent)
