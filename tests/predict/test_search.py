"""Successive halving over a table: who is chosen, what is spent, what a choice may know."""

import itertools
import sys
from math import nan

import numpy as np
import pytest

import edgedyn as ed
from edgedyn.predict.search import SearchResult

pytest.importorskip("optuna", reason="install the extra 'optuna'")

RULES = ("pooled", "capacitance", "last_value")
TABLE = {f"c{k}": 0.3 + 0.04 * k for k in range(12)}
BEST = "c11"


def lines(slope):
    """Return curves that end at the table's accuracy where beta_eff is 0."""

    def curve(name):
        for epoch in range(1, 6):
            yield 1 / epoch, TABLE[name] - slope(name) / epoch

    return curve


EVEN = lines(lambda name: 0.2)
# The best one is slow, and behind all others until the end.
SLOW = lines(lambda name: 0.7 if name == BEST else 0.05)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_finds_the_best_where_curves_do_not_cross(rule, seed):
    found = ed.search(TABLE, EVEN, rule, seed=seed)
    assert found.best == BEST and found.accuracy[-1] == TABLE[BEST]
    assert found.epochs.keys() == TABLE.keys()
    assert sum(found.epochs.values()) == len(found.accuracy) == len(found.chosen) < 60


@pytest.mark.parametrize("seed", range(5))
def test_the_line_finds_a_slow_best_and_the_last_value_does_not(seed):
    assert ed.search(TABLE, SLOW, "capacitance", seed=seed).best == BEST
    assert ed.search(TABLE, SLOW, "last_value", seed=seed).best != BEST


def test_the_common_slope_of_all_is_the_rule_of_the_pooled_search():
    slopes = {"a": 0.4, "b": 0.5}
    curves = {n: [(1 / e, 0.9 - s / e) for e in (1, 2, 3)] for n, s in slopes.items()}
    table, first = {"a": 0.1, "b": 0.2}, []
    ed.search(table, lambda n: first.append(n) or curves[n], epochs=3, seed=3)
    second = first[1]
    # Least squares by hand: one slope, relative beta_eff, own intercepts.
    z = {n: np.array([b for b, _ in c]) for n, c in curves.items()}
    z = {n: v / v[-3:].mean() for n, v in z.items()}
    i = {n: np.array([a for _, a in c]) for n, c in curves.items()}
    dz = np.concatenate([z[n] - z[n].mean() for n in slopes])
    di = np.concatenate([i[n] - i[n].mean() for n in slopes])
    slope = (dz @ di) / (dz @ dz)
    ends = {n: i[n][-1] - slope * z[n][-1] for n in slopes}
    alone = 0.9  # of the first one, before the second has begun
    expected = second if ends[second] > alone else first[0]
    assert ed.search(table, curves.__getitem__, epochs=3, seed=3).best == expected


def test_epochs_are_those_of_asynchronous_successive_halving():
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(0.1, 0.9, 8) for name in TABLE}
    found = ed.search(
        TABLE, lambda n: ((1.0, v) for v in values[n]), "last_value", epochs=8, first=2, seed=4
    )
    rungs, expected = {2: [], 4: []}, {}
    for name in found.epochs:  # in the order they were tried
        expected[name] = 8
        for rung, reached in rungs.items():
            value = values[name][rung - 1]
            reached.append(value)
            if sorted(reached, reverse=True).index(value) >= max(len(reached) // 2, 1):
                expected[name] = rung
                break
    assert found.epochs == expected and set(expected.values()) == {2, 4, 8}
    lasts = {n: values[n][e - 1] for n, e in found.epochs.items()}
    assert found.best == max(lasts, key=lasts.get)


def test_no_more_epochs_are_trained_than_counted():
    trained = []

    def curve(name):
        for step in EVEN(name):
            trained.append(name)
            yield step

    found = ed.search(TABLE, curve, seed=1)
    assert {n: trained.count(n) for n in found.epochs} == found.epochs
    assert [n for n, _ in itertools.groupby(trained)] == list(found.epochs)


@pytest.mark.parametrize("budget", [1, 7, 20, 1000])
def test_a_budget_is_kept(budget):
    found, whole = (ed.search(TABLE, EVEN, budget=b, seed=2) for b in (budget, None))
    n = min(budget, len(whole.accuracy))
    assert found.chosen == whole.chosen[:n]
    np.testing.assert_array_equal(found.accuracy, whole.accuracy[:n])


@pytest.mark.parametrize("rule", RULES)
def test_choices_know_nothing_of_the_table(rule):
    rng = np.random.default_rng(0)
    other = dict(zip(TABLE, rng.permutation(list(TABLE.values())), strict=True))
    found = [ed.search(table, SLOW, rule, seed=0) for table in (TABLE, other)]
    assert found[0].chosen == found[1].chosen and found[0].epochs == found[1].epochs
    np.testing.assert_array_equal(found[1].accuracy, [other[n] for n in found[0].chosen])


def test_seeds_decide_the_order():
    found = [ed.search(TABLE, EVEN, seed=seed) for seed in (0, 0, 1)]
    assert list(found[0].epochs) == list(found[1].epochs) != list(found[2].epochs)


@pytest.mark.parametrize("rule", ["pooled", "capacitance"])
def test_degenerate_candidates_are_given_up_and_never_chosen(rule):
    def curve(name):
        for beta, accuracy in EVEN(name):
            yield (nan if name == BEST else beta), accuracy

    found = ed.search(TABLE, curve, rule, seed=0)
    assert found.epochs[BEST] == 3 and found.best == "c10"


def test_a_rule_of_ones_own():
    def fewest(run, others):
        return -run.accuracy[-1] if len(others) < len(TABLE) else nan

    found = ed.search(TABLE, EVEN, fewest, seed=0)
    assert found.best == "c0"
    assert "c0 of 12 tried: accuracy 0.3000 after" in str(found)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"table": {}}, ValueError, "table is empty"),
        ({"table": {"c0": 30.0}}, ValueError, r"table\['c0'\] must be an accuracy in \[0, 1\]"),
        ({"table": {"c0": "high"}}, TypeError, r"table\['c0'\]"),
        ({"rule": "best"}, ValueError, "rule must be one of"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1"),
        ({"epochs": 9}, ValueError, "the curve of 'c.*' ends after 5 epochs; 9 are asked for"),
        ({"first": 1.5}, TypeError, "first must be an integer"),
        ({"budget": 0}, ValueError, "budget must be at least 1"),
        ({"curve": lambda name: [(0.5, 50.0)]}, ValueError, r"accuracies must be in \[0, 1\]"),
    ],
)
def test_what_cannot_be_searched(options, error, words):
    given = {"table": TABLE, "curve": EVEN, **options}
    with pytest.raises(error, match=words):
        ed.search(**given)


def test_without_optuna_one_sentence_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"pip install 'edgedyn\[optuna\]'"):
        ed.search(TABLE, EVEN)


def test_a_rule_sees_all_the_others():
    seen = []

    def rule(run, others):
        seen.append(len(others))
        return run.accuracy[-1]

    found = ed.search(TABLE, EVEN, rule, seed=0)
    order, tried = list(found.epochs), set()
    for name, others in zip(found.chosen, seen, strict=True):
        assert others <= len(order) - 1 and name in order
        tried.add(name)
    # Every new candidate sees those tried before it, whatever their names.
    assert seen[0] == 0 and max(seen) == len(order) - 1
    assert sorted(set(seen)) == list(range(len(order)))


def test_its_words_are_of_the_whole_and_of_half_the_epochs():
    accuracy = np.array([0.1, 0.2, 0.3, 0.4, 0.5])
    found = SearchResult("a", tuple("aaaaa"), accuracy, {"a": 5})
    assert repr(found) == "a of 1 tried: accuracy 0.5000 after 5 epochs, 0.3000 after half of them"
