"""Transformations of programs: what is not needed, what is computed twice, what is known already.

Each pass replays the steps into a new program, which is checked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from myad.compile.program.factors import common_factors
from myad.compile.program.program import Program, Step, Variable
from myad.core import Tensor
from myad.errors import CompileError

MAX_ROUNDS = 8  # of passes over the whole program; one is the rule, three the most seen

Replace = Callable[[Program, Step, list[Variable]], Variable]


def replay(program: Program, replace: Replace) -> Program:
    """A new program in which `replace` has appended, or found, the result of each step."""
    new = Program()
    known = {v: new.input(v.shape, v.dtype, v.name) for v in program.inputs}

    def find(variable: Variable) -> Variable:
        if variable.value is not None:
            return new.constant(variable.value)
        return known[variable]

    for step in program.steps:
        new.origin = step.origin
        known[step.output] = replace(new, step, [find(v) for v in step.inputs])
    new.origin = None
    new.outputs = [find(v) for v in program.outputs]
    return new.check()


def remove_unread(program: Program) -> Program:
    """Without the steps whose results nobody reads, such as the gradient of the images."""
    needed = set(program.outputs)
    kept = []
    for step in reversed(program.steps):
        if step.output in needed:
            kept.append(step)
            needed.update(step.inputs)
    program.steps = kept[::-1]
    return program.check()


def merge_equal(program: Program) -> Program:
    """Common subexpressions once."""
    seen: dict[Any, Variable] = {}

    def replace(new: Program, step: Step, inputs: list[Variable]) -> Variable:
        key = (step.op, tuple(inputs), tuple(sorted(step.static.items())))
        if key not in seen:
            seen[key] = new.append(step.op, inputs, step.static)
        return seen[key]

    return replay(program, replace)


def fold_constants(program: Program) -> Program:
    """Steps on constants are carried out; products with 1, sums with 0 and empty moves vanish."""

    def replace(new: Program, step: Step, inputs: list[Variable]) -> Variable:
        if inputs and "nest" not in step.static and all(v.value is not None for v in inputs):
            arrays = [v.value for v in inputs]
            with suppress(IndexError):  # which is for who gets there: it may never be reached
                return new.constant(np.asarray(step.op.value(*arrays, **step.static)))
        same = _unchanged(step, inputs)
        return same if same is not None else new.append(step.op, inputs, step.static)

    return replay(program, replace)


_NEUTRAL = {"multiply": 1.0, "add": 0.0, "subtract": 0.0, "divide": 1.0}
_MOVES = ("reshape", "broadcast_to", "transpose", "cast")


def _unchanged(step: Step, inputs: list[Variable]) -> Variable | None:
    """The input that `step` returns as it is, if there is one."""
    out, name = step.output, step.op.name

    def same(v: Variable) -> bool:
        return (v.shape, v.dtype) == (out.shape, out.dtype)

    if name in _NEUTRAL and len(inputs) == 2:
        for x, other in ((inputs[0], inputs[1]), (inputs[1], inputs[0])):
            neutral = other.value is not None and bool(np.all(other.value == _NEUTRAL[name]))
            if neutral and same(x) and (x is inputs[0] or name in ("multiply", "add")):
                return x
    if name in _MOVES and same(inputs[0]):
        trivial = name != "transpose" or sum(s > 1 for s in out.shape) <= 1
        if trivial:
            return inputs[0]
    return None


def expand(program: Program) -> Program:
    """Steps whose kernel rule is written with other primitives, replaced by those.

    Raises: CompileError for a primitive without a kernel rule, by name.
    """
    missing = sorted({s.op.name for s in program.steps if s.op.kernel_rule is None})
    if missing:
        raise CompileError(
            f"compile: no kernel rule for {', '.join(missing)}. Leave that operation out, train "
            "eagerly (compiled=False), or add a rule: see docs/compiler.md."
        )
    for _ in range(MAX_ROUNDS):
        if not any(_composed(step) for step in program.steps):
            return program
        program = replay(program, _expand)
    names = ", ".join(sorted({step.op.name for step in program.steps if _composed(step)}))
    raise CompileError(f"compile: the kernel rules of {names} are written with one another.")


def _composed(step: Step) -> bool:
    composed = getattr(step.op.kernel_rule, "composed", False) or _inline(step)
    return composed or _uneven(step)


def _inline(step: Step) -> bool:
    """A nest that is no loop: what is inside stands in its place."""
    return getattr(step.static.get("nest"), "inline", False)


def _uneven(step: Step) -> bool:
    """A reshape that neither merges nor splits whole axes: it goes through a flat array."""
    if step.op.name != "reshape":
        return False
    return common_factors(step.inputs[0].shape, step.output.shape) is None


def _expand(new: Program, step: Step, inputs: list[Variable]) -> Variable:
    if not _composed(step):
        return new.append(step.op, inputs, step.static)
    if _uneven(step):
        flat = new.append(step.op, inputs, {"shape": (math.prod(step.output.shape),)})
        return new.append(step.op, [flat], step.static)
    tensors = [Tensor(v if v.value is None else v.value) for v in inputs]
    if _inline(step):
        result = step.static["nest"].written_out(step.op.name == "nested", *tensors)
    else:
        result = step.op.kernel_rule(*tensors, **step.static)
    value = result.value
    if not isinstance(value, Variable):
        value = new.constant(value)
    spec = (value.shape, value.dtype)
    if spec != (step.output.shape, step.output.dtype):
        raise CompileError(f"{step.op.name}: its kernel rule gives {spec}, not {step.output!r}.")
    return value


def simplify(program: Program) -> Program:
    """All passes, until they remove nothing any more."""
    program = remove_unread(expand(remove_unread(program)))
    for _ in range(MAX_ROUNDS):
        count = len(program.steps)
        program = remove_unread(merge_equal(fold_constants(program)))
        if len(program.steps) == count:
            break
    return program
