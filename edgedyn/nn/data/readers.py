"""Readers of stored image arrays: Keras' loaders, .npz and .mat files."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgedyn._array import Array
from edgedyn._data import open_npz

DARK = 16  # images that go no further are of another range
DIM = 128  # those that go no further may be
MOST_LABEL = 2**53  # larger ones are not whole numbers of a float any more
Part = tuple[Any, Array]  # images or files, and labels

_FASHION = "T-shirt/top,Trouser,Pullover,Dress,Coat,Sandal,Shirt,Sneaker,Bag,Ankle boot"
_CIFAR10 = "airplane,automobile,bird,cat,deer,dog,frog,horse,ship,truck"
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile
cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp
lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom
oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake
spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""
_NAMES = {
    "fashion_mnist": _FASHION.split(","),
    "cifar10": _CIFAR10.split(","),
    "cifar100": _CIFAR100.split(),
}


class DataNotFound(ValueError):
    """The data are not where they were sought; others are damaged, or do not fit."""


class HasValidation(ValueError):
    """The data have a validation part of their own, so that no other size can be had."""

    def __init__(self, spec: str) -> None:
        super().__init__(f"{spec} has a validation part of its own; leave out validation_size.")


@dataclass(frozen=True)
class Raw:
    """Images (or files) and labels as they were found, before they are split."""

    train: Part
    validation: Part | None  # None where the source has no such part
    test: Part | None
    class_names: tuple[str, ...]


def read_keras(module: Any, name: str) -> Raw:
    """Load by one of Keras' own loaders, which download once."""
    try:
        train, test = module.load_data()
    except Exception as error:  # a failed download is a bare Exception of Keras
        if "URL fetch failure" not in str(error) and not isinstance(error, OSError):
            raise
        raise DataNotFound(
            f"{name} could not be downloaded; download it elsewhere and write npz:PATH of a file "
            "with x_train, y_train, x_test and y_test."
        ) from None
    return _stored(train, test, _NAMES.get(name), name)


def read_npz(path: Path) -> Raw:
    """Read a .npz file of plain arrays; nothing in it is executed."""
    if not path.is_file():
        raise DataNotFound(f"there is no file {str(path)!r}; give a .npz file.")
    with open_npz(path) as stored:
        arrays = {name: stored[name] for name in stored.files}
    names = arrays.get("class_names")
    listed = None if names is None else [str(n) for n in np.atleast_1d(names)]
    if {"x_train", "y_train", "x_test", "y_test"} <= set(arrays):
        train, test = ((arrays[f"x_{one}"], arrays[f"y_{one}"]) for one in ("train", "test"))
        _warn_of_others(path, set(arrays) - _NAMED)
        own = {"x_val", "y_val"} & set(arrays)
        if len(own) == 1:
            raise ValueError(f"{path} holds {own.pop()} alone; give x_val and y_val.")
        validation = (arrays["x_val"], arrays["y_val"]) if own else None
        return _stored(train, test, listed, str(path), validation)
    for x in ("x", "X"):
        if {x, "y"} <= set(arrays):
            _warn_of_others(path, set(arrays) - {x, "y", "class_names"})
            return _stored((arrays[x], arrays["y"]), None, listed, str(path))
    raise ValueError(
        f"{path} holds {', '.join(arrays) or 'nothing'}; it must hold x_train, y_train, x_test and "
        "y_test, or x and y."
    )


_NAMED = {
    *(f"{letter}_{part}" for letter in "xy" for part in ("train", "val", "test")),
    "class_names",
}


def _warn_of_others(path: Path, names: set[str]) -> None:
    """Say which arrays of a file are not taken."""
    if names:
        skipped, taken = (", ".join(sorted(given)) for given in (names, _NAMED))
        words = f"{path}: skipped the arrays {skipped}; taken are {taken}, or x and y."
        warnings.warn(words, stacklevel=3)


def read_svhn(folder: Path) -> Raw:
    """Read the cropped digits of SVHN; label 10 is the digit 0."""
    from scipy.io import loadmat

    parts = []
    for name in ("train_32x32.mat", "test_32x32.mat"):
        path = folder / name
        if not path.is_file():
            raise DataNotFound(
                f"there is no file {str(path)!r}; download train_32x32.mat and test_32x32.mat "
                "(cropped digits) into that folder."
            )
        try:
            stored = loadmat(path)
            x, y = stored["X"], stored["y"]
        except Exception:  # scipy raises whatever its readers do
            raise ValueError(f"{path} could not be read as SVHN's cropped digits.") from None
        if x.ndim != 4:
            raise ValueError(f"{path}: X must have shape (32, 32, 3, n); got {x.shape}.")
        labels = _labels(y.reshape(-1), str(path))
        if labels.size == 0 or labels.min() < 1 or labels.max() > 10:
            raise ValueError(f"{path}: labels must be in 1..10, 10 for the digit 0.")
        parts.append((np.moveaxis(x, 3, 0), labels % 10))
    return _stored(parts[0], parts[1], list("0123456789"), str(folder))


def _stored(
    train: Part,
    test: Part | None,
    names: list[str] | None,
    where: str,
    validation: Part | None = None,
) -> Raw:
    """Check stored arrays; number the labels; make the images RGB."""
    named = {"training": train, "test": test, "validation": validation}
    given = {name: part for name, part in named.items() if part is not None}
    parts = [(_images(x, where), _labels(y, where)) for x, y in given.values()]
    for x, y in parts:
        if len(x) != len(y):
            raise ValueError(f"{where}: {len(x)} images but {len(y)} labels.")
    classes = np.unique(parts[0][1])
    if len(classes) < 2:
        raise ValueError(f"{where} holds one class only; give at least two.")
    for name, (x, y) in zip(given, parts, strict=True):
        if (unknown := np.setdiff1d(y, classes)).size:
            raise ValueError(
                f"{where}: the {name} part has the label {unknown[0]}, training has not."
            )
        if x.shape[1:] != parts[0][0].shape[1:]:
            raise ValueError(
                f"{where}: training images have shape {parts[0][0].shape[1:]}, {name} images "
                f"{x.shape[1:]}."
            )
    if names is not None and len(names) != len(classes):
        raise ValueError(f"{where}: {len(names)} class names but {len(classes)} classes.")
    numbered = {n: (x, np.searchsorted(classes, y)) for n, (x, y) in zip(given, parts, strict=True)}
    words = tuple(names or [str(c) for c in classes])
    return Raw(numbered["training"], numbered.get("validation"), numbered.get("test"), words)


def _images(x: Any, where: str) -> Array:
    """Return RGB uint8 images, shape (n, height, width, 3)."""
    x = np.asarray(x)
    if x.ndim == 3:
        x = x[..., None]
    if x.ndim != 4 or x.shape[3] not in (1, 3) or 0 in x.shape:
        raise ValueError(
            f"{where}: images must have shape (n, height, width), with 1 or 3 channels at the end; "
            f"got {x.shape}."
        )
    if x.dtype.kind not in "iuf":
        raise ValueError(f"{where}: images must hold numbers in 0..255; got {x.dtype}.")
    if x.dtype != np.uint8:
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise ValueError(f"{where}: images contain NaN or infinity; all values must be finite.")
        if x.min() < 0 or x.max() > 255:
            raise ValueError(
                f"{where}: images must be in 0..255; got {x.min():.7g}..{x.max():.7g}."
            )
    # Of other ranges nobody knows which number is white, and rounding would lose the image.
    fractions = x.dtype.kind == "f" and (x != np.floor(x)).any()
    if x.dtype != np.uint8 and (fractions or x.max() <= DARK):
        raise ValueError(
            f"{where}: images must be whole numbers in 0..255; got fractions, or nothing above "
            f"{DARK}, in {x.min():.7g}..{x.max():.7g}: scale them so that white is 255, and round."
        )
    if x.max() < DIM:
        words = f"{where}: nothing in the images is above {x.max()}; white is taken to be 255."
        warnings.warn(words, stacklevel=2)
    x = x.astype(np.uint8, copy=False)
    return x.repeat(3, axis=3) if x.shape[3] == 1 else x


def _labels(y: Any, where: str) -> Array:
    """Return integer labels, shape (n,)."""
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or y.dtype.kind not in "iuf":
        raise ValueError(f"{where}: labels must be one integer an image; got {y.dtype} {y.shape}.")
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.floor(y)).all()):
        raise ValueError(f"{where}: labels must be integers.")
    if y.size and max(abs(int(y.min())), abs(int(y.max()))) > MOST_LABEL:
        raise ValueError(f"{where}: labels must be within 2**53; got {y.min()}..{y.max()}.")
    return y.astype(np.int64)
