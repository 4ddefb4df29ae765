"""Precision of the Keras models that tests build; which tests run under which Keras backend."""

from contextlib import nullcontext
from importlib.util import find_spec

import pytest

if find_spec("keras") is not None:
    import keras

    BACKEND = keras.backend.backend()
else:
    BACKEND = ""
if BACKEND == "jax":
    import jax

    jax.config.update("jax_enable_x64", True)  # the tests' networks are in double precision
if BACKEND == "torch":
    import torch

    plain = torch.Tensor.__array__
    # Results that could be differentiated become arrays as under the other backends.
    torch.Tensor.__array__ = lambda self, *options, **more: plain(self.detach(), *options)


def pytest_collection_modifyitems(items):
    """Skip what is compared with an oracle in TensorFlow where Keras has another backend.

    The same networks under all backends are compared with one another by test_backends.py.
    """
    if BACKEND in ("", "tensorflow"):
        return
    skip = pytest.mark.skip(reason="its oracle is TensorFlow, which computes this model only then")
    for item in items:
        if item.get_closest_marker("tensorflow_oracle"):
            item.add_marker(skip)


@pytest.fixture
def float64():
    """Build models in float64: the layers' policy is kept apart from the default dtype."""
    pytest.importorskip("keras")
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    with _kept_doubles():
        yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


def _kept_doubles():
    """Let Keras' own operations, which oracles use, keep doubles, too."""
    if BACKEND in ("", "tensorflow"):
        return nullcontext()
    from edgedyn.nn.graph.autodiff.doubles import kept_doubles

    return kept_doubles()
