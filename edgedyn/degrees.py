"""Degrees of the line graph summed over samples: what every room fills on the way to beta_eff."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import replace
from math import isfinite
from typing import Any, Self

import numpy as np

from edgedyn._array import Array
from edgedyn.capacitance import (
    Capacitance,
    DivergedError,
    LayerDegrees,
    Provenance,
    from_degrees,
    jackknife,
)

Shape = tuple[int, ...]


class DegreeSums:
    """Sums of degrees over samples, one set a group of samples, without the network.

    Parameters
    ----------
    shapes : sequence of tuple of tuple of int
        Layer by layer, the shapes of the parameters that are nodes.
    provenance : Provenance
        What is summed; that of no samples.
    groups : int
        Sample `s` belongs to group ``s % groups``; the jackknife wants ten, see `capacitance`.

    Attributes
    ----------
    n_samples : int

    Notes
    -----
    Sums are float64. Those of different samples merge, so that any data-parallel engine can reduce
    them, as `edgedyn.studies.spread_capacitance` does.

    Examples
    --------
    >>> from edgedyn.capacitance import chain_structure
    >>> what = Provenance(coupling="direct", strength="magnitude", nodes="kernels",
    ...                   epsilon=2.2e-16, **chain_structure(3, softmax=False))
    >>> sums = DegreeSums([((1,),)] * 3, what)  # a chain of three nodes
    >>> sums.count(np.zeros(4, int), largest_error=1.0)  # four samples
    >>> for layer in (1, 2):
    ...     sums.add("in", layer, 0, [np.array([12.0])])
    ...     sums.add("out", layer + 1, 0, [np.array([12.0])])
    >>> sums.capacitance().value  # 3 * 3 at the node in between, over 3 + 3
    1.5
    """

    def __init__(
        self, shapes: Sequence[tuple[Shape, ...]], provenance: Provenance, groups: int = 1
    ) -> None:
        self.shapes, self.provenance, self.groups = tuple(shapes), provenance, groups
        self.counts = np.zeros(groups, np.int64)
        self.largest_error = 0.0
        self.magnitude_totals = np.zeros(groups)
        self._sums: dict[tuple[str, int, int, int], Array] = {}

    @property
    def n_samples(self) -> int:
        """Samples counted so far."""
        return int(self.counts.sum())

    def count(self, group_of: Array, largest_error: float) -> None:
        """Count samples, before their degrees are added, by their groups.

        A `DivergedError` where the largest ``|e^L|`` is not finite; nothing is counted then.
        """
        if not isfinite(largest_error):
            raise DivergedError(
                "the network's output is not finite on these samples: its weights have diverged "
                "or the inputs are too large."
            )
        self.largest_error = max(self.largest_error, largest_error)
        self.counts += np.bincount(group_of, minlength=self.groups)

    def add(self, way: str, layer: int, group: int, parts: Iterable[Array]) -> None:
        """Add to the "in"- or "out"-degrees of a layer's parameters; new arrays, which are kept."""
        for part, degrees in enumerate(parts):
            key = (way, layer, part, group)
            if key in self._sums:
                self._sums[key] += degrees
            else:
                self._sums[key] = degrees.astype(np.float64, copy=False)

    def merge(self, other: "DegreeSums") -> Self:
        """Add another's samples to this one and return it.

        With groups, the two must have been fed with the samples' numbers in the whole data set. A
        ValueError if the other counts something else, with `append` too.
        """
        if self._what() != other._what():
            raise ValueError(f"cannot merge {other._what()} into {self._what()}.")
        self.counts += other.counts
        self.largest_error = max(self.largest_error, other.largest_error)
        self._merge_sums(other)
        return self

    def append(self, other: "DegreeSums") -> Self:
        """Return the sums of this one's samples and, after them, another's; neither changes.

        For parts of a data set of which only the order is known: both have counted their samples
        from 0, and the other's jackknife groups are moved on by as many as come before.
        """
        total, following = self._moved(0), other._moved(self.n_samples)
        total.merge(following)
        for key in self._sums.keys() - following._sums.keys():  # the rest are new arrays already
            total._sums[key] = self._sums[key].copy()
        return total

    def degrees(self, names: Sequence[str] = ()) -> list[LayerDegrees]:
        """Return the mean degrees over all samples, first layer first."""
        return _named(self._mean(range(self.groups))[0], names)

    def capacitance(self, names: Sequence[str] = ()) -> Capacitance:
        """Form beta_eff; with more than one group also its jackknife standard error.

        The layers may have names, first layer first; no samples yet are a ValueError.
        """
        if self.n_samples == 0:
            raise ValueError("no samples yet: call update(X, y) first.")
        stderr = None
        if self.groups > 1:
            everything = range(self.groups)
            rests = ([g for g in everything if g != out] for out in everything)
            stderr = jackknife([self._form(rest).value for rest in rests])
        return self._form(range(self.groups), stderr, names)

    def _form(
        self, chosen: Sequence[int], stderr: float | None = None, names: Sequence[str] = ()
    ) -> Capacitance:
        """Form beta_eff of the chosen groups."""
        layers, magnitude_total = self._mean(chosen)
        provenance = replace(
            self.provenance,
            n_samples=int(self.counts[list(chosen)].sum()),
            magnitude_total=magnitude_total,
            largest_error=self.largest_error,
        )
        return from_degrees(_named(layers, names), provenance, stderr)

    def _what(self) -> tuple[Any, ...]:
        """Tell what is being counted."""
        kind = self.provenance
        return self.shapes, kind.coupling, kind.strength, kind.nodes, self.groups

    def _moved(self, by: int) -> Self:
        """Return a copy with the samples' numbers raised, which shares the arrays of its sums."""
        moved = copy(self)
        moved.counts = np.roll(self.counts, by)
        moved.magnitude_totals = np.roll(self.magnitude_totals, by)
        moved._sums = {
            (way, layer, part, (g + by) % self.groups): value
            for (way, layer, part, g), value in self._sums.items()
        }
        return moved

    def _merge_sums(self, other: "DegreeSums") -> None:
        """Add another's sums."""
        self.magnitude_totals += other.magnitude_totals
        for key, value in other._sums.items():
            self._sums[key] = self._sums[key] + value if key in self._sums else value.copy()

    def _mean(self, chosen: Sequence[int]) -> tuple[list[LayerDegrees], float]:
        """Return the chosen groups' mean degrees and 1' P_mag 1."""
        n = int(self.counts[list(chosen)].sum())

        def mean(way: str, layer: int) -> tuple[Array, ...]:
            found = []
            for part, shape in enumerate(self.shapes[layer - 1]):
                keys = [(way, layer, part, g) for g in chosen]
                sums = [self._sums[key] for key in keys if n and key in self._sums]
                found.append(sum(sums[1:], sums[0]) / n if sums else np.broadcast_to(0.0, shape))
            return tuple(found)

        layers = [
            LayerDegrees(layer, mean("in", layer), mean("out", layer))
            for layer in range(1, len(self.shapes) + 1)
        ]
        total = float(self.magnitude_totals[list(chosen)].sum())
        return layers, total / n if n else 0.0


def _named(layers: list[LayerDegrees], names: Sequence[str]) -> list[LayerDegrees]:
    """Return the layers with their names where there are any."""
    if not names:
        return layers
    return [replace(layer, name=name) for layer, name in zip(layers, names, strict=True)]
