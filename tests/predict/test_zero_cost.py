"""Formulas of the training-free proxies: hand cases, loops over definitions, degenerate values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgedyn.predict import zero_cost as zc


def layers(seed=0, shapes=((3, 3, 2, 4), (4, 5))):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def test_sums_over_weights_by_loops():
    w, g = layers(0), layers(1)
    flat = list(zip(np.concatenate([a.ravel() for a in w]),
                    np.concatenate([a.ravel() for a in g]), strict=True))  # fmt: skip
    assert zc.snip(w, g) == pytest.approx(sum(abs(a * b) for a, b in flat))
    assert zc.synflow(w, g) == zc.snip(w, g)
    assert zc.grasp(w, g) == pytest.approx(-sum(a * b for a, b in flat))
    assert zc.grad_norm(g) == pytest.approx(sum(np.sqrt((a**2).sum()) for a in g))


def test_fisher_by_loops():
    a, e = layers(0, [(6, 3, 3, 2), (6, 4)]), layers(1, [(6, 3, 3, 2), (6, 4)])
    by_hand = 0.0
    for x, q, many in zip(a, e, (18, 5), strict=True):
        for c in range(x.shape[-1]):
            flows = [float((x[n, ..., c] * q[n, ..., c]).sum()) for n in range(6)]
            by_hand += many * 0.5 * np.mean(np.square(flows))
    assert zc.fisher(a, e, (18, 5)) == pytest.approx(by_hand)


def test_jacob_cov_by_numpys_correlation():
    J = np.random.default_rng(0).standard_normal((5, 3, 4))
    v = np.linalg.eigvalsh(np.corrcoef(J.reshape(5, -1)))
    by_hand = -np.sum(np.log(v + 1e-5) + 1 / (v + 1e-5))
    assert zc.jacob_cov(J) == pytest.approx(by_hand, rel=1e-9)
    J[2] = 0
    assert np.isnan(zc.jacob_cov(J)) and zc.jacob_cov(J).status == "constant_rows"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_agreement_naswot_and_regions(seed):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, 2, (5, 2, 3)).astype(bool), rng.integers(0, 2, (5, 4))]
    K = zc.agreement(codes)
    flat = np.concatenate([codes[0].reshape(5, -1), codes[1]], axis=1)
    assert (K == [[int((a == b).sum()) for b in flat] for a in flat]).all()
    distinct = len(np.unique(flat, axis=0))
    regions = zc.te_nas_regions(K)
    assert regions == distinct and (regions.status == "saturated") == (distinct == 5)
    score = zc.naswot(K)
    if distinct < 5:
        assert score == -np.inf and score.status == "singular"
    elif score.status == "ok":
        assert score == pytest.approx(np.linalg.slogdet(K)[1], rel=1e-9)
        assert score <= 5 * np.log(10)
    order = rng.permutation(5)
    assert zc.naswot(K[np.ix_(order, order)]) == pytest.approx(score, rel=1e-9)


def test_condition_number():
    G = np.random.default_rng(0).standard_normal((4, 30))
    assert zc.te_nas_condition(G @ G.T) == pytest.approx(np.linalg.cond(G) ** 2)
    G[1] = G[0]
    alike = zc.te_nas_condition(G @ G.T)
    assert alike == np.inf and alike.status == "singular"
    assert zc.te_nas_condition(np.zeros((3, 3))).status == "singular"
    assert zc.te_nas_condition(np.full((2, 2), np.nan)).status == "overflow"


def test_zen_and_its_published_variances():
    v = [np.array([1.0, 3.0]), np.array([8.0])]
    assert zc.zen(np.e, v) == pytest.approx(1 + 0.5 * np.log(2) + 0.5 * np.log(8))
    assert zc.zen(1.0, []) == 0
    for score in (zc.zen(0.0, v), zc.zen(1.0, [np.zeros(2)])):
        assert score == -np.inf and score.status == "no_response"
    assert zc.zen(np.inf, v).status == zc.zen(1.0, [np.array([np.nan])]).status == "overflow"
    running = np.ones(2)
    first, second = np.array([2.0, 5.0]), np.array([3.0, 1.0])
    for batch in (first, second):  # what two forward passes with momentum 0.1 leave
        running = 0.9 * running + 0.1 * batch * 10 / 9
    assert zc.zen_running_variance(first, second, 10) == pytest.approx(running)


def test_overflow_and_no_flow_are_told():
    big = [np.full(3, 1e200)]
    with np.errstate(over="ignore"):
        scores = zc.snip(big, big), zc.synflow(big, big), zc.grasp(big, big)
    assert all(np.isnan(score) and score.status == "overflow" for score in scores)
    assert zc.synflow([np.zeros(2)], [np.ones(2)]).status == "no_flow"
    assert zc.grad_norm([np.array([np.nan])]).status == "overflow"
    assert zc.jacob_cov([[1.0, np.inf], [0.0, 1.0]]).status == "overflow"


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: zc.snip([np.ones(2)], [np.ones(3)]), ValueError, "equal shapes"),
        (lambda: zc.grasp([np.ones(2)], []), ValueError, "equal shapes"),
        (lambda: zc.grad_norm([["a"]]), TypeError, "real numbers"),
        (lambda: zc.fisher([np.ones((2, 2))], [np.ones((2, 2))], []), ValueError, "0 entries"),
        (lambda: zc.fisher([np.ones(2)], [np.ones(2)], [1]), ValueError, "samples and channels"),
        (lambda: zc.jacob_cov(np.ones((1, 4))), ValueError, "two samples"),
        (lambda: zc.jacob_cov(np.ones(4)), ValueError, "two samples"),
        (lambda: zc.agreement([]), ValueError, "no codes"),
        (lambda: zc.agreement([np.full((2, 2), 0.5)]), ValueError, "0 and 1 only"),
        (lambda: zc.agreement([np.ones(2)]), ValueError, "samples and units"),
        (lambda: zc.agreement([np.ones((2, 1)), np.ones((3, 1))]), ValueError, "2 and 3 samples"),
        (lambda: zc.naswot(np.ones((2, 3))), ValueError, "symmetric"),
        (lambda: zc.te_nas_regions([[1.0, 2.0], [0.0, 1.0]]), ValueError, "symmetric"),
        (lambda: zc.zen_running_variance([1.0], [1.0], 1), ValueError, "at least 2"),
    ],
)
def test_refusals(call, kind, words):
    with pytest.raises(kind, match=words):
        call()
