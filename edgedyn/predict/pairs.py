"""Is one candidate ahead of another? Paired by the validation samples that both have seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array


@dataclass(frozen=True)
class Lead:
    """By how much one candidate is ahead of another.

    Parameters
    ----------
    value : float
        Difference of accuracies, mean over seeds.
    std : float
        Its standard deviation, from samples and seeds.
    low, high, confidence : float
        Ends of the interval that was asked for, and its confidence.
    n_samples, n_seeds : int
    status : str
        "ok"; ``one seed``: the spread between seeds is not known, so that the interval is that of
        the samples alone.
    """

    value: float
    std: float
    low: float
    high: float
    confidence: float
    n_samples: int
    n_seeds: int
    status: str

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0


def lead(first: ArrayLike, second: ArrayLike, confidence: float = 0.95) -> Lead:
    r"""Compare two candidates by which validation samples each got right.

    .. math:: d = \overline{u_{first} - u_{second}}, \quad
              \operatorname{var} d = \frac{\operatorname{var}_s (\bar u_{first,s} -
              \bar u_{second,s})}{n_{val}} + \frac{\operatorname{var}_{seeds} d_{seed}}{n_{seeds}}

    Parameters
    ----------
    first, second : array_like of bool, shape (n_samples,) or (n_seeds, n_samples)
        Whether each sample was right; the same seeds and samples in the same order.
    confidence : float
        Of the interval, in (0, 1).

    Raises
    ------
    ValueError
        For arrays of different shapes, without samples, or a confidence outside (0, 1).

    Notes
    -----
    With one seed the first term is McNemar's. What both get right, or both wrong, says nothing:
    two candidates of accuracy 0.8 that err on the same samples are told apart by a handful.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.predict.pairs import lead
    >>> second = np.arange(100) < 70
    >>> first = np.arange(100) < 76  # right wherever the second is, and on six more
    >>> found = lead(first, second)
    >>> round(found.value, 3), round(found.low, 3), found.is_clear
    (0.06, 0.013, True)
    """
    a, b = _correct(first, "first"), _correct(second, "second")
    if a.shape != b.shape:
        raise ValueError(f"first and second must have one shape; got {a.shape} and {b.shape}.")
    confidence = check.real_number(confidence, "confidence", above=0.0)
    if confidence >= 1:
        raise ValueError(f"confidence must be below 1; got {confidence:g}.")
    differences = a.astype(float) - b
    seeds, n = differences.shape
    variance = differences.mean(axis=0).var(ddof=1) / n if n > 1 else nan
    if seeds > 1:
        variance += differences.mean(axis=1).var(ddof=1) / seeds
    value, std = float(differences.mean()), sqrt(variance)
    reach = -NormalDist().inv_cdf((1 - confidence) / 2) * std
    status = "ok" if seeds > 1 else "one seed"
    return Lead(value, std, value - reach, value + reach, confidence, n, seeds, status)


def chances(
    correct: Mapping[str, ArrayLike],
    *,
    n_draws: int = 2000,
    seed: int | np.random.Generator = 0,
) -> dict[str, Array]:
    """Return how probable each candidate's place is, in draws of samples and seeds.

    `correct` tells which validation samples each got right: bool, shape (n_samples,) or (n_seeds,
    n_samples), the same of all. They are resampled with replacement `n_draws` times, the same for
    every candidate. The arrays, shape (n_candidates,), hold the probability of being first, second,
    ...; candidates that tie in a draw share their places. The probability that the best is among
    some candidates is the sum of their first entries. TypeError or ValueError for no candidates, or
    arrays of different shapes.
    """
    if not correct:
        raise ValueError("correct is empty; give at least one candidate.")
    check.positive_int(n_draws, "n_draws")
    known = {name: _correct(value, name) for name, value in correct.items()}
    shapes = {value.shape for value in known.values()}
    if len(shapes) > 1:
        said = ", ".join(f"{name} {value.shape}" for name, value in known.items())
        raise ValueError(f"all candidates must have one shape; got {said}.")
    seeds, n = shapes.pop()
    rng = np.random.default_rng(seed)
    of_samples = rng.multinomial(n, np.full(n, 1 / n), size=n_draws)
    of_seeds = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=n_draws)
    # Whole numbers, so that ties are ties.
    score = np.stack(
        [((of_samples @ u.T.astype(np.int64)) * of_seeds).sum(axis=1) for u in known.values()]
    )
    return dict(zip(known, _places(score), strict=True))


def _places(score: Array) -> Array:
    """Return the share of draws in each place; score has a row a candidate, a column a draw."""
    above = (score[:, None] < score[None]).sum(axis=1)
    level = (score[:, None] == score[None]).sum(axis=1)
    found = np.zeros((len(score), len(score)))
    for place in range(len(score)):
        inside = (above <= place) & (place < above + level)
        found[:, place] = np.where(inside, 1 / level, 0).mean(axis=1)
    return found


def _correct(given: ArrayLike, name: str) -> Array:
    """Return correctness as (seeds, samples)."""
    values = np.asarray(given)
    if values.dtype.kind != "b":
        raise TypeError(f"{name} must be an array of booleans; got {values.dtype}.")
    whole = np.atleast_2d(values)
    if whole.ndim != 2 or 0 in whole.shape:
        raise ValueError(f"{name} must have shape (seeds, samples); got {values.shape}.")
    return whole
