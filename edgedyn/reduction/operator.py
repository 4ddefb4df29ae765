"""The averaging operator of Gao, Barzel and Barabasi: any network in one number, beta_eff."""

from dataclasses import dataclass, field, replace
from math import isfinite, isnan, nan, sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _notebook as notebook
from edgedyn._moments import largest_of, spread, unit_for
from edgedyn.reduction.matrices import Array, Degrees, csr_degrees, degrees, node_values

Status = Literal["ok", "empty", "ill_conditioned"]

_EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Reduction:
    r"""The one-dimensional reduction of a weighted directed network.

    .. math:: \beta_{eff} = \frac{1^T A\, s_{in}}{1^T s_{in}}
              = \frac{\sum s_{out} s_{in}}{\sum s_{in}} = \langle s \rangle + S H

    Gao, Barzel and Barabasi, Nature 530:307 (2016), Eqs. 4-7. Jiang et al., Nat. Commun. 15:5718
    (2024), Eq. 2, apply it to the line graphs of neural networks.

    Parameters
    ----------
    beta_eff : float
        NaN unless `status` is "ok"; negative where the total strength is and degrees are not.
    status : {"ok", "empty", "ill_conditioned"}
        ``empty``: no links; ``ill_conditioned``: weights of both signs whose total cancels below
        ``sqrt(machine epsilon)`` of their magnitude, so that half of the digits are lost.
    conditioning : float
        ``|1' A 1| / sum |A|``, in [0, 1]; 1 for weights of one sign, NaN where the entries are
        not at hand (a LinearOperator, a signed interaction). There the degrees bound it from
        above, and the status relies on that.
    mean_strength, symmetry, heterogeneity : float
        ``<s>``, the mean degree; ``S``, the correlation of in- and out-degree (0 where one of
        them is constant); ``H = sigma_in sigma_out / <s>``, which keeps the sign of ``<s>``. Over
        all nodes, isolated ones included. S and H are NaN where ``<s>`` is 0.
    n_nodes : int
    total : float
        ``1' A 1``.
    in_degree, out_degree : ndarray, shape (n_nodes,)
        Weighted: ``A 1`` and ``1' A``.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> star = np.array([[0, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    >>> r = ed.reduce(star)
    >>> print(r)
    beta_eff = 2 (ok), conditioning 1; <s> = 1.5, S = 1, H = 0.5; 4 nodes, total strength 6
    >>> r.x_eff([9.0, 1.0, 2.0, 3.0])
    5.5
    """

    beta_eff: float
    status: Status
    conditioning: float
    mean_strength: float
    symmetry: float
    heterogeneity: float
    n_nodes: int
    total: float
    in_degree: Array = field(repr=False)
    out_degree: Array = field(repr=False)

    def x_eff(self, x: ArrayLike) -> float:
        r"""Return the effective state :math:`L_A(x) = 1^T A x / 1^T A 1`.

        Gao, Barzel and Barabasi, Nature 530:307 (2016), Eq. 5: the average over links of the state
        of the node that sends, so that isolated nodes do not count. NaN unless the status is "ok".

        Parameters
        ----------
        x : array_like, shape (n_nodes,)
            The state of each node, in any unit.

        Raises
        ------
        ValueError
            For another shape.
        """
        state = node_values(x, self.n_nodes)
        return float(self.out_degree @ state) / self.total if self.status == "ok" else nan

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain Python values; not the degrees, of which there are many."""
        return {k: v for k, v in vars(self).items() if k not in ("in_degree", "out_degree")}

    def __str__(self) -> str:
        return (
            f"beta_eff = {self.beta_eff:.6g} ({self.status}), conditioning "
            f"{self.conditioning:.3g}; <s> = {self.mean_strength:.4g}, S = {self.symmetry:.4g}, "
            f"H = {self.heterogeneity:.4g}; {self.n_nodes} nodes, total strength {self.total:.6g}"
        )

    def _repr_html_(self) -> str:
        """Return what a notebook shows: beta_eff and its parts."""
        facts = {
            "status": self.status,
            "conditioning": self.conditioning,
            "mean strength ⟨s⟩": self.mean_strength,
            "symmetry S": self.symmetry,
            "heterogeneity H": self.heterogeneity,
            "nodes": self.n_nodes,
            "total strength": self.total,
        }
        return notebook.card(f"Reduction: β_eff = {self.beta_eff:.6g}", facts)


def reduce(A: Any) -> Reduction:
    r"""Reduce a network to one number, :math:`\beta_{eff} = 1^T A A 1 / 1^T A 1`, and its parts.

    Gao, Barzel and Barabasi, Nature 530:307 (2016), Eqs. 4-7. Transposing A leaves beta_eff, S and
    H as they are and exchanges the degrees, hence changes x_eff.

    Parameters
    ----------
    A : array_like, scipy.sparse, networkx graph, LineGraph, Interaction or LinearOperator
        ``A[i, j]``: influence of node j on node i, of any sign, shape (n_nodes, n_nodes). A
        networkx graph gives its edges source -> target with the attribute ``weight`` (1 without),
        in the order of its nodes, and is transposed; undirected edges count in both directions.
        Of a line graph every link is a 1; it and an `edgedyn.linegraph.Interaction` are reduced
        by their degrees, never by their matrix. Of a LinearOperator the products ``A 1`` and
        ``A' 1`` are taken. Entries stored twice in a CSR matrix are two links.

    Raises
    ------
    TypeError
        For complex numbers, text, operators without transposed products.
    ValueError
        For a matrix that is not square, without nodes, or with NaN or infinity.

    Examples
    --------
    >>> import edgedyn as ed
    >>> ed.reduce([[0, 2], [1, 0]]).beta_eff  # (2 * 1 + 1 * 2) / 3
    1.3333333333333333
    >>> ed.reduce(ed.line_graph([4, 5, 3, 3])).beta_eff
    1.7142857142857142
    >>> ed.reduce([[0, 1], [-1, 0]]).status
    'ill_conditioned'
    """
    return _reduction(degrees(A))


def reduce_csr(
    data: Array, indices: Array, indptr: Array, shape: tuple[int, int] | None = None
) -> Reduction:
    """Reduce a network given by the three arrays of its CSR matrix, without copying them.

    One pass in the order of the arrays, so that files of any size stream through memory maps
    (``numpy.load(..., mmap_mode="r")``); scipy's own constructor may copy indices to change their
    type. Memory: two or three vectors of n_nodes floats.

    Parameters
    ----------
    data, indices, indptr : ndarray or memmap
        Row i of ``A[target, source]`` has its weights in ``data[indptr[i]:indptr[i + 1]]`` and its
        sources in ``indices[...]``.
    shape : (int, int), optional
        Taken from `indptr` if not given.

    Raises
    ------
    TypeError, ValueError
        For arrays that are no square CSR matrix of finite real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.reduction import reduce_csr
    >>> reduce_csr(np.array([2.0, 1.0]), np.array([1, 0]), np.array([0, 1, 2])).beta_eff
    1.3333333333333333
    """
    n = len(indptr) - 1
    found = csr_degrees(data, indices, indptr, (n, n) if shape is None else shape)
    if not np.isfinite(found.absolute):
        raise ValueError("data contains NaN or infinity (or its sum overflows); weights are finite")
    return _reduction(found)


def _reduction(found: Degrees) -> Reduction:
    """Form beta_eff, its parts and its status from degrees."""
    into, out = found.into, found.out
    largest = largest_of([into, out]) if found.exact is None else 1.0
    if not isfinite(largest):
        raise ValueError("the sums of the weights overflow; divide the weights by a constant.")
    if (unit := unit_for(largest)) != 1.0:
        scaled = found._replace(into=into / unit, out=out / unit, absolute=found.absolute / unit)
        small = _reduction(scaled)
        own = ("beta_eff", "mean_strength", "heterogeneity", "total")
        whole: dict[str, Any] = {name: getattr(small, name) * unit for name in own}
        return replace(small, **whole, in_degree=into, out_degree=out)
    n = len(into)
    total = float(into.sum() if found.exact is None else found.exact.total)
    conditioning, bound = _conditioning(found, total)
    status: Status = "ill_conditioned" if bound < sqrt(_EPS) else "ok"
    if not (found.absolute > 0 or into.any() or out.any()):
        status = "empty"
    mean = total / n
    if found.exact is not None:
        symmetry, heterogeneity = found.exact.symmetry, found.exact.heterogeneity
        beta = found.exact.beta_eff
    else:
        symmetry, heterogeneity = spread([(into, out)], mean, _EPS)
        beta = float(out @ into) / total if status == "ok" else nan
    parts = (mean, symmetry, heterogeneity)
    return Reduction(beta, status, conditioning, *parts, n, total, in_degree=into, out_degree=out)


def _conditioning(found: Degrees, total: float) -> tuple[float, float]:
    """Return |total| / sum |A|, and the same or, without entries, a bound of it from above."""
    if not isnan(found.absolute):
        known = min(1.0, abs(total) / found.absolute) if found.absolute else 0.0
        return known, known
    most = max(float(np.abs(found.into).sum()), float(np.abs(found.out).sum()))
    return nan, abs(total) / most if most else 0.0
