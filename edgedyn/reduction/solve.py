"""Steady states and time courses, of full networks and of their one-dimensional reduction."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import inf, isfinite, nan
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _notebook as notebook
from edgedyn import _validate as check
from edgedyn.reduction.curve import steady_points
from edgedyn.reduction.field import Linearisation, VectorField
from edgedyn.reduction.pair import Array
from edgedyn.reduction.systems import System

LOG = logging.getLogger(__name__)
Status = Literal["converged", "unstable", "not_converged", "diverged"]

_STARTS = ("low", "high")
_LARGEST = 1e100
_STEPS = 300  # implicit steps of one march; twenty are usual
_RESTART = 20  # vectors GMRES keeps
_TERMS, _FALLING = 8, 0.5  # of the series that comes before it: how many, and how fast they fall
_THREADED = 10_000  # numbers from which on BLAS takes a second thread for a product


@dataclass(frozen=True, eq=False, repr=False)
class SteadyState:
    """A steady state of a full network, or the best that was found.

    Parameters
    ----------
    x : ndarray, shape (n_nodes,)
    residual : float
        Largest ``|x_i'| / (1 + |f(x_i)|)``, evaluated at `x`.
    status : {"converged", "unstable", "not_converged", "diverged"}
        ``converged``: the residual is below the tolerance and no small disturbance grows;
        ``unstable``: the residual is, but disturbances grow (a start that rests on an unstable
        state stays there); ``not_converged``: evaluations ran out, as where the system
        oscillates; ``diverged``: the state left every bound.
    n_evaluations, n_products : int
        Right-hand sides, with or without derivatives; products with the derivatives along links,
        each cheaper.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.reduction import sis, steady_state
    >>> steady_state(4 * np.ones((3, 3)) / 3, sis(), "high")
    SteadyState(converged, x = 0.75 on all 3 nodes)
    """

    x: Array = field(repr=False)
    residual: float
    status: Status
    n_evaluations: int
    n_products: int

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values."""
        return {**vars(self), "x": self.x.tolist()}

    def __repr__(self) -> str:
        return f"SteadyState({self.status}, {self._states()})"

    def _states(self) -> str:
        """Say where the nodes are, and how still where they are not."""
        low, high, mean = (float(f(self.x)) for f in (np.min, np.max, np.mean))
        n, still = len(self.x), self.status == "converged"
        same = f"{low:.4g}" == f"{high:.4g}"
        where = f"{low:.4g}" if same else f"{low:.4g} .. {high:.4g}, mean {mean:.4g},"
        rest = "" if still else f", residual {self.residual:.2g}"
        return f"x = {where} on {'all ' if same else ''}{n} node{'s' * (n > 1)}{rest}"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the states, the first of them one by one."""
        facts = {
            "states": self._states(),
            "residual": self.residual,
            "evaluations": self.n_evaluations,
            "products": self.n_products,
        }
        states = notebook.table(["node", "x"], list(enumerate(self.x.tolist())))
        return notebook.card(f"Steady state, {self.status}", facts, states)


@dataclass(frozen=True, eq=False)
class TimeCourse:
    """States x, shape (n_times, n_nodes), of a network at the times t, shape (n_times,)."""

    t: Array
    x: Array = field(repr=False)
    n_evaluations: int


def steady_state(
    A: Any,
    system: System,
    start: str | ArrayLike = "low",
    *,
    tol: float = 1e-10,
    max_evaluations: int = 20_000,
) -> SteadyState:
    r"""Return the state that :math:`x_i' = f(x_i) + \sum_j A_{ij} g(x_i, x_j)` settles in.

    Parameters
    ----------
    A : array_like, scipy.sparse, networkx graph, LineGraph, Interaction or LinearOperator
        As for `edgedyn.reduce`; systems without terms (mutualistic, your own) need the links.
    system : System
    start : {"low", "high"} or array_like, shape (n_nodes,)
        "low": ``system.low`` everywhere; "high": ``system.high`` of the largest in-degree
        everywhere, above every steady state of a cooperative system.
    tol : float
        Largest residual ``|x_i'| / (1 + |f(x_i)|)``.
    max_evaluations : int
        For the explicit method that steps in where the implicit one fails; then look at the status.

    Raises
    ------
    TypeError, ValueError
        For a network, system or start that is not one.

    Notes
    -----
    Implicit Euler steps, linearised (pseudo-transient continuation; Kelley and Keyes, SIAM J.
    Numer. Anal. 35:508, 1998), solved by GMRES with the diagonal taken out, whose length grows as
    long as the linearisation holds, up to Newton's method. A step that turns against the flow, as
    beyond an unstable direction it does, is taken back. In the end stability is verified: for
    cooperative systems (derivatives along links >= 0) by a positive vector v with J v < 0, else by
    the rightmost eigenvalue. What is not stable is left behind by an explicit Runge-Kutta method
    from the start. Memory: A, and two numbers a link for systems without terms.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> ring = 4.0 * np.roll(np.eye(6), 1, axis=1)  # each node receives 4 from the next
    >>> s = ed.reduction.steady_state(ring, ed.reduction.gene_regulation(), "high")
    >>> s.status, bool(np.allclose(s.x, 2 + np.sqrt(3)))
    ('converged', True)
    """
    from threadpoolctl import threadpool_limits

    vector_field = _check_system(system).on(A)
    tol = check.real_number(tol, "tol", above=0)
    max_evaluations = check.positive_int(max_evaluations, "max_evaluations")
    x = _start(vector_field, start)
    # GMRES takes many short scalar products: a second BLAS thread gains nothing, and on a busy
    # machine the two wait for each other, five times as long as the products take.
    quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")
    # Products of shorter vectors have one thread anyway, and the limit costs a millisecond.
    one_thread = threadpool_limits(1, "blas") if len(x) >= _THREADED else nullcontext()
    with quiet, one_thread:
        return _Search(vector_field, tol).run(x, max_evaluations)


def steady_state_1d(
    beta: float, system: System, start: str | float = "low", *, receiver: float = 1.0
) -> float:
    r"""Return the state that :math:`x' = f(x) + \beta g(r x, x)` settles in, by root finding.

    Exact to rounding; NaN where the state leaves every bound. Gao, Barzel and Barabasi, Nature
    530:307 (2016), Eq. 6.

    Parameters
    ----------
    beta : float
        beta_eff.
    system : System
    start : {"low", "high"} or float
        A flow on a line moves to the next steady state in its direction.
    receiver : float
        r, as for `System.one_dimensional`.

    Raises
    ------
    TypeError, ValueError
        For a beta or a start that is not a finite number or accepted word.

    Examples
    --------
    >>> from edgedyn.reduction import gene_regulation, steady_state_1d
    >>> round(steady_state_1d(2.5, gene_regulation(), "high"), 12)
    2.0
    >>> steady_state_1d(2.5, gene_regulation(), "low")
    0.0
    """
    beta = check.real_number(beta, "beta")
    if isinstance(start, str):
        check.choice(start, "start", _STARTS)
        x = system.low if start == "low" else system.high(beta, receiver)
    else:
        x = check.real_number(start, "start")
        if not system.domain[0] <= x <= system.domain[1]:
            raise ValueError(f"start must lie in the domain {system.domain}; got {x!r}.")
    direction = float(_check_system(system).one_dimensional(x, beta, receiver))
    if direction == 0:
        return x
    roots = [root for root, _ in steady_points(system, beta, receiver)]
    if direction > 0:
        return min((r for r in roots if r > x), default=nan)
    return max((r for r in roots if r < x), default=nan)


def time_course(
    A: Any,
    system: System,
    x0: str | ArrayLike,
    t: ArrayLike,
    *,
    method: str = "RK45",
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> TimeCourse:
    """Return the states at given times, by scipy's integrators.

    Parameters
    ----------
    A, system
        As for `steady_state`.
    x0 : {"low", "high"} or array_like, shape (n_nodes,)
        State at ``t[0]``.
    t : array_like, shape (n_times,)
        Rising times, two at least.
    method : str
        Of `scipy.integrate.solve_ivp`. The implicit ones keep a dense Jacobian: small networks.
    rtol, atol : float

    Raises
    ------
    TypeError, ValueError
        For other input.
    RuntimeError
        Where the integrator gives up, with its words.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> decay = ed.reduction.linear_diffusion()
    >>> course = ed.reduction.time_course([[0.0]], decay, [3.0], [0.0, 1.0])
    >>> bool(np.isclose(course.x[-1, 0], 1 + 2 * np.exp(-1)))
    True
    """
    from scipy.integrate import solve_ivp

    vector_field = _check_system(system).on(A)
    times = np.asarray(t, np.float64)
    if times.ndim != 1 or len(times) < 2 or not (np.diff(times) > 0).all():
        raise ValueError(f"t must be two or more rising times; got {t!r}.")
    result = solve_ivp(
        lambda _, x: vector_field(x),
        (times[0], times[-1]),
        _start(vector_field, x0, "x0"),
        method=method,
        t_eval=times,
        rtol=check.real_number(rtol, "rtol", above=0),
        atol=check.real_number(atol, "atol", above=0),
    )
    if not result.success:
        raise RuntimeError(f"the integration stopped: {result.message}")
    return TimeCourse(times, result.y.T, int(result.nfev))


def _check_system(system: Any) -> System:
    """Refuse what is not a System."""
    if not isinstance(system, System):
        raise TypeError(
            "system must be a System such as edgedyn.reduction.mutualistic(); got "
            f"{type(system).__name__}."
        )
    return system


def _start(vector_field: VectorField, start: Any, name: str = "start") -> Array:
    """Return a start as a state."""
    if not isinstance(start, str):
        return vector_field.check_state(start, name)
    check.choice(start, name, _STARTS)
    system, n = vector_field.system, vector_field.n_nodes
    if start == "low":
        return np.full(n, system.low)
    return np.full(n, system.high(max(0.0, float(vector_field.in_degree.max()))))


class _Search:
    """The search for one steady state; counts what it costs."""

    def __init__(self, vector_field: VectorField, tol: float) -> None:
        self.field = vector_field
        self.tol = tol
        self.evaluations = self.products = 0
        self.last = np.zeros(0)  # where the explicit method ended

    def run(self, start: Array, max_evaluations: int) -> SteadyState:
        """Implicit from the start; where that fails, explicit for a while and implicit again."""
        first = self.linearise(start)
        if self.residual(first) <= self.tol:
            return self.found(start, first)
        result = self.found(*self.march(start, first))
        if result.status == "converged":
            return result
        LOG.info("implicit steps ended with %s; the flow itself is followed", result)
        best = result
        for x in self.explicit(start, max_evaluations):
            result = self.found(*self.march(x, self.linearise(x)))
            if result.status == "converged":
                return result
            best = min(best, result, key=lambda r: r.residual if isfinite(r.residual) else inf)
        return best if best.status == "unstable" else self.given_up(best)

    def linearise(self, x: Array) -> Linearisation:
        """Count and evaluate."""
        self.evaluations += 1
        return self.field.linearise(x)

    def residual(self, here: Linearisation) -> float:
        """Return the largest |x'| relative to 1 + |f|; NaN and infinity stay."""
        return float(np.max(np.abs(here.rate) / (1 + np.abs(here.own))))

    def found(self, x: Array, here: Linearisation) -> SteadyState:
        """Put a name to where the march ended."""
        residual = self.residual(here)
        status: Status = "not_converged"
        if residual <= self.tol:
            status = "converged" if self.is_stable(here) else "unstable"
        return SteadyState(x, residual, status, self.evaluations, self.products)

    def given_up(self, best: SteadyState) -> SteadyState:
        """Tell a state that left every bound from one that only did not come to rest."""
        lost = not (np.isfinite(best.x).all() and np.isfinite(self.last).all())
        status: Status = "diverged" if lost else "not_converged"
        return SteadyState(best.x, best.residual, status, self.evaluations, self.products)

    def march(self, x: Array, here: Linearisation) -> tuple[Array, Linearisation]:
        """Take implicit Euler steps of growing length until the residual is small."""
        low, high = self.field.system.domain
        dt = 0.5 / max(float(np.max(np.abs(here.rate) / (1 + np.abs(x)))), 1e-300)
        ratio = 1.0
        for _ in range(_STEPS):
            if self.residual(here) <= self.tol or not dt > 1e-14:
                break
            steepest = float(here.diagonal.max())
            if steepest > 0:
                dt = min(dt, 0.5 / steepest)
            scale = 1 / dt - here.diagonal
            step = self.solve(here, scale, here.rate, min(0.1, max(1e-4, 0.1 * ratio)))
            trial = np.clip(x + step, low, high)
            step = trial - x
            there = self.linearise(trial)
            # What the linearisation missed, in units of the step, relative to the whole step.
            missed = np.linalg.norm((there.rate - step / dt) / scale)
            ratio = float(missed / np.linalg.norm(here.rate / scale))
            if ratio <= 0.5 and _with_the_flow(step, here.rate):
                x, here = trial, there
                dt *= min(10.0, 0.25 / max(ratio, 1e-3))
            else:
                here = self.linearise(x)  # the derivatives' memory was lent to the trial
                dt *= max(0.05, min(0.25, 0.25 / ratio)) if ratio > 0 else 0.25
                ratio = 1.0
        return x, here

    def solve(self, here: Linearisation, scale: Array, right: Array, eta: float) -> Array:
        """Return the solution of ``(diag(scale) - links) v = right`` to a relative error eta.

        By the series ``sum_k (links / scale)^k right / scale`` as long as its terms fall fast, as
        they do in short steps; else by GMRES.
        """

        def passed_on(v: Array) -> Array:
            self.products += 1
            return here.links(v) / scale

        solution = term = right / scale
        size = before = float(np.linalg.norm(term))
        for _ in range(_TERMS):
            term = passed_on(term)
            now = float(np.linalg.norm(term))
            if not now <= _FALLING * before:
                break
            solution = solution + term
            if now * now <= eta * size * before:  # what is left out, if the next falls alike
                return solution
            before = now
        return self.by_gmres(passed_on, right / scale, eta)

    def by_gmres(self, passed_on: Callable[[Array], Array], right: Array, eta: float) -> Array:
        """Return the solution of ``v - passed_on(v) = right`` to a relative error eta."""
        from scipy.sparse.linalg import LinearOperator, gmres

        n = len(right)
        matrix = LinearOperator((n, n), matvec=lambda v: v - passed_on(v), dtype=np.float64)
        # A start without a product: the diagonal alone.
        return gmres(matrix, right, rtol=eta, atol=0, restart=_RESTART, maxiter=10)[0]

    def is_stable(self, here: Linearisation) -> bool:
        """Tell whether all eigenvalues of the Jacobian have real parts of at most rounding."""
        if here.cooperative and (here.diagonal < 0).all():
            v = self.solve(here, -here.diagonal, np.ones(len(here.rate)), 0.01)
            if (v > 0).all() and (here.diagonal * v + here.links(v) < 0).all():
                return True
        size = float(np.abs(here.diagonal).max())
        return _rightmost(here) <= 1e-6 * max(size, 1e-6)

    def explicit(self, x: Array, max_evaluations: int) -> Any:
        """Follow the flow itself; yield states each time the residual has fallen tenfold."""
        from scipy.integrate import RK45

        def rate(_: float, y: Array) -> Array:
            self.evaluations += 1
            return self.field(y)

        stepper = RK45(rate, 0.0, x, inf, rtol=1e-4, atol=1e-7)
        self.last, largest, wanted = x, 0.0, 0.01
        last_evaluation = self.evaluations + max_evaluations
        while self.evaluations < last_evaluation and stepper.status == "running":
            stepper.step()
            self.last = stepper.y
            size = float(np.max(np.abs(stepper.f) / (1 + np.abs(stepper.y))))
            if not isfinite(size) or float(np.abs(stepper.y).max()) > _LARGEST:
                self.last = np.full(len(x), inf)
                return
            largest = max(largest, size)
            if size < wanted * largest:
                wanted = 0.1 * size / largest
                low, high = self.field.system.domain
                yield np.clip(stepper.y, low, high)


def _with_the_flow(step: Array, rate: Array) -> bool:
    """Tell whether a step goes with the flow, which beyond an unstable direction it does not."""
    along = float(step @ rate)
    # Where all rates have one sign, a cooperative system moves that way at every node; some slack
    # is left for solutions that are not exact.
    one_sided = bool((rate >= 0).all() or (rate <= 0).all())
    wanted = 0.8 if one_sided else 0.0
    return along >= wanted * float(np.abs(step) @ np.abs(rate)) and along >= 0


def _rightmost(here: Linearisation) -> float:
    """Return the largest real part of the Jacobian's eigenvalues; infinity if it is not found."""
    from scipy.sparse.linalg import ArpackError, LinearOperator, eigs

    n = len(here.rate)

    def product(v: Array) -> Array:
        v = v.ravel()
        return here.diagonal * v + here.links(v)

    if n <= 200:
        dense = np.column_stack([product(column) for column in np.eye(n)])
        return float(np.linalg.eigvals(dense).real.max())
    matrix = LinearOperator((n, n), matvec=product, dtype=np.float64)
    try:
        found = eigs(matrix, 1, which="LR", v0=np.ones(n), tol=1e-4, return_eigenvectors=False)
    except ArpackError:
        return inf
    return float(found.real[0])
