"""The neural capacitance of Keras models: backbones, data sets, the probe, beta_eff, the callback.

The only room that imports keras and tensorflow; without them it says which extra to install.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if any(find_spec(name) is None for name in ("tensorflow", "keras")):
    raise ImportError(
        "edgedyn.nn needs TensorFlow; install it with the extra 'tf': pip install 'edgedyn[tf]'."
    )

if TYPE_CHECKING:
    from edgedyn.nn.backbones import backbone, list_backbones
    from edgedyn.nn.callback import CapacitanceCallback
    from edgedyn.nn.capacitance import neural_capacitance
    from edgedyn.nn.datasets import load_dataset
    from edgedyn.nn.nas import nas201
    from edgedyn.nn.nas_table import load_nas_table
    from edgedyn.nn.probe import attach_probe, detach_probe
    from edgedyn.nn.proxies import zero_cost
    from edgedyn.nn.strengths import interaction
    from edgedyn.nn.transfer import transfer_scores

_HOME = {
    "CapacitanceCallback": "callback",
    "attach_probe": "probe",
    "backbone": "backbones",
    "detach_probe": "probe",
    "interaction": "strengths",
    "list_backbones": "backbones",
    "load_dataset": "datasets",
    "load_nas_table": "nas_table",
    "nas201": "nas",
    "neural_capacitance": "capacitance",
    "transfer_scores": "transfer",
    "zero_cost": "proxies",
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


def __getattr__(name: str) -> Any:
    """Load the module behind a public name on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'edgedyn.nn' has no attribute {name!r}")
    value = getattr(import_module(f"edgedyn.nn.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
