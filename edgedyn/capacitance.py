"""The neural capacitance beta_eff from the degrees of the line graph's nodes.

One number, its status and its parts. How the degrees come about (closed forms for ReLU MLPs,
automatic differentiation for Keras models) is the business of other rooms; this one only needs
in- and out-degrees, layer by layer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isnan, nan, sqrt
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedyn import _validate as check
from edgedyn._moments import spread

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["ok", "converged", "no_interior_layer", "gauge_degenerate", "ill_conditioned"]

COUPLINGS = ("direct", "full")
STRENGTHS = ("magnitude", "absolute", "signed")
NODES = ("kernels", "all")
JACKKNIFE_GROUPS = 10


def check_choices(coupling: str, strength: str, nodes: str) -> None:
    """Refuse unknown names and the pairs that have no meaning."""
    check.choice(coupling, "coupling", COUPLINGS)
    check.choice(strength, "strength", STRENGTHS)
    check.choice(nodes, "nodes", NODES)
    if coupling == "full" and strength != "signed":
        raise ValueError(
            f"the full coupling has signed strengths only; got strength={strength!r}: pass "
            "strength='signed', or coupling='direct'."
        )


class DivergedError(ValueError):
    """A network whose output is not finite on good samples: there is no capacitance to speak of."""


@dataclass(frozen=True)
class LayerDegrees:
    """In- and out-degrees of the line-graph nodes that one layer owns.

    Parameters
    ----------
    layer : int
        The layer's number, 1 for the first layer with weights.
    in_degree, out_degree : tuple of ndarray
        One array a parameter, in node order: the kernel, shape ``(n_l, n_{l-1})``, then, where
        biases are nodes, the bias, shape ``(n_l,)``. An array broadcast from a scalar zero takes
        no memory and is right for the degrees that vanish by definition (the in-degrees of the
        last layer, the out-degrees of the first).
    name : str
        The layer's name where it has one.
    """

    layer: int
    in_degree: tuple[NDArray[Any], ...]
    out_degree: tuple[NDArray[Any], ...]
    name: str = ""

    @property
    def n_nodes(self) -> int:
        """Number of nodes, that is, of parameters."""
        return sum(part.size for part in self.in_degree)

    def flat(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return in- and out-degrees as two vectors in node order."""
        return (
            np.concatenate([part.ravel() for part in self.in_degree]),
            np.concatenate([part.ravel() for part in self.out_degree]),
        )


@dataclass(frozen=True)
class LayerCapacitance:
    """One layer's share of beta_eff.

    Parameters
    ----------
    layer, n_nodes : int
        The layer's number (from 1) and how many nodes of the line graph it owns.
    in_total, out_total : float
        Sums of its nodes' in- and out-degrees.
    contribution : float
        ``sum(delta_out * delta_in)`` over the layer, divided by ``1' P 1`` of the whole graph; the
        contributions of all layers add up to beta_eff. Zero for the first and the last layer;
        NaN where the capacitance is.
    name : str
        The layer's name where it has one.
    """

    layer: int
    n_nodes: int
    in_total: float
    out_total: float
    contribution: float
    name: str = ""


@dataclass(frozen=True)
class Capacitance:
    r"""The neural capacitance of a network on given data.

    .. math:: \beta_{eff} = \frac{1^T P \delta_{in}}{1^T \delta_{in}}
              = \frac{\sum \delta_{out} \delta_{in}}{\sum \delta_{in}}
              = \langle s \rangle + S H

    Parameters
    ----------
    value : float
        beta_eff; NaN unless `status` is "ok" or "converged".
    status : str
        - ``ok``;
        - ``converged``: every error is exactly 0, and so is the total strength; the value is 0;
        - ``no_interior_layer``: no layer lies between two others, so that no node has both in-
          and out-links;
        - ``gauge_degenerate``: signed strengths into a softmax layer cancel exactly (adding one
          vector to all its rows changes nothing), and no layer is left that informs;
        - ``ill_conditioned``: the total strength cancels below rounding, see `conditioning`.
    conditioning : float
        ``|1' P 1| / 1' P_mag 1``, in [0, 1]; 1 for magnitude strengths. Below
        ``sqrt(machine epsilon)`` of the network's precision half of the digits are lost and the
        status is ``ill_conditioned``.
    mean_strength, symmetry, heterogeneity : float
        ``<s>``, ``S`` and ``H`` over all nodes: mean degree, correlation of in- and out-degree (0
        where one of them is constant) and ``sigma_in sigma_out / <s>``; S and H are NaN where
        ``<s>`` is 0.
    per_layer : tuple of LayerCapacitance
    n_samples, n_nodes : int
    coupling, strength, nodes : str
        What was computed.
    stderr : float or None
        Jackknife standard error over ten groups of samples; None when it was not asked for, NaN
        where a group's leave-out value is degenerate.

    Notes
    -----
    Jiang et al., Nat. Commun. 15:5718 (2024), Eq. 2, which adds a small constant to the
    denominator; none is added here. The decomposition is that of Gao, Barzel and Barabasi, Nature
    530:307 (2016).

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> net = ed.ReLUMLP.random([3, 5, 4, 2], seed=0)
    >>> X = np.random.default_rng(0).standard_normal((20, 3))
    >>> cap = ed.neural_capacitance(net, X, np.arange(20) % 2)
    >>> cap.status
    'ok'
    >>> bool(np.isclose(cap.value, cap.mean_strength + cap.symmetry * cap.heterogeneity))
    True
    """

    value: float
    status: Status
    conditioning: float
    mean_strength: float
    symmetry: float
    heterogeneity: float
    per_layer: tuple[LayerCapacitance, ...] = field(repr=False)
    n_samples: int
    n_nodes: int
    coupling: str
    strength: str
    nodes: str
    stderr: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all fields as plain Python values; ``per_layer`` becomes a list of dicts."""
        return {**asdict(self), "per_layer": [asdict(layer) for layer in self.per_layer]}

    def to_frame(self) -> "pd.DataFrame":
        """Return `per_layer` as a pandas DataFrame, one row a layer; names where there are any."""
        import pandas as pd

        frame = pd.DataFrame([asdict(layer) for layer in self.per_layer]).set_index("layer")
        return frame if frame["name"].any() else frame.drop(columns="name")

    def __str__(self) -> str:
        error = "" if self.stderr is None else f" +- {self.stderr:.2g}"
        return (
            f"beta_eff = {self.value:.6g}{error} ({self.status}), conditioning "
            f"{self.conditioning:.3g}; <s> = {self.mean_strength:.4g}, S = {self.symmetry:.4g}, "
            f"H = {self.heterogeneity:.4g}; {self.coupling} coupling, {self.strength} strength, "
            f"{self.n_nodes} nodes ({self.nodes}), {self.n_samples} samples"
        )


class CapacitanceAccumulator(Protocol):
    """What a network hands out to be fed with samples, chunk by chunk."""

    def update(self, X: ArrayLike, y: ArrayLike, index: ArrayLike | None = None) -> None:
        """Add samples."""

    def capacitance(self) -> Capacitance:
        """Form beta_eff from all samples so far."""


class SupportsCapacitance(Protocol):
    """A network that knows its line graph's degrees, such as `edgedyn.ReLUMLP`."""

    def degree_accumulator(
        self, *, coupling: str, strength: str, nodes: str, groups: int
    ) -> CapacitanceAccumulator:
        """Return an empty accumulator."""

    def inspect_data(self, X: ArrayLike, y: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
        """Validate samples and targets without copying the samples."""


def neural_capacitance(
    net: SupportsCapacitance,
    X: ArrayLike,
    y: ArrayLike,
    *,
    coupling: str = "direct",
    strength: str = "magnitude",
    nodes: str = "kernels",
    stderr: bool = False,
    chunk_size: int = 1024,
) -> Capacitance:
    r"""Compute the neural capacitance :math:`\beta_{eff}` of a network on a data set.

    .. math:: \beta_{eff} = \frac{\sum \delta_{out} \delta_{in}}{\sum \delta_{in}}

    with the degrees of the weighted line graph, whose strengths are the mixed second derivatives
    of the loss between consecutive layers, in closed form and without building the matrix P.

    Parameters
    ----------
    net : ReLUMLP
        Or any object with its methods ``inspect_data`` and ``degree_accumulator``.
    X : array_like, shape (n_samples, n_0)
    y : array_like
        Targets as the network's loss takes them.
    coupling : {"direct", "full"}
        ``direct``: the effect of a layer's weights on the gradient of the layer before it, the
        errors held fixed (paper, Eqs. 5-6); ``full``: the mixed second derivative (Eq. 7).
    strength : {"magnitude", "absolute", "signed"}
        ``magnitude``: every sample's contribution by its absolute value; ``absolute``: entries by
        their absolute value after the mean over samples, which keeps all samples' records in
        memory; ``signed``: as it stands. The full coupling is ``signed`` only.
    nodes : {"kernels", "all"}
        Whether biases are nodes of the line graph, too.
    stderr : bool
        Also compute the jackknife standard error over ten groups of samples, assigned by
        sample index modulo ten; holds ten sets of degrees.
    chunk_size : int
        Samples taken at a time; bounds the memory and does not change the value.

    Returns
    -------
    Capacitance

    Raises
    ------
    TypeError, ValueError
        For anything but the above, before any work: unknown names, data with NaN or infinity,
        wrong shapes, labels that are not integers or out of range, integer labels of one class
        only, fewer than ten samples where a standard error is asked for.

    Notes
    -----
    Source: Jiang et al., Nat. Commun. 15:5718 (2024), Eqs. 2 and 5-7. With ``S = sum_i z_i`` of
    the layer in between, the direct in-degree of weight (l; i, j) is
    ``mean D_i z_j sum_k e_k`` and the out-degree of (l+1; k, i) is ``mean e_k D_i S``.

    Difference from the paper: it adds a small value epsilon to the denominator, here none is
    added. With the total strength ``T = 1' P 1`` it would turn beta_eff into
    ``beta_eff T / (T + epsilon)``; magnitude strengths have ``beta_eff <= T``, so the relative
    change is below ``epsilon / beta_eff``: nothing for 1e-8 and an ordinary value. It matters where
    T is 0 only: 0/epsilon would be 0, as if the network had converged, although it may be dead
    (``ill_conditioned`` here, with NaN). For signed strengths, whose T crosses 0, epsilon moves a
    pole and does not remove it.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> net = ed.ReLUMLP.random([3, 5, 4, 2], seed=0)
    >>> X = np.random.default_rng(0).standard_normal((20, 3))
    >>> cap = ed.neural_capacitance(net, X, np.arange(20) % 2, stderr=True)
    >>> cap.value > 0, cap.status, cap.stderr > 0
    (True, 'ok', True)
    """
    if not (hasattr(net, "degree_accumulator") and hasattr(net, "inspect_data")):
        raise TypeError(f"neural_capacitance accepts a ReLUMLP; got {type(net).__name__}.")
    chunk_size = check.positive_int(chunk_size, "chunk_size")
    groups = JACKKNIFE_GROUPS if stderr else 1
    accumulator = net.degree_accumulator(
        coupling=coupling, strength=strength, nodes=nodes, groups=groups
    )
    X, y = net.inspect_data(X, y)
    if len(X) < groups:
        raise ValueError(
            f"a standard error needs at least {groups} samples; got {len(X)}: give more samples "
            "or stderr=False."
        )
    if y.ndim == 1 and y.dtype.kind in "iu" and len(y) > 1 and (y == y[0]).all():
        raise ValueError(
            f"y holds one class only ({y[0]}); give samples of at least two classes, or feed "
            "net.degree_accumulator(...) directly if one class is what you want to look at."
        )
    for start in range(0, len(X), chunk_size):
        index = np.arange(start, min(start + chunk_size, len(X)))
        chunk = slice(start, start + chunk_size)
        accumulator.update(X[chunk], y[chunk], index)
    return accumulator.capacitance()


@dataclass(frozen=True)
class Provenance:
    """What the degrees came from, as far as the status of beta_eff depends on it.

    Parameters
    ----------
    coupling, strength, nodes : str
    n_samples : int
    magnitude_total : float
        ``1' P_mag 1``, the total strength with every contribution by its absolute value.
    largest_error : float
        Largest ``|e^L|`` over all samples and outputs; 0 only if the network has converged.
    n_interior : int
        Layers with both a layer before and a layer after them.
    n_informative : int
        Those of them that are followed by another layer than a dense one into softmax, whose
        signed strengths cancel (the gauge).
    epsilon : float
        Machine epsilon of the arithmetic the degrees were computed in.
    """

    coupling: str
    strength: str
    nodes: str
    n_samples: int
    magnitude_total: float
    largest_error: float
    n_interior: int
    n_informative: int
    epsilon: float


def from_degrees(
    layers: Sequence[LayerDegrees], provenance: Provenance, stderr: float | None = None
) -> Capacitance:
    """Form beta_eff, its parts and its status from the degrees of all layers.

    Parameters
    ----------
    layers : sequence of LayerDegrees
        Layer 1 first.
    provenance : Provenance
    stderr : float, optional

    Returns
    -------
    Capacitance
    """
    n_nodes = sum(layer.n_nodes for layer in layers)
    in_totals = [_total(layer.in_degree) for layer in layers]
    out_totals = [_total(layer.out_degree) for layer in layers]
    products = [_dot(layer.in_degree, layer.out_degree) for layer in layers]
    total = sum(in_totals)

    conditioning = _conditioning(total, provenance)
    status = _status(total, conditioning, provenance)
    value = {"ok": sum(products) / total if total else nan, "converged": 0.0}.get(status, nan)
    mean = total / n_nodes
    pairs = (
        pair for layer in layers for pair in zip(layer.in_degree, layer.out_degree, strict=True)
    )
    symmetry, heterogeneity = spread(pairs, mean, provenance.epsilon)
    return Capacitance(
        value=value,
        status=status,
        conditioning=conditioning,
        mean_strength=mean,
        symmetry=symmetry,
        heterogeneity=heterogeneity,
        per_layer=tuple(
            LayerCapacitance(
                layer.layer,
                layer.n_nodes,
                in_total,
                out_total,
                nan if isnan(value) else (product / total if total else 0.0),
                layer.name,
            )
            for layer, in_total, out_total, product in zip(
                layers, in_totals, out_totals, products, strict=True
            )
        ),
        n_samples=provenance.n_samples,
        n_nodes=n_nodes,
        coupling=provenance.coupling,
        strength=provenance.strength,
        nodes=provenance.nodes,
        stderr=stderr,
    )


def jackknife(leave_one_out: Sequence[float]) -> float:
    """Return the standard error from the values with one group of samples left out at a time.

    ``sqrt((g - 1)/g * sum (v_i - mean v)^2)`` for g groups; NaN if one of them is.

    Examples
    --------
    >>> round(jackknife([1.0, 2.0, 3.0]), 12)
    1.154700538379
    """
    values = np.asarray(leave_one_out, dtype=np.float64)
    g = len(values)
    return float(np.sqrt((g - 1) / g * np.sum((values - values.mean()) ** 2)))


def _conditioning(total: float, provenance: Provenance) -> float:
    """|1' P 1| / 1' P_mag 1, clipped to 1 against rounding; 0 where both vanish."""
    if provenance.strength == "magnitude":
        return 1.0 if total > 0 else 0.0
    if provenance.magnitude_total == 0:
        return 0.0
    return min(1.0, abs(total) / provenance.magnitude_total)


def chain_structure(n_layers: int, softmax: bool) -> dict[str, int]:
    """Return `Provenance`'s structural counts for layers in a row."""
    interior = max(n_layers - 2, 0)
    return {"n_interior": interior, "n_informative": max(interior - softmax, 0)}


def _status(total: float, conditioning: float, provenance: Provenance) -> Status:
    """Structure first, then convergence, then cancellation."""
    if provenance.n_interior == 0:
        return "no_interior_layer"
    if provenance.strength == "signed" and provenance.n_informative == 0:
        return "gauge_degenerate"
    if total == 0 and provenance.largest_error == 0:
        return "converged"
    if conditioning < sqrt(provenance.epsilon):
        return "ill_conditioned"
    return "ok"


def _is_zero(part: NDArray[Any]) -> bool:
    """Tell whether an array is a broadcast scalar zero."""
    return part.size > 0 and not any(part.strides) and part.flat[0] == 0


def _total(parts: tuple[NDArray[Any], ...]) -> float:
    """Sum over a layer's parameters."""
    return float(sum(part.sum(dtype=np.float64) for part in parts if not _is_zero(part)))


def _dot(first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> float:
    """Sum of products over a layer's parameters, without temporaries for what vanishes."""
    return float(
        sum(
            np.vdot(a, b)
            for a, b in zip(first, second, strict=True)
            if not (_is_zero(a) or _is_zero(b))
        )
    )
