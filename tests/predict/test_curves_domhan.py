"""Domhan's families and fits against the specified vectors; the sampler where it is installed."""

import subprocess
import sys

import numpy as np
import pytest

from edgedyn.predict.domhan import FAMILIES, Domhan, _Posterior, evaluate, fit_families

T = np.arange(1.0, 21.0)
CURVE = 0.80 - 0.60 * T**-0.5 + 0.003 * np.sin(3 * T)

AT = {  # f(1), f(10), f(100) at the starting values
    "vap": (0.3355185612, 0.5646309237, 0.6493207338),
    "ilog2": (0.1596411324, 0.6006760717, 0.6868280019),
    "weibull": (0.1059700998, 0.1570975492, 0.4792723353),
    "pow3": (0.32, 0.3318366451, 0.3434038553),
    "pow4": (0.2112959813, 0.3323757761, 0.4285528757),
    "loglog_linear": (0.0, 1.194705523, 1.723689419),
    "mmf": (0.1000000001, 0.1000059999, 0.4),
    "janoschek": (0.2672255275, 0.4929173887, 0.6955510524),
    "hill3": (0.2864999989, 0.5365411663, 0.6933592802),
    "log_power": (0.1382080487, 0.3191484818, 0.5360038684),
    "exp4": (0.498103482, 0.6089375598, 0.6814049035),
}
FITTED = {  # f(100) of the fits to CURVE
    "vap": 0.7400066875,
    "ilog2": 0.6985004758,
    "weibull": 0.7214614589,
    "pow3": 0.7400593267,
    "pow4": 0.7389507281,
    "loglog_linear": 0.8631707810,
    "mmf": 0.7366557213,
    "janoschek": 0.7253057045,
    "hill3": 0.6886662506,
    "log_power": 0.6886661864,
    "exp4": 0.7354443742,
}
# These fits stop in a flat valley: where, rounding decides, and processors differ: by 3.2e-3 seen.
FLAT = ("weibull", "mmf", "janoschek", "exp4")


def test_there_are_eleven_families():
    assert list(FAMILIES) == list(AT) == list(FITTED)


@pytest.mark.parametrize("name", AT)
def test_families_reproduce_the_vector(name):
    found = evaluate(name, np.array([1.0, 10.0, 100.0]), FAMILIES[name][1])
    np.testing.assert_allclose(found, AT[name], atol=1.5e-10)


@pytest.mark.parametrize("name", FITTED)
def test_fits_reproduce_the_vector(name):
    theta = fit_families(T, CURVE, [name])[name]
    tolerance = 5e-3 if name in FLAT else 1e-4
    assert evaluate(name, 100.0, theta) == pytest.approx(FITTED[name], abs=tolerance)


@pytest.mark.parametrize("name", sorted(set(FAMILIES) - {"weibull", "mmf", "janoschek"}))
def test_fits_find_the_parameters_that_made_the_curve(name):
    """Near the start; of the other three, parameters are known to trade against each other."""
    theta = np.array(FAMILIES[name][1]) * 1.02
    y = evaluate(name, T, theta)
    found = fit_families(T, y, [name])[name]
    np.testing.assert_allclose(evaluate(name, T, found), y, atol=2e-4)


def test_the_mean_and_deviation_are_those_of_the_families():
    value, std = Domhan().predict_final(CURVE[None], 100, return_std=True)
    ends = np.array(list(FITTED.values()))
    mean_of_flat = 5e-3 * len(FLAT) / len(FITTED)
    assert value[0] == pytest.approx(ends.mean(), abs=mean_of_flat)
    fits = fit_families(T, CURVE)
    mean = np.mean([evaluate(name, T, theta) for name, theta in fits.items()], axis=0)
    expected = np.sqrt(np.mean((mean - CURVE) ** 2) + ends.var())
    assert std[0] == pytest.approx(expected, abs=mean_of_flat)


def test_bic_prefers_the_family_that_made_the_curve():
    y = 0.8 - 0.6 * T**-0.5
    names = ["pow3", "ilog2", "hill3"]
    equal, bic = (Domhan(families=names, weights=w).predict_final(y[None], 100)[0]
                  for w in ("equal", "bic"))  # fmt: skip
    assert bic == pytest.approx(0.74, abs=1e-6)
    assert abs(equal - 0.74) > 0.01


def test_families_out_of_range_or_falling_are_dropped():
    falling = np.linspace(0.8, 0.2, 8)
    reg = Domhan(families=["ilog2", "pow3", "hill3"])
    value, std = reg.predict_final(falling[None], 80, return_std=True)
    assert (value[0], reg.status_[0]) == (0.8, "fallback") and np.isnan(std[0])
    fits = fit_families(np.arange(1.0, 9), 0.1 * np.arange(1, 9))
    kept = reg._plausible(fits, 80)
    assert set(kept) < set(fits)
    assert all(0 <= evaluate(name, 80.0, theta) <= 1 for name, theta in kept.items())


def test_hard_and_soft_monotony():
    f = np.array([[0.1, 0.5, 0.4], [0.1, 0.2, 0.3], [0.3, 0.5, 0.2]])
    np.testing.assert_array_equal(Domhan(monotone="soft")._rises(f), [True, True, False])
    np.testing.assert_array_equal(Domhan(monotone="hard")._rises(f), [False, True, False])


def test_gaps_keep_their_epochs():
    y = 0.8 - 0.6 * T**-0.5
    y[3] = np.nan
    reg = Domhan(families=["pow3"])
    assert reg.predict_final(y[None], 100)[0] == pytest.approx(0.74, abs=1e-6)
    assert reg.status_[0] == "masked"
    y[:16] = np.nan
    assert np.isnan(reg.predict_final(y[None], 100)[0])
    assert reg.status_[0] == "missing"


def test_the_posterior_is_the_formula():
    fits = fit_families(T, CURVE, ["pow3", "ilog2"])
    posterior = _Posterior(T, CURVE, fits, 100, Domhan()._rises, recency=True)
    at = posterior.start()
    at[-2:] = 3.0, 1.0
    f = (3 * evaluate("pow3", T, fits["pow3"]) + evaluate("ilog2", T, fits["ilog2"])) / 4
    sigma = at[5]
    importance = 10 ** (np.arange(20) / 20)
    expected = np.sum(importance * (-((f - CURVE) ** 2) / (2 * sigma**2) - np.log(sigma)))
    bad = np.array([at, at, at, at, at])
    bad[1, 5] = -0.1  # sigma
    bad[2, -1] = -1.0  # a weight
    bad[3, 0] = 9.0  # above 1 at the target
    bad[4, 0] = np.nan
    found = posterior(bad)
    assert found[0] == pytest.approx(expected, rel=1e-10)
    assert (found[1:] == -np.inf).all()


def test_recency_weights_reproduce_the_vector():
    y = CURVE[:5]
    fits = fit_families(T[:5], y, ["ilog2"])
    weights = _Posterior(T[:5], y, fits, 100, Domhan()._rises, recency=True).importance
    expected = [1, 1.584893192461, 2.51188643151, 3.981071705535, 6.309573444802]
    np.testing.assert_allclose(weights, expected, rtol=1e-11)


def test_the_posterior_mean_is_near_the_reference():
    pytest.importorskip("emcee")
    nine = [name for name in FAMILIES if name not in ("vap", "ilog2")]
    reg = Domhan("mcmc", families=nine, monotone="hard", recency=False)
    value, std = reg.predict_final(CURVE[None], 100, return_std=True)
    assert value[0] == pytest.approx(0.7356, abs=0.05)  # the mean of the reference's three seeds
    assert 0 < std[0] < 0.3


def test_the_sampler_is_seeded():
    pytest.importorskip("emcee")
    short = {"families": ["pow3", "hill3"], "n_walkers": 20, "n_steps": 60, "burn_in": 20}
    reg = Domhan("mcmc", **short)
    first = reg.predict_final(CURVE[None], 100, return_std=True)
    np.random.seed(3)  # noqa: NPY002 - the global state must not matter
    pair = np.vstack([CURVE[::-1], CURVE])
    again = reg.predict_final(pair, 100, return_std=True)
    assert (again[0][1], again[1][1]) == (first[0][0], first[1][0])
    other = Domhan("mcmc", seed=1, **short).predict_final(CURVE[None], 100)
    assert other != first[0]


def test_without_emcee_the_extra_is_named():
    code = (
        "import sys; sys.modules['emcee'] = None\n"
        "from edgedyn.predict.curves import Domhan\n"
        "try: Domhan('mcmc').predict_final([[.5, .6, .65, .68, .7]], 9)\n"
        "except ImportError as error: print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == (
        "Domhan(mode='mcmc') needs emcee; install it with the extra 'mcmc': "
        "pip install 'edgedyn[mcmc]'."
    )


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"mode": "vb"}, ValueError, "mode must be one of"),
        ({"monotone": True}, ValueError, "monotone must be one of"),
        ({"weights": "aic"}, ValueError, "weights must be one of"),
        ({"families": []}, ValueError, "at least one family"),
        ({"families": ["pow5"]}, ValueError, "families must be one of 'vap'"),
        ({"n_walkers": 0}, ValueError, "n_walkers must be at least 1"),
        ({"n_steps": 500}, ValueError, r"n_steps must leave .* burn_in \(500\); got 500"),
        ({"thin": 1.5}, TypeError, "thin must be an integer"),
    ],
)
def test_bad_parameters(parameters, error, match):
    with pytest.raises(error, match=match):
        Domhan(**parameters).predict_final(CURVE[None], 100)
