"""Tasks and candidates of the regime map: small images and perceptrons. Needs no TensorFlow.

All images are grey, 8 by 8 pixels (means of blocks), centred and scaled by two numbers a data set.
A task has a target and a source for pre-training; a seed draws its own training, validation and
test samples. Fashion-MNIST and CIFAR-10 come from the folder that EDGEDYN_DATA names.
"""

import os
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from edgedyn import _data
from edgedyn.mlp import ReLUMLP

FILES = {
    "fashion": "images/fashion_mnist_1000train_1000test_csv.zip",
    "cifar10": "images/cifar10.npz",
}
N_SOURCE, N_TEST = 1000, 2000
PRETRAINING_RATE, PRETRAINING_BATCH = 1e-3, 32
GREY = (0.299, 0.587, 0.114)  # luma of ITU-R BT.601


@dataclass(frozen=True)
class Task:
    """Where candidates are pre-trained and what they are fine-tuned for.

    Parameters
    ----------
    source, other, target : (str, tuple of int)
        Data set and classes; `other` is what a candidate from an unrelated source has seen.
    n_train, n_validation : int
        The test samples are the rest, at most `N_TEST`.
    batch : int
        So that all tasks take 7 steps an epoch.
    """

    source: tuple
    other: tuple
    target: tuple
    n_train: int = 200
    n_validation: int = 1000
    batch: int = 32


TEN = tuple(range(10))
TASKS = {
    # There are 896 digits of five classes: no more than 400 of them can validate.
    "digits": Task(("digits", TEN[:5]), ("cifar10", TEN), ("digits", TEN[5:]), 100, 400, 16),
    "cifar10": Task(("cifar10", TEN[:5]), ("digits", TEN), ("cifar10", TEN[5:])),
    "fashion": Task(("cifar10", TEN), ("digits", TEN), ("fashion", TEN)),
}


@dataclass(frozen=True)
class Candidate:
    """A backbone: hidden widths, epochs on a source, and how its weights were drawn.

    Parameters
    ----------
    widths : tuple of int
    pretraining : int
        Epochs; 0 for random weights.
    source : {"source", "other", "random labels"}
    start : str
        A key of `STARTS`.
    """

    widths: tuple
    pretraining: int
    source: str = "source"
    start: str = "he"

    @property
    def parameters(self):
        """Return the number of parameters of the backbone."""
        sizes = (64, *self.widths)
        return sum((m + 1) * n for m, n in zip(sizes[:-1], sizes[1:], strict=True))


LONG = 30
POOLS = {
    # One family: widths and lengths of pre-training hardly differ.
    "close": {
        f"{w} {e} epochs": Candidate((w,), e) for w in (52, 60, 68, 76) for e in (8, 12)
    },
    # One family, but the widths differ sixteenfold, and half of them are pre-trained.
    "wide": {
        f"{'-'.join(map(str, w))} {'long' if e else 'none'}": Candidate(w, e)
        for w in ((16,), (64,), (256,), (64, 64))
        for e in (0, LONG)
    },
    # No two of one family; the width of the features is no common cause.
    "unrelated": {
        "deep 48-48-48": Candidate((48, 48, 48), LONG),
        "bottleneck 96-12": Candidate((96, 12), LONG),
        "expanding 24-96": Candidate((24, 96), 0),
        "small start 64": Candidate((64,), 0, start="small"),
        "large start 40": Candidate((40,), 0, start="large"),
        "other source 128": Candidate((128,), LONG, source="other"),
        "random labels 56": Candidate((56,), LONG, source="random labels"),
        "principal components 32": Candidate((32,), 0, start="components"),
        "patches 80": Candidate((80,), 10, start="patches"),
        "random 200": Candidate((200,), 0),
    },
}  # fmt: skip
CANDIDATES = {name: one for pool in POOLS.values() for name, one in pool.items()}
# For the question whether beta_eff is only width: nothing but widths and depths differs.
SCRATCH = {n: c for n, c in CANDIDATES.items() if not c.pretraining and c.start == "he"}


# Data -------------------------------------------------------------------------------------------


def folder():
    """Return the folder of real data.

    Raises
    ------
    ValueError
        Where EDGEDYN_DATA or a file in it is missing.
    """
    named = os.environ.get("EDGEDYN_DATA")
    if not named:
        raise ValueError(
            "EDGEDYN_DATA is not set: it must name the folder that holds "
            f"{' and '.join(FILES.values())}."
        )
    missing = [name for name in FILES.values() if not (Path(named) / name).is_file()]
    if missing:
        raise ValueError(f"the folder EDGEDYN_DATA names has no {' and no '.join(missing)}.")
    return Path(named)


@cache
def images(name):
    """Return all samples of a data set, shape (n, 64), float32, and labels."""
    X, y = {"digits": _data.digits, "fashion": _fashion, "cifar10": _cifar10}[name]()
    return ((X - X.mean()) / X.std()).astype(np.float32), y


def _fashion():
    """Read the csv files in the archive: 784 pixels and the label; padded to 32 by 32."""
    rows = []
    with zipfile.ZipFile(folder() / FILES["fashion"]) as archive:
        for name in sorted(archive.namelist()):
            with archive.open(name) as file:
                rows.append(np.loadtxt(file, delimiter=",", skiprows=1))
    table = np.concatenate(rows)
    pixels = np.pad(table[:, :-1].reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
    return small(pixels), table[:, -1].astype(np.int64)


def _cifar10():
    """Read training and test images as one set, in grey."""
    with np.load(folder() / FILES["cifar10"], allow_pickle=False) as stored:
        x = np.concatenate([stored["x_train"], stored["x_test"]])
        y = np.concatenate([stored["y_train"], stored["y_test"]])
    return small(x @ np.array(GREY)), y.astype(np.int64).ravel()


def small(pixels):
    """Return means over 4 by 4 blocks of square images, one row an image."""
    n, side, _ = pixels.shape
    return pixels.reshape(n, side // 4, 4, side // 4, 4).mean(axis=(2, 4)).reshape(n, -1)


def those(part):
    """Return the samples of some classes, numbered from 0."""
    name, classes = part
    X, y = images(name)
    kept = np.isin(y, classes)
    return X[kept], np.searchsorted(classes, y[kept])


def split(task, seed):
    """Return training, validation and test samples of a task, drawn by the seed."""
    one = TASKS[task]
    X, y = those(one.target)
    order = np.random.default_rng([seed, 1]).permutation(len(y))
    rest = len(y) - one.n_train - one.n_validation
    ends = np.cumsum([one.n_train, one.n_validation, min(N_TEST, rest)])
    parts = np.split(order[: ends[-1]], ends[:-1])
    return [(np.ascontiguousarray(X[part]), y[part]) for part in parts]


# Backbones --------------------------------------------------------------------------------------


def _scaled(factor):
    """Return a start with every kernel multiplied by a factor."""

    def start(net, X, rng):
        for W in net.weights[:-1]:
            W *= factor

    return start


def _components(net, X, rng):
    """Set the first layer to principal components of the target's images and their negatives."""
    first = net.weights[0]
    half = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)[2][: len(first) // 2]
    first[...] = np.sqrt(2) * np.concatenate([half, -half])  # He's mean length


def _patches(net, X, rng):
    """Let each neuron of the first layer begin with a 4 by 4 patch of the image."""
    for row in net.weights[0]:
        top, left = rng.integers(0, 5, 2)
        seen = np.zeros((8, 8), bool)
        seen[top : top + 4, left : left + 4] = True
        row *= 2 * seen.ravel()  # a quarter of the pixels: twice the size keeps the length


STARTS = {
    "he": lambda net, X, rng: None,
    "small": _scaled(0.2),
    "large": _scaled(3.0),
    "components": _components,
    "patches": _patches,
}


def backbone(name, task, seed, X):
    """Return the layers of a pre-trained or random backbone.

    Parameters
    ----------
    name, task : str
    seed : int
    X : ndarray
        The target's training images.

    Returns
    -------
    list of (ndarray, ndarray)
        Kernel and bias.
    """
    one = CANDIDATES[name]
    rng = np.random.default_rng([seed, 2, *one.widths])
    part = TASKS[task].other if one.source == "other" else TASKS[task].source
    classes = len(part[1])
    net = ReLUMLP.random([64, *one.widths, classes], seed=rng, dtype="float32")
    STARTS[one.start](net, X, rng)
    if one.pretraining:
        Xs, ys = those(part)
        drawn = rng.choice(len(ys), min(N_SOURCE, len(ys)), replace=False)
        ys = rng.permutation(ys[drawn]) if one.source == "random labels" else ys[drawn]
        net.fit(Xs[drawn], ys, epochs=one.pretraining, batch_size=PRETRAINING_BATCH,
                learning_rate=PRETRAINING_RATE, seed=rng)  # fmt: skip
    return list(zip(net.weights[:-1], net.biases[:-1], strict=True))
