"""Successive halving: to which epoch how many candidates go."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

RUNGS = (1, 2, 4, 8, 16)

Schedule = list[tuple[int, int]]


def schedule(n: int, rungs: Sequence[int], epochs: int, reduction: float = 2.0) -> Schedule:
    """Return plain halving: to which epoch how many candidates go.

    Parameters
    ----------
    n : int
        Candidates.
    rungs : sequence of int
        Epochs after which some are left behind, ascending; those from `epochs` on are left out.
    epochs : int
        The last one.
    reduction : float
        Above 1: after each rung one of so many goes on, at least one.

    Returns
    -------
    list of (int, int)
        The last entry is ``(epochs, k)``: k candidates are trained to the end.

    Notes
    -----
    K. Jamieson and A. Talwalkar, AISTATS 2016, with fixed rungs.

    Examples
    --------
    >>> from edgedyn.studies.halving import cost, schedule
    >>> plan = schedule(17, (1, 2, 4, 8, 16), 30)
    >>> plan, cost(plan)
    ([(1, 17), (2, 9), (4, 5), (8, 3), (16, 2), (30, 1)], 78)
    """
    found = []
    for rung in [r for r in rungs if r < epochs]:
        found.append((rung, n))
        n = ceil(n / reduction)
    return [*found, (epochs, n)]


def cost(plan: Sequence[tuple[int, int]]) -> int:
    """Return the epochs that a schedule takes for one seed."""
    return sum((b[0] - a[0]) * b[1] for a, b in pairwise([(0, 0), *plan]))


def affordable(n: int, rungs: Sequence[int], epochs: int, budget: int) -> Schedule:
    """Return the gentlest `schedule` that costs no more than a budget, or else the cheapest.

    The budget is of epochs of one seed, all candidates together; the rest as for `schedule`.

    >>> plan = affordable(17, (1, 2, 4, 8, 16), 30, 60)
    >>> plan, cost(plan)
    ([(1, 17), (2, 6), (4, 2), (8, 1), (16, 1), (30, 1)], 53)
    """
    plans = [schedule(n, rungs, epochs, r) for r in range(2, max(n, 2) + 1)]
    return next((plan for plan in plans if cost(plan) <= budget), plans[-1])
