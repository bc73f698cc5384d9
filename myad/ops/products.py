"""Products of vectors and arrays, made of matrix products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.core import describe
from myad.errors import ShapeError
from myad.ops.arithmetic import multiply, subtract
from myad.ops.index import transpose
from myad.ops.linalg import matmul, product
from myad.ops.rearrange import moveaxis
from myad.ops.reduce import broadcast_to
from myad.ops.shaping import getitem, reshape, stack
from myad.ops.specs import as_operand, broadcast_shape, normalize_axis


def dot(x: Any, y: Any) -> Any:
    """Σ over the last axis of x and the last but one (or the only) axis of y; numbers multiply."""
    x, y = as_operand(x), as_operand(y)
    if not x.shape or not y.shape:
        return multiply(x, y)
    if len(y.shape) <= 2 or len(x.shape) == 1:
        if len(y.shape) > 2:
            return tensordot(x, y, ((0,), (len(y.shape) - 2,)))
        return product(x, y)
    return tensordot(x, y, ((len(x.shape) - 1,), (len(y.shape) - 2,)))


def outer(x: Any, y: Any) -> Any:
    """z[i, j] = x[i]·y[j], of all elements of x and of y in a row."""
    x, y = as_operand(x), as_operand(y)
    return multiply(
        reshape(x, shape=(math.prod(x.shape), 1)), reshape(y, shape=(1, math.prod(y.shape)))
    )


def tensordot(x: Any, y: Any, axes: Any = 2) -> Any:
    """Σ over pairs of axes of x and y.

    Args: axes: how many of the last axes of x meet the first of y, or the two lists of axes.
    """
    x, y = as_operand(x), as_operand(y)
    if isinstance(axes, int | np.integer):
        count = int(axes)
        if not 0 <= count <= min(len(x.shape), len(y.shape)):
            raise ShapeError(f"tensordot: no {count} axes to sum over.{describe(x, y)}")
        left, right = list(range(len(x.shape) - count, len(x.shape))), list(range(count))
    else:
        left, right = (_listed(a, len(v.shape)) for a, v in zip(axes, (x, y), strict=True))
    if [x.shape[a] for a in left] != [y.shape[a] for a in right]:
        raise ShapeError(f"tensordot: axes {left} and {right} differ in length.{describe(x, y)}")
    rows = [a for a in range(len(x.shape)) if a not in left]
    columns = [a for a in range(len(y.shape)) if a not in right]
    inner = math.prod([x.shape[a] for a in left])
    shape = tuple([x.shape[a] for a in rows] + [y.shape[a] for a in columns])
    height = math.prod([x.shape[a] for a in rows])
    a = reshape(transpose(x, axes=(*rows, *left)), shape=(height, inner))
    width = math.prod([y.shape[a] for a in columns])
    b = reshape(transpose(y, axes=(*right, *columns)), shape=(inner, width))
    return reshape(matmul(a, b), shape=shape)


def _listed(axes: Any, ndim: int) -> list[int]:
    given = [axes] if isinstance(axes, int | np.integer) else list(axes)
    normalize_axis("tensordot", tuple(given), ndim)
    return [int(a) % ndim for a in given]


def kron(x: Any, y: Any) -> Any:
    """Kronecker's product: every element of x times all of y, laid side by side."""
    x, y = as_operand(x), as_operand(y)
    ndim = max(len(x.shape), len(y.shape))
    left, right = ((1,) * (ndim - len(v.shape)) + tuple(v.shape) for v in (x, y))
    wide = reshape(x, shape=tuple(m for n in left for m in (n, 1)))
    fine = reshape(y, shape=tuple(m for n in right for m in (1, n)))
    z = multiply(wide, fine)
    return reshape(z, shape=tuple(n * m for n, m in zip(left, right, strict=True)))


def cross(x: Any, y: Any, axis: int = -1) -> Any:
    """Cross products of the vectors of length 3 (or 2, giving numbers) along `axis`."""
    x, y = as_operand(x), as_operand(y)
    x, y = moveaxis(x, axis, -1), moveaxis(y, axis, -1)
    lengths = x.shape[-1], y.shape[-1]
    if not set(lengths) <= {2, 3}:
        raise ShapeError(f"cross: vectors need 2 or 3 elements.{describe(x, y)}")
    a, b = ([getitem(v, (..., n)) for n in range(v.shape[-1])] for v in (x, y))
    upright = subtract(a[0] * b[1], a[1] * b[0])
    if lengths == (2, 2):
        return upright
    zero = np.zeros((), x.dtype)
    (a0, a1, a2), (b0, b1, b2) = (v if len(v) == 3 else [*v, zero] for v in (a, b))
    parts = [subtract(a1 * b2, a2 * b1), subtract(a2 * b0, a0 * b2), upright]
    shape = broadcast_shape("cross", *parts)
    parts = [p if p.shape == shape else broadcast_to(p, shape=shape) for p in parts]
    return moveaxis(stack(parts, -1), -1, axis)
