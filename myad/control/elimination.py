"""Linear algebra for the compiler: the same values by loops of `scan`, whatever the size.

Gauss' elimination with partial pivoting, and Cholesky's factor column by column. Each turn updates
the whole matrix, which is three times the work that triangles need and all of it in vectors.
A singular matrix gives infinities or NaN, where NumPy raises LinAlgError.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from myad.control.scan import scan
from myad.core import composed
from myad.linalg.systems import (
    cholesky_factor,
    determinant,
    determinant_sign,
    log_determinant,
    solve_matrix,
)
from myad.ops.compare import equal, less, sign, where
from myad.ops.extremes import reduce_min
from myad.ops.functions import absolute, log, sqrt
from myad.ops.linalg import matmul
from myad.ops.order import largest_place
from myad.ops.reduce import broadcast_to, reduce_sum
from myad.ops.shaping import joined, reshape
from myad.ops.specs import broadcast_shape


def _eliminated(a: Any, b: Any) -> tuple[Any, Any, Any]:
    """a⁻¹b by Gauss and Jordan, the pivots (N, …), and −1 for each exchange of rows (N, …)."""
    lead, n = tuple(a.shape[:-2]), a.shape[-1]
    rows = np.arange(n).reshape(n, 1)

    def turn(table: Any, k: Any) -> Any:
        # the row with the largest entry in column k, of those from k on, takes the place of row k
        column = _column(table, k)
        size = where(less(rows, k), np.asarray(-1.0, a.dtype), absolute(column))
        best = reshape(largest_place(size, axis=len(lead)), shape=(*lead, 1, 1))
        top, here = _row(table, best), _row(table, k)
        swapped = where(equal(rows, best), here, table)
        swapped = where(equal(rows, k), top, swapped)
        pivot = reduce_sum(_column(top, k), axis=(len(lead), len(lead) + 1))
        scaled = top / reshape(pivot, shape=(*lead, 1, 1))
        factors = where(equal(rows, k), np.zeros((), a.dtype), _column(swapped, k))
        table = where(equal(rows, k), scaled, swapped) - factors * scaled
        moved = reshape(best, shape=lead)
        one = np.ones((), a.dtype)
        return table, (pivot, where(equal(moved, k), one, -one))

    def _column(table: Any, k: Any) -> Any:
        width = table.shape[-1]
        own = equal(np.arange(width), k)
        picked = where(own, table, np.zeros((), a.dtype))
        return reduce_sum(picked, axis=(len(lead) + 1,), keepdims=True)

    def _row(table: Any, k: Any) -> Any:
        picked = where(equal(rows, k), table, np.zeros((), a.dtype))
        return reduce_sum(picked, axis=(len(lead),), keepdims=True)

    table = joined([a, b], -1)
    table, (pivots, signs) = scan(turn, table, np.arange(n))
    return table[..., n:], pivots, signs


@solve_matrix.kernel
@composed
def _(a, b):
    lead = broadcast_shape("solve", *[np.empty(x.shape[:-2], bool) for x in (a, b)])
    a, b = (broadcast_to(x, shape=(*lead, *x.shape[-2:])) for x in (a, b))
    return _eliminated(a, b)[0]


def _pivots(a: Any) -> tuple[Any, Any]:
    nothing = np.zeros((*a.shape[:-1], 1), a.dtype)
    return _eliminated(a, nothing)[1:]


@determinant.kernel
@composed
def _(a):
    pivots, signs = _pivots(a)
    one = np.ones(a.shape[:-2], a.dtype)
    product, _ = scan(lambda c, p: (c * p[0] * p[1], None), one, (pivots, signs))
    return _or_zero(pivots, product)


@log_determinant.kernel
@composed
def _(a):
    pivots, _ = _pivots(a)
    return _or_zero(pivots, reduce_sum(log(absolute(pivots)), axis=(0,)), -np.inf)


@determinant_sign.kernel
@composed
def _(a):
    pivots, signs = _pivots(a)
    one = np.ones(a.shape[:-2], a.dtype)
    product, _ = scan(lambda c, p: (c * sign(p[0]) * p[1], None), one, (pivots, signs))
    return _or_zero(pivots, product)


def _or_zero(pivots: Any, found: Any, singular: float = 0.0) -> Any:
    """`found`, but `singular` where a pivot is 0, behind which nothing is a number."""
    zero = np.zeros((), pivots.dtype)
    least = reduce_min(where(equal(pivots, zero), zero, np.ones((), pivots.dtype)), axis=(0,))
    return where(equal(least, zero), np.asarray(singular, pivots.dtype), found)


@cholesky_factor.kernel
@composed
def _(a):
    lead, n = tuple(a.shape[:-2]), a.shape[-1]
    rows, places = np.arange(n).reshape(n, 1), np.arange(n)

    def turn(factor: Any, k: Any) -> Any:
        # column k: (a_ik − Σ_j L_ij·L_kj) / L_kk, for i ≥ k
        own = reduce_sum(where(equal(rows, k), factor, zero), axis=(len(lead),), keepdims=True)
        done = matmul(factor, reshape(own, shape=(*lead, n, 1)))
        given = reduce_sum(where(equal(places, k), a, zero), axis=(len(lead) + 1,), keepdims=True)
        rest = given - done
        pivot = reduce_sum(where(equal(rows, k), rest, zero), axis=(len(lead),), keepdims=True)
        column = where(less(rows, k), zero, rest / sqrt(pivot))
        return where(equal(places, k), column, factor), None

    zero = np.zeros((), a.dtype)
    return scan(turn, np.zeros(a.shape, a.dtype), np.arange(n))[0]
