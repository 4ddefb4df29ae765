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

    Parameters
    ----------
    order : sequence of str
        Candidates alive, the best first.
    keep : int
        How many go on in any case.
    correct : mapping of str to array_like of bool, shape (n_seeds, n_samples)
        Which validation samples each got right after this rung; candidates without are told apart
        from all others.
    confidence : float
        Of the paired interval.
    room : float
        How many more the budget allows.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.studies.race import survivors
    >>> seen = np.arange(100)
    >>> right = {"a": seen < 80, "b": seen < 70, "c": (seen < 69) | (seen > 98), "d": seen < 40}
    >>> survivors(list("abcd"), 2, right), survivors(list("abcd"), 2, right, room=0)
    (('a', 'b', 'c'), ('a', 'b'))
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

    Parameters
    ----------
    names : sequence of str
        All candidates.
    plan : sequence of (int, int)
        From `schedule`.
    confidence : float
        At which candidates are told apart.
    budget : float
        Epochs of one seed that may be spent; `inf`: all that cannot be told apart goes on.

    Yields
    ------
    (int, tuple of str)
        An epoch, and who is to be trained to it. To be sent: all of these in order, the best
        first, and which validation samples each got right.

    Raises
    ------
    ValueError
        For a budget below what the plan takes.

    Examples
    --------
    >>> from edgedyn.studies.halving import schedule
    >>> from edgedyn.studies.race import heats
    >>> race = heats("abcd", schedule(4, (1, 2), 5))
    >>> next(race), race.send(("abcd", {})), race.send(("ba", {}))
    ((1, ('a', 'b', 'c', 'd')), (2, ('a', 'b')), (5, ('b',)))
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

    Parameters
    ----------
    records : sequence of TrialRecord
        Seeds of a candidate are averaged; equal candidates stay in the order of their records. One
        none of whose runs has come so far is left out.
    alive : sequence of str
        Who was trained to the epoch.
    epoch : int
        Counted from 1.
    """
    values: dict[str, list[float]] = {}
    for r in records:
        if r.model in alive and len(r.epochs) >= epoch and r.status != "failed":
            values.setdefault(r.model, []).append(r.epochs[epoch - 1].val_accuracy)
    means = {model: float(np.mean(found)) for model, found in values.items()}
    order = sorted((m for m in means if isfinite(means[m])), key=lambda model: -means[model])
    return order, right_after(records, order, epoch) if order else {}


class Raced(NamedTuple):
    """How a race over finished runs ends.

    Parameters
    ----------
    order : tuple of str
        Those that came to the end, the best validation accuracy first.
    epochs : int
        What all candidates would have been trained together, for each seed.
    """

    order: tuple[str, ...]
    epochs: int


def replay(
    records: Sequence[TrialRecord],
    rungs: Sequence[int] = RUNGS,
    reduction: float = 2.0,
    *,
    confidence: float | None = None,
    budget: float = inf,
) -> Raced:
    """Run a race over runs that are finished; they are not trained again.

    Parameters
    ----------
    records : sequence of TrialRecord
        Completed, the same seeds of every candidate.
    rungs, reduction
        As for `schedule`.
    confidence, budget : float, optional
        As for `heats`; without a confidence by the accuracies alone.

    Raises
    ------
    ValueError
        For runs of different lengths, or a budget below what the race takes.
    """
    lengths = {len(r.epochs) for r in records}
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
