"""A pair (f, g): the functions behind the dynamics ``x_i' = f(x_i) + sum_j A_ij g(x_i, x_j)``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from edgedyn._array import Array

Function = Callable[..., Any]
Term = tuple[Function, Function]

_LARGEST_START = 2.0**60
_ABOVE = 2.0 ** (np.arange(81) / 8)  # in units of a start, where it is looked for higher states


@dataclass(frozen=True, eq=False)
class Pair:
    """What `System` knows of f and g by themselves; its docstring tells the parameters."""

    f: Function
    g: Function
    name: str = "custom"
    low: float = 0.0
    domain: tuple[float, float] = (-inf, inf)
    terms: tuple[Term, ...] | None = field(default=None, repr=False)
    constants: Mapping[str, float] = field(default_factory=dict)
    kernels: tuple[Function, Function] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for word, function in (("f", self.f), ("g", self.g)):
            if not callable(function):
                raise TypeError(f"{word} must be a function; got {function!r}.")
        low, high = self.domain
        if not low <= self.low <= high:
            raise ValueError(f"low must lie in the domain {self.domain}; got {self.low!r}.")

    def one_dimensional(self, x: ArrayLike, beta: ArrayLike, receiver: float = 1.0) -> Any:
        r"""Return :math:`f(x) + \beta g(r x, x)`, the reduced right-hand side.

        Parameters
        ----------
        x, beta : array_like
            Broadcast against each other.
        receiver : float
            r: 1 for the reduction of Gao, Barzel and Barabasi, Nature 530:307 (2016), Eq. 6;
            `SpectralReduction.beta` for that of Laurence et al.

        Examples
        --------
        >>> from edgedyn.reduction import sis
        >>> float(sis().one_dimensional(0.5, 2.0))
        0.0
        """
        state = np.asarray(x, np.float64)
        received = evaluate(self.g, receiver * state, state)
        return evaluate(self.f, state) + np.asarray(beta, np.float64) * received

    def high(self, strength: float, receiver: float = 1.0) -> float:
        """Return a state above every steady state of nodes with at most this in-degree.

        The smallest power of two, 1 or more, from which on a node among its likes falls, as far
        as ten octaves; not above the domain.

        Raises
        ------
        ValueError
            Where there is none below 2^60.
        """
        bound, x = self.domain[1], 1.0
        while x < min(bound, _LARGEST_START):
            # A node may fall towards a low state and still have a high one above.
            above = np.minimum(x * _ABOVE, bound)
            with np.errstate(all="ignore"):
                rates = self.one_dimensional(above, strength, receiver)
            rising = above[rates > 0]
            if float(rates[0]) < 0 and not rising.size:
                return x
            x = max(2 * x, 2.0 ** np.floor(np.log2(rising[-1])) if rising.size else 0.0)
        if bound < inf:
            return bound
        raise ValueError(
            f"the system {self.name!r} has no high start: it grows without bound at in-degree "
            f"{strength:.6g}; give the start as an array."
        )

    @property
    def compiled(self) -> bool:
        """Whether numba runs this system's links; where it cannot, `compile_note` says why."""
        return self.edge_kernels is not None

    @property
    def compile_note(self) -> str:
        """Why numba cannot compile f and g, in its words; empty where it can."""
        return self._compilation[1]

    @property
    def edge_kernels(self) -> tuple[Function, Function] | None:
        """The compiled passes over links (rate, linear), or None."""
        return self._compilation[0]

    @cached_property
    def _compilation(self) -> tuple[tuple[Function, Function] | None, str]:
        """Compile f and g, once."""
        if self.kernels is not None:
            return self.kernels, ""
        from numba import njit
        from numba.core.errors import NumbaError

        from edgedyn.reduction._kernels import edge_kernels

        none, indices, indptr = np.zeros(0), np.zeros(0, np.int32), np.zeros(1, np.int32)
        try:
            f, g = (
                function if hasattr(function, "py_func") else njit(function, error_model="numpy")
                for function in (self.f, self.g)
            )
            f(self.low), g(self.low, self.low)
            rate, linear = edge_kernels(f, g)
            # Compiled here, by running on a network without nodes, and not at the first step, so
            # that what fails, fails here.
            rate(none, indices, indptr, none, none, none)
            linear(none, indices, indptr, none, none, none, none, none)
        except (NumbaError, TypeError, NotImplementedError) as error:
            return None, str(error)
        return (rate, linear), ""


def evaluate(function: Function, *arguments: Array) -> Array:
    """Return a function's values on arrays, element by element where it takes numbers only."""
    shape = np.broadcast_shapes(*(np.shape(a) for a in arguments))
    try:
        values = np.asarray(function(*arguments), np.float64)
    except (TypeError, ValueError):
        values = np.vectorize(function, otypes=[np.float64])(*arguments)
    return values if values.shape == shape else np.broadcast_to(values, shape)
