"""How much degrees spread and agree: S and H of ``beta_eff = <s> + S H``."""

from collections.abc import Iterable
from math import floor, isfinite, isnan, log2, nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BLOCK = 2**16  # degrees centred at a time
_SAFE = 1e-120, 1e120  # where products of two degrees, and sums of them, are ordinary floats


def largest_of(parts: Iterable[NDArray[Any]]) -> float:
    """Return the largest size of an entry; 0 without entries, NaN or infinity if there is one."""
    ends = [float(end) for part in parts if part.size for end in (part.max(), -part.min())]
    return nan if any(isnan(end) for end in ends) else max(ends, default=0.0)


def unit_for(largest: float) -> float:
    """Return the power of two to divide degrees by so that their products stay in range; often 1.

    Examples
    --------
    >>> unit_for(3.0), unit_for(1e200) <= 1e200 < 2 * unit_for(1e200)
    (1.0, True)
    """
    ordinary = largest == 0 or not isfinite(largest) or _SAFE[0] < largest < _SAFE[1]
    return 1.0 if ordinary else 2.0 ** floor(log2(largest))


def spread(
    degrees: Iterable[tuple[NDArray[Any], NDArray[Any]]], mean: float, epsilon: float
) -> tuple[float, float]:
    """Return S and H of in- and out-degrees that come array by array.

    Centred before they are multiplied: ``<s_in s_out> - <s>^2`` loses its digits where degrees
    hardly differ. Block by block, so that no second copy of the degrees is held.

    The mean is ``<s>``, `epsilon` the machine epsilon of the arithmetic behind the degrees. One
    that varies by no more than 64 of it is constant, and its spread 0: what is left is the rounding
    of its sums.

    Examples
    --------
    >>> spread([(np.array([1.0, 3.0]), np.array([3.0, 1.0]))], 2.0, 2.2e-16)
    (-1.0, 0.5)
    """
    if mean == 0 or not isfinite(mean):
        return nan, nan
    n, sums, largest = 0, np.zeros(3), np.zeros(2)
    for pair in degrees:
        n += pair[0].size
        flat = [a.reshape(-1) for a in pair]  # a view, also of a broadcast zero
        for start in range(0, pair[0].size, _BLOCK):
            into, out = (
                np.subtract(a[start : start + _BLOCK], mean, dtype=np.float64) for a in flat
            )
            sums += into @ into, into @ out, out @ out
            largest = np.maximum(largest, (largest_of([into]), largest_of([out])))
    variance_in, covariance, variance_out = (sums / n).tolist()
    both = sqrt(variance_in) * sqrt(variance_out)
    if both == 0 or largest.min() <= 64 * epsilon * abs(mean):
        return 0.0, 0.0
    return covariance / both, both / mean
