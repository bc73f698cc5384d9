"""Running sums and their differences, products, and the standard deviation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.core import Spec, composed, primitive
from myad.errors import OptionError
from myad.ops.compare import astype
from myad.ops.functions import sqrt
from myad.ops.index import along, pad, transpose
from myad.ops.reduce import reduced_shape, var
from myad.ops.shaping import joined, reshape
from myad.ops.specs import as_operand, normalize_axis


@primitive
def cumulative_sum(x, *, axis, reverse=False):
    """z[i] = Σ_{j ≤ i} x[j] along `axis` (a number from 0), or Σ_{j ≥ i} if `reverse`."""
    if not reverse:
        return np.add.accumulate(x, axis=axis, dtype=_sum_dtype(x.dtype))
    turned = np.flip(x, axis)
    return np.flip(np.add.accumulate(turned, axis=axis, dtype=_sum_dtype(x.dtype)), axis)


@cumulative_sum.shape
def _(x, *, axis, reverse):
    return Spec(tuple(x.shape), _sum_dtype(x.dtype))


@cumulative_sum.gradient
def _(dz, z, x, *, axis, reverse):
    return (cumulative_sum(dz, axis=axis, reverse=not reverse),)


@cumulative_sum.kernel
@composed
def _(x, *, axis, reverse):
    # Hillis & Steele 1986: after pass n each element holds the sum of 2ⁿ neighbours
    length = x.shape[axis]
    total, step = astype(x, _sum_dtype(x.dtype)), 1
    while step < length:
        start, stop = (step, length) if reverse else (0, length - step)
        widths = [(0, 0)] * len(x.shape)
        widths[axis] = (0, step) if reverse else (step, 0)
        total = total + pad(along(total, axis, start, stop), widths=tuple(widths), value=0.0)
        step *= 2
    return total


def _sum_dtype(dtype):
    return np.add.reduce(np.empty(0, dtype)).dtype  # NumPy sums small integers in wider ones


def cumsum(x: Any, axis: Any = None) -> Any:
    """Running sums of `x` along `axis`, or of all its elements in a row."""
    x = as_operand(x)
    if axis is None:
        return cumulative_sum(reshape(x, shape=(math.prod(x.shape),)), axis=0)
    (axis,) = normalize_axis("cumsum", axis, len(x.shape))
    return cumulative_sum(x, axis=axis)


def diff(x: Any, n: int = 1, axis: int = -1) -> Any:
    """Differences of neighbours along `axis`, taken `n` times; of booleans, where they differ."""
    x = as_operand(x)
    (axis,) = normalize_axis("diff", axis, len(x.shape))
    if n < 0:
        raise OptionError(f"diff: the order n must be at least 0, not {n}.")
    for _ in range(n):
        length = x.shape[axis]
        after, before = along(x, axis, 1, max(length, 1)), along(x, axis, 0, max(length - 1, 0))
        x = after != before if x.dtype == bool else after - before
    return x


def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """Product of `x` over `axis`: halves multiplied by halves, so zeros have their derivatives."""
    x = as_operand(x)
    axes = normalize_axis("prod", axis, len(x.shape))
    kept = [a for a in range(len(x.shape)) if a not in axes]
    lead = tuple(x.shape[a] for a in kept)
    length = math.prod([x.shape[a] for a in axes])
    shape = reduced_shape(x, axes, keepdims)
    x = astype(x, np.multiply.reduce(np.empty(0, x.dtype)).dtype)
    if length == 0:
        return np.ones(shape, x.dtype)
    rows = reshape(transpose(x, axes=(*kept, *axes)), shape=(*lead, length))
    last = len(lead)
    while length > 1:
        half = length // 2
        product = along(rows, last, 0, half) * along(rows, last, half, 2 * half)
        rest = [along(rows, last, 2 * half, length)] if length % 2 else []
        rows, length = joined([product, *rest], last) if rest else product, length - half
    return reshape(rows, shape=shape)


def std(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """Standard deviation over `axis`: the root of `var`; where that is 0, it has no derivative."""
    return sqrt(var(x, axis, keepdims, ddof))
