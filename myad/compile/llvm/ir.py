"""LLVM's names: of types, constants and conversions."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

import numpy as np

from myad.compile.dtypes import BYTES, FLOATS, KIND, TABLE

TYPES = {row.name: row.llvm for row in TABLE}
MEMORY = {**TYPES, "bool": "i8"}
FAST = "nsz arcp contract reassoc afn"
# Products of several factors keep their order, and quotients are not products with a reciprocal:
# both may leave the range of exponents on the way, where eager code does not.
CAREFUL = "nsz contract"


def type_of(dtype: str, lanes: int, names: dict[str, str] = TYPES) -> str:
    """LLVM's name of a scalar or vector type."""
    return names[dtype] if lanes == 1 else f"<{lanes} x {names[dtype]}>"


def suffix_of(dtype: str, lanes: int) -> str:
    """LLVM's mangling of a type in intrinsic names, as in v16f32."""
    scalar = dtype if dtype in FLOATS else MEMORY[dtype]
    return scalar if lanes == 1 else f"v{lanes}{scalar}"


def literal(value: float, dtype: str) -> str:
    """A scalar constant; floats as their exact bits."""
    if dtype == "bool":
        return "true" if value else "false"
    if dtype not in FLOATS:
        return str(np.asarray(int(value)).astype(f"i{BYTES[dtype]}"))
    if dtype == "f32":  # LLVM wants a float constant as a double that is exactly that float
        value = _as_float32(value)
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def _as_float32(value: float) -> float:
    try:
        return float(struct.unpack("<f", struct.pack("<f", value))[0])
    except OverflowError:
        return math.copysign(math.inf, value)


def vector(values: Sequence[float], dtype: str) -> str:
    """A vector constant."""
    kind, first = TYPES[dtype], values[0]
    if all(value is first for value in values):
        if first == 0 and math.copysign(1, first) > 0:
            return "zeroinitializer"
        return f"<{', '.join([f'{kind} {literal(first, dtype)}'] * len(values))}>"
    return f"<{', '.join([f'{kind} {literal(value, dtype)}' for value in values])}>"


def conversion(old: str, new: str) -> list[tuple[str, str]]:
    """LLVM's words for a conversion, each with the type it gives; none if the bits stay.

    Floats that the integer cannot hold give what NumPy gives on x86-64 up to the sign bit of 64
    bits: the lowest bits of the next wider integer. Beyond that, as in NumPy, anything.
    """
    if old in FLOATS and new in FLOATS:
        return [("fpext" if new == "f64" else "fptrunc", new)]
    if old in FLOATS:
        if new == "u64":
            return [("fptoui", new)]
        wide = "i64" if new in ("u32", "i64") else "i32"
        return [("fptosi", wide), *conversion(wide, new)]
    if new in FLOATS:
        return [("sitofp" if KIND[old] == "signed" else "uitofp", new)]
    if old == "bool":
        return [("zext", new)]
    if BYTES[old] == BYTES[new]:
        return []
    wider = "sext" if KIND[old] == "signed" else "zext"
    return [("trunc" if BYTES[new] < BYTES[old] else wider, new)]


class Declarations:
    """The functions that a module's code calls: name -> LLVM's declaration or definition."""

    def __init__(self) -> None:
        self.lines: dict[str, str] = {}

    def need(self, name: str, source: str) -> None:
        """Declare or define `name`, once."""
        self.lines.setdefault(name, source)

    def intrinsic(self, name: str, kind: str, arguments: int, suffix: str) -> str:
        """Declare `llvm.<name>.<suffix>` of `arguments` operands of type `kind`; its name."""
        full = f"@llvm.{name}.{suffix}"
        operands = ", ".join([kind] * arguments)
        self.need(full, f"declare {kind} {full}({operands})")
        return full
