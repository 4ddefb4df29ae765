"""Degrees of the weighted line graph in closed form, summed over samples that come in chunks."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgedyn import _validate as check
from edgedyn.capacitance import (
    Capacitance,
    LayerDegrees,
    Provenance,
    from_degrees,
    jackknife,
)
from edgedyn.mlp.coupling import bias_nodes, check_choices, direct_tile
from edgedyn.mlp.loss import loss_curvature

if TYPE_CHECKING:
    from edgedyn.mlp.network import LayerRecord, ReLUMLP

Array = NDArray[Any]


def degree_accumulator(
    net: "ReLUMLP",
    *,
    coupling: str = "direct",
    strength: str = "magnitude",
    nodes: str = "kernels",
    groups: int = 1,
) -> "DegreeAccumulator":
    """Return the accumulator for the given strengths; see `ReLUMLP.degree_accumulator`."""
    check_choices(coupling, strength, nodes)
    groups = check.positive_int(groups, "groups")
    kind = AbsoluteAccumulator if strength == "absolute" else DegreeAccumulator
    return kind(net, coupling, strength, nodes, groups)


class DegreeAccumulator:
    r"""Sums of the line graph's degrees over samples, one set a group of samples.

    Per sample, with :math:`S^l = \sum_i z^l_i` (+1 if layer l + 1 has a bias that is a node):

    ========  =======================================  =======================================
    coupling  in-degree of (l; i,j)                    out-degree of (l+1; k,i)
    ========  =======================================  =======================================
    direct    ``D_i z_j sum_k e_k``                    ``e_k D_i S^{l-1}``
    full      ``D_i z_j (sum_k e_k + S^l (W^T G 1)_i)``  ``S^{l-1} (e_k D_i + z_i (G W D)_k)``
    ========  =======================================  =======================================

    (e, W and G of layer l + 1; the magnitude strength takes |e| and |z|.) A bias has in-degree as
    with ``z_j = 1``; its out-degree is 0 (direct) or ``S^{l-1} (G W D)_k`` (full). Each line is
    one product of a (neurons, samples) with a (samples, neurons) matrix.

    Parameters
    ----------
    net : ReLUMLP
    coupling, strength, nodes : str
        See `edgedyn.neural_capacitance`; obtain an accumulator from
        `ReLUMLP.degree_accumulator`, which checks them.
    groups : int
        Sample `s` is counted in group ``s % groups``.

    Attributes
    ----------
    n_samples : int

    Notes
    -----
    Memory: the degrees in float64, two numbers a kernel entry for each group, and one chunk.
    `conditioning` compares ``1' P 1`` with the magnitudes of what it sums: per sample and link for
    the direct part; the full coupling adds its curvature term, per sample and target node.
    Accumulators of different chunks merge; so any data-parallel engine can reduce them.

    Examples
    --------
    >>> import numpy as np, edgedyn as ed
    >>> net = ed.ReLUMLP.random([3, 5, 4, 2], seed=0)
    >>> X, y = np.random.default_rng(0).standard_normal((20, 3)), np.arange(20) % 2
    >>> first, second = net.degree_accumulator(), net.degree_accumulator()
    >>> first.update(X[:7], y[:7])
    >>> second.update(X[7:], y[7:])
    >>> merged = first.merge(second).capacitance().value
    >>> bool(np.isclose(merged, ed.neural_capacitance(net, X, y).value, rtol=1e-12))
    True
    """

    def __init__(
        self, net: "ReLUMLP", coupling: str, strength: str, nodes: str, groups: int
    ) -> None:
        self.net = net
        self.coupling, self.strength, self.nodes = coupling, strength, nodes
        self.groups = groups
        self.counts = np.zeros(groups, np.int64)
        self.largest_error = 0.0
        self.magnitude_totals = np.zeros(groups)
        self._bias = bias_nodes(net, nodes)
        self._sums: dict[tuple[str, str, int, int], Array] = {}

    @property
    def n_samples(self) -> int:
        """Samples counted so far."""
        return int(self.counts.sum())

    def update(self, X: ArrayLike, y: ArrayLike, index: ArrayLike | None = None) -> None:
        """Add samples.

        Parameters
        ----------
        X, y : array_like
            As for `ReLUMLP.check_data`.
        index : array_like of int, shape (n_samples,), optional
            The samples' numbers in the whole data set, which decide their jackknife groups; by
            default they follow the samples so far.

        Raises
        ------
        TypeError, ValueError
            For bad data, or a network whose output is not finite; nothing is added then.
        """
        X, y = self.net.check_data(X, y)
        numbers = np.arange(len(X)) + self.n_samples if index is None else np.asarray(index)
        if numbers.shape != (len(X),) or numbers.dtype.kind not in "iu":
            raise ValueError(f"index must hold one integer for each of the {len(X)} samples.")
        records = self.net.records_unchecked(X, y)
        error = float(np.abs(records[-1].cotangent).max())
        if not np.isfinite(error):
            raise ValueError(
                "the network's output is not finite on these samples: its weights have diverged "
                "or the inputs are too large."
            )
        self.largest_error = max(self.largest_error, error)
        group_of = numbers % self.groups
        self.counts += np.bincount(group_of, minlength=self.groups)
        self._add(records, group_of)

    def merge(self, other: "DegreeAccumulator") -> "DegreeAccumulator":
        """Add another accumulator's samples to this one and return it.

        With groups, the two must have been fed with the samples' numbers in the whole data set.

        Raises
        ------
        ValueError
            If the other counts something else.
        """
        if self._what() != other._what():
            raise ValueError(f"cannot merge {other._what()} into {self._what()}.")
        self.counts += other.counts
        self.largest_error = max(self.largest_error, other.largest_error)
        self._merge_sums(other)
        return self

    def degrees(self) -> list[LayerDegrees]:
        """Return the mean degrees over all samples, first layer first."""
        return self._mean(range(self.groups))[0]

    def capacitance(self) -> Capacitance:
        """Form beta_eff; with more than one group also its jackknife standard error.

        Raises
        ------
        ValueError
            Where there are no samples yet.
        """
        if self.n_samples == 0:
            raise ValueError("no samples yet: call update(X, y) first.")
        stderr = None
        if self.groups > 1:
            everything = range(self.groups)
            stderr = jackknife(
                [self._form([g for g in everything if g != out]).value for out in everything]
            )
        return self._form(range(self.groups), stderr)

    def _form(self, chosen: Any, stderr: float | None = None) -> Capacitance:
        """Form beta_eff of the chosen groups."""
        layers, magnitude_total = self._mean(chosen)
        provenance = Provenance(
            coupling=self.coupling,
            strength=self.strength,
            nodes=self.nodes,
            n_samples=int(self.counts[list(chosen)].sum()),
            magnitude_total=magnitude_total,
            largest_error=self.largest_error,
            softmax=self.net.loss == "cross_entropy",
            epsilon=float(np.finfo(self.net.dtype).eps),
        )
        return from_degrees(layers, provenance, stderr)

    def _what(self) -> tuple[Any, ...]:
        """Tell what is being counted."""
        return (self.net.sizes, self.coupling, self.strength, self.nodes, self.groups)

    # The sums ------------------------------------------------------------------------------

    def _add(self, records: list["LayerRecord"], group_of: Array) -> None:
        """Add a chunk's records, group by group."""
        for g in range(self.groups):
            chunk = records
            if self.groups > 1:
                rows = np.flatnonzero(group_of == g)
                if not rows.size:
                    continue
                chunk = [
                    type(r)(r.activation[rows], r.mask[rows], r.cotangent[rows]) for r in records
                ]
            self._add_chunk(chunk, g)

    def _add_chunk(self, records: list["LayerRecord"], g: int) -> None:
        """Add the degrees of every pair of consecutive layers."""
        magnitude = self.strength == "magnitude"
        curvature = _Curvature(self.net, records) if self.coupling == "full" else None
        errors = [r.cotangent for r in records]
        if magnitude:
            errors = [e if k == 0 else np.abs(e) for k, e in enumerate(errors)]  # e^1 is not used
        for layer in range(1, self.net.n_layers):
            target, source = records[layer - 1], records[layer]
            z = target.activation
            if magnitude and layer == 1:
                z = np.abs(z)  # later activations are outputs of a ReLU
            S = _row_sums(z) + (1 if self._bias[layer - 1] else 0)
            e = errors[layer]
            reach = _row_sums(e)
            pull: Array = target.mask * reach[:, None]
            push = None
            if curvature is not None:
                S_mid = _row_sums(source.activation) + (1 if self._bias[layer] else 0)
                pull_1, push = curvature.pull_and_push(layer)
                bend = target.mask * pull_1 * S_mid[:, None]
                self._add_magnitude(g, z, layer, _row_sums(np.abs(bend)))
                pull = pull + bend
            if not magnitude:
                direct = _row_sums(target.mask) * _row_sums(np.abs(e))
                self._add_magnitude(g, z, layer, direct)
            self._accumulate("in", "kernel", layer, g, pull, z)
            if self._bias[layer - 1]:
                self._accumulate("in", "bias", layer, g, pull)
            self._accumulate("out", "kernel", layer + 1, g, e * S[:, None], target.mask)
            if push is not None:
                weighted = push * S[:, None]
                self._accumulate("out", "kernel", layer + 1, g, weighted, source.activation)
                if self._bias[layer]:
                    self._accumulate("out", "bias", layer + 1, g, weighted)

    def _add_magnitude(self, g: int, z: Array, layer: int, reach: Array) -> None:
        """Add a block's strengths by their absolute values, the yardstick of conditioning."""
        S = _row_sums(np.abs(z)) + (1 if self._bias[layer - 1] else 0)
        self.magnitude_totals[g] += float(S @ reach)

    def _accumulate(
        self, way: str, part: str, layer: int, g: int, left: Array, right: Array | None = None
    ) -> None:
        """Add ``left' right`` (or, for a bias, the column sums) to a float64 sum."""
        product = left.sum(axis=0) if right is None else left.T @ right
        key = (way, part, layer, g)
        if key in self._sums:
            self._sums[key] += product
        else:
            self._sums[key] = product.astype(np.float64, copy=False)

    def _merge_sums(self, other: "DegreeAccumulator") -> None:
        """Add another accumulator's sums."""
        self.magnitude_totals += other.magnitude_totals
        for key, value in other._sums.items():
            self._sums[key] = self._sums[key] + value if key in self._sums else value.copy()

    def _mean(self, chosen: Any) -> tuple[list[LayerDegrees], float]:
        """Return the chosen groups' mean degrees and 1' P_mag 1."""
        n = int(self.counts[list(chosen)].sum())

        def mean(way: str, part: str, layer: int, shape: tuple[int, ...]) -> Array:
            sums = [self._sums.get((way, part, layer, g)) for g in chosen]
            present = [s for s in sums if s is not None]
            if not present or n == 0:
                return np.broadcast_to(0.0, shape)
            return sum(present[1:], present[0]) / n

        layers = []
        for layer in range(1, self.net.n_layers + 1):
            shape = self.net.weights[layer - 1].shape
            parts = [("kernel", shape)] + [("bias", shape[:1])] * self._bias[layer - 1]
            layers.append(
                LayerDegrees(
                    layer,
                    tuple(mean("in", name, layer, dims) for name, dims in parts),
                    tuple(mean("out", name, layer, dims) for name, dims in parts),
                )
            )
        total = float(self.magnitude_totals[list(chosen)].sum())
        return layers, total / n if n else 0.0


class AbsoluteAccumulator(DegreeAccumulator):
    """Degrees of ``|P|``, absolute values taken after the mean over samples.

    Not additive over samples, so the records of all samples are kept (``n_samples`` times the
    number of neurons); ``|P|`` itself never is: each shared neuron's tile, shape
    ``(n_{l-1}, n_{l+1})``, is formed once, summed and dropped.
    """

    def __init__(
        self, net: "ReLUMLP", coupling: str, strength: str, nodes: str, groups: int
    ) -> None:
        super().__init__(net, coupling, strength, nodes, groups)
        self._records: list[tuple[list[LayerRecord], Array]] = []

    def _add(self, records: list["LayerRecord"], group_of: Array) -> None:
        """Keep the records."""
        self._records.append((records, group_of))

    def _merge_sums(self, other: "DegreeAccumulator") -> None:
        """Take over the other's records."""
        assert isinstance(other, AbsoluteAccumulator)  # merge() has compared the strengths
        self._records.extend(other._records)

    def _mean(self, chosen: Any) -> tuple[list[LayerDegrees], float]:
        """Form the degrees of the chosen groups, tile by tile."""
        n_samples = int(self.counts[list(chosen)].sum())
        records = self._gather(set(chosen))
        n_layers = self.net.n_layers
        shapes = [w.shape for w in self.net.weights]
        ins: list[tuple[Array, ...]] = [()] * n_layers
        outs: list[Array] = [np.broadcast_to(0.0, shapes[0])] * n_layers
        magnitude_total = 0.0
        for k in range(n_layers - 1):
            target, source, bias = records[k], records[k + 1], self._bias[k]
            rows = np.empty((shapes[k][0], shapes[k][1] + bias))
            columns = np.empty(shapes[k + 1])
            for i in range(shapes[k][0]):
                tile = np.abs(direct_tile(target, source, i, bias))
                rows[i] = tile.sum(axis=1, dtype=np.float64)
                columns[:, i] = tile.sum(axis=0, dtype=np.float64)
            rows /= n_samples
            ins[k] = (rows[:, :-1], rows[:, -1]) if bias else (rows,)
            outs[k + 1] = columns / n_samples
            S = _row_sums(np.abs(target.activation)) + bias
            reach = _row_sums(np.abs(source.cotangent)) * _row_sums(target.mask)
            magnitude_total += float(S @ reach) / n_samples
        layers = []
        for k, shape in enumerate(shapes):
            zero = tuple(np.broadcast_to(0.0, s) for s in [shape] + [shape[:1]] * self._bias[k])
            layers.append(LayerDegrees(k + 1, ins[k] or zero, (outs[k], *zero[1:])))
        return layers, magnitude_total

    def _gather(self, chosen: set[int]) -> list["LayerRecord"]:
        """Concatenate the chosen groups' records over all chunks."""
        from edgedyn.mlp.network import LayerRecord

        keeps = [np.isin(group_of, list(chosen)) for _, group_of in self._records]
        gathered = []
        for k in range(self.net.n_layers):
            parts = [chunk[k] for chunk, _ in self._records]
            gathered.append(
                LayerRecord(
                    *(
                        np.concatenate(
                            [getattr(r, f)[m] for r, m in zip(parts, keeps, strict=True)]
                        )
                        for f in ("activation", "mask", "cotangent")
                    )
                )
            )
        return gathered


class _Curvature:
    """Products with the loss curvature ``G^l`` by a linearised push and a pull back."""

    def __init__(self, net: "ReLUMLP", records: list["LayerRecord"]) -> None:
        self.net, self.records = net, records
        last = records[-1].activation @ net.weights[-1].T
        if net.biases[-1] is not None:
            last += net.biases[-1]
        self.logits = last

    def product(self, layer: int, v: Array) -> Array:
        """Return ``G^layer v`` for one vector v a sample."""
        for above in range(layer, self.net.n_layers):
            v = (v * self.records[above - 1].mask) @ self.net.weights[above].T
        v = loss_curvature(self.logits, v, self.net.loss)
        for above in range(self.net.n_layers - 1, layer - 1, -1):
            v = (v @ self.net.weights[above]) * self.records[above - 1].mask
        return v

    def pull_and_push(self, layer: int) -> tuple[Array, Array]:
        """Return ``W^T G 1`` (at neurons of `layer`) and ``G W D`` (at those of the next one)."""
        W, D = self.net.weights[layer], self.records[layer - 1].mask
        ones = np.ones((len(D), W.shape[0]), W.dtype)
        return self.product(layer + 1, ones) @ W, self.product(layer + 1, D @ W.T)


def _row_sums(a: Array) -> Array:
    """Sum over a sample's neurons, by BLAS where the array is one."""
    if not any(a.strides):
        return np.full(len(a), a.shape[1] * a.flat[0])
    return a @ np.ones(a.shape[1], a.dtype)
