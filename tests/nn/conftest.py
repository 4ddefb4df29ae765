"""Precision of the Keras models that tests build."""

import pytest


@pytest.fixture
def float64():
    """Build models in float64: the layers' policy is kept apart from the default dtype."""
    keras = pytest.importorskip("keras")
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
