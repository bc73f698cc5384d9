"""Systems of linear equations, inverses, determinants, and the factor of Cholesky."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from myad.core import Spec, describe, primitive
from myad.errors import ShapeError
from myad.ops.diagonals import tril
from myad.ops.linalg import matmul
from myad.ops.rearrange import moveaxis
from myad.ops.reduce import unbroadcast
from myad.ops.shaping import reshape
from myad.ops.specs import as_operand, broadcast_shape, check_float, same_dtype


class SlogdetResult(NamedTuple):
    """Sign (−1, 0, 1) and logarithm of the size of a determinant."""

    sign: Any
    logabsdet: Any


@primitive
def solve_matrix(a, b):
    """x with a·x = b: (…, N, N), (…, N, K) → (…, N, K); leading axes are broadcast."""
    return np.linalg.solve(a, b)


@solve_matrix.shape
def _(a, b):
    dtype = same_dtype("solve", a, b)
    check_square("solve", a)
    if len(b.shape) < 2 or b.shape[-2] != a.shape[-1]:
        raise ShapeError(f"solve: (…, N, N), (…, N, K) needs equal N.{describe(a, b)}")
    lead = broadcast_shape("solve", Spec(a.shape[:-2], dtype), Spec(b.shape[:-2], dtype))
    return Spec((*lead, *b.shape[-2:]), dtype)


@solve_matrix.gradient
def _(dz, z, a, b):
    # x = a⁻¹b  ⇒  db = a⁻ᵀ·dx,  da = −db·xᵀ
    db = solve_matrix(turned(a), dz)
    return (
        lambda: unbroadcast(-matmul(db, turned(z)), a.shape),
        lambda: unbroadcast(db, b.shape),
    )


@primitive
def determinant(a):
    """Determinants of (…, N, N); their derivative needs regular matrices."""
    return np.asarray(np.linalg.det(a))


@determinant.shape
def _(a):
    return _of_each("det", a)


@determinant.gradient
def _(dz, z, a):
    # d det a = det a · tr(a⁻¹·da)
    return (_spread(dz * z) * turned(inv(a)),)


@primitive
def log_determinant(a):
    """ln |det a| of (…, N, N)."""
    return np.asarray(np.linalg.slogdet(a)[1])


@log_determinant.shape
def _(a):
    return _of_each("slogdet", a)


@log_determinant.gradient
def _(dz, z, a):
    return (_spread(dz) * turned(inv(a)),)


@primitive
def determinant_sign(a):
    """The sign of det a of (…, N, N): −1, 0 or 1; its derivative is 0."""
    return np.asarray(np.linalg.slogdet(a)[0])


@determinant_sign.shape
def _(a):
    return _of_each("slogdet", a)


@determinant_sign.gradient
def _(dz, z, a):
    return (None,)


@primitive
def cholesky_factor(a):
    """Lower triangular L with L·Lᵀ = a, symmetric and positive, of which the lower half is read."""
    return np.linalg.cholesky(a)


@cholesky_factor.shape
def _(a):
    check_square("cholesky", a)
    return Spec(tuple(a.shape), a.dtype)


@cholesky_factor.gradient
def _(dz, z, a):
    # S = L⁻ᵀ·Φ(Lᵀ·dL)·L⁻¹, Φ the lower half with half of the diagonal, for both halves of a
    # together (Murray 2016, arXiv:1602.07527, eq. 10)
    inner = matmul(turned(z), tril(dz)) * _half(a)
    left = solve_matrix(turned(z), inner)
    s = turned(solve_matrix(turned(z), turned(left)))
    return (of_lower_half(s),)


def solve(a: Any, b: Any) -> Any:
    """x with a·x = b.

    Args: a: (…, N, N). b: (N,), or (…, N, K) with leading axes that broadcast.
    Returns: shape of `b`, with the leading axes of both. Raises: numpy.linalg.LinAlgError for a
        singular matrix; ShapeError.
    """
    a, b = as_operand(a), as_operand(b)
    check_float("solve", a, b)
    if len(b.shape) != 1:
        return solve_matrix(a, b)
    x = solve_matrix(a, reshape(b, shape=(*b.shape, 1)))
    return reshape(x, shape=tuple(x.shape[:-1]))


def inv(a: Any) -> Any:
    """Inverses of (…, N, N). Raises: numpy.linalg.LinAlgError for a singular one."""
    a = as_operand(a)
    check_float("inv", a)
    check_square("inv", a)
    return solve_matrix(a, np.eye(a.shape[-1], dtype=a.dtype))


def det(a: Any) -> Any:
    """Determinants of (…, N, N); only regular matrices have derivatives."""
    a = as_operand(a)
    check_float("det", a)
    return determinant(a)


def slogdet(a: Any) -> SlogdetResult:
    """(sign, ln |det a|) of (…, N, N): no overflow where `det` has one."""
    a = as_operand(a)
    check_float("slogdet", a)
    return SlogdetResult(determinant_sign(a), log_determinant(a))


def cholesky(a: Any) -> Any:
    """Lower triangular L with L·Lᵀ = a, for symmetric positive (…, N, N): the lower half is read.

    Raises: numpy.linalg.LinAlgError where `a` is not positive.
    """
    a = as_operand(a)
    check_float("cholesky", a)
    return cholesky_factor(a)


def of_lower_half(s: Any) -> Any:
    """The gradient by the lower half of a symmetric matrix whose gradient by both halves is `s`."""
    return (s + turned(s)) * _half(s)


def _half(a: Any) -> np.ndarray:
    """Ones below the diagonal, ½ on it."""
    n = a.shape[-1]
    return np.asarray(np.tri(n) - 0.5 * np.eye(n), a.dtype)


def turned(a: Any) -> Any:
    """Matrices transposed."""
    return moveaxis(a, -1, -2)


def check_square(name: str, a: Any) -> None:
    """Raise ShapeError unless `a` is (…, N, N)."""
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{name}: needs square matrices (…, N, N), got {tuple(a.shape)}.")


def _of_each(name: str, a: Any) -> Spec:
    check_square(name, a)
    return Spec(tuple(a.shape[:-2]), a.dtype)


def _spread(d: Any) -> Any:
    return reshape(d, shape=(*d.shape, 1, 1))
