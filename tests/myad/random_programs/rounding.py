"""How far results may differ because numbers are rounded: measured, not guessed.

Compiled code computes the same numbers in another order: sums are reassociated, products fused
into sums, quotients taken as products, `exp` and friends come from another library. Each operation
then errs by a few units of its own rounding error. What that does to a result depends on the
program (cancellation, division by small numbers, a comparison whose sides are nearly equal), so it
is measured: the recorded program runs again, with every rounding operation's result moved up or
down at random by `UNITS` of its rounding error, or √n where it adds up n > UNITS² numbers (Higham
and Mary 2019, SIAM Journal on Scientific Computing 41, A2815-A2835), and the results' largest move
is what is allowed.

Two refinements keep that sharp. An operation whose result is exact in every order (sums and
products of short binary fractions) is not moved: a `Grid` per value tells. And what only moves or
chooses numbers is never moved: there, results have to be equal to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import numpy as np

from myad.compile.program.program import Program, Step, Variable
from myad.control.body import Body, spec_of
from myad.control.nest import Nest
from myad.core import Primitive
from tests.myad.random_programs.infinities import either, fused, sums, unrounded

UNITS = 4.0  # rounding errors by which an operation may be off
EXACT = frozenset({
    "reshape", "broadcast_to", "transpose", "stop_gradient", "relu", "relu_gradient", "maximum",
    "minimum", "equal", "not_equal", "less", "less_equal", "sign", "floor", "where", "one_hot",
    "negative", "absolute", "strided_slice", "strided_embed", "pad", "concatenate", "gather",
    "reduce_max", "max_pool2d", "max_pool2d_pick", "random_uniform", "scatter_set",
    "sorted_places", "largest_place",
})  # fmt: skip
SUMS = frozenset({  # linear in each input: the size of what is added up is the sum of the sizes
    "reduce_sum", "matmul", "sum_of_products", "correlate2d", "correlate2d_input_gradient",
    "correlate2d_kernel_gradient", "sum_pool2d", "sum_pool2d_gradient", "scatter_add",
    "cumulative_sum",
})  # fmt: skip
ADDING = ("reduce_sum", "sum_pool2d")  # products are fused into these sums


class Grid(NamedTuple):
    """All numbers are multiples of 2^-bits and at most `largest`; exact arithmetic keeps it so."""

    bits: int
    largest: float


def grid_of(array: np.ndarray) -> Grid | None:
    """The grid of an array of short binary fractions; None for other numbers."""
    if array.dtype.kind in "iub":
        return Grid(0, float(np.abs(array.astype(float)).max(initial=0)))
    for bits in (0, 3, 6):
        scaled = array * 2.0**bits
        if np.all(np.isfinite(scaled)) and np.all(scaled == np.floor(scaled)):
            return Grid(bits, float(np.abs(array).max(initial=0)))
    return None


def _grid_after(
    step: Step, inputs: list[Any], grids: list[Grid | None], z: np.ndarray
) -> Grid | None:
    """The grid of a step's result `z`, if every order of the arithmetic is exact."""
    name = step.op.name
    if z.dtype.kind != "f":
        return Grid(0, float(np.abs(z.astype(float)).max(initial=0)))
    if name == "random_uniform":
        return Grid(24, 1.0)
    if any(g is None for g in grids):
        return None
    known = [g for g in grids if g is not None]
    bits = max([g.bits for g in known], default=0)
    if name in EXACT:  # 3 bits: the value of a padding
        return Grid(max(bits, 3), float(np.abs(z).max(initial=0)))
    if name in ("add", "subtract"):
        grid = Grid(bits, sum(g.largest for g in known))
    elif name == "multiply":
        grid = Grid(sum(g.bits for g in known), math.prod(g.largest for g in known))
    elif name in SUMS:
        grid = Grid(sum(g.bits for g in known), float(np.max(_size(step, inputs, z), initial=0)))
    elif name == "cast":
        grid = known[0]
    else:
        return None
    digits = np.finfo(z.dtype).nmant + 1
    return grid if grid.largest * 2.0**grid.bits < 2.0**digits else None


def _size(step: Step, inputs: list[Any], z: np.ndarray) -> np.ndarray:
    """What the rounding error of a step is proportional to."""
    name = step.op.name
    size = np.abs(z)
    if name in ("scatter_add", "max_pool2d_gradient"):  # what is added up, and places of it
        return step.op.value(np.abs(inputs[0]), *inputs[1:], **step.static)
    if name in SUMS:
        return step.op.value(*[np.abs(x) for x in inputs], **step.static)
    if name in ("add", "subtract"):  # reassociated sums pass through other partial sums
        return np.abs(inputs[0]) + np.abs(inputs[1])
    if name == "power":  # relative error of x^y = exp(y ln x)
        return size * (1 + np.abs(inputs[1]))
    if name == "softplus":  # ln(1 + e): rounded at 1
        return size + 1
    if name == "softmax":
        return size * (1 + np.abs(inputs[0]).max(initial=0))
    if name == "sparse_softmax_cross_entropy":
        return size + 1 + np.abs(inputs[0]).max(initial=0)
    if name == "sparse_softmax_cross_entropy_gradient":
        reach = 1 + np.abs(inputs[1]).max(initial=0)
        return np.full_like(size, reach * np.abs(inputs[0]).max(initial=0))
    return size


def _terms(step: Step, inputs: list[Any]) -> float:
    """How many products or numbers are added up, at most, in an element of a sum; else 1."""
    if step.op.name not in SUMS:
        return 1.0
    first = 1 if step.op.name == "scatter_add" else len(inputs)  # then come places
    ones = [np.ones_like(x) for x in inputs[:first]]
    return float(np.max(step.op.value(*ones, *inputs[first:], **step.static), initial=1))


class _Known(NamedTuple):
    """A value, its grid, and what it is if a product is not rounded; see `unrounded`."""

    value: Any
    grid: Grid | None
    product: Any = None


def _known(value: Any) -> _Known:
    return _Known(value, grid_of(np.asarray(value)))


class Moved:
    """Runs of a recorded program in which each rounding operation is off by some units."""

    def __init__(self, program: Program, seed: int) -> None:
        self.program = program
        self.rng = np.random.default_rng(seed)
        self.density = 1.0

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs, moved by rounding errors: by all of them, or by a part only, as
        other code may round much as eager does, and cancel to exact zeros where it does."""
        program = self.program
        self.density = self.rng.choice([1.0, 0.5, 0.1, 0.02])
        values: dict[Variable, _Known] = {
            v: _known(value) for v, value in zip(program.inputs, arrays, strict=True)
        }
        values.update({v: _known(v.value) for v in program._constants.values()})
        with np.errstate(all="ignore"), mock.patch.object(Body, "evaluate", self._inside):
            for step in program.steps:
                values[step.output] = self._after(step, [values[v] for v in step.inputs])
        return [np.asarray(values[v].value) for v in program.outputs]

    @property
    def _inside(self) -> Callable[..., list[np.ndarray]]:
        """What takes the place of `Body.evaluate`: a turn of a loop, moved step by step."""

        def evaluate(body: Body, *arrays: np.ndarray) -> list[np.ndarray]:
            def apply(op: Primitive, inputs: list[_Known], static: dict[str, Any]) -> _Known:
                specs = [spec_of(np.asarray(x.value)) for x in inputs]
                step = Step(op, tuple(specs), static, op.shape_rule(*specs, **static))  # type: ignore[arg-type]
                return self._after(step, inputs)

            found = body.replay(list(map(_known, arrays)), apply, _known)
            return [np.asarray(x.value) for x in found]

        return evaluate

    def _after(self, step: Step, known: list[_Known]) -> _Known:
        """The moved result of one step."""
        inputs = [x.value for x in known]
        if isinstance(step.static.get("nest"), Nest):
            nest = step.static["nest"]
            return _known(nest.results.flat(nest.run(*inputs), step.op.name == "nested"))
        z = np.asarray(step.op.value(*inputs, **step.static))
        grid = _grid_after(step, inputs, [x.grid for x in known], z)
        before = [x.product for x in known]
        if grid is None and z.dtype.kind == "f" and not _exact(step):
            z = self._rounded(step, inputs, before, z)
        return _Known(z, grid, unrounded(step, inputs, before, z))

    def _rounded(
        self, step: Step, inputs: list[Any], before: list[Any], z: np.ndarray
    ) -> np.ndarray:
        """The result `z` of a step, moved; where its sum is at risk, one of what it may give."""
        name, size = step.op.name, _size(step, inputs, z)
        moved = self._moved(z, size * max(1.0, math.sqrt(_terms(step, inputs)) / UNITS))
        fuses = any(b is not None for b in before)
        if name in SUMS and (fuses or not all(np.isfinite(x).all() for x in (size, *inputs))):
            where, others = sums(step, either(inputs, before) if name in ADDING else inputs, z)
            return self._one_of([moved, *others], where)
        if name in ("add", "subtract") and fuses:
            return self._one_of([moved, *fused(step, inputs, before, z)], ~np.isfinite(size))
        return moved

    def _one_of(self, choices: list[np.ndarray], where: np.ndarray) -> np.ndarray:
        drawn = np.choose(self.rng.integers(len(choices), size=where.shape), choices)
        return np.where(where, drawn, choices[0])

    def _moved(self, z: np.ndarray, size: np.ndarray) -> np.ndarray:
        info = np.finfo(z.dtype)
        sign = self.rng.choice([-1.0, 1.0], z.shape)
        some = self.rng.random(z.shape) < self.density
        moved = z + sign * some * (UNITS * info.eps / 2 * size)
        moved = np.where(np.isfinite(z), moved, z)
        # the sign of a zero is nobody's promise: sums in another order may give the other one
        return np.where(moved == 0, np.copysign(moved, sign), moved).astype(z.dtype)


def _exact(step: Step) -> bool:
    if step.op.name == "cast":
        return step.inputs[0].dtype.itemsize <= step.output.dtype.itemsize
    return step.op.name in EXACT


def mismatch(got: np.ndarray, want: np.ndarray, moved: list[np.ndarray]) -> str | None:
    """What is wrong with `got`, or None: `want` is eager's, `moved` what rounding may make of it.

    Each element may lie as far from `want` as twice the farthest of `moved` (four units as they
    are, eight in all). NaN and infinities have to be where eager has them, unless rounding alone
    can take them away.
    """
    if (got.shape, got.dtype) != (want.shape, want.dtype):
        return f"{got.dtype}{list(got.shape)} for {want.dtype}{list(want.shape)}"
    if want.dtype.kind != "f":
        unsure = np.zeros(want.shape, bool)
        for other in moved:
            unsure |= other != want
        wrong = (got != want) & ~unsure
    else:
        wrong = _wrong(got, want, moved)
    if not wrong.any():
        return None
    at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(wrong)))
    first = [np.atleast_1d(a)[at].item() for a in (got, want)]
    return (
        f"{int(wrong.sum())} of {wrong.size} elements; at {list(at)} {first[0]!r} for {first[1]!r}"
    )


def _wrong(got: np.ndarray, want: np.ndarray, moved: list[np.ndarray]) -> np.ndarray:
    with np.errstate(all="ignore"):
        reach = np.zeros(want.shape)
        unsure = np.zeros(want.shape, bool)  # whether it is finite at all is a matter of rounding
        for other in moved:
            far = np.abs(other.astype(float) - want.astype(float))
            reach = np.fmax(reach, np.where(np.isfinite(far), far, 0))
            unsure |= ~_same_special(other, want)
        finite = np.isfinite(want) & np.isfinite(got)
        near = np.abs(got.astype(float) - want.astype(float)) <= 2 * reach
        return ~unsure & ~np.where(finite, near, _same_special(got, want))


def _same_special(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Where both are finite, both NaN, or the same infinity."""
    both = np.isfinite(x) & np.isfinite(y)
    return both | (np.isnan(x) & np.isnan(y)) | (np.isinf(x) & (x == y))
