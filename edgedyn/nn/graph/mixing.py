"""Parameter-free maps that mix a sample's features, which normalisation and attention consist of.

Each primitive has a symmetric Jacobian J, so that push and pull agree, and products with J and
with |J| in closed form, linear in the number of features: no dense Jacobian is formed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from keras import ops

from edgedyn.nn.graph.steps import Symmetric

Tensor = Any
Axes = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Mixing(Symmetric):
    """A symmetric map along some axes of a tensor."""

    axes: Axes

    def _sum(self, x: Tensor) -> Tensor:
        """Sum along the axes, which stay."""
        return ops.sum(x, axis=self.axes, keepdims=True)

    def _count(self, x: Tensor) -> int:
        """Return how many features are mixed."""
        return prod(int(x.shape[axis]) for axis in self.axes)


class Centre(Mixing):
    """``c = x - mean(x)``; J = I - 11'/n."""

    def forward(self, *values: Tensor) -> Tensor:
        """Return the centred features."""
        (x,) = values
        return x - ops.mean(x, axis=self.axes, keepdims=True)

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t``, or ``|J| t = (1 - 2/n) t + sum(t)/n``."""
        (q,), n = t, self._count(values[0])
        if not magnitude:
            return q - self._sum(q) / n
        return (1 - 2 / n) * q + self._sum(q) / n if n > 1 else ops.zeros_like(q)


@dataclass(frozen=True, eq=False)
class Divide(Mixing):
    """``z = c / s`` with ``s^2 = k sum(c^2) + epsilon``; J = (I - k z z')/s.

    k is 1/n for normalisation by the root mean square, 1 for that by the norm.
    """

    epsilon: float
    by_norm: bool

    def _share(self, c: Tensor) -> float:
        """Return k."""
        return 1.0 if self.by_norm else 1 / self._count(c)

    def _size(self, c: Tensor) -> Tensor:
        """Return s; of a norm epsilon is the least square, as in `keras.ops.normalize`."""
        squares = self._share(c) * self._sum(ops.square(c))
        return ops.sqrt(
            ops.maximum(squares, self.epsilon) if self.by_norm else squares + self.epsilon
        )

    def forward(self, *values: Tensor) -> Tensor:
        """Return the divided features."""
        return values[0] / self._size(values[0])

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t``, or ``|J| t = (t |1 - k z^2| - k t z^2 + k |z| <|z|, t>)/s``."""
        (c,), (q,) = values, t
        size = self._size(c)
        z, k = c / size, self._share(c)
        if self.by_norm:  # below the least norm the division is by a constant
            k = ops.where(size > self.epsilon**0.5, k, 0.0 * size)
        if not magnitude:
            return (q - k * z * self._sum(z * q)) / size
        own = k * ops.square(z)
        away = ops.abs(z)
        return (q * (ops.abs(1 - own) - own) + k * away * self._sum(away * q)) / size


class Softmax(Mixing):
    """``p = exp(x) / sum(exp(x))``; J = diag(p) - p p'."""

    def forward(self, *values: Tensor) -> Tensor:
        """Return the probabilities."""
        (x,) = values
        return ops.exp(x - ops.logsumexp(x, axis=self.axes, keepdims=True))

    def push(self, values: Sequence[Tensor], t: Sequence[Tensor], magnitude: bool) -> Tensor:
        """Return ``J t``, or ``|J| t = p t - 2 p^2 t + p <p, t>``."""
        p, q = self.forward(*values), t[0]
        mixed = p * self._sum(p * q)
        return p * q - 2 * ops.square(p) * q + mixed if magnitude else p * q - mixed
