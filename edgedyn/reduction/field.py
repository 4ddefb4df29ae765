"""The right-hand side of a system on a network, and its linearisation: memory linear in links."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgedyn.reduction.matrices import as_csr, as_operator, is_operator, node_values
from edgedyn.reduction.pair import Array, Function, Pair, Term, evaluate

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_STEP = 1.5e-8
_CHUNK = 2**20


@dataclass(frozen=True, eq=False)
class Linearisation:
    """The rate at a state and its derivatives, ``J v = diagonal * v + links(v)``.

    The rate is ``f(x_i) + sum_j A_ij g(x_i, x_j)``, its `own` part ``f(x_i)``, the diagonal its
    derivative by the node's own state, as receiver; `links` multiplies with the derivatives by the
    senders' states, and `cooperative` tells whether these are known to be all >= 0.
    """

    rate: Array
    own: Array
    diagonal: Array
    links: Callable[[Array], Array]
    cooperative: bool


class VectorField:
    """A system on a network: call it with a state, shape (n_nodes,); obtain one by `System.on`.

    Parameters
    ----------
    system : System
    n_nodes : int
    in_degree : ndarray, shape (n_nodes,)
    """

    def __init__(self, system: Pair, n_nodes: int, in_degree: Array) -> None:
        self.system = system
        self.n_nodes = n_nodes
        self.in_degree = in_degree

    def __call__(self, x: Array) -> Array:
        """Return ``x'``."""
        raise NotImplementedError

    def linearise(self, x: Array) -> Linearisation:
        """Return ``x'`` and its derivatives; valid until the call after the next."""
        raise NotImplementedError

    def check_state(self, x: Any, name: str = "x") -> Array:
        """Return a state as an array of floats of its own, or refuse it."""
        state = node_values(x, self.n_nodes, name).copy()
        low, high = self.system.domain
        if not (np.isfinite(state).all() and (state >= low).all() and (state <= high).all()):
            raise ValueError(
                f"{name} must be finite and lie in [{low:g}, {high:g}], the domain of "
                f"{self.system.name}."
            )
        return state


def vector_field(A: Any, system: Pair) -> VectorField:
    """Return a system on a network; `A` as for `edgedyn.reduce`."""
    if system.terms is not None:
        return _SeparableField(A, system, system.terms)
    if system.edge_kernels is not None:
        return _CompiledField(as_csr(A), system, system.edge_kernels)
    return _PlainField(as_csr(A), system)


class _SeparableField(VectorField):
    """g is a sum of products u(x_i) v(x_j): products with A are all that is needed."""

    def __init__(self, A: Any, system: Pair, terms: tuple[Term, ...]) -> None:
        has_products = is_operator(A) or hasattr(A, "operator")
        matrix = as_operator(A) if has_products else as_csr(A)
        super().__init__(system, matrix.shape[0], np.asarray(matrix @ np.ones(matrix.shape[0])))
        self._matrix = matrix
        self._terms = terms
        self._positive = not has_products and not (matrix.data < 0).any()

    def __call__(self, x: Array) -> Array:
        rate = np.array(evaluate(self.system.f, x))
        for u, v in self._terms:
            rate += evaluate(u, x) * (self._matrix @ evaluate(v, x))
        return rate

    def linearise(self, x: Array) -> Linearisation:
        own = evaluate(self.system.f, x)
        rate, diagonal = np.array(own), _slope(self.system.f, x, own)
        factors, cooperative = [], self._positive
        for u, v in self._terms:
            receives, sends = evaluate(u, x), evaluate(v, x)
            flow = self._matrix @ sends
            rate += receives * flow
            diagonal += _slope(u, x, receives) * flow
            change = _slope(v, x, sends)
            if change.any():
                factors.append((receives, change))
                cooperative &= bool((receives >= 0).all() and (change >= 0).all())

        def links(w: Array) -> Array:
            found = np.zeros(len(w))
            for receives, change in factors:
                found += receives * (self._matrix @ (change * w))
            return found

        return Linearisation(rate, own, diagonal, links, cooperative)


class _EdgeField(VectorField):
    """g is evaluated link by link; its derivatives take one float a link, twice."""

    def __init__(self, matrix: "csr_array", system: Pair) -> None:
        super().__init__(system, matrix.shape[0], np.asarray(matrix @ np.ones(matrix.shape[0])))
        self._matrix = matrix
        self._positive = not (matrix.data < 0).any()
        self._buffers: list[csr_array] = []

    def _derivatives(self) -> "csr_array":
        """Return a matrix of A's pattern to write to; two take turns, the older one is lost."""
        if len(self._buffers) < 2:
            from scipy.sparse import csr_array

            A = self._matrix
            zeros = np.zeros(len(A.data))
            self._buffers.append(csr_array((zeros, A.indices, A.indptr), shape=A.shape))
        else:
            self._buffers.reverse()
        return self._buffers[-1]

    def _pass(self, x: Array, diagonal: Array, links: Array) -> Array:
        """Fill the derivatives and return the rate."""
        raise NotImplementedError

    def linearise(self, x: Array) -> Linearisation:
        jacobian = self._derivatives()
        diagonal = np.empty(self.n_nodes)
        rate = self._pass(x, diagonal, jacobian.data)
        cooperative = self._positive and not (jacobian.data < 0).any()
        own = evaluate(self.system.f, x)
        return Linearisation(rate, own, diagonal, lambda w: jacobian @ w, cooperative)


class _CompiledField(_EdgeField):
    """g runs in numba."""

    def __init__(
        self, matrix: "csr_array", system: Pair, kernels: tuple[Function, Function]
    ) -> None:
        super().__init__(matrix, system)
        self._rate, self._linear = kernels
        self._arrays = (matrix.data, matrix.indices, matrix.indptr)
        self._constants = np.array(list(system.constants.values()), np.float64)

    def __call__(self, x: Array) -> Array:
        rate = np.empty(self.n_nodes)
        state = np.ascontiguousarray(node_values(x, self.n_nodes))  # kernels check no bounds
        self._rate(*self._arrays, state, self._constants, rate)
        return rate

    def _pass(self, x: Array, diagonal: Array, links: Array) -> Array:
        rate = np.empty(self.n_nodes)
        state = np.ascontiguousarray(node_values(x, self.n_nodes))
        self._linear(*self._arrays, state, self._constants, rate, diagonal, links)
        return rate


class _PlainField(_EdgeField):
    """g is called as it is, on the links of a block of rows at a time."""

    def __call__(self, x: Array) -> Array:
        rate = np.array(evaluate(self.system.f, x))
        for rows, receiver, edges, sender in self._blocks():
            values = self._matrix.data[edges] * evaluate(self.system.g, x[receiver], x[sender])
            rate[rows] += np.bincount(
                receiver - rows.start, weights=values, minlength=rows.stop - rows.start
            )
        return rate

    def _pass(self, x: Array, diagonal: Array, links: Array) -> Array:
        g, weight = self.system.g, self._matrix.data
        own = evaluate(self.system.f, x)
        rate, diagonal[:] = np.array(own), _slope(self.system.f, x, own)
        step = _STEP * np.maximum(1, np.abs(x))
        for rows, i, edges, j in self._blocks():
            here = evaluate(g, x[i], x[j])
            moved = (evaluate(g, x[i] + step[i], x[j]) - here) / step[i]
            links[edges] = weight[edges] * (evaluate(g, x[i], x[j] + step[j]) - here) / step[j]
            for total, values in ((rate, here), (diagonal, moved)):
                total[rows] += np.bincount(
                    i - rows.start, weights=weight[edges] * values, minlength=rows.stop - rows.start
                )
        return rate

    def _blocks(self) -> Any:
        """Yield rows, receiver of each link, links, sender of each link, some links at a time."""
        indptr, indices = self._matrix.indptr, self._matrix.indices
        start = 0
        while start < self.n_nodes:
            stop = int(np.searchsorted(indptr, indptr[start] + _CHUNK, side="right")) - 1
            stop = min(max(stop, start + 1), self.n_nodes)
            edges = slice(int(indptr[start]), int(indptr[stop]))
            receiver = np.repeat(np.arange(start, stop), np.diff(indptr[start : stop + 1]))
            yield slice(start, stop), receiver, edges, indices[edges]
            start = stop


def _slope(function: Function, x: Array, here: Array) -> Array:
    """Return a one-sided difference: nothing left of a lower bound is asked for."""
    step = _STEP * np.maximum(1, np.abs(x))
    return (evaluate(function, x + step) - here) / step
