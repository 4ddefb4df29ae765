"""Image files: finding them in folders, checking them, reading them as RGB."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

Array = NDArray[Any]

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def class_folders(folder: Path) -> dict[str, list[Path]]:
    """Return each class's image files, classes and files in sorted order.

    Raises
    ------
    ValueError
        For a folder that is missing, has fewer than two sub-folders, or an empty one.
    """
    if not folder.is_dir():
        raise ValueError(f"there is no folder {str(folder)!r}; give one with a sub-folder a class.")
    found = {
        sub.name: sorted(p for p in sub.iterdir() if p.suffix.lower() in SUFFIXES)
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and not sub.name.startswith(".")
    }
    if len(found) < 2:
        raise ValueError(
            f"{folder} has {len(found)} class folders; give at least two, one sub-folder a class."
        )
    for name, files in found.items():
        if not files:
            raise ValueError(
                f"the class folder {str(folder / name)!r} holds no images ({', '.join(SUFFIXES)})."
            )
    return found


def check_image(path: Path) -> None:
    """Refuse a file that is no image, before any work; the pixels are not decoded yet."""
    try:
        with Image.open(path) as image:
            image.verify()
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        raise ValueError(f"{path} could not be read as an image; repair or remove it.") from None


def read_image(path: Path, size: tuple[int, int]) -> Array:
    """Return an image as RGB, shape (height, width, 3) uint8, resized bilinearly."""
    try:
        with Image.open(path) as image:
            return np.asarray(
                image.convert("RGB").resize((size[1], size[0]), Image.Resampling.BILINEAR)
            )
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
        raise ValueError(
            f"{path} could not be read as an image, it may be cut short; repair or remove it."
        ) from None


def resize_images(x: Array, size: tuple[int, int]) -> Array:
    """Resize (n, height, width, 3) uint8 images bilinearly, one by one."""
    if x.shape[1:3] == size:
        return x
    turned = (size[1], size[0])
    return np.stack(
        [np.asarray(Image.fromarray(one).resize(turned, Image.Resampling.BILINEAR)) for one in x]
    )
