"""Small image files and arrays for the tests of data sets."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from edgedyn.nn import load_dataset

PARTS = ("train", "validation", "test")


def numbered_images(n, shape=(4, 5, 3), start=0):
    """Make images that tell their own number in their first two bytes."""
    x = np.random.default_rng(n).integers(0, 256, (n, *shape), dtype=np.uint8)
    flat = x.reshape(n, -1)
    flat[:, 0], flat[:, 1] = divmod(np.arange(start, start + n), 256)
    return x


def numbers(x):
    flat = x.reshape(len(x), -1).astype(int)
    return 256 * flat[:, 0] + flat[:, 1]


def save(folder, **arrays):
    path = Path(folder) / "images.npz"
    np.savez(path, **arrays)
    return f"npz:{path}"


def draw(path, k, mode="RGB", size=(6, 5)):
    """Write an image of one grey, k; lossless unless it is a JPEG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    colour = k if mode == "L" else (k,) * 3 if mode == "RGB" else (k, k, k, 128)
    Image.new(mode, size, colour).save(path)


def folder_of(root, classes, n=10, start=0, suffix=".png"):
    """Write n images a class, each of another grey."""
    for c, name in enumerate(classes):
        for k in range(n):
            draw(root / name / f"{k:03}{suffix}", start + c * n + k)
    return root


def refused(words, spec, error=ValueError, **options):
    with pytest.raises(error) as caught:
        load_dataset(spec, **options)
    message = str(caught.value)
    assert words in message
    assert len(message.splitlines()) == 1 and message.endswith(".")


def svhn(folder, n=40):
    for part, start in (("train", 0), ("test", n)):
        x = numbered_images(n, (32, 32, 3), start)
        y = (np.arange(start, start + n) % 10 + 1).astype(np.uint8)[:, None]
        savemat(folder / f"{part}_32x32.mat", {"X": np.moveaxis(x, 0, 3), "y": y})
    return f"svhn:{folder}"


def collect(batches):
    images, labels = zip(*[(np.asarray(x), np.asarray(y)) for x, y in batches], strict=True)
    return np.concatenate(images), np.concatenate(labels), [len(y) for y in labels]
