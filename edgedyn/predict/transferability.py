"""How well a source model's features or classes suit a new task, without training: four measures.

NCE and LEEP compare the source model's classes with the new labels; LogME and the H-score judge its
features. Higher is better for all of them. Each returns a `Score`: a float with a status.
"""

from collections.abc import Callable
from math import isfinite, nan
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array

TARGETS = ("classes", "values")
COVARIANCES = ("empirical", "ledoit_wolf")
SUM_TOLERANCE = 1e-4  # float16 and float32 softmax rows are this near to 1
GUARD = 1e-5  # LogME's published constant in both denominators
TINY, SETTLED = 1e-30, 1e-13
CLEAR = 1e4  # times the squared singular values' error: such a precision ratio is free of it
SMALLEST = 1e-200


class Score(float):
    """A float that says whether it may be believed; arithmetic gives plain floats, without status.

    Parameters
    ----------
    value : float
        NaN where there is none.
    status : str
        ``ok``, or why the value is degenerate; the function that returns it lists the words.

    Examples
    --------
    >>> score = Score(0.25)
    >>> score, score.status, score + 1
    (Score(0.25), 'ok', 1.25)
    >>> Score(float("nan"), "one_class")
    Score(nan, status='one_class')
    """

    __slots__ = ("_status",)
    _status: str

    def __new__(cls, value: float, status: str = "ok") -> "Score":
        """Make a float and give it its status."""
        score = super().__new__(cls, value)
        score._status = status
        return score

    @property
    def status(self) -> str:
        """The status."""
        return self._status

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"value": float, "status": str}``."""
        return {"value": float(self), "status": self._status}

    def __repr__(self) -> str:
        said = "" if self._status == "ok" else f", status={self._status!r}"
        return f"Score({float(self)!r}{said})"

    def __str__(self) -> str:
        return f"{float(self)!r}" + ("" if self._status == "ok" else f" ({self._status})")

    def __reduce__(self) -> tuple[Any, ...]:
        return Score, (float(self), self._status)


def nce(source_labels: ArrayLike, labels: ArrayLike) -> Score:
    r"""Return the negative conditional entropy of the labels given the source model's labels.

    .. math:: \mathrm{NCE} = \sum_{y, z} \hat P(y, z) \ln \frac{\hat P(y, z)}{\hat P(z)}

    Tran, Nguyen and Hassner, ICCV 2019. Classes that do not occur do not matter.

    Parameters
    ----------
    source_labels, labels : array_like, shape (n_samples,)
        The class z that the source model gives each sample, and the new task's label y: integers
        or names.

    Returns
    -------
    Score
        In ``[-ln n_classes, 0]``, natural logarithm. Status ``one_class`` (value NaN): all labels
        are equal. ``one_source_class``: all source labels are, and the value is minus the labels'
        entropy whatever the source model.

    Raises
    ------
    TypeError, ValueError
        For labels that are no labels, empty or of different length.

    Examples
    --------
    >>> round(nce([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 0, 1]), 6)
    -0.231049
    """
    y, n_classes = _classes(labels, "labels")
    z, n_source = _classes(source_labels, "source_labels")
    _same_length(len(z), "source_labels", len(y))
    if n_classes == 1:
        return Score(nan, "one_class")
    counts = np.bincount(z * n_classes + y, minlength=n_source * n_classes)
    joint = counts.reshape(n_source, n_classes) / len(y)
    marginal = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)
    seen = joint > 0
    value = np.sum(joint[seen] * np.log(joint[seen] / marginal[seen]))
    return Score(min(float(value), 0.0), "one_source_class" if n_source == 1 else "ok")


def leep(source_probabilities: ArrayLike, labels: ArrayLike) -> Score:
    r"""Return the log expected empirical prediction.

    .. math:: \mathrm{LEEP} = \frac{1}{N} \sum_i \ln \sum_z \hat P(y_i | z) \theta_{iz}, \qquad
              \hat P(y | z) = \frac{\sum_{i: y_i = y} \theta_{iz}}{\sum_i \theta_{iz}}

    Nguyen, Hassner, Seeger and Archambeau, ICML 2020. Source classes of no mass in any sample are
    left out: they contribute 0/0 times 0.

    Parameters
    ----------
    source_probabilities : array_like, shape (n_samples, n_source_classes)
        The source model's softmax output theta.
    labels : array_like, shape (n_samples,)
        The new task's labels: integers or names.

    Returns
    -------
    Score
        At most 0. Status ``one_class`` (value NaN): all labels are equal.
        ``constant_probabilities``: all rows are, to single precision, and the value is minus the
        labels' entropy whatever the source model.

    Raises
    ------
    TypeError, ValueError
        For rows that are no probabilities (negative, as logits are, or not summing to 1), NaN or
        infinity, labels that are no labels, and lengths that differ.

    Examples
    --------
    >>> theta = [[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]]
    >>> theta += [[0.2, 0.2, 0.6], [0.3, 0.3, 0.4], [0.1, 0.1, 0.8]]
    >>> round(leep(theta, [0, 0, 1, 1, 0, 1]), 6)
    -0.523659
    """
    y, n_classes = _classes(labels, "labels")
    theta = _probabilities(source_probabilities)
    _same_length(len(theta), "source_probabilities", len(y))
    if n_classes == 1:
        return Score(nan, "one_class")
    mass = theta.sum(axis=0)
    alike = (np.ptp(theta, axis=0) <= np.finfo(np.float32).eps * theta.max(axis=0)).all()
    theta, mass = theta[:, mass > 0], mass[mass > 0]
    order = np.argsort(y, kind="stable")
    theta = theta[order]
    ends = np.cumsum(np.bincount(y))
    logs = 0.0
    for start, end in zip(np.r_[0, ends[:-1]], ends, strict=True):
        own = theta[start:end]
        logs += float(np.log(own @ (own.sum(axis=0) / mass)).sum())
    return Score(min(logs / len(y), 0.0), "constant_probabilities" if alike else "ok")


def logme(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    targets: str = "classes",
    max_iterations: int = 10_000,
    tolerance: float = 1e-9,
    guard: float = 0.0,
) -> Score:
    r"""Return the log of maximum evidence of a linear model on the features, per sample.

    .. math:: L_c = \frac{1}{N} \Big[ \frac{N}{2} \ln \frac{\beta}{2\pi} - \frac{1}{2}
              \sum_{i \le k} \ln \frac{\alpha + \beta \sigma_i}{\alpha} - \frac{\beta}{2}
              \|F m - y_c\|^2 - \frac{\alpha}{2} \|m\|^2 \Big]

    averaged over the classes c, whose targets ``y_c`` are 1 in the class and 0 elsewhere (one
    against the rest), or over the columns of real targets. The sigma are the squared nonzero
    singular values of the features, k their number; alpha and beta, the precisions of weights and
    noise, follow MacKay's fixed point.

    Parameters
    ----------
    features : array_like, shape (n_samples, n_features)
        Neither centred nor scaled here.
    labels : array_like, shape (n_samples,), or (n_samples, n_targets) for values
    targets : {"classes", "values"}
        ``classes``: labels are integers or names; ``values``: real targets of a regression.
    max_iterations : int
        Of the fixed point; some hundred are enough. The published program stops after 11.
    tolerance : float
        It stops where alpha/beta changes by no more than this, relatively; 1e-3 as published.
    guard : float
        Added to both denominators of the fixed point, 1e-5 as published; with 0 the value is the
        maximum itself.

    Returns
    -------
    Score
        Any real number. Status

        - ``one_class``, ``constant_targets`` (value NaN): labels or a column of values all equal;
        - ``constant_features`` (value NaN): every feature is 0;
        - ``interpolated``: the features fit some target exactly, and the published guard, which is
          taken then, not the data, sets the value;
        - ``not_converged``: the iterations ended before the tolerance was met; the value is below
          the maximum. Usual for 11 iterations and more features than samples.

    Raises
    ------
    TypeError, ValueError
        For NaN or infinity, wrong shapes, labels that are no labels, unknown words.

    Notes
    -----
    You et al., ICML 2021; You et al., JMLR 2022. Their later published program leaves
    ``(D - k)/2 ln alpha`` out, which rewards more features than samples; here the evidence is
    whole. Its constant 1e-5 punishes features in the hundreds and beyond. Classes without samples
    do not count. Singular values count down to ``max(N, D) eps`` of
    the largest eigenvalue of the Gram matrix, the smaller one of ``F'F`` and ``FF'``: one
    eigendecomposition. Where a precision ratio comes near the rounding error of that (exact fits),
    one singular value decomposition takes its place.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 3
    >>> good = np.eye(3)[y] + 0.1 * rng.standard_normal((60, 3))
    >>> bool(logme(good, y) > logme(rng.standard_normal((60, 3)), y))
    True
    """
    F, Y, status = _logme_data(features, labels, targets)
    max_iterations = check.positive_int(max_iterations, "max_iterations")
    tolerance = check.real_number(tolerance, "tolerance", above=0)
    if status == "ok" and not F.any():
        status = "constant_features"
    if status != "ok":
        return Score(nan, status)
    guard = check.real_number(guard, "guard", at_least=0.0)
    spectrum = _gram_spectrum(F)
    evidence, smallest_ratio = _evidence(spectrum, Y, max_iterations, tolerance, guard)
    if smallest_ratio < CLEAR * spectrum.error:
        spectrum = _svd_spectrum(F)
        evidence, _ = _evidence(spectrum, Y, max_iterations, tolerance, guard)
    if evidence.status == "interpolated" and guard == 0:
        evidence, _ = _evidence(spectrum, Y, max_iterations, tolerance, GUARD)
        return Score(float(evidence), "interpolated")
    return evidence


def h_score(features: ArrayLike, labels: ArrayLike, *, covariance: str = "empirical") -> Score:
    r"""Return the H-score: the features' variance between classes against their whole variance.

    .. math:: H = \mathrm{tr}\big( \mathrm{cov}(F)^+ \, \mathrm{cov}(E[F | y]) \big)

    Parameters
    ----------
    features : array_like, shape (n_samples, n_features)
    labels : array_like, shape (n_samples,)
        Integers or names.
    covariance : {"empirical", "ledoit_wolf"}
        ``ledoit_wolf``: cov(F) is Ledoit and Wolf's shrunk estimate and the covariance of the
        class means is multiplied by 1 - shrinkage; right for few samples.

    Returns
    -------
    Score
        In ``[0, n_classes - 1]`` (empirical), from 0 on (shrunk). Status

        - ``one_class``, ``constant_features`` (value NaN): labels, or all samples, are equal;
        - ``saturated`` (empirical): the centred features span all samples, as they do with
          ``n_features >= n_samples - 1``; the value is ``n_classes - 1`` whatever they are;
        - ``fully_shrunk`` (shrunk): the shrinkage is 1 and the value 0, whatever the labels.

    Raises
    ------
    TypeError, ValueError
        For NaN or infinity, wrong shapes, labels that are no labels, unknown words.

    Notes
    -----
    Bao et al., ICIP 2019; shrunk: Ibrahim, Ponomareva and Mazumder, 2021. Covariances with
    ``n_samples - 1``; Ledoit and Wolf's with ``n_samples``. By the left singular vectors U of the
    centred features, ``H = sum_c n_c |mean of U over class c|^2``: one eigendecomposition of the
    smaller Gram matrix gives either.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 3
    >>> F = np.eye(3)[y] + 0.1 * rng.standard_normal((60, 3))
    >>> round(h_score(F, y), 2), h_score(rng.standard_normal((60, 80)), y).status
    (1.95, 'saturated')
    """
    check.choice(covariance, "covariance", COVARIANCES)
    F = check.real_matrix(features, "features").astype(np.float64)
    y, n_classes = _classes(labels, "labels")
    _same_length(len(F), "features", len(y))
    n = len(y)
    largest = np.abs(F).max(axis=0)
    F = F - F.mean(axis=0)
    # What is left of a constant column is the rounding of its mean.
    F[:, np.abs(F).max(axis=0) <= n * np.finfo(float).eps * largest] = 0.0
    if n_classes == 1 or not F.any():
        return Score(nan, "one_class" if n_classes == 1 else "constant_features")
    if covariance == "empirical":
        scale = F.std(axis=0)  # H is invariant; equal scales leave the rank to the data
        F = F / np.where(scale > 0, scale, 1.0)
    spectrum = _gram_spectrum(F)
    between = np.sum(spectrum.project(_indicators(y)) ** 2 / np.bincount(y), axis=1)
    if covariance == "empirical":
        if len(between) >= n - 1:
            return Score(n_classes - 1.0, "saturated")
        return Score(float(between.sum()))
    shrinkage = _ledoit_wolf(F, spectrum.values)
    kept = (1 - shrinkage) * spectrum.values
    whole = kept / n + shrinkage * spectrum.values.sum() / (n * F.shape[1])
    value = float(np.sum(kept / (n - 1) * between / whole))
    return Score(value, "fully_shrunk" if shrinkage == 1 else "ok")


class _Spectrum(NamedTuple):
    """Squared nonzero singular values of F, the map ``Y -> U'Y`` and the values' rounding error."""

    values: Array
    project: Callable[[Array], Array]
    error: float


def _gram_spectrum(F: Array) -> _Spectrum:
    """Decompose the smaller one of ``F'F`` and ``FF'``."""
    n, d = F.shape
    with np.errstate(over="ignore", invalid="ignore"):
        gram = F.T @ F if d <= n else F @ F.T
    size = float(np.trace(gram))
    if not isfinite(size) or size < SMALLEST:
        what = "large: their squares overflow" if size > 1 else "small: their squares underflow"
        raise ValueError(f"features are too {what}; rescale them.")
    values, vectors = np.linalg.eigh(gram)
    error = max(n, d) * np.finfo(float).eps * float(values[-1])
    rest = int(np.searchsorted(values, error, side="right"))  # they ascend
    values, vectors = values[rest:], vectors[:, rest:]  # a view: no copy of all vectors
    if d <= n:
        roots = np.sqrt(values)[:, None]
        return _Spectrum(values, lambda Y: (vectors.T @ (F.T @ Y)) / roots, error)
    return _Spectrum(values, lambda Y: vectors.T @ Y, error)


def _svd_spectrum(F: Array) -> _Spectrum:
    """Decompose F itself: small singular values keep their digits."""
    U, s, _ = np.linalg.svd(F, full_matrices=False)
    kept = s > max(F.shape) * np.finfo(float).eps * s[0]
    U = U[:, kept]
    return _Spectrum(s[kept] ** 2, lambda Y: U.T @ Y, 0.0)


def _evidence(
    spectrum: _Spectrum, Y: Array, max_iterations: int, tolerance: float, guard: float
) -> tuple[Score, float]:
    """Run MacKay's fixed point for all targets; return LogME and the smallest precision ratio."""
    # The first ratio, 1, must not be so large that no weight is left; without a guard the unit of
    # the features does not matter.
    unit = 1.0 if guard else min(1.0, float(spectrum.values.max()))
    sigma, n, k = spectrum.values[:, None] / unit, len(Y), len(spectrum.values)
    x2 = spectrum.project(Y) ** 2
    beyond = np.maximum(np.sum(Y**2, axis=0) - x2.sum(axis=0), 0.0)
    value, residual, alpha, beta = np.ones((4, Y.shape[1]))
    active, smallest = np.arange(Y.shape[1]), np.inf  # each target until it has converged
    for _ in range(max_iterations):
        t = alpha[active] / beta[active]
        kept, shrunk = sigma / (sigma + t), t / (sigma + t)  # not 1 minus the other: either is tiny
        own = x2[:, active]
        weights = np.sum(kept**2 * own / sigma, axis=0)
        res = np.sum(shrunk**2 * own, axis=0) + beyond[active]
        # An exact fit has no noise, an unrelated target no weights: tiny ones keep ratios numbers.
        a = kept.sum(axis=0) / (np.maximum(weights, TINY) + guard)
        b = (n - k + shrunk.sum(axis=0)) / (np.maximum(res, TINY) + guard)
        fit = n * np.log(b / (2 * np.pi)) - b * res - a * weights
        before = value[active]
        value[active] = (fit - np.log1p(sigma * (b / a)).sum(axis=0)) / (2 * n)
        alpha[active], beta[active], residual[active] = a, b, res
        smallest = min(smallest, float((a / b).min()))
        # The maximum may lie at no weights at all, or at no noise: there the ratio never settles.
        settled = (np.abs(value[active] - before) <= SETTLED) | (res < TINY)
        active = active[(np.abs(a / b - t) > tolerance * t) & ~settled]
        if not len(active):
            break
    exact = (residual < GUARD).any()
    status = "interpolated" if exact else "not_converged" if len(active) else "ok"
    return Score(float(value.mean()), status), smallest * unit


def _logme_data(features: ArrayLike, labels: ArrayLike, targets: str) -> tuple[Array, Array, str]:
    """Return features, one column a target, and a status."""
    check.choice(targets, "targets", TARGETS)
    F = check.real_matrix(features, "features").astype(np.float64, copy=False)
    if targets == "classes":
        y, n_classes = _classes(labels, "labels")
        _same_length(len(F), "features", len(y))
        return F, _indicators(y), "ok" if n_classes > 1 else "one_class"
    values = np.asarray(labels)
    Y = check.real_matrix(values[:, None] if values.ndim == 1 else values, "labels")
    _same_length(len(F), "features", len(Y))
    constant = (np.ptp(Y, axis=0) == 0).any()
    return F, Y.astype(np.float64, copy=False), "constant_targets" if constant else "ok"


def _ledoit_wolf(F: Array, values: Array) -> float:
    """Return Ledoit and Wolf's shrinkage of centred samples with these squared singular values."""
    n, d = F.shape
    trace = float(values.sum()) / n
    squares = float((values**2).sum()) / n**2  # |S|^2, S = F'F/n
    distance = squares - trace**2 / d
    fourth = float((np.einsum("ij,ij->i", F, F) ** 2).sum())
    noise = (fourth / n - squares) / n
    return 1.0 if distance <= 0 or noise >= distance else max(noise / distance, 0.0)


def _indicators(y: Array) -> Array:
    """Return one column a class: 1 where the sample is in it."""
    Y = np.zeros((len(y), int(y.max()) + 1))
    Y[np.arange(len(y)), y] = 1.0
    return Y


def _classes(labels: ArrayLike, name: str) -> tuple[Array, int]:
    """Return the classes that occur, numbered from 0, and how many they are."""
    try:
        array = np.asarray(labels)
    except ValueError:
        raise TypeError(f"{name} must be one vector of labels; its parts differ.") from None
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(
            f"{name} must have shape (n_samples,), one label a sample; got shape {array.shape}"
            + (" (take the argmax of one-hot rows)." if array.ndim == 2 else ".")
        )
    if not len(array):
        raise ValueError(f"{name} is empty; give at least one sample.")
    if array.dtype.kind == "f" and not (array == np.floor(array)).all():
        wrong = array[array != np.floor(array)][0]
        raise ValueError(f"{name} must be class labels, integers or names; got {wrong}.")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"{name} must be class labels, integers or names; got infinity.")
    if array.dtype.kind not in "biufUS":
        raise TypeError(f"{name} must be integers or names; got an array of {array.dtype}.")
    classes, numbered = np.unique(array, return_inverse=True)
    return numbered.astype(np.int64), len(classes)


def _probabilities(theta: ArrayLike) -> Array:
    """Return rows of probabilities, or say what they are instead."""
    name = "source_probabilities"
    theta = check.real_matrix(theta, name).astype(np.float64, copy=False)
    if (theta < 0).any():
        row, column = np.argwhere(theta < 0)[0]
        raise ValueError(
            f"{name} holds {theta[row, column]:g} at sample {row}, class {column}; these look like "
            "logits: give their softmax."
        )
    away = np.abs(theta.sum(axis=1) - 1)
    if (away > SUM_TOLERANCE).any():
        row = int(away.argmax())
        raise ValueError(
            f"the rows of {name} must sum to 1; that of sample {row} sums to "
            f"{theta[row].sum():g}. Give the softmax over all source classes."
        )
    return theta


def _same_length(n: int, name: str, n_labels: int) -> None:
    """Refuse two numbers of samples."""
    if n != n_labels:
        raise ValueError(f"{name} has {n} samples but there are {n_labels} labels.")
