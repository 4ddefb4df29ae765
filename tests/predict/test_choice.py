"""Which candidates a ranking names, and how surely."""

from itertools import product

import numpy as np
import pytest

from edgedyn.predict.choice import NOT_PAIRED, choose
from edgedyn.predict.pairs import lead

SEEN = np.arange(200)
RIGHT = {"a": SEEN < 160, "b": (SEEN < 158) | (SEEN > 197), "c": SEEN < 120}


def test_the_first_and_what_cannot_be_told_apart_from_it():
    found = choose(["a", "b", "c"], RIGHT)
    assert found.chosen == ("a", "b") and not found.is_clear and found.status == "ok"
    assert found.leads == {name: lead(RIGHT["a"], RIGHT[name]) for name in "bc"}
    assert str(found).startswith("a and b cannot be told apart (lead 0.000 (-")


def test_a_clear_lead_names_one():
    found = choose(["a", "c"], RIGHT)
    assert found.chosen == ("a",) and found.is_clear
    assert found.chance == {"a": 1.0, "c": 0.0} and found.within == (1.0, 1.0)
    assert str(found).startswith("a, ahead of c by 0.200 (+0.1")


def test_a_first_that_is_surely_behind_says_so():
    found = choose(["c", "a"], RIGHT)  # by another rule than the last value
    assert found.chosen == ("c",)
    assert str(found).startswith("c, although behind a by -0.200")


def test_many_that_are_alike():
    rng = np.random.default_rng(0)
    found = choose(list("abcd"), {name: rng.permutation(SEEN) < 100 for name in "abcd"})
    assert found.chosen == tuple("abcd") and "a and b and 2 more cannot" in str(found)


def test_confidence_decides():
    right = {"a": SEEN < 160, "b": (SEEN < 152) | (SEEN > 195)}  # 8 against 4
    assert choose(["a", "b"], right, confidence=0.5).chosen == ("a",)
    assert choose(["a", "b"], right, confidence=0.95).chosen == ("a", "b")


def test_the_best_is_within_the_first_by_full_enumeration():
    # Three samples, one seed: all 27 resamplings.
    right = {"a": [True, True, False], "b": [True, False, True], "c": [False, False, True]}
    right = {name: np.array(value) for name, value in right.items()}
    first = dict.fromkeys(right, 0.0)
    for drawn in product(range(3), repeat=3):
        scores = {name: value[list(drawn)].sum() for name, value in right.items()}
        best = [name for name, score in scores.items() if score == max(scores.values())]
        for name in best:
            first[name] += 1 / len(best) / 27
    found = choose(["c", "a", "b"], right, n_draws=40_000)
    expected = np.cumsum([first[name] for name in "cab"])
    np.testing.assert_allclose(found.within, expected, atol=0.01)


def test_without_bits_the_first_is_named_and_nothing_more():
    for correct in ({}, {"a": RIGHT["a"]}):
        found = choose(["a", "b"], correct)
        assert (found.chosen, found.status, found.leads) == (("a",), NOT_PAIRED, {})
        assert not found.is_clear and str(found) == f"a; {NOT_PAIRED}"


def test_one_candidate_is_the_only_one():
    for correct in (RIGHT, {}):
        found = choose(["a"], correct)
        assert found.is_clear and str(found) == "a, the only candidate"


def test_what_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match="order is empty"):
        choose([], RIGHT)
    with pytest.raises(ValueError, match="one shape"):
        choose(["a", "b"], {"a": SEEN < 3, "b": SEEN[:5] < 3})
    with pytest.raises(ValueError, match="confidence must be below 1"):
        choose(["a", "b"], RIGHT, confidence=1)
