"""The named systems, critical points and resilience curves, against closed forms."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from edgedyn.reduction import (
    System,
    gene_regulation,
    linear_diffusion,
    mutualistic,
    neuronal,
    sis,
    steady_points,
    steady_state,
    steady_state_1d,
)

NAMED = [mutualistic(), gene_regulation(), gene_regulation(f=2, h=1), sis(0.7), neuronal(),
         linear_diffusion(2.0, 3.0)]  # fmt: skip


def brute_force(system, A, x):
    """Return f and g, link by link."""
    rate = np.array([float(system.f(np.float64(v))) for v in x])
    for i in range(len(A)):
        for j in range(len(A)):
            rate[i] += A[i, j] * system.g(np.float64(x[i]), np.float64(x[j]))
    return rate


@pytest.mark.parametrize("system", NAMED, ids=lambda s: s.name)
def test_right_hand_sides_and_derivatives(system):
    rng = np.random.default_rng(0)
    A = rng.exponential(1, (9, 9)) * (rng.random((9, 9)) < 0.5)  # with self-loops
    x = rng.uniform(0.05, 0.95, 9)
    assert_allclose(system.rhs(A, x), brute_force(system, A, x), rtol=1e-13, atol=1e-14)
    field = system.on(A)
    here = field.linearise(x)
    assert_allclose(here.rate, field(x), rtol=1e-13, atol=1e-14)
    assert_allclose(here.own, [system.f(v) for v in x], rtol=1e-13, atol=1e-14)
    for k in range(9):
        unit, step = np.eye(9)[k], 1e-6
        numeric = (field(x + step * unit) - field(x - step * unit)) / (2 * step)
        assert_allclose(here.diagonal * unit + here.links(unit), numeric, rtol=1e-6, atol=1e-7)


def test_the_formulas_at_a_point():
    x, y = 0.4, 0.7
    assert_allclose(mutualistic().f(x), 0.1 + 0.4 * (1 - 0.08) * (0.4 - 1))
    assert_allclose(mutualistic().g(x, y), 0.28 / (5 + 0.36 + 0.07))
    assert_allclose(gene_regulation(2, 1, 2).f(x), -0.8)
    assert_allclose(gene_regulation().g(x, y), 0.49 / 1.49)
    assert_allclose((sis(2).f(x), sis().g(x, y)), (-0.8, 0.42))
    assert_allclose(neuronal(2, 1).g(x, y), 1 / (1 + np.exp(0.6)))
    assert_allclose((linear_diffusion(2, 3).f(x), linear_diffusion().g(x, y)), (2.2, 0.3))


# Critical points ---------------------------------------------------------------------------------


def test_published_critical_points():
    (fold,) = mutualistic().critical_points()
    assert fold.kind == "fold"
    assert_allclose((fold.beta, fold.x), (6.97253, 0.20388), atol=5e-6)
    (fold,) = gene_regulation().critical_points()
    assert_allclose((fold.beta, fold.x), (2, 1), atol=1e-6)
    (start,) = sis(0.7).critical_points()
    assert start.kind == "transcritical" and start.x == 0
    assert_allclose(start.beta, 0.7, atol=1e-9)
    assert linear_diffusion().critical_points() == ()
    assert np.isnan(linear_diffusion().critical_beta())


@pytest.mark.parametrize(("B", "h"), [(1.0, 2.0), (0.3, 3.0), (2.0, 5.0)])
def test_gene_regulation_folds_in_closed_form(B, h):
    # beta(x) = B x (1 + x^-h) is least at x^h = h - 1
    x = (h - 1) ** (1 / h)
    system = gene_regulation(B=B, h=h)
    assert_allclose(system.critical_beta(), B * x * h / (h - 1), rtol=1e-9)
    assert_allclose(system.critical_points()[0].x, x, rtol=1e-6)


def test_neuronal_folds_solve_their_equation():
    # beta(x) = x (1 + exp(3 - x)) is stationary where (x - 1) exp(3 - x) = 1
    for point in neuronal().critical_points():
        assert_allclose((point.x - 1) * np.exp(3 - point.x), 1, rtol=1e-6)
        assert_allclose(point.beta, point.x * (1 + np.exp(3 - point.x)), rtol=1e-12)


def test_without_cooperation_gene_regulation_is_transcritical():
    (point,) = gene_regulation(h=1).critical_points()
    assert point.kind == "transcritical"
    assert_allclose(point.beta, 1, atol=1e-9)
    assert gene_regulation(h=1, f=2).critical_points() == ()


# Curves and states -------------------------------------------------------------------------------


def test_gene_regulation_curve_in_closed_form():
    beta = np.linspace(0.5, 5.1, 40)  # not 2, where two states are one
    curve = gene_regulation().resilience_curve(beta)
    for b in beta:
        here = curve.beta == b
        roots = [0.0] if b < 2 else [0, (b - np.sqrt(b * b - 4)) / 2, (b + np.sqrt(b * b - 4)) / 2]
        assert_allclose(curve.x[here], roots, rtol=1e-12)
        assert curve.stable[here].tolist() == [True, False, True][: len(roots)]
        assert curve.branch[here].tolist() == [0, 1, 2][: len(roots)]
    assert len(curve.to_frame()) == len(curve.x) == len(curve.to_dict()["x"])


def test_sis_curve_in_closed_form():
    curve = sis().resilience_curve([0.5, 0.999, 1.001, 4.0])
    assert_allclose(curve.x, [0, 0, 0, 1 - 1 / 1.001, 0, 0.75], rtol=1e-9)
    assert curve.stable.tolist() == [True, True, False, True, False, True]


def test_mutualistic_states_around_the_fold():
    system = mutualistic()
    critical = system.critical_beta()
    for offset, number in ((-1e-6, 3), (1e-6, 1)):
        points = steady_points(system, critical + offset)
        assert len(points) == number
        assert points[-1][1]
    assert [stable for _, stable in steady_points(system, 3.0)] == [True, False, True]


@pytest.mark.parametrize("system", NAMED, ids=lambda s: s.name)
@pytest.mark.parametrize("beta", [0.3, 1.7, 6.0, 11.0])
def test_states_are_roots_and_alternate(system, beta):
    points = steady_points(system, beta)
    for x, _ in points:
        size = abs(float(system.f(np.float64(x)))) + 1
        assert abs(float(system.one_dimensional(x, beta))) < 1e-12 * size
    stable = [s for _, s in points]
    assert all(a != b for a, b in zip(stable, stable[1:], strict=False))


def test_one_dimensional_states_by_start():
    m = mutualistic()
    low, middle, high = (x for x, _ in steady_points(m, 5.0))
    assert steady_state_1d(5.0, m, "low") == low
    assert steady_state_1d(5.0, m, "high") == high
    assert steady_state_1d(5.0, m, middle * 0.999) == low
    assert steady_state_1d(5.0, m, middle * 1.001) == high
    assert_allclose(steady_state_1d(2.0, sis(), "low"), 0.5, rtol=1e-14)
    assert steady_state_1d(0.5, sis(), "high") == 0.0
    assert_allclose(steady_state_1d(9.0, linear_diffusion(2, 3), -4.0), 1.5, rtol=1e-14)
    growing = System(lambda x: x, lambda x, y: y)
    assert np.isnan(steady_state_1d(1.0, growing, 1.0))


# Own functions -----------------------------------------------------------------------------------


def test_own_functions_are_compiled_where_they_can_be():
    plain = System(lambda x: 1 - x, lambda x, y: y / (1 + x), "mine")
    assert plain.compiled and plain.compile_note == ""
    text = {"a": 1.0}
    dynamic = System(lambda x: 1 - x, lambda x, y: text["a"] * y / (1 + x), "dictionary")
    assert not dynamic.compiled and dynamic.compile_note
    rng = np.random.default_rng(0)
    A, x = rng.random((30, 30)), rng.random(30)
    assert_allclose(dynamic.rhs(A, x), brute_force(plain, A, x), rtol=1e-13)
    first, second = plain.on(A).linearise(x), dynamic.on(A).linearise(x)
    assert_allclose(first.rate, second.rate, rtol=1e-13)
    assert_allclose(first.diagonal, second.diagonal, rtol=1e-6)
    assert_allclose(first.links(x), second.links(x), rtol=1e-6)


def test_functions_of_single_numbers_work():
    step = System(lambda x: 1.0 - x if x > 0 else 1.0, lambda x, y: min(y, 2.0), "branches",
                  domain=(0, np.inf))  # fmt: skip
    assert step.compiled
    assert_allclose([x for x, _ in steady_points(step, 0.5)], [2.0], rtol=1e-12)
    assert_allclose(step.rhs(np.eye(2, k=1), [0.5, 3.0]), [2.5, -2.0])


def test_constant_functions_and_flat_betas_have_no_false_folds():
    assert System(lambda x: -x, lambda x, y: y).critical_points()[0].kind == "transcritical"
    assert System(lambda x: -x, lambda x, y: 1.0).critical_points() == ()


def test_refusals():
    with pytest.raises(TypeError, match="f must be a function"):
        System(1.0, lambda x, y: y)
    with pytest.raises(ValueError, match="low must lie in the domain"):
        System(lambda x: x, lambda x, y: y, low=-1.0, domain=(0, 1))
    with pytest.raises(ValueError, match="K must be above 0"):
        mutualistic(K=0)
    with pytest.raises(TypeError, match="tau must be a real number"):
        neuronal(tau="steep")
    with pytest.raises(ValueError, match="betas must be finite"):
        sis().resilience_curve([np.nan])
    with pytest.raises(ValueError, match="start must be one of"):
        steady_state_1d(1.0, sis(), "middle")
    with pytest.raises(ValueError, match="in the domain"):
        steady_state_1d(1.0, sis(), 2.0)
    with pytest.raises(ValueError, match="beta must be finite"):
        steady_state_1d(np.nan, sis())
    with pytest.raises(ValueError, match="no high start"):
        System(lambda x: x, lambda x, y: y).high(1.0)


@pytest.mark.parametrize("length", [1, 3])
def test_a_state_of_another_length_is_refused_before_a_kernel_reads_past_its_end(length):
    field = mutualistic().on([[0, 3], [1, 0]])
    for call in (field, field.linearise):
        with pytest.raises(ValueError, match=r"one value for each of the 2 nodes; got shape"):
            call(np.full(length, 0.5))


@pytest.mark.parametrize("strength", [6.0, 6.5, 7.0, 7.5, 8.0, 8.4, 20.0])
def test_a_high_start_is_above_every_steady_state(strength):
    system = neuronal()  # falls just above its low state, and has a high one far above
    states = [x for x, _ in steady_points(system, strength)]
    assert len(states) == 3 or strength > 8
    assert system.high(strength) > max(states)
    ring = np.roll(np.eye(3), 1, axis=0) * strength
    found = steady_state(ring, system, "high")
    np.testing.assert_allclose(found.x, max(states), rtol=1e-8)
