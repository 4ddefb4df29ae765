"""Automatic differentiation by whichever framework Keras computes with, one file each.

All have the same functions; what is written with them, and with keras.ops, runs on all three.
"""

from importlib import import_module

import keras

BACKENDS = ("tensorflow", "jax", "torch")

_backend = keras.backend.backend()
if _backend not in BACKENDS:
    raise ImportError(
        f"edgedyn.nn differentiates with {', '.join(BACKENDS)}; got Keras backend {_backend!r}: "
        "set KERAS_BACKEND to one of them."
    )
_own = import_module(f"{__name__}.{_backend}")

Tally = _own.Tally
added = _own.added
compiled = _own.compiled
device = _own.device
hessian_product = _own.hessian_product
in_doubles = _own.in_doubles
precision = _own.precision
pull_back = _own.pull_back
push_forward = _own.push_forward
