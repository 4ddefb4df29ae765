"""How the taps of a window connect positions along one axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array


@dataclass(frozen=True)
class Window:
    """A sliding window along one axis: tap u of output y reads input ``y stride + u dilation - b``.

    Transposed, the roles of input and output are exchanged: tap u of input x writes output
    ``x stride + u dilation - b``. Positions outside are padding and no neurons; `before` is b, the
    padding in front.
    """

    n_in: int
    n_out: int
    taps: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    transposed: bool = False

    def triples(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        """Return all (tap, input position, output position) that touch real neurons."""
        n_slow, n_fast = (self.n_in, self.n_out) if self.transposed else (self.n_out, self.n_in)
        tap, slow = np.divmod(np.arange(self.taps * n_slow), n_slow)
        fast = slow * self.stride + tap * self.dilation - self.before
        inside = (fast >= 0) & (fast < n_fast)
        tap, slow, fast = tap[inside], slow[inside], fast[inside]
        return (tap, slow, fast) if self.transposed else (tap, fast, slow)

    def writes(self, real: NDArray[Any]) -> "csr_array":
        """Return which outputs each tap reaches from the real inputs, shape (n_out, taps)."""
        tap, source, target = self.triples()
        keep = real[source]
        return counts(target[keep], tap[keep], (self.n_out, self.taps))

    def reads(self) -> "csr_array":
        """Return which inputs each tap uses, shape (taps, n_in)."""
        tap, source, _ = self.triples()
        return counts(tap, source, (self.taps, self.n_in))

    def passes(self) -> "csr_array":
        """Return how inputs reach outputs through any tap, shape (n_out, n_in)."""
        _, source, target = self.triples()
        return counts(target, source, (self.n_out, self.n_in))


def counts(rows: NDArray[Any], columns: NDArray[Any], shape: tuple[int, int]) -> "csr_array":
    """Return the matrix that counts the given pairs."""
    from scipy.sparse import coo_array

    return coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape=shape).tocsr()


def window(
    n: int, taps: int, stride: int, dilation: int, padding: str | tuple[int, int], what: str
) -> Window:
    """Return the window of a convolution or pooling along an axis of n positions.

    ``same`` pads as Keras does: ``ceil(n / stride)`` outputs, the odd padding behind. Where no
    output is left: a ValueError.
    """
    reach = (taps - 1) * dilation + 1
    if padding == "same":
        n_out = -(-n // stride)
        before = max((n_out - 1) * stride + reach - n, 0) // 2
    else:
        before, after = (0, 0) if isinstance(padding, str) else padding
        n_out = (n + int(before) + int(after) - reach) // stride + 1
    if n_out < 1:
        raise ValueError(
            f"{what} reaches over {reach} positions, but its input has {n} (padding {padding!r}); "
            "give a larger input, a smaller window, or padding."
        )
    return Window(n, n_out, taps, stride, dilation, int(before))


def transposed_window(n: int, taps: int, stride: int, dilation: int, padding: str) -> Window:
    """Return the window of a transposed convolution: that of the convolution it undoes.

    ``same`` gives ``n stride`` outputs, ``valid`` ``n stride + max(reach - stride, 0)``.
    """
    reach = (taps - 1) * dilation + 1
    n_out = n * stride + (max(reach - stride, 0) if padding == "valid" else 0)
    before = max((n - 1) * stride + reach - n_out, 0) // 2 if padding == "same" else 0
    return Window(n, n_out, taps, stride, dilation, before, transposed=True)


def per_axis(value: Any, rank: int, what: str, least: int = 1) -> tuple[int, ...]:
    """Return one integer an axis from an integer or a sequence of them."""
    values = (value,) * rank if isinstance(value, Integral) else value
    if (
        not isinstance(values, Sequence)
        or isinstance(values, str)
        or len(values) != rank
        or any(isinstance(v, bool) or not isinstance(v, Integral) or v < least for v in values)
    ):
        raise ValueError(
            f"{what} must be an integer of at least {least}, or {rank} of them; got {value!r}."
        )
    return tuple(int(v) for v in values)


def checked_padding(padding: Any, rank: int, what: str) -> tuple[Any, ...]:
    """Return for each axis ``same``, ``valid`` or a pair (before, after)."""
    if padding in ("same", "valid"):
        return (str(padding),) * rank
    pairs = tuple(padding) if isinstance(padding, Sequence) and not isinstance(padding, str) else ()
    if len(pairs) != rank:
        raise ValueError(
            f"{what} must be 'valid', 'same' or {rank} pairs (before, after); got {padding!r}."
        )
    return tuple((a, b) for a, b in (per_axis(pair, 2, what, least=0) for pair in pairs))
