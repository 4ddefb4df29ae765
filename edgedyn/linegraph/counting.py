"""Degrees of the line graph's nodes and their statistics, group by group, never link by link."""

from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from math import isqrt, nan, prod

import numpy as np

from edgedyn._array import Array
from edgedyn._plain import Plain
from edgedyn.linegraph.reach import Parameter, Reach

_SAFE = 2**62


@dataclass(frozen=True)
class Moments(Plain):
    """Means over all nodes of a directed graph with every link a 1, or its multiplicity.

    ``beta_eff = <s> + S H`` with ``H = sigma_in sigma_out / <s>`` (Gao, Barzel and Barabasi, Nature
    530:307, 2016). Without links S, H and beta_eff are NaN.
    """

    n_nodes: int
    total: int  # sum of all in-degrees, exactly
    mean_strength: float  # <s>, the mean degree
    symmetry: float  # S, the correlation of in- and out-degree; 0 where one is constant
    heterogeneity: float  # H
    beta_eff: float  # sum(out-degree * in-degree) / total


def in_groups(reach: Reach, values: str) -> dict[Parameter, Array]:
    """Return the in-degree of each parameter's groups of ends."""
    totals = {p: np.zeros(p.entries.ends.n, np.int64) for p in reach.parameters}
    for block in reach.blocks:
        if values == "links":
            per_group = np.diff(block.paths.indptr)
        else:
            per_group = block.paths @ np.ones(block.paths.shape[1], np.int64)
        totals[block.target] += per_group * block.source.entries.fan
    return totals


def out_groups(reach: Reach, values: str) -> dict[Parameter, Array]:
    """Return the out-degree of each parameter's groups of beginnings."""
    totals = {p: np.zeros(p.entries.starts.n, np.int64) for p in reach.parameters}
    for block in reach.blocks:
        totals[block.source] += block.counts(values).T @ block.target.entries.ending
    return totals


def total_in(reach: Reach, groups: dict[Parameter, Array]) -> int:
    """Return the sum of all in-degrees, an exact integer."""
    return sum(exact_dot(groups[p], p.entries.ending) for p in reach.parameters)


def moments(reach: Reach, n_nodes: int, values: str) -> Moments:
    """Return the means over all nodes; sums of products are exact integers."""
    into, out = in_groups(reach, values), out_groups(reach, values)
    squares_in = squares_out = products = 0
    for p in reach.parameters:
        entries = p.entries
        squares_in += exact_dot(into[p], into[p], entries.ending)
        squares_out += exact_dot(out[p], out[p], entries.members(entries.starts))
        products += crossed(entries.shape, into[p][entries.ends.of], out[p][entries.starts.of])
    return from_sums(n_nodes, total_in(reach, into), squares_in, squares_out, products)


def from_sums(n: int, total: int, squares_in: int, squares_out: int, products: int) -> Moments:
    """Return the moments from exact sums over n nodes.

    >>> from_sums(2, 1, 1, 1, 0)  # a single link
    Moments(n_nodes=2, total=1, mean_strength=0.5, symmetry=-1.0, heterogeneity=0.5, beta_eff=0.0)
    """
    if total == 0:
        return Moments(n, 0, 0.0, nan, nan, nan)
    spread_in, spread_out = n * squares_in - total**2, n * squares_out - total**2
    covariance = n * products - total**2
    both = _root(spread_in * spread_out)
    return Moments(
        n_nodes=n,
        total=total,
        mean_strength=total / n,
        symmetry=float(Fraction(covariance) / both) if both else 0.0,
        heterogeneity=float(both / (n * total)),
        beta_eff=products / total,
    )


def distribution(groups: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the different degrees, sorted, and how many nodes have them."""
    degrees = np.concatenate([degree for degree, _ in groups])
    members = np.concatenate([number for _, number in groups])
    found, which = np.unique(degrees, return_inverse=True)
    counts = np.zeros(len(found), np.int64)
    np.add.at(counts, which.ravel(), members)
    kept = counts > 0
    return found[kept], counts[kept]


def exact_dot(*factors: Array) -> int:
    """Return the sum of the entrywise products, exactly, whatever their size."""
    bound = factors[0].size * prod(float(np.abs(factor).max(initial=0)) for factor in factors)
    if bound < _SAFE:
        return int(reduce(np.multiply, factors).sum())
    return int(reduce(np.multiply, [factor.astype(object) for factor in factors]).sum())


def crossed(shape: tuple[int, ...], a: Array, b: Array) -> int:
    """Return ``sum(a * b)`` over an array that both are broadcast to, summing axes apart first."""
    times = 1
    for axis, n in enumerate(shape):
        wide_a, wide_b = a.shape[axis] > 1, b.shape[axis] > 1
        if n > 1 and not wide_a and not wide_b:
            times *= n
        elif wide_a and not wide_b:
            a = _summed(a, axis)
        elif wide_b and not wide_a:
            b = _summed(b, axis)
    return exact_dot(a, b) * times


def _summed(a: Array, axis: int) -> Array:
    """Sum along an axis, in exact integers where 64 bits might not do."""
    if a.dtype != object and float(np.abs(a).max(initial=0)) * a.shape[axis] >= _SAFE:
        a = a.astype(object)
    return a.sum(axis=axis, keepdims=True)


def _root(square: int) -> Fraction:
    """Return the square root of an integer to more digits than a float has."""
    return Fraction(isqrt(square << 128), 1 << 64)
