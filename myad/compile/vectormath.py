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


def exp(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The name of e^x for `lanes` numbers of `dtype`, and the LLVM IR it needs, by name."""
    c = _EXP[dtype]
    kind = c["float"] if lanes == 1 else f"<{lanes} x {c['float']}>"
    whole = c["int"] if lanes == 1 else f"<{lanes} x {c['int']}>"
    mask = "i1" if lanes == 1 else f"<{lanes} x i1>"
    suffix = dtype if lanes == 1 else f"v{lanes}{dtype}"

    def splat(value: float) -> str:
        one = f"{c['float']} {_number(value, dtype)}"
        return one.split()[1] if lanes == 1 else "<" + ", ".join([one] * lanes) + ">"

    def integers(value: int) -> str:
        return str(value) if lanes == 1 else "<" + ", ".join([f"{c['int']} {value}"] * lanes) + ">"

    fma, rint = f"@llvm.fma.{suffix}", f"@llvm.rint.{suffix}"
    lines = [
        f"define internal {kind} @exp.{suffix}({kind} %x) alwaysinline #0 {{",
        # A NaN passes through the comparisons as 0 and is put back at the end.
        f" %nan = fcmp uno {kind} %x, %x",
        f" %x0 = select {mask} %nan, {kind} {splat(0)}, {kind} %x",
        f" %up = fcmp ogt {kind} %x0, {splat(c['high'])}",
        f" %x1 = select {mask} %up, {kind} {splat(c['high'])}, {kind} %x0",
        f" %down = fcmp olt {kind} %x1, {splat(c['low'])}",
        f" %x2 = select {mask} %down, {kind} {splat(c['low'])}, {kind} %x1",
        f" %scaled = fmul {kind} %x2, {splat(1 / math.log(2))}",
        f" %n = call {kind} {rint}({kind} %scaled)",
        f" %minus = fneg {kind} %n",
        f" %r0 = call {kind} {fma}({kind} %minus, {kind} {splat(c['ln2_high'])}, {kind} %x2)",
        f" %r = call {kind} {fma}({kind} %minus, {kind} {splat(c['ln2_low'])}, {kind} %r0)",
    ]
    previous = splat(c["poly"][0])
    for k, coefficient in enumerate(c["poly"][1:]):
        lines.append(
            f" %p{k} = call {kind} {fma}({kind} {previous}, {kind} %r, {kind} {splat(coefficient)})"
        )
        previous = f"%p{k}"
    lines += [
        f" %r2 = fmul {kind} %r, %r",
        f" %tail = call {kind} {fma}({kind} {previous}, {kind} %r2, {kind} %r)",
        f" %e = fadd {kind} %tail, {splat(1)}",
        f" %whole = fptosi {kind} %n to {whole}",
        f" %half = ashr {whole} %whole, {integers(1)}",
        f" %rest = sub {whole} %whole, %half",
    ]
    for name in ("half", "rest"):
        lines += [
            f" %{name}.biased = add {whole} %{name}, {integers(c['bias'])}",
            f" %{name}.bits = shl {whole} %{name}.biased, {integers(c['bits'])}",
            f" %{name}.factor = bitcast {whole} %{name}.bits to {kind}",
        ]
    lines += [
        f" %y0 = fmul {kind} %e, %half.factor",
        f" %y1 = fmul {kind} %y0, %rest.factor",
        f" %y = select {mask} %nan, {kind} %x, {kind} %y1",
        f" ret {kind} %y",
        "}",
    ]
    name = f"@exp.{suffix}"
    return name, {
        name: "\n".join(lines),
        fma: f"declare {kind} {fma}({kind}, {kind}, {kind})",
        rint: f"declare {kind} {rint}({kind})",
    }


VECTOR_FUNCTIONS: dict[str, Callable[[str, int], tuple[str, dict[str, str]]]] = {"exp": exp}
