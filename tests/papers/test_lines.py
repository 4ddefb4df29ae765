"""The vectorised line is the regressor's, number by number."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edgedyn as ed

PAPER = Path(__file__).resolve().parents[2] / "papers" / "jiang2024"


@pytest.fixture(scope="module")
def lines_module():
    """Import the script as the others do."""
    sys.path.insert(0, str(PAPER))
    try:
        import lines

        yield lines
    finally:
        sys.path.remove(str(PAPER))


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(3, 12),
    noise=st.sampled_from([0.0, 1e-3, 0.05]),
    scale=st.sampled_from([1e-6, 1.0, 1e4]),
    t0=st.sampled_from(["bic", 1]),
)
def test_it_is_the_regressor(lines_module, seed, n, noise, scale, t0):
    rng = np.random.default_rng(seed)
    beta = np.sort(rng.uniform(0.1, 2.0, (6, n)), axis=1)[:, ::-1] * scale
    accuracy = 0.8 - 0.3 * beta / scale + noise * rng.standard_normal((6, n))
    beta[3] = beta[3, ::-1]  # one that slopes the other way
    found = lines_module.fit(beta, accuracy, 500, t0)
    for k in range(6):
        one = ed.NeuralCapacitanceRegressor(t0=t0, n_validation=500)
        one.fit(beta[k, :, None], accuracy[k])
        assert found.t0[k] == one.t0_
        assert found.final[k] == pytest.approx(one.final_, abs=1e-7)
        assert found.slope[k] * scale == pytest.approx(one.coef_[0] * scale, abs=1e-7)
        assert found.std[k] == pytest.approx(one.final_std_, rel=1e-6, abs=1e-9)


def test_curves_without_a_line(lines_module):
    beta = np.array([[1.0, np.nan, 0.5, 0.4], [1.0, 1.0, 1.0, 1.0], [1.0, 0.8, 0.5, 0.4]])
    accuracy = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.5, 0.5]])
    found = lines_module.fit(beta, accuracy, 100)
    assert np.isnan(found.final[:2]).all() and found.final[2] == pytest.approx(0.5)
    with pytest.raises(ValueError, match="takes 3 observations"):
        lines_module.fit(beta[:, :2], accuracy[:, :2], 100)
