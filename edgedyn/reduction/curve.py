"""All steady states of the reduced system: critical points and resilience curves."""

from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn.reduction.pair import Array, Pair, evaluate

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = {"beta": np.float64, "x": np.float64, "stable": bool, "branch": np.int64}
_DECADES = (-8, 6)
_POINTS = 4000
_APART = 5  # grid points on either side that an extremum must stand out from, and by how much
_NOISE = 1e-9


@dataclass(frozen=True)
class CriticalPoint:
    """Where steady states of a reduced system appear, vanish or change their stability.

    Parameters
    ----------
    beta, x : float
        The place: beta_eff and state.
    kind : {"fold", "transcritical"}
        ``fold``: a stable and an unstable state meet; ``transcritical``: a state leaves x = 0,
        which loses its stability.
    """

    beta: float
    x: float
    kind: Literal["fold", "transcritical"]


@dataclass(frozen=True, eq=False)
class ResilienceCurve:
    """The steady states of a reduced system against beta_eff.

    Parameters
    ----------
    system : str
    beta, x : ndarray, shape (n_points,)
        One point a steady state; several where several live.
    stable : ndarray of bool
    branch : ndarray of int
        Numbers pieces of the curve without a fold between, from low to high x; 0 where x = 0 is
        a steady state at every beta. Points of one branch may be joined by a line.
    critical : tuple of CriticalPoint

    Examples
    --------
    >>> import edgedyn as ed
    >>> curve = ed.reduction.gene_regulation().resilience_curve([1.0, 2.5])
    >>> print(curve.to_frame())
       beta    x  stable  branch
    0   1.0  0.0    True       0
    1   2.5  0.0    True       0
    2   2.5  0.5   False       1
    3   2.5  2.0    True       2
    """

    system: str
    beta: Array = field(repr=False)
    x: Array = field(repr=False)
    stable: Array = field(repr=False)
    branch: Array = field(repr=False)
    critical: tuple[CriticalPoint, ...] = ()

    def to_frame(self) -> "pd.DataFrame":
        """Return the points as a pandas DataFrame, one row a steady state."""
        import pandas as pd

        return pd.DataFrame({name: getattr(self, name) for name in _COLUMNS})

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain Python values."""
        points = {name: getattr(self, name).tolist() for name in _COLUMNS}
        return {"system": self.system, **points, "critical": [asdict(p) for p in self.critical]}


def resilience_curve(system: Pair, betas: ArrayLike, receiver: float = 1.0) -> ResilienceCurve:
    r"""Return every steady state of :math:`x' = f(x) + \beta g(r x, x)` at each beta.

    States between 1e-8 and 1e6 in size, and 0, within the system's domain. Gao, Barzel and
    Barabasi, Nature 530:307 (2016), Fig. 1. Between neighbouring folds ``beta(x) = -f/g`` is
    monotone; a grid in x that contains the folds brackets every state, which Brent's method finds.

    Parameters
    ----------
    system : System
    betas : array_like
        Values of beta_eff, any order.
    receiver : float
        r, as for `System.one_dimensional`.

    Raises
    ------
    TypeError, ValueError
        For betas that are not finite numbers.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> curve = ed.reduction.mutualistic().resilience_curve(np.linspace(0, 12, 25))
    >>> bool((curve.x[curve.beta > 6.98] > 5).all())  # the low state is gone
    True
    """
    values = np.atleast_1d(np.asarray(betas, np.float64)).ravel()
    if not np.isfinite(values).all():
        raise ValueError("betas must be finite numbers.")
    critical = critical_points(system, receiver)
    folds = np.sort([p.x for p in critical if p.kind == "fold"])
    trivial = _has_trivial_state(system)
    rows = []
    for beta in values.tolist():
        for x, stable in steady_points(system, beta, receiver):
            branch = 0 if trivial and x == 0 else 1 + int(np.searchsorted(folds, x))
            rows.append((beta, x, stable, branch))
    table = np.array(rows, list(_COLUMNS.items()))
    points = {name: table[name].copy() for name in _COLUMNS}
    return ResilienceCurve(system.name, **points, critical=critical)


def steady_points(system: Pair, beta: float, receiver: float = 1.0) -> list[tuple[float, bool]]:
    """Return the steady states at one beta, from low to high, and whether each is stable.

    Examples
    --------
    >>> from edgedyn.reduction import sis
    >>> steady_points(sis(), 2.0)
    [(0.0, False), (0.5, True)]
    """
    from scipy.optimize import brentq

    check.real_number(beta, "beta")

    def rate(x: float) -> float:
        return float(system.one_dimensional(x, beta, receiver))

    nodes = _nodes(system, receiver)
    with np.errstate(all="ignore"):
        values = system.one_dimensional(nodes, beta, receiver)
    signs = np.where(np.isfinite(values), np.sign(values), np.nan)
    found = nodes[signs == 0].tolist()
    for k in np.flatnonzero(signs[1:] * signs[:-1] < 0).tolist():
        a, b = float(nodes[k]), float(nodes[k + 1])
        root = brentq(rate, a, b, xtol=1e-300, rtol=4 * np.finfo(float).eps)
        # A pole changes the sign, too; no steady state is as steep as that.
        if abs(rate(root)) <= max(abs(rate(a)), abs(rate(b))):
            found.append(root)
    found.sort()
    return [(x, _is_stable(rate, found, k, system.domain)) for k, x in enumerate(found)]


def _is_stable(rate: Any, found: list[float], k: int, domain: tuple[float, float]) -> bool:
    """Tell from the signs halfway to the neighbours: rising below, falling above."""
    x = found[k]
    left = (found[k - 1] + x) / 2 if k else max(domain[0], x - max(1e-9, 1e-6 * abs(x)))
    last = k + 1 == len(found)
    right = min(domain[1], x + max(1e-9, 1e-6 * abs(x))) if last else (x + found[k + 1]) / 2
    return (left == x or rate(left) > 0) and (right == x or rate(right) < 0)


@lru_cache(maxsize=128)
def critical_points(system: Pair, receiver: float = 1.0) -> tuple[CriticalPoint, ...]:
    """Return the folds and transcritical points at beta >= 0, in the order of beta.

    Folds are the extrema of ``beta(x) = -f(x) / g(r x, x)`` along the curve of steady states; beta
    is exact to rounding, x to about its square root (1e-8).
    """
    from scipy.optimize import minimize_scalar

    found = []
    if _has_trivial_state(system):
        near, far = (float(_beta(system, np.array(x), receiver)) for x in (1e-6, 2e-6))
        if near >= 0 and abs(near - far) < 1e-3 * abs(near):
            found.append(CriticalPoint(2 * near - far, 0.0, "transcritical"))
    x = _grid(system)
    beta = _beta(system, x, receiver)
    with np.errstate(invalid="ignore"):
        change = np.sign(np.diff(beta))
    for k in (np.flatnonzero(change[1:] * change[:-1] <= 0) + 1).tolist():
        around = beta[max(k - _APART, 0) : k + _APART + 1]
        if len(around) < 2 * _APART + 1 or not np.isfinite(around).all():
            continue
        sign = 1 if around[0] > beta[k] else -1
        if not min(sign * (around[[0, -1]] - beta[k])) > _NOISE * abs(beta[k]):
            continue  # rounding, where beta hardly depends on x
        best = minimize_scalar(
            lambda y, s=sign: s * float(_beta(system, np.array(y), receiver)),
            bounds=(x[k - 1], x[k + 1]),
            method="bounded",
            options={"xatol": 1e-12 * abs(x[k])},
        )
        point = CriticalPoint(sign * float(best.fun), float(best.x), "fold")
        same = any(p.kind == "fold" and abs(p.x - point.x) < 1e-6 * abs(p.x) for p in found)
        if point.beta >= 0 and not same:
            found.append(point)
    return tuple(sorted(found, key=lambda p: p.beta))


def _beta(system: Pair, x: Array, receiver: float) -> Array:
    """Return the beta at which x is a steady state."""
    with np.errstate(all="ignore"):
        return -evaluate(system.f, x) / evaluate(system.g, receiver * x, x)


def _has_trivial_state(system: Pair) -> bool:
    """Tell whether x = 0 is a steady state at every beta."""
    low, high = system.domain
    zero = np.array(0.0)
    rests = low <= 0 <= high and evaluate(system.f, zero) == 0
    return bool(rests and evaluate(system.g, zero, zero) == 0)


def _grid(system: Pair) -> Array:
    """Return places from 1e-8 to 1e6 in size, both signs, within the domain; without 0."""
    size = np.logspace(*_DECADES, _POINTS)
    low, high = system.domain
    both = np.concatenate([-size[::-1], size])
    if np.isfinite(low) and np.isfinite(high):
        both = np.union1d(both, low + (high - low) * np.linspace(0, 1, _POINTS))
    return both[(both >= low) & (both <= high) & (both != 0)]


@lru_cache(maxsize=128)
def _nodes(system: Pair, receiver: float) -> Array:
    """Return the grid with 0, the bounds of the domain and the folds, between which it brackets."""
    low, high = system.domain
    extra = [0.0, *(b for b in (low, high) if np.isfinite(b))]
    extra += [p.x for p in critical_points(system, receiver)]
    nodes = np.union1d(_grid(system), [v for v in extra if low <= v <= high])
    nodes.flags.writeable = False
    return nodes
