"""Matrix products."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.core import Spec, describe, primitive
from myad.errors import ShapeError
from myad.ops.index import transpose
from myad.ops.reduce import unbroadcast
from myad.ops.shaping import reshape
from myad.ops.specs import as_operand, broadcast_shape, same_dtype


@primitive
def matmul(x, y):
    """Product of matrices (…, M, D) × (…, D, K) → (…, M, K); leading axes are broadcast."""
    # np.dot does the same for two axes, in half the time where the matrices are small
    return np.dot(x, y) if x.ndim == y.ndim == 2 else np.matmul(x, y)


@matmul.shape
def _(x, y):
    dtype = same_dtype("matmul", x, y)
    if len(x.shape) < 2 or len(y.shape) < 2 or x.shape[-1] != y.shape[-2]:
        raise ShapeError(f"matmul: (…, M, D) × (…, D, K) needs equal D.{describe(x, y)}")
    lead = broadcast_shape("matmul", Spec(x.shape[:-2], dtype), Spec(y.shape[:-2], dtype))
    return Spec((*lead, x.shape[-2], y.shape[-1]), dtype)


@matmul.gradient
def _(dz, z, x, y):
    # z = x·y  ⇒  dx = dz·yᵀ,  dy = xᵀ·dz
    return (
        lambda: unbroadcast(matmul(dz, _swap(y)), x.shape),
        lambda: unbroadcast(matmul(_swap(x), dz), y.shape),
    )


@matmul.kernel
def _(k, x, y):
    *lead, m, n = k.axes(*k.shape)
    (d,) = k.axes(x.shape[-1])
    left, right = k.stretch(x, lead, 2), k.stretch(y, lead, 2)
    return k.define([*lead, m, n], x[*left, m, d] * y[*right, d, n], domain=[*lead, m, n, d])


def _swap(x):
    ndim = len(x.shape)
    return transpose(x, axes=(*range(ndim - 2), ndim - 1, ndim - 2))


def product(x: Any, y: Any) -> Any:
    """x @ y as in NumPy: vectors count as a row on the left and as a column on the right."""
    x, y = as_operand(x), as_operand(y)
    if not x.shape or not y.shape:
        raise ShapeError(f"matmul: a number has no matrix product; use *.{describe(x, y)}")
    row, column = len(x.shape) == 1, len(y.shape) == 1
    left = reshape(x, shape=(1, *x.shape)) if row else x
    right = reshape(y, shape=(*y.shape, 1)) if column else y
    z = matmul(left, right)
    if not row and not column:
        return z
    lead = z.shape[:-2]
    return reshape(
        z, shape=(*lead, *([] if row else [z.shape[-2]]), *([] if column else [z.shape[-1]]))
    )


@primitive
def sum_of_products(*arrays, subscripts):
    """Einstein's convention: `subscripts` as "ij,jk->ik", every letter once per array."""
    return np.einsum(subscripts, *arrays)


@sum_of_products.shape
def _(*arrays, subscripts):
    dtype = same_dtype("einsum", *arrays)
    terms, output = _parse(subscripts)
    lengths: dict[str, int] = {}
    for term, x in zip(terms, arrays, strict=False):
        if len(terms) != len(arrays) or len(term) != len(x.shape):
            break
        for letter, n in zip(term, x.shape, strict=True):
            if lengths.setdefault(letter, n) != n:
                raise ShapeError(f"einsum {subscripts!r}: {letter!r} differs.{describe(*arrays)}")
    else:
        if len(terms) == len(arrays):
            return Spec(tuple(lengths[letter] for letter in output), dtype)
    raise ShapeError(f"einsum {subscripts!r}: one letter per axis needed.{describe(*arrays)}")


@sum_of_products.gradient
def _(dz, z, *arrays, subscripts):
    # The sum is linear in each array: its gradient is the same sum with dz in the array's place.
    terms, output = _parse(subscripts)

    def gradient(i):
        others = [(t, x) for k, (t, x) in enumerate(zip(terms, arrays, strict=True)) if k != i]
        known = set(output).union(*[t for t, _ in others])
        missing = [(a, n) for a, n in zip(terms[i], arrays[i].shape, strict=True) if a not in known]
        others += [(letter, np.ones(n, z.dtype)) for letter, n in missing]
        left = ",".join([output, *[t for t, _ in others]])
        return sum_of_products(dz, *[x for _, x in others], subscripts=f"{left}->{terms[i]}")

    return tuple(lambda i=i: gradient(i) for i in range(len(arrays)))


@sum_of_products.kernel
def _(k, *arrays, subscripts):
    terms, output = _parse(subscripts)
    sizes = {
        a: n for t, x in zip(terms, arrays, strict=True) for a, n in zip(t, x.shape, strict=True)
    }
    axes = dict(zip(sizes, k.axes(*sizes.values()), strict=True))
    factors = [x[tuple(axes[a] for a in t)] for t, x in zip(terms, arrays, strict=True)]
    product = math.prod(factors[1:], start=factors[0])
    return k.define([axes[a] for a in output], product, domain=axes.values())


def _parse(subscripts: str) -> tuple[list[str], str]:
    left, _, output = subscripts.partition("->")
    return left.split(","), output
