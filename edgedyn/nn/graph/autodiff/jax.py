"""Automatic differentiation by JAX: pure functions, so that variables' values are given to them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jax
import keras
import numpy as np

from edgedyn.nn.graph.autodiff.doubles import kept_doubles, precision_of

Tensor = Any


def compiled(function: Callable[..., Any], state: Sequence[keras.Variable]) -> Callable[..., Any]:
    """Return the function compiled once for each set of shapes; `state` are the variables it reads.

    Their present values are arguments: what is compiled would else keep those it was traced with.
    """

    def stateless(values: list[Tensor], *arguments: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(state, values, strict=True))):
            return function(*arguments)

    whole = jax.jit(stateless)

    def call(*arguments: Any) -> Any:
        with precision_of(keras.tree.flatten((list(state), arguments))):
            return whole([variable.value for variable in state], *arguments)

    return call


def pull_back(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], cotangent: Tensor
) -> list[Tensor]:
    """Return ``J^T q`` for each input, J the Jacobian of `function` at `inputs`."""
    with precision_of(inputs):
        return list(jax.vjp(function, *inputs)[1](cotangent))


def push_forward(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]
) -> Tensor:
    """Return ``J t``, J the Jacobian of `function` at `inputs`."""
    with precision_of(inputs):
        return jax.jvp(function, tuple(inputs), tuple(tangents))[1]


def hessian_product(
    function: Callable[[list[Tensor]], Tensor], inputs: list[Tensor], tangents: list[Tensor]
) -> list[Tensor]:
    """Return ``H t`` for the second derivative H of a scalar function, forward over reverse."""
    with precision_of(inputs):
        return jax.jvp(jax.grad(function), (inputs,), (tangents,))[1]


def added(totals: list[Tensor], parts: list[Tensor]) -> list[Tensor]:
    """Return sums in double precision, on the device where the parts are."""
    with jax.enable_x64(True):
        return _added(totals, parts)


@jax.jit
def _added(totals: list[Tensor], parts: list[Tensor]) -> list[Tensor]:
    """Add as doubles, which must be allowed."""
    pairs = zip(totals, parts, strict=True)
    return [t.astype("float64") + p.astype("float64") for t, p in pairs]


def precision(dtype: str) -> str:
    """Return what numbers of this type are computed in: doubles only with ``JAX_ENABLE_X64``."""
    return str(jax.dtypes.canonicalize_dtype(dtype))


def device() -> str:
    """Return the name of what computes: a GPU's, or "CPU"."""
    found = jax.devices()[0]
    return "CPU" if found.platform == "cpu" else found.device_kind


def in_doubles() -> AbstractContextManager[None]:
    """Compute uncompiled in double precision, whatever ``JAX_ENABLE_X64`` says."""
    return _in_doubles()


@contextmanager
def _in_doubles() -> Iterator[None]:
    """Do so."""
    with jax.enable_x64(True), kept_doubles():
        yield


class Tally:
    """Sums of so many numbers, added up from within a compiled step of training.

    Such a step has no effects of its own, so each calls back, when it is run.
    """

    def __init__(self, n: int) -> None:
        self._sums = np.zeros(n)

    def add(self, *numbers: Tensor) -> None:
        """Add to each sum."""
        jax.debug.callback(self._add, *numbers)

    def _add(self, *numbers: Any) -> None:
        """Add numbers that are known."""
        self._sums += np.array(numbers, np.float64)

    def take(self) -> list[float]:
        """Return the sums and begin anew."""
        jax.effects_barrier()
        found = self._sums.tolist()
        self._sums[:] = 0.0
        return found
