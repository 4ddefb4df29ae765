"""The interface all learning-curve predictors share, and the last and the best value."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau, norm
from sklearn.base import clone

from edgedyn.predict import curves
from edgedyn.predict.bgrn import FEATURES

METHODS = [
    curves.LastValue(),
    curves.BestValue(),
    curves.BGRN(n_draws=3),
    curves.BGRN("curve+summary", scale=True, n_draws=3),
    curves.BGRN("summary", scale=True, C=1, gamma=0.1, nu=0.5),
    curves.CL(),
    curves.CL("gd", n_starts=5),
    curves.CL(recency=True),
    curves.Domhan(families=["pow3", "ilog2", "hill3"]),
    curves.Domhan(families=["pow3", "vap"], monotone="hard", weights="bic"),
]
IDS = [repr(method) for method in METHODS]
every_method = pytest.mark.parametrize("method", METHODS, ids=IDS)
WORDS = {"ok", "clipped", "masked", "fallback", "missing", "no_curves", "ridge", "weak"}


def family(n=12, T=15, seed=0):
    """Return completed curves that rise by power laws, with a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, T + 1)
    height, rate = rng.uniform(0.6, 0.9, (n, 1)), rng.uniform(0.4, 1.2, (n, 1))
    return height - 0.4 * t**-rate + 0.002 * rng.standard_normal((n, T))


def spec_curves():
    """Return the curves of the BGRN and last-value vectors."""
    rng = np.random.default_rng(0)
    n, T = 24, 30
    c, a = rng.uniform(0.6, 0.95, n), rng.uniform(0.3, 0.6, n)
    rate, t = rng.uniform(0.4, 1.2, n), np.arange(1, T + 1)
    Y = c[:, None] - a[:, None] * t[None] ** (-rate[:, None])
    return Y + 0.002 * rng.standard_normal((n, T))


def test_last_and_best_value_reproduce_the_vector():
    Y = spec_curves()
    np.testing.assert_allclose(Y[0, :3], [0.340328980270, 0.471148798901, 0.536525568252])
    np.testing.assert_allclose(Y[23, 29], 0.818533597835)
    expected = [.7482534904, .7164496334, .5270298905, .6946199746, .4893175059, .4041533340,
                .7606148266, .7631630086]  # fmt: skip
    for method in (curves.LastValue(), curves.BestValue()):
        found = method.predict_final(Y[16:, :6], 30)
        np.testing.assert_allclose(found, expected, atol=1e-10)
    tau = kendalltau(curves.LastValue().predict_final(Y[16:, :6], 30), Y[16:, -1]).statistic
    assert tau == pytest.approx(0.7857142857, abs=1e-10)


def test_last_and_best_value_differ_on_noisy_curves():
    partial = [[0.5, 0.7, 0.6], [0.2, np.nan, np.nan], [np.nan] * 3]
    for method, expected in (
        (curves.LastValue(), [0.6, 0.2, np.nan]),
        (curves.BestValue(), [0.7, 0.2, np.nan]),
    ):
        value, std = method.predict_final(partial, 9, return_std=True)
        np.testing.assert_array_equal(value, expected)
        assert np.isnan(std).all()
        assert list(method.status_) == ["ok", "masked", "missing"]


@every_method
def test_scikit_learn_conventions(method):
    again = clone(method)
    assert again.get_params() == method.get_params()
    assert repr(again) == repr(method)
    assert again.set_params(**method.get_params()) is again
    before = vars(clone(method)).copy()
    assert again.fit(family()) is again
    assert {name: vars(again)[name] for name in before} == before
    added = set(vars(again)) - set(before)
    assert all(name.endswith("_") for name in added)
    assert bool(added) == method.needs_completed_curves


@every_method
def test_gaps_are_left_out_or_reported(method):
    done, partial = family(), family(6, 6, seed=1)
    whole = clone(method).fit(done).predict_final(partial, 15)
    done = np.vstack([done, np.full(15, np.nan)])
    partial[2] = np.nan
    reg = clone(method).fit(done)
    value, std = reg.predict_final(partial, 15, return_std=True)
    assert reg.status_[2] == "missing" and np.isnan([value[2], std[2]]).all()
    others = [0, 1, 3, 4, 5]
    np.testing.assert_array_equal(value[others], whole[others])
    partial[3, 1] = np.nan
    value = reg.predict_final(partial, 15)
    assert reg.status_[3] in {"masked", "missing"}
    assert np.isfinite(value[3]) == (reg.status_[3] == "masked")


@every_method
def test_a_prediction_does_not_depend_on_the_others_or_on_global_state(method):
    done, partial = family(), family(5, 6, seed=1)
    np.random.seed(7)  # noqa: NPY002 - the global state is what is tested
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    first = clone(method).fit(done).predict_final(partial, 15, return_std=True)
    np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    reg = clone(method).fit(done)
    for k in (3, 0):
        one = reg.predict_final(partial[k : k + 1], 15, return_std=True)
        np.testing.assert_allclose([one[0][0], one[1][0]], [first[0][k], first[1][k]], rtol=1e-12)


unit = st.floats(0, 1, width=32)


@settings(deadline=None, max_examples=25)
@given(data=st.data(), k=st.integers(0, len(METHODS) - 1))
def test_predictions_are_accuracies_or_say_why_not(data, k):
    method = clone(METHODS[k])
    tau = data.draw(st.integers(method.min_epochs, 7))
    row = st.lists(unit | st.just(np.nan), min_size=9, max_size=9)
    done = np.array(data.draw(st.lists(row, min_size=1, max_size=8)))
    partial = np.array(data.draw(st.lists(row, min_size=1, max_size=3)))[:, :tau]
    value, std = method.fit(done).predict_final(partial, data.draw(st.integers(tau + 1, 9)), True)
    assert value.shape == std.shape == method.status_.shape == method.raw_.shape == (len(partial),)
    assert set(method.status_) <= WORDS
    finite = np.isfinite(value)
    assert ((value[finite] >= 0) & (value[finite] <= 1)).all()
    assert set(method.status_[~finite]) <= {"missing", "no_curves"}
    assert not np.isin(method.status_[finite], ["missing", "no_curves"]).any()
    assert (std[np.isfinite(std)] >= 0).all() and not np.isinf(std).any()
    inside = (method.raw_ >= 0) & (method.raw_ <= 1)
    np.testing.assert_array_equal(value[inside], method.raw_[inside])


@every_method
@pytest.mark.parametrize("level", [0.0, 0.1, 0.9, 1.0])
def test_constant_curves_stay_where_they_are(method, level):
    reg = clone(method).fit(np.full((8, 12), level))
    value, std = reg.predict_final(np.full((2, 6), level), 12, return_std=True)
    np.testing.assert_allclose(value, level, atol=0.02)
    assert not (std > 0.05).any()


@every_method
def test_one_completed_curve(method):
    value = clone(method).fit(family(1)).predict_final(family(1)[:, :6], 15)
    assert np.isfinite(value).all()


@every_method
def test_rising_curves_are_ranked(method):
    t = np.arange(1, 31)
    done = np.linspace(0.5, 0.9, 24)[:, None] - 0.3 * t**-0.7
    reg = clone(method).fit(done[::2])
    if isinstance(method, curves.BGRN):
        reg = reg.set_params(n_draws=30).fit(done[::2])
    value = reg.predict_final(done[1::2, :8], 30)
    assert kendalltau(value, done[1::2, -1]).statistic > 0.9
    assert np.abs(value - done[1::2, -1]).mean() < 0.06


@every_method
@pytest.mark.parametrize(
    ("partial", "error", "match"),
    [
        ([[0.5, 0.6, np.inf, 0.7, 0.7, 0.7]], ValueError, "curve 0 is inf at epoch 3"),
        ([[0.5, 0.6, 0.6, 0.7, 0.7, -0.1]], ValueError, r"\[0, 1\].*-0.1 at epoch 6"),
        ([[50, 60, 60, 70, 70, 75]], ValueError, "Divide percentages by 100"),
        ([[2.3, 1.9, 1.5, 1.2, 1.1, 1.0]], ValueError, "no losses"),
        ([0.5, 0.6, 0.6, 0.7, 0.7, 0.75], ValueError, r"\(curves, epochs\).*shape \(6,\)"),
        (np.zeros((0, 6)), ValueError, r"at least 1.*\(0, 6\)"),
        (np.zeros((2, 0)), ValueError, r"at least 1.*\(2, 0\)"),
        (np.zeros((2, 6, 1)), ValueError, "shape"),
        ([[0.5], [0.5, 0.6]], TypeError, "rectangular"),
        ([["a"] * 6], TypeError, "real numbers"),
        (np.full((1, 6), 0.5j), TypeError, "real numbers"),
        ([[True] * 6], TypeError, "real numbers"),
    ],
)
def test_bad_curves_are_refused(method, partial, error, match):
    reg = clone(method).fit(family())
    with pytest.raises(error, match=match):
        reg.predict_final(partial, 15)
    if method.needs_completed_curves:
        with pytest.raises(error, match=match):
            clone(method).fit(partial)


@every_method
def test_bad_targets_are_refused(method):
    reg = clone(method).fit(family())
    partial = family(2, 6)
    for target in (6, 1):
        with pytest.raises(ValueError, match=f"later than the 6 observed epochs; got {target}"):
            reg.predict_final(partial, target)
    with pytest.raises(TypeError, match="target_epoch must be an integer"):
        reg.predict_final(partial, 15.0)
    if method.needs_completed_curves:
        with pytest.raises(ValueError, match="one of the 15 epochs of the completed.*got 16"):
            reg.predict_final(partial, 16)


@every_method
@pytest.mark.parametrize("tau", [1, 2, 3, 4])
def test_too_few_epochs_are_refused(method, tau):
    reg = clone(method).fit(family())
    if tau < method.min_epochs:
        with pytest.raises(ValueError, match=f"at least {method.min_epochs} observed.*got {tau}"):
            reg.predict_final(family(2, tau), 15)
    else:
        assert np.isfinite(reg.predict_final(family(2, tau), 15)).all()


@pytest.mark.parametrize("method", [curves.BGRN(), curves.CL()], ids=repr)
def test_methods_that_learn_say_so(method):
    with pytest.raises(TypeError, match=r"learns from completed curves: give fit\(curves\)"):
        method.fit()
    with pytest.raises(Exception, match="not fitted"):
        clone(method).predict_final([[0.5] * 6], 9)
    # No completed curve reaches the target.
    done = family()
    done[:, -1] = np.nan
    reg = clone(method).fit(done)
    value, std = reg.predict_final([[0.5] * 6, [np.nan] * 6], 15, return_std=True)
    assert np.isnan(value).all() and np.isnan(std).all()
    assert reg.status_[0] == "no_curves"


def test_exceedance_is_the_upper_tail():
    found = curves.exceedance([0.6, 0.7, 0.7, 0.8, np.nan], [0.05, 0.1, 0, 0, 0.1], 0.7)
    expected = [norm.sf(0.7, 0.6, 0.05), 0.5, 0.5, 1.0, np.nan]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert isinstance(curves.exceedance(0.6, 0.1, 0.5), float)
    with pytest.raises(ValueError, match="must not be negative"):
        curves.exceedance(0.6, -0.1, 0.5)


def test_feature_names_are_the_documented_ones():
    assert all(name in curves.BGRN.__doc__ for name in FEATURES)
