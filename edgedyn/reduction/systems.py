"""Dynamics ``x_i' = f(x_i) + sum_j A_ij g(x_i, x_j)``, in one dimension and on networks."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn.reduction.curve import (
    CriticalPoint,
    ResilienceCurve,
    critical_points,
    resilience_curve,
)
from edgedyn.reduction.field import VectorField, vector_field
from edgedyn.reduction.pair import Array, Pair


class System(Pair):
    r"""A network dynamics :math:`x_i' = f(x_i) + \sum_j A_{ij}\, g(x_i, x_j)`.

    f and g are written with numpy or plain arithmetic. They are compiled with numba on first use
    on a network (a second or so), where numba can; otherwise they are used as they are, on arrays
    of links where they take arrays. `compiled` tells. Nothing is compiled for systems with terms.

    Parameters
    ----------
    f : callable
        ``f(x)``: a node by itself.
    g : callable
        ``g(x_i, x_j)``: what node i receives from node j over a link of weight 1.
    name : str
    low : float
        The state of every node at the start called "low".
    domain : (float, float)
        Bounds that no state leaves.
    terms : tuple of (callable, callable), optional
        Pairs (u, v) with ``g(x_i, x_j) = sum u(x_i) v(x_j)``, of functions of arrays. With them
        networks need not tell their links, only products, and steps are faster.
    constants : mapping, optional
        For the record, and in their order for `kernels`.
    kernels : (callable, callable), optional
        Compiled passes over links that take the constants, see ``_kernels.mutualistic_rate`` and
        ``mutualistic_linear``; without them f and g are compiled into such.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.reduction import System, steady_state
    >>> mine = System(lambda x: 1 - x, lambda x, y: y / (1 + x), name="mine", domain=(0, np.inf))
    >>> steady_state(np.array([[0, 1], [1, 0]]), mine).x  # x = 1 + x / (1 + x)
    array([1.61803399, 1.61803399])

    A population with an Allee effect: alone it dies out from below 1 and grows to 5 from above.
    Migrants lower that threshold, until at beta_eff = 1 none is left: beyond, it always lives. At
    0.5 it stands at ``x = 3 - sqrt(6.5)``, and the abundant state at ``3 + sqrt(6.5)``.

    >>> allee = System(lambda x: x * (1 - x / 5) * (x - 1), lambda x, y: y, domain=(0, np.inf))
    >>> [(p.kind, round(p.beta, 6)) for p in allee.critical_points()]
    [('transcritical', 1.0)]
    >>> print(allee.resilience_curve([0.5, 2.0]).to_frame().round(3))
       beta      x  stable  branch
    0   0.5  0.000    True       0
    1   0.5  0.450   False       1
    2   0.5  5.550    True       1
    3   2.0  0.000   False       0
    4   2.0  6.742    True       1

    On a network with that beta_eff, here a ring of six, the same state is found:

    >>> from edgedyn import reduce
    >>> ring = 0.25 * (np.roll(np.eye(6), 1, axis=0) + np.roll(np.eye(6), -1, axis=0))
    >>> reduce(ring).beta_eff, steady_state(ring, allee, "high")
    (0.5, SteadyState(converged, x = 5.55 on all 6 nodes))
    """

    def critical_points(self, receiver: float = 1.0) -> tuple[CriticalPoint, ...]:
        """Return where steady states of the reduced system appear, vanish or change stability.

        In the order of beta, beta >= 0 only; each with ``beta``, ``x`` and ``kind`` ("fold" or
        "transcritical").
        """
        return critical_points(self, receiver)

    def critical_beta(self, receiver: float = 1.0) -> float:
        """Return the largest critical beta_eff; NaN where there is none.

        Above it the picture no longer changes: the mutualistic system has left its low state for
        good, the gene regulation has its active state, the infection stays. Gao, Barzel and
        Barabasi, Nature 530:307 (2016): 6.97 for the mutualistic dynamics, 2 for gene regulation.

        Examples
        --------
        >>> from edgedyn.reduction import gene_regulation, mutualistic
        >>> round(mutualistic().critical_beta(), 5), round(gene_regulation().critical_beta(), 6)
        (6.97253, 2.0)
        """
        points = self.critical_points(receiver)
        return points[-1].beta if points else float("nan")

    def resilience_curve(self, betas: ArrayLike, receiver: float = 1.0) -> ResilienceCurve:
        """Return all steady states of the reduced system, stable and unstable, at each beta."""
        return resilience_curve(self, betas, receiver)

    def on(self, A: Any) -> VectorField:
        """Return the right-hand side on a network, a function of the state.

        Parameters
        ----------
        A : array_like, scipy.sparse, networkx graph, LineGraph, Interaction or LinearOperator
            As for `edgedyn.reduce`; systems without `terms` need the links and refuse operators.
        """
        return vector_field(A, self)

    def rhs(self, A: Any, x: ArrayLike) -> Array:
        r"""Return :math:`f(x_i) + \sum_j A_{ij} g(x_i, x_j)`, shape (n_nodes,).

        Examples
        --------
        >>> from edgedyn.reduction import sis
        >>> sis().rhs([[0, 3], [0, 0]], [0.5, 0.5])
        array([ 0.25, -0.5 ])
        """
        return self.on(A)(np.asarray(x, np.float64))
