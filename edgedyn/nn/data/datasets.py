"""Image data sets: training, validation and test images with integer labels."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from edgedyn import _validate as check
from edgedyn._array import Array
from edgedyn.nn.data.feeding import (
    Batches,
    Change,
    ShuffledBatches,
    in_tensorflow,
    pipeline,
)
from edgedyn.nn.data.images import read_folder, read_image, resize_images
from edgedyn.nn.data.ordered import first_and_last
from edgedyn.nn.data.origin import Origin, origin
from edgedyn.nn.data.readers import HasValidation, Part, Raw, read_keras, read_npz, read_svhn
from edgedyn.nn.data.sampling import nested_order, stratified_indices

SPECS = (
    "digits, cifar10, cifar100, fashion_mnist, svhn:PATH, birds:PATH, folder:PATH (one sub-folder "
    "a class) or npz:PATH"
)
SPLITS = ("stratified", "ordered")
PAPER_VALIDATION = 15_000
FOLDER_SIZE = (224, 224)
TEST_SHARE = 0.2


@dataclass(frozen=True, eq=False)  # arrays have no single answer to ==
class Split:
    """Images and labels of one part of a data set.

    Parameters
    ----------
    y : ndarray of int, shape (n,)
    source : ndarray or tuple of Path
        The images, or their files.
    size : (height, width)

    Examples
    --------
    >>> from edgedyn import nn
    >>> train = nn.load_dataset("digits").train
    >>> train
    Split(1150 images (8, 8, 3))
    >>> train.first(2).x.shape, train.first(2).y.shape
    ((2, 8, 8, 3), (2,))
    """

    y: Array
    source: Any
    size: tuple[int, int]

    @cached_property
    def x(self) -> Array:
        """Images, shape (n, height, width, 3), uint8 RGB; files are read on first use."""
        if isinstance(self.source, np.ndarray):
            return self.source
        return np.stack([read_image(path, self.size) for path in self.source])

    def __len__(self) -> int:
        return len(self.y)

    def __repr__(self) -> str:
        return f"Split({len(self)} images {(*self.size, 3)})"

    def first(self, n: int) -> "Split":
        """Return the split of the first n images, at most ``len(split)``."""
        n = check.positive_int(n, "n")
        if n > len(self):
            raise ValueError(f"n must be at most {len(self)}; got {n}.")
        return Split(self.y[:n], self.source[:n], self.size)

    def batches(self, batch_size: int = 64, *, shuffle_seed: int | None = None) -> Any:
        """Return batches for ``fit``: float32 images in 0..255, int64 labels.

        A ``tf.data.Dataset`` under TensorFlow, else a `keras.utils.PyDataset`. Files are read as
        they are needed.

        Parameters
        ----------
        batch_size : int
        shuffle_seed : int, optional
            Every epoch has an order of its own, and the same seed the same epochs; by default
            all have the order of `y`. To `fit`, give ``shuffle=False``, too.

        Examples
        --------
        >>> from edgedyn import nn
        >>> images, labels = next(iter(nn.load_dataset("digits").train.batches(32)))
        >>> tuple(images.shape), keras.backend.standardize_dtype(labels.dtype)
        ((32, 8, 8, 3), 'int64')
        """
        batch_size = check.positive_int(batch_size, "batch_size")
        _check_shuffle_seed(shuffle_seed)
        if not in_tensorflow():
            return ShuffledBatches(self, batch_size, shuffle_seed)
        import tensorflow as tf

        order = tf.data.Dataset.range(len(self))
        if shuffle_seed is not None:
            order = order.shuffle(len(self), seed=shuffle_seed, reshuffle_each_iteration=True)
        return pipeline(self, order, batch_size)

    def images(self, batch_size: int = 64) -> Iterator[Any]:
        """Yield the images of `batches`, without labels, in the order of `y`.

        float32 in 0..255, shape (batch_size, height, width, 3), the last batch with what is left.
        Those in memory are cut up here: a pipeline's threads would take longer than that.
        TypeError or ValueError for a `batch_size` that is no positive integer.

        >>> from edgedyn import nn
        >>> [images.shape for images in nn.load_dataset("digits").test.images(200)]
        [(200, 8, 8, 3), (159, 8, 8, 3)]
        """
        batch_size = check.positive_int(batch_size, "batch_size")
        if isinstance(self.source, np.ndarray):
            for first in range(0, len(self), batch_size):
                yield self.source[first : first + batch_size].astype(np.float32)
        else:
            for images, _ in self.batches(batch_size):
                yield images

    def batches_in(
        self, order: keras.Variable, batch_size: int = 64, change: Change | None = None
    ) -> Any:
        """Return batches as `batches` does, in an order that is read at every iteration.

        An interrupted training can so take up its epoch where the order is a function of it.
        `order` is a Keras variable of int64, shape (len(self),), on the CPU, where pipelines run:
        indices into the split; assign others before the next iteration begins. A generator would be
        simpler, but with one in the pipeline the training steps themselves are slower (seen with
        TensorFlow 2.21). `change` is applied to each batch's images.

        >>> import keras
        >>> from edgedyn import nn
        >>> train = nn.load_dataset("digits").train
        >>> order = keras.Variable(np.arange(len(train)), dtype="int64", trainable=False)
        >>> batches = train.batches_in(order, 32)
        >>> _ = order.assign(np.arange(len(train))[::-1])
        >>> bool((np.asarray(next(iter(batches))[1]) == train.y[::-1][:32]).all())
        True
        """
        batch_size = check.positive_int(batch_size, "batch_size")
        if not in_tensorflow():
            return Batches(self, batch_size, lambda: keras.ops.convert_to_numpy(order), change)
        import tensorflow as tf

        whole = tf.data.Dataset.range(1).flat_map(
            lambda _: tf.data.Dataset.from_tensor_slices(order.value.read_value())
        )
        n_batches = -(-len(self) // batch_size)
        batches = pipeline(self, whole, batch_size)
        batches = batches.apply(tf.data.experimental.assert_cardinality(n_batches))
        return batches if change is None else batches.map(lambda x, y: (change(x), y))


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three parts.

    Parameters
    ----------
    train, validation, test : Split
    class_names : tuple of str
        In the order of the labels.
    origin : Origin, optional
        Everything that was found, before it was split; its ``fingerprint()`` is of all contents.

    Examples
    --------
    >>> from edgedyn import nn
    >>> data = nn.load_dataset("digits")
    >>> data.n_classes, data.image_shape, len(data.validation), data.to_dict()["test"]
    (10, (8, 8, 3), 288, 359)
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    origin: Origin | None = None

    @property
    def parts(self) -> tuple[Split, Split, Split]:
        """Training, validation and test images."""
        return self.train, self.validation, self.test

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of images, labels and class names; of files, their names and sizes."""
        digest = hashlib.sha256(repr(self.class_names).encode())
        for split in self.parts:
            digest.update(np.ascontiguousarray(split.y).tobytes())
            if isinstance(split.source, np.ndarray):
                digest.update(np.ascontiguousarray(split.source).data)
                continue
            for path in split.source:
                name = "/".join(path.parts[-2:])
                digest.update(f"{name} {path.stat().st_size}\n".encode())
        return "sha256:" + digest.hexdigest()

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Shape of one image, (height, width, 3)."""
        return (*self.train.size, 3)

    def to_dict(self) -> dict[str, Any]:
        """Return name, classes, image shape and the sizes of the parts."""
        return {
            "name": self.name,
            "class_names": list(self.class_names),
            "image_shape": list(self.image_shape),
            **{part: len(getattr(self, part)) for part in ("train", "validation", "test")},
        }

    def __repr__(self) -> str:
        return (
            f"Dataset({self.name!r}, {len(self.train)} training, {len(self.validation)} validation "
            f"and {len(self.test)} test images {self.image_shape}, {self.n_classes} classes)"
        )


def load_dataset(
    spec: str,
    *,
    image_size: int | tuple[int, int] | None = None,
    validation_size: int | float | None = None,
    n_train: int | None = None,
    split: Literal["stratified", "ordered"] = "stratified",
    seed: int | np.random.Generator | None = 0,
) -> Dataset:
    """Load images by name or from the user's files, in stratified, seeded parts.

    Parameters
    ----------
    spec : str
        - ``digits``: scikit-learn's 1797 handwritten digits, 8x8, without network access;
        - ``cifar10``, ``cifar100``, ``fashion_mnist``: by Keras' loaders;
        - ``svhn:PATH``: a folder with ``train_32x32.mat`` and ``test_32x32.mat``;
        - ``birds:PATH``: a folder with ``train``, ``valid`` and ``test`` folders, each with one
          sub-folder a class;
        - ``folder:PATH``: one sub-folder a class, or ``train`` and ``test`` folders of such (and
          ``valid``, ``val`` or ``validation``), which are then used as they are;
        - ``npz:PATH``: arrays ``x_train, y_train, x_test, y_test``, or ``x, y``; and optionally
          ``class_names`` in the sorted order of the labels. Images are in 0..255, grey or RGB.
    image_size : int or (height, width), optional
        Images are resized to it, arrays and files alike by Pillow's bilinear filter; by default
        they stay as stored, and files become 224x224.
    validation_size : int or float, optional
        How many of the training images validate, or what share of them in (0, 1); by default
        15 000 as in the paper, but at most 20 %. Not for folders with a validation part.
    n_train : int, optional
        Take only so many training images. Smaller parts are contained in larger ones, every one
        as balanced as the data allow; validation and test images do not depend on it.
    split : {"stratified", "ordered"}
        ``stratified``: drawn, every class with its share. ``ordered``, the paper's: of the training
        images as stored, the first `n_train` train and the last `validation_size` validate,
        whatever the seed.
    seed : int or numpy.random.Generator, optional
        Decides the parts; None draws a new one.

    Returns
    -------
    Dataset
        Grey images have become RGB. Where the data have no test part of their own, 20 % are set
        apart first.

    Raises
    ------
    TypeError, ValueError
        For unknown names, files that are missing or cannot be read (by name), images with NaN or
        outside 0..255, labels that do not fit, one class only, sizes out of range; where first and
        last images overlap, or lack classes because they are stored class by class.

    Examples
    --------
    >>> from edgedyn import nn
    >>> nn.load_dataset("digits", image_size=32, n_train=100)
    Dataset('digits', 100 training, 288 validation and 359 test images (32, 32, 3), 10 classes)
    """
    name, path = _parse(spec)
    size = _image_size(image_size)
    _check_validation_size(validation_size)
    check.choice(split, "split", SPLITS)
    if n_train is not None:
        n_train = check.positive_int(n_train, "n_train")
    rng = _generator(seed)
    raw = _read(name, path)
    found = origin(raw)
    if raw.validation is not None and validation_size is not None:
        raise HasValidation(spec)
    test = raw.test
    if test is None:
        n = max(round(TEST_SHARE * len(raw.train[1])), len(raw.class_names))
        train, test = _apart(raw, n, rng, "a test part")
        raw = replace(raw, train=train)
    n = _count(validation_size, len(raw.train[1]))
    if split == "ordered":
        train, validation = first_and_last(raw, n_train, n)
    else:
        if raw.validation is None:
            train, validation = _apart(raw, n, rng, "a validation part")
        else:
            train, validation = raw.train, raw.validation
        if n_train is not None:
            train = _fewer(train, n_train, len(raw.class_names), rng)
    parts = _split(train, size), _split(validation, size), _split(test, size)
    return Dataset(spec, *parts, raw.class_names, found)


def _parse(spec: Any) -> tuple[str, Path | None]:
    """Return the name and the path that a spec holds."""
    if not isinstance(spec, str):
        raise TypeError(f"spec must be a string: {SPECS}; got {spec!r}.")
    name, _, path = spec.partition(":")
    with_path, without = ("svhn", "birds", "folder", "npz"), tuple(_READERS)
    if name in with_path and not path:
        hints = {
            "svhn": "download train_32x32.mat and test_32x32.mat (cropped digits) from "
            "http://ufldl.stanford.edu/housenumbers and write svhn:FOLDER",
            "birds": "download the images (folders train, valid and test) and write birds:FOLDER",
        }
        raise ValueError(f"{name!r} needs a path: {hints.get(name, f'write {name}:PATH')}.")
    if name not in (*with_path, *without) or (path and name in without):
        raise ValueError(f"data must be {SPECS}; got {spec!r}.")
    return name, Path(path).expanduser() if path else None  # no shell expands ~ after a colon


def _read(name: str, path: Path | None) -> Raw:
    """Read what a spec names."""
    if path is None:
        return _READERS[name]()
    readers = {"svhn": read_svhn, "npz": read_npz}
    return readers[name](path) if name in readers else read_folder(path, fixed=name == "birds")


def _digits() -> Raw:
    """Return scikit-learn's digits, their 0..16 as 0..255."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    grey = np.round(x.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return Raw((grey.repeat(3, axis=3), y.astype(np.int64)), None, None, tuple("0123456789"))


_READERS: dict[str, Callable[[], Raw]] = {
    "digits": _digits,
    "cifar10": lambda: read_keras(keras.datasets.cifar10, "cifar10"),
    "cifar100": lambda: read_keras(keras.datasets.cifar100, "cifar100"),
    "fashion_mnist": lambda: read_keras(keras.datasets.fashion_mnist, "fashion_mnist"),
}


def _count(size: Any, n_images: int) -> int:
    """Return how many images validate."""
    if size is None:
        size = min(PAPER_VALIDATION, round(0.2 * n_images))
    return int(size) if isinstance(size, Integral) else round(float(size) * n_images)


def _apart(raw: Raw, n: int, rng: np.random.Generator, what: str) -> tuple[Part, Part]:
    """Take a stratified part of n images off the training part; every class keeps some."""
    images, y = raw.train
    if not 0 < n < len(y):
        raise ValueError(f"{what} must take 1..{len(y) - 1} of {len(y)} images; got {n}.")
    chosen = stratified_indices(y, n, rng)
    rest = np.setdiff1d(np.arange(len(y)), chosen)
    left = np.bincount(y[rest], minlength=len(raw.class_names))
    if (left == 0).any():
        raise ValueError(
            f"{what} of {n} of {len(y)} images leaves class {raw.class_names[left.argmin()]!r} "
            "without training images; give it more images, or set fewer apart."
        )
    return (images[rest], y[rest]), (images[chosen], y[chosen])


def _fewer(train: Part, n: int, n_classes: int, rng: np.random.Generator) -> Part:
    """Return the first n images of an order whose every beginning is balanced."""
    images, y = train
    if not n_classes <= n <= len(y):
        least = f"{n_classes}..{len(y)} (at least one a class)"
        raise ValueError(f"n_train must be in {least}; got {n}.")
    chosen = nested_order(y, rng)[:n]
    return images[chosen], y[chosen]


def _split(part: Part, size: tuple[int, int] | None) -> Split:
    """Return a split of images of the wanted size."""
    images, y = part
    if images.dtype == object:
        return Split(y, tuple(images), size or FOLDER_SIZE)
    images = resize_images(images, size) if size else images
    return Split(y, images, images.shape[1:3])


def _image_size(size: Any) -> tuple[int, int] | None:
    """Return (height, width)."""
    if size is None:
        return None
    pair = size if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2:
        raise ValueError(f"image_size must be one integer or (height, width); got {size!r}.")
    return check.positive_int(pair[0], "image_size"), check.positive_int(pair[1], "image_size")


def _generator(seed: Any) -> np.random.Generator:
    """Return the generator that a seed starts; numpy's global state is never used."""
    if seed is None or isinstance(seed, np.random.Generator):
        return np.random.default_rng(seed)
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"seed must be an integer or a numpy.random.Generator; got {seed!r}.")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more; got {seed}.")
    return np.random.default_rng(int(seed))


def _check_shuffle_seed(seed: Any) -> None:
    """Accept what tf.data takes as a seed."""
    if seed is None:
        return
    if isinstance(seed, bool) or not isinstance(seed, Integral):
        raise TypeError(f"shuffle_seed must be an integer or None; got {seed!r}.")
    if not 0 <= int(seed) < 2**63:
        raise ValueError(f"shuffle_seed must be in 0..2**63-1; got {seed}.")


def _check_validation_size(size: Any) -> None:
    """Accept a number of images or a share of them."""
    if size is None:
        return
    if isinstance(size, bool) or not isinstance(size, Real):
        raise TypeError(f"validation_size must be a number of images or a share; got {size!r}.")
    if not isinstance(size, Integral) and not 0 < float(size) < 1:
        raise ValueError(f"validation_size as a share must be in (0, 1); got {size!r}.")
    if isinstance(size, Integral) and size < 1:
        raise ValueError(f"validation_size must be at least 1; got {size!r}.")
