"""Full steady states against closed forms, hand-solved pairs, and integration in time."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from scipy.integrate import solve_ivp
from scipy.linalg import expm
from scipy.sparse.linalg import aslinearoperator

import edgedyn as ed
from edgedyn.reduction import (
    System,
    gene_regulation,
    linear_diffusion,
    mutualistic,
    neuronal,
    sis,
    steady_state,
    steady_state_1d,
    time_course,
)

LINEAR = System(lambda x: 1 - x, lambda x, y: y, "linear", terms=((np.ones_like, lambda y: y),))


def network(seed, n=40, density=0.2, scale=1.0):
    rng = np.random.default_rng(seed)
    return rng.exponential(scale, (n, n)) * (rng.random((n, n)) < density)


def integrated(system, A, x0, t=400.0):
    """Return the state long after x0, by LSODA at tight tolerance."""
    field = system.on(A)
    run = solve_ivp(
        lambda _, x: field(x), (0, t), x0, method="LSODA", rtol=1e-10, atol=1e-12, t_eval=[t]
    )
    assert run.success
    return run.y[:, -1]


# Closed forms ------------------------------------------------------------------------------------


def test_linear_system_in_closed_form():
    A = network(0, scale=0.1)
    exact = np.linalg.solve(np.eye(40) - A, np.ones(40))
    own = System(lambda x: 1 - x, lambda x, y: y, "own")
    text = {"a": 1.0}  # numba does not read dictionaries around a function
    slow = System(lambda x: 1 - x, lambda x, y: text["a"] * y, "not compiled")
    for system in (LINEAR, own, slow):
        s = steady_state(A, system, "low", tol=1e-13)
        assert s.status == "converged"
        assert_allclose(s.x, exact, rtol=1e-11)
        assert s.residual <= 1e-13
    assert not slow.compiled


@pytest.mark.parametrize("start", ["low", "high"])
def test_diffusion_is_uniform_on_any_network_and_the_reduction_exact(start):
    A = network(1)
    s = steady_state(A, linear_diffusion(0.5, 2.0), start)
    assert_allclose(s.x, 4.0, rtol=1e-9)
    assert_allclose(
        ed.reduce(A).x_eff(s.x),
        steady_state_1d(ed.reduce(A).beta_eff, linear_diffusion(0.5, 2.0), start),
        rtol=1e-9,
    )


def test_two_infected_nodes_by_hand():
    # -x + a (1 - x) y = 0, -y + b (1 - y) x = 0: x = (ab - 1) / (b (1 + a))
    a, b = 3.0, 2.0
    for start in ("low", "high"):
        x = steady_state(np.array([[0, a], [b, 0]]), sis(), start, tol=1e-13).x
        assert_allclose(x, [(a * b - 1) / (b * (1 + a)), (a * b - 1) / (a * (1 + b))], rtol=1e-11)


def test_two_genes_by_hand():
    # a chain: x_0 = 5 h(x_1), x_1 feeds itself with 2.5: x_1 = 2 (stable) or 0
    A = np.array([[0, 5.0], [0, 2.5]])
    assert_allclose(steady_state(A, gene_regulation(), "high", tol=1e-13).x, [4, 2], rtol=1e-11)
    assert steady_state(A, gene_regulation(), "low").x.tolist() == [0, 0]


@pytest.mark.parametrize("system", [mutualistic(), gene_regulation(), sis(), neuronal()],
                         ids=lambda s: s.name)  # fmt: skip
@pytest.mark.parametrize("start", ["low", "high"])
@pytest.mark.parametrize("degree", [0.5, 3.0, 6.9, 7.1, 12.0])
def test_the_reduction_is_exact_on_homogeneous_networks(system, start, degree):
    ring = degree / 2 * (np.roll(np.eye(30), 1, axis=1) + np.roll(np.eye(30), 7, axis=1))
    s = steady_state(ring, system, start, tol=1e-13)
    assert s.status == "converged"
    exact = steady_state_1d(ed.reduce(ring).beta_eff, system, start)
    assert_allclose(s.x, exact, rtol=1e-9, atol=1e-12)


# Against integration in time ---------------------------------------------------------------------


@pytest.mark.parametrize("system", [mutualistic(), gene_regulation(), sis(), neuronal()],
                         ids=lambda s: s.name)  # fmt: skip
@pytest.mark.parametrize("start", ["low", "high", "random"])
@pytest.mark.parametrize("scale", [0.3, 0.8, 2.0])
def test_steady_states_are_those_the_flow_reaches(system, start, scale):
    A = network(int(10 * scale), scale=scale)
    rng = np.random.default_rng(3)
    begin = rng.random(40) * (1 if system.name == "sis" else 5) if start == "random" else start
    s = steady_state(A, system, begin)
    assert s.status == "converged" and s.residual <= 1e-10
    low, high = system.low, system.high(A.sum(axis=1).max())
    x0 = begin if start == "random" else np.full(40, low if start == "low" else high)
    assert_allclose(s.x, integrated(system, A, x0), rtol=1e-6, atol=1e-7)


def test_signed_networks_and_oscillations():
    A = network(5, scale=0.2) * np.where(np.random.default_rng(0).random((40, 40)) < 0.4, -1, 1)
    s = steady_state(A, neuronal(), np.full(40, 2.0))
    assert s.status == "converged"
    assert_allclose(s.x, integrated(neuronal(), A, np.full(40, 2.0)), rtol=1e-6, atol=1e-7)
    around = System(lambda x: 0.5 * x - x**3, lambda x, y: y, "oscillates")
    cycle = steady_state(np.array([[0, 1.0], [-1.0, 0]]), around, [0.3, 0.1], max_evaluations=500)
    assert cycle.status in ("not_converged", "unstable")


def test_rest_on_an_unstable_state_is_said_so():
    s = steady_state(3 * np.eye(4, k=1) + 3 * np.eye(4, k=-3), sis(), np.zeros(4))
    assert s.status == "unstable" and not s.x.any()


def test_divergence_is_said_so():
    growing = System(lambda x: 1 + x, lambda x, y: y, "grows")
    s = steady_state(np.ones((2, 2)), growing, [1.0, 1.0])
    assert s.status in ("diverged", "unstable", "not_converged")
    assert s.status == "diverged"


def test_hubs_of_very_different_degree():
    graph = nx.barabasi_albert_graph(2000, 3, seed=0)
    for start in ("low", "high"):
        s = steady_state(graph, mutualistic(), start)
        assert s.status == "converged"
        field = mutualistic().on(graph)
        size = 1 + np.abs(mutualistic().f(s.x))
        assert (np.abs(field(s.x)) / size).max() <= 1e-10


# Inputs ------------------------------------------------------------------------------------------


def test_all_forms_of_a_network_agree():
    A = network(6, scale=0.8)
    graph = nx.from_numpy_array(A.T, create_using=nx.DiGraph)
    for system in (mutualistic(), sis()):
        x = steady_state(A, system, "high").x
        for form in (sp.csr_array(A), sp.coo_array(A), graph, A.astype(np.float32)):
            assert_allclose(steady_state(form, system, "high").x, x, rtol=1e-6)
    assert_allclose(steady_state(aslinearoperator(A), sis(), "high").x, x, rtol=1e-8)
    with pytest.raises(TypeError, match="LinearOperator does not tell"):
        steady_state(aslinearoperator(A), mutualistic())


def test_line_graphs_and_interactions():
    gb = ed.line_graph([4, 5, 3, 2])
    for system in (neuronal(), mutualistic()):
        first, second = (steady_state(P, system, "high") for P in (gb, gb.to_scipy()))
        assert first.status == second.status == "converged"
        assert_allclose(first.x, second.x, rtol=1e-9)
    net = ed.ReLUMLP.random([4, 5, 3, 2], seed=0)
    P = net.interaction(np.random.default_rng(0).standard_normal((9, 4)), np.arange(9) % 2)
    assert_allclose(
        steady_state(P, neuronal()).x, steady_state(P.to_scipy(), neuronal()).x, rtol=1e-9
    )


def test_transposed_networks_have_other_states():
    A = network(7, scale=0.8)
    there, back = (steady_state(P, gene_regulation(), "high").x for P in (A, A.T))
    assert not np.allclose(there, back)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"start": "middle"}, ValueError, "start must be one of 'low', 'high'"),
        ({"start": [0.1, 0.2, 0.3]}, ValueError, "one value for each of the 2 nodes"),
        ({"start": [0.1, 2.0]}, ValueError, r"lie in \[0, 1\]"),
        ({"start": [0.1, np.nan]}, ValueError, "finite"),
        ({"tol": 0}, ValueError, "tol must be above 0"),
        ({"max_evaluations": 0}, ValueError, "at least 1"),
        ({"system": "sis"}, TypeError, "must be a System.*got str"),
        ({"A": np.ones((2, 3))}, ValueError, "square"),
        ({"A": np.array([[0, np.nan], [0, 0]])}, ValueError, "NaN"),
        ({"A": np.ones((2, 2), complex)}, TypeError, "real numbers"),
    ],
)
def test_refusals(arguments, error, words):
    with pytest.raises(error, match=words):
        steady_state(**({"A": np.ones((2, 2)), "system": sis()} | arguments))


# Time courses ------------------------------------------------------------------------------------


def test_diffusion_in_time_in_closed_form():
    A = network(8, n=12)
    L = np.diag(A.sum(axis=1)) - A
    x0, t = np.random.default_rng(0).random(12), np.linspace(0, 2, 7)
    course = time_course(A, linear_diffusion(0.5, 1.0), x0, t, rtol=1e-10, atol=1e-12)
    exact = [2 + expm(-(0.5 * np.eye(12) + L) * s) @ (x0 - 2) for s in t]
    assert_allclose(course.x, exact, rtol=1e-8)
    assert course.x.shape == (7, 12) and course.n_evaluations > 0


def test_time_courses_end_in_steady_states():
    A = network(9, scale=0.8)
    course = time_course(A, mutualistic(), "low", [0.0, 5.0, 300.0], method="LSODA")
    assert_allclose(course.x[-1], steady_state(A, mutualistic(), "low").x, rtol=1e-5)


def test_time_course_refusals():
    with pytest.raises(ValueError, match="rising times"):
        time_course(np.ones((1, 1)), sis(), [0.1], [1.0, 0.0])
    with pytest.raises(ValueError, match="x0 must hold"):
        time_course(np.ones((1, 1)), sis(), [0.1, 0.2], [0.0, 1.0])
