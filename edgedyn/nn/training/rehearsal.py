"""What a study would take: its data looked at once, a few steps of each candidate.

Nothing is downloaded. Where the data are not here, what is known of them stands in; candidates are
always rehearsed on synthetic images, and on random weights where ImageNet's are not here: neither
changes what a step takes.
"""

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

from edgedyn._job import Job, Rehearsal, Settings, Survey
from edgedyn.nn.callback import CapacitanceCallback
from edgedyn.nn.data.datasets import PAPER_VALIDATION, Dataset, Split
from edgedyn.nn.data.readers import DataNotFound, HasValidation
from edgedyn.nn.models.backbones import WeightsNotFound, backbone
from edgedyn.nn.models.flops import Work, work
from edgedyn.nn.training import trial as trials
from edgedyn.nn.training.finetune import measured

STEP_FLOPS = 5e10  # of a rehearsed step; larger batches are cut: seconds on one core
STEPS = 2  # timed, after the first one, which compiles
READ = 16  # image files that are read to see what one takes
MIB = 2**20


@dataclass(frozen=True)
class Known:
    """What is known of a data set without having it."""

    train: int
    test: int
    validation: int | None  # None: images of the training part validate
    side: int
    classes: int
    files: bool = False  # its images are files, which are read as they are needed


KNOWN = {
    "cifar10": Known(50_000, 10_000, None, 32, 10),
    "cifar100": Known(50_000, 10_000, None, 32, 100),
    "fashion_mnist": Known(60_000, 10_000, None, 28, 10),
    "svhn": Known(73_257, 26_032, None, 32, 10),
    # The edition of 225 species; there are others.
    "birds": Known(31_316, 1_125, 1_125, 224, 225, files=True),
}


def survey(job: Job) -> Survey:
    """Look at names and data as `check` does; what is known of data that are missing stands in."""
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
        return _known(KNOWN[name], job, error)


def _seen(job: Job) -> Survey:
    """Load the data for every training size."""
    began = perf_counter()
    sizes = [trials.dataset(replace(job, n_train=n)) for n in job.n_trains]
    first = sizes[0]
    files = not isinstance(first.train.source, np.ndarray)
    loaded = perf_counter()
    few = min(READ, len(first.train))
    if files:
        _ = first.train.first(few).x
    return Survey(
        n_train=tuple(len(one.train) for one in sizes),
        n_validation=len(first.validation),
        n_classes=first.n_classes,
        side=first.train.size,
        load_seconds=(loaded - began) / len(sizes),
        read_seconds=(perf_counter() - loaded) / few if files else 0.0,
        data_mib=0.0 if files else _mib(sum(map(len, first.parts)), first.train.size),
    )


def _mib(n_images: int, side: tuple[int, int]) -> float:
    """Return the memory of stored images: NumPy's, and the copy that the pipeline holds."""
    return 2 * n_images * 3 * side[0] * side[1] / MIB


def _known(data: Known, job: Job, error: DataNotFound) -> Survey:
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
    side = data.side, data.side
    missing = f"{job.data} is not in Keras' cache, the study downloads it"
    if ":" in job.data:
        missing = str(error).rstrip(".")
    return Survey(
        n_train=tuple(left if n is None else n for n in job.n_trains),
        n_validation=validation,
        n_classes=data.classes,
        side=side,
        data_mib=0.0 if data.files else _mib(data.train + data.test + (data.validation or 0), side),
        missing=f"{missing}; {data.train:,} training images of {data.classes} classes are assumed.",
    )


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


def rehearse(job: Job) -> Rehearsal:
    """Train a candidate for a few steps on synthetic images; `job` has what `survey` returned."""
    began = perf_counter()
    seen = job.survey
    assert seen is not None
    size = job.settings.candidate.image_size or job.settings.data.image_size
    side = seen.side if size is None else (size, size)
    keras.utils.set_random_seed(job.seed)
    whole, missing = _candidate(job, (*side, 3))
    body = backbone(whole)
    costs = work(body)
    batch = _effort(costs.flops, job.settings.training.batch_size)
    data = _synthetic(side, seen.n_classes, batch * (STEPS + 1))
    setup = trials.Setup(data, whole, body, {})
    model = trials.with_probe(setup, job)
    train, validation, watched, first = _timed(model, setup, job, batch)
    reading = seen.read_seconds / job.threads
    return Rehearsal(
        train_seconds=train / batch + reading,
        validation_seconds=validation / batch + reading,
        watch_seconds=watched,
        start_seconds=first - began + seen.load_seconds,
        memory_mib=trials.peak_memory() + seen.data_mib + _more(costs, job, batch),
        parameters=int(model.count_params()),
        flops=costs.flops,
        layers=costs.layers,
        missing=missing,
    )


def _candidate(job: Job, shape: tuple[int, int, int]) -> tuple[keras.Model, str]:
    """Build the candidate, with random weights where ImageNet's are not here, and say so."""
    candidate = job.settings.candidate
    if candidate.backbone is None:
        return trials.candidate(job, shape), ""
    try:
        with no_downloads():
            return trials.candidate(job, shape), ""
    except WeightsNotFound:
        random = Settings(candidate=replace(candidate, weights="none"))
        keras.utils.set_random_seed(job.seed)
        model = trials.candidate(replace(job, settings=random), shape)
    return model, (
        f"the ImageNet weights of {candidate.backbone} are not in Keras' cache, the study "
        "downloads them; random ones were taken."
    )


def _effort(flops: float, batch_size: int) -> int:
    """Return the batch of a timed step; large networks take fewer images."""
    if isnan(flops) or flops == 0:
        return batch_size
    image = 3 * flops  # forward, and twice that backward
    return min(batch_size, max(1, int(STEP_FLOPS // image)))


def _more(costs: Work, job: Job, batch: int) -> float:
    """Return the memory in MiB that activations of the images left out of a batch would take."""
    more = job.settings.training.batch_size - batch
    return 4 * more * costs.activations / MIB if isfinite(costs.activations) else 0.0


def _synthetic(side: tuple[int, int], n_classes: int, n: int) -> Dataset:
    """Return random images, the same in all parts."""
    x = np.random.default_rng(0).integers(0, 256, (n, *side, 3), dtype=np.uint8)
    split = Split(np.arange(n, dtype=np.int64) % n_classes, x, side)
    return Dataset("synthetic", split, split, split, tuple(map(str, range(n_classes))))


class _Clock(keras.callbacks.Callback):
    """Notes when batches end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.ends.append(perf_counter())

    on_predict_batch_end = on_train_batch_end

    @property
    def whole(self) -> float:
        """Seconds of all batches but the first one, which compiles."""
        return self.ends[-1] - self.ends[0]

    @property
    def seconds(self) -> float:
        """Of one of them."""
        return self.whole / (len(self.ends) - 1)


def _timed(
    model: keras.Model, setup: trials.Setup, job: Job, batch: int
) -> tuple[float, float, float, float]:
    """Time a training step, a validation step, measuring; and when all was ready without them."""
    watch = trials.watch(setup, job)
    train, validation = _Clock(), _Clock()
    model.fit(setup.data.train.batches(batch), verbose=0, shuffle=False, callbacks=[train, watch])
    few = setup.data.validation.first(batch * STEPS + batch)
    model.predict(few.batches(batch), verbose=0, callbacks=[validation])
    if job.settings.capacitance.measures is not None:
        _watched(model, watch, job)  # one's own function may have to be compiled
    watched = _watched(model, watch, job)
    ready = perf_counter() - watched - train.whole - validation.whole
    share = job.settings.capacitance.n_samples / len(watch.y)
    return train.seconds, validation.seconds, watched * share, ready


def _watched(model: keras.Model, watch: CapacitanceCallback, job: Job) -> float:
    """Measure beta_eff, and what the study adds to it, once more; return the seconds."""
    began = perf_counter()
    watch.on_epoch_end(1, {})
    name = job.settings.capacitance.measures
    if name is not None:
        measured(trials.factory(name), model, watch)
    return perf_counter() - began
