"""Vector functions as LLVM IR, where the system's library knows only scalars.

`exp`: x = n·ln 2 + r with |r| ≤ ln 2 / 2, e^r by a polynomial, times 2^n in two factors so that
overflow gives infinity and underflow gives subnormals.
`tanh`: 1 − 2/(e^(2|x|) + 1), the sign put back; below 0.625, where that would cancel, x + x³·P/Q.
`log`: x = 2^n·m with √½ ≤ m < √2; s = (m − 1)/(m + 1), ln m = s·(2 + a polynomial in s²), put
together so that what cancels is exact.

float32 is computed in float32. Largest errors against the exact values, in units in the last place:
2 for `exp` and `tanh`, 1 for `log` (a test measures them over the whole range).
Sources: the reduction of `exp`, and P and Q of `tanh`, are those of Cephes (Moshier 1989, expf.c,
tanhf.c, tanh.c); the polynomials of `exp` are Remez', for the least relative error of e^r.
`log` is that of fdlibm (Sun 1993, e_log.c) and its float32 form (FreeBSD, e_logf.c).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from myad.compile.dtypes import BYTES
from myad.compile.llvm.trigonometry import cos, sin
from myad.compile.llvm.vectortext import Text

_EXP: dict[str, dict[str, Any]] = {
    "f32": {
        "low": -104.0, "high": 89.0, "ln2_high": 0.693359375, "ln2_low": -2.12194440e-4,
        # e^r = 1 + r + r²·P(r), highest coefficient first, to 2.5e-8
        "poly": [1.3344500280635166e-3, 8.3592326713192e-3, 4.16737102106723e-2,
                 1.6666600308669674e-1, 4.999998371155712e-1, 1.0, 1.0],
        "shift": 1.5 * 2.0**23,
    },
    "f64": {
        "low": -746.0, "high": 710.0, "ln2_high": 6.93145751953125e-1,
        "ln2_low": 1.42860682030941723212e-6,
        # to 4.2e-17
        "poly": [2.468886877515776e-8, 2.7619689079617883e-7, 2.7558384566897564e-6,
                 2.48015208961808e-5, 1.9841268829735997e-4, 1.3888888918942221e-3,
                 8.333333333702616e-3, 4.166666666661374e-2, 1.6666666666666255e-1,
                 5.000000000000002e-1, 1.0, 1.0],
        "shift": 1.5 * 2.0**52,
    },
}  # fmt: skip
_TANH: dict[str, dict[str, Any]] = {
    # "one": from 2|x| = this on, tanh x rounds to 1
    # "above", "below": tanh x = x + x³·P(x²)/Q(x²) below 0.625, highest coefficient first
    "f32": {
        "one": 20.0,
        "above": [-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1,
                  -3.33332819422e-1],
        "below": [1.0],
    },
    "f64": {
        "one": 44.0,
        "above": [-9.64399179425052238628e-1, -9.92877231001918586564e1,
                  -1.61468768441708447952e3],
        "below": [1.0, 1.12811678491632931402e2, 2.23548839060100448583e3,
                  4.84406305325125486048e3],
    },
}  # fmt: skip
_LOG: dict[str, dict[str, Any]] = {
    "f32": {
        # ln 2 in two parts, of which the first times n is exact
        "ln2_high": 6.9313812256e-01, "ln2_low": 9.0580006145e-06,
        # R = s²·P(s²) = ln((1 + s)/(1 − s))/s − 2, highest coefficient first
        "poly": [0.24279078841, 0.28498786688, 0.40000972152, 0.66666662693],
        "root": 0x3F3504F3, "up": 25,  # bits of √½; subnormals are scaled by 2^up
    },
    "f64": {
        "ln2_high": 6.93147180369123816490e-01, "ln2_low": 1.90821492927058770002e-10,
        "poly": [1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                 2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                 6.666666666666735130e-01],
        "root": 0x3FE6A09E00000000, "up": 54,
    },
}  # fmt: skip


def exp(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The name of e^x for `lanes` numbers of `dtype`, and the LLVM IR it needs, by name."""
    c, t = _EXP[dtype], Text(dtype, lanes)
    kind, number = t.kind, t.number
    lines = [
        # so that NaN stays NaN, here and below
        f" %up = fcmp ogt {kind} %x, {number(c['high'])}",
        f" %x1 = {t.select('%up', number(c['high']), '%x')}",
        f" %down = fcmp olt {kind} %x1, {number(c['low'])}",
        f" %x2 = {t.select('%down', number(c['low']), '%x1')}",
        *_reduced(c, t),
        *(_scaled_at_once(t) if t.can_scale else _scaled_twice(t)),
        f" ret {kind} %y",
    ]
    name = f"@exp.{t.suffix}"
    sources = t.function(name, lines, inline=True)
    if t.can_scale:
        operands = f"{kind}, {kind}, {kind}, i{lanes}, i32"
        sources[t.scale] = f"declare {kind} {t.scale}({operands})"
    return name, sources


def _scaled_at_once(t: Text) -> list[str]:
    """%y = %e·2ⁿ by the instruction that AVX-512 has for it: a third of all of e^x is saved."""
    operands = f"{t.kind} %e, {t.kind} %n, {t.kind} zeroinitializer, i{t.lanes} -1, i32 4"
    return [f" %y = call {t.kind} {t.scale}({operands})"]


def _scaled_twice(t: Text) -> list[str]:
    """%y = %e·2^⌊n/2⌋·2^(n−⌊n/2⌋): neither factor leaves the range of exponents."""
    return [
        f" %half0 = ashr {t.whole} %whole, {t.integer(1)}",
        f" %half = shl {t.whole} %half0, {t.integer(t.fraction)}",
        f" %rest = sub {t.whole} %power, %half",
        *t.power_of_two("half"),
        *t.power_of_two("rest"),
        f" %y0 = fmul {t.kind} %e, %half.factor",
        f" %y = fmul {t.kind} %y0, %rest.factor",
    ]


def _reduced(c: dict[str, Any], t: Text) -> list[str]:
    """%e = e^r of %x2 = n·ln 2 + r; n in the lowest bits of %whole, in the exponent's of %power.

    Adding 1.5·2^23 (2^52) rounds to a whole number and leaves it in the lowest bits of the sum.
    """
    kind = t.kind
    return [
        f" %shifted = {t.fused('%x2', t.number(1 / math.log(2)), t.number(c['shift']))}",
        f" %n = fsub {kind} %shifted, {t.number(c['shift'])}",
        f" %minus = fneg {kind} %n",
        f" %r0 = {t.fused('%minus', t.number(c['ln2_high']), '%x2')}",
        f" %r = {t.fused('%minus', t.number(c['ln2_low']), '%r0')}",
        f" %whole = bitcast {kind} %shifted to {t.whole}",
        f" %power = shl {t.whole} %whole, {t.integer(t.fraction)}",
        *t.polynomial("e", "%r", c["poly"]),
    ]


def tanh(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The name of tanh x for `lanes` numbers of `dtype`, and the LLVM IR it needs, by name."""
    c, t = {**_EXP[dtype], **_TANH[dtype]}, Text(dtype, lanes)
    kind, number = t.kind, t.number
    size, sign = f"@llvm.fabs.{t.suffix}", f"@llvm.copysign.{t.suffix}"
    lines = [
        f" %size = call {kind} {size}({kind} %x)",
        f" %twice = fadd {kind} %size, %size",
        f" %inside = fcmp olt {kind} %twice, {number(c['one'])}",  # not so: NaN, too
        f" %x2 = {t.select('%inside', '%twice', number(c['one']))}",
        *_reduced(c, t),
        *t.power_of_two("power"),
        f" %e1 = {t.fused('%e', '%power.factor', number(1))}",
        f" %z = fmul {kind} %size, %size",
        f" %zx = fmul {kind} %z, %size",
        *t.polynomial("above", "%z", c["above"]),
        *t.polynomial("below", "%z", c["below"]),
        f" %bend = fmul {kind} %zx, %above",
        # |x| + |x|³·P/Q, or 1 − 2/(e^(2|x|) + 1): one division for both
        f" %small = fcmp olt {kind} %size, {number(0.625)}",
        f" %base = {t.select('%small', '%size', number(1))}",
        f" %top = {t.select('%small', '%bend', number(-2))}",
        f" %bottom = {t.select('%small', '%below', '%e1')}",
        f" %part = fdiv {kind} %top, %bottom",
        f" %y0 = fadd {kind} %base, %part",
        f" %y1 = call {kind} {sign}({kind} %y0, {kind} %x)",
        f" %nan = fcmp uno {kind} %x, %x",
        f" %y = {t.select('%nan', '%x', '%y1')}",
        f" ret {kind} %y",
    ]
    name = f"@tanh.{t.suffix}"
    return name, {
        **t.function(name, lines),
        size: f"declare {kind} {size}({kind})",
        sign: f"declare {kind} {sign}({kind}, {kind})",
    }


def log(dtype: str, lanes: int) -> tuple[str, dict[str, str]]:
    """The name of ln x for `lanes` numbers of `dtype`, and the LLVM IR it needs, by name."""
    c, t = _LOG[dtype], Text(dtype, lanes)
    kind, whole, number, integer = t.kind, t.whole, t.number, t.integer
    one = t.bias << t.fraction  # the bits of 1.0
    smallest = 2.0 ** (1 - t.bias)
    lines = [
        f" %tiny = fcmp olt {kind} %x, {number(smallest)}",
        f" %raised = fmul {kind} %x, {number(2.0 ** c['up'])}",
        f" %x1 = {t.select('%tiny', '%raised', '%x')}",
        f" %bits = bitcast {kind} %x1 to {whole}",
        f" %moved = add {whole} %bits, {integer(one - c['root'])}",
        f" %power = ashr {whole} %moved, {integer(t.fraction)}",
        f" %lift = select {t.mask} %tiny, {whole} {integer(t.bias + c['up'])}, "
        f"{whole} {integer(t.bias)}",
        f" %n0 = sub {whole} %power, %lift",
        f" %n = sitofp {whole} %n0 to {kind}",
        f" %part = and {whole} %moved, {integer((1 << t.fraction) - 1)}",
        f" %mbits = add {whole} %part, {integer(c['root'])}",
        f" %m = bitcast {whole} %mbits to {kind}",
        f" %f = fsub {kind} %m, {number(1)}",
        f" %f2 = fadd {kind} %f, {number(2)}",
        f" %s = fdiv {kind} %f, %f2",
        f" %z = fmul {kind} %s, %s",
        *t.polynomial("p", "%z", c["poly"]),
        f" %r = fmul {kind} %p, %z",
        # n·ln2_high − ((f²/2 − (s·(f²/2 + R) + n·ln2_low)) − f)
        f" %ff = fmul {kind} %f, %f",
        f" %h = fmul {kind} %ff, {number(0.5)}",
        f" %hr = fadd {kind} %h, %r",
        f" %low = fmul {kind} %n, {number(c['ln2_low'])}",
        f" %inner = {t.fused('%s', '%hr', '%low')}",
        f" %rest0 = fsub {kind} %h, %inner",
        f" %rest = fsub {kind} %rest0, %f",
        f" %high = fmul {kind} %n, {number(c['ln2_high'])}",
        f" %y0 = fsub {kind} %high, %rest",
        # what has no logarithm, or has it without being computed: +∞ and NaN themselves
        f" %plain = fcmp olt {kind} %x, {number(math.inf)}",
        f" %y1 = {t.select('%plain', '%y0', '%x')}",
        f" %negative = fcmp olt {kind} %x, {number(0)}",
        f" %y2 = {t.select('%negative', number(math.nan), '%y1')}",
        f" %zero = fcmp oeq {kind} %x, {number(0)}",
        f" %y = {t.select('%zero', number(-math.inf), '%y2')}",
        f" ret {kind} %y",
    ]
    name = f"@log.{t.suffix}"
    return name, t.function(name, lines)


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
    "exp": exp, "tanh": tanh, "log": log, "sin": sin, "cos": cos,
}  # fmt: skip
