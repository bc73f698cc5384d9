"""The element types of compiled code, one row each, and which operations each of them has.

Every stage reads this table: traces and buffers for what can be held, kernels for identities, the
interpreter for NumPy's type, the renderer for LLVM's. An operation of a type that has no row in
`SUPPORT` is refused by name before anything is compiled.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np


class DType(NamedTuple):
    """One element type: its short name, as in the loop code, NumPy's, its kind and LLVM's name.

    LLVM computes with booleans of one bit and keeps them in memory as bytes.
    """

    name: str
    numpy: Any
    kind: str
    llvm: str


TABLE = (
    DType("f32", np.float32, "float", "float"),
    DType("f64", np.float64, "float", "double"),
    DType("i8", np.int8, "signed", "i8"),
    DType("i16", np.int16, "signed", "i16"),
    DType("i32", np.int32, "signed", "i32"),
    DType("i64", np.int64, "signed", "i64"),
    DType("u8", np.uint8, "unsigned", "i8"),
    DType("u16", np.uint16, "unsigned", "i16"),
    DType("u32", np.uint32, "unsigned", "i32"),
    DType("u64", np.uint64, "unsigned", "i64"),
    DType("bool", np.bool_, "bool", "i1"),
)
DTYPES: dict[str, Any] = {row.name: row.numpy for row in TABLE}
BYTES = {row.name: np.dtype(row.numpy).itemsize for row in TABLE}
KIND = {row.name: row.kind for row in TABLE}
FLOATS = tuple(row.name for row in TABLE if row.kind == "float")
NAMES = {np.dtype(row.numpy).name: row.name for row in TABLE}  # NumPy's name -> ours

_NUMBERS = ("float", "signed", "unsigned")
_WHOLE = ("signed", "unsigned")
_ALL = (*_NUMBERS, "bool")
SUPPORT: dict[str, tuple[str, ...]] = {  # operation -> kinds of its operands
    **dict.fromkeys(("add", "sub", "mul", "rem", "max", "min", "pow", "neg"), _NUMBERS),
    **dict.fromkeys(
        ("div", "fma", "floor", "exp", "log", "sqrt", "sin", "cos", "tanh"), ("float",)
    ),
    "abs": ("float", "signed"),
    **dict.fromkeys(("lt", "le", "gt", "ge", "eq", "ne", "select", "cast"), _ALL),
    **dict.fromkeys(("and", "or", "xor"), (*_WHOLE, "bool")),
    **dict.fromkeys(("shr", "shl"), _WHOLE),
    "not": ("bool",),
}
# What NumPy does to booleans under these names: sums and maxima are "or", products "and".
BOOLEAN = {"add": "or", "max": "or", "mul": "and", "min": "and"}


def identity(combine: str, dtype: str) -> float | int | bool:
    """The start of a reduction with "add", "max" or "min": what changes no value of `dtype`."""
    if combine == "add":
        return 0.0 if dtype in FLOATS else 0
    if dtype in FLOATS:
        return -math.inf if combine == "max" else math.inf
    if dtype == "bool":
        return combine == "min"
    limits = np.iinfo(DTYPES[dtype])
    return int(limits.min if combine == "max" else limits.max)


def converted(value: float, old: str, new: str) -> float:
    """A constant of type `old` as one of type `new`."""
    with np.errstate(all="ignore"):
        return np.asarray(value, DTYPES[old]).astype(DTYPES[new]).item()


def native(array: Any) -> np.ndarray:
    """`array` in this machine's byte order, C-contiguous and aligned; a copy only if it is not."""
    array = np.asarray(array)
    flags = array.flags
    if flags.c_contiguous and flags.aligned and array.dtype.isnative:
        return array  # at every call of a compiled function: `require` takes ten times as long
    return np.require(array, array.dtype.newbyteorder("="), ["C", "A"])
