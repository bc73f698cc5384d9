"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from myad.errors import ShapeError
from myad.ops.compare import where
from myad.ops.index import strided_embed, strided_slice
from myad.ops.rearrange import moveaxis
from myad.ops.reduce import reduce_sum
from myad.ops.shaping import reshape
from myad.ops.specs import as_operand, normalize_axis


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The diagonal of the matrices in the axes `axis1` and `axis2`, as the last axis.

    Args: offset: how far above the main diagonal; negative: below.
    """
    x = as_operand(x)
    if len(x.shape) < 2:
        raise ShapeError(f"diagonal: needs two axes, got {tuple(x.shape)}.")
    normalize_axis("diagonal", (axis1, axis2), len(x.shape))
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    *lead, rows, columns = x.shape
    start, count = _place(rows, columns, offset)
    flat = reshape(x, shape=(*lead, rows * columns))
    starts, stops, steps = _line(lead, start, count, columns)
    return strided_slice(flat, starts=starts, stops=stops, steps=steps)


def _place(rows: int, columns: int, offset: int) -> tuple[int, int]:
    """Where a diagonal starts in the flat matrix, and how long it is."""
    if offset >= 0:
        return offset, max(0, min(rows, columns - offset))
    return -offset * columns, max(0, min(rows + offset, columns))


def _line(lead: Any, start: int, count: int, columns: int) -> tuple[Any, Any, Any]:
    if count == 0:
        start, step, stop = 0, 1, 0
    else:
        step = columns + 1
        stop = start + (count - 1) * step + 1
    return (*[0] * len(lead), start), (*lead, stop), (*[1] * len(lead), step)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Sum of a diagonal, see `diagonal`."""
    line = diagonal(x, offset, axis1, axis2)
    return reduce_sum(line, axis=(len(line.shape) - 1,))


def diag(x: Any, k: int = 0) -> Any:
    """The k-th diagonal of a matrix, or the matrix with the vector `x` as its k-th diagonal."""
    x = as_operand(x)
    if len(x.shape) == 2:
        return diagonal(x, k)
    if len(x.shape) != 1:
        raise ShapeError(f"diag: needs a vector or a matrix, got {tuple(x.shape)}.")
    count = x.shape[0]
    size = count + abs(k)
    start, _ = _place(size, size, k)
    starts, stops, steps = _line((), start, count, size)
    flat = strided_embed(x, shape=(size * size,), starts=starts, stops=stops, steps=steps)
    return reshape(flat, shape=(size, size))


def tril(x: Any, k: int = 0) -> Any:
    """The matrices in the last two axes of `x` with zeros above their k-th diagonal."""
    return _kept("tril", x, lambda n, m: np.tri(n, m, k, dtype=bool))


def triu(x: Any, k: int = 0) -> Any:
    """The matrices in the last two axes of `x` with zeros below their k-th diagonal."""
    return _kept("triu", x, lambda n, m: ~np.tri(n, m, k - 1, dtype=bool))


def _kept(name: str, x: Any, mask: Any) -> Any:
    x = as_operand(x)
    if len(x.shape) < 2:
        raise ShapeError(f"{name}: needs two axes, got {tuple(x.shape)}.")
    return where(mask(*x.shape[-2:]), x, np.zeros((), x.dtype))
