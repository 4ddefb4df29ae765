"""Lines through the first epochs of many candidates at once; needs numpy alone.

`fit` gives each candidate the paper's own line, as `edgedyn.NeuralCapacitanceRegressor` does one by
one; `pool` gives all one slope, as `edgedyn.predict.PooledCapacitanceRegressor` has it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from math import nan

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._array import Array
from edgedyn.predict.window import binomial_variance, noise_along, scores

MIN_OBSERVATIONS = 3
FLAT = 1e-6
FAR = 5.0  # ranges of the observed values between them and 0
HYPERPRIOR = 1e-6  # scikit-learn's alpha_1, alpha_2, lambda_1 and lambda_2
TOLERANCE, STEPS = 1e-10, 10_000
RECENT = 3  # observations whose mean is the unit of beta_eff where one slope is shared


def status_of(flat: bool, wrong: bool, away: float, value: float) -> str:
    """Return the first doubt about a line that applies, or "ok"."""
    doubts = {
        "flat": flat,
        "wrong_slope": wrong,
        "far_extrapolation": away > FAR,
        "outside_unit": not 0 <= value <= 1,
    }
    return next((word for word, applies in doubts.items() if applies), "ok")


@dataclass(frozen=True, eq=False)
class Lines:
    """The paper's lines of several curves, one entry a curve; NaN (t0: 0) where there is none.

    Parameters
    ----------
    final, slope, std : ndarray, shape (n_curves,)
        Value at 0 (not clipped), slope, standard deviation of that value.
    noise, dof : ndarray, shape (n_curves,)
        Standard deviation of one observation, and the degrees of freedom behind it.
    t0, n : ndarray of int, shape (n_curves,)
        The first usable observation in the window, counted from 1, and how many are in it.
    flat : ndarray of bool, shape (n_curves,)
        Whether beta_eff says nothing of the slope, which is 0 then.
    centre, weight, reach : ndarray, shape (n_curves,)
        Where the line's mean is known best; what its squared distance adds to the variance, in
        units of the noise's; how far from it a flat curve was observed.
    away : ndarray, shape (n_curves,)
        How far 0 lies from the window, in units of the range of beta_eff in it.

    See Also
    --------
    edgedyn.NeuralCapacitanceRegressor : Says what the numbers mean.
    """

    final: Array
    slope: Array
    std: Array
    noise: Array
    dof: Array
    t0: Array
    n: Array
    flat: Array
    centre: Array
    weight: Array
    reach: Array
    away: Array

    def statuses(self) -> list[str]:
        """Return each line's status, as the regressor's `status_` has it."""
        wrong = self.slope * self.centre > 0
        pairs = zip(self.flat, wrong, self.away, self.final, strict=True)
        return [status_of(bool(f), bool(w), float(a), float(v)) for f, w, a, v in pairs]

    def band(self, at: ArrayLike) -> tuple[Array, Array]:
        """Return the lines' values at some places, and the standard deviations of these means.

        Both in the shape of the places; the deviations are without the noise of a new observation,
        and infinite where a flat curve leaves the values observed.

        Parameters
        ----------
        at : array_like, shape (n_curves, n_places)
        """
        places = np.asarray(at, float)
        mean = self.final[:, None] + places * self.slope[:, None]
        away = np.abs(places - self.centre[:, None])
        with np.errstate(divide="ignore"):
            inside = away**2 * self.weight[:, None] + 1 / self.n[:, None]
        std = self.noise[:, None] * np.sqrt(inside)
        return mean, np.where(away > self.reach[:, None], np.inf, std)


def fit(
    beta: ArrayLike, accuracy: ArrayLike, n_validation: int | None = None, t0: int | str = "bic"
) -> Lines:
    """Fit each curve's line.

    The regressor's Bayesian ridge on standardised data depends on two numbers alone, the count of
    observations and their correlation; scikit-learn's iteration is one of scalars then, done here
    for all curves together.

    Parameters
    ----------
    beta, accuracy : array_like, shape (n_curves, n_observations)
        Observations of which either is NaN or infinite are left out.
    n_validation : int, optional
        Samples behind each accuracy.
    t0 : int or "bic"
        The first observation used, of those that are finite. Curves with fewer than three from
        there on have no line.

    Examples
    --------
    >>> found = fit([[0.5, 0.4, 0.3, 0.2], [3.0, 2.0, 1.0, float("nan")]],
    ...             [[0.6, 0.7, 0.8, 0.9], [0.2, 0.3, 0.4, 0.5]])
    >>> found.final.round(3), found.n
    (array([1.1, 0.5]), array([4, 3]))
    """
    beta, accuracy = np.asarray(beta, float), np.asarray(accuracy, float)
    kept = np.isfinite(beta) & np.isfinite(accuracy)
    counts = kept.sum(axis=1)
    starts = np.full(len(beta), 1 if t0 == "bic" else t0)
    none = {"t0": 0, "n": 0, "flat": False}
    found = Lines(**{f.name: np.full(len(beta), none.get(f.name, nan)) for f in fields(Lines)})
    for n in np.unique(counts[counts >= MIN_OBSERVATIONS]):
        rows = np.flatnonzero(counts == n)
        x, y = (v[rows][kept[rows]].reshape(-1, n) for v in (beta, accuracy))
        if t0 == "bic":
            starts[rows] = 1 + np.argmin(_bic(x, y, n_validation), axis=1)
        for start in np.unique(starts[rows]):
            if n - start + 1 >= MIN_OBSERVATIONS:
                at = starts[rows] == start
                part = _fit(x[at, start - 1 :], y[at, start - 1 :], n_validation, start)
                for f in fields(Lines):
                    getattr(found, f.name)[rows[at]] = getattr(part, f.name)
    return found


def _fit(x: Array, y: Array, n_validation: int | None, start: int) -> Lines:
    """Fit lines through all observations of some curves; see `NeuralCapacitanceRegressor`."""
    n = x.shape[1]
    centre, mean = x.mean(axis=1), y.mean(axis=1)
    flat = x.std(axis=1) <= FLAT * np.abs(x).mean(axis=1)
    # Targets that only differ by rounding are constant.
    level = y.std(axis=1) <= 1e-12 * np.abs(y).max(axis=1)
    width, height = np.where(flat, 1.0, x.std(axis=1)), np.where(level, 0.0, y.std(axis=1))
    z = np.where(flat[:, None], 0.0, x - centre[:, None]) / width[:, None]
    t = np.where(level[:, None], 0.0, y - mean[:, None]) / np.where(level, 1.0, height)[:, None]
    r = np.clip((z * t).mean(axis=1), -1.0, 1.0)
    left = ((t - r[:, None] * z) ** 2).mean(axis=1)  # 1 - r^2 without cancellation
    ratio = np.where(level | flat, 0.0, _ridge(r, left, n))
    c = n * r / (n + ratio)
    gamma = np.where(flat, 0.0, n / (n + ratio))
    dof = np.maximum(n - 1 - gamma, 0.0)
    rss = n * (left + (r - c) ** 2)
    variance = height**2 * (rss + 2 * HYPERPRIOR) / (dof + 2 * HYPERPRIOR)
    noise = np.sqrt(np.maximum(variance, binomial_variance(y, n_validation)))
    slope = c * height / width
    weight = np.where(flat, 0.0, 1 / (width**2 * (n + ratio)))
    reach = np.where(flat, np.abs(x - centre[:, None]).max(axis=1), np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(flat, nan, np.abs(x).min(axis=1) / np.ptp(x, axis=1))
    whole = (np.full(len(x), start), np.full(len(x), n), flat, centre, weight, reach, away)
    found = Lines(mean - slope * centre, slope, noise.copy(), noise, dof, *whole)
    found.std[:] = found.band(np.zeros((len(x), 1)))[1][:, 0]
    return found


def _ridge(r: Array, left: Array, n: int) -> Array:
    """Return the ratio of precisions that BayesianRidge finds, by the correlation r."""
    alpha = np.full(r.shape, 1 / (1 + np.finfo(float).eps))
    weight, before = np.ones(r.shape), np.full(r.shape, np.inf)  # weight: lambda
    going = np.ones(r.shape, bool)
    for step in range(STEPS):
        ratio = weight / alpha
        c = n * r / (n + ratio)
        sse = n * (left + (r - c) ** 2)
        gamma = n / (n + ratio)
        weight = np.where(going, (gamma + 2 * HYPERPRIOR) / (c**2 + 2 * HYPERPRIOR), weight)
        alpha = np.where(going, (n - gamma + 2 * HYPERPRIOR) / (sse + 2 * HYPERPRIOR), alpha)
        going &= (step == 0) | (np.abs(before - c) >= TOLERANCE)
        before = c
        if not going.any():
            break
    return weight / alpha


def _bic(x: Array, y: Array, n_validation: int | None) -> Array:
    """Return BIC(t0) for t0 = 1..K-2, shape (n_curves, K - 2); see `edgedyn.predict.window`."""
    rss = [_residuals(x[:, k:], y[:, k:]) for k in range(x.shape[1] - 2)]
    return scores(np.stack(rss, axis=1), noise_along(x, y, n_validation), y)


def _residuals(x: Array, y: Array) -> Array:
    """Return the residual sums of least-squares lines."""
    dx, dy = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    largest = np.abs(dx).max(axis=1, keepdims=True)
    dx = dx / np.where(largest > 0, largest, 1.0)
    slope = (dx * dy).sum(axis=1) / np.where(largest[:, 0] > 0, (dx**2).sum(axis=1), 1.0)
    return ((dy - slope[:, None] * dx) ** 2).sum(axis=1)


# One slope for all ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Pooled:
    """Lines of several candidates with one slope; see `PooledCapacitanceRegressor`.

    Parameters
    ----------
    final, std : ndarray, shape (n_groups,)
        Values at 0 (not clipped), and their standard deviations.
    slope : ndarray, shape (n_features,)
        In accuracy for each unit of relative beta_eff.
    units, anchor : ndarray, shape (n_groups, n_features)
        Each candidate's unit, and its last relative beta_eff.
    last : ndarray, shape (n_groups,)
        Its last accuracy.
    noise : float
        Scatter of all observations around their lines.
    flat : bool
        Whether beta_eff is constant throughout; the slope is 0 then.
    """

    final: Array
    std: Array
    slope: Array
    units: Array
    anchor: Array
    last: Array
    noise: float
    flat: bool


def pool(beta: Sequence[Array], accuracy: Sequence[Array]) -> Pooled:
    """Fit the slope that all candidates share, in relative beta_eff.

    Parameters
    ----------
    beta : sequence of ndarray, shape (n_observations, n_features)
        One a candidate, of at least one observation, in the order of training; finite.
    accuracy : sequence of ndarray, shape (n_observations,)

    Examples
    --------
    >>> beta = [np.array([[4.0], [3.0], [2.0]]), np.array([[40.0], [30.0], [20.0]])]
    >>> accuracy = [np.array([0.4, 0.5, 0.6]), np.array([0.5, 0.6, 0.7])]
    >>> pool(beta, accuracy).final.round(6)
    array([0.8, 0.9])
    """
    units = np.array([b[-RECENT:].mean(axis=0) for b in beta])
    units[units == 0] = 1.0
    z = [b / unit for b, unit in zip(beta, units, strict=True)]
    dz = np.concatenate([v - v.mean(axis=0) for v in z])
    dy = np.concatenate([v - v.mean() for v in accuracy])
    # Rounding alone lets a constant column vary; it then says nothing.
    sizes = np.sqrt((np.concatenate(z) ** 2).sum(axis=0))
    dz[:, np.sqrt((dz**2).sum(axis=0)) <= 1e-12 * np.maximum(sizes, 1e-300)] = 0.0
    inverse = np.linalg.pinv(dz.T @ dz, hermitian=True)
    slope = inverse @ (dz.T @ dy)
    rest = dy - dz @ slope
    freedom = max(len(dy) - len(z) - dz.shape[1], 1)
    noise = float(np.sqrt(rest @ rest / freedom))
    anchor, last = np.array([v[-1] for v in z]), np.array([v[-1] for v in accuracy])
    spread = np.einsum("gi,ij,gj->g", anchor, inverse, anchor)
    std = noise * np.sqrt(1 + np.maximum(spread, 0))
    return Pooled(last - anchor @ slope, std, slope, units, anchor, last, noise, not dz.any())
