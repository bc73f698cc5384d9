"""Products of vectors and arrays, made of matrix products and of Einstein's convention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.core import describe
from myad.errors import OptionError, ShapeError
from myad.ops.arithmetic import multiply, subtract
from myad.ops.diagonals import diagonal
from myad.ops.index import transpose
from myad.ops.linalg import matmul, product, sum_of_products
from myad.ops.rearrange import moveaxis
from myad.ops.reduce import broadcast_to
from myad.ops.shaping import getitem, reshape, stack
from myad.ops.specs import as_operand, broadcast_shape, normalize_axis

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


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


def einsum(subscripts: str, *arrays: Any) -> Any:
    """Einstein's sum convention: "ij,jk->ik", `...` for axes that are broadcast, a letter twice in
    an array for its diagonal; without an output, the letters that occur once, in their order.

    Raises: OptionError for subscripts that say nothing of this kind; ShapeError.
    """
    operands = [as_operand(x) for x in arrays]
    terms, output = _terms(subscripts, operands)
    ready = [_without_repeats(t, x) for t, x in zip(terms, operands, strict=True)]
    terms, operands = [t for t, _ in ready], [x for _, x in ready]
    if len(set(output)) < len(output) or not set(output) <= set("".join(terms)):
        raise OptionError(
            f"einsum: {subscripts!r}: the output needs letters of the arrays, each once."
        )
    return sum_of_products(*operands, subscripts=f"{','.join(terms)}->{output}")


def _terms(subscripts: str, operands: list[Any]) -> tuple[list[str], str]:
    """One string of letters per array, `...` written out, and the output's."""
    text = subscripts.replace(" ", "")
    left, arrow, output = text.partition("->")
    terms = left.split(",")
    letters = text.replace("...", "").replace("->", "").replace(",", "")
    if len(terms) != len(operands) or not all(a in LETTERS for a in letters):
        raise OptionError(
            f"einsum: {subscripts!r} needs letters, one list for each of {len(operands)} arrays."
        )
    free = [a for a in LETTERS if a not in letters]
    counts = [
        len(x.shape) - len(t.replace("...", "")) for t, x in zip(terms, operands, strict=True)
    ]
    most = max([c for c, t in zip(counts, terms, strict=True) if "..." in t], default=0)
    wrong = [c < 0 or (c and "..." not in t) for c, t in zip(counts, terms, strict=True)]
    if any(wrong):
        raise ShapeError(f"einsum {subscripts!r}: one letter per axis needed.{describe(*operands)}")
    shared = "".join(free[:most])
    if not arrow:
        once = sorted(a for a in set(letters) if letters.count(a) == 1)
        output = ("..." if "..." in left else "") + "".join(once)
    elif "..." not in output and most:
        raise OptionError(f"einsum: {subscripts!r}: the output needs the axes of '...'.")
    lengths = _lengths(terms, counts, operands, shared)
    for n, (t, c) in enumerate(zip(terms, counts, strict=True)):
        if "..." in t:
            names = shared[most - c :]
            before = len(t.partition("...")[0])
            x, shape = operands[n], operands[n].shape
            # an axis of length 1 that meets a longer one has no letter
            kept = [a for a, m in zip(names, shape[before : before + c], strict=True)
                    if m == lengths[a]]  # fmt: skip
            new = [m for a, m in zip(names, shape[before : before + c], strict=True) if a in kept]
            operands[n] = reshape(x, shape=(*shape[:before], *new, *shape[before + c :]))
            terms[n] = t.replace("...", "".join(kept))
    return terms, output.replace("...", shared)


def _lengths(
    terms: list[str], counts: list[int], operands: list[Any], shared: str
) -> dict[str, int]:
    lengths = dict.fromkeys(shared, 1)
    for t, c, x in zip(terms, counts, operands, strict=True):
        if "..." not in t:
            continue
        before = len(t.partition("...")[0])
        names = shared[len(shared) - c :]
        for a, m in zip(names, x.shape[before : before + c], strict=True):
            lengths[a] = m if lengths[a] == 1 else lengths[a]
            if m not in (1, lengths[a]):
                raise ShapeError(f"einsum: '...' does not broadcast.{describe(*operands)}")
    return lengths


def _without_repeats(term: str, x: Any) -> tuple[str, Any]:
    """A letter that occurs twice in `term` stands for the diagonal of its axes."""
    while twice := [a for a in term if term.count(a) > 1]:
        letter = twice[0]
        first = term.index(letter)
        second = term.index(letter, first + 1)
        if x.shape[first] != x.shape[second]:
            raise ShapeError(f"einsum: {letter!r} differs in length: {tuple(x.shape)}.")
        x = diagonal(x, 0, first, second)
        term = term[:first] + term[first + 1 : second] + term[second + 1 :] + letter
    return term, x
