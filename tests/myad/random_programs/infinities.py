"""What else a sum of products may give where infinities or overflow meet in it.

`docs/compiler.md` leaves it open there whether a sum meets ∞ − ∞ or an overflow on its way: NumPy's
`einsum` takes common factors out, its BLAS leaves out what is multiplied with 0, and a fused
multiply-add does not overflow in between. These functions list, element by element, what the sum
gives term by term in some order; `rounding.Moved` draws from them, and so follows what each choice
does to the results, and to no others.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myad.compile.program.program import Step

WIDER = {"float32": np.float64, "float64": np.longdouble}
MOVES = frozenset({  # products go through these into multiply-adds, and sums into longer sums
    "reshape", "broadcast_to", "transpose", "negative", "strided_slice", "stop_gradient", "where",
    "add", "subtract",
})  # fmt: skip
# Kinds of numbers, by what stands for them in a product; of two each kind's are added up apart.
KINDS = {
    math.nan: np.isnan, math.inf: np.isposinf, -math.inf: np.isneginf, 0.0: lambda x: x == 0,
    1.0: lambda x: np.isfinite(x) & (x > 0), -1.0: lambda x: np.isfinite(x) & (x < 0),
}  # fmt: skip


def unrounded(step: Step, inputs: Sequence[Any], before: Sequence[Any], z: np.ndarray) -> Any:
    """What a step hands on to sums: a product that overflows only in its own type, in a wider one.

    `before` are such values of the inputs, where there are any; they are moved and added up.
    Returns None where rounding makes no such difference.
    """
    name = step.op.name
    if z.dtype.name not in WIDER:
        return None
    if name == "multiply":
        wide = step.op.value(*_wide(z, inputs))
        return wide if (np.isfinite(wide) & ~np.isfinite(z)).any() else None
    if name in MOVES and any(b is not None for b in before):
        return step.op.value(*either(inputs, before), **step.static)
    return None


def fused(
    step: Step, inputs: Sequence[Any], before: Sequence[Any], z: np.ndarray
) -> list[np.ndarray]:
    """Sums of two, in the sum's type, of which one product is not rounded, or both."""
    ways = itertools.product(
        *[[x] if b is None else [x, b] for x, b in zip(inputs, before, strict=True)]
    )
    return [step.op.value(*_wide(z, way)).astype(z.dtype) for way in list(ways)[1:]]


def either(inputs: Sequence[Any], before: Sequence[Any]) -> list[Any]:
    return [x if b is None else b for x, b in zip(inputs, before, strict=True)]


def sums(step: Step, inputs: Sequence[Any], z: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """Where a sum of products meets such numbers, and what it gives term by term in some order."""
    value, inputs = _of_floats(step, inputs)
    inputs = _wide(z, inputs)
    finite = [np.where(np.isfinite(x), x, 0) for x in inputs]
    total = value(*finite)
    size = value(*[np.abs(x) for x in finite])
    largest = np.finfo(z.dtype).max
    over, under = ((size + total) / 2 > largest, (size - total) / 2 > largest)
    none, plus, minus = (
        _terms(step, value, inputs, kind) for kind in (math.nan, math.inf, -math.inf)
    )
    exact = np.select([none | (plus & minus), plus, minus], [np.nan, np.inf, -np.inf], total)
    plain = exact.astype(z.dtype)
    up, down = plus | over, minus | under
    return over | under | none | plus | minus | ~np.isfinite(z), [
        plain,
        np.where(up & ~minus & ~none, np.inf, plain).astype(z.dtype),
        np.where(down & ~plus & ~none, -np.inf, plain).astype(z.dtype),
        np.where(up & down, np.nan, plain).astype(z.dtype),
    ]


def _wide(z: np.ndarray, inputs: Sequence[Any]) -> list[np.ndarray]:
    return [np.asarray(x).astype(WIDER[z.dtype.name]) for x in inputs]


def _of_floats(
    step: Step, inputs: Sequence[Any]
) -> tuple[Callable[..., np.ndarray], list[np.ndarray]]:
    """A step as a function of its floating-point inputs, all but places; and these."""
    floats = [x.dtype.kind == "f" for x in inputs]

    def value(*given: np.ndarray) -> np.ndarray:
        rest = iter(given)
        whole = [next(rest) if f else x for x, f in zip(inputs, floats, strict=True)]
        return np.asarray(step.op.value(*whole, **step.static))

    return value, [x for x, f in zip(inputs, floats, strict=True) if f]


def _terms(
    step: Step, value: Callable[..., np.ndarray], inputs: Sequence[Any], kind: float
) -> np.ndarray:
    """Where the sum has terms that are NaN, or the infinity `kind`."""
    found = np.zeros(step.output.shape, bool)
    masks = [{k: m for k, is_kind in KINDS.items() if (m := is_kind(x)).any()} for x in inputs]
    for kinds in itertools.product(*masks):
        product = math.prod(kinds)
        if product == kind or (math.isnan(product) and math.isnan(kind)):
            those = [m[k].astype(step.output.dtype) for m, k in zip(masks, kinds, strict=True)]
            found |= value(*those) > 0
    return found
