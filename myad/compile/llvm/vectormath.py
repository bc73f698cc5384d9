"""Vector functions as LLVM IR, where the system's library knows only scalars.

`exp`: x = n·ln 2 + r with |r| ≤ ln 2 / 2, e^r by a polynomial, times 2^n in two factors so that
overflow gives infinity and underflow gives subnormals. Largest error against the exact value: 2
units in the last place (a test measures it over the whole range).
Sources: the reduction and float32 polynomial are those of Cephes (Moshier 1989, expf.c); the
float64 polynomial is Taylor's to degree 13, whose remainder is below 1e-17 on that interval.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from myad.compile.dtypes import BYTES
from myad.compile.llvm.trigonometry import cos, sin

_EXP: dict[str, dict[str, Any]] = {
    "f32": {
        "low": -104.0, "high": 89.0, "ln2_high": 0.693359375, "ln2_low": -2.12194440e-4,
        # e^r = 1 + r + r²·P(r), highest coefficient first
        "poly": [1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2,
                 1.6666665459e-1, 5.0000001201e-1],
        "int": "i32", "bits": 23, "bias": 127, "float": "float",
    },
    "f64": {
        "low": -746.0, "high": 710.0, "ln2_high": 6.93145751953125e-1,
        "ln2_low": 1.42860682030941723212e-6,
        "poly": [1 / math.factorial(k) for k in range(13, 1, -1)],
        "int": "i64", "bits": 52, "bias": 1023, "float": "double",
    },
}  # fmt: skip


def _number(value: float, dtype: str) -> str:
    if dtype == "f32":
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class _Text:
    """LLVM's types and constants for `lanes` numbers of `dtype`."""

    def __init__(self, dtype: str, lanes: int) -> None:
        table = _EXP[dtype]
        self.dtype, self.lanes = dtype, lanes
        self.scalar, self.scalar_int = table["float"], table["int"]
        self.kind, self.whole, self.mask = map(self._wide, (self.scalar, self.scalar_int, "i1"))
        self.suffix = dtype if lanes == 1 else f"v{lanes}{dtype}"

    def _wide(self, scalar: str) -> str:
        return scalar if self.lanes == 1 else f"<{self.lanes} x {scalar}>"

    def _all(self, scalar: str, constant: str) -> str:
        if self.lanes == 1:
            return constant
        return "<" + ", ".join([f"{scalar} {constant}"] * self.lanes) + ">"

    def number(self, value: float) -> str:
        return self._all(self.scalar, _number(value, self.dtype))

    def integer(self, value: int) -> str:
        return self._all(self.scalar_int, str(value))


def exp(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The name of e^x for `lanes` numbers of `dtype`, and the LLVM IR it needs, by name."""
    c, t = _EXP[dtype], _Text(dtype, lanes)
    kind, number = t.kind, t.number
    fma, rint = f"@llvm.fma.{t.suffix}", f"@llvm.rint.{t.suffix}"
    name = f"@exp.{t.suffix}"
    lines = [
        f"define internal {kind} {name}({kind} %x) alwaysinline #0 {{",
        # A NaN passes through the comparisons as 0 and is put back at the end.
        f" %nan = fcmp uno {kind} %x, %x",
        f" %x0 = select {t.mask} %nan, {kind} {number(0)}, {kind} %x",
        f" %up = fcmp ogt {kind} %x0, {number(c['high'])}",
        f" %x1 = select {t.mask} %up, {kind} {number(c['high'])}, {kind} %x0",
        f" %down = fcmp olt {kind} %x1, {number(c['low'])}",
        f" %x2 = select {t.mask} %down, {kind} {number(c['low'])}, {kind} %x1",
        f" %scaled = fmul {kind} %x2, {number(1 / math.log(2))}",
        f" %n = call {kind} {rint}({kind} %scaled)",
        f" %minus = fneg {kind} %n",
        f" %r0 = call {kind} {fma}({kind} %minus, {kind} {number(c['ln2_high'])}, {kind} %x2)",
        f" %r = call {kind} {fma}({kind} %minus, {kind} {number(c['ln2_low'])}, {kind} %r0)",
        *_polynomial(c["poly"], t, fma),
        *_scaled(c, t),
        "}",
    ]
    return name, {
        name: "\n".join(lines),
        fma: f"declare {kind} {fma}({kind}, {kind}, {kind})",
        rint: f"declare {kind} {rint}({kind})",
    }


def _polynomial(coefficients: list[float], t: _Text, fma: str) -> list[str]:
    """%e = 1 + r + r²·P(r), by Horner's rule."""
    lines, previous = [], t.number(coefficients[0])
    for k, coefficient in enumerate(coefficients[1:]):
        operands = f"{t.kind} {previous}, {t.kind} %r, {t.kind} {t.number(coefficient)}"
        lines.append(f" %p{k} = call {t.kind} {fma}({operands})")
        previous = f"%p{k}"
    return [
        *lines,
        f" %r2 = fmul {t.kind} %r, %r",
        f" %tail = call {t.kind} {fma}({t.kind} {previous}, {t.kind} %r2, {t.kind} %r)",
        f" %e = fadd {t.kind} %tail, {t.number(1)}",
    ]


def _scaled(c: dict[str, Any], t: _Text) -> list[str]:
    """%y = %e·2ⁿ as (e·2^⌊n/2⌋)·2^(n−⌊n/2⌋): neither factor leaves the range of exponents."""
    lines = [
        f" %whole = fptosi {t.kind} %n to {t.whole}",
        f" %half = ashr {t.whole} %whole, {t.integer(1)}",
        f" %rest = sub {t.whole} %whole, %half",
    ]
    for name in ("half", "rest"):
        lines += [
            f" %{name}.biased = add {t.whole} %{name}, {t.integer(c['bias'])}",
            f" %{name}.bits = shl {t.whole} %{name}.biased, {t.integer(c['bits'])}",
            f" %{name}.factor = bitcast {t.whole} %{name}.bits to {t.kind}",
        ]
    return [
        *lines,
        f" %y0 = fmul {t.kind} %e, %half.factor",
        f" %y1 = fmul {t.kind} %y0, %rest.factor",
        f" %y = select {t.mask} %nan, {t.kind} %x, {t.kind} %y1",
        f" ret {t.kind} %y",
    ]


def whole_power(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The name of x^y for integers, by squaring modulo 2^bits, and the LLVM IR it needs.

    A negative exponent, which NumPy refuses, counts as the unsigned number of the same bits.
    """
    bits = 8 * BYTES[dtype]
    scalar = f"i{bits}"
    kind = scalar if lanes == 1 else f"<{lanes} x {scalar}>"
    mask = "i1" if lanes == 1 else f"<{lanes} x i1>"
    one = "1" if lanes == 1 else "<" + ", ".join([f"{scalar} 1"] * lanes) + ">"
    name = f"@power.v{lanes}{scalar}"
    source = f"""define internal {kind} {name}({kind} %x, {kind} %y) #0 {{
entry:
 br label %turn
turn:
 %n = phi i32 [0, %entry], [%n.next, %turn]
 %z = phi {kind} [{one}, %entry], [%z.next, %turn]
 %b = phi {kind} [%x, %entry], [%b.next, %turn]
 %e = phi {kind} [%y, %entry], [%e.next, %turn]
 %odd = trunc {kind} %e to {mask}
 %factor = select {mask} %odd, {kind} %b, {kind} {one}
 %z.next = mul {kind} %z, %factor
 %b.next = mul {kind} %b, %b
 %e.next = lshr {kind} %e, {one}
 %n.next = add i32 %n, 1
 %go = icmp ult i32 %n.next, {bits}
 br i1 %go, label %turn, label %done
done:
 ret {kind} %z.next
}}"""
    return name, {name: source}


VECTOR_FUNCTIONS: dict[str, Callable[[str, int], tuple[str, dict[str, str]]]] = {
    "exp": exp, "sin": sin, "cos": cos,
}  # fmt: skip
