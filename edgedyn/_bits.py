"""Bits, one a sample, as short text that JSON can hold."""

from base64 import b64decode, b64encode
from binascii import Error

import numpy as np
from numpy.typing import ArrayLike, NDArray


def pack_bits(bits: ArrayLike) -> str:
    """Return ``n:`` and the base64 of n bits, eight a byte."""
    flat = np.asarray(bits, bool)
    return f"{len(flat)}:{b64encode(np.packbits(flat).tobytes()).decode()}"


def unpack_bits(text: str) -> NDArray[np.bool_]:
    """Return the bits that `pack_bits` wrote; for anything else: a ValueError."""
    count, _, code = text.partition(":")
    try:
        n = int(count)
        packed = np.frombuffer(b64decode(code, validate=True), np.uint8)
    except (ValueError, Error):
        raise ValueError(f"{text[:40]!r} is no list of bits.") from None
    if n < 0 or len(packed) != (n + 7) // 8:
        raise ValueError(f"{text[:40]!r} is no list of {n} bits.")
    return np.unpackbits(packed, count=n).astype(bool)
