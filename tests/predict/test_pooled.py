"""The rule with a slope shared by all candidates: by hand, least squares, invariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.estimator_checks import parametrize_with_checks

import edgedyn as ed
from edgedyn.predict import PooledCapacitanceRegressor


@parametrize_with_checks([PooledCapacitanceRegressor()])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def candidates(n=4, k=5, seed=0):
    rng = np.random.default_rng(seed)
    beta = np.sort(rng.uniform(0.5, 2, (n, k)), axis=1)[:, ::-1] * rng.uniform(0.01, 100, (n, 1))
    accuracy = rng.uniform(0.3, 0.9, (n, k))
    return beta, accuracy, np.repeat(np.arange(n), k)


def test_the_slope_is_that_of_least_squares_with_one_level_a_candidate():
    beta, accuracy, groups = candidates()
    rule = PooledCapacitanceRegressor().fit(beta.reshape(-1, 1), accuracy.ravel(), groups=groups)
    z = beta / beta[:, -3:].mean(axis=1, keepdims=True)
    design = np.column_stack([z.ravel(), np.repeat(np.eye(4), 5, axis=0)])
    solution, residual, *_ = np.linalg.lstsq(design, accuracy.ravel(), rcond=None)
    assert rule.slope_[0] == pytest.approx(solution[0], rel=1e-10)
    assert rule.noise_std_ == pytest.approx(np.sqrt(residual[0] / (20 - 5)), rel=1e-10)
    np.testing.assert_allclose(rule.final_, accuracy[:, -1] - solution[0] * z[:, -1], rtol=1e-10)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 1000), st.floats(1e-12, 1e12))
def test_the_scale_of_beta_and_the_order_of_candidates_do_not_matter(seed, scale):
    beta, accuracy, groups = candidates(seed=seed)
    first = PooledCapacitanceRegressor().fit(beta.reshape(-1, 1), accuracy.ravel(), groups=groups)
    beta[1] *= scale  # one candidate's alone
    order = np.concatenate([np.flatnonzero(groups == g) for g in (2, 0, 3, 1)])
    again = PooledCapacitanceRegressor().fit(
        beta.reshape(-1, 1)[order], accuracy.ravel()[order], groups=groups[order]
    )
    assert again.groups_.tolist() == [2, 0, 3, 1]
    np.testing.assert_allclose(again.final_, first.final_[[2, 0, 3, 1]], rtol=1e-8)


def test_a_constant_beta_gives_the_last_value():
    rule = PooledCapacitanceRegressor().fit(np.ones((5, 1)), [0.1, 0.2, 0.3, 0.4, 0.5])
    assert rule.status_ == "flat" and rule.final_[0] == 0.5
    zero = PooledCapacitanceRegressor().fit(np.zeros((4, 1)), [0.1, 0.2, 0.3, 0.4])
    assert zero.status_ == "flat" and zero.final_[0] == 0.4


def test_predictions_are_clipped_final_is_not():
    rule = PooledCapacitanceRegressor().fit([[3.0], [2.0], [1.0]], [0.5, 0.7, 0.9])
    assert rule.final_[0] == pytest.approx(1.1)
    value, std = rule.predict_final(return_std=True)
    assert value[0] == 1.0 and std[0] >= 0
    np.testing.assert_allclose(rule.predict([[1.0], [0.0]]), [0.9, 1.1])


@pytest.mark.parametrize(
    ("X", "y", "groups", "message"),
    [
        ([[1.0]] * 3, [0.1, 0.2, 0.3], [0, 1], "groups must name the candidate of each of 3"),
        ([[np.nan]] * 3, [0.1, 0.2, 0.3], None, "NaN"),
    ],
)
def test_bad_input(X, y, groups, message):
    with pytest.raises(ValueError, match=message):
        PooledCapacitanceRegressor().fit(X, y, groups=groups)


@pytest.mark.slow
def test_it_is_a_method_of_rank():
    from edgedyn.studies import run_demo

    records = run_demo(n_seeds=1, epochs=6).records
    ranking = ed.rank(records, ["pooled"], n_bootstrap=10)
    observed = [r.observed(5) for r in records]
    beta = np.concatenate([b for b, _ in observed])[:, None]
    values = np.concatenate([a for _, a in observed])
    rule = PooledCapacitanceRegressor().fit(beta, values, groups=np.repeat(np.arange(15), 5))
    np.testing.assert_allclose([r.prediction for r in ranking.rows], rule.final_, rtol=1e-10)
