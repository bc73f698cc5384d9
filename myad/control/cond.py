"""Branches: one of two functions, by a boolean that may be known only at run time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myad.control.body import Body, record, spec_of
from myad.control.nest import Nest, Results, followed, is_float, or_zeros, with_those
from myad.control.scan import operands
from myad.errors import DTypeError, TreeError
from myad.transforms import jvp, vjp
from myad.tree import flatten, leaves, unflatten


class Branch(Nest):
    """`yes` or `no` of the same operands.

    Inputs: the boolean, the operands, the constants of `yes`, those of `no`.
    """

    def __init__(self, yes: Body, no: Body, operands: int) -> None:
        super().__init__()
        self.yes, self.no, self.operands = yes, no, operands
        self.results = Results(yes.outputs)

    def inputs_of(self, inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """What each of the two is given."""
        shared, rest = inputs[1 : 1 + self.operands], inputs[1 + self.operands :]
        own = len(self.yes.inputs) - self.operands
        return [*shared, *rest[:own]], [*shared, *rest[own:]]

    def description(self) -> tuple[Any, ...]:
        """What is done in either case."""
        return self.operands, self.yes, self.no

    def bodies(self) -> list[tuple[Any, int, bool, bool]]:
        return [(self.yes, 0, False, False), (self.no, 0, False, False)]

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        yes, no = self.inputs_of(inputs)
        return self.yes.evaluate(*yes) if inputs[0] else self.no.evaluate(*no)

    def body_of(
        self, inputs: Sequence[Any], which: Sequence[bool], side: bool
    ) -> Callable[..., list[Any]]:
        """The floating-point results of one side as a function of the inputs `which` marks."""

        def of_floats(*moving: Any) -> list[Any]:
            yes, no = self.inputs_of(with_those(inputs, which, moving))
            found = self.yes(*yes) if side else self.no(*no)
            return [v for v in found if is_float(v)]

        return of_floats

    def gradient(self, dz: Any, z: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        moves = followed(inputs)
        moving = [x for x, m in zip(inputs, moves, strict=True) if m]
        seeds = self.results.floats(dz)

        def side(which: bool) -> Callable[..., Any]:
            return lambda: list(vjp(self.body_of(inputs, moves, which), *moving)[1](seeds))

        found = iter(cond(inputs[0], side(True), side(False)))
        return [next(found) if m else None for m in moves]

    def tangent(self, tangents: Sequence[Any], z: Any, inputs: Sequence[Any]) -> Any:
        moves = list(map(is_float, inputs))
        moving = tuple([x for x in inputs if is_float(x)])
        pushed = tuple(or_zeros(tangents, inputs))

        def side(which: bool) -> Callable[..., Any]:
            return lambda: jvp(self.body_of(inputs, moves, which), moving, pushed)[1]

        return self.results.joined(cond(inputs[0], side(True), side(False)))


def cond(
    pred: Any, true_fun: Callable[..., Any], false_fun: Callable[..., Any], *operands_: Any
) -> Any:
    """true_fun(*operands) if `pred` else false_fun(*operands); only one of them is computed.

    Args: pred: one boolean. true_fun, false_fun: pure, to trees of equal nesting, shapes and
        dtypes. Both are called once, on shapes, and may close over tensors.
    Derivatives: in both modes, of any order: those of the branch taken.
    """
    (chosen,), _ = operands(pred)
    if chosen.shape != () or chosen.dtype != bool:
        raise DTypeError(f"cond: pred must be one boolean, not {chosen.dtype} {chosen.shape}.")
    values, _ = operands(tuple(operands_))
    rest = iter(values)
    given = [
        ([spec_of(next(rest)) for _ in leaves(operand)], flatten(operand)[1])
        for operand in operands_
    ]
    yes, theirs, nesting = record(true_fun, given, "all")
    no, others, other_nesting = record(false_fun, given, "all")
    if nesting != other_nesting:
        raise TreeError(f"cond: the branches return {nesting} and {other_nesting}.")
    if yes.outputs != no.outputs:
        raise DTypeError(f"cond: the branches return {yes.outputs} and {no.outputs}.")
    results = Branch(yes, no, len(values))(chosen, *values, *theirs, *others)
    return unflatten(nesting, results)
