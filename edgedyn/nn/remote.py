"""A Keras model on another machine: packed here, rebuilt and measured there."""

import os
from dataclasses import asdict
from threading import Lock
from typing import Any
from uuid import uuid4

import keras
import numpy as np
from numpy.typing import ArrayLike

from edgedyn._array import Array
from edgedyn.capacitance import Capacitance
from edgedyn.degrees import DegreeSums
from edgedyn.nn.graph.loss import OutputLoss
from edgedyn.nn.meter import CapacitanceMeter, check_samples

Packed = dict[str, Any]

# The last model that came to this process, compiled: its next parts find it here. Keras builds and
# traces in one thread at a time; TensorFlow has threads of its own.
_METERS: dict[str, CapacitanceMeter] = {}
_LOCK = Lock()
_HOME = os.getpid()


def pack(model: keras.Model, **options: Any) -> Packed:
    """Return a model with what is to be measured, as plain values and arrays.

    `options` are those of `edgedyn.nn.neural_capacitance`, whose errors are raised here.
    """
    meter = CapacitanceMeter(model, **options)
    loss = asdict(meter.loss)
    config = keras.saving.serialize_keras_object(model)
    config.pop("compile_config", None)  # the loss travels by itself, the optimizer stays
    packed = {
        "token": uuid4().hex,
        "config": config,
        "weights": model.get_weights(),
        "options": {**options, "loss": loss},
    }
    with _LOCK:
        _METERS[packed["token"]] = meter
    return packed


def check_shape(packed: Packed, shape: tuple[int, ...], dtype: Any) -> None:
    """Refuse samples of a shape that does not fit the model's input."""
    check_samples(np.zeros((1, *shape[1:]), dtype), _METERS[packed["token"]].model)


def count(packed: Packed, x: ArrayLike, y: ArrayLike) -> tuple[DegreeSums, Array | None]:
    """Return a part's sums of degrees, and its samples' classes where the loss knows them.

    RuntimeError in a process that was forked from one with TensorFlow, which would not return.
    """
    if os.getpid() != _HOME:
        raise RuntimeError(
            "TensorFlow does not survive a fork: start the processes afresh, as in "
            "ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn'))."
        )
    with _LOCK:
        meter = _meter(packed)
        x = check_samples(x, meter.model)
        outputs = meter.model.outputs[0].shape[-1]
        targets = meter.loss.part_of_targets(y, len(x), outputs, meter.graph.dtype)
        return meter.count(x, targets), meter.loss.classes(targets)


def form(packed: Packed, sums: DegreeSums) -> Capacitance:
    """Form beta_eff where the model was packed."""
    with _LOCK:
        return _METERS[packed["token"]].form(sums)


def forget(packed: Packed) -> None:
    """Let go of a model where it was packed."""
    with _LOCK:
        _METERS.pop(packed["token"], None)


def _meter(packed: Packed) -> CapacitanceMeter:
    """Return the model's meter, rebuilt where it is not the last one."""
    token = packed["token"]
    if token not in _METERS:
        model = keras.saving.deserialize_keras_object(packed["config"])
        model.set_weights(packed["weights"])
        options = packed["options"]
        meter = CapacitanceMeter(model, **{**options, "loss": OutputLoss(**options["loss"])})
        _METERS.clear()
        _METERS[token] = meter
    return _METERS[token]
