"""Addresses of arrays, for native code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

# NumPy's `PyArrayObject` is Python's object header with the address of the data behind it. Every
# extension module is compiled with that, and it is ten times faster than `array.ctypes.data`.
_HEADER_BYTES = object.__basicsize__
_read = ctypes.c_void_p.from_address


def _in_header(array: np.ndarray) -> int:
    return _read(id(array) + _HEADER_BYTES).value or 0


def _asked(array: np.ndarray) -> int:
    return array.ctypes.data


def _quickest() -> Callable[[np.ndarray], int]:
    """The quick way, if it gives what NumPy says of arrays at several places."""
    whole = np.zeros(4096, np.uint8)
    parts = whole[17:], whole[64:128].reshape(8, 8)
    arrays: list[np.ndarray] = [whole, *parts, np.empty(0), np.array(1.0)]
    return _in_header if all(_in_header(x) == _asked(x) for x in arrays) else _asked


# Not for subclasses of arrays, and only while the array lives.
address = _quickest()
