"""The element types of compiled code: their short names, as in the loop code, and NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np

DTYPES: dict[str, Any] = {
    "f32": np.float32, "f64": np.float64, "i32": np.int32, "u32": np.uint32, "i64": np.int64,
    "u8": np.uint8, "bool": np.bool_,
}  # fmt: skip
BYTES = {name: np.dtype(dtype).itemsize for name, dtype in DTYPES.items()}
FLOATS = ("f32", "f64")
