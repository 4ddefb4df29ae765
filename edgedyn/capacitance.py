"""The neural capacitance beta_eff from the degrees of the line graph's nodes.

One number, its status and its parts. How the degrees come about (closed forms for ReLU MLPs,
automatic differentiation for Keras models) is the business of other rooms, which sum them in
`edgedyn.degrees`; this file only needs in- and out-degrees, layer by layer.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import chain
from math import isfinite, isnan, nan, sqrt
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgedyn import _notebook as notebook
from edgedyn import _validate as check
from edgedyn._moments import largest_of, spread, unit_for

if TYPE_CHECKING:
    import pandas as pd

Status = Literal[
    "ok",
    "vanishing",
    "converged",
    "no_interior_layer",
    "gauge_degenerate",
    "dead",
    "ill_conditioned",
    "not_finite",
]

Coupling = Literal["direct", "full"]
Strength = Literal["magnitude", "absolute", "signed"]
Nodes = Literal["kernels", "all"]
Scope = Literal["probe", "network"]

COUPLINGS = get_args(Coupling)
STRENGTHS = get_args(Strength)
NODES = get_args(Nodes)
JACKKNIFE_GROUPS = 10
ROUNDING, VANISHING = 16, 1e-7


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


def jackknife_groups(stderr: bool) -> int:
    """Return how many groups of samples to keep apart."""
    return JACKKNIFE_GROUPS if stderr else 1


def check_enough(n_samples: int, groups: int) -> None:
    """Refuse fewer samples than groups."""
    if n_samples < groups:
        raise ValueError(
            f"a standard error needs at least {groups} samples; got {n_samples}: give more samples "
            "or stderr=False."
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
        both = (self.in_degree, self.out_degree)
        first, second = (np.concatenate([part.ravel() for part in parts]) for parts in both)
        return first, second


@dataclass(frozen=True)
class LayerCapacitance:
    """One layer's share of beta_eff.

    Parameters
    ----------
    layer, n_nodes : int
        The layer's number (from 1) and how many nodes it owns.
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
        beta_eff; NaN unless `status` is "ok", "vanishing" or "converged".
    status : str
        - ``ok``;
        - ``vanishing``: as ``ok``, but below 1e-7 of the largest error: features or weights all but
          vanish on the way through the network, and so does the value, whatever the errors;
        - ``converged``: every error is exactly 0, and so is the total strength; the value is 0;
        - ``no_interior_layer``: no layer lies between two others, so that no node has both in-
          and out-links;
        - ``gauge_degenerate``: signed strengths into a softmax layer cancel exactly (adding one
          vector to all its rows changes nothing), and no layer is left that informs;
        - ``dead``: the total strength is 0 though errors are not, as where no unit is active;
        - ``ill_conditioned``: the total strength cancels below rounding, see `conditioning`, or the
          numerator does;
        - ``not_finite``: sums overflow or hold NaN.
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

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the value, its parts, the layers' shares."""
        error = "" if self.stderr is None else f" ± {self.stderr:.2g}"
        facts = {
            "status": self.status,
            "conditioning": self.conditioning,
            "⟨s⟩ + S H": f"{self.mean_strength:.4g} + {self.symmetry:.4g} × "
            f"{self.heterogeneity:.4g}",
            "coupling, strength": f"{self.coupling}, {self.strength}",
            "nodes": f"{self.n_nodes:,} ({self.nodes})",
            "samples": self.n_samples,
        }
        head = ["layer", "nodes", "sum of in-degrees", "sum of out-degrees", "part of β_eff"]
        rows = [
            (v.name or f"layer {v.layer}", v.n_nodes, v.in_total, v.out_total, v.contribution)
            for v in self.per_layer
        ]
        title = f"Neural capacitance β_eff = {self.value:.6g}{error}"
        return notebook.card(title, facts, notebook.table(head, rows))


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What the degrees came from, as far as the status of beta_eff depends on it.

    Parameters
    ----------
    coupling, strength, nodes : str
    n_interior : int
        Layers with both a layer before and a layer after them.
    n_informative : int
        Those of them that are followed by another layer than a dense one into softmax, whose
        signed strengths cancel (the gauge).
    epsilon : float
        Machine epsilon of the arithmetic the degrees were computed in.
    n_samples : int
    magnitude_total : float
        ``1' P_mag 1``, the total strength with every contribution by its absolute value.
    largest_error : float
        Largest ``|e^L|`` over all samples and outputs; 0 only if the network has converged.
    """

    coupling: str
    strength: str
    nodes: str
    n_interior: int
    n_informative: int
    epsilon: float
    n_samples: int = 0
    magnitude_total: float = 0.0
    largest_error: float = 0.0


def from_degrees(
    layers: Sequence[LayerDegrees], provenance: Provenance, stderr: float | None = None
) -> Capacitance:
    """Form beta_eff, its parts and its status from the degrees of all layers, layer 1 first."""
    largest = largest_of(part for layer in layers for part in layer.in_degree + layer.out_degree)
    if (unit := unit_for(largest)) != 1.0:
        return replace(_in_units(layers, provenance, unit), stderr=stderr)
    n_nodes = sum(layer.n_nodes for layer in layers)
    in_totals = [_total(layer.in_degree) for layer in layers]
    products = [_dot(layer.in_degree, layer.out_degree) for layer in layers]
    total = sum(in_totals)

    conditioning = _conditioning(total, provenance)
    status = _status(total, sum(products), largest, conditioning, provenance)
    value = sum(products) / total if status in ("ok", "vanishing") else nan
    value = 0.0 if status == "converged" else value
    mean = total / n_nodes
    pairs = (zip(layer.in_degree, layer.out_degree, strict=True) for layer in layers)
    symmetry, heterogeneity = spread(chain.from_iterable(pairs), mean, provenance.epsilon)
    per_layer = []
    for layer, in_total, product in zip(layers, in_totals, products, strict=True):
        share = nan if isnan(value) else (product / total if total else 0.0)
        totals = (in_total, _total(layer.out_degree))
        per_layer.append(LayerCapacitance(layer.layer, layer.n_nodes, *totals, share, layer.name))
    return Capacitance(
        value=value,
        status=status,
        conditioning=conditioning,
        mean_strength=mean,
        symmetry=symmetry,
        heterogeneity=heterogeneity,
        per_layer=tuple(per_layer),
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


def _status(
    total: float, numerator: float, largest: float, conditioning: float, provenance: Provenance
) -> Status:
    """Structure first, then what is not finite, convergence, cancellation, scale."""
    signed, error = provenance.strength == "signed", provenance.largest_error
    if provenance.n_interior == 0:
        return "no_interior_layer"
    if not (isfinite(total) and isfinite(numerator) and isfinite(largest)):
        return "not_finite"
    if signed and provenance.n_informative == 0:
        return "gauge_degenerate"
    if total == 0 and error == 0:
        return "converged"
    if (total if provenance.strength == "magnitude" else provenance.magnitude_total) == 0:
        return "dead"
    # Rounding alone leaves so much of the numerator's terms.
    noise = ROUNDING * provenance.epsilon * largest * provenance.magnitude_total
    if conditioning < sqrt(provenance.epsilon) or (signed and abs(numerator) <= noise):
        return "ill_conditioned"
    return "vanishing" if abs(numerator) < VANISHING * error * abs(total) else "ok"


def _in_units(layers: Sequence[LayerDegrees], provenance: Provenance, unit: float) -> Capacitance:
    """Do as `from_degrees` with degrees divided by a power of two, and multiply afterwards."""
    scaled = [
        replace(
            layer,
            in_degree=tuple(part / unit for part in layer.in_degree),
            out_degree=tuple(part / unit for part in layer.out_degree),
        )
        for layer in layers
    ]
    sizes = (provenance.magnitude_total, provenance.largest_error)
    strength, error = (size / unit for size in sizes)
    found = from_degrees(scaled, replace(provenance, magnitude_total=strength, largest_error=error))
    own = ("in_total", "out_total", "contribution")
    return replace(
        found,
        **{n: getattr(found, n) * unit for n in ("value", "mean_strength", "heterogeneity")},
        per_layer=tuple(
            replace(one, **{n: getattr(one, n) * unit for n in own}) for one in found.per_layer
        ),
    )


def _is_zero(part: NDArray[Any]) -> bool:
    """Tell whether an array is a broadcast scalar zero."""
    return part.size > 0 and not any(part.strides) and part.flat[0] == 0


def _total(parts: tuple[NDArray[Any], ...]) -> float:
    """Sum over a layer's parameters."""
    return float(sum(part.sum(dtype=np.float64) for part in parts if not _is_zero(part)))


def _dot(first: tuple[NDArray[Any], ...], second: tuple[NDArray[Any], ...]) -> float:
    """Sum of products over a layer's parameters, without temporaries for what vanishes."""
    pairs = zip(first, second, strict=True)
    return float(sum(np.vdot(a, b) for a, b in pairs if not (_is_zero(a) or _is_zero(b))))
