"""The registry of methods: complete, and each predicts for the candidates asked for."""

from math import isnan, nan

import numpy as np
import pytest

from edgedyn.predict import PooledCapacitanceRegressor, zero_cost
from edgedyn.predict.methods import METHODS, Curve, Sight, measured_by, method_named


def curves():
    """Candidates on lines of different slopes; the last but one degenerate, the last failed."""
    t = np.arange(1.0, 7.0)
    found = [
        Curve(f"m{k}", 0.5 + 0.05 * k - (0.2 + 0.01 * k) / t, 10.0**k / t, {"logme": float(k)})
        for k in range(4)
    ]
    found.append(Curve("blind", found[0].accuracy, np.full(6, nan)))
    return [*found, Curve("dead", np.zeros(0), np.zeros(0), failed="diverged after 0 epochs")]


def test_names_are_unique_and_scores_know_who_measures_them():
    assert all(name == one.name for name, one in METHODS.items())
    assert len({one.label for one in METHODS.values()}) == len(METHODS)
    for one in METHODS.values():
        assert one.kind in ("curve", "learned", "score", "ranks")
        assert bool(one.measured_by) == (one.kind == "score")
        assert one.is_accuracy == (one.kind in ("curve", "learned"))
        assert not one.needs or METHODS[one.needs].kind == "score"
    assert [m.name for m in METHODS.values() if not m.higher_is_better] == ["te_nas_condition"]


def test_every_proxy_has_its_formula():
    assert zero_cost.PROXIES == measured_by("zero_cost") and len(zero_cost.PROXIES) == 10
    assert all(callable(getattr(zero_cost, name)) for name in zero_cost.PROXIES)


def test_what_is_not_registered_is_a_score_of_the_records():
    one = method_named("my_own")
    assert (one.label, one.kind, one.higher_is_better) == ("my own", "score", True)
    with_score = Curve("a", np.zeros(3), np.zeros(3), {"my_own": 2.0})
    found = one.predict([with_score, *curves()], [0, 1], Sight(3, 6))
    assert found[0][::2] == (2.0, "ok") and found[1].status == "no score in the record"


@pytest.mark.parametrize("name", ["capacitance", "pooled", "last_value", "best_value", "logme"])
def test_predictions_do_not_depend_on_who_else_is_asked(name):
    everyone, sight = curves(), Sight(5, 6, 200)
    whole = METHODS[name].predict(everyone, range(5), sight)
    for k in range(5):
        (alone,) = METHODS[name].predict(everyone, [k], sight)
        np.testing.assert_array_equal(alone[:2], whole[k][:2])
        assert alone.status == whole[k].status


def test_the_pooled_rule_is_the_estimator_and_leaves_out_the_degenerate():
    everyone = curves()
    found = METHODS["pooled"].predict(everyone, range(5), Sight(5, 6))
    known = everyone[:4]
    rule = PooledCapacitanceRegressor().fit(
        np.concatenate([c.beta[:5] for c in known])[:, None],
        np.concatenate([c.accuracy[:5] for c in known]),
        groups=np.repeat(np.arange(4), 5),
    )
    np.testing.assert_allclose([p.value for p in found[:4]], rule.final_, rtol=1e-12)
    np.testing.assert_allclose([p.std for p in found[:4]], rule.final_std_, rtol=1e-12)
    assert isnan(found[4].value) and found[4].status == "beta_eff degenerate in 5 epochs"


def test_a_common_slope_that_should_not_be_believed_says_why():
    t = np.arange(1.0, 6.0)
    falling = [Curve(f"m{k}", 0.9 - 0.1 * t, (k + 1) / t) for k in range(3)]  # rises with beta_eff
    steep = [Curve(f"m{k}", 0.95 - 0.5 / t**2, 1 + (k + 1) / t) for k in range(3)]
    flat = [Curve(f"m{k}", 0.1 * t, np.ones(5)) for k in range(3)]
    for some, word in ((falling, "wrong_slope"), (steep, "outside_unit"), (flat, "flat")):
        found = METHODS["pooled"].predict(some, range(3), Sight(5, 9))
        assert {p.status for p in found} == {word}
        assert word != "outside_unit" or all(p.value > 1 for p in found)


def test_one_observation_in_all_fixes_no_slope():
    lone = Curve("a", np.array([0.2, 0.3, 0.4]), np.array([nan, 1.0, nan]))
    (found,) = METHODS["pooled"].predict([lone], [0], Sight(3, 3))
    assert isnan(found.value) and found.status == "beta_eff degenerate in 2 epochs"


def test_ranks_of_last_value_and_a_score_are_added():
    last = [0.3, 0.5, 0.5, 0.9, 0.1]
    scores = [{"naswot": 2.0}, {"naswot": 7.0}, {"naswot": 5.0}, {}, {"naswot": 5.0}]
    some = [
        Curve(f"m{k}", np.array([0.0, 0.0, a, 1.0]), np.zeros(4), s)
        for k, (a, s) in enumerate(zip(last, scores, strict=True))
    ]
    some.append(Curve("dead", np.zeros(0), np.zeros(0), {"naswot": 9.0}, failed="diverged"))
    found = METHODS["last_value_naswot"].predict(some, range(5), Sight(3, 4))
    # Of the four with a score: last values .3 .5 .5 .1, scores 2 7 5 5.
    np.testing.assert_array_equal([p.value for p in found], [2 + 1, 3.5 + 4, 3.5 + 2.5, nan, 3.5])
    assert [p.status for p in found] == ["ok"] * 3 + ["no score in the record", "ok"]
