"""Sorting, and where the extremes are: places that the values decide.

Compiled, a sort counts for each element how many stand before it, n² comparisons along an axis of
length n; they vectorize, and nothing is stored but the ranks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.core import Spec, composed, primitive
from myad.errors import ShapeError
from myad.ops.compare import astype, equal, less, not_equal, where
from myad.ops.extremes import reduce_max, reduce_min
from myad.ops.logic import logical_and, logical_not, logical_or
from myad.ops.rearrange import take_along_axis
from myad.ops.reduce import reduce_sum
from myad.ops.shaping import reshape
from myad.ops.specs import as_operand, normalize_axis

INTEGER = np.dtype(np.intp)


@primitive
def sorted_places(x, *, axis):
    """The indices that sort `x` along `axis`, equal elements in their order, NaN last."""
    return np.argsort(x, axis=axis, kind="stable")


@sorted_places.shape
def _(x, *, axis):
    return Spec(tuple(x.shape), INTEGER)


@sorted_places.gradient
def _(dz, z, x, *, axis):
    return (None,)


@sorted_places.kernel
@composed
def _(x, *, axis):
    length = x.shape[axis]
    here, there = _pairs(x, axis)
    index = np.arange(length)
    earlier = _shaped(index, axis + 1, len(x.shape) + 1) < _shaped(index, axis, len(x.shape) + 1)
    before = logical_or(_below(there, here), logical_and(_alike(there, here), earlier))
    rank = reduce_sum(astype(before, INTEGER), axis=(axis + 1,))
    # of the places i, the one whose rank is k: axis holds k, the next one i
    rank = reshape(rank, shape=(*x.shape[:axis], 1, length, *x.shape[axis + 1 :]))
    found = equal(rank, _shaped(index, axis, len(x.shape) + 1))
    place = _shaped(index, axis + 1, len(x.shape) + 1)
    return reduce_sum(where(found, place, np.zeros((), INTEGER)), axis=(axis + 1,))


def _pairs(x, axis):
    """Elements i and j along `axis`, to be compared: (…, i, 1, …) and (…, 1, j, …)."""
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    return reshape(x, shape=(*before, n, 1, *after)), reshape(x, shape=(*before, 1, n, *after))


def _shaped(index, axis, ndim):
    return index.reshape([-1 if a == axis else 1 for a in range(ndim)])


def _below(x, y):
    """x < y, NaN above all."""
    if x.dtype.kind != "f":
        return less(x, y)
    return logical_or(less(x, y), logical_and(equal(x, x), not_equal(y, y)))


def _alike(x, y):
    if x.dtype.kind != "f":
        return equal(x, y)
    return logical_not(logical_or(_below(x, y), _below(y, x)))


@primitive
def largest_place(x, *, axis, smallest=False):
    """Index of the first maximum (or minimum) along `axis`; NaN counts as the extreme."""
    return (np.argmin if smallest else np.argmax)(x, axis=axis)


@largest_place.shape
def _(x, *, axis, smallest):
    if x.shape[axis] == 0:
        raise ShapeError(f"argmax: no extreme of nothing: {tuple(x.shape)} along axis {axis}.")
    return Spec((*x.shape[:axis], *x.shape[axis + 1 :]), INTEGER)


@largest_place.gradient
def _(dz, z, x, *, axis, smallest):
    return (None,)


@largest_place.kernel
@composed
def _(x, *, axis, smallest):
    length = x.shape[axis]
    extreme = (reduce_min if smallest else reduce_max)(x, axis=(axis,), keepdims=True)
    found = equal(x, extreme)
    if x.dtype.kind == "f":
        found = logical_or(found, not_equal(x, x))
    index = _shaped(np.arange(length), axis, len(x.shape))
    return reduce_min(where(found, index, np.asarray(length, INTEGER)), axis=(axis,))


def argsort(x: Any, axis: Any = -1) -> Any:
    """The indices that sort `x` along `axis` (None: all elements in a row); stable, NaN last."""
    x, axis = _flat_or("argsort", x, axis)
    return sorted_places(x, axis=axis)


def sort(x: Any, axis: Any = -1) -> Any:
    """`x` sorted along `axis` (None: all elements in a row), NaN last."""
    x, axis = _flat_or("sort", x, axis)
    return take_along_axis(x, sorted_places(x, axis=axis), axis)


def argmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Index of the first maximum along `axis`, or among all elements in a row; a NaN is one."""
    return _extreme("argmax", x, axis, keepdims, smallest=False)


def argmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Index of the first minimum along `axis`, or among all elements in a row; a NaN is one."""
    return _extreme("argmin", x, axis, keepdims, smallest=True)


def _extreme(name: str, x: Any, axis: Any, keepdims: bool, smallest: bool) -> Any:
    given = as_operand(x)
    x, axis_ = _flat_or(name, given, axis)
    if x.shape[axis_] == 0:
        raise ShapeError(f"{name}: no extreme of nothing: {tuple(given.shape)}, axis {axis}.")
    z = largest_place(x, axis=axis_, smallest=smallest)
    if not keepdims:
        return z
    kept = [1 if axis is None or a == axis_ else n for a, n in enumerate(given.shape)]
    return reshape(z, shape=tuple(kept))


def _flat_or(name: str, x: Any, axis: Any) -> tuple[Any, int]:
    """`x` and its axis; without one, all elements in a row."""
    x = as_operand(x)
    if axis is None:
        return reshape(x, shape=(math.prod(x.shape),)), 0
    (axis,) = normalize_axis(name, axis, len(x.shape))
    return x, axis
