"""Norms of vectors and matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from myad.errors import OptionError, ShapeError
from myad.linalg.spectra import svd
from myad.ops.compare import astype, not_equal
from myad.ops.extremes import max as largest
from myad.ops.extremes import min as smallest
from myad.ops.functions import absolute, sqrt
from myad.ops.rearrange import expand_dims, moveaxis
from myad.ops.reduce import sum as total
from myad.ops.shaping import reshaped
from myad.ops.specs import as_float


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of vectors (`axis` a number) or matrices (two numbers), as numpy.linalg.norm.

    Args:
        ord: of vectors 0, any p, ±inf; of matrices "fro", 1, ±inf, 2 and "nuc" (of singular values,
            eager only). None: the root of the sum of squares. axis: None: all of `x`.
    It has no derivative where it is 0.
    """
    x = as_float(x)
    ndim = len(x.shape)
    if axis is None and (ord is None or ndim in (1, 2)):
        if ord is None:
            z = sqrt(total(x * x))
            return reshaped(z, (1,) * ndim) if keepdims else z
        axis = tuple(range(ndim))
    if axis is None:
        raise ShapeError(f"norm: ord {ord!r} needs an axis for the shape {tuple(x.shape)}.")
    axes = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    if len(axes) == 1:
        return _of_vectors(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ShapeError(f"norm: axis {axis} is neither one of a vector nor two of a matrix.")
    return _of_matrices(x, ord, axes, keepdims)


def _of_vectors(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return sqrt(total(x * x, axis, keepdims))
    if isinstance(ord, str):
        raise OptionError(f"norm: ord {ord!r} is none of a vector: a number is.")
    size = absolute(x)
    if ord == np.inf:
        return largest(size, axis, keepdims)
    if ord == -np.inf:
        return smallest(size, axis, keepdims)
    if ord == 0:
        return total(astype(not_equal(x, np.zeros((), x.dtype)), x.dtype), axis, keepdims)
    if ord == 1:
        return total(size, axis, keepdims)
    return total(size ** float(ord), axis, keepdims) ** (1.0 / ord)


def _of_matrices(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    if ord is None or ord == "fro":
        return sqrt(total(x * x, axes, keepdims))
    m = moveaxis(x, axes, (-2, -1))
    if ord in (1, -1, np.inf, -np.inf):
        sums = total(absolute(m), -2 if abs(ord) == 1 else -1)
        z = largest(sums, -1) if ord > 0 else smallest(sums, -1)
    elif ord in (2, -2, "nuc"):
        s = svd(m, compute_uv=False)
        z = total(s, -1) if ord == "nuc" else largest(s, -1) if ord == 2 else smallest(s, -1)
    else:
        raise OptionError(f"norm: ord {ord!r} is none of None, 'fro', 'nuc', ±1, ±2, ±inf.")
    ndim = len(x.shape)
    return expand_dims(z, tuple(sorted(a % ndim for a in axes))) if keepdims else z
