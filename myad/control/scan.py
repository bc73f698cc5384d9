"""Loops of known length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myad.constants import as_constant
from myad.control.body import Body, record, spec_of
from myad.control.nest import (
    Nest,
    Results,
    followed,
    is_float,
    or_zeros,
    with_floats,
    with_those,
)
from myad.core import Spec, Tensor
from myad.errors import DTypeError, OptionError, ShapeError, TreeError
from myad.ops.specs import as_operand
from myad.recording import thread_state
from myad.transforms import jvp, vjp
from myad.tree import flatten, unflatten


class Scan(Nest):
    """carry, y[t] = body(carry, x[t], constants), for every t in order, or in reverse order.

    Inputs: the carry at the start, all x, the constants. Results: the carry at the end, all y, and
    with `keep` the carries that each turn began with, which reverse mode reads.
    """

    def __init__(
        self, body: Body, carried: int, moved: int, length: int, reverse: bool, keep: bool
    ) -> None:
        super().__init__()
        self.body, self.carried, self.moved = body, carried, moved
        self.length, self.reverse, self.keep = length, reverse, keep
        carries, ys = body.outputs[:carried], body.outputs[carried:]
        rows = [*ys, *(carries if keep else ())]
        self.results = Results([*carries, *[Spec((length, *s.shape), s.dtype) for s in rows]])

    @property
    def turns(self) -> range:
        """The rows in the order in which they are taken."""
        return range(self.length - 1, -1, -1) if self.reverse else range(self.length)

    def parts(self, inputs: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Carries, rows and constants among `inputs`."""
        a, b = self.carried, self.carried + self.moved
        return list(inputs[:a]), list(inputs[a:b]), list(inputs[b:])

    def description(self) -> tuple[Any, ...]:
        """How often, and what is done."""
        how = self.carried, self.moved, self.length, self.reverse, self.keep
        return *how, self.body

    def bodies(self) -> list[tuple[Any, int, bool, bool]]:
        return [(self.body, self.carried, False, False)]

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        carry, xs, constants = self.parts(inputs)
        rows = [np.empty(s.shape, s.dtype) for s in self.results.specs[self.carried :]]
        for t in self.turns:
            found = self.body.evaluate(*carry, *[x[t] for x in xs], *constants)
            kept = [*found[self.carried :], *(carry if self.keep else ())]
            for row, y in zip(rows, kept, strict=True):
                row[t] = y
            carry = found[: self.carried]
        return [*carry, *rows]

    def kept(self, z: Any, inputs: Sequence[Any]) -> list[Any]:
        """The carries that the turns began with, (T, …) each."""
        if not self.keep:
            keeping = Scan(self.body, self.carried, self.moved, self.length, self.reverse, True)
            return keeping(*inputs)[-self.carried :] if self.carried else []
        return self(*inputs)[-self.carried :] if self.carried else []

    def gradient(self, dz: Any, z: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        carry, xs, constants = self.parts(inputs)
        stored = self.kept(z, inputs)
        specs = self.results.specs
        cuts = iter(self.results.floats(dz))
        given = [next(cuts) if is_float(s) else None for s in specs]
        ends = [d for d in given[: self.carried] if d is not None]
        outputs = self.body.outputs
        rows = [d for d in given[self.carried : len(outputs)] if d is not None]
        more = [d for d in given[len(outputs) :] if d is not None]  # of the kept carries themselves
        # carries are followed from turn to turn, rows and constants only where somebody asks
        asked = followed(inputs)[len(carry) :]
        moves = [*map(is_float, carry), *asked]
        first, second = sum(moves[: len(carry)]), sum(moves[: len(carry) + len(xs)])

        def back(carried: Any, moved: Any) -> Any:
            dcarry, sums = carried
            begun, here, dys, extra = moved
            values = [*begun, *here, *constants]

            def floats_of(*moving: Any) -> list[Any]:
                found = self.body(*with_those(values, moves, moving))
                return [v for v in found if is_float(v)]

            _, pullback = vjp(floats_of, *[v for v, m in zip(values, moves, strict=True) if m])
            found = pullback([*dcarry, *dys])
            dbegun = list(found[:first])
            if extra:
                dbegun = [a + b for a, b in zip(dbegun, extra, strict=True)]
            sums = [a + b for a, b in zip(sums, found[second:], strict=True)]
            return (dbegun, sums), list(found[first:second])

        summed = zip(constants, asked[len(xs) :], strict=True)
        zeros = [np.zeros(c.shape, c.dtype) for c, is_asked in summed if is_asked]
        (dcarry, dconstants), dxs = scan(
            back, (ends, zeros), (stored, xs, rows, more), self.length, not self.reverse
        )
        rest = iter([*dcarry, *dxs, *dconstants])
        return [next(rest) if m else None for m in moves]

    def tangent(self, tangents: Sequence[Any], z: Any, inputs: Sequence[Any]) -> Any:
        carry, xs, constants = self.parts(inputs)
        tcarry, txs, tconstants = (
            or_zeros(t, x)
            for t, x in zip(self.parts(tangents), (carry, xs, constants), strict=True)
        )

        def step(carried: Any, moved: Any) -> Any:
            begun, tbegun = carried
            here, there = moved
            values = [*begun, *here, *constants]

            def of_floats(*moving: Any) -> list[Any]:
                return self.body(*with_floats(values, moving))

            primals = tuple([v for v in values if is_float(v)])
            found, pushed = jvp(of_floats, primals, (*tbegun, *there, *tconstants))
            pushed = [t for t, v in zip(pushed, found, strict=True) if is_float(v)]
            split = sum(map(is_float, begun))
            rows = [*pushed[split:], *(tbegun if self.keep else ())]
            return (found[: self.carried], pushed[:split]), rows

        (_, ends), rows = scan(step, (carry, tcarry), (xs, txs), self.length, self.reverse)
        return self.results.joined([*ends, *rows])


def scan(
    f: Callable[..., Any], init: Any, xs: Any = None, length: int | None = None,
    reverse: bool = False, unroll: int = 1,
) -> tuple[Any, Any]:  # fmt: skip
    """carry, y = f(carry, x) for each x of `xs`, in order: a loop as one operation.

    Args:
        f: pure; takes and returns trees (see `myad.tree`); the carry keeps its nesting, shapes and
            dtypes. It is called once, on shapes; it may close over tensors.
        init: the carry at the start. A Python float takes the first floating-point type among the
            other leaves of the carry and those of `xs`.
        xs: a tree of arrays (T, …) whose rows are the x; None if there are none.
        length: T, needed only without `xs`.
        reverse: take the rows, and fill those of the result, from the last to the first.
        unroll: of no effect, as the loop is native and never unrolled; for code written for JAX.
    Returns: the carry at the end, and the y as a tree of arrays (T, …).
    Derivatives: in both modes, of any order; reverse mode keeps the carry of every turn.
    Raises: TreeError, ShapeError or DTypeError for a carry that comes back otherwise than it went
        in, and for rows of unequal number.
    """
    moved, rows_nesting = operands(xs)
    carry, nesting = operands(init, moved)
    turns = _length(moved, length)
    rows = [Spec(tuple(x.shape[1:]), x.dtype) for x in moved]
    given = [(list(map(spec_of, carry)), nesting), (rows, rows_nesting)]
    body, foreign, structure = record(f, given, "own" if turns else "routines")
    if structure.kind is not tuple or len(structure.children) != 2:
        raise TreeError(f"scan: the function must return (carry, y), not {structure}.")
    check_carry("scan", nesting, structure.children[0], carry, body.outputs)
    inputs = [*carry, *moved, *foreign]
    keep = any(type(x) is Tensor and x.tracked & thread_state.active for x in inputs)
    results = Scan(body, len(carry), len(moved), turns, reverse, keep)(*inputs)
    ys = results[len(carry) : len(body.outputs)]
    return unflatten(nesting, results[: len(carry)]), unflatten(structure.children[1], ys)


def fori_loop(lower: int, upper: int, body_fun: Callable[..., Any], init_val: Any) -> Any:
    """val = body_fun(i, val) for i in range(lower, upper), which are known numbers; see `scan`."""

    def step(value: Any, i: Any) -> Any:
        return body_fun(i, value), None

    return scan(step, init_val, np.arange(lower, max(lower, upper), dtype=np.int32))[0]


def operands(tree: Any, beside: Sequence[Any] = ()) -> tuple[list[Any], Any]:
    """The leaves of `tree` as arrays or tensors, and its structure.

    A Python float takes the first floating-point type of the other leaves and of those `beside`.
    """
    found, structure = flatten(tree)
    known = [x.dtype for x in (*found, *beside) if isinstance(x, Tensor | np.ndarray | np.generic)]
    floats = [dtype for dtype in known if dtype.kind == "f"]
    return [as_constant(x, floats) if type(x) is float else as_operand(x) for x in found], structure


def check_carry(
    name: str, before: Any, after: Any, carry: Sequence[Any], outputs: Sequence[Any]
) -> None:
    """Raise unless what a turn returns can be the carry of the next one."""
    if before != after:
        raise TreeError(f"{name}: the carry went in as {before} and comes back as {after}.")
    for old, new in zip(carry, outputs, strict=False):
        if tuple(old.shape) != tuple(new.shape):
            raise ShapeError(
                f"{name}: a carry of shape {tuple(old.shape)} comes back as {tuple(new.shape)}."
            )
        if old.dtype != new.dtype:
            raise DTypeError(
                f"{name}: a carry of {old.dtype} comes back as {new.dtype}; use astype()."
            )


def _length(xs: Sequence[Any], length: int | None) -> int:
    if any(not x.shape for x in xs):
        raise ShapeError("scan: xs must have rows, and one of them is a number.")
    found = {x.shape[0] for x in xs} | (set() if length is None else {int(length)})
    if not found:
        raise OptionError("scan: without xs, the length must be given.")
    if len(found) > 1:
        raise ShapeError(f"scan: xs (and length) must agree on the number of turns: {found}.")
    return found.pop()
