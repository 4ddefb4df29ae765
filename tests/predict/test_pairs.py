"""Paired comparison of candidates: McNemar's variance, coverage, chances by full enumeration."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedyn.predict.pairs import chances, lead


@pytest.mark.parametrize(("only_first", "only_second", "n"), [(6, 0, 100), (11, 4, 50), (0, 0, 20)])
def test_with_one_seed_it_is_mcnemars(only_first, only_second, n):
    first, second = np.arange(n) < only_first, np.arange(n) >= n - only_second
    found = lead(first, second)
    d = (only_first - only_second) / n
    variance = (only_first + only_second - n * d**2) / (n - 1) / n
    assert found.value == pytest.approx(d, abs=1e-15)
    assert found.std == pytest.approx(np.sqrt(variance), abs=1e-15)
    assert found.status == "one seed" and (found.n_samples, found.n_seeds) == (n, 1)
    assert (found.high - found.low) / 2 == pytest.approx(1.959963984540054 * found.std)


def test_the_formula_with_seeds():
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 4, 30)) < [[[0.8]], [[0.6]]]
    found = lead(first, second, confidence=0.68)
    d = first.astype(int) - second.astype(int)
    per_seed, per_sample = [row.sum() / 30 for row in d], [column.sum() / 4 for column in d.T]
    spread = [
        sum((x - np.mean(values)) ** 2 for x in values) / (len(values) - 1) / len(values)
        for values in (per_sample, per_seed)
    ]
    assert found.value == pytest.approx(np.mean(per_seed))
    assert found.std**2 == pytest.approx(sum(spread), rel=1e-12)
    assert found.status == "ok"


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 4), st.integers(2, 30), st.integers(0, 10**6))
def test_the_other_way_round_the_sign_changes(seeds, n, seed):
    a, b = np.random.default_rng(seed).random((2, seeds, n)) < 0.6
    one, other = lead(a, b), lead(b, a)
    assert one.value == -other.value and one.std == other.std and one.low == -other.high
    assert lead(a, a).value == 0 and not lead(a, a).is_clear


def test_intervals_cover():
    # Hard samples are hard for both; runs differ by their seeds, too.
    rng = np.random.default_rng(1)
    inside, truth = 0, [np.mean(1 / (1 + np.exp(-population(shift)))) for shift in (0.3, 0.0)]
    for _ in range(600):
        level = rng.normal(1.0, 1.0, 200)
        u = []
        for shift in (0.3, 0.0):
            z = level + shift + 0.2 * rng.standard_normal((8, 1))
            u.append(rng.random((8, 200)) < 1 / (1 + np.exp(-z)))
        found = lead(*u)
        inside += found.low <= truth[0] - truth[1] <= found.high
    assert 0.92 < inside / 600 < 0.995


def population(shift):
    """Return draws of the population that levels and seeds come from, with a shift."""
    rng = np.random.default_rng(2)
    return rng.normal(1.0, 1.0, 40_000) + shift + 0.2 * rng.standard_normal(40_000)


def test_chances_equal_full_enumeration():
    seeds, n = 2, 3
    correct = {
        "a": np.array([[1, 1, 0], [0, 1, 1]], bool),
        "b": np.array([[1, 0, 1], [1, 0, 1]], bool),
        "c": np.array([[0, 0, 1], [1, 1, 1]], bool),
    }
    share = {name: np.zeros(3) for name in correct}
    draws = list(product(product(range(n), repeat=n), product(range(seeds), repeat=seeds)))
    for samples, chosen in draws:
        score = {
            name: sum(int(u[s, i]) for s in chosen for i in samples) for name, u in correct.items()
        }
        for name in correct:
            first = sum(v > score[name] for v in score.values())
            level = sum(v == score[name] for v in score.values())
            for place in range(first, first + level):
                share[name][place] += 1 / level / len(draws)
    found = chances(correct, n_draws=40_000, seed=3)
    for name in correct:
        np.testing.assert_allclose(found[name], share[name], atol=0.012)
        assert found[name].sum() == pytest.approx(1)
    np.testing.assert_allclose(sum(found.values()), 1)
    again = chances(correct, n_draws=40_000, seed=3)
    assert all((again[name] == found[name]).all() for name in correct)


def test_those_that_err_on_the_same_samples_share_the_places():
    u = np.arange(50) < 30
    found = chances({"a": u, "b": u.copy()}, n_draws=10)
    np.testing.assert_allclose(found["a"], 0.5)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: lead([True], [True, False]), ValueError, r"one shape; got \(1, 1\) and \(1, 2\)"),
        (lambda: lead([0.5], [True]), TypeError, "first must be an array of booleans; got float64"),
        (lambda: lead([True], [True], confidence=1), ValueError, "confidence must be below 1"),
        (lambda: lead([True], [True], confidence=0), ValueError, "confidence must be above 0"),
        (lambda: lead(np.zeros((0, 3), bool), np.zeros((0, 3), bool)), ValueError, "shape"),
        (lambda: chances({}), ValueError, "correct is empty"),
        (lambda: chances({"a": [True], "b": [True, False]}), ValueError, r"b \(1, 2\)"),
        (lambda: chances({"a": [True]}, n_draws=0), ValueError, "n_draws must be at least 1"),
    ],
)
def test_refusals(call, error, sentence):
    with pytest.raises(error, match=sentence):
        call()
