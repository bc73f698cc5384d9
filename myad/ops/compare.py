"""Comparisons, choices and conversions: operations whose result jumps."""

from __future__ import annotations

from typing import Any

import numpy as np

from myad.constants import as_weak, describe
from myad.core import Spec, primitive
from myad.errors import DTypeError
from myad.ops.reduce import unbroadcast
from myad.ops.specs import (
    BOOL,
    as_operand,
    broadcast_shape,
    broadcast_spec,
    same_dtype,
    same_spec,
)


@primitive
def equal(x, y):
    """Where x = y, elementwise: booleans."""
    return np.equal(x, y)


@primitive
def not_equal(x, y):
    """Where x ≠ y, elementwise: booleans."""
    return np.not_equal(x, y)


@primitive
def less(x, y):
    """Where x < y, elementwise: booleans."""
    return np.less(x, y)


@primitive
def less_equal(x, y):
    """Where x ≤ y, elementwise: booleans."""
    return np.less_equal(x, y)


def _comparison_shape(name):
    return lambda x, y: Spec(broadcast_spec(name, x, y).shape, BOOL)


for _op in (equal, not_equal, less, less_equal):
    _op.shape(_comparison_shape(_op.name))
    _op.gradient(lambda dz, z, x, y: (None, None))


def _comparison_kernel(word):
    return lambda k, x, y: k.map(lambda a, b: k.apply(word, a, b), x, y)


for _op, _word in ((equal, "eq"), (not_equal, "ne"), (less, "lt"), (less_equal, "le")):
    _op.kernel(_comparison_kernel(_word))


def greater(x, y):
    """Where x > y, elementwise: booleans."""
    return less(y, x)


def greater_equal(x, y):
    """Where x ≥ y, elementwise: booleans."""
    return less_equal(y, x)


@primitive
def sign(x):
    """−1, 0 or 1 by the sign of x; its derivative is 0."""
    return np.sign(x)


sign.shape(same_spec)


@sign.gradient
def _(dz, z, x):
    return (None,)


@sign.kernel
def _(k, x):
    def step(a):
        if not k.signed:
            return k.apply("select", k.apply("gt", a, 0), k.const(1), a)
        below = k.apply("select", k.apply("lt", a, 0), k.const(-1), a)  # a NaN stays NaN
        return k.apply("select", k.apply("gt", a, 0), k.const(1), below)

    return k.map(step, x)


@primitive
def floor(x):
    """Largest integer not above x; its derivative is taken as 0."""
    return np.floor(x)


floor.shape(same_spec)


@floor.gradient
def _(dz, z, x):
    return (None,)


@floor.kernel
def _(k, x):
    return k.map(lambda a: a if x.dtype not in ("f32", "f64") else k.apply("floor", a), x)


@primitive
def stop_gradient(x):
    """`x`, taken as a constant by every derivative."""
    return x.view()  # loops tell followed arrays from others by their identity


stop_gradient.shape(same_spec)


@stop_gradient.gradient
def _(dz, z, x):
    return (None,)


@stop_gradient.kernel
def _(k, x):
    return k.map(lambda a: a, x)


@primitive
def where(condition, x, y):
    """x where `condition` (booleans) holds, y elsewhere; all three are broadcast."""
    if condition.dtype != BOOL:  # NumPy would take any number but 0 for true
        where.shape_rule(condition, x, y)
    return np.where(condition, x, y)


@where.shape
def _(condition, x, y):
    if condition.dtype != BOOL:
        raise DTypeError(f"where: the condition must be boolean.{describe(condition, x, y)}")
    return Spec(broadcast_shape("where", condition, x, y), same_dtype("where", x, y))


@where.gradient
def _(dz, z, condition, x, y):
    zero = np.zeros((), dz.dtype)
    return (
        None,
        lambda: unbroadcast(where(condition, dz, zero), x.shape),
        lambda: unbroadcast(where(condition, zero, dz), y.shape),
    )


@where.kernel
def _(k, condition, x, y):
    return k.map(lambda c, a, b: k.apply("select", c, a, b), condition, x, y)


@primitive
def cast(x, *, dtype):
    """x converted to `dtype` (an np.dtype)."""
    return x.astype(dtype)


@cast.shape
def _(x, *, dtype):
    return Spec(tuple(x.shape), dtype)


@cast.gradient
def _(dz, z, x, *, dtype):
    return (lambda: cast(dz, dtype=x.dtype),)


@cast.kernel
def _(k, x, *, dtype):
    return k.map(lambda a: k.cast(a, k.dtype), x)


@primitive
def one_hot(labels, *, classes, dtype):
    """Rows of the identity matrix: z[..., k] = 1 where k = labels[...], else 0.

    Args: labels: integers of any shape; those outside [0, classes) give a row of zeros.
    """
    return np.equal(labels[..., None], np.arange(classes)).astype(dtype)


@one_hot.shape
def _(labels, *, classes, dtype):
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"one_hot: labels must be integers.{describe(labels)}")
    return Spec((*labels.shape, classes), dtype)


@one_hot.gradient
def _(dz, z, labels, *, classes, dtype):
    return (None,)


@one_hot.kernel
def _(k, labels, *, classes, dtype):
    axes = k.axes(*k.shape)
    wide = "i64" if labels.dtype in ("i64", "u64", "u32") else "i32"  # holds label and class
    here = k.apply("eq", k.cast(labels[axes[:-1]], wide), k.index_value(axes[-1], wide))
    return k.define(axes, k.cast(here, k.dtype))


def astype(x: Any, dtype: Any) -> Any:
    """`x` converted to `dtype`; the gradient is converted back."""
    dtype = np.dtype(dtype)
    x = as_operand(x)
    return x if x.dtype == dtype else cast(x, dtype=dtype)


def encoded(labels: Any, classes: int, dtype: Any = np.float32) -> Any:
    """One row of the identity matrix (classes × classes) per label; zeros for a label outside."""
    labels = as_operand(labels)
    if labels.dtype.kind not in "iu":
        raise DTypeError(f"one_hot: labels must be integers.{describe(labels)}")
    return one_hot(labels, classes=int(classes), dtype=np.dtype(dtype))


def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """`x` limited to [low, high]; beyond the limits the gradient is 0, on them it passes.

    A limit that is None is none. As in NumPy, `high` wins where it is below `low`, and a limit that
    is NaN gives NaN.
    Raises: DTypeError for a limit that the dtype of `x` cannot hold.
    """
    x = as_operand(x)
    if low is not None:
        low = as_limit(low, x)
        x = where(less(x, low), low, _or_nan(low, x))
    if high is not None:
        high = as_limit(high, x)
        x = where(less(high, x), high, _or_nan(high, x))
    return x


def _or_nan(limit: Any, x: Any) -> Any:
    """x, but NaN where the limit is."""
    if type(limit) is np.ndarray and (limit.dtype.kind != "f" or not np.isnan(limit).any()):
        return x
    return where(equal(limit, limit), x, limit)


def as_limit(bound: Any, x: Any) -> Any:
    """`bound` as an array of the dtype of `x`, if it is a plain number."""
    if not isinstance(bound, int | float) or isinstance(bound, np.generic):
        return as_operand(bound)
    if (type(bound) is float and x.dtype.kind != "f") or (x.dtype == BOOL and type(bound) is int):
        raise DTypeError(f"{bound} is no {x.dtype}, and nothing is cast silently; use astype().")
    return as_weak(bound, x.dtype)


def chosen(condition: Any, x: Any, y: Any) -> Any:
    """x where `condition` (booleans) holds, y elsewhere; all three are broadcast.

    A plain number takes the dtype of the other one.
    """
    numbers = [isinstance(v, int | float) and not isinstance(v, np.generic) for v in (x, y)]
    if numbers == [True, False]:
        x = as_limit(x, y := as_operand(y))
    elif numbers == [False, True]:
        y = as_limit(y, x := as_operand(x))
    return where(as_operand(condition), as_operand(x), as_operand(y))
