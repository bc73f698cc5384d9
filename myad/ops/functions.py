"""Elementwise functions of one input."""

from __future__ import annotations

import numpy as np

from myad.core import primitive
from myad.ops.compare import sign
from myad.ops.specs import check_not_bool, float_spec, same_spec


@primitive
def negative(x):
    """−x."""
    return np.negative(x)


@negative.shape
def _(x):
    check_not_bool("negative", x)
    return same_spec(x)


@negative.gradient
def _(dz, z, x):
    return (-dz,)


@negative.kernel
def _(k, x):
    return k.map(lambda a: -a, x)


@primitive
def absolute(x):
    """|x|; the derivative at 0 is taken as 0."""
    return np.absolute(x)


absolute.shape(same_spec)


@absolute.gradient
def _(dz, z, x):
    return (dz * sign(x),)


@absolute.kernel
def _(k, x):
    return k.map(lambda a: k.apply("abs", a) if k.signed else a, x)


@primitive
def exp(x):
    """eˣ."""
    return np.exp(x)


exp.shape(float_spec("exp"))


@exp.gradient
def _(dz, z, x):
    return (dz * z,)


@exp.kernel
def _(k, x):
    return k.map(lambda a: k.apply("exp", a), x)


@primitive
def log(x):
    """Natural logarithm."""
    return np.log(x)


log.shape(float_spec("log"))


@log.gradient
def _(dz, z, x):
    return (dz / x,)


@log.kernel
def _(k, x):
    return k.map(lambda a: k.apply("log", a), x)


@primitive
def sqrt(x):
    """Square root."""
    return np.sqrt(x)


sqrt.shape(float_spec("sqrt"))


@sqrt.gradient
def _(dz, z, x):
    return (dz / (z + z),)


@sqrt.kernel
def _(k, x):
    return k.map(lambda a: k.apply("sqrt", a), x)


@primitive
def sin(x):
    """Sine of x in radians."""
    return np.sin(x)


sin.shape(float_spec("sin"))


@sin.gradient
def _(dz, z, x):
    return (dz * cos(x),)


@sin.kernel
def _(k, x):
    return k.map(lambda a: k.apply("sin", a), x)


@primitive
def cos(x):
    """Cosine of x in radians."""
    return np.cos(x)


cos.shape(float_spec("cos"))


@cos.gradient
def _(dz, z, x):
    return (-dz * sin(x),)


@cos.kernel
def _(k, x):
    return k.map(lambda a: k.apply("cos", a), x)


@primitive
def tanh(x):
    """Hyperbolic tangent."""
    return np.tanh(x)


tanh.shape(float_spec("tanh"))


@tanh.gradient
def _(dz, z, x):
    return (dz * (np.ones((), z.dtype) - z * z),)


@tanh.kernel
def _(k, x):
    return k.map(lambda a: k.apply("tanh", a), x)
