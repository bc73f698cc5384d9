"""LLVM's names: of types, constants and conversions."""

from __future__ import annotations

import struct

from myad.compile.dtypes import BYTES, FLOATS

TYPES = {"f32": "float", "f64": "double", "i32": "i32", "u32": "i32", "u8": "i8", "bool": "i1",
         "i64": "i64"}  # fmt: skip
MEMORY = {**TYPES, "bool": "i8"}
FAST = "nsz arcp contract reassoc afn"


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
        return str(int(value))
    if dtype == "f32":  # LLVM wants a float constant as a double that is exactly that float
        value = struct.unpack("<f", struct.pack("<f", value))[0] if abs(value) < 3.4e38 else value
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


def vector(values: list[float], dtype: str) -> str:
    """A vector constant."""
    return "<" + ", ".join(f"{TYPES[dtype]} {literal(v, dtype)}" for v in values) + ">"


def conversion(old: str, new: str) -> str | None:
    """LLVM's word for a conversion, None if the bits stay as they are."""
    if old in FLOATS and new in FLOATS:
        return "fpext" if new == "f64" else "fptrunc"
    if old in FLOATS:
        return "fptoui" if new in ("u32", "u8") else "fptosi"
    if new in FLOATS:
        return "sitofp" if old == "i32" else "uitofp"
    if BYTES[old] == BYTES[new] and "bool" not in (old, new):
        return None
    return "trunc" if BYTES[new] < BYTES[old] else "zext"


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
