"""Sine and cosine of vectors as LLVM IR, where the system's library knows only scalars.

|x| = n·π/2 + r with |r| ≤ 0.8, then ± sin r or ± cos r by a polynomial; n mod 4 says which. π/2 is
subtracted in three parts (Cody & Waite 1980) by fused multiply-adds. Larger numbers than those for
which n is small enough, NaN and infinity are left to the library.
Largest error: 1.5 units in the last place for float32, 2.5 for float64 (a test measures it).
Sources: the parts for float64 are those of fdlibm (e_rem_pio2.c), 33 bits each, and its polynomials
are Taylor's; the polynomials for float32 are those of Cephes (Moshier 1989, sinf.c).
"""

from __future__ import annotations

import math
from typing import NamedTuple

from myad.compile.dtypes import BYTES
from myad.compile.llvm.vectortext import Text


class _Numbers(NamedTuple):
    """What is computed with in a float type: sin r = r + r³·S(r²), cos r = 1 + r²·C(r²)."""

    limit: float  # of |x|
    parts: tuple[float, float, float]  # of π/2
    sine: list[float]  # S, the highest coefficient first
    cosine: list[float]  # C


def _taylor(first: int, last: int) -> list[float]:
    """± 1/k! for k = last, last − 2, … ≥ first."""
    return [(-1) ** (k // 2) / math.factorial(k) for k in range(last, first - 1, -2)]


_NUMBERS = {
    # Below 2¹⁷, n·2/π is off by less than 1/64 and the first difference is exact.
    "f32": _Numbers(
        2.0**17,
        (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
        [-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1],
        [2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2, -0.5],
    ),
    # Below 2²⁰, n·part has no more than 53 bits.
    "f64": _Numbers(
        2.0**20,
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
    c, t = _NUMBERS[dtype], Text(dtype, lanes)
    name, library = f"@{function}.{t.suffix}", f"@llvm.{function}.{t.suffix}"
    rint, size = f"@llvm.rint.{t.suffix}", f"@llvm.fabs.{t.suffix}"
    some = f"@llvm.vector.reduce.or.v{lanes}i1"
    lines = [
        "entry:",
        f" %size = call {t.kind} {size}({t.kind} %x)",
        f" %far = fcmp ugt {t.kind} %size, {t.number(c.limit)}",  # NaN counts as far
        f" %any = call i1 {some}({t.mask} %far)",
        " br i1 %any, label %library, label %here",
        "library:",
        f" %slow = call {t.kind} {library}({t.kind} %x)",
        " br label %here",
        "here:",
        f" %z = phi {t.kind} [zeroinitializer, %entry], [%slow, %library]",
        f" %turns = fmul {t.kind} %size, {t.number(2 / math.pi)}",
        f" %n = call {t.kind} {rint}({t.kind} %turns)",
        f" %rest.1 = {t.fused('%n', t.number(-c.parts[0]), '%size')}",
        f" %rest.2 = {t.fused('%n', t.number(-c.parts[1]), '%rest.1')}",
        f" %r = {t.fused('%n', t.number(-c.parts[2]), '%rest.2')}",
        *_of_the_rest(c, t),
        *_turned(turns, function == "sin", t),
        # lane by lane: what a number gives does not hang on its neighbours
        f" %result = {t.select('%far', '%z', '%near')}",
        f" ret {t.kind} %result",
    ]
    sources = t.function(name, lines)
    sources |= {one: f"declare {t.kind} {one}({t.kind})" for one in (library, rint, size)}
    return name, sources | {some: f"declare i1 {some}({t.mask})"}


def _of_the_rest(c: _Numbers, t: Text) -> list[str]:
    """%sine and %cosine of %r."""
    return [
        f" %r2 = fmul {t.kind} %r, %r",
        *t.polynomial("s", "%r2", c.sine),
        f" %rs = fmul {t.kind} %r, %s",
        f" %sine = {t.fused('%rs', '%r2', '%r')}",
        *t.polynomial("c", "%r2", c.cosine),
        f" %cosine = {t.fused('%c', '%r2', t.number(1.0))}",
    ]


def _turned(turns: int, odd: bool, t: Text) -> list[str]:
    """%near, the sine of %r after %n + `turns` quarter turns; with x's sign if it is `odd`."""
    bits = 8 * BYTES[t.dtype]
    return [
        f" %k0 = fptosi {t.kind} %n to {t.whole}",
        f" %k = add {t.whole} %k0, {t.integer(turns)}",
        f" %odd = trunc {t.whole} %k to {t.mask}",
        f" %plain = {t.select('%odd', '%cosine', '%sine')}",
        # the second bit of k is the sign's; sin −x = −sin x, that of −0.0 too
        f" %turned = shl {t.whole} %k, {t.integer(bits - 2)}",
        f" %x.bits = bitcast {t.kind} %x to {t.whole}",
        f" %both = xor {t.whole} %turned, {'%x.bits' if odd else t.integer(0)}",
        f" %sign = and {t.whole} %both, {t.integer(-(2 ** (bits - 1)))}",
        f" %bits = bitcast {t.kind} %plain to {t.whole}",
        f" %signed = xor {t.whole} %bits, %sign",
        f" %near = bitcast {t.whole} %signed to {t.kind}",
    ]
