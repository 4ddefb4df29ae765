"""Fine-tuning that can be interrupted at any moment and ends with the same numbers."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from math import nan
from pathlib import Path
from time import perf_counter
from typing import Any

import keras
import numpy as np

from edgedyn._array import Array
from edgedyn._bits import pack_bits
from edgedyn.nn.callback import CapacitanceCallback
from edgedyn.nn.data.datasets import Dataset, Split
from edgedyn.nn.training.backup import EpochBackup

DRAWS = 10_000_000  # of one random layer in one epoch, at most
Report = Callable[[dict[str, Any]], None]
Measure = Callable[..., Mapping[str, float]]


def finetune(
    model: keras.Model,
    data: Dataset,
    *,
    epochs: int,
    backup: Path,
    report: Report,
    first_epoch: int = 0,
    batch_size: int = 64,
    seed: int = 0,
    augmentation: Sequence[keras.Layer] = (),
    class_weight: Mapping[int, float] | None = None,
    watch: CapacitanceCallback | None = None,
    measure: Measure | None = None,
    over: Callable[[], bool] | None = None,
) -> None:
    """Train from the last backup on, or from the beginning.

    Parameters
    ----------
    model : keras.Model
        Compiled, with the metric ``accuracy``.
    epochs : int
        At which to stop; a backup of so many epochs leaves nothing to do.
    backup : Path
        Folder of the backups, see `EpochBackup`.
    report : callable
        Called after each epoch with its numbers, before the backup is made: an interruption
        between the two repeats an epoch, and loses none.
    first_epoch, seed : int
        Where training begins when there is no backup; decides each epoch's order of samples.
    augmentation : sequence of keras.Layer
        Random layers that the training images go through.
    class_weight : mapping of int to float, optional
        Of each class's samples in the training loss.
    watch : CapacitanceCallback, optional
        Measures beta_eff; absent where the probe was taken off.
    measure : callable, optional
        Called after each epoch as ``measure(model, x, y)`` with the samples of `watch`; returns
        numbers by name. One that has a parameter `features` is also given what the probe received.
    over : callable, optional
        Asked after each report whether training ends here.
    """
    with keras.device("cpu"):
        order = keras.Variable(np.arange(len(data.train)), dtype="int64", trainable=False)
    clock = _Clock(order, seed, augmentation)
    change = partial(_augmented, augmentation=augmentation) if augmentation else None
    train = data.train.batches_in(order, batch_size, change)
    judge = _Validation(data.validation, batch_size)
    saved = EpochBackup(backup, backup.parent.name)  # the trial's folder has its name
    log = _EpochLog(watch, clock, judge, report, measure, over)
    callbacks = [clock, *([] if watch is None else [watch]), judge, log, saved]
    # The pipeline shuffles.
    options: dict[str, Any] = {"class_weight": class_weight, "shuffle": False, "verbose": 0}
    model.fit(train, initial_epoch=first_epoch, epochs=epochs, callbacks=callbacks, **options)


def _augmented(x: Any, augmentation: Sequence[keras.Layer]) -> Any:
    """Return a batch of images that has gone through random layers."""
    for layer in augmentation:
        x = layer(x, training=True)
    return x


class _Clock(keras.callbacks.Callback):
    """Times an epoch's training, and makes its order and its dropout functions of its number."""

    began = 0.0
    seconds = 0.0

    def __init__(
        self, order: keras.Variable, seed: int, augmentation: Sequence[keras.Layer]
    ) -> None:
        super().__init__()
        self.order, self.seed = order, seed
        self.drawn = [state for layer in augmentation for state in layer.variables]

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras' backups leave the states of random layers out, so a resumed epoch would draw anew.
        for state in [*self.model.variables, *self.drawn]:
            if state.path.endswith("seed_generator_state"):
                seed = keras.ops.convert_to_numpy(state)[0]
                state.assign([int(seed), epoch * DRAWS])
        rng = np.random.default_rng([self.seed, epoch])
        self.order.assign(rng.permutation(self.order.shape[0]))
        self.began, self.seconds = perf_counter(), 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.seconds = perf_counter() - self.began


class Judge:
    """Judges a model on a split's images, sample by sample, which Keras' own passes hide.

    They would also set up a pass, and for `evaluate` compile it, that takes as long as the judging
    of a small split.
    """

    def __init__(self, split: Split, batch_size: int) -> None:
        self.split, self.batch_size = split, batch_size

    def __call__(self, model: keras.Model) -> tuple[Array, Array]:
        """Return which samples the model gets right, and the classes' probabilities."""
        images = self.split.images(self.batch_size)
        probabilities = np.concatenate([model.predict_on_batch(batch) for batch in images])
        # Of NaN, argmax would be the first class.
        known = np.isfinite(probabilities).all(axis=1)
        return known & (probabilities.argmax(axis=1) == self.split.y), probabilities


class _Validation(keras.callbacks.Callback):
    """Judges the model on the validation images after each epoch."""

    def __init__(self, split: Split, batch_size: int) -> None:
        super().__init__()
        self.judge = Judge(split, batch_size)
        self.correct = np.zeros(len(split), bool)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.correct, probabilities = self.judge(self.model)
        losses = keras.losses.sparse_categorical_crossentropy(self.judge.split.y, probabilities)
        if logs is not None:
            logs["val_accuracy"] = float(self.correct.mean())
            logs["val_loss"] = float(np.mean(keras.ops.convert_to_numpy(losses), dtype=float))


class _EpochLog(keras.callbacks.Callback):
    """Reports every epoch and stops a diverged run."""

    def __init__(
        self,
        watch: CapacitanceCallback | None,
        clock: _Clock,
        judge: _Validation,
        report: Report,
        measure: Measure | None,
        over: Callable[[], bool] | None,
    ) -> None:
        super().__init__()
        self.watch, self.clock, self.judge = watch, clock, judge
        self.report, self.measure, self.over = report, measure, over

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {name: float(value) for name, value in (logs or {}).items()}
        value, status, seconds = nan, "no_probe", 0.0
        if self.watch is not None:
            seen = self.watch.records[-1]
            value, status, seconds = seen.beta_eff, seen.status, seen.seconds
        own: Mapping[str, float] = {}
        if self.measure is not None and self.watch is not None:
            own = measured(self.measure, self.model, self.watch)
        diverged = not np.isfinite(logs["loss"]) or status == "diverged"
        self.report(
            {
                "epoch": epoch + 1,
                "train_loss": logs["loss"],
                "val_accuracy": logs["val_accuracy"],
                "beta_eff": value,
                "beta_status": status,
                "beta_seconds": seconds,
                "train_seconds": self.clock.seconds,
                "val_correct": pack_bits(self.judge.correct),
                "measures": {
                    "train_accuracy": logs["accuracy"],
                    "val_loss": logs["val_loss"],
                    **{str(name): float(value) for name, value in own.items()},
                },
                "diverged": diverged,
            }
        )
        if diverged or (self.over is not None and self.over()):
            self.model.stop_training = True


def measured(
    measure: Measure, model: keras.Model, watch: CapacitanceCallback
) -> Mapping[str, float]:
    """Call a function of the user's own, with the probe's features if it asks for them."""
    if "features" not in signature(measure).parameters:
        return measure(model, watch.x, watch.y)
    if watch.features is None:  # the run has diverged, or the scope is the network
        return {}
    return measure(model, watch.x, watch.y, features=watch.features)
