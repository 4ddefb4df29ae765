"""Automatic differentiation by whichever framework Keras computes with, one file each.

All have the same functions; what is written with them, and with keras.ops, runs on all three.
"""

import keras

BACKENDS = ("tensorflow", "jax", "torch")

_backend = keras.backend.backend()
if _backend == "tensorflow":
    from edgedyn.nn.graph.autodiff.tensorflow import (
        compiled,
        device,
        hessian_product,
        in_doubles,
        precision,
        pull_back,
        push_forward,
    )
elif _backend == "jax":
    from edgedyn.nn.graph.autodiff.jax import (
        compiled,
        device,
        hessian_product,
        in_doubles,
        precision,
        pull_back,
        push_forward,
    )
elif _backend == "torch":
    from edgedyn.nn.graph.autodiff.torch import (
        compiled,
        device,
        hessian_product,
        in_doubles,
        precision,
        pull_back,
        push_forward,
    )
else:
    raise ImportError(
        f"edgedyn.nn differentiates with {', '.join(BACKENDS)}; got Keras backend {_backend!r}: "
        "set KERAS_BACKEND to one of them."
    )

__all__ = [
    "BACKENDS",
    "compiled",
    "device",
    "hessian_product",
    "in_doubles",
    "precision",
    "pull_back",
    "push_forward",
]
