"""Functions of vectors being written as LLVM IR: types, constants, and what several of them use."""

from __future__ import annotations

from myad.compile.dtypes import BYTES
from myad.compile.llvm.ir import literal
from myad.compile.llvm.native import processor

# integers as long as the floats, bits of the fraction, bias of the exponent
_BITS = {"f32": ("float", "i32", 23, 127), "f64": ("double", "i64", 52, 1023)}


class Text:
    """LLVM's types and constants for `lanes` numbers of `dtype`."""

    def __init__(self, dtype: str, lanes: int) -> None:
        self.dtype, self.lanes = dtype, lanes
        self.scalar, self.scalar_int, self.fraction, self.bias = _BITS[dtype]
        self.kind, self.whole, self.mask = map(self._wide, (self.scalar, self.scalar_int, "i1"))
        self.suffix = dtype if lanes == 1 else f"v{lanes}{dtype}"
        self.fma = f"@llvm.fma.{self.suffix}"

    @property
    def can_scale(self) -> bool:
        """Whether these vectors are a register of AVX-512, and the processor has that."""
        return self.lanes * BYTES[self.dtype] == 64 and processor().has("avx512f")

    @property
    def scale(self) -> str:
        """The name of x·2^⌊y⌋, without leaving the range of exponents on the way."""
        return f"@llvm.x86.avx512.mask.scalef.p{'s' if self.dtype == 'f32' else 'd'}.512"

    def _wide(self, scalar: str) -> str:
        return scalar if self.lanes == 1 else f"<{self.lanes} x {scalar}>"

    def _all(self, scalar: str, constant: str) -> str:
        if self.lanes == 1:
            return constant
        return "<" + ", ".join([f"{scalar} {constant}"] * self.lanes) + ">"

    def number(self, value: float) -> str:
        return self._all(self.scalar, literal(value, self.dtype))

    def integer(self, value: int) -> str:
        return self._all(self.scalar_int, str(value))

    def fused(self, x: str, y: str, z: str) -> str:
        """x·y + z, rounded once."""
        return f"call {self.kind} {self.fma}({self.kind} {x}, {self.kind} {y}, {self.kind} {z})"

    def select(self, mask: str, yes: str, no: str) -> str:
        """`yes` in the lanes of `mask`, else `no`."""
        return f"select {self.mask} {mask}, {self.kind} {yes}, {self.kind} {no}"

    def power_of_two(self, name: str) -> list[str]:
        """%name.factor = 2ⁿ, of which %name has n in the bits of the exponent."""
        whole, one = self.whole, self.integer(self.bias << self.fraction)
        return [
            f" %{name}.bits = add {whole} %{name}, {one}",
            f" %{name}.factor = bitcast {whole} %{name}.bits to {self.kind}",
        ]

    def polynomial(self, name: str, variable: str, coefficients: list[float]) -> list[str]:
        """%name by Horner's rule, the highest coefficient first."""
        lines, value = [], self.number(coefficients[0])
        if len(coefficients) == 1:
            return [f" %{name} = fadd {self.kind} {value}, {self.number(-0.0)}"]
        for k, coefficient in reversed(list(enumerate(reversed(coefficients[1:])))):
            after = f"%{name}.{k}" if k else f"%{name}"
            lines.append(f" {after} = {self.fused(value, variable, self.number(coefficient))}")
            value = after
        return lines

    def function(self, name: str, lines: list[str], inline: bool = False) -> dict[str, str]:
        """The function `name` of %x with these lines, and what it calls."""
        how = "alwaysinline" if inline else "noinline"
        head = f"define internal {self.kind} {name}({self.kind} %x) {how} #0 {{"
        operands = ", ".join([self.kind] * 3)
        return {
            name: "\n".join([head, *lines, "}"]),
            self.fma: f"declare {self.kind} {self.fma}({operands})",
        }
