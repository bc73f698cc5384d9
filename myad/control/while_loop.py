"""Loops that end when the data say so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myad.control.body import Body, record, spec_of
from myad.control.nest import Nest, Results, is_float, or_zeros, with_floats
from myad.control.scan import check_carry, operands
from myad.errors import DTypeError, GraphError
from myad.transforms import jvp
from myad.tree import LEAF, unflatten


class While(Nest):
    """while condition(carry, constants): carry = body(carry, constants).

    Inputs: the carry, the constants of the condition, those of the body. Results: the carry.
    """

    is_endless = True

    def __init__(self, condition: Body, body: Body, carried: int) -> None:
        super().__init__()
        self.condition, self.body, self.carried = condition, body, carried
        self.results = Results(body.outputs)

    def parts(self, inputs: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """The carry, the condition's constants and the body's."""
        a, b = self.carried, len(self.condition.inputs)
        return list(inputs[:a]), list(inputs[a:b]), list(inputs[b:])

    def description(self) -> tuple[Any, ...]:
        """Until when, and what is done."""
        return self.carried, self.condition, self.body

    def bodies(self) -> list[tuple[Any, int, bool, bool]]:
        return [(self.condition, 0, True, True), (self.body, self.carried, True, True)]

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        carry, asked, constants = self.parts(inputs)
        while self.condition.evaluate(*carry, *asked)[0]:
            carry = self.body.evaluate(*carry, *constants)
        return carry

    def gradient(self, dz: Any, z: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        raise GraphError(
            "while_loop: reverse mode would have to store an unknown number of carries; use scan,"
            " or forward mode (jvp)."
        )

    def tangent(self, tangents: Sequence[Any], z: Any, inputs: Sequence[Any]) -> Any:
        carry, asked, constants = self.parts(inputs)
        tcarry, _, tconstants = (
            or_zeros(t, x)
            for t, x in zip(self.parts(tangents), (carry, asked, constants), strict=True)
        )

        def test(state: Any) -> Any:
            return self.condition(*state[0], *asked)[0]

        def turn(state: Any) -> Any:
            values = [*state[0], *constants]

            def of_floats(*moving: Any) -> list[Any]:
                return self.body(*with_floats(values, moving))

            primals = tuple([v for v in values if is_float(v)])
            found, pushed = jvp(of_floats, primals, (*state[1], *tconstants))
            return found, [t for t, v in zip(pushed, found, strict=True) if is_float(v)]

        return self.results.joined(while_loop(test, turn, (carry, tcarry))[1])


def while_loop(
    cond_fun: Callable[[Any], Any], body_fun: Callable[[Any], Any], init_val: Any
) -> Any:
    """val = body_fun(val) as long as cond_fun(val): a loop as one operation.

    Args: cond_fun: pure, to one boolean. body_fun: pure; keeps nesting, shapes and dtypes of the
        tree it takes. Both are called once, on shapes, and may close over tensors.
    Derivatives: forward mode, of any order; reverse mode raises GraphError.
    """
    carry, nesting = operands(init_val)
    given = [(list(map(spec_of, carry)), nesting)]
    condition, asked, told = record(cond_fun, given)
    (answer,) = condition.outputs if told == LEAF else (None,)
    if answer is None or answer.shape != () or answer.dtype != bool:
        raise DTypeError(f"while_loop: cond_fun must return one boolean, not {answer or told}.")
    body, constants, structure = record(body_fun, given, "routines")
    check_carry("while_loop", nesting, structure, carry, body.outputs)
    results = While(condition, body, len(carry))(*carry, *asked, *constants)
    return unflatten(nesting, results)
