"""Numerical verification of Theorem 1: where beta_eff -> 0, how fast, and where it does not."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from math import inf, isfinite, nan, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _data
from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn._plain import Plain
from edgedyn.mlp.accumulator import chain_capacitance
from edgedyn.mlp.counterexamples import Counterexample, GaugeRow, counterexamples, gauge_table
from edgedyn.mlp.coupling import coupling_matrix
from edgedyn.mlp.dynamics import EdgeDynamics, edge_dynamics
from edgedyn.mlp.loss import checked_labels
from edgedyn.mlp.network import ReLUMLP

if TYPE_CHECKING:
    import pandas as pd

LOG = logging.getLogger(__name__)
HIDDEN = (48, 32, 24)  # neurons per layer between features and classes, but one a class at least
MAX_BRUTE_FORCE_LINKS = 2_000_000


@dataclass(frozen=True)
class TrajectoryPoint:
    """One epoch of a run; loss, accuracy and error are those on the training samples."""

    epoch: int
    loss: float
    accuracy: float
    mean_error: float  # mean |e^L| over samples and outputs
    gradient_norm: float  # of the objective that is minimised, weight decay included
    beta: float  # beta_eff of the magnitude strengths; NaN where its status is not good
    beta_status: str
    bound: float  # K eps of the theorem
    signed: float  # beta_eff of the signed strengths; NaN where its status is not ok
    signed_conditioning: float
    signed_status: str
    brute_force: float  # beta_eff from the explicit matrix P; NaN where that was not built


@dataclass(frozen=True)
class Theorem1Report(Plain):
    """What `verify_theorem1` found, by the letters of papers/jiang2024/theorem1.md.

    Parameters
    ----------
    sizes, n_samples, seed
        What was trained.
    interpolating : tuple of TrajectoryPoint
        (a)-(c) A run towards zero loss.
    slope, slope_stderr, fall : float
        Least-squares slope of ln beta_eff against ln mean ``|e|`` over that run, its standard
        error; largest beta_eff of the run over the last one.
    brute_force_error : float
        Largest relative difference from brute force; NaN where P would have been too large.
    floors : dict of str to tuple of TrajectoryPoint
        (d) Runs that cannot interpolate; the last point of each is after 600 more epochs on all
        samples with falling steps. It is near-stationary only: minima like to lie on the ReLUs'
        kinks, where the gradient does not vanish; `gradient_norm` tells how near.
    counterexamples : tuple of Counterexample
    gauge : tuple of GaugeRow
        (e)
    dynamics : dict of str to EdgeDynamics
        (f)
    """

    sizes: tuple[int, ...]
    n_samples: int
    seed: int
    interpolating: tuple[TrajectoryPoint, ...]
    slope: float
    slope_stderr: float
    fall: float
    brute_force_error: float
    floors: dict[str, tuple[TrajectoryPoint, ...]]
    counterexamples: tuple[Counterexample, ...]
    gauge: tuple[GaugeRow, ...]
    dynamics: dict[str, EdgeDynamics]

    def to_frame(self) -> "pd.DataFrame":
        """Return all runs as one pandas DataFrame, one row a run and epoch."""
        import pandas as pd

        runs = {"interpolating": self.interpolating, **self.floors}
        rows = [{"run": name, **asdict(p)} for name, points in runs.items() for p in points]
        return pd.DataFrame(rows)

    @property
    def sign_changes(self) -> int:
        """How often the signed value changes sign along the interpolating run."""
        signs = np.sign([p.signed for p in self.interpolating if p.signed_status == "ok"])
        return int(np.sum(signs[1:] != signs[:-1]))

    @property
    def rate(self) -> str:
        """As what power of the mean error beta_eff falls, in words."""
        if not isfinite(self.slope):
            return "at no known rate: too few epochs have a value above 0"
        error = f" +- {self.slope_stderr:.3f}" if isfinite(self.slope_stderr) else ""
        return f"as |e|^({self.slope:.3f}{error})"

    @property
    def verdict(self) -> str:
        """What was found, in a sentence or two."""
        last, points = self.interpolating[-1], self.interpolating
        known = [p for p in points if isfinite(p.beta)]
        within = sum(p.beta <= p.bound for p in known)
        held = f"beta_eff is below its bound K eps in {within} of {len(known)} measurements"
        if last.accuracy < 1:
            return (
                f"Not decided: after {last.epoch} epochs the network does not interpolate "
                f"({last.accuracy:.1%} of the training samples are right), and Theorem 1 says "
                f"nothing yet; {held}. Give more epochs or wider layers."
            )
        stay = [run[-1] for run in self.floors.values() if isfinite(run[-1].beta)]
        floors = " and ".join(f"{p.beta:.3g}" for p in stay)
        stops = f"where errors remain it stays at {floors}" if stay else "no floor was found"
        word = "Theorem 1 holds" if within == len(known) else "Theorem 1's bound is broken"
        return (
            f"{word} where the network interpolates: beta_eff falls by a factor {self.fall:.3g} to "
            f"{last.beta:.3g} with the errors, and {held}; {stops}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return all fields and the verdict as plain Python values."""
        return {**asdict(self), "verdict": self.verdict}

    def __str__(self) -> str:
        last = self.interpolating[-1]
        lines = [
            f"Theorem 1 on {self.n_samples} samples, {'-'.join(map(str, self.sizes))}:",
            f"  interpolating: beta_eff falls by a factor {self.fall:.3g} to {last.beta:.3g}, "
            f"{self.rate}; K eps = {last.bound:.3g}",
        ]
        for name, points in self.floors.items():
            end = points[-1]
            stays = f"stays at {end.beta:.3g}" if isfinite(end.beta) else f"is {end.beta_status}"
            lines.append(f"  {name}: beta_eff {stays} with mean |e| = {end.mean_error:.3g}")
        return "\n".join([*lines, self.verdict])


def capacitance_bound(
    net: ReLUMLP, X: ArrayLike, y: ArrayLike, *, nodes: str = "kernels"
) -> tuple[float, float]:
    r"""Return K and eps of the proved bound ``beta_eff <= K eps`` (magnitude strengths).

    .. math:: K = \max_{2\le m\le L-1} \Big(\prod_{r=m+1}^{L} |W^r|_1\Big) \max_s Z^{m-2}_s,
       \qquad \epsilon = \langle \|e^L_s\|_\infty \rangle

    with ``|W|_1`` the largest column sum of ``|W|`` and ``Z^l = ||z^l||_1``, plus 1 where the
    biases of layer l + 1 are nodes.

    Parameters
    ----------
    net, X, y, nodes
        As for `edgedyn.neural_capacitance`; the network is a `ReLUMLP`.

    Returns
    -------
    K, eps : float
        K is 0 for fewer than three layers, where no node has both in- and out-links.

    Raises
    ------
    TypeError, ValueError
        For bad data or an unknown name.

    Notes
    -----
    Proof in papers/jiang2024/theorem1.md.

    Examples
    --------
    >>> import edgedyn as ed
    >>> chain = ed.ReLUMLP([[[1.0]], [[1.0]], [[2.0]]], loss="squared_error")
    >>> ed.mlp.capacitance_bound(chain, [[3.0]], [5.0])  # K = |w3| x, eps = |6 - 5|
    (6.0, 1.0)
    """
    check.choice(nodes, "nodes", ("kernels", "all"))
    records = net.records(X, y)
    K, product = 0.0, 1.0
    for m in range(net.n_layers - 1, 1, -1):
        product *= float(np.abs(net.weights[m]).sum(axis=0).max())
        bias = net.layer_biases[m - 2] and nodes == "all"
        Z = float(np.abs(records[m - 2].activation).sum(axis=1).max()) + bias
        K = max(K, product * Z)
    return K, float(np.abs(records[-1].cotangent).max(axis=1).mean())


def verify_theorem1(
    X: ArrayLike | None = None,
    y: ArrayLike | None = None,
    *,
    layers: Sequence[int] | None = None,
    epochs: int = 300,
    seed: int = 0,
    progress: Callable[[float, str], None] | None = None,
) -> Theorem1Report:
    """Verify Theorem 1 on real data, and show where it stops.

    Parameters
    ----------
    X : array_like, shape (n_samples, layers[0]), optional
        By default scikit-learn's digits.
    y : array_like of int or str, shape (n_samples,), optional
        Labels in 0..layers[-1] - 1, or text, which is numbered in sorted order.
    layers : sequence of int, optional
        Neurons per layer, input first; at least four entries (three layers with weights). By
        default features, 48, 32, 24, classes: three hidden layers, each of at least one neuron a
        class.
    epochs, seed : int
        Of each of the three runs, by Adam on mini-batches, at least 2; of initial weights, sample
        order, noise and starts.
    progress : callable, optional
        Called as ``progress(fraction, what)``.

    Raises
    ------
    TypeError, ValueError
        For bad data, sizes that do not fit them, or fewer than three layers, before any training.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Theorem 1: "when G_A converges, beta_eff = 0". It
    holds with the rate of the errors where the network interpolates, and has a floor where it
    cannot, though the gradients vanish there, too.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.standard_normal((40, 5)), np.arange(40) % 2
    >>> report = ed.verify_theorem1(X, y, layers=[5, 16, 8, 6, 2], epochs=150, seed=0)
    >>> all(p.beta <= p.bound for p in report.interpolating)
    True
    """
    X, y, sizes = _checked(X, y, layers)
    epochs = check.positive_int(epochs, "epochs")
    if epochs < 2:
        raise ValueError("epochs must be at least 2, so that a slope can be fitted; got 1.")
    seed = int(seed)
    report = progress or (lambda fraction, what: None)
    noisy = _with_label_noise(y, sizes[-1], 0.2, seed)
    narrow = (sizes[0], *([2] * (len(sizes) - 2)), sizes[-1])
    run = partial(_run, X, epochs=epochs, seed=seed, report=report)
    interpolating = run(y, sizes, 0.0, (0.0, 0.4), "interpolating run")
    floors = {
        "20 % label noise, weight decay": run(noisy, sizes, 1e-2, (0.4, 0.7), "label noise", True),
        "too narrow": run(y, narrow, 0.0, (0.7, 0.9), "narrow network", True),
    }
    betas = [p.beta for p in interpolating]
    # Errors and values of exactly 0 have no logarithm, and NaN says nothing.
    known = [(p.mean_error, p.beta) for p in interpolating if p.mean_error > 0 and p.beta > 0]
    slope, slope_stderr = log_log_slope(*zip(*known, strict=True)) if known else (nan, nan)
    built = [p for p in interpolating if np.isfinite(p.brute_force)]
    errors = [abs(p.brute_force / p.beta - 1) for p in built if p.beta > 0]
    report(0.9, "edge dynamics")
    result = Theorem1Report(
        sizes=sizes,
        n_samples=len(X),
        seed=seed,
        interpolating=interpolating,
        slope=slope,
        slope_stderr=slope_stderr,
        fall=max(betas) / betas[-1] if betas[-1] else inf,
        brute_force_error=max(errors, default=nan),
        floors=floors,
        counterexamples=counterexamples(),
        gauge=gauge_table(seed),
        dynamics=_dynamics(X, y, sizes[-1], seed),
    )
    report(1.0, "done")
    return result


def default_layers(n_features: int, labels: Array) -> tuple[int, ...]:
    """Return the neurons per layer that suit data: features, three hidden layers, classes.

    >>> default_layers(4, np.array([0, 1, 2])), default_layers(9, np.arange(40))
    ((4, 48, 32, 24, 3), (9, 48, 40, 40, 40))
    """
    n_classes = max(int(labels.max()) + 1, 2) if np.isfinite(labels).all() else 2
    return (n_features, *(max(width, n_classes) for width in HIDDEN), n_classes)


def log_log_slope(x: ArrayLike, y: ArrayLike) -> tuple[float, float]:
    """Return the least-squares slope of ln y against ln x, and its standard error."""
    u, v = np.log(np.asarray(x, float)), np.log(np.asarray(y, float))
    du, dv = u - u.mean(), v - v.mean()
    spread = du @ du
    if len(u) < 2 or spread == 0:
        return nan, nan
    slope = du @ dv / spread
    rest = dv - slope * du
    return float(slope), sqrt(rest @ rest / (len(u) - 2) / spread) if len(u) > 2 else nan


def _checked(
    X: ArrayLike | None, y: ArrayLike | None, layers: Sequence[int] | None
) -> tuple[Array, Array, tuple[int, ...]]:
    """Check data and sizes against each other."""
    if (X is None) != (y is None):
        raise ValueError("give both X and y, or neither for the digits.")
    given = None if layers is None else check.layer_sizes(layers)
    if given is not None and len(given) < 4:
        raise ValueError(
            f"layers must name at least four sizes (three layers with weights), else no node of "
            f"the line graph has both in- and out-links; got {given}."
        )
    if X is None or y is None:
        X, y = _data.digits()
    X = check.real_matrix(X).astype(np.float64)
    if given is not None and X.shape[1] != given[0]:
        raise ValueError(f"X has {X.shape[1]} features, but layers begins with {given[0]}.")
    labels = np.asarray(y)
    if labels.dtype.kind == "U":
        labels = np.unique(labels, return_inverse=True)[1]
    if labels.shape != (len(X),) or labels.dtype.kind not in "biuf":
        raise ValueError(f"y must hold one integer label for each of the {len(X)} samples.")
    sizes = default_layers(X.shape[1], labels) if given is None else given
    labels = checked_labels(labels, sizes[-1])
    if (labels == labels[0]).all():
        raise ValueError(f"y holds one class only ({labels[0]}); give at least two.")
    return X, labels, sizes


def _with_label_noise(y: Array, n_classes: int, fraction: float, seed: int) -> Array:
    """Move a fraction of the labels to another class, drawn evenly."""
    rng = np.random.default_rng([seed, 1])
    noisy = y.copy()
    chosen = rng.permutation(len(y))[: round(fraction * len(y))]
    noisy[chosen] = (y[chosen] + rng.integers(1, n_classes, len(chosen))) % n_classes
    return noisy


def _run(
    X: Array,
    y: Array,
    sizes: tuple[int, ...],
    weight_decay: float,
    span: tuple[float, float],
    what: str,
    polish: bool = False,
    *,
    epochs: int,
    seed: int,
    report: Callable[[float, str], None],
) -> tuple[TrajectoryPoint, ...]:
    """Train from a fresh start, and `polish`; measure at some 30 epochs, even in the logarithm."""
    LOG.info("%s: %d epochs of %s", what, epochs, "-".join(map(str, sizes)))
    net = ReLUMLP.random(sizes, seed=seed)
    marks = np.unique(np.round(np.geomspace(1, epochs, 30)).astype(int))
    brute = set(marks[np.linspace(0, len(marks) - 1, 4).astype(int)].tolist())
    links = sum(a * b * c for a, b, c in zip(sizes, sizes[1:], sizes[2:], strict=False))
    if polish or links > MAX_BRUTE_FORCE_LINKS:
        brute = set()
    points: list[TrajectoryPoint] = []

    def measure(epoch: int, _: float) -> None:
        report(span[0] + (span[1] - span[0]) * epoch / epochs, what)
        if epoch in marks:
            points.append(_measure(net, X, y, epoch, weight_decay, epoch in brute))

    order = np.random.default_rng([seed, 2])
    net.fit(X, y, epochs=epochs, weight_decay=weight_decay, seed=order, callback=measure)
    if polish:  # go on towards a stationary point, on all samples and with falling steps
        # Mini-batch noise would hide the floor; line searches (L-BFGS) break off at ReLUs' kinks.
        train = partial(net.fit, X, y, epochs=200, batch_size=len(X), weight_decay=weight_decay)
        for rate in (1e-3, 1e-4, 1e-5):
            train(learning_rate=rate, seed=0)
        points.append(_measure(net, X, y, epochs + 1, weight_decay, False))
    return tuple(points)


def _measure(
    net: ReLUMLP, X: Array, y: Array, epoch: int, weight_decay: float, brute: bool
) -> TrajectoryPoint:
    """Everything that is reported of one epoch."""
    _, gradient = net.gradient(X, y)
    for g, W in zip(net.views(gradient)[0], net.weights, strict=True):
        g += weight_decay * W
    K, eps = capacitance_bound(net, X, y)
    magnitude = chain_capacitance(net, X, y)
    signed = chain_capacitance(net, X, y, strength="signed")
    return TrajectoryPoint(
        epoch=epoch,
        loss=net.evaluate(X, y),
        accuracy=net.score(X, y),
        mean_error=float(np.abs(net.records(X, y)[-1].cotangent).mean()),
        gradient_norm=float(np.linalg.norm(gradient)),
        beta=magnitude.value,
        beta_status=magnitude.status,
        bound=K * eps,
        signed=signed.value,
        signed_conditioning=signed.conditioning,
        signed_status=signed.status,
        brute_force=_from_matrix(net, X, y) if brute else nan,
    )


def _from_matrix(net: ReLUMLP, X: Array, y: Array) -> float:
    """1'PP1 / 1'P1 with the matrix written out."""
    P = coupling_matrix(net, X, y)
    delta_in = P.sum(axis=1)
    return float((P @ delta_in).sum() / delta_in.sum())


def _dynamics(X: Array, y: Array, n_classes: int, seed: int) -> dict[str, EdgeDynamics]:
    """Edge dynamics on four principal components: one equilibrium with errors, one without."""
    centred = X - X.mean(axis=0)
    scores = centred @ np.linalg.svd(centred, full_matrices=False)[2][:4].T
    scores = (scores / scores.std(axis=0).max())[:200]
    sizes = (scores.shape[1], 5, 4, n_classes)
    rng = np.random.default_rng([seed, 3])
    student = ReLUMLP.random(sizes, seed=rng)
    teacher = ReLUMLP.random(sizes, seed=rng, loss="squared_error")
    own = teacher.logits(scores)
    return {
        "with remaining errors": edge_dynamics(student, scores, y[:200], seed=seed),
        "interpolating (its own teacher)": edge_dynamics(teacher, scores, own, seed=seed),
    }
