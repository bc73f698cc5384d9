"""Hyperbolic functions and their inverses."""

from __future__ import annotations

import math

import numpy as np

from myad.core import primitive
from myad.ops.functions import sqrt
from myad.ops.series import artanh_series, horner, log1p_of, with_sign
from myad.ops.specs import float_spec

LN2 = math.log(2.0)
# beyond these, x² + 1 is x², or x² overflows: ln(2x) is exact to rounding
FAR = {"f32": 1e4, "f64": 1e8}


@primitive
def sinh(x):
    """Hyperbolic sine."""
    return np.sinh(x)


sinh.shape(float_spec("sinh"))


@sinh.gradient
def _(dz, z, x):
    return (dz * cosh(x),)


@sinh.kernel
def _(k, x):
    # within ±1 Taylor's series, x·Σ x²ⁿ/(2n+1)!; beyond, (eˣ − e⁻ˣ)/2 without an early overflow
    series = [1.0 / math.factorial(2 * n + 1) for n in range({"f32": 6, "f64": 10}[k.dtype])]

    def stable(a):
        size = k.apply("abs", a)
        h = k.apply("exp", 0.5 * size)
        beyond = with_sign(k, (0.5 * h) * h - 0.5 / h / h, a)
        return k.apply("select", k.apply("lt", size, 1.0), a * horner(a * a, series), beyond)

    return k.map(stable, x)


@primitive
def cosh(x):
    """Hyperbolic cosine."""
    return np.cosh(x)


cosh.shape(float_spec("cosh"))


@cosh.gradient
def _(dz, z, x):
    return (dz * sinh(x),)


@cosh.kernel
def _(k, x):
    def stable(a):
        h = k.apply("exp", 0.5 * k.apply("abs", a))
        return (0.5 * h) * h + 0.5 / h / h

    return k.map(stable, x)


@primitive
def arcsinh(x):
    """Inverse of the hyperbolic sine."""
    return np.arcsinh(x)


arcsinh.shape(float_spec("arcsinh"))


@arcsinh.gradient
def _(dz, z, x):
    return (dz / sqrt(x * x + 1.0),)


@arcsinh.kernel
def _(k, x):
    # ln(x + √(x² + 1)) = ln(1 + (x + x²/(1 + √(x² + 1))))
    def stable(a):
        size = k.apply("abs", a)
        far = k.apply("gt", size, FAR[k.dtype])
        square = size * size
        near = log1p_of(k, size + square / (1.0 + k.apply("sqrt", square + 1.0)))
        return with_sign(k, k.apply("select", far, k.apply("log", size) + LN2, near), a)

    return k.map(stable, x)


@primitive
def arccosh(x):
    """Inverse of the hyperbolic cosine, for x ≥ 1."""
    return np.arccosh(x)


arccosh.shape(float_spec("arccosh"))


@arccosh.gradient
def _(dz, z, x):
    return (dz / sqrt((x - 1.0) * (x + 1.0)),)


@arccosh.kernel
def _(k, x):
    # ln(x + √(x² − 1)) = ln(1 + (t + √(t² + 2t))) with t = x − 1
    def stable(a):
        far = k.apply("gt", a, FAR[k.dtype])
        t = a - 1.0
        near = log1p_of(k, t + k.apply("sqrt", t * (t + 2.0)))
        z = k.apply("select", far, k.apply("log", a) + LN2, near)
        return k.apply("select", k.apply("lt", a, 1.0), k.const(math.nan), z)

    return k.map(stable, x)


@primitive
def arctanh(x):
    """Inverse of the hyperbolic tangent, for −1 ≤ x ≤ 1."""
    return np.arctanh(x)


arctanh.shape(float_spec("arctanh"))


@arctanh.gradient
def _(dz, z, x):
    return (dz / ((1.0 - x) * (1.0 + x)),)


@arctanh.kernel
def _(k, x):
    def stable(a):
        near = k.apply("lt", k.apply("abs", a), 1.0 / 3.0)
        beyond = 0.5 * k.apply("log", (1.0 + a) / (1.0 - a))
        return k.apply("select", near, artanh_series(k, a), beyond)

    return k.map(stable, x)
