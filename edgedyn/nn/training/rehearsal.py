"""What a study would take: its data looked at once, a few steps of each candidate.

Nothing is downloaded. Where the data are not here, what is known of them stands in; candidates are
always rehearsed on synthetic images, and on random weights where ImageNet's are not here: neither
changes what a step takes.
"""

import inspect
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite, isnan
from time import perf_counter
from typing import Any
from urllib.error import URLError

import keras
import numpy as np

from edgedyn._job import Job, Settings
from edgedyn.nn.callback import CapacitanceCallback
from edgedyn.nn.data.datasets import PAPER_VALIDATION, Dataset, Split
from edgedyn.nn.data.readers import DataNotFound, HasValidation
from edgedyn.nn.models.backbones import WeightsNotFound, backbone
from edgedyn.nn.models.flops import Work, work
from edgedyn.nn.training import trial as trials

STEP_FLOPS = 5e10  # of a rehearsed step; larger batches are cut: seconds on one core
STEPS = 2, 8  # timed, after the first one, which compiles
READ = 16  # image files that are read to see what one takes
MIB = 2**20


@dataclass(frozen=True)
class Known:
    """What is known of a data set without having it.

    Parameters
    ----------
    train, test : int
    validation : int or None
        None: images of the training part validate.
    side : int
    classes : int
    files : bool
        Whether its images are files, which are read as they are needed.
    """

    train: int
    test: int
    validation: int | None
    side: int
    classes: int
    files: bool = False


KNOWN = {
    "cifar10": Known(50_000, 10_000, None, 32, 10),
    "cifar100": Known(50_000, 10_000, None, 32, 100),
    "fashion_mnist": Known(60_000, 10_000, None, 28, 10),
    "svhn": Known(73_257, 26_032, None, 32, 10),
    # The edition of 225 species; there are others.
    "birds": Known(31_316, 1_125, 1_125, 224, 225, files=True),
}


# Data -------------------------------------------------------------------------------------------


def survey(job: Job) -> dict[str, Any]:
    """Look at names and data as `nn.training.trial.check` does, but do without missing data.

    Returns
    -------
    dict
        ``n_train`` (a list, one a training size), ``n_validation``, ``n_classes``, ``side``
        (height, width), ``load_seconds``, ``read_seconds`` (of one image that is a file),
        ``data_mib``; ``missing``, a sentence, or None.

    Raises
    ------
    TypeError, ValueError
        As `edgedyn.nn.training.trial.check`; also for missing data of which nothing is known.
    """
    trials.check_names(job)
    settings = job.settings
    data = replace(settings.data, image_size=None)
    candidate = replace(settings.candidate, image_size=None)
    job = replace(job, settings=replace(settings, data=data, candidate=candidate))
    try:
        with no_downloads():
            return _seen(job)
    except DataNotFound as error:
        name = job.data.partition(":")[0]
        if name not in KNOWN:
            raise
        return {**_known(KNOWN[name], job), "missing": _sentence(job.data, error)}


def _seen(job: Job) -> dict[str, Any]:
    """Load the data for every training size."""
    began = perf_counter()
    sizes = [trials.dataset(replace(job, n_train=n)) for n in job.n_trains]
    first = sizes[0]
    files = not isinstance(first.train.source, np.ndarray)
    loaded = perf_counter()
    few = min(READ, len(first.train))
    if files:
        _ = first.train.first(few).x
    return {
        "n_train": [len(one.train) for one in sizes],
        "n_validation": len(first.validation),
        "n_classes": first.n_classes,
        "side": list(first.train.size),
        "load_seconds": (loaded - began) / len(sizes),
        "read_seconds": (perf_counter() - loaded) / few if files else 0.0,
        "data_mib": _mib(first, files=files),
        "missing": None,
    }


def _mib(data: Dataset, *, files: bool) -> float:
    """Return the memory of stored images: NumPy's, and the copy that the pipeline holds."""
    n = sum(len(split) for split in (data.train, data.validation, data.test))
    return 0.0 if files else 2 * n * float(np.prod(data.image_shape)) / MIB


def _known(data: Known, job: Job) -> dict[str, Any]:
    """Return the counts that loading would give."""
    given = job.settings.data.validation_size
    if data.validation is not None and given is not None:
        raise HasValidation(job.data)
    share = min(PAPER_VALIDATION, round(trials.VALIDATION_SHARE * data.train))
    asked = share if given is None else given if isinstance(given, int) else given * data.train
    validation = data.validation if data.validation is not None else round(asked)
    left = data.train - (validation if data.validation is None else 0)
    for n in job.n_trains:
        if left < data.classes or (n is not None and not data.classes <= n <= left):
            raise ValueError(f"n_train must be in {data.classes}..{left}; got {n}.")
    n_images = data.train + data.test + (data.validation or 0)
    return {
        "n_train": [left if n is None else n for n in job.n_trains],
        "n_validation": validation,
        "n_classes": data.classes,
        "side": [data.side, data.side],
        "load_seconds": 0.0,
        "read_seconds": 0.0,
        "data_mib": 0.0 if data.files else 2 * n_images * 3 * data.side**2 / MIB,
    }


def _sentence(spec: str, error: DataNotFound) -> str:
    """Say what is missing, and what stands in."""
    known = KNOWN[spec.partition(":")[0]]
    counts = f"{known.train:,} training images of {known.classes} classes"
    if ":" in spec:
        return f"{str(error).rstrip('.')}; {counts} are assumed."
    return f"{spec} is not in Keras' cache, the study downloads it; {counts} are assumed."


class _Refuse(urllib.request.BaseHandler):
    """Answers every request before any connection is made."""

    def default_open(self, request: Any) -> Any:
        raise URLError("nothing is downloaded")


@contextmanager
def no_downloads() -> Iterator[None]:
    """Let whatever Python would download fail at once."""
    urllib.request.install_opener(urllib.request.build_opener(_Refuse))
    try:
        yield
    finally:
        urllib.request.install_opener(None)  # the default again


# A candidate ------------------------------------------------------------------------------------


def rehearse(job: Job) -> dict[str, Any]:
    """Train a candidate for a few steps on synthetic images.

    Parameters
    ----------
    job : Job
        A trial's, and ``survey``, what `survey` returned.

    Returns
    -------
    dict
        ``train_seconds`` and ``validation_seconds`` of an image; ``watch_seconds``, what is
        measured after an epoch; ``start_seconds`` (loading, building, compiling); ``memory_mib``,
        ``parameters``; ``flops`` of one image in inference, and ``layers``; ``missing``, a
        sentence or None.
    """
    began = perf_counter()
    seen = job.survey
    size = job.settings.candidate.image_size or job.settings.data.image_size
    side = seen["side"] if size is None else [size, size]
    keras.utils.set_random_seed(job.seed)
    whole, missing = _candidate(job, (side[0], side[1], 3))
    body = backbone(whole)
    costs = work(body)
    batch, steps = _effort(costs.flops, job.settings.training.batch_size)
    data = _synthetic(side, seen["n_classes"], batch * (steps + 1))
    setup = trials.Setup(data, whole, body, {})
    model = trials.with_probe(setup, job)
    train, validation, watched, first = _timed(model, setup, job, batch)
    reading = seen["read_seconds"] / job.threads
    return {
        "train_seconds": train / batch + reading,
        "validation_seconds": validation / batch + reading,
        "watch_seconds": watched,
        "start_seconds": first - began + seen["load_seconds"],
        "memory_mib": trials.peak_memory() + seen["data_mib"] + _more(costs, job, batch),
        "parameters": int(model.count_params()),
        "flops": costs.flops,
        "layers": costs.layers,
        "missing": missing,
    }


def _candidate(job: Job, shape: tuple[int, int, int]) -> tuple[keras.Model, str | None]:
    """Build the candidate, with random weights where ImageNet's are not here."""
    candidate = job.settings.candidate
    if candidate.backbone is None:
        return trials.candidate(job, shape), None
    try:
        with no_downloads():
            return trials.candidate(job, shape), None
    except WeightsNotFound:
        random = Settings(candidate=replace(candidate, weights="none"))
        keras.utils.set_random_seed(job.seed)
        model = trials.candidate(replace(job, settings=random), shape)
    name = candidate.backbone
    return model, (
        f"the ImageNet weights of {name} are not in Keras' cache, the study downloads them; random "
        "ones were taken."
    )


def _effort(flops: float, batch_size: int) -> tuple[int, int]:
    """Return the batch and the number of steps that are timed: two at least."""
    if isnan(flops) or flops == 0:
        return batch_size, STEPS[1]
    image = 3 * flops  # forward, and twice that backward
    batch = min(batch_size, max(1, int(STEP_FLOPS // image)))
    return batch, min(STEPS[1], max(STEPS[0], int(STEP_FLOPS // (image * batch))))


def _more(costs: Work, job: Job, batch: int) -> float:
    """Return the memory in MiB that activations of the images left out of a batch would take."""
    more = job.settings.training.batch_size - batch
    return 4 * more * costs.activations / MIB if isfinite(costs.activations) else 0.0


def _synthetic(side: list[int], n_classes: int, n: int) -> Dataset:
    """Return random images, the same in all parts."""
    x = np.random.default_rng(0).integers(0, 256, (n, *side, 3), dtype=np.uint8)
    split = Split(np.arange(n, dtype=np.int64) % n_classes, x, (side[0], side[1]))
    return Dataset("synthetic", split, split, split, tuple(map(str, range(n_classes))))


class _Clock(keras.callbacks.Callback):
    """Notes when batches end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.ends.append(perf_counter())

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.ends.append(perf_counter())

    @property
    def seconds(self) -> float:
        """Of a batch; the first one, which compiles, left out."""
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)


def _timed(
    model: keras.Model, setup: trials.Setup, job: Job, batch: int
) -> tuple[float, float, float, float]:
    """Return the seconds of a training step, of a validation step and of what is measured.

    The fourth number is the moment at which everything was compiled, had the steps taken no time.
    """
    watch = trials.watch(setup, job)
    train, validation = _Clock(), _Clock()
    model.fit(setup.data.train.batches(batch), verbose=0, shuffle=False, callbacks=[train, watch])
    few = setup.data.validation.first(batch * STEPS[0] + batch)
    model.predict(few.batches(batch), verbose=0, callbacks=[validation])
    n_samples = job.settings.capacitance.n_samples
    if job.settings.capacitance.measures is not None:
        _watched(model, watch, job)  # one's own function may have to be compiled
    watched = _watched(model, watch, job)
    end = perf_counter()
    return (
        train.seconds,
        validation.seconds,
        watched * n_samples / len(watch.y),
        end
        - watched
        - (train.ends[-1] - train.ends[0])
        - (validation.ends[-1] - validation.ends[0]),
    )


def _watched(model: keras.Model, watch: CapacitanceCallback, job: Job) -> float:
    """Measure beta_eff, and what the study adds to it, once more; return the seconds."""
    began = perf_counter()
    watch.on_epoch_end(1, {})
    name = job.settings.capacitance.measures
    if name is not None:
        measure = trials.factory(name)
        if "features" not in inspect.signature(measure).parameters:
            measure(model, watch.x, watch.y)
        elif watch.features is not None:
            measure(model, watch.x, watch.y, features=watch.features)
    return perf_counter() - began
