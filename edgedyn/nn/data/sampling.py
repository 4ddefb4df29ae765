"""Stratified samples of arrays, of tf.data pipelines and of Keras' data sets."""

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

import numpy as np
from keras.utils import PyDataset
from numpy.typing import ArrayLike

from edgedyn import _validate as check
from edgedyn._array import Array

SLACK = 1.5  # a class keeps this many times its present share, so that its share can still grow
READ = 100  # samples read of a data set of unknown length, likewise
HELD = 4  # samples held at a time, in units of the sample's size

CLASSES_FIRST = "give at least one sample of each of two classes"


def stratified_indices(labels: ArrayLike, n: int, rng: np.random.Generator) -> Array:
    """Return sorted indices of a sample of size n (or all) in which each class has its share.

    Shares are by largest remainder; at least one of each class where `n` allows it.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.nn.data.sampling import stratified_indices
    >>> labels = np.array([0] * 80 + [1] * 20)
    >>> chosen = stratified_indices(labels, 10, np.random.default_rng(0))
    >>> np.bincount(labels[chosen]).tolist()
    [8, 2]
    """
    labels = np.asarray(labels)
    if n >= len(labels):
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    chosen = [
        rng.choice(np.flatnonzero(labels == c), size, replace=False)
        for c, size in zip(classes, shares(counts, n), strict=True)
    ]
    return np.sort(np.concatenate(chosen))


def nested_order(labels: ArrayLike, rng: np.random.Generator) -> Array:
    """Return an order of all indices whose every beginning is as balanced as the data allow.

    Classes take turns, each turn in a random order; within a class the order is random. So the
    classes of any beginning differ by at most one sample, as long as the smaller ones last.

    Examples
    --------
    >>> import numpy as np
    >>> from edgedyn.nn.data.sampling import nested_order
    >>> labels = np.array([0] * 6 + [1] * 2)
    >>> np.bincount(labels[nested_order(labels, np.random.default_rng(0))[:4]]).tolist()
    [2, 2]
    """
    labels = np.asarray(labels)
    turn = np.empty(len(labels))
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        turn[members] = rng.permutation(len(members))
    return np.lexsort((rng.random(len(labels)), turn))


def shares(counts: Array, n: int) -> Array:
    """Divide n places among classes by largest remainder; none empty where n allows it."""
    exact = n * counts / counts.sum()
    sizes = np.floor(exact).astype(int)
    if n >= len(counts):
        sizes = np.maximum(sizes, 1)
    while sizes.sum() < n:
        sizes[np.argmax(np.where(sizes < counts, exact - sizes, -np.inf))] += 1
    while sizes.sum() > n:
        sizes[np.argmax(np.where(sizes > 1, sizes - exact, -np.inf))] -= 1
    return sizes


def class_of(y: Array) -> Array:
    """Return the class of each target: a label, or the largest entry of a row."""
    if y.dtype.kind not in "biuf":
        raise TypeError(f"y must hold numbers, integer labels or rows per class; got {y.dtype}.")
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1)
    if y.ndim != 1 and y.shape[1:] != (1,):
        raise ValueError(f"y must have shape (n,), (n, 1) or (n, n_classes); got shape {y.shape}.")
    labels = y.reshape(len(y))
    if y.dtype.kind == "f" and not (np.isfinite(labels).all() and (labels % 1 == 0).all()):
        raise ValueError("y must hold integer labels, or one row of n_classes entries a sample.")
    return labels


def sample_dataset(
    x: Any, y: ArrayLike | None, n: int, rng: np.random.Generator, n_classes: int | None = None
) -> tuple[Array, Array]:
    """Return a stratified sample of arrays, or of a data set of ``(x, y)`` pairs.

    It has size `n`, or all samples where there are not more, and targets in the form they were
    given: integer labels of shape (n_samples,) or (n_samples, 1), or rows of one entry a class,
    whose largest counts. A data set, a ``tf.data.Dataset``, batched or not, or a Keras
    ``PyDataset``, comes with `y` None; it is read once, holding at most about ``4 n`` samples at a
    time; where its length is not known, up to ``100 n`` samples of it. With `n_classes` labels must
    be in 0..n_classes-1, and rows must have n_classes entries.

    TypeError or ValueError for an infinite or empty data set, arrays of different length, targets
    that are no classes, or one class only.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from edgedyn.nn.data.sampling import sample_dataset
    >>> digits = load_digits()
    >>> x, y = sample_dataset(digits.images, digits.target, 50, np.random.default_rng(0))
    >>> x.shape, np.bincount(y).tolist()
    ((50, 8, 8), [5, 5, 5, 5, 5, 5, 5, 5, 5, 5])
    """
    n = check.positive_int(n, "n")
    if hasattr(x, "element_spec") or isinstance(x, PyDataset):
        if y is not None:
            raise TypeError("y must be None where x is a data set of (x, y) pairs.")
        pipeline = hasattr(x, "element_spec")
        x, y = _from_batches(_of_pipeline(x, n) if pipeline else _of_py_dataset(x), n, rng)
    elif isinstance(x, Iterator):
        raise TypeError(
            "x is a generator, whose end is not known; give arrays x and y, a tf.data.Dataset or a "
            "keras.utils.PyDataset of (x, y) pairs."
        )
    elif y is None:
        raise TypeError("y is missing: give arrays x and y, or a data set of (x, y) pairs.")
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
        shapes = f"{x.shape} and {y.shape}"
        raise ValueError(f"x and y must have one entry a sample; got shapes {shapes}.")
    if len(x) == 0:
        raise ValueError(f"x is empty; {CLASSES_FIRST}.")
    labels = class_of(y)
    _check_classes(labels, y.shape, n_classes)
    chosen = stratified_indices(labels, n, rng)
    return x[chosen], y[chosen]


def _check_classes(labels: Array, shape: tuple[int, ...], n_classes: int | None) -> None:
    """Refuse one class only, and what does not fit the number of classes."""
    if (labels == labels[0]).all():
        raise ValueError(f"y holds one class only ({labels[0]}); give at least two classes.")
    if n_classes is None:
        return
    if len(shape) == 2 and shape[1] > 1:
        if shape[1] != n_classes:
            raise ValueError(f"rows of y have {shape[1]} entries for {n_classes} classes.")
    elif labels.min() < 0 or labels.max() >= n_classes:
        raise ValueError(
            f"labels must be in 0..{n_classes - 1}; got {labels.min()}..{labels.max()}."
        )


def _from_batches(
    batches: Iterable[tuple[Array, Array]], n: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Read batches once; keep of each class those with the smallest random keys."""
    held: dict[Any, list[tuple[float, Array, Array]]] = {}
    counts: dict[Any, int] = {}
    for xs, ys in batches:
        for one, target, label in zip(xs, ys, class_of(ys).tolist(), strict=True):
            # A copy: a view would keep its whole batch in memory.
            held.setdefault(label, []).append((rng.random(), one.copy(), target.copy()))
            counts[label] = counts.get(label, 0) + 1
        if sum(map(len, held.values())) > HELD * n:
            _prune(held, counts, n)
    if not held:
        raise ValueError(f"the data set is empty; {CLASSES_FIRST}.")
    kept = _final(held, counts, n)
    return np.stack([k[1] for k in kept]), np.stack([k[2] for k in kept])


def _of_pipeline(data: Any, n: int) -> Iterator[tuple[Array, Array]]:
    """Yield a pipeline's batches; not all of them where it does not know when it ends."""
    _check_pipeline(data)
    most = READ * n if int(data.cardinality()) < 0 else inf
    batched, seen = None, 0
    for element in data.as_numpy_iterator():
        xs, ys = np.asarray(element[0]), np.asarray(element[1])
        if batched is None:
            batched = _is_batch(data.element_spec, ys)
        yield (xs, ys) if batched else (xs[None], ys[None])
        seen += len(xs) if batched else 1
        if seen >= most:
            return


def _of_py_dataset(data: Any) -> Iterator[tuple[Array, Array]]:
    """Yield the batches of a Keras data set of pairs."""
    if data.num_batches is None:
        raise ValueError("the data set is infinite; give a finite one.")
    for k in range(data.num_batches):
        batch = data[k]
        if not isinstance(batch, tuple) or len(batch) not in (2, 3):
            raise TypeError("the data set must give pairs (x, y) of one array each.")
        yield np.asarray(batch[0]), np.asarray(batch[1])


def _check_pipeline(data: Any) -> None:
    """Refuse a pipeline that never ends, or that gives no pairs of tensors."""
    if int(data.cardinality()) == -1:  # tf.data.INFINITE_CARDINALITY
        raise ValueError("the data set is infinite; give a finite one, without repeat().")
    spec = data.element_spec
    pair = isinstance(spec, tuple) and len(spec) in (2, 3)  # a third entry: sample weights
    if not pair or any(not hasattr(part, "shape") for part in spec[:2]):
        raise TypeError("the data set must give pairs (x, y) of one tensor each.")


def _is_batch(spec: Any, y: Array) -> bool:
    """Tell a batch from a single pair by the axes; `y` is the first element's."""
    x_shape, y_shape = spec[0].shape, spec[1].shape
    if y.ndim != 1 or y_shape.rank is None or x_shape.rank is None:
        return y.ndim > 0
    if x_shape.rank == 0 or x_shape[0] != y_shape[0]:
        return False
    # As many entries as x has: a batch of labels, or the one row of a sample that is as long.
    row = y.dtype.kind == "f" and y_shape[0] is not None and (y >= 0).all()
    return not (row and abs(y.sum() - 1) < 1e-3)


def _prune(held: dict[Any, list[Any]], counts: dict[Any, int], n: int) -> None:
    """Drop what cannot be among a class's final share any more."""
    total = sum(counts.values())
    for label, entries in held.items():
        entries.sort(key=lambda entry: entry[0])
        del entries[int(SLACK * n * counts[label] / total) + 2 :]


def _final(held: dict[Any, list[Any]], counts: dict[Any, int], n: int) -> list[Any]:
    """Take each class's share, smallest keys first; fill up from all where one falls short."""
    labels, n = sorted(held), min(n, sum(counts.values()))
    sizes = shares(np.array([counts[c] for c in labels]), n)
    kept, rest = [], []
    for label, size in zip(labels, sizes, strict=True):
        entries = sorted(held[label], key=lambda entry: entry[0])
        kept += entries[:size]
        rest += entries[size:]
    rest.sort(key=lambda entry: entry[0])
    return kept + rest[: n - len(kept)]
