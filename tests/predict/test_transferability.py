"""NCE, LEEP, LogME, H-score: reference vectors, loops over definitions, invariances, refusals."""

import copy
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax
from scipy.stats import multivariate_normal, ortho_group
from sklearn.covariance import LedoitWolf

from edgedyn.predict.transferability import Score, _svd_spectrum, h_score, leep, logme, nce

WIDE, TALL = (50, 80, 4, 6), (200, 16, 4, 6)
PUBLISHED = {"max_iterations": 11, "tolerance": 1e-3, "guard": 1e-5}
HAND = np.array([[7, 2, 1], [6, 3, 1], [1, 8, 1], [2, 2, 6], [3, 3, 4], [1, 1, 8]]) / 10
HAND_LABELS = [0, 0, 1, 1, 0, 1]


def data(n, d, n_classes, n_source):
    """Follow the recipe of BASELINES section 2.5."""
    rng = np.random.default_rng(0)
    f = rng.standard_normal((n, d))
    y = rng.integers(0, n_classes, n)
    f[:, :n_classes] += np.eye(n_classes)[y]
    z = rng.standard_normal((n, n_source))
    z[:, :n_classes] += 2 * np.eye(n_classes)[y]
    return f, y, softmax(z, axis=1)


def correlated():
    """Follow its recipe for the shrunk H-score."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((16, 16))
    f = rng.standard_normal((200, 16)) @ mixing
    y = rng.integers(0, 4, 200)
    f += 2 * rng.standard_normal((4, 16))[y]
    return f, y


# Reference vectors ------------------------------------------------------------------------------


def test_the_recipe_is_the_documented_one():
    f, y, p = data(*TALL)
    assert f[0, 0] - (y[0] == 0) == pytest.approx(0.125730221093, abs=1e-12)
    assert y[:8].tolist() == [1, 3, 1, 2, 1, 0, 1, 1]
    assert p[0, 0] == pytest.approx(0.040187290491, abs=1e-12)
    assert data(*WIDE)[2][0, 0] == pytest.approx(0.100661832584, abs=1e-12)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (TALL, (-0.933370956638, -0.680247258721, -0.6823832816, 0.641470946266)),
        (WIDE, (-0.955248486333, -0.448108752064, -0.6980953629, 3.0)),
    ],
)
def test_reference_values(size, expected):
    f, y, p = data(*size)
    found = leep(p, y), nce(p.argmax(1), y), logme(f, y, **PUBLISHED), h_score(f, y)
    assert found == pytest.approx(expected, abs=1e-10)


def test_logme_with_full_rank_is_the_published_default_to_all_digits():
    f, y, _ = data(*TALL)
    assert logme(f, y, **PUBLISHED) == pytest.approx(-0.682383281601, abs=1e-12)
    values = 0.5 * f[:, 0] + np.sin(np.arange(200))
    assert logme(f, values, targets="values", **PUBLISHED) == pytest.approx(
        -1.14486732499, abs=1e-11
    )


def test_missing_class():
    f, y, p = data(*TALL)
    y = np.where(y == 1, 0, y)
    assert nce(p.argmax(1), y) == pytest.approx(-0.526429518865, abs=1e-12)
    assert leep(p, y) == pytest.approx(-0.716292904364, abs=1e-12)
    assert h_score(f, y) == pytest.approx(0.400742488192, abs=1e-12)


def test_source_class_without_mass():
    f, y, p = data(*TALL)
    p[:, 5] = 0
    p /= p.sum(axis=1, keepdims=True)
    assert nce(p.argmax(1), y) == pytest.approx(-0.675539131386, abs=1e-12)
    assert leep(p, y) == leep(p[:, :5], y)
    assert leep(p, y).status == "ok"


def test_hand_case():
    assert leep(HAND, HAND_LABELS) == pytest.approx(-0.523658716478, abs=1e-12)
    assert nce(HAND.argmax(1), HAND_LABELS) == pytest.approx(-0.318257084147, abs=1e-12)


def test_shrunk_h_score():
    f, y = correlated()
    assert f[0, 0] == pytest.approx(2.066263115471, abs=1e-12)
    assert h_score(f, y) == pytest.approx(2.6411200570, abs=1e-10)
    assert h_score(f, y, covariance="ledoit_wolf") == pytest.approx(1.8759404050, abs=1e-10)


# Independent oracles ----------------------------------------------------------------------------


def test_nce_and_leep_by_loops_over_the_definition():
    _, y, p = data(60, 8, 3, 5)
    z, n = p.argmax(1), len(y)
    by_hand = 0.0
    for a in range(3):
        for b in range(5):
            joint = sum(y[i] == a and z[i] == b for i in range(n)) / n
            if joint:
                by_hand += joint * np.log(joint / (np.sum(z == b) / n))
    assert nce(z, y) == pytest.approx(by_hand, rel=1e-13)
    joint = np.array([[sum(p[i, b] for i in range(n) if y[i] == a) / n for b in range(5)]
                      for a in range(3)])  # fmt: skip
    given_z = joint / joint.sum(axis=0)
    by_hand = np.mean([np.log(sum(given_z[y[i], b] * p[i, b] for b in range(5))) for i in range(n)])
    assert leep(p, y) == pytest.approx(by_hand, rel=1e-13)


@pytest.mark.parametrize("size", [(30, 5, 3, 4), (20, 30, 3, 4), (40, 90, 3, 4)])
def test_converged_logme_is_the_largest_gaussian_evidence(size):
    """Targets are normal with covariance FF'/alpha + 1/beta: maximise that density directly."""
    f, y, _ = data(*size)
    n = len(f)

    def negative(theta, target):
        covariance = f @ f.T * np.exp(-theta[0]) + np.eye(n) * np.exp(-theta[1])
        return -multivariate_normal.logpdf(target, np.zeros(n), covariance)

    best = []
    for c in range(3):
        target = (y == c).astype(float)
        options = {"xatol": 1e-8, "fatol": 1e-12, "maxiter": 4000}
        best.append(-minimize(negative, [0.0, 0.0], target, "Nelder-Mead", options=options).fun / n)
    found = logme(f, y)
    assert found == pytest.approx(np.mean(best), abs=1e-9)
    assert found.status == "ok"
    assert logme(f, y, **PUBLISHED) <= found + 1e-12


@pytest.mark.parametrize("size", [TALL, WIDE])
def test_converged_logme_is_near_the_documented_maximum(size):
    f, y, _ = data(*size)
    found = logme(f, y)
    expected = {TALL: -0.6823832696, WIDE: -0.6933151725}[size]
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("covariance", ["empirical", "ledoit_wolf"])
def test_h_score_by_dense_covariances(covariance):
    for f, y in (correlated(), data(90, 30, 3, 4)[:2], data(40, 60, 3, 4)[:2]):
        means = np.stack([f[y == c].mean(axis=0) for c in range(y.max() + 1)])[y]
        whole, factor = np.cov(f.T), 1.0
        if covariance == "ledoit_wolf":
            estimate = LedoitWolf().fit(f)
            whole, factor = estimate.covariance_, 1 - estimate.shrinkage_
        by_hand = factor * np.trace(np.linalg.pinv(whole, rcond=1e-12) @ np.cov(means.T))
        assert h_score(f, y, covariance=covariance) == pytest.approx(by_hand, rel=1e-9)


def test_gram_and_singular_value_routes_agree():
    from edgedyn.predict import transferability as module

    for size in (TALL, WIDE):
        f, y, _ = data(*size)
        Y = np.eye(4)[y]
        direct, _ = module._evidence(_svd_spectrum(f), Y, 10_000, 1e-9, 0.0)
        assert logme(f, y) == pytest.approx(direct, abs=1e-11)


def test_exact_fits_beside_large_features_take_the_singular_values(monkeypatch):
    """There the ratio of precisions comes near the Gram matrix's rounding error."""
    from edgedyn.predict import transferability as module

    taken = []

    def watched(F):
        taken.append(len(F))
        return _svd_spectrum(F)

    monkeypatch.setattr(module, "_svd_spectrum", watched)
    rng = np.random.default_rng(0)
    y = np.arange(60) % 2
    f = np.column_stack([y, 1 - y, 1e4 * rng.standard_normal((60, 3))])
    assert logme(f, y).status == "interpolated" and taken == [60]
    logme(rng.standard_normal((60, 3)), y)
    assert taken == [60]


# Invariances ------------------------------------------------------------------------------------


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_invariances(seed, wide):
    rng = np.random.default_rng(seed)
    n, d = (14, 20) if wide else (30, 4)
    y = np.r_[np.arange(3), rng.integers(0, 3, n - 3)]
    f, p = rng.standard_normal((n, d)), softmax(rng.standard_normal((n, 5)), axis=1)
    turned = f @ ortho_group.rvs(d, random_state=seed)
    order, names = rng.permutation(n), np.array(["c", "a", "b"])
    both = (h_score, logme, lambda f, y: h_score(f, y, covariance="ledoit_wolf"))
    for measure in both:
        value = measure(f, y)
        for other in (measure(turned, y), measure(f[order], y[order]), measure(f, names[y])):
            assert other == pytest.approx(value, rel=1e-8, abs=1e-10)
    z = p.argmax(1)
    for a, b in ((leep(p, y), leep(p[order], y[order])), (leep(p, y), leep(p[:, ::-1], names[y])),
                 (nce(z, y), nce(9 - z, names[y]))):  # fmt: skip
        assert a == pytest.approx(b, rel=1e-12)
    assert -np.log(3) - 1e-12 <= nce(z, y) <= 0 and leep(p, y) <= 0
    assert 0 <= h_score(f, y) <= 2 + 1e-12


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_h_score_ignores_scales_and_shifts_of_features(seed):
    rng = np.random.default_rng(seed)
    f, y = rng.standard_normal((40, 4)), np.arange(40) % 3
    moved = f * 10.0 ** rng.integers(-8, 8, 4) + rng.integers(-5, 5, 4)
    assert h_score(moved, y) == pytest.approx(h_score(f, y), rel=1e-5)


@pytest.mark.parametrize("size", [TALL, WIDE])
def test_idle_features_change_nothing(size):
    """Zero columns raise the published LogME; so do copies, whose rank an absolute rule misses."""
    f, y, _ = data(*size)
    wider = np.column_stack([f, np.zeros((len(f), 4))])
    assert logme(wider, y) == pytest.approx(logme(f, y), abs=1e-9)
    doubled = np.column_stack([f, f])
    assert logme(doubled, y) == pytest.approx(logme(np.sqrt(2) * f, y), abs=1e-9)
    assert h_score(doubled, y) == pytest.approx(h_score(f, y), rel=1e-9)
    constant = np.column_stack([f, np.full(len(f), 0.1)])
    assert h_score(constant, y) == pytest.approx(h_score(f, y), rel=1e-12)


def test_more_random_features_are_not_rewarded():
    rng = np.random.default_rng(0)
    y = np.arange(100) % 4
    assert logme(rng.standard_normal((100, 400)), y) < 0  # the published program: above 3


def test_single_precision_and_integers():
    f, y, p = data(*TALL)
    assert logme(f.astype(np.float32), y) == pytest.approx(logme(f, y), abs=1e-6)
    assert leep(p.astype(np.float32), y) == pytest.approx(leep(p, y), abs=1e-6)
    assert h_score(np.rint(10 * f).astype(int), y) > 0.3
    assert logme(f, y.astype(float)[:, None]) == logme(f, y)


@pytest.mark.parametrize("scale", [1e-90, 1e-12, 1e12, 1e90])
def test_scale_of_the_features_hardly_matters(scale):
    """Features of untrained networks are tiny; the scale only moves the fixed point's start."""
    f, y, _ = data(*TALL)
    found = logme(scale * f, y, max_iterations=200, tolerance=1e-9)
    whole = logme(f, y, max_iterations=200, tolerance=1e-9)
    assert np.isfinite(found) and (scale > 1 or found == pytest.approx(whole, abs=1e-5))


def test_regression_of_several_columns_is_their_mean():
    f, y, _ = data(*TALL)
    Y = np.column_stack([f[:, 0] + y, np.cos(np.arange(200))])
    apart = [logme(f, Y[:, k], targets="values") for k in (0, 1)]
    assert logme(f, Y, targets="values") == pytest.approx(np.mean(apart), rel=1e-12)


# Degenerate values ------------------------------------------------------------------------------


def test_one_class_has_no_score():
    f, y, p = data(*TALL)
    y = np.zeros(200, int)
    scores = nce(p.argmax(1), y), leep(p, y), logme(f, y), h_score(f, y)
    scores += (h_score(f, y, covariance="ledoit_wolf"),)
    assert all(np.isnan(score) and score.status == "one_class" for score in scores)


def test_statuses():
    f, y, p = data(*TALL)
    assert logme(f, y).status == h_score(f, y).status == leep(p, y).status == "ok"
    assert h_score(*data(*WIDE)[:2]).status == "saturated"
    assert h_score(f[:17], y[:17]).status == "saturated"
    assert h_score(f[:18], y[:18]).status == "ok"
    assert logme(*data(*WIDE)[:2]).status == "ok"
    assert logme(*data(*WIDE)[:2], **PUBLISHED).status == "not_converged"
    assert logme(np.eye(4)[y], y).status == "interpolated"
    for empty in (logme(0 * f, y), h_score(0 * f + 0.1, y)):
        assert np.isnan(empty) and empty.status == "constant_features"
    constant = logme(f, np.full(200, 2.5), targets="values")
    assert np.isnan(constant) and constant.status == "constant_targets"
    shrunk = h_score(f, y, covariance="ledoit_wolf")
    assert (shrunk, shrunk.status) == (0.0, "fully_shrunk")
    alike = leep(np.tile(p[:1], (200, 1)), y)
    assert alike.status == "constant_probabilities"
    alone = nce(np.zeros(200, int), y)
    entropy = -np.sum(np.bincount(y) / 200 * np.log(np.bincount(y) / 200))
    assert alike == pytest.approx(-entropy)
    assert alone == pytest.approx(-entropy) and alone.status == "one_source_class"
    assert nce(y, y) == 0.0 and nce(y, y).status == "ok"


def test_score_is_a_float_that_keeps_its_status():
    score = Score(0.5, "saturated")
    assert isinstance(score, float) and f"{score:.2f}" == "0.50" and json.dumps(score) == "0.5"
    assert str(score) == "0.5 (saturated)" and str(Score(0.5)) == "0.5"
    for other in (pickle.loads(pickle.dumps(score)), copy.deepcopy(score)):
        assert (other, other.status) == (0.5, "saturated")
    assert score.to_dict() == {"value": 0.5, "status": "saturated"}
    with pytest.raises(AttributeError):
        score.status = "ok"


# Refusals ---------------------------------------------------------------------------------------

F, Y, P = data(20, 3, 3, 4)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: leep(np.log(P), Y), ValueError, "look like logits"),
        (lambda: leep(P * 2, Y), ValueError, "must sum to 1; that of sample"),
        (lambda: leep(P[:, :3], Y), ValueError, "must sum to 1"),
        (lambda: leep(P[0], Y), ValueError, "shape"),
        (lambda: leep(np.where(P == P[3, 1], np.nan, P), Y), ValueError, "nan at sample 3"),
        (lambda: leep(P[:-1], Y), ValueError, "19 samples but there are 20 labels"),
        (lambda: nce(Y[:-1], Y), ValueError, "19 samples but there are 20 labels"),
        (lambda: nce(P, Y), ValueError, r"source_labels must have shape \(n_samples,\)"),
        (lambda: nce(Y, np.eye(3)[Y]), ValueError, "argmax of one-hot rows"),
        (lambda: nce([], []), ValueError, "empty"),
        (lambda: nce([1, None], [0, 1]), TypeError, "integers or names"),
        (lambda: nce([[1], [2, 3]], [0, 1]), TypeError, "one vector"),
        (lambda: logme(F, Y + 0.5), ValueError, "must be class labels"),
        (lambda: logme(F, np.where(Y, np.inf, 0)), ValueError, "infinity"),
        (lambda: logme(F, np.where(Y, np.nan, 0)), ValueError, "must be class labels"),
        (lambda: logme(F[:-1], Y), ValueError, "19 samples but there are 20 labels"),
        (lambda: logme(F, Y, targets="auto"), ValueError, "'classes', 'values'"),
        (lambda: logme(F, np.full(20, np.nan), targets="values"), ValueError, "nan"),
        (lambda: logme(F, Y[:5], targets="values"), ValueError, "20 samples but there are 5"),
        (lambda: logme(F, Y, max_iterations=0), ValueError, "max_iterations"),
        (lambda: logme(F, Y, tolerance=0), ValueError, "tolerance"),
        (lambda: logme(1e200 * F, Y), ValueError, "too large"),
        (lambda: logme(1e-200 * F, Y), ValueError, "too small"),
        (lambda: logme(F * 1j, Y), TypeError, "real numbers"),
        (lambda: h_score(np.where(F == F[2, 1], np.inf, F), Y), ValueError, "inf at sample 2"),
        (lambda: h_score(F[:, 0], Y), ValueError, "shape"),
        (lambda: h_score(F[:-1], Y), ValueError, "19 samples but there are 20 labels"),
        (lambda: h_score(F, Y, covariance=True), ValueError, "covariance must be one of"),
    ],
)
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_the_module_loads_without_the_heavy_libraries():
    code = (
        "import sys; from edgedyn.predict import transferability, zero_cost\n"
        "print([m for m in ('scipy', 'sklearn', 'pandas', 'numba') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
