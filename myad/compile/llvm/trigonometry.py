"""Sine and cosine of vectors as LLVM IR, where the system's library knows only scalars.

x = n·π/2 + r with |r| ≤ π/4, then ± sin r or ± cos r by Taylor's polynomial, whose remainder is
below half a unit in the last place there; n mod 4 says which. π/2 is subtracted in three parts of
33 bits (Cody & Waite 1980), each n·part being exact in a fused multiply-add; float32 is computed in
float64, where two parts are enough. Numbers beyond 2²⁰, NaN and infinity are left to the library.
Largest error: 1 unit in the last place for float32, 2.5 for float64 (a test measures it).
"""

from __future__ import annotations

import math
import struct

LIMIT = 2.0**20  # n stays below 2²⁰, so that n·part of π/2 has no more than 53 bits
# π/2 to 33 bits, the next 33, and the rest: the parts of fdlibm's e_rem_pio2.c
PARTS = (1.57079632673412561417e00, 6.07710050630396597660e-11, 2.02226624879595063154e-21)
LAST_POWER = {"f32": 11, "f64": 17}  # of the Taylor polynomials
SCALARS = {"f32": "float", "f64": "double"}


def sin(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The name of sin x for `lanes` numbers of `dtype`, and the LLVM IR it needs, by name."""
    return _quarter_turns("sin", 0, dtype, lanes)


def cos(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The same for cos x, which is sin(x + π/2)."""
    return _quarter_turns("cos", 1, dtype, lanes)


def _quarter_turns(function: str, turns: int, dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    name, kind = f"@{function}.v{lanes}{dtype}", f"<{lanes} x {SCALARS[dtype]}>"
    library = f"@llvm.{function}.v{lanes}{dtype}"
    wide, whole, mask = f"<{lanes} x double>", f"<{lanes} x i64>", f"<{lanes} x i1>"
    fma, rint, size = (f"@llvm.{op}.v{lanes}f64" for op in ("fma", "rint", "fabs"))
    some = f"@llvm.vector.reduce.or.v{lanes}i1"
    is_narrow = dtype == "f32"
    widened = f"fpext {kind} %x to {wide}" if is_narrow else f"fadd {wide} %x, {_all(-0.0, lanes)}"
    result = f"fptrunc {wide} %y to {kind}" if is_narrow else f"fadd {wide} %y, {_all(-0.0, lanes)}"
    lines = [
        f"define internal {kind} {name}({kind} %x) noinline #0 {{",
        "entry:",
        f" %w = {widened}",
        f" %size = call {wide} {size}({wide} %w)",
        f" %far = fcmp ugt {wide} %size, {_all(LIMIT, lanes)}",  # NaN counts as far
        f" %any = call i1 {some}({mask} %far)",
        " br i1 %any, label %library, label %here",
        "library:",
        f" %slow = call {kind} {library}({kind} %x)",
        " br label %here",
        "here:",
        f" %z = phi {kind} [zeroinitializer, %entry], [%slow, %library]",
        f" %turns = fmul {wide} %w, {_all(2 / math.pi, lanes)}",
        f" %n = call {wide} {rint}({wide} %turns)",
        f" %minus = fneg {wide} %n",
        *_reduced(wide, fma, lanes, 2 if is_narrow else 3),
        f" %r2 = fmul {wide} %r, %r",
        *_horner("s", _taylor(3, LAST_POWER[dtype]), wide, fma, lanes),
        f" %rs = fmul {wide} %r, %s",
        f" %sine = call {wide} {fma}({wide} %rs, {wide} %r2, {wide} %r)",
        *_horner("c", _taylor(2, LAST_POWER[dtype]), wide, fma, lanes),
        f" %cosine = call {wide} {fma}({wide} %c, {wide} %r2, {wide} {_all(1.0, lanes)})",
        f" %k0 = fptosi {wide} %n to {whole}",
        f" %k = add {whole} %k0, {_integers(turns, lanes)}",
        f" %odd = trunc {whole} %k to {mask}",
        f" %half = lshr {whole} %k, {_integers(1, lanes)}",
        f" %back = trunc {whole} %half to {mask}",
        f" %plain = select {mask} %odd, {wide} %cosine, {wide} %sine",
        f" %turned = fneg {wide} %plain",
        f" %y = select {mask} %back, {wide} %turned, {wide} %plain",
        f" %near = {result}",
        # lane by lane: what a number gives does not hang on its neighbours
        f" %result = select {mask} %far, {kind} %z, {kind} %near",
        f" ret {kind} %result",
        "}",
    ]
    return name, {
        name: "\n".join(lines),
        library: f"declare {kind} {library}({kind})",
        fma: f"declare {wide} {fma}({wide}, {wide}, {wide})",
        rint: f"declare {wide} {rint}({wide})",
        size: f"declare {wide} {size}({wide})",
        some: f"declare i1 {some}({mask})",
    }


def _reduced(wide: str, fma: str, lanes: int, count: int) -> list[str]:
    """%r = %w − n·π/2, part by part."""
    lines, before = [], "%w"
    for k, part in enumerate(PARTS[:count]):
        after = "%r" if k == count - 1 else f"%r.{k}"
        operands = f"{wide} %minus, {wide} {_all(part, lanes)}, {wide} {before}"
        lines.append(f" {after} = call {wide} {fma}({operands})")
        before = after
    return lines


def _taylor(first: int, last: int) -> list[float]:
    """± 1/k! for k = first, first + 2, … ≤ last: what follows x in sin x, or 1 in cos x."""
    return [(-1) ** (k // 2) / math.factorial(k) for k in range(first, last + 1, 2)]


def _horner(name: str, coefficients: list[float], wide: str, fma: str, lanes: int) -> list[str]:
    """%name = the polynomial in %r2 with these coefficients, the lowest first."""
    lines, value = [], _all(coefficients[-1], lanes)
    for k, coefficient in reversed(list(enumerate(coefficients[:-1]))):
        after = f"%{name}.{k}" if k else f"%{name}"
        operands = f"{wide} {value}, {wide} %r2, {wide} {_all(coefficient, lanes)}"
        lines.append(f" {after} = call {wide} {fma}({operands})")
        value = after
    return lines


def _all(value: float, lanes: int) -> str:
    bits = f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"
    return "<" + ", ".join([f"double {bits}"] * lanes) + ">"


def _integers(value: int, lanes: int) -> str:
    return "<" + ", ".join([f"i64 {value}"] * lanes) + ">"
