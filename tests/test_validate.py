"""Bad input gets one clear sentence before any work."""

import numpy as np
import pytest

from edgedyn import _validate as check


def test_choice_names_what_is_accepted():
    with pytest.raises(ValueError, match="must be one of 'direct', 'full'; got 'indirect'"):
        check.choice("indirect", "coupling", ("direct", "full"))


@pytest.mark.parametrize("bad", [0, -3])
def test_sizes_below_one(bad):
    with pytest.raises(ValueError, match=rf"sizes\[1\] must be at least 1; got {bad}"):
        check.layer_sizes([4, bad, 2])


@pytest.mark.parametrize("bad", [2.5, "3", True, None])
def test_sizes_that_are_not_integers(bad):
    with pytest.raises(TypeError, match=r"sizes\[0\] must be an integer"):
        check.layer_sizes([bad, 2])


@pytest.mark.parametrize("bad", ["432", 5, {3: 2}])
def test_sizes_that_are_no_sequence(bad):
    with pytest.raises(TypeError, match="sequence of integers"):
        check.layer_sizes(bad)


def test_one_layer_is_not_a_network():
    with pytest.raises(ValueError, match="at least an input and an output layer"):
        check.layer_sizes([4])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_data_are_located(bad):
    X = np.ones((3, 2))
    X[2, 1] = bad
    with pytest.raises(ValueError, match=f"X contains {bad} at sample 2, feature 1"):
        check.real_matrix(X)


def test_large_finite_values_whose_sum_overflows_are_accepted():
    X = np.full((2, 2), 1e308)
    assert check.real_matrix(X).shape == (2, 2)


@pytest.mark.parametrize("bad", [[["a", "b"]], [[1, "x"]], [[1j, 2]]])
def test_data_that_are_not_numbers(bad):
    with pytest.raises(TypeError, match="X must hold real numbers"):
        check.real_matrix(bad)


def test_ragged_rows():
    with pytest.raises(TypeError, match="X must hold real numbers"):
        check.real_matrix([[1.0, 2.0], [3.0]])


@pytest.mark.parametrize("shape", [(4,), (2, 3, 4)])
def test_shape_is_named(shape):
    with pytest.raises(ValueError, match=r"shape \(samples, features\)"):
        check.real_matrix(np.zeros(shape))


@pytest.mark.parametrize("shape", [(0, 3), (3, 0)])
def test_empty_data(shape):
    with pytest.raises(ValueError, match="empty"):
        check.real_matrix(np.zeros(shape))


def test_integers_become_float64():
    assert check.real_matrix([[1, 2]]).dtype == np.float64
    assert check.real_matrix(np.ones((2, 2), np.float32)).dtype == np.float32
