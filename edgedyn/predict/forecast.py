"""Forecast: the final accuracy, with intervals, from the first epochs and curves that ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from math import isfinite, log, nan, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn._plain import Plain
from edgedyn.predict.level import expit, logit

LEVELS = (0.68, 0.95)
OBSERVED = (2, 3, 4, 5, 7, 10)  # epochs after which a completed curve is looked at
PRIOR_CURVES = 10  # what a prior weighs beside curves of one's own
UNKNOWN = 1000  # validation samples where nobody says how many there are
LEAST_RATIO = 2  # of all epochs to those seen, for a curve to teach something
PRIOR = "forecast_prior.json"


@dataclass(frozen=True)
class Completed:
    """A curve that came to its end, to learn from."""

    accuracy: ArrayLike  # of validation, in [0, 1], after every epoch
    truth: float  # the final accuracy
    training: ArrayLike | None = None  # training accuracy, NaN where unknown
    n_samples: int = UNKNOWN  # validation samples times the runs averaged
    task: str = ""  # left out together where the intervals are measured
    family: str = ""  # likewise


@dataclass(frozen=True)
class Lesson(Plain):
    """What completed curves teach, with and without training accuracy known."""

    coefficients: tuple[float, ...]  # c of the formula in `forecast`, shape (2,)
    half_widths: tuple[float, ...]  # of the 68 % and 95 % interval, in logits a unit of log(T / K)
    gram: tuple[tuple[float, ...], ...]  # mean products of the features: how firmly a curve holds c
    largest: float  # the largest log(T / K) of the curves
    n_curves: int
    n_tasks: int


@dataclass(frozen=True)
class Forecast(Plain):
    """A final accuracy with its intervals, all inside (0, 1).

    Parameters
    ----------
    value : float
        The median.
    low_68, high_68, low_95, high_95 : float
    status : str
        ``ok``; else why there is no forecast (all NaN) or why its intervals are wider.
    """

    value: float
    low_68: float
    high_68: float
    low_95: float
    high_95: float
    status: str

    def __str__(self) -> str:
        if not isfinite(self.value):
            return f"no forecast: {self.status}"
        return (
            f"{self.value:.3f} (68 %: {self.low_68:.3f} .. {self.high_68:.3f}, "
            f"95 %: {self.low_95:.3f} .. {self.high_95:.3f})"
        )


def forecast(
    accuracy: ArrayLike,
    target: int,
    *,
    training: float | None = None,
    n_samples: int | None = None,
    lesson: Lesson | None = None,
) -> Forecast:
    r"""Forecast the accuracy after the last epoch from those seen.

    .. math:: \operatorname{logit} \hat y_T = \theta + (1 - r) \log(T / K) (c_0 + c_1 s),
              \quad s = \frac{l_K - l_1}{\log K}

    with :math:`\theta` the logit of the accuracy after epoch K, :math:`l_t` the logits of the
    curve, :math:`s` their slope in the logarithm of the epoch, and :math:`r` the training
    accuracy: what has been learnt cannot be learnt again. The half width of an interval is
    :math:`w \log(T / K)`, with w such that it holds as often as it says for tasks and families
    that were left out, and the sampling error of :math:`\theta`.

    Parameters
    ----------
    accuracy : array_like, shape (n_observed,)
        Validation accuracy in [0, 1] after each epoch seen, two or more.
    target : int
        The last epoch, T.
    training : float, optional
        Training accuracy after the last epoch seen. Without it the curve alone counts.
    n_samples : int, optional
        Validation samples behind each accuracy; else 1000 are taken, and the status says so.
    lesson : Lesson, optional
        From `learn`; by default the shipped one.

    Raises
    ------
    TypeError, ValueError
        For a target before the last epoch seen, no samples, accuracies of another shape.

    Notes
    -----
    Do not rank by it: the term in s follows the noise of single curves. The shipped lesson comes
    from ``validation/forecast.py``, which also measures how often the intervals hold.

    Examples
    --------
    >>> from edgedyn.predict.forecast import forecast
    >>> print(forecast([0.30, 0.41, 0.47, 0.52, 0.55], 50, training=0.6, n_samples=500).status)
    ok
    """
    target = check.positive_int(target, "target")
    n = UNKNOWN if n_samples is None else check.positive_int(n_samples, "n_samples")
    seen = np.asarray(accuracy, float)
    if seen.ndim != 1:
        raise ValueError(f"accuracy must have shape (n_observed,); got {seen.shape}.")
    if target < len(seen):
        raise ValueError(f"target must be at least the {len(seen)} epochs seen; got {target}.")
    if len(seen) < 2 or not ((seen >= 0) & (seen <= 1)).all():
        why = "fewer than two epochs" if len(seen) < 2 else "accuracy not in [0, 1]"
        return Forecast(nan, nan, nan, nan, nan, why)
    known = training is not None and isfinite(training)
    used = lesson or shipped(known)
    far = log(target / len(seen))
    curve = Completed(seen, nan, None if training is None else [training], n)
    theta, variance = _last(curve, len(seen))
    middle = theta + float(_features(curve, len(seen), target) @ np.array(used.coefficients))
    beyond = far > used.largest * (1 + 1e-9)
    # Beyond the ratios that were seen, the width grows with the square.
    reach = far * (far / used.largest if beyond else 1.0)
    ends = [
        sqrt((w * reach) ** 2 + NormalDist().inv_cdf((1 + p) / 2) ** 2 * variance)
        for w, p in zip(used.half_widths, LEVELS, strict=True)
    ]
    logits = np.array([middle, *(middle + sign * end for end in ends for sign in (-1, 1))])
    said = [f"{target} epochs of which {len(seen)} seen: further than was learnt"] * beyond
    said += [f"unknown how many validation samples: {UNKNOWN} taken"] * (n_samples is None)
    value, low_68, high_68, low_95, high_95 = expit(logits).tolist()
    return Forecast(value, low_68, high_68, low_95, high_95, "; ".join(said) or "ok")


def learn(
    curves: Sequence[Completed],
    prior: Lesson | None = None,
    observed: Sequence[int] = OBSERVED,
) -> Lesson:
    """Learn from completed curves how far accuracies rise.

    Coefficients are a ridge regression towards the prior's, every task of equal weight. Widths are
    quantiles of the errors with the curve's task and family left out (its family alone where all
    are of one task, and only itself where all are of one family), blended with the prior's.

    Parameters
    ----------
    curves : sequence of Completed
        Of at least four epochs; all with training accuracies, or none.
    prior : Lesson, optional
        Counts as ten curves.
    observed : sequence of int
        After how many epochs the curves are looked at: those seen, where that is known.

    Raises
    ------
    ValueError
        For no curve that is long enough, or fewer than five curves without a prior.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.predict.forecast import Completed, forecast, learn
    >>> t = np.arange(1, 31)
    >>> def rising(end, task):  # a line in the logarithm of the epoch
    ...     logits = np.log(t) / np.log(30) * (end + 2) - 2
    ...     return Completed(1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(-end)), task=task)
    >>> lesson = learn([rising(end, task) for end in np.linspace(0, 2, 9) for task in "ab"])
    >>> round(forecast(rising(1.0, "").accuracy[:5], 30, lesson=lesson).value, 2)
    0.73
    """
    rows = _Rows.of(curves, observed)
    n = len(set(rows.curve.tolist()))
    if n < 5 and prior is None:
        raise ValueError(
            f"learning a forecast takes at least 5 curves of {2 * LEAST_RATIO} epochs; got {n}. "
            "Give more, or a prior."
        )
    everything = np.ones(len(rows.y), bool)
    c = _fitted(rows, everything, prior)
    errors = np.full(len(rows.y), nan)
    for out, rest in rows.left_out():
        if rest.any() or prior is not None:
            errors[out] = rows.y[out] - rows.x[out] @ _fitted(rows, rest, prior)
    kept = np.isfinite(errors)
    sizes = np.abs(errors[kept]) / rows.far[kept]
    widths = [_quantile(sizes, rows.weight[kept], p, n) for p in LEVELS]
    gram = rows.gram(everything) / rows.weight.sum()
    largest, n_tasks = float(rows.far.max()), len(set(rows.task.tolist()))
    if prior is not None:
        share = PRIOR_CURVES / (n + PRIOR_CURVES)
        widths = [w + share * (p - w) for w, p in zip(widths, prior.half_widths, strict=True)]
        largest = max(largest, prior.largest)
        n, n_tasks = n + prior.n_curves, n_tasks + prior.n_tasks
    whole = tuple(map(tuple, gram.tolist()))
    return Lesson(tuple(c.tolist()), tuple(widths), whole, largest, n, n_tasks)


@cache
def shipped(with_training: bool = True) -> Lesson:
    """Return the shipped lesson for known or unknown training accuracies.

    Learnt from named curves by ``validation/forecast.py``.
    """
    import msgspec

    text = (files("edgedyn.predict") / PRIOR).read_bytes()
    found = msgspec.json.decode(text, type=dict[str, Lesson])
    return found["with_training" if with_training else "without_training"]


# Features and rows -------------------------------------------------------------------------------


def _logits(accuracy: Array, n: int) -> Array:
    """Return logits that stay finite at 0 and 1."""
    return logit((accuracy * n + 0.5) / (n + 1))


def _last(curve: Completed, observed: int) -> tuple[float, float]:
    """Return the logit of the last accuracy seen and its sampling variance."""
    n = curve.n_samples
    p = (float(np.asarray(curve.accuracy)[observed - 1]) * n + 0.5) / (n + 1)
    return log(p / (1 - p)), 1 / (n * p * (1 - p))


def _features(curve: Completed, observed: int, target: int) -> Array:
    """Return (1 - r) log(T / K) (1, s)."""
    logits = _logits(np.asarray(curve.accuracy, float)[:observed], curve.n_samples)
    trained = 0.0
    if curve.training is not None:
        known = np.asarray(curve.training, float)
        trained = float(known[min(observed, len(known)) - 1])
        trained = min(max(trained, 0.0), 1.0) if isfinite(trained) else 0.0
    slope = (logits[-1] - logits[0]) / log(observed)
    return (1 - trained) * log(target / observed) * np.array([1.0, slope])


@dataclass(frozen=True)
class _Rows:
    """Completed curves, each looked at after several numbers of epochs."""

    x: Array
    y: Array
    far: Array
    weight: Array
    curve: Array
    task: Array
    family: Array

    @classmethod
    def of(cls, curves: Sequence[Completed], observed: Sequence[int]) -> "_Rows":
        """Look at every curve; a curve counts once, and every task as much as another."""
        rows = []
        for k, one in enumerate(curves):
            target = len(np.asarray(one.accuracy))
            at = [n for n in observed if LEAST_RATIO * n <= target]
            final = float(_logits(np.asarray(one.truth), one.n_samples))
            for n in at:
                rise = final - _last(one, n)[0]
                rows.append((_features(one, n, target), rise, log(target / n), 1 / len(at), k))
        if not rows:
            raise ValueError(f"there is no completed curve of {2 * LEAST_RATIO} epochs or more.")
        x, y, far, weight, index = map(np.array, zip(*rows, strict=True))
        task = np.array([curves[k].task for k in index])
        sums = {name: weight[task == name].sum() for name in set(task.tolist())}
        weight = weight / np.array([sums[name] for name in task]) * (weight.sum() / len(sums))
        return cls(x, y, far, weight, index, task, np.array([curves[k].family for k in index]))

    def gram(self, kept: Array) -> Array:
        """Return the weighted sum of the features' products."""
        w = (self.weight / self.far**2)[kept]
        return self.x[kept].T @ (w[:, None] * self.x[kept])

    def left_out(self) -> list[tuple[Array, Array]]:
        """Return which rows are judged together, and which of the others teach them."""
        task, family = self.task, self.family
        if len(set(task.tolist())) < 2:
            task = self.curve if len(set(family.tolist())) < 2 else family
        if len(set(family.tolist())) < 2:
            family = task
        pairs = dict.fromkeys(zip(task.tolist(), family.tolist(), strict=True))
        return [((task == t) & (family == f), (task != t) & (family != f)) for t, f in pairs]


def _fitted(rows: _Rows, kept: Array, prior: Lesson | None) -> Array:
    """Return the coefficients; errors grow with log(T / K), and are weighted by its square."""
    w = (rows.weight / rows.far**2)[kept]
    gram, right = rows.gram(kept), rows.x[kept].T @ (w * rows.y[kept])
    if prior is None:
        return np.linalg.lstsq(gram, right, rcond=None)[0]
    held = PRIOR_CURVES * np.array(prior.gram)
    return np.linalg.solve(gram + held, right + held @ np.array(prior.coefficients))


def _quantile(sizes: Array, weight: Array, share: float, n: int) -> float:
    """Return a weighted quantile, with one curve more at infinity held back for the new one."""
    order = np.argsort(sizes)
    total = np.cumsum(weight[order])
    at = np.searchsorted(total, min(share * (n + 1) / n, 1.0) * total[-1] * (1 - 1e-12))
    return float(sizes[order][at])
