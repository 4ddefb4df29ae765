"""The neural capacitance of Keras models: backbones, data sets, the probe, beta_eff, the callback.

The only room that imports keras and tensorflow; without them it says which extra to install.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from edgedyn._lazy import attach

if any(find_spec(name) is None for name in ("tensorflow", "keras")):
    raise ImportError(
        "edgedyn.nn needs TensorFlow; install it with the extra 'tf': pip install 'edgedyn[tf]'."
    )

if TYPE_CHECKING:
    from edgedyn.measure import neural_capacitance
    from edgedyn.nn.backbones import backbone, list_backbones
    from edgedyn.nn.callback import CapacitanceCallback
    from edgedyn.nn.datasets import load_dataset
    from edgedyn.nn.nas import nas201
    from edgedyn.nn.nas_table import load_nas_table
    from edgedyn.nn.probe import attach_probe, detach_probe
    from edgedyn.nn.proxies import zero_cost
    from edgedyn.nn.strengths import interaction
    from edgedyn.nn.transfer import transfer_scores

_HOME = {
    "CapacitanceCallback": "edgedyn.nn.callback",
    "attach_probe": "edgedyn.nn.probe",
    "backbone": "edgedyn.nn.backbones",
    "detach_probe": "edgedyn.nn.probe",
    "interaction": "edgedyn.nn.strengths",
    "list_backbones": "edgedyn.nn.backbones",
    "load_dataset": "edgedyn.nn.datasets",
    "load_nas_table": "edgedyn.nn.nas_table",
    "nas201": "edgedyn.nn.nas",
    "neural_capacitance": "edgedyn.measure",
    "transfer_scores": "edgedyn.nn.transfer",
    "zero_cost": "edgedyn.nn.proxies",
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

__getattr__, __dir__ = attach(__name__, _HOME)
