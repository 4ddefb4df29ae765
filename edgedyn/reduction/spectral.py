"""The spectral one-dimensional reduction of Laurence et al., to compare with."""

from dataclasses import dataclass, field
from math import nan
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from edgedyn.reduction.matrices import Array, as_csr, as_operator, degrees, is_operator, node_values
from edgedyn.reduction.solve import steady_state_1d
from edgedyn.reduction.systems import System

Status = Literal["ok", "no_cycles", "complex_eigenvalue", "no_convergence"]

_DENSE = 500


@dataclass(frozen=True, eq=False)
class SpectralReduction:
    r"""The spectral reduction of a network to one observable :math:`R = a^T x`.

    .. math:: R' = f(R) + \alpha\, g(\beta R, R), \qquad A^T a = \alpha a, \quad 1^T a = 1, \qquad
              \beta = \frac{a^T K a}{\alpha\, a^T a}

    with K the diagonal matrix of in-degrees, ``g(x_i, x_j)`` as everywhere: receiver first.

    Parameters
    ----------
    alpha : float
        The dominant eigenvalue, that of largest real part; equals ``a' A 1``. NaN unless `status`
        is "ok" or "no_cycles".
    beta : float
        The receivers' state in units of R; 1 on homogeneous networks. NaN unless `status` is "ok".
    status : {"ok", "no_cycles", "complex_eigenvalue", "no_convergence"}
        ``no_cycles``: every eigenvalue is 0 (the line graphs of neural networks are such), alpha
        is 0 and no observable is defined; ``complex_eigenvalue``: the dominant one is not real, or
        its eigenvector sums to 0; both cannot happen with weights >= 0 and a cycle.
    weights : ndarray, shape (n_nodes,)
        The eigenvector a; NaN unless `status` is "ok". On a network that is not strongly
        connected it may vanish on some nodes.

    Notes
    -----
    Laurence, Doyon, Dube and Desrosiers, Phys. Rev. X 9, 011042 (2019), the one-dimensional case:
    f is expanded around R, g around (beta R, gamma R). ``a' 1 = 1`` removes the first-order term
    of f; the eigenvector removes that of the senders, with gamma = 1; beta is the least-squares
    solution of ``K a = beta alpha a`` for that of the receivers.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> star = np.array([[0, 1, 1, 1], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    >>> s = ed.reduction.spectral_reduce(star)
    >>> print(s)
    alpha = 1.73205, beta = 1.1547 (ok); 4 nodes
    """

    alpha: float
    beta: float
    status: Status
    weights: Array = field(repr=False)

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.weights)

    def observable(self, x: ArrayLike) -> float:
        """Return ``R = a' x`` of a state, shape (n_nodes,).

        Raises
        ------
        ValueError
            For another shape.
        """
        return float(self.weights @ node_values(x, self.n_nodes))

    def steady_state(self, system: System, start: str | float = "low") -> float:
        """Return the R that the one-dimensional equation reaches, by `steady_state_1d`.

        Raises
        ------
        ValueError
            Unless the status is "ok".
        """
        if self.status != "ok":
            raise ValueError(f"this network has no spectral reduction: its status is {self.status}")
        return steady_state_1d(self.alpha, system, start, receiver=self.beta)

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as plain Python values, without the eigenvector."""
        numbers = {k: v for k, v in vars(self).items() if k != "weights"}
        return {**numbers, "n_nodes": self.n_nodes}

    def __str__(self) -> str:
        return (
            f"alpha = {self.alpha:.6g}, beta = {self.beta:.6g} ({self.status}); "
            f"{self.n_nodes} nodes"
        )


def spectral_reduce(A: Any) -> SpectralReduction:
    r"""Reduce a network by its dominant eigenvalue, :math:`R' = f(R) + \alpha g(\beta R, R)`.

    Laurence et al., Phys. Rev. X 9, 011042 (2019). Up to 500 nodes by LAPACK, above by ARPACK's
    products with A' from a vector of ones.

    Parameters
    ----------
    A : array_like, scipy.sparse, networkx graph, LineGraph, Interaction or LinearOperator
        As for `edgedyn.reduce`, with the same errors.

    Examples
    --------
    >>> from edgedyn.reduction import spectral_reduce
    >>> ring = [[0, 0, 2], [2, 0, 0], [0, 2, 0]]  # homogeneous: alpha is the degree, beta is 1
    >>> print(spectral_reduce(ring))
    alpha = 2, beta = 1 (ok); 3 nodes
    """
    found = degrees(A)
    n = len(found.into)
    nothing = np.full(n, nan)
    if _has_no_cycles(A, found.into):
        return SpectralReduction(0.0, nan, "no_cycles", nothing)
    value, a = _dominant(as_operator(A), n)
    if a is None:
        return SpectralReduction(nan, nan, "no_convergence", nothing)
    real = abs(value.imag) <= 1e-9 * abs(value)
    total = a.sum()
    if not real or value.real == 0 or abs(total) <= 1e-9 * np.abs(a).sum():
        return SpectralReduction(nan, nan, "complex_eigenvalue", nothing)
    a = np.real(a / total)
    beta = float((found.into * a) @ a) / (value.real * float(a @ a))
    return SpectralReduction(float(value.real), beta, "ok", a)


def _has_no_cycles(A: Any, into: Array) -> bool:
    """Tell whether A is nilpotent: eigenvalues of such matrices are lost to rounding."""
    if not is_operator(A) and not hasattr(A, "moments") and not hasattr(A, "operator"):
        from scipy.sparse.csgraph import connected_components

        matrix = as_csr(A)
        if matrix.diagonal().any():
            return False
        components, _ = connected_components(matrix, directed=True, connection="strong")
        return components == matrix.shape[0]
    # Without entries: of weights >= 0, products with ones vanish after as many as there are layers.
    operator, v = as_operator(A), into
    for _ in range(64):
        size = float(np.abs(v).max())
        if size == 0:
            return True
        v = np.asarray(operator @ (v / size)).ravel()
    return False


def _dominant(operator: Any, n: int) -> tuple[complex, Array | None]:
    """Return the eigenvalue of largest real part of A' and its vector; None if not converged."""
    if n <= _DENSE:
        values, vectors = np.linalg.eig(np.asarray(operator.T @ np.eye(n)))
        k = int(np.argmax(values.real))
        return complex(values[k]), vectors[:, k]
    from scipy.sparse.linalg import ArpackError, eigs

    try:
        values, vectors = eigs(operator.T, k=1, which="LR", v0=np.ones(n), maxiter=20 * n)
    except ArpackError:
        return complex(nan), None
    return complex(values[0]), vectors[:, 0]
