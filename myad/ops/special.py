"""The error function, and the activation made of it."""

from __future__ import annotations

import math

import numpy as np

from myad.core import primitive
from myad.ops.functions import exp, tanh
from myad.ops.series import horner, with_sign
from myad.ops.specs import as_operand, check_float, float_spec

# Chebyshev fits (mpmath.chebyfit with 40 digits) to erf(x)/x in x² for |x| ≤ 1, error 2e-19, and to
# erfc(x)·e^(x²) in t = 1/(1 + x/2) for 1 ≤ x ≤ 6, error 9e-17; beyond, erf is 1 in float64.
NEAR = (
    1.1283791670955126, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792,
    0.0052239776248180145, -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-05,
    1.6461000484121368e-06, -1.6350312701054695e-07, 1.4659775274047436e-08,
    -1.1372848856791674e-09, 5.957176147748911e-11,
)  # fmt: skip
FAR = (
    1.6242284740077591e-07, 0.2820885729320229, 0.2822051417376623, 0.24562975816641905,
    0.185316412975862, 0.03477897668837144, 0.19483233899524952, -0.6720587822190289,
    1.3907243547276613, -2.548579515162772, 3.3141789939074116, -2.808469620081249,
    1.4993273861992589, -0.4641503100512702, 0.06417709956997757,
)  # fmt: skip


@primitive
def erf(x):
    """The error function, 2/√π · ∫₀ˣ e^(−t²) dt."""
    if x.dtype.kind != "f":
        erf.shape_rule(x)
    size = np.abs(x)
    low, high = np.minimum(size, 1), np.minimum(size, 6)
    near, far = low * horner(low * low, NEAR), 1 - np.exp(-high * high) * _tail(high)
    return np.copysign(np.where(size < 1, near, far), x)


erf.shape(float_spec("erf"))


@erf.gradient
def _(dz, z, x):
    return (dz * (exp(-x * x) * (2.0 / math.sqrt(math.pi))),)


@erf.kernel
def _(k, x):
    def whole(a):
        size = k.apply("abs", a)
        high = k.apply("min", 6.0, size)
        far = 1.0 - k.apply("exp", -high * high) * _tail(high)
        near = a * horner(a * a, NEAR)
        return k.apply("select", k.apply("lt", size, 1.0), near, with_sign(k, far, a))

    return k.map(whole, x)


def _tail(x):
    return horner(1.0 / (1.0 + 0.5 * x), FAR)


def gelu(x, approximate=False):
    """x·Φ(x) with Φ the normal distribution's function, ½(1 + erf(x/√2)), as in Keras.

    Args: approximate: ½x(1 + tanh(√(2/π)·(x + 0.044715x³))) instead.
    Source: Hendrycks & Gimpel 2016, arXiv:1606.08415.
    """
    x = as_operand(x)
    check_float("gelu", x)
    if approximate:
        inner = (x + x * x * x * 0.044715) * math.sqrt(2.0 / math.pi)
        return x * 0.5 * (tanh(inner) + 1.0)
    return x * 0.5 * (erf(x * math.sqrt(0.5)) + 1.0)
