"""Maxima and minima: of two arrays, and over axes.

Who gets the gradient is said here for all of them: where the result came from. Equal extremes share
it evenly, and NaN counts as the largest and as the smallest, as in NumPy. (A window of max pooling
gives it to its first maximum, see `myad.ops.pool`.) Shares are chosen by a condition, not by a
product with 0, as the gradient may be infinite.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from myad.core import Spec, primitive
from myad.errors import ShapeError
from myad.ops.compare import not_equal, where
from myad.ops.reduce import reduce_sum, reduced_shape, unbroadcast
from myad.ops.shaping import reshape
from myad.ops.specs import as_operand, broadcast_spec, normalize_axis


@primitive
def maximum(x, y):
    """Elementwise larger of x and y; NaN where either is. Equal ones get half of the gradient."""
    return np.maximum(x, y)


@maximum.shape
def _(x, y):
    return broadcast_spec("maximum", x, y)


@maximum.gradient
def _(dz, z, x, y):
    return _shares(dz, z, x, y)


@maximum.kernel
def _(k, x, y):
    return k.map(lambda a, b: k.apply("max", a, b), x, y)


@primitive
def minimum(x, y):
    """Elementwise smaller of x and y; NaN where either is. Equal ones get half of the gradient."""
    return np.minimum(x, y)


@minimum.shape
def _(x, y):
    return broadcast_spec("minimum", x, y)


@minimum.gradient
def _(dz, z, x, y):
    return _shares(dz, z, x, y)


@minimum.kernel
def _(k, x, y):
    return k.map(lambda a, b: k.apply("min", a, b), x, y)


def _shares(dz, z, x, y):
    one, zero = np.ones((), dz.dtype), np.zeros((), dz.dtype)
    x_taken, y_taken = _taken(x, z), _taken(y, z)
    share = dz / (x_taken + y_taken)
    return (
        lambda: unbroadcast(where(one == x_taken, share, zero), x.shape),
        lambda: unbroadcast(where(one == y_taken, share, zero), y.shape),
    )


def _taken(x: Any, z: Any) -> Any:
    """1 where the extreme z is x, else 0."""
    one, zero = np.ones((), x.dtype), np.zeros((), x.dtype)
    return where(x == z, one, where(x == x, zero, one))  # NaN alone is not equal to itself


@primitive
def reduce_max(x, *, axis, keepdims=False):
    """Maximum over the axes `axis`; NaN counts as the largest, equal maxima share the gradient."""
    return np.maximum.reduce(x, axis=axis, keepdims=keepdims)


@reduce_max.shape
def _(x, *, axis, keepdims):
    return _extreme_spec("maximum", x, axis, keepdims)


@reduce_max.gradient
def _(dz, z, x, *, axis, keepdims):
    return (_share_of_extreme(dz, z, x, axis),)


@reduce_max.kernel
def _(k, x, *, axis, keepdims):
    return k.reduce("max", x, axis)


@primitive
def reduce_min(x, *, axis, keepdims=False):
    """Minimum over the axes `axis`; NaN counts as the smallest, equal minima share the gradient.

    One primitive, as −max(−x) is wrong for unsigned integers, booleans and the least integer.
    """
    return np.minimum.reduce(x, axis=axis, keepdims=keepdims)


@reduce_min.shape
def _(x, *, axis, keepdims):
    return _extreme_spec("minimum", x, axis, keepdims)


@reduce_min.gradient
def _(dz, z, x, *, axis, keepdims):
    return (_share_of_extreme(dz, z, x, axis),)


@reduce_min.kernel
def _(k, x, *, axis, keepdims):
    return k.reduce("min", x, axis)


def _extreme_spec(name: str, x: Any, axis: tuple[int, ...], keepdims: bool) -> Spec:
    if 0 in [x.shape[a] for a in axis]:
        raise ShapeError(f"{name}: no {name} of nothing: {tuple(x.shape)} over axes {axis}.")
    return Spec(reduced_shape(x, axis, keepdims), x.dtype)


def _share_of_extreme(dz: Any, z: Any, x: Any, axis: tuple[int, ...]) -> Any:
    kept = reduced_shape(x, axis, True)
    taken, zero = _taken(x, reshape(z, shape=kept)), np.zeros((), x.dtype)
    share = reshape(dz, shape=kept) / reduce_sum(taken, axis=axis, keepdims=True)
    return where(zero < taken, share, zero)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Maximum of `x` over `axis`; equal maxima share the gradient evenly, NaN is the largest."""
    x = as_operand(x)
    return reduce_max(x, axis=normalize_axis("max", axis, len(x.shape)), keepdims=keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Minimum of `x` over `axis`; equal minima share the gradient evenly, NaN is the smallest."""
    x = as_operand(x)
    return reduce_min(x, axis=normalize_axis("min", axis, len(x.shape)), keepdims=keepdims)


def fmax(x: Any, y: Any) -> Any:
    """Elementwise larger of x and y; of a NaN and a number, the number."""
    return _ignoring_nan(maximum, as_operand(x), as_operand(y))


def fmin(x: Any, y: Any) -> Any:
    """Elementwise smaller of x and y; of a NaN and a number, the number."""
    return _ignoring_nan(minimum, as_operand(x), as_operand(y))


def _ignoring_nan(extreme: Any, x: Any, y: Any) -> Any:
    z = extreme(x, y)
    if z.dtype.kind != "f":
        return z
    return where(not_equal(x, x), y, where(not_equal(y, y), x, z))
