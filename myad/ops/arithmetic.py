"""Elementwise arithmetic of two inputs, broadcast against each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from myad.core import describe, primitive
from myad.errors import ShapeError
from myad.ops.compare import cast, floor, where
from myad.ops.functions import log
from myad.ops.reduce import unbroadcast
from myad.ops.specs import BOOL, as_operand, broadcast_spec, check_float


@primitive
def add(x, y):
    """Elementwise sum z = x + y, broadcasting x and y."""
    if x.ndim == 4 and y.ndim == 1 and 1 < y.size < 64 and x.flags.c_contiguous:
        # A bias: NumPy adds it pixel by pixel; a whole row of biases takes a quarter of the time.
        n, h, w, c = x.shape
        if c == y.size:
            return np.add(x.reshape(n * h, w * c), np.tile(y, w)).reshape(x.shape)
    return np.add(x, y)


@add.shape
def _(x, y):
    return broadcast_spec("add", x, y)


@add.gradient
def _(dz, z, x, y):
    return unbroadcast(dz, x.shape), lambda: unbroadcast(dz, y.shape)


@add.kernel
def _(k, x, y):
    return k.map(lambda a, b: a + b, x, y)


@primitive
def subtract(x, y):
    """Elementwise difference z = x − y, broadcasting x and y."""
    return np.subtract(x, y)


@subtract.shape
def _(x, y):
    return broadcast_spec("subtract", x, y)


@subtract.gradient
def _(dz, z, x, y):
    return unbroadcast(dz, x.shape), lambda: unbroadcast(-dz, y.shape)


@subtract.kernel
def _(k, x, y):
    return k.map(lambda a, b: a - b, x, y)


@primitive
def multiply(x, y):
    """Elementwise product z = x·y, broadcasting x and y."""
    return np.multiply(x, y)


@multiply.shape
def _(x, y):
    return broadcast_spec("multiply", x, y)


@multiply.gradient
def _(dz, z, x, y):
    # z = x·y  ⇒  dx = dz·y,  dy = dz·x, each summed over the axes that were stretched
    return lambda: unbroadcast(dz * y, x.shape), lambda: unbroadcast(dz * x, y.shape)


@multiply.kernel
def _(k, x, y):
    return k.map(lambda a, b: a * b, x, y)


@primitive
def divide(x, y):
    """Elementwise quotient z = x/y, broadcasting x and y."""
    return np.divide(x, y)


@divide.shape
def _(x, y):
    spec = broadcast_spec("divide", x, y)
    # NumPy divides integers in floating point
    return spec._replace(dtype=np.divide(np.ones((), x.dtype), np.ones((), y.dtype)).dtype)


@divide.gradient
def _(dz, z, x, y):
    # z = x/y  ⇒  dx = dz/y,  dy = −dz·z/y
    return lambda: unbroadcast(dz / y, x.shape), lambda: unbroadcast(-dz * z / y, y.shape)


@divide.kernel
def _(k, x, y):
    return k.map(lambda a, b: k.cast(a, k.dtype) / k.cast(b, k.dtype), x, y)


@primitive
def power(x, y):
    """Elementwise power z = xʸ, broadcasting x and y."""
    return np.power(x, y)


@power.shape
def _(x, y):
    spec = broadcast_spec("power", x, y)
    exponents = getattr(y, "value", None)  # of a constant in a program
    if y.dtype.kind == "i" and exponents is not None and np.any(exponents < 0):
        raise ShapeError(f"power: integers have no negative integer powers.{describe(x, y)}")
    # NumPy takes powers of booleans in int8
    return spec._replace(dtype=np.power(np.ones((), x.dtype), np.ones((), y.dtype)).dtype)


@power.gradient
def _(dz, z, x, y):
    # dx = dz·y·xʸ⁻¹, dy = dz·z·ln x. The exponent 0 is kept from becoming −1, and the base 0 from
    # entering the logarithm: both factors would be infinite where the product is 0.
    one = np.ones((), x.dtype)

    def dx():
        return unbroadcast(dz * y * power(x, where(y == 0, one, y - one)), x.shape)

    def dy():
        return unbroadcast(dz * z * log(where(x == 0, one, x)), y.shape)

    return dx, dy


@power.kernel
def _(k, x, y):
    return k.map(lambda a, b: k.power(k.cast(a, k.dtype), k.cast(b, k.dtype)), x, y)


@primitive
def remainder(x, y):
    """x − y·⌊x/y⌋, which has the sign of y, broadcasting x and y; of integers 0 where y is 0."""
    return np.remainder(x, y)


@remainder.shape
def _(x, y):
    spec = broadcast_spec("mod", x, y)
    # NumPy takes remainders of booleans in int8
    return spec._replace(dtype=np.remainder(np.ones((), x.dtype), np.ones((), y.dtype)).dtype)


@remainder.gradient
def _(dz, z, x, y):
    return (
        lambda: unbroadcast(dz, x.shape),
        lambda: unbroadcast(-dz * floor(x / y), y.shape),
    )


@remainder.kernel
def _(k, x, y):
    def floored(a, b):
        # what is left of division towards zero has the sign of x
        z = k.apply("rem", a, b)
        if k.signed:
            other = k.apply("xor", k.apply("lt", z, 0), k.apply("lt", b, 0))
            z = k.apply("select", k.apply("and", other, k.apply("ne", z, 0)), z + b, z)
        return z

    return k.map(lambda a, b: floored(k.cast(a, k.dtype), k.cast(b, k.dtype)), x, y)


def square(x: Any) -> Any:
    """x·x; of booleans in int8, as NumPy's."""
    x = as_operand(x)
    x = cast(x, dtype=np.dtype(np.int8)) if x.dtype == BOOL else x
    return multiply(x, x)


def reciprocal(x: Any) -> Any:
    """1/x of floating-point numbers."""
    x = as_operand(x)
    check_float("reciprocal", x)
    return divide(np.ones((), x.dtype), x)
