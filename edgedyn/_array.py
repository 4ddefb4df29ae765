"""What functions take and return: numpy arrays, whose shapes and types their docstrings say."""

from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]
