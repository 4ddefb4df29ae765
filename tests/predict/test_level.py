"""The shrunk last value: its formula step by step, its limits, its place among the methods."""

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgedyn as ed
from edgedyn.predict.level import levels
from edgedyn.studies import EpochRecord, TrialRecord


def by_hand(last, before, n, training):
    """Return theta, its variance and g by the formulas of Fay and Herriot, candidate by candidate.

    One covariate after the other, sums written out, the ridge by its augmented least squares.
    """
    m = len(last)

    def standard(values):
        return (np.array(values) - np.mean(values)) / np.std(values)

    y, z = ([log((a * n + 0.5) / (n - a * n + 0.5)) for a in part] for part in (last, before))
    t = [log(min(a, 0.999) / (1 - min(a, 0.999))) for a in training]
    x = np.column_stack([np.ones(m), standard(z), standard(t)])
    fitted = np.full(m, np.mean(y))

    def variances():
        p = [1 / (1 + exp(-f)) for f in fitted]
        return np.array([1 / (n * q * (1 - q)) for q in p])

    tau2 = variances().mean()
    for _ in range(40):
        w = 1 / (tau2 + variances())
        rows = np.vstack([np.sqrt(w)[:, None] * x, [[0, 1, 0], [0, 0, 1]]])
        b = np.linalg.lstsq(rows, np.concatenate([np.sqrt(w) * y, [0, 0]]), rcond=None)[0]
        G = np.linalg.inv(rows.T @ rows)
        fitted = x @ b
        v = variances()
        h = np.array([w[i] * x[i] @ G @ x[i] for i in range(m)])
        spread = np.mean([(y[i] - fitted[i]) ** 2 / (1 - h[i]) - v[i] for i in range(m)])
        tau2 = (tau2 + max(spread, v.mean() / 4)) / 2
    g = tau2 / (tau2 + v)
    theta = g * y + (1 - g) * fitted
    unsure = np.array(
        [4 * v[i] ** 2 / ((tau2 + v[i]) ** 3 * m * np.mean(1 / (tau2 + v)) ** 2) for i in range(m)]
    )
    own = np.array([x[i] @ G @ x[i] for i in range(m)])
    return theta, g * v + (1 - g) ** 2 * own + unsure, g


@pytest.mark.parametrize("n", [20, 100, 5000])
def test_the_formula(n):
    rng = np.random.default_rng(n)
    last, before = rng.integers(n // 4, n + 1, (2, 9)) / n
    training = rng.uniform(0.3, 1.0, 9)
    training[0] = 1.0
    found = levels(last, before, n, training)
    theta, variance, g = by_hand(last, before, n, training)
    np.testing.assert_allclose(found.logit, theta, rtol=1e-10)
    np.testing.assert_allclose(found.variance, variance, rtol=1e-9)
    np.testing.assert_allclose(found.weight, g, rtol=1e-10)
    p = 1 / (1 + np.exp(-theta))
    np.testing.assert_allclose(found.accuracy, p, rtol=1e-10)
    np.testing.assert_allclose(found.std, p * (1 - p) * np.sqrt(variance), rtol=1e-9)


accuracies = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(accuracies, st.integers(1, 10**6), st.randoms(use_true_random=False))
def test_values_are_accuracies_and_the_order_of_candidates_does_not_matter(last, n, random):
    before = [random.random() for _ in last]
    found = levels(last, before, n)
    assert ((found.accuracy > 0) & (found.accuracy < 1) & (found.std > 0)).all()
    assert ((found.weight > 0) & (found.weight <= 1)).all()
    order = list(range(len(last)))
    random.shuffle(order)
    other = levels([last[k] for k in order], [before[k] for k in order], n)
    np.testing.assert_allclose(other.logit, found.logit[order], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 20])
def test_where_validation_is_large_it_is_the_last_value(m):
    rng = np.random.default_rng(m)
    last = rng.uniform(0.1, 0.9, m)
    found = levels(last, rng.uniform(0.1, 0.9, m), 10**12, rng.uniform(0.1, 0.9, m))
    np.testing.assert_allclose(found.accuracy, last, atol=1e-9)


def test_it_is_nearer_to_the_truth_than_the_last_value_where_validation_is_small():
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(200):
        true = rng.uniform(0.4, 0.7, 12)
        last, before = rng.binomial(50, [true, true - 0.02]) / 50
        training = np.clip(true + 0.1 + 0.02 * rng.standard_normal(12), 0, 1)
        found = levels(last, before, 50, training)
        errors.append([np.mean((value - true) ** 2) for value in (found.accuracy, last)])
        assert abs((found.accuracy - true) / found.std).max() < 6
    shrunk, plain = np.sqrt(np.mean(errors, axis=0))
    assert shrunk < 0.7 * plain


def test_one_or_two_candidates_keep_their_own():
    found = levels([0.7, 0.5], [0.6, 0.6], 99)
    p = (np.array([0.7, 0.5]) * 99 + 0.5) / 100
    np.testing.assert_allclose(found.accuracy, p, rtol=1e-12)
    np.testing.assert_allclose(found.std, [sqrt(q * (1 - q) / 99) for q in p], rtol=1e-12)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (([0.5, 1.2], [0.5, 0.5], 10), "last must be a vector of accuracies"),
        (([0.5, np.nan], [0.5, 0.5], 10), "last must be a vector of accuracies"),
        (([0.5, 0.5], [0.5, -0.1], 10), "before must be a vector of accuracies"),
        (([0.5, 0.5], [0.5], 10), "of equal length; got 2 and 1"),
        (([0.5, 0.5], [0.5, 0.5], 0), "n_samples must be at least 1; got 0"),
        (([0.5, 0.5], [0.5, 0.5], 10, [0.5, 2.0]), "training must be a vector of accuracies"),
    ],
)
def test_refusals(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        levels(*given)


# As a method ------------------------------------------------------------------------------------


def record(model, final, seed=0, measures=True):
    rng = np.random.default_rng([seed, int(1e6 * final)])
    epochs = tuple(
        EpochRecord(
            k, 1.0, float(np.clip(final - 0.3 / k + 0.02 * rng.standard_normal(), 0, 1)), final,
            1 / k, "ok", measures={"train_accuracy": 1 - 0.5 / k} if measures else {},
        )
        for k in range(1, 7)
    )  # fmt: skip
    return TrialRecord(model, "task", seed, {}, epochs, "completed", 1.0, 0.1)


@pytest.mark.parametrize("measures", [True, False])
def test_it_ranks_beside_the_others(measures):
    finals = np.linspace(0.5, 0.9, 6)
    runs = [record(f"m{k}", f, s, measures) for k, f in enumerate(finals) for s in (0, 1)]
    found = ed.rank(runs, ["level", "last_value"], n_validation=60, n_bootstrap=10)
    rows = {r.model: r for r in found.rows if r.method == "level"}
    last, before = (
        [np.mean([r.epochs[e].val_accuracy for r in runs if r.model == m]) for m in rows]
        for e in (4, 3)
    )
    expected = levels(last, before, 2 * 60, [0.9] * 6 if measures else None)
    np.testing.assert_allclose([r.prediction for r in rows.values()], expected.accuracy, rtol=1e-12)
    np.testing.assert_allclose([r.std for r in rows.values()], expected.std, rtol=1e-12)


def test_without_the_number_of_samples_it_is_the_last_value():
    runs = [record(f"m{k}", f) for k, f in enumerate((0.5, 0.7, 0.9))]
    found = ed.rank(runs, ["level", "last_value"], n_bootstrap=10)
    level, last = found.rows[:3], found.rows[3:]
    assert [r.prediction for r in level] == [r.prediction for r in last]
    assert {r.status for r in level} == {"not shrunk: how many samples validate is not known"}
