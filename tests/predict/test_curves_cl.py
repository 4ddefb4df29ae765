"""CL against the published descent step by step, the normal equations and the specified vectors."""

import random
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from edgedyn.predict import curves
from edgedyn.predict.cl import CL, descents, minima

T = np.arange(1, 51)
PREVIOUS = np.array([0.80 - 0.60 * T**-0.7, 0.85 - 0.70 * T**-0.5, 0.70 - 0.55 * T**-0.9])
CURRENT = 0.75 - 0.65 * T**-0.6


def loss(ab, p, c, w):
    m = len(c)
    return np.sum(w * (c - ab[0] * p - ab[1]) ** 2) / 2 / m + exp(-m) / 2 * (1 - ab[0]) ** 2


def weights(m, recency):
    return np.sqrt([10 ** (i / m) if recency else 1.0 for i in range(m)])


@pytest.mark.parametrize(
    ("m", "start", "recency", "a", "b"),
    [
        (10, (0.5, 0.0), False, 0.640441556464, 0.104131712903),
        (10, (0.9, -0.2), False, 0.973945584852, -0.086082347087),
        (10, (0.5, 0.0), True, 0.661342229071, 0.105097787983),
        (3, (0.5, 0.0), False, 0.738236036895, 0.000793183867),
    ],
)
def test_descent_reproduces_the_vector(m, start, recency, a, b):
    found = descents(PREVIOUS[:1, :m], CURRENT[:m], np.array([[start]]), recency)[0, 0]
    np.testing.assert_allclose(found, [a, b], atol=1e-11)


@pytest.mark.parametrize(
    ("start", "recency", "norm"),
    [
        ((0.5, 0.0), False, 0.016826566682),
        ((0.9, -0.2), False, 0.002369731921),
        ((0.5, 0.0), True, 0.016648137716),
    ],
)
def test_residual_norms_reproduce_the_vector(start, recency, norm):
    """The vector's "loss" is the norm members are sorted by, ||residual||_2/m."""
    p, c = PREVIOUS[0, :10], CURRENT[:10]
    a, b = descents(p[None], c, np.array([[start]]), recency)[0, 0]
    assert np.linalg.norm(c - a * p - b) / 10 == pytest.approx(norm, abs=1e-11)


def test_the_ends_reproduce_the_vector():
    assert CURRENT[-1] == pytest.approx(0.6878370875, abs=1e-10)
    starts = np.array([[(0.5, 0.0), (0.9, -0.2)]])
    ab = descents(PREVIOUS[:1, :10], CURRENT[:10], starts)[0]
    ends = ab[:, 0] * PREVIOUS[0, -1] + ab[:, 1]
    np.testing.assert_allclose(ends, [0.591633507032, 0.655281506035], atol=1e-11)


@pytest.mark.parametrize(
    ("m", "a", "b", "end"),
    [
        (10, 1.0154622651, -0.1097611327, 0.6632050671),
        (3, 0.9923465679, -0.1029436456, 0.6524269692),
    ],
)
def test_exact_solver_reproduces_the_vector(m, a, b, end):
    np.testing.assert_allclose(minima(PREVIOUS[:1, :m], CURRENT[:m])[0], [a, b], atol=1e-10, rtol=0)
    value, std = CL().fit(PREVIOUS[:1]).predict_final(CURRENT[None, :m], 50, return_std=True)
    assert value[0] == pytest.approx(end, abs=1e-10)
    assert std[0] == 0


def test_the_full_ensemble_reproduces_the_vector():
    """The published loop draws from Python's generator until 100 starts are accepted."""
    c = CURRENT[:10]
    members = np.full((3, 200, 2), -1.0)  # ends below the best value: dropped
    draw = random.Random(0)
    for k, p in enumerate(PREVIOUS):
        accepted = tries = 0
        while accepted < 100 and tries < 200:
            start = np.array([[[draw.uniform(0, 1), draw.uniform(-0.5, 0.5)]]])
            members[k, tries] = descents(p[None, :10], c, start)[0, 0]
            accepted += members[k, tries] @ [p[-1], 1] >= c.max()
            tries += 1
    mean, std, status = CL("gd")._ensemble(PREVIOUS[:, :10], PREVIOUS[:, -1], c, members)
    assert status == "ok"
    assert mean == pytest.approx(0.656134537044, abs=1e-10)
    assert std == pytest.approx(0.041174938704, abs=1e-10)
    assert curves.exceedance(mean, std, 0.7) == pytest.approx(0.143360204286, abs=1e-9)


def test_the_ensemble_from_own_starts():
    found = [
        CL("gd", seed=seed).fit(PREVIOUS).predict_final(CURRENT[None, :10], 50)[0]
        for seed in range(20)
    ]
    np.testing.assert_allclose(found, 0.65185, atol=0.015)
    assert np.ptp(found) > 0
    assert np.mean(found) == pytest.approx(0.65185, abs=0.004)


@pytest.mark.parametrize("recency", [False, True])
def test_descent_equals_its_loop(recency):
    rng = np.random.default_rng(0)
    m = 7
    p, c = np.sort(rng.uniform(0, 1, m)), np.sort(rng.uniform(0, 1, m))
    w, (a, b) = weights(m, recency), (0.3, -0.4)
    for _ in range(1000):
        residual = w * (c - a * p - b)
        step_a = -np.mean(residual * p) - exp(-m) * (1 - a)
        a, b = a - 0.01 * step_a, b + 0.01 * np.mean(residual)
    found = descents(p[None], c, np.array([[[0.3, -0.4]]]), recency)[0, 0]
    np.testing.assert_allclose(found, [a, b], rtol=1e-11)


unit = st.floats(0, 1, width=32)


@settings(deadline=None, max_examples=80)
@given(seed=st.integers(0, 10**6), m=st.integers(1, 12), recency=st.booleans())
def test_exact_solver_solves_the_normal_equations(seed, m, recency):
    rng = np.random.default_rng(seed)
    p, c = rng.uniform(0, 1, (4, m)), rng.uniform(0, 1, m)
    w = weights(m, recency)
    for row, found in zip(p, minima(p, c, recency), strict=True):
        M = [
            [np.mean(w * row * row) + exp(-m), np.mean(w * row)],
            [np.mean(w * row), np.mean(w)],
        ]
        r = [np.mean(w * row * c) + exp(-m), np.mean(w * c)]
        np.testing.assert_allclose(found, np.linalg.solve(M, r), rtol=1e-7, atol=1e-7)
        best = minimize(loss, found, args=(row, c, w), method="BFGS", options={"gtol": 1e-10})
        assert loss(found, row, c, w) <= best.fun + 1e-14


@pytest.mark.parametrize("m", [1, 2, 30, 60, 800])
@pytest.mark.parametrize("level", [0.0, 0.1, 0.7])
def test_constant_completed_curves_are_only_shifted(m, level):
    c = np.linspace(0.2, 0.5, m)
    a, b = minima(np.full((1, m), level), c)[0]
    assert (a, b) == (pytest.approx(1.0), pytest.approx(c.mean() - level))
    assert np.isfinite(descents(np.full((1, m), level), c, np.zeros((1, 1, 2)))).all()


def test_a_curve_that_was_seen_is_found():
    value = CL().fit(PREVIOUS[:1]).predict_final(PREVIOUS[:1, :5], 50)
    np.testing.assert_allclose(value, PREVIOUS[0, -1], rtol=1e-12)


def test_recency_changes_the_members():
    plain, recent = (
        CL(recency=r).fit(PREVIOUS).predict_final(CURRENT[None, :10], 50)[0] for r in (0, 1)
    )
    assert plain != recent


def test_the_best_members_are_kept():
    done = np.vstack([PREVIOUS, np.linspace(0.1, 0.9, 50)])
    one = CL(n_keep=1).fit(done).predict_final(CURRENT[None, :10], 50)
    only = minima(done[:, :10], CURRENT[:10])
    norms = np.linalg.norm(CURRENT[:10] - only[:, :1] * done[:, :10] - only[:, 1:], axis=1)
    best = np.argmin(norms)
    np.testing.assert_allclose(one, only[best] @ [done[best, -1], 1.0])


def test_without_members_the_best_value_is_returned():
    falling = np.linspace(0.6, 0.2, 12)
    reg = CL().fit(falling[None])
    value, std = reg.predict_final([[0.3, 0.4, 0.35]], 12, return_std=True)
    assert (value[0], reg.status_[0]) == (0.4, "fallback")
    assert np.isnan(std[0])


def test_completed_curves_with_gaps_are_used_where_they_can_be():
    done = PREVIOUS.copy()
    done[0, 2] = done[1, -1] = np.nan
    reg = CL().fit(done)
    np.testing.assert_array_equal(
        reg.predict_final(CURRENT[None, :5], 50),
        CL().fit(PREVIOUS[2:]).predict_final(CURRENT[None, :5], 50),
    )
    partial = CURRENT[None, :5].copy()
    partial[0, 2] = np.nan  # now epoch 3 is not needed of curve 0
    both = CL().fit(done[[0, 2]]).predict_final(partial, 50)
    np.testing.assert_array_equal(reg.predict_final(partial, 50), both)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"solver": "adam"}, "solver must be one of 'exact', 'gd'; got 'adam'"),
        ({"n_starts": 0}, "n_starts must be at least 1"),
        ({"n_keep": 0}, "n_keep must be at least 1"),
    ],
)
def test_bad_parameters(parameters, match):
    with pytest.raises(ValueError, match=match):
        CL(**parameters).fit(PREVIOUS)
