"""Automatic differentiation by PyTorch's transformations of functions, without recording."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras
import torch

from edgedyn.nn.graph.autodiff.doubles import kept_doubles, precision_of

Tensor = Any


def compiled(function: Callable[..., Any], state: Sequence[keras.Variable]) -> Callable[..., Any]:
    """Return the function as it is, which PyTorch runs eagerly, without recording it.

    `state`, the variables it reads, is for frameworks that compile pure functions.
    """

    def call(*arguments: Any) -> Any:
        with torch.no_grad(), precision_of(keras.tree.flatten((list(state), arguments))):
            return function(*arguments)

    return call


def pull_back(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], cotangent: Tensor
) -> list[Tensor]:
    """Return ``J^T q`` for each input, J the Jacobian of `function` at `inputs`."""
    # Not within no_grad: derivatives of derivatives would be taken for 0.
    with precision_of(inputs):
        return list(torch.func.vjp(function, *inputs)[1](cotangent))


def push_forward(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]
) -> Tensor:
    """Return ``J t``, J the Jacobian of `function` at `inputs`."""
    with precision_of(inputs):
        return torch.func.jvp(function, tuple(inputs), tuple(tangents))[1]


def hessian_product(
    function: Callable[[list[Tensor]], Tensor], inputs: list[Tensor], tangents: list[Tensor]
) -> list[Tensor]:
    """Return ``H t`` for the second derivative H of a scalar function, reverse over reverse.

    H is symmetric; not all of PyTorch's derivatives can be pushed forward.
    """
    with precision_of(inputs):
        return list(torch.func.vjp(torch.func.grad(function), inputs)[1](tangents)[0])


def added(totals: list[Tensor], parts: list[Tensor]) -> list[Tensor]:
    """Return sums in double precision, on the device where the parts are."""
    with torch.no_grad():
        return [t.double() + p.double() for t, p in zip(totals, parts, strict=True)]


def precision(dtype: str) -> str:
    """Return what numbers of this type are computed in."""
    return dtype


def device() -> str:
    """Return the name of what computes: a GPU's, or "CPU"."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def in_doubles() -> AbstractContextManager[None]:
    """Compute uncompiled in double precision, and record nothing."""
    return _in_doubles()


@contextmanager
def _in_doubles() -> Iterator[None]:
    """Do so."""
    with torch.no_grad(), kept_doubles():
        yield


class Tally:
    """Sums of so many numbers, added up on the device from within a step of training."""

    def __init__(self, n: int) -> None:
        self._sums: list[Any] = [0.0] * n

    def add(self, *numbers: Tensor) -> None:
        """Add to each sum."""
        with torch.no_grad():
            pairs = zip(self._sums, map(torch.as_tensor, numbers), strict=True)
            self._sums = [total + number.double() for total, number in pairs]

    def take(self) -> list[float]:
        """Return the sums and begin anew."""
        found = list(map(float, self._sums))
        self._sums = [0.0] * len(found)
        return found
