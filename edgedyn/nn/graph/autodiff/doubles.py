"""Double precision on JAX and PyTorch, where Keras' type promotion makes singles of doubles."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import RLock
from typing import Any

import keras
from keras.src.backend.common import dtypes

_guard = RLock()


@contextmanager
def kept_doubles() -> Iterator[None]:
    """Let operations of doubles give doubles; in one thread at a time: Keras has one table."""
    table = dtypes.BIT64_TO_BIT32_DTYPE
    with _guard:
        before = table["float64"]
        table["float64"] = "float64"
        try:
            yield
        finally:
            table["float64"] = before


def precision_of(tensors: Sequence[Any]) -> AbstractContextManager[None]:
    """Keep doubles where any of these are some: singles must not become doubles by a constant."""
    found = any(keras.backend.standardize_dtype(t.dtype) == "float64" for t in tensors)
    return kept_doubles() if found else nullcontext()
