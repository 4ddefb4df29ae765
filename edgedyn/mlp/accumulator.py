"""Degrees of the weighted line graph in closed form, summed over samples that come in chunks."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.capacitance import (
    Capacitance,
    LayerDegrees,
    Provenance,
    chain_structure,
    check_choices,
    check_enough,
    jackknife_groups,
)
from edgedyn.degrees import DegreeSums
from edgedyn.mlp.kinds import KINDS, row_sums
from edgedyn.mlp.loss import SOFTMAX_LOSSES, loss_curvature
from edgedyn.mlp.records import LayerRecord, RecordedChain, direct_tile

CHUNK = 1024  # samples taken at a time


def degree_accumulator(
    net: RecordedChain,
    *,
    coupling: str = "direct",
    strength: str = "magnitude",
    nodes: str = "kernels",
    groups: int = 1,
) -> "DegreeAccumulator":
    """Return an empty accumulator of the weighted line graph's degrees.

    Parameters
    ----------
    net : ReLUMLP or ReLUChain
        Of which this is a method, too.
    coupling, strength, nodes : str
        As for `edgedyn.neural_capacitance`.
    groups : int
        Keep sums for so many groups of samples (the jackknife wants ten).
    """
    check_choices(coupling, strength, nodes)
    groups = check.positive_int(groups, "groups")
    kind = AbsoluteAccumulator if strength == "absolute" else DegreeAccumulator
    return kind(net, coupling, strength, nodes, groups)


def chain_capacitance(
    net: RecordedChain,
    X: ArrayLike,
    y: ArrayLike,
    *,
    coupling: str = "direct",
    strength: str = "magnitude",
    nodes: str = "kernels",
    stderr: bool = False,
    batch_size: int = CHUNK,
) -> Capacitance:
    """Compute beta_eff of a `ReLUMLP` or `ReLUChain`, see `edgedyn.neural_capacitance`."""
    groups = jackknife_groups(stderr)
    batch_size = check.positive_int(batch_size, "batch_size")
    accumulator = degree_accumulator(
        net, coupling=coupling, strength=strength, nodes=nodes, groups=groups
    )
    X, y = net.inspect_data(X, y)
    check_enough(len(X), groups)
    if y.ndim == 1 and y.dtype.kind in "iu" and len(y) > 1 and (y == y[0]).all():
        raise ValueError(
            f"y holds one class only ({y[0]}); give samples of at least two classes, or feed "
            "net.degree_accumulator(...) directly if one class is what you want to look at."
        )
    return accumulator.update_in_chunks(X, y, batch_size).capacitance()


class DegreeAccumulator(DegreeSums):
    r"""Sums of the line graph's degrees over samples, one set a group of samples.

    Per sample, with :math:`S^l = \sum_i z^l_i` (+1 if layer l + 1 has a bias that is a node):

    ========  =========================================  =====================================
    coupling  in-degree of (l; i,j)                      out-degree of (l+1; k,i)
    ========  =========================================  =====================================
    direct    ``D_i z_j sum_k e_k``                      ``e_k D_i S^{l-1}``
    full      ``D_i z_j (sum_k e_k + S^l (W^T G 1)_i)``  ``S^{l-1} (e_k D_i + z_i (G W D)_k)``
    ========  =========================================  =====================================

    (e, W and G of layer l + 1; the magnitude strength takes ``|e|``, ``|z|``, ``|D|``.) A bias has
    in-degree as with ``z_j = 1``; its out-degree is 0 (direct) or ``S^{l-1} (G W D)_k`` (full).
    Each line is one product of a (neurons, samples) with a (samples, neurons) matrix. Where a
    layer is a scale layer (`ReLUChain`), sums over weights have one term: ``sum_k e_k`` becomes
    ``e_i``, ``S`` becomes ``z_i`` (+1), and the product runs neuron by neuron.

    Parameters
    ----------
    net : ReLUMLP or ReLUChain
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
        self, net: RecordedChain, coupling: str, strength: str, nodes: str, groups: int
    ) -> None:
        self._bias = net.bias_nodes(nodes)
        softmax = net.loss in SOFTMAX_LOSSES and net.kinds[-1] == "dense"
        structure = chain_structure(net.n_layers, softmax)
        epsilon = float(np.finfo(net.dtype).eps)
        provenance = Provenance(
            coupling=coupling, strength=strength, nodes=nodes, epsilon=epsilon, **structure
        )
        pairs = zip(net.weights, self._bias, strict=True)
        shapes = [(w.shape, w.shape[:1]) if biased else (w.shape,) for w, biased in pairs]
        super().__init__(shapes, provenance, groups)
        self.net = net
        self.coupling, self.strength, self.nodes = coupling, strength, nodes
        self._layers = [KINDS[kind] for kind in net.kinds]

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
        self._update_unchecked(X, y, numbers)

    def update_in_chunks(self, X: Array, y: Array, size: int) -> "DegreeAccumulator":
        """Add what `ReLUMLP.inspect_data` returned, `size` samples at a time; return this."""
        for start in range(0, len(X), size):
            chunk = slice(start, start + size)
            numbers = np.arange(len(y[chunk])) + self.n_samples
            x = np.ascontiguousarray(X[chunk], dtype=self.net.dtype)
            self._update_unchecked(x, y[chunk], numbers)
        return self

    def _update_unchecked(self, X: Array, y: Array, numbers: Array) -> None:
        """Add checked samples in the network's precision."""
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused below
            records = self.net.records_unchecked(X, y)
        group_of = numbers % self.groups
        self.count(group_of, float(np.abs(records[-1].cotangent).max()))
        self._add(records, y, group_of)

    # The sums ------------------------------------------------------------------------------

    def _add(self, records: list[LayerRecord], y: Array, group_of: Array) -> None:
        """Add the degrees of every pair of consecutive layers, group by group."""
        for g in range(self.groups):
            chunk, targets = records, y
            if self.groups > 1:
                rows = np.flatnonzero(group_of == g)
                if not rows.size:
                    continue
                targets = y[rows]
                chunk = [LayerRecord(*(part[rows] for part in record)) for record in records]
            curvature = _Curvature(self.net, chunk, targets) if self.coupling == "full" else None
            for layer in range(1, self.net.n_layers):
                self._add_direct(chunk, layer, g)
                if curvature is not None:
                    self._add_bend(chunk, curvature, layer, g)

    def _add_direct(self, records: list[LayerRecord], layer: int, g: int) -> None:
        """Add what layer + 1 does to layer with the errors held."""
        target, source = records[layer - 1], records[layer]
        into, out_of = self._layers[layer - 1], self._layers[layer]
        z, D, e = target.activation, target.mask, source.cotangent
        if self.strength == "magnitude":
            e = np.abs(e)
            if layer == 1 or self.net.signed_segments:  # else z comes from a ReLU, D is 0 or 1
                z, D = np.abs(z), np.abs(D)
        s = into.sum_in(z, self._bias[layer - 1])
        pull = D * out_of.sum_out(e)
        self.add("in", layer, g, self._parts(layer, into.gradient(pull, z), pull))
        narrow = s.shape[1] == 1  # one sum for all neurons: the smaller factor takes it
        left, right = (e * s, D) if narrow else (e, D * s)
        self.add("out", layer + 1, g, [out_of.gradient(left, right)])  # a bias has none
        if self.strength != "magnitude":
            s, reach = into.sum_in(np.abs(z), self._bias[layer - 1]), out_of.sum_out(np.abs(e))
            if narrow and reach.shape[1] == 1:
                self._add_magnitude(g, s[:, 0] * reach[:, 0], row_sums(np.abs(D)))
            else:
                self._add_magnitude(g, s * reach, np.abs(D))

    def _add_bend(
        self, records: list[LayerRecord], curvature: "_Curvature", layer: int, g: int
    ) -> None:
        """Add what the loss's curvature contributes to the full coupling."""
        target, source = records[layer - 1], records[layer]
        into, out_of = self._layers[layer - 1], self._layers[layer]
        z, D = target.activation, target.mask
        v = out_of.sum_in(source.activation, self._bias[layer])
        v = np.broadcast_to(v, source.cotangent.shape)
        W = self.net.weights[layer]
        pull = D * out_of.pull(curvature.product(layer + 1, v), W)
        self.add("in", layer, g, self._parts(layer, into.gradient(pull, z), pull))
        s = into.sum_in(z, self._bias[layer - 1])
        push = curvature.product(layer + 1, out_of.push(D * s, W))
        gradient = out_of.gradient(push, source.activation)
        self.add("out", layer + 1, g, self._parts(layer + 1, gradient, push))
        self._add_magnitude(g, into.sum_in(np.abs(z), self._bias[layer - 1]), np.abs(pull))

    def _parts(self, layer: int, kernel: Array, push: Array) -> list[Array]:
        """Return a layer's degrees: the kernel's and, where it is a node, the bias's."""
        return [kernel, push.sum(axis=0)] if self._bias[layer - 1] else [kernel]

    def _add_magnitude(self, g: int, s: Array, reach: Array) -> None:
        """Add a block's strengths by their absolute values, the yardstick of conditioning."""
        self.magnitude_totals[g] += float(np.sum(s * reach, dtype=np.float64))


class AbsoluteAccumulator(DegreeAccumulator):
    """Degrees of ``|P|``, absolute values taken after the mean over samples.

    Not additive over samples, so the records of all samples are kept (``n_samples`` times the
    number of neurons); ``|P|`` itself never is: each shared neuron's tile, shape
    ``(n_{l-1}, n_{l+1})``, is formed once, summed and dropped.
    """

    def __init__(
        self, net: RecordedChain, coupling: str, strength: str, nodes: str, groups: int
    ) -> None:
        super().__init__(net, coupling, strength, nodes, groups)
        self._records: list[tuple[list[LayerRecord], Array]] = []

    def _add(self, records: list[LayerRecord], y: Array, group_of: Array) -> None:
        """Keep the records."""
        self._records.append((records, group_of))

    def _merge_sums(self, other: DegreeSums) -> None:
        """Take over the other's records."""
        assert isinstance(other, AbsoluteAccumulator)  # merge() has compared the strengths
        self._records.extend(other._records)

    def _moved(self, by: int) -> Self:
        """Return a copy with the samples' numbers raised, which shares the records."""
        moved = super()._moved(by)
        moved._records = [(r, (group_of + by) % self.groups) for r, group_of in self._records]
        return moved

    def _mean(self, chosen: Any) -> tuple[list[LayerDegrees], float]:
        """Form the degrees of the chosen groups, tile by tile."""
        n_samples = int(self.counts[list(chosen)].sum())
        records = self._gather(set(chosen))
        magnitude_total = 0.0
        degrees = {
            (way, k): [np.broadcast_to(0.0, shape) for shape in parts]
            for k, parts in enumerate(self.shapes)
            for way in ("in", "out")
        }
        for k in range(self.net.n_layers - 1):
            rows, columns = self._tile_sums(records, k)
            rows /= n_samples
            kernel = rows[:, : rows.shape[1] - self._bias[k]].reshape(self.shapes[k][0])
            degrees["in", k] = [kernel, rows[:, -1]] if self._bias[k] else [kernel]
            degrees["out", k + 1][0] = columns.reshape(self.shapes[k + 1][0]) / n_samples
            magnitude_total += self._magnitude(records, k) / n_samples
        layers = [
            LayerDegrees(k + 1, tuple(degrees["in", k]), tuple(degrees["out", k]))
            for k in range(self.net.n_layers)
        ]
        return layers, magnitude_total

    def _tile_sums(self, records: list[LayerRecord], k: int) -> tuple[Array, Array]:
        """Sum |P| over a block: rows by shared neuron and weight into it, columns likewise."""
        into, out_of = self._layers[k], self._layers[k + 1]
        n_mid = records[k].mask.shape[1]
        n_in = records[k].activation.shape[1] if into.mixes else 1
        n_out = records[k + 1].cotangent.shape[1] if out_of.mixes else 1
        rows, columns = np.empty((n_mid, n_in + self._bias[k])), np.empty((n_out, n_mid))
        for i in range(n_mid):
            target, source = into.at(records[k], i, None), out_of.at(records[k + 1], None, i)
            tile = np.abs(direct_tile(target, source, i, self._bias[k]))
            rows[i] = tile.sum(axis=1, dtype=np.float64)
            columns[:, i] = tile.sum(axis=0, dtype=np.float64)
        return rows, columns

    def _magnitude(self, records: list[LayerRecord], k: int) -> float:
        """Sum every sample's strengths over a block by their absolute values."""
        s = self._layers[k].sum_in(np.abs(records[k].activation), self._bias[k])
        reach = self._layers[k + 1].sum_out(np.abs(records[k + 1].cotangent))
        return float(np.sum(s * reach * np.abs(records[k].mask), dtype=np.float64))

    def _gather(self, chosen: set[int]) -> list[LayerRecord]:
        """Concatenate the chosen groups' records over all chunks."""
        keeps = [np.isin(group_of, list(chosen)) for _, group_of in self._records]

        def whole(k: int, part: int) -> Array:
            chunks = [records[k][part] for records, _ in self._records]
            return np.concatenate([chunk[keep] for chunk, keep in zip(chunks, keeps, strict=True)])

        return [
            LayerRecord(whole(k, 0), whole(k, 1), whole(k, 2)) for k in range(self.net.n_layers)
        ]


class _Curvature:
    """Products with the loss curvature ``G^l`` by a linearised push and a pull back."""

    def __init__(self, net: RecordedChain, records: list[LayerRecord], y: Array) -> None:
        self.net, self.records, self.y = net, records, y
        self.layers = [KINDS[kind] for kind in net.kinds]
        self.logits = self.layers[-1].push(records[-1].activation, net.weights[-1])
        if net.biases[-1] is not None:
            self.logits = self.logits + net.biases[-1]

    def product(self, layer: int, v: Array) -> Array:
        """Return ``G^layer v`` for one vector v a sample."""
        for above in range(layer, self.net.n_layers):
            v = self.layers[above].push(v * self.records[above - 1].mask, self.net.weights[above])
        v = loss_curvature(self.logits, v, self.net.loss, self.y)
        for above in range(self.net.n_layers - 1, layer - 1, -1):
            v = self.layers[above].pull(v, self.net.weights[above]) * self.records[above - 1].mask
        return v
