"""Training and validation images as they are stored: the first ones and the last ones."""

from typing import Any

import numpy as np

from edgedyn.nn.data.readers import Part, Raw


def first_and_last(raw: Raw, n_train: int | None, n_validation: int) -> tuple[Part, Part]:
    """Return the first training images, and the last ones to validate.

    Jiang et al. (2024) vary the number of training samples this way. Nothing is drawn, so all seeds
    see the same images. A validation part of its own is taken as it is, whatever `n_validation`;
    with `n_train` None all train that do not validate. ValueError where the parts would overlap or
    exceed the images (by how many), a class has no training image, or only one class validates.
    """
    images, y = raw.train
    n, n_last = len(y), 0 if raw.validation else n_validation
    if not raw.validation and not 0 < n_last < n:
        raise ValueError(f"a validation part must take 1..{n - 1} of {n} images; got {n_last}.")
    n_first = n - n_last if n_train is None else n_train
    if n_first + n_last > n:
        raise ValueError(
            f"of {n} training images the first {n_first} were to train and the last {n_last} to "
            f"validate: {n_first + n_last - n} too many; take fewer."
        )
    train = images[:n_first], y[:n_first]
    validation = raw.validation or (images[n - n_last :], y[n - n_last :])
    _check_classes(train[1], validation[1], raw.class_names)
    return train, validation


def _check_classes(train: Any, validation: Any, names: tuple[str, ...]) -> None:
    """Refuse what images that are stored class by class become."""
    missing = np.setdiff1d(np.arange(len(names)), train)
    if len(missing):
        fault = f"class {names[missing[0]]!r} has no training image"
    elif (validation == validation[0]).all():
        fault = f"all validation images are of class {names[validation[0]]!r}"
    else:
        return
    raise ValueError(
        f"with split='ordered' {fault}: the images are stored class by class, or the part is too "
        "small; take split='stratified', or shuffle what is stored."
    )
