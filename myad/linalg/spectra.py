"""Eigenvalues of symmetric matrices, and singular values: eager only.

Each is one primitive whose result holds values and vectors, row below row: values and vectors are
then views of it, and a derivative needs the decomposition once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from myad.core import Spec, primitive
from myad.errors import OptionError, ShapeError
from myad.linalg.systems import check_square, of_lower_half, turned
from myad.ops.compare import where
from myad.ops.linalg import matmul
from myad.ops.shaping import getitem, reshape
from myad.ops.specs import as_operand, check_float


class EighResult(NamedTuple):
    """Eigenvalues in rising order, and the eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """a = U·diag(S)·Vh, with S falling."""

    U: Any
    S: Any
    Vh: Any


@primitive
def symmetric_spectrum(a):
    """(…, 1 + N, N): eigenvalues, then the eigenvectors as columns; the lower half is read."""
    w, v = np.linalg.eigh(a)
    return np.concatenate([w[..., None, :], v], axis=-2)


@symmetric_spectrum.shape
def _(a):
    check_square("eigh", a)
    n = a.shape[-1]
    return Spec((*a.shape[:-2], n + 1, n), a.dtype)


@symmetric_spectrum.gradient
def _(dz, z, a):
    # S = V·(diag(dw) + F∘(Vᵀ·dV))·Vᵀ with F_ij = 1/(w_j − w_i), for both halves of a together
    _, w, v = _parts(z, 0)
    _, dw, dv = _parts(dz, 0)
    eye = np.eye(a.shape[-1], dtype=bool)
    gaps = where(eye, np.ones((), a.dtype), w - turned(w))
    inner = where(eye, dw, matmul(turned(v), dv) / gaps)
    s = matmul(matmul(v, inner), turned(v))
    return (of_lower_half(s),)


@primitive
def singular_spectrum(a):
    """(…, M + 1 + N, K), K = min(M, N): U, the singular values, then V, all as columns."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return np.concatenate([u, s[..., None, :], np.swapaxes(vh, -1, -2)], axis=-2)


@singular_spectrum.shape
def _(a):
    if len(a.shape) < 2:
        raise ShapeError(f"svd: needs matrices (…, M, N), got {tuple(a.shape)}.")
    *lead, m, n = a.shape
    return Spec((*lead, m + 1 + n, min(m, n)), a.dtype)


@singular_spectrum.gradient
def _(dz, z, a):
    # Townsend 2016, "Differentiating the singular value decomposition", eq. 16-18
    m, n = a.shape[-2:]
    k = min(m, n)
    u, s, v = _parts(z, m)
    du, ds, dv = _parts(dz, m)
    eye = np.eye(k, dtype=bool)
    one, zero = np.ones((), a.dtype), np.zeros((), a.dtype)
    square = s * s
    f = where(eye, zero, one / where(eye, one, square - turned(square)))
    uu, vv = matmul(turned(u), du), matmul(turned(v), dv)
    # the column scaled by s_j, the row by s_i
    inner = (f * (uu - turned(uu))) * s + turned(s) * (f * (vv - turned(vv))) + where(eye, ds, zero)
    da = matmul(matmul(u, inner), turned(v))
    if m > k:
        rest = du / s
        da = da + matmul(rest - matmul(u, matmul(turned(u), rest)), turned(v))
    if n > k:
        rest = dv / s
        da = da + matmul(u, turned(rest - matmul(v, matmul(turned(v), rest))))
    return (da,)


def _parts(z: Any, m: int) -> tuple[Any, Any, Any]:
    return tuple(
        getitem(z, (..., rows, slice(None)))
        for rows in (slice(0, m), slice(m, m + 1), slice(m + 1, None))
    )


def eigh(a: Any) -> EighResult:
    """Eigenvalues and eigenvectors of symmetric (…, N, N), of which the lower half is read.

    Derivatives of the vectors need eigenvalues that differ. Eager only.
    """
    a = as_operand(a)
    check_float("eigh", a)
    z = symmetric_spectrum(a)
    w = getitem(z, (..., 0, slice(None)))
    return EighResult(w, getitem(z, (..., slice(1, None), slice(None))))


def svd(a: Any, full_matrices: bool = False, compute_uv: bool = True) -> Any:
    """Singular values and vectors of (…, M, N): U (…, M, K), S (…, K), Vh (…, K, N).

    Derivatives need singular values that differ and are not 0. Eager only.
    Args: full_matrices: only False: the vectors beyond K are not determined by `a`.
        compute_uv: False gives S alone.
    """
    a = as_operand(a)
    check_float("svd", a)
    if full_matrices and compute_uv:
        raise OptionError("svd: full_matrices must be False: the further vectors are arbitrary.")
    u, s, v = _parts(singular_spectrum(a), a.shape[-2] if len(a.shape) > 1 else 0)
    values = reshape(s, shape=(*s.shape[:-2], s.shape[-1]))
    return SVDResult(u, values, turned(v)) if compute_uv else values
