"""Sine and cosine of vectors as LLVM IR, where the system's library knows only scalars.

|x| = n·π/2 + r with |r| ≤ 0.8, then ± sin r or ± cos r by a polynomial; n mod 4 says which.
π/2 is
subtracted in three parts (Cody & Waite 1980) by fused multiply-adds. Larger numbers than those for
which n is small enough, NaN and infinity are left to the library.
Largest error: 1.5 units in the last place for float32, 2.5 for float64 (a test measures it).
Sources: the parts for float64 are those of fdlibm (e_rem_pio2.c), 33 bits each, and its polynomials
are Taylor's; the polynomials for float32 are those of Cephes (Moshier 1989, sinf.c).
"""

from __future__ import annotations

import math
import struct
from typing import NamedTuple


class _Numbers(NamedTuple):
    """A float type and what is computed in it: sin r = r + r³·S(r²), cos r = 1 + r²·C(r²)."""

    scalar: str
    whole: str  # the integers of its size
    limit: float  # of |x|
    parts: tuple[float, float, float]  # of π/2
    sine: list[float]  # S, the lowest coefficient first
    cosine: list[float]  # C


def _taylor(first: int, last: int) -> list[float]:
    """± 1/k! for k = first, first + 2, … ≤ last."""
    return [(-1) ** (k // 2) / math.factorial(k) for k in range(first, last + 1, 2)]


_NUMBERS = {
    # Below 2¹⁷, n·2/π is off by less than 1/64 and the first difference is exact.
    "f32": _Numbers(
        "float", "i32", 2.0**17,
        (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
        [-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4],
        [-0.5, 4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5],
    ),
    # Below 2²⁰, n·part has no more than 53 bits.
    "f64": _Numbers(
        "double", "i64", 2.0**20,
        (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21),
        _taylor(3, 17), _taylor(2, 18),
    ),
}  # fmt: skip


def sin(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The name of sin x for `lanes` numbers of `dtype`, and the LLVM IR it needs, by name."""
    return _quarter_turns("sin", 0, dtype, lanes)


def cos(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The same for cos x, which is sin(x + π/2)."""
    return _quarter_turns("cos", 1, dtype, lanes)


def _quarter_turns(function: str, turns: int, dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    numbers = _NUMBERS[dtype]
    name, kind = f"@{function}.v{lanes}{dtype}", f"<{lanes} x {numbers.scalar}>"
    library = f"@llvm.{function}.v{lanes}{dtype}"
    whole, mask = f"<{lanes} x {numbers.whole}>", f"<{lanes} x i1>"
    fma, rint, size = (f"@llvm.{op}.v{lanes}{dtype}" for op in ("fma", "rint", "fabs"))
    some = f"@llvm.vector.reduce.or.v{lanes}i1"

    def number(value: float) -> str:
        return _all(value, numbers.scalar, lanes)

    def integer(value: int) -> str:
        return "<" + ", ".join([f"{numbers.whole} {value}"] * lanes) + ">"

    def fused(x: str, y: str, z: str) -> str:
        return f"call {kind} {fma}({kind} {x}, {kind} {y}, {kind} {z})"

    def horner(name: str, coefficients: list[float]) -> list[str]:
        """%name = the polynomial in %r2 with these coefficients."""
        lines, value = [], number(coefficients[-1])
        for k, coefficient in reversed(list(enumerate(coefficients[:-1]))):
            after = f"%{name}.{k}" if k else f"%{name}"
            lines.append(f" {after} = {fused(value, '%r2', number(coefficient))}")
            value = after
        return lines

    bits = 8 * struct.calcsize("f" if dtype == "f32" else "d")
    lines = [
        f"define internal {kind} {name}({kind} %x) noinline #0 {{",
        "entry:",
        f" %size = call {kind} {size}({kind} %x)",
        f" %far = fcmp ugt {kind} %size, {number(numbers.limit)}",  # NaN counts as far
        f" %any = call i1 {some}({mask} %far)",
        " br i1 %any, label %library, label %here",
        "library:",
        f" %slow = call {kind} {library}({kind} %x)",
        " br label %here",
        "here:",
        f" %z = phi {kind} [zeroinitializer, %entry], [%slow, %library]",
        f" %turns = fmul {kind} %size, {number(2 / math.pi)}",
        f" %n = call {kind} {rint}({kind} %turns)",
        f" %rest.1 = {fused('%n', number(-numbers.parts[0]), '%size')}",
        f" %rest.2 = {fused('%n', number(-numbers.parts[1]), '%rest.1')}",
        f" %r = {fused('%n', number(-numbers.parts[2]), '%rest.2')}",
        f" %r2 = fmul {kind} %r, %r",
        *horner("s", numbers.sine),
        f" %rs = fmul {kind} %r, %s",
        f" %sine = {fused('%rs', '%r2', '%r')}",
        *horner("c", numbers.cosine),
        f" %cosine = {fused('%c', '%r2', number(1.0))}",
        f" %k0 = fptosi {kind} %n to {whole}",
        f" %k = add {whole} %k0, {integer(turns)}",
        f" %odd = trunc {whole} %k to {mask}",
        f" %plain = select {mask} %odd, {kind} %cosine, {kind} %sine",
        # the second bit of k is the sign's; sin −x = −sin x, that of −0.0 too
        f" %turned = shl {whole} %k, {integer(bits - 2)}",
        f" %x.bits = bitcast {kind} %x to {whole}",
        f" %both = xor {whole} %turned, {'%x.bits' if function == 'sin' else integer(0)}",
        f" %sign = and {whole} %both, {integer(-(2 ** (bits - 1)))}",
        f" %bits = bitcast {kind} %plain to {whole}",
        f" %signed = xor {whole} %bits, %sign",
        f" %near = bitcast {whole} %signed to {kind}",
        # lane by lane: what a number gives does not hang on its neighbours
        f" %result = select {mask} %far, {kind} %z, {kind} %near",
        f" ret {kind} %result",
        "}",
    ]
    return name, {
        name: "\n".join(lines),
        library: f"declare {kind} {library}({kind})",
        fma: f"declare {kind} {fma}({kind}, {kind}, {kind})",
        rint: f"declare {kind} {rint}({kind})",
        size: f"declare {kind} {size}({kind})",
        some: f"declare i1 {some}({mask})",
    }


def _all(value: float, scalar: str, lanes: int) -> str:
    if scalar == "float":
        value = struct.unpack("<f", struct.pack("<f", value))[0]
    bits = f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    return "<" + ", ".join([f"{scalar} {bits}"] * lanes) + ">"
