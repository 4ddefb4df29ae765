"""Automatic differentiation by PyTorch's transformations of functions, without recording."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch

Tensor = Any


def compiled(function: Callable[..., Any], state: Sequence[keras.Variable]) -> Callable[..., Any]:
    """Return the function as it is, which PyTorch runs eagerly, without recording it.

    `state`, the variables it reads, is for frameworks that compile pure functions.
    """

    def call(*arguments: Any) -> Any:
        with torch.no_grad():
            return function(*arguments)

    return call


def pull_back(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], cotangent: Tensor
) -> list[Tensor]:
    """Return ``J^T q`` for each input, J the Jacobian of `function` at `inputs`."""
    with torch.no_grad():  # of whatever else requires gradients; transformations are not concerned
        return list(torch.func.vjp(function, *inputs)[1](cotangent))


def push_forward(
    function: Callable[..., Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]
) -> Tensor:
    """Return ``J t``, J the Jacobian of `function` at `inputs`."""
    with torch.no_grad():
        return torch.func.jvp(function, tuple(inputs), tuple(tangents))[1]


def hessian_product(
    function: Callable[[list[Tensor]], Tensor], inputs: list[Tensor], tangents: list[Tensor]
) -> list[Tensor]:
    """Return ``H t`` for the second derivative H of a scalar function, reverse over reverse.

    H is symmetric; not all of PyTorch's derivatives can be pushed forward.
    """
    with torch.no_grad():
        return list(torch.func.vjp(torch.func.grad(function), inputs)[1](tangents)[0])


def precision(dtype: str) -> str:
    """Return what numbers of this type are computed in."""
    return dtype


def device() -> str:
    """Return the name of what computes: a GPU's, or "CPU"."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
