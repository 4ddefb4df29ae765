"""The neural capacitance of Keras models: backbones, data sets, the probe, beta_eff, the callback.

The only room that imports keras and the framework below it, which ``KERAS_BACKEND`` names; without
them it says which extra to install.

A seed decides splits, samples and the order of batches by numpy, alike under all frameworks.
Initial weights, dropout and augmentation are drawn by Keras' own generators, which give other
numbers under each: one seed repeats a training under one framework and is another run under
another.
"""

import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgedyn._lazy import attach

_EXTRAS = {"tensorflow": "tf", "jax": "jax", "torch": "torch"}
_installed = [name for name in _EXTRAS if find_spec(name) is not None]
if not _installed or find_spec("keras") is None:
    raise ImportError(
        "edgedyn.nn needs Keras with TensorFlow, JAX or PyTorch; install one of the extras 'tf', "
        "'jax' and 'torch': pip install 'edgedyn[tf]'."
    )
_wanted = os.environ.get("KERAS_BACKEND")
if _wanted in _EXTRAS and _wanted not in _installed:
    raise ImportError(
        f"KERAS_BACKEND is {_wanted!r}, which is not installed; install the extra "
        f"{_EXTRAS[_wanted]!r} (pip install 'edgedyn[{_EXTRAS[_wanted]}]'), or set it to "
        f"{' or '.join(map(repr, _installed))}."
    )
if _wanted is None and "tensorflow" not in _installed and "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = _installed[0]  # Keras would ask for TensorFlow

if TYPE_CHECKING:
    from edgedyn.measure import neural_capacitance
    from edgedyn.nn.callback import CapacitanceCallback
    from edgedyn.nn.data.datasets import load_dataset
    from edgedyn.nn.data.nas_table import load_nas_table
    from edgedyn.nn.models.backbones import backbone, list_backbones
    from edgedyn.nn.models.nas import nas201
    from edgedyn.nn.models.probe import attach_probe, detach_probe
    from edgedyn.nn.scores.transferability import transfer_scores
    from edgedyn.nn.scores.zero_cost import zero_cost
    from edgedyn.nn.strengths import interaction

_HOME = {
    "CapacitanceCallback": "edgedyn.nn.callback",
    "attach_probe": "edgedyn.nn.models.probe",
    "backbone": "edgedyn.nn.models.backbones",
    "detach_probe": "edgedyn.nn.models.probe",
    "interaction": "edgedyn.nn.strengths",
    "list_backbones": "edgedyn.nn.models.backbones",
    "load_dataset": "edgedyn.nn.data.datasets",
    "load_nas_table": "edgedyn.nn.data.nas_table",
    "nas201": "edgedyn.nn.models.nas",
    "neural_capacitance": "edgedyn.measure",
    "transfer_scores": "edgedyn.nn.scores.transferability",
    "zero_cost": "edgedyn.nn.scores.zero_cost",
}

__all__ = [
    "CapacitanceCallback",
    "attach_probe",
    "backbone",
    "detach_probe",
    "interaction",
    "list_backbones",
    "load_dataset",
    "load_nas_table",
    "nas201",
    "neural_capacitance",
    "transfer_scores",
    "zero_cost",
]

if not TYPE_CHECKING:  # else every misspelt name would have a type
    __getattr__, __dir__ = attach(__name__, _HOME)
