"""Numbers and lists as arrays, where they stand beside tensors; and inputs in error messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from myad.errors import DTypeError


def as_constant(x: Any, dtypes: Iterable[np.dtype] = ()) -> np.ndarray:
    """`x` as an array; a Python number takes the first of `dtypes` that can hold its kind.

    Raises: DTypeError for what is no array of numbers.
    """
    if isinstance(x, int | float) and not isinstance(x, np.generic):
        kinds = _WEAK[type(x) is float, type(x) is bool]
        for dtype in dtypes:
            if dtype.kind in kinds:
                return as_weak(x, dtype)
    try:
        array = np.asarray(x)
    except ValueError:  # lists of unequal lengths
        array = np.empty((), object)
    if array.dtype.kind not in "fiubc":
        raise DTypeError(f"{x!r:.80} is neither a tensor, nor an array, nor a number.")
    return array


# by whether it is a float and whether it is a bool: the kinds of dtypes that a number takes on
_WEAK = {(True, False): "fc", (False, False): "fciu", (False, True): "fciub"}


def as_weak(x: Any, dtype: np.dtype) -> np.ndarray:
    """The Python number `x` in `dtype`. Raises DTypeError if it does not fit."""
    try:
        return np.asarray(x, dtype=dtype)
    except OverflowError:
        raise DTypeError(f"{x} is out of the range of {dtype}; use astype().") from None


def describe(*values: Any) -> str:
    """Shapes and dtypes of the inputs, one indented line each, for error messages."""
    return "".join(f"\n  input {i}: {tuple(v.shape)} {v.dtype}" for i, v in enumerate(values))
