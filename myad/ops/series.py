"""Formulas that several kernel rules share, written on expressions of the compiler's builder `k`.

Sums in compiled code may be reordered, so none of these hangs on a rounding error being kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

# Cephes' atan (Moshier 1984-2000): arctan x = x + x·z·P(z)/Q(z), z = x², within |x| ≤ 0.66
ATAN_P = (
    -6.485021904942025371773e1, -1.228866684490136173410e2, -7.500855792314704667340e1,
    -1.615753718733365076637e1, -8.750608600031904122785e-1,
)  # fmt: skip
ATAN_Q = (
    1.945506571482613964425e2, 4.853903996359136964868e2, 4.328810604912902668951e2,
    1.650270098316988542046e2, 2.485846490142306297962e1, 1.0,
)  # fmt: skip


def horner(x: Any, coefficients: Sequence[float]) -> Any:
    """Σ coefficients[n]·xⁿ."""
    total: Any = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def artanh_series(k: Any, s: Any) -> Any:
    """artanh s = s + s³/3 + s⁵/5 + … for |s| ≤ 1/3; the rest left out is below eps/10."""
    terms = {"f32": 8, "f64": 17}[k.dtype]
    return s * horner(s * s, [1.0 / (2 * n + 1) for n in range(terms + 1)])


def log1p_of(k: Any, u: Any) -> Any:
    """ln(1 + u) = 2·artanh(u/(2 + u)), near 0 by its series."""
    near = k.apply("and", k.apply("ge", u, -0.5), k.apply("le", u, 1.0))
    return k.apply("select", near, 2.0 * artanh_series(k, u / (2.0 + u)), k.apply("log", 1.0 + u))


def arctan_of(k: Any, x: Any) -> Any:
    """arctan x for 0 ≤ x ≤ 1: above 0.66 as π/4 + arctan((x − 1)/(x + 1))."""
    far = k.apply("gt", x, 0.66)
    t = k.apply("select", far, (x - 1.0) / (x + 1.0), x)
    z = t * t
    base = k.apply("select", far, k.const(math.pi / 4), k.const(0.0))
    return base + (t + t * (z * horner(z, ATAN_P) / horner(z, ATAN_Q)))


def with_sign(k: Any, size: Any, x: Any) -> Any:
    """`size`, negative where x is."""
    return k.apply("select", k.apply("lt", x, 0.0), -size, size)
