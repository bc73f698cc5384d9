"""Angles: the tangent, the inverse trigonometric functions, and the hypotenuse."""

from __future__ import annotations

import math

import numpy as np

from myad.core import composed, primitive
from myad.ops.compare import where
from myad.ops.functions import cos, sin, sqrt
from myad.ops.reduce import unbroadcast
from myad.ops.series import arctan_of, with_sign
from myad.ops.specs import as_operand, broadcast_spec, check_float, float_spec


def tan(x):
    """Tangent of x in radians: sin x / cos x."""
    x = as_operand(x)
    check_float("tan", x)
    return sin(x) / cos(x)


@primitive
def arctan(x):
    """Inverse of the tangent, in (−π/2, π/2)."""
    return np.arctan(x)


arctan.shape(float_spec("arctan"))


@arctan.gradient
def _(dz, z, x):
    return (dz / (1.0 + x * x),)


@arctan.kernel
def _(k, x):
    def whole(a):
        size = k.apply("abs", a)
        steep = k.apply("gt", size, 1.0)
        t = arctan_of(k, k.apply("select", steep, 1.0 / size, size))
        return with_sign(k, k.apply("select", steep, math.pi / 2 - t, t), a)

    return k.map(whole, x)


@primitive
def arctan2(y, x):
    """The angle of the point (x, y), in [−π, π], broadcasting y and x; its derivative at 0 is 0."""
    return np.arctan2(y, x)


@arctan2.shape
def _(y, x):
    check_float("arctan2", y, x)
    return broadcast_spec("arctan2", y, x)


@arctan2.gradient
def _(dz, z, y, x):
    # dy = x/r², dx = −y/r², divided by r twice as r² leaves the range of exponents earlier
    r = _nonzero(hypot(y, x))
    share = dz / r
    return (
        lambda: unbroadcast(share * (x / r), y.shape),
        lambda: unbroadcast(-share * (y / r), x.shape),
    )


@arctan2.kernel
def _(k, y, x):
    def whole(b, a):
        width, height = k.apply("abs", a), k.apply("abs", b)
        low, high = k.apply("min", width, height), k.apply("max", width, height)
        even = k.apply("eq", low, high)  # 0/0 is the angle 0, and ∞/∞ that of 1/1
        ratio = k.apply("select", even, k.const(1.0), low / high)
        t = arctan_of(k, k.apply("select", k.apply("eq", high, 0.0), k.const(0.0), ratio))
        t = k.apply("select", k.apply("gt", height, width), math.pi / 2 - t, t)
        t = k.apply("select", k.apply("lt", a, 0.0), math.pi - t, t)
        return with_sign(k, t, b)

    return k.map(whole, y, x)


@primitive
def arcsin(x):
    """Inverse of the sine, in [−π/2, π/2], for −1 ≤ x ≤ 1."""
    return np.arcsin(x)


arcsin.shape(float_spec("arcsin"))


@arcsin.gradient
def _(dz, z, x):
    return (dz / sqrt((1.0 - x) * (1.0 + x)),)


@arcsin.kernel
@composed
def _(x):
    return arctan2(x, sqrt((1.0 - x) * (1.0 + x)))


@primitive
def arccos(x):
    """Inverse of the cosine, in [0, π], for −1 ≤ x ≤ 1."""
    return np.arccos(x)


arccos.shape(float_spec("arccos"))


@arccos.gradient
def _(dz, z, x):
    return (-dz / sqrt((1.0 - x) * (1.0 + x)),)


@arccos.kernel
@composed
def _(x):
    return arctan2(sqrt((1.0 - x) * (1.0 + x)), x)


@primitive
def hypot(x, y):
    """√(x² + y²) without an early overflow, broadcasting x and y; its derivative at 0 is 0."""
    return np.hypot(x, y)


@hypot.shape
def _(x, y):
    check_float("hypot", x, y)
    return broadcast_spec("hypot", x, y)


@hypot.gradient
def _(dz, z, x, y):
    r = _nonzero(z)
    return (
        lambda: unbroadcast(dz * (x / r), x.shape),
        lambda: unbroadcast(dz * (y / r), y.shape),
    )


@hypot.kernel
def _(k, x, y):
    def scaled(a, b):
        width, height = k.apply("abs", a), k.apply("abs", b)
        low, high = k.apply("min", width, height), k.apply("max", width, height)
        ratio = low / high
        plain = high * k.apply("sqrt", 1.0 + ratio * ratio)
        endless = k.apply("or", k.apply("eq", width, math.inf), k.apply("eq", height, math.inf))
        z = k.apply("select", k.apply("eq", high, 0.0), high, plain)
        return k.apply("select", endless, k.const(math.inf), z)

    return k.map(scaled, x, y)


def _nonzero(r):
    return where(r == 0, np.ones((), r.dtype), r)
