"""The race: halving, what it costs, who goes on, budgets, and the order of ends."""

from dataclasses import replace
from math import ceil, inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from report_cases import record

from edgedyn.predict.pairs import lead
from edgedyn.studies.halving import cost, schedule
from edgedyn.studies.race import heats, replay, room, survivors

RUNGS = (1, 2, 4, 8, 16)


def run(names, plan, accuracy, correct=None, **options):
    """Return all heats of a race in which candidates reach known accuracies."""
    race = heats(names, plan, **options)
    epoch, alive = next(race)
    found = [(epoch, alive)]
    while True:
        order = sorted(alive, key=lambda name: -accuracy[name])
        try:
            epoch, alive = race.send((order, correct or {}))
        except StopIteration:
            return found
        found.append((epoch, alive))


def test_the_paper_of_the_zoo():
    plan = schedule(17, RUNGS, 30)
    assert [n for _, n in plan] == [17, 9, 5, 3, 2, 1] and cost(plan) == 78


@given(st.integers(1, 40), st.integers(2, 60), st.sampled_from([1.5, 2.0, 3.0, 4.0]))
def test_a_plan_epoch_by_epoch(n, epochs, reduction):
    plan = schedule(n, RUNGS, epochs, reduction)
    total, alive = 0, n
    for epoch in range(1, epochs + 1):
        total += alive
        if epoch in RUNGS and epoch < epochs:
            alive = ceil(alive / reduction)
    assert cost(plan) == total
    assert plan[-1] == (epochs, alive) and alive >= 1


def test_the_best_wins_by_plain_halving():
    accuracy = {name: k / 10 for k, name in enumerate("abcdefgh")}
    found = run("abcdefgh", schedule(8, (1, 2, 4), 10), accuracy)
    assert found == [
        (1, tuple("abcdefgh")), (2, tuple("hgfe")), (4, tuple("hg")), (10, ("h",)),
    ]  # fmt: skip


SEEN = np.arange(400)
ACCURACY = {"a": 0.8, "b": 0.7, "c": 0.695, "d": 0.69, "e": 0.3}
RIGHT = {name: np.random.default_rng(k).permutation(SEEN) < 400 * p
         for k, (name, p) in enumerate(ACCURACY.items())}  # fmt: skip


def test_who_cannot_be_told_apart_from_the_last_goes_on():
    assert survivors("abcde", 2, RIGHT) == ("a", "b", "c", "d")
    assert survivors("abcde", 1, RIGHT) == ("a",)
    assert lead(RIGHT["a"], RIGHT["b"], 0.9).is_clear
    assert survivors("abcde", 2, RIGHT, room=1) == ("a", "b", "c")
    assert survivors("abcde", 2, {}) == ("a", "b")
    assert survivors("ab", 2, RIGHT) == ("a", "b")


@given(st.integers(14, 60))
def test_a_budget_is_never_exceeded(budget):
    plan = schedule(5, (1, 2, 4), 10)
    if budget < cost(plan):
        with pytest.raises(ValueError, match=f"is less than the {cost(plan)} that"):
            next(heats("abcde", plan, budget=budget))
        return
    found = run("abcde", plan, ACCURACY, RIGHT, budget=budget)
    before, spent = 0, 0
    for epoch, alive in found:
        spent, before = spent + (epoch - before) * len(alive), epoch
    assert cost(plan) <= spent <= budget


def test_a_large_budget_is_none():
    plan = schedule(5, (1, 2, 4), 10)
    assert run("abcde", plan, ACCURACY, RIGHT) == run("abcde", plan, ACCURACY, RIGHT, budget=10**6)
    assert room(0, plan, inf) == inf


def test_room_is_what_the_rest_of_the_plan_leaves():
    plan = [(1, 6), (2, 3), (4, 2), (10, 1)]
    # After the first rung: 3 + 2 * 2 + 6 * 1 = 13 are planned, one more takes 1.
    assert room(0, plan, 13) == 0 and room(0, plan, 15.5) == 2
    # After the second: 4 + 6, one more takes 2.
    assert room(1, plan, 13) == 1 and room(1, plan, 3) == 0


def test_a_race_over_finished_runs():
    # Curves cross: b is ahead after one epoch, a after two, and c never was.
    values = {"a": (0.3, 0.5, 0.6, 0.7), "b": (0.4, 0.45, 0.8, 0.9), "c": (0.1, 0.4, 0.9, 0.95)}
    records = []
    for seed in (0, 1):
        for name, curve in values.items():
            made = record(name, 0.9, 4, seed=seed, status="completed")
            epochs = tuple(structs.replace(e, val_accuracy=v)
                           for e, v in zip(made.epochs, curve, strict=True))  # fmt: skip
            records.append(replace(made, epochs=epochs))
    found = replay(records, (1, 2))
    assert found.order == ("a",)  # 3 to epoch 1, 2 to epoch 2, 1 to epoch 4
    assert found.epochs == 3 + 2 + 2
    with pytest.raises(ValueError, match=r"equal length; got \[4, 5\] epochs"):
        replay([*records, record("d", 0.9, 5)], (1, 2))
    with pytest.raises(ValueError, match="a budget of 6 epochs is less than the 7"):
        replay(records, (1, 2), budget=6)
