"""What a trial of a model-selection study does with Keras, step by step."""

import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import ceil
from pathlib import Path
from time import perf_counter
from typing import Any

import keras

from edgedyn._environment import environment, published
from edgedyn._files import sha256, sync
from edgedyn._job import Job
from edgedyn.nn.callback import CapacitanceCallback
from edgedyn.nn.data.datasets import PAPER_VALIDATION, Dataset, load_dataset
from edgedyn.nn.data.images import takes_grey
from edgedyn.nn.data.readers import HasValidation
from edgedyn.nn.graph.autodiff import device
from edgedyn.nn.models.backbones import backbone, known_name
from edgedyn.nn.models.probe import attach_probe, detach_probe
from edgedyn.nn.models.weights import load_model, load_weights
from edgedyn.nn.training import recipe
from edgedyn.nn.training.backup import restore
from edgedyn.nn.training.finetune import Judge, finetune

VALIDATION_SHARE = 0.3
SCORED_SAMPLES = 64  # for the training-free proxies, which hold a whole batch in float64


@dataclass(frozen=True)
class Setup:
    """Data and candidate of a trial."""

    data: Dataset
    model: keras.Model  # as the candidate gives it, maybe with a head
    backbone: keras.Model  # the same layers without the head
    provenance: dict[str, Any]


def prepare(job: Job) -> Setup:
    """Load the data and build the candidate, both as the seed decides."""
    data = dataset(job)
    keras.utils.set_random_seed(job.seed)  # this process is the trial's own
    model = candidate(job, data.image_shape)
    provenance = {
        "environment": {**environment(), "command": job.command},
        "data_fingerprint": data.fingerprint,
        "source_fingerprint": source(data, job),
        "data": published(data.to_dict()),
        "parameters": int(model.count_params()),
        "threads": job.threads,
        "backend": keras.backend.backend(),
        "device": device(),
    }
    return Setup(data, model, backbone(model), provenance)


def source(data: Dataset, job: Job) -> str:
    """Return the fingerprint of everything the data were made of."""
    return data.origin.fingerprint(Path(job.cache) if job.cache else None) if data.origin else ""


def check_unchanged(setup: Setup, job: Job) -> None:
    """Refuse data that were changed while they were trained on: files are read in every epoch."""
    if source(setup.data, job) != setup.provenance["source_fingerprint"]:
        raise ValueError(
            "the data were changed while this trial was trained; undo the change and start a new "
            "study folder."
        )


def dataset(job: Job) -> Dataset:
    """Load the study's data; by default 30 % validate, at most the paper's 15 000."""
    settings = job.settings.data
    size = job.settings.candidate.image_size or settings.image_size
    options: dict[str, Any] = {"split": settings.split, "seed": job.seed}
    load = partial(
        load_dataset, settings.spec or job.data, image_size=size, n_train=job.n_train, **options
    )
    if settings.validation_size is not None:
        return load(validation_size=settings.validation_size)
    try:
        data = load(validation_size=VALIDATION_SHARE)
    except HasValidation:
        return load()
    too_many = len(data.validation) > PAPER_VALIDATION
    return load(validation_size=PAPER_VALIDATION) if too_many else data


def candidate(job: Job, image_shape: tuple[int, int, int]) -> keras.Model:
    """Build or load the candidate's model; what is built computes in the study's precision."""
    with recipe.computing_in(job.settings.training.precision):
        return _candidate(job, image_shape)


def _candidate(job: Job, image_shape: tuple[int, int, int]) -> keras.Model:
    """Build or load the candidate's model."""
    given, paths = job.settings.candidate, job.files
    for name, path in paths.items():
        if getattr(given, name) != sha256(Path(path)):
            raise ValueError(f"{path} has changed since the study began; start a new study folder.")
    options = dict(given.options)
    weights = paths.get("weights", given.weights)
    if given.backbone is not None:
        weights = None if weights == "none" else weights
        return backbone(given.backbone, weights=weights, input_shape=image_shape, **options)
    if given.factory is None:
        model = load_model(paths["file"], compile=False)
    else:
        build = factory(given.factory)
        if "input_shape" in inspect.signature(build).parameters:
            options.setdefault("input_shape", image_shape)
        model = build(**options)
        if not isinstance(model, keras.Model):
            raise TypeError(
                f"{given.factory} must return a Keras model; it returned {type(model).__name__}."
            )
    if getattr(model, "inputs", None) is None:
        raise TypeError(
            f"{given.factory or paths['file']}: a {type(model).__name__} with a call() of its own "
            "has no layers to read; give a functional or sequential model."
        )
    if "weights" in paths:
        load_weights(model, paths["weights"])
    return _on_rgb(model)


def _on_rgb(model: keras.Model) -> keras.Model:
    """Return a model that takes RGB images: one of grey images takes the channels' mean."""
    if not takes_grey(model):
        return model
    inputs = keras.Input((*model.inputs[0].shape[1:-1], 3))
    grey = keras.ops.mean(inputs, axis=-1, keepdims=True)
    return keras.Model(inputs, model(grey), name=model.name)


def factory(name: str) -> Callable[..., Any]:
    """Return the function that ``module:function`` names; ValueError where there is none."""
    module, _, function = name.partition(":")
    _check_owner(module, name)
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (ImportError, TypeError, ValueError) as error:
        raise ValueError(f"{name!r} cannot be imported: {error}.") from error
    _check_owner(getattr(found, "__module__", None) or module, name)  # who it really belongs to
    if not callable(found):
        raise ValueError(f"{name!r}: module {module!r} has no function {function!r}.")
    return found


def _check_owner(module: str, name: str) -> None:
    """Refuse what belongs to Python: none of it builds a model, and some of it does harm."""
    if module.partition(".")[0] in (*sys.stdlib_module_names, "builtins", "__main__"):
        raise ValueError(f"{name!r} is no function of yours: {module} belongs to Python.")


def with_probe(setup: Setup, job: Job) -> keras.Model:
    """Put the probe on and compile."""
    probe = vars(job.settings.probe)
    model = attach_probe(setup.backbone, setup.data.n_classes, **probe, seed=job.seed)
    momentum = job.settings.training.batch_norm_momentum
    if momentum is not None:
        for layer in setup.backbone.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.momentum = momentum
    return _compiled(model, setup, job, job.last)


def with_head(model: keras.Model, setup: Setup, job: Job) -> keras.Model:
    """Take the probe off, put a dense layer in its place, and compile."""
    restore(model, Path(job.folder) / "checkpoint", Path(job.folder).name)
    headed = detach_probe(model, model.output_shape[-1], seed=job.seed)
    return _compiled(headed, setup, job, job.last - job.early)


def _compiled(model: keras.Model, setup: Setup, job: Job, epochs: int) -> keras.Model:
    """Compile with the study's optimiser, whose schedule ends after so many epochs."""
    training = job.settings.training
    steps = max(1, epochs * ceil(len(setup.data.train) / training.batch_size))
    optimizer = recipe.optimizer(training, steps)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def watch(setup: Setup, job: Job) -> CapacitanceCallback:
    """Return the callback that measures beta_eff as the study says."""
    train = setup.data.train
    options = {n: v for n, v in vars(job.settings.capacitance).items() if n != "measures"}
    return CapacitanceCallback(train.x, train.y, seed=job.seed, **options)


def train(
    model: keras.Model,
    setup: Setup,
    job: Job,
    epochs: int,
    backup: Path,
    *,
    report: Callable[[dict[str, Any]], None],
    first_epoch: int = 0,
    watch: CapacitanceCallback | None = None,
    over: Callable[[], bool] | None = None,
) -> None:
    """Train up to an epoch; see `edgedyn.nn.training.finetune.finetune`."""
    measures, training = job.settings.capacitance.measures, job.settings.training
    finetune(
        model,
        setup.data,
        epochs=epochs,
        backup=backup,
        report=report,
        first_epoch=first_epoch,
        batch_size=training.batch_size,
        seed=job.seed,
        augmentation=recipe.augmentation(training, job.seed),
        class_weight=recipe.class_weights(training, setup.data.train.y, setup.data.n_classes),
        watch=watch,
        over=over,
        measure=None if measures is None else factory(measures),
    )


def test_accuracy(model: keras.Model, setup: Setup, job: Job) -> float:
    """Return the accuracy on the test images."""
    correct, _ = Judge(setup.data.test, job.settings.training.batch_size)(model)
    return float(correct.mean())


def save(model: keras.Model, path: Path) -> None:
    """Save a whole model under its name only when it is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.stem}-unfinished.keras")
    try:
        model.save(unfinished, include_optimizer=False)
        sync(unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def scores(setup: Setup, names: Sequence[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Return training-free scores of the candidate, higher being better, and what each took."""
    from edgedyn.nn.scores.transferability import MEASURES, transfer_scores
    from edgedyn.nn.scores.zero_cost import zero_cost
    from edgedyn.predict.methods import method_named

    train = setup.data.train
    values: dict[str, float] = {}
    seconds: dict[str, float] = {}
    if any(name in MEASURES for name in names):
        headed = setup.model if _softmax(setup.model) else setup.backbone
        source = "auto" if headed is setup.model else "none"
        began = perf_counter()
        found = transfer_scores(headed, train.x, train.y, source_head=source)
        took = perf_counter() - began
        for name in names:
            if name in MEASURES:
                values[name], seconds[name] = float(getattr(found, name)), took
    proxies = [name for name in names if name not in MEASURES]
    if proxies:
        n_classes = setup.data.n_classes
        head = detach_probe(attach_probe(setup.backbone, n_classes, seed=0), n_classes, seed=0)
        first = train.first(min(SCORED_SAMPLES, len(train)))
        loss = "sparse_categorical_crossentropy"
        costs = zero_cost(head, first.x, first.y, proxies=proxies, loss=loss)
        for name in proxies:  # those of which lower is better change sign
            sign = 1.0 if method_named(name).higher_is_better else -1.0
            values[name], seconds[name] = sign * float(costs[name]), costs.seconds[name]
    return values, seconds


def _softmax(model: keras.Model) -> bool:
    """Tell whether a model ends in a softmax."""
    return getattr(model.layers[-1], "activation", None) is keras.activations.softmax


def peak_memory() -> float:
    """Return the most memory this process has held, in MiB; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kib / (1024 * 1024 if sys.platform == "darwin" else 1024)


def check_names(job: Job) -> None:
    """Seek every candidate's builder, the optimiser and the initialiser."""
    recipe.optimizer(job.settings.training, 1)
    keras.initializers.get(job.settings.probe.initializer)
    for name in job.functions:
        factory(name)
    for name in job.backbones:
        known_name(name)


def check(job: Job) -> dict[str, Any]:
    """Seek all builders, load all data and decode every image; errors say what is missing."""
    check_names(job)
    return check_data(job)


def check_data(job: Job) -> dict[str, Any]:
    """Load all data and decode every image."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", UserWarning)
        sizes = [dataset(replace(job, n_train=n)) for n in job.n_trains]
    if sizes[0].origin is not None and job.cache:
        sizes[0].origin.check_files(Path(job.cache))
    return {
        "source_fingerprint": source(sizes[0], job),
        "notes": list(dict.fromkeys(str(one.message) for one in seen)),
        "n_classes": sizes[0].n_classes,
        "n_validation": len(sizes[0].validation),
        "n_test": len(sizes[0].test),
        "n_train": [len(one.train) for one in sizes],
    }
