"""Exponentials and logarithms that keep their digits near 0, and those of other bases."""

from __future__ import annotations

import math

import numpy as np

from myad.core import composed, primitive
from myad.ops.activations import sigmoid, softplus
from myad.ops.compare import equal, where
from myad.ops.extremes import maximum
from myad.ops.functions import absolute, negative
from myad.ops.reduce import unbroadcast
from myad.ops.series import horner, log1p_of
from myad.ops.specs import broadcast_spec, check_float, float_spec

LN2, LN10 = math.log(2.0), math.log(10.0)


@primitive
def log1p(x):
    """ln(1 + x), exact to rounding near 0."""
    return np.log1p(x)


log1p.shape(float_spec("log1p"))


@log1p.gradient
def _(dz, z, x):
    return (dz / (1.0 + x),)


@log1p.kernel
def _(k, x):
    return k.map(lambda a: log1p_of(k, a), x)


@primitive
def expm1(x):
    """eˣ − 1, exact to rounding near 0."""
    return np.expm1(x)


expm1.shape(float_spec("expm1"))


@expm1.gradient
def _(dz, z, x):
    return (dz * (z + 1.0),)


@expm1.kernel
def _(k, x):
    # Taylor's series within ±1/2: x·Σ xⁿ/(n+1)!, the rest left out is below eps/10
    terms = {"f32": 9, "f64": 16}[k.dtype]
    series = [1.0 / math.factorial(n) for n in range(1, terms + 1)]

    def stable(a):
        near = k.apply("lt", k.apply("abs", a), 0.5)
        return k.apply("select", near, a * horner(a, series), k.apply("exp", a) - 1.0)

    return k.map(stable, x)


@primitive
def exp2(x):
    """2ˣ."""
    return np.exp2(x)


exp2.shape(float_spec("exp2"))


@exp2.gradient
def _(dz, z, x):
    return (dz * z * LN2,)


@exp2.kernel
def _(k, x):
    return k.map(lambda a: k.apply("pow", k.const(2.0), a), x)


@primitive
def log2(x):
    """Logarithm to base 2."""
    return np.log2(x)


log2.shape(float_spec("log2"))


@log2.gradient
def _(dz, z, x):
    return (dz / (x * LN2),)


@log2.kernel
def _(k, x):
    return k.map(lambda a: k.apply("log", a) * (1.0 / LN2), x)


@primitive
def log10(x):
    """Logarithm to base 10."""
    return np.log10(x)


log10.shape(float_spec("log10"))


@log10.gradient
def _(dz, z, x):
    return (dz / (x * LN10),)


@log10.kernel
def _(k, x):
    return k.map(lambda a: k.apply("log", a) * (1.0 / LN10), x)


@primitive
def logaddexp(x, y):
    """ln(eˣ + eʸ), which cannot overflow, broadcasting x and y.

    One primitive, as the derivatives of its composition are NaN where infinities meet.
    """
    return np.logaddexp(x, y)


@logaddexp.shape
def _(x, y):
    check_float("logaddexp", x, y)
    return broadcast_spec("logaddexp", x, y)


@logaddexp.gradient
def _(dz, z, x, y):
    # ∂z/∂x = eˣ/(eˣ + eʸ), the sigmoid of x − y
    d = _difference(x, y)
    return (
        lambda: unbroadcast(dz * sigmoid(d), x.shape),
        lambda: unbroadcast(dz * sigmoid(-d), y.shape),
    )


@logaddexp.kernel
@composed
def _(x, y):
    return maximum(x, y) + softplus(negative(absolute(_difference(x, y))))


def _difference(x, y):
    """x − y, and 0 where both are the same infinity."""
    return where(equal(x, y), np.zeros((), x.dtype), x - y)
