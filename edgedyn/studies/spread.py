"""beta_eff over a data set that is spread over machines: parts are summed where they are."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.capacitance import Capacitance, DivergedError, check_enough, jackknife_groups
from edgedyn.mlp.accumulator import CHUNK

FAN_IN = 8  # parts that are joined at a time where the tree of joins is built


def spread_capacitance(
    net: Any,
    X: Any,
    y: Any = None,
    *,
    executor: Executor | None = None,
    coupling: str = "direct",
    strength: str = "magnitude",
    nodes: str = "kernels",
    stderr: bool = False,
    scope: str = "probe",
    loss: Any = None,
    batch_size: int | None = None,
    in_flight: int = 32,
) -> Capacitance:
    r"""Compute the neural capacitance on data in parts, which workers sum up and join.

    .. math:: \beta_{eff} = \frac{\sum \delta_{out} \delta_{in}}{\sum \delta_{in}},
              \qquad \delta = \frac{1}{n} \sum_{parts} \sum_{s \in part} \delta_s

    The degrees of all parts are added up before the ratio is formed; the mean of the parts' own
    values would be biased. The result is that of one pass (`edgedyn.neural_capacitance`)
    up to rounding, and does not depend on which part is done first.

    Parameters
    ----------
    net : ReLUMLP, ReLUChain or keras.Model
        It is sent to the workers; TensorFlow is loaded there.
    X, y : dask.array.Array
        Samples and targets in the same partitions along the samples, uncut along other axes.
        Computed by Dask's current scheduler: threads, or the cluster of the current
        `distributed.Client`. Sums are joined in a tree on the workers.
    X : iterable
        Or, with `y` left out and an `executor`: batches in order, each a pair ``(X, y)`` or a
        function without arguments that returns one and is called on a worker. Sums are joined here
        as they come.
    executor : concurrent.futures.Executor, optional
        Threads, processes, ``client.get_executor()`` of a `distributed.Client` and the like.
    coupling, strength, nodes, stderr, scope, loss
        As for `edgedyn.neural_capacitance`; the last two for Keras models only. The strength
        ``absolute`` keeps the records of all samples, which end up on one machine.
    batch_size : int, optional
        Samples that a worker takes at a time within a part; by default 1024, for Keras models 64.
    in_flight : int
        Batches that are under way at a time; bounds the memory here.

    Raises
    ------
    TypeError, ValueError
        As one pass does; for what is wrong with the data of one part, with the number of the part
        (from 0). For partitions that do not match, and for neither Dask arrays nor batches.
    RuntimeError
        For whatever else happened to a part, by its number.

    Notes
    -----
    Empty parts are skipped. A worker holds the degrees of one part in float64, two numbers a
    kernel entry, ten times as many with `stderr`, besides one chunk. With an executor the network
    is sent along with every batch: take large batches of large networks. A process measures one
    part of a Keras model at a time, and must not be forked from one that has loaded TensorFlow.
    For Keras models in float32 "up to rounding" is about 1e-6; in network scope with the full
    coupling `conditioning` depends on the batches (see the README), the value does not.

    Examples
    --------
    >>> import dask.array as da, edgedyn as ed, numpy as np
    >>> from edgedyn.studies.spread import spread_capacitance
    >>> net = ed.ReLUMLP.random([3, 5, 4, 2], seed=0)
    >>> X, y = np.random.default_rng(0).standard_normal((60, 3)), np.arange(60) % 2
    >>> once = ed.neural_capacitance(net, X, y)
    >>> parts = da.from_array(X, chunks=(25, -1)), da.from_array(y, chunks=25)
    >>> bool(np.isclose(spread_capacitance(net, *parts).value, once.value, rtol=1e-12))
    True
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> batches = ((X[k : k + 25], y[k : k + 25]) for k in range(0, 60, 25))
    >>> with ThreadPoolExecutor() as executor:
    ...     cap = spread_capacitance(net, batches, executor=executor)
    >>> bool(np.isclose(cap.value, once.value, rtol=1e-12)), cap.n_samples
    (True, 60)
    """
    kind = {"coupling": coupling, "strength": strength, "nodes": nodes}
    if batch_size is not None:
        batch_size = check.positive_int(batch_size, "batch_size")
    in_flight = check.positive_int(in_flight, "in_flight")
    run = _partitions(X, y, executor) if y is not None else _batches(X, executor, in_flight)
    work = _work(net, kind, stderr, scope, loss, batch_size)
    try:
        return _formed(work, run(work), jackknife_groups(stderr))
    finally:
        work.forget()


@dataclass(frozen=True)
class _Chain:
    """A ReLUMLP or ReLUChain and what is to be measured; goes to the workers."""

    net: Any
    kind: dict[str, str]
    groups: int
    batch_size: int

    def check_shape(self, shape: tuple[int, ...], dtype: Any) -> None:
        """Refuse samples of a shape that does not fit the network."""
        self.net.inspect_data(np.zeros((1, *shape[1:]), dtype), np.zeros(1, np.int64))

    def count(self, X: Any, y: Any) -> tuple[Any, Array | None]:
        """Return the sums over a part, and its samples' classes where the loss knows them."""
        X, y = self.net.inspect_data(X, y)
        sums = self.net.degree_accumulator(**self.kind, groups=self.groups)
        sums.update_in_chunks(X, y, self.batch_size)
        return sums, y if y.ndim == 1 and y.dtype.kind in "iu" else None

    def form(self, sums: Any) -> Capacitance:
        """Form beta_eff of the whole."""
        return sums.capacitance()

    def forget(self) -> None:
        """Nothing was kept."""


@dataclass(frozen=True)
class _Keras:
    """A packed Keras model: plain values, which also arrive where there is no TensorFlow."""

    packed: dict[str, Any]

    @property
    def remote(self) -> Any:
        """What does it; loads TensorFlow, also on the worker."""
        from edgedyn.nn import remote

        return remote

    def check_shape(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.remote.check_shape(self.packed, shape, dtype)

    def count(self, X: Any, y: Any) -> tuple[Any, Array | None]:
        return self.remote.count(self.packed, X, y)

    def form(self, sums: Any) -> Capacitance:
        """Form beta_eff of the whole, where the model was packed."""
        return self.remote.form(self.packed, sums)

    def forget(self) -> None:
        """Let go of the model where it was packed."""
        self.remote.forget(self.packed)


_Work = _Chain | _Keras


@dataclass(frozen=True)
class _Part:
    """What is left of a part."""

    sums: Any  # an accumulator of degrees; None where there were no samples
    classes: frozenset[int]  # two at most: enough to tell whether there is more than one


def _count(work: _Work, name: str, X: Any, y: Any) -> _Part:
    """Sum up a part; what goes wrong is said with its name."""
    try:
        if all(getattr(array, "shape", ())[:1] == (0,) for array in (X, y)):
            return _Part(None, frozenset())
        sums, classes = work.count(X, y)
    except (TypeError, ValueError) as error:
        kind = next(k for k in (DivergedError, TypeError, ValueError) if isinstance(error, k))
        raise kind(f"{name} (its samples counted from 0): {error}") from None
    except Exception as error:
        raise RuntimeError(f"{name} failed: {type(error).__name__}: {error}") from error
    found = [] if classes is None else np.unique(classes)[:2].tolist()
    return _Part(sums, frozenset(found))


def _count_batch(work: _Work, name: str, batch: Any) -> _Part:
    """Sum up a batch, which may have to be fetched first."""
    try:
        batch = batch() if callable(batch) else batch
    except Exception as error:
        raise RuntimeError(f"{name} failed: {type(error).__name__}: {error}") from error
    if not (isinstance(batch, tuple | list) and len(batch) == 2):
        raise TypeError(
            f"{name} is {_described(batch)}; each batch must be a pair (X, y), or a function that "
            "returns one."
        )
    return _count(work, name, *batch)


def _joined(parts: Sequence[_Part]) -> _Part:
    """Join parts that follow each other; no part changes, so that Dask may use it again."""
    sums = [part.sums for part in parts if part.sums is not None]
    classes = frozenset(sorted(frozenset().union(*(part.classes for part in parts)))[:2])
    return _Part(reduce(lambda a, b: a.append(b), sums) if sums else None, classes)


def _batches(X: Any, executor: Any, in_flight: int) -> Callable[[_Work], _Part]:
    """Return what runs over batches, or say what is missing."""
    if _is_dask(X):
        raise TypeError("X is a dask array and y is missing; give both.")
    if isinstance(X, np.ndarray | str | bytes | dict) or not isinstance(X, Iterable):
        raise TypeError(
            f"X is {_described(X)}; without y it must be an iterable of batches (X, y). For arrays "
            "in memory use neural_capacitance."
        )
    if not isinstance(executor, Executor):
        ready = hasattr(executor, "get_executor")
        remedy = "client.get_executor()" if ready else "ProcessPoolExecutor()"
        raise TypeError(
            "batches need an executor, a concurrent.futures.Executor; got "
            f"{_described(executor)}: pass executor={remedy}."
        )

    def run(work: _Work) -> _Part:
        under_way: deque[Future[_Part]] = deque()
        total = _Part(None, frozenset())
        try:
            for k, batch in enumerate(X):
                if len(under_way) == in_flight:
                    total = _joined([total, under_way.popleft().result()])
                under_way.append(executor.submit(_count_batch, work, f"batch {k}", batch))
            while under_way:
                total = _joined([total, under_way.popleft().result()])
        finally:
            for future in under_way:
                future.cancel()
        return total

    return run


def _partitions(X: Any, y: Any, executor: Any) -> Callable[[_Work], _Part]:
    """Return what runs over the partitions of dask arrays, or say what does not fit."""
    if not (_is_dask(X) and _is_dask(y)):
        raise TypeError(
            f"X is {_described(X)} and y {_described(y)}; give two dask arrays "
            "(pip install 'edgedyn[dask]'), or batches (X, y) without y and with an executor. For "
            "arrays in memory use neural_capacitance."
        )
    if executor is not None:
        raise ValueError(
            "dask arrays are computed by Dask's own scheduler; leave executor out, and make a "
            "distributed.Client to use a cluster."
        )
    _check_partitions(X, y)

    def run(work: _Work) -> _Part:
        from dask import delayed

        if not np.isnan(X.shape[1:]).any():
            work.check_shape(X.shape, X.dtype)
        count, join, placed = delayed(_count), delayed(_joined), _placed(work)
        blocks = zip(X.to_delayed().ravel(), y.to_delayed().ravel(), strict=True)
        parts = [count(placed, f"partition {k}", *block) for k, block in enumerate(blocks)]
        while len(parts) > 1:
            parts = [join(parts[k : k + FAN_IN]) for k in range(0, len(parts), FAN_IN)]
        return parts[0].compute()

    return run


def _check_partitions(X: Any, y: Any) -> None:
    """Refuse arrays that are cut across samples, or differently along them."""
    for name, array in (("X", X), ("y", y)):
        if not array.ndim:
            raise ValueError(f"{name} has no axis of samples: its shape is ().")
        if any(len(sizes) > 1 for sizes in array.chunks[1:]):
            raise ValueError(
                f"{name} is cut along other axes than the samples (chunks {array.chunks[1:]}); "
                f"pass {name}.rechunk({{axis: -1 for axis in range(1, {array.ndim})}})."
            )
    ours, theirs = X.chunks[0], y.chunks[0]
    apart = next(  # NaN: the partition's size is not known yet; the worker will tell
        (k for k, (a, b) in enumerate(zip(ours, theirs, strict=False)) if abs(a - b) > 0), None
    )
    if len(ours) != len(theirs):
        raise ValueError(
            f"X has {len(ours)} partitions along the samples and y {len(theirs)}; cut both alike, "
            "such as by y = y.rechunk({0: X.chunks[0]})."
        )
    if apart is not None:
        raise ValueError(
            f"partition {apart} of X has {ours[apart]} samples and that of y {theirs[apart]}; cut "
            "both alike, such as by y = y.rechunk({0: X.chunks[0]})."
        )


def _placed(work: _Work) -> Any:
    """Return the network as one node of the task graph; on a cluster, sent there once."""
    from dask import delayed
    from dask.base import get_scheduler

    client: Any = getattr(get_scheduler(), "__self__", None)  # a client's method, or not
    if hasattr(client, "scatter"):
        return client.scatter(work, hash=False)
    return delayed(work, traverse=False)


def _work(
    net: Any, kind: dict[str, str], stderr: bool, scope: str, loss: Any, batch_size: int | None
) -> _Work:
    """Return what the workers are to do, or refuse it."""
    if hasattr(net, "degree_accumulator") and hasattr(net, "inspect_data"):
        if scope != "probe" or loss is not None:
            raise ValueError("scope and loss are for Keras models; a perceptron has its own loss.")
        groups = jackknife_groups(stderr)
        net.degree_accumulator(**kind, groups=groups)  # refuses unknown names
        return _Chain(net, kind, groups, batch_size or CHUNK)
    if not check.is_keras_model(net):
        raise TypeError(
            f"net must be a ReLUMLP, a ReLUChain or a Keras model; got {type(net).__name__}."
        )
    from edgedyn.nn import remote

    size = {} if batch_size is None else {"batch_size": batch_size}
    return _Keras(remote.pack(net, **kind, stderr=stderr, scope=scope, loss=loss, **size))


def _formed(work: _Work, total: _Part, groups: int) -> Capacitance:
    """Form beta_eff of the whole, or refuse as one pass does."""
    if total.sums is None:
        raise ValueError("there are no samples: every part is empty.")
    n = total.sums.n_samples
    check_enough(n, groups)
    if len(total.classes) == 1 and n > 1:
        raise ValueError(
            f"y holds one class only ({min(total.classes)}) over all parts; give samples of at "
            "least two classes."
        )
    return work.form(total.sums)


def _is_dask(array: Any) -> bool:
    """Tell whether this is a dask array, which it cannot be before Dask is imported."""
    dask_array = sys.modules.get("dask.array")
    return dask_array is not None and isinstance(array, dask_array.Array)


def _described(value: Any) -> str:
    """Name what was received."""
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of shape {shape}"
