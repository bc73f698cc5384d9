"""A failing program made small: outputs, lines, state and derivatives are left out one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import myad
from tests.myad.random_programs.program import Line, RandomProgram

ATTEMPTS = 300

Fails = Callable[[RandomProgram], bool]


def shrink(program: RandomProgram, fails: Fails) -> RandomProgram:
    """The smallest program found that still fails."""
    attempts = 0
    while True:
        for candidate in map(tidy, _smaller(program)):
            attempts += 1
            if attempts > ATTEMPTS:
                return program
            if _size(candidate) < _size(program) and fails(candidate):
                program = candidate
                break
        else:
            return program


def tidy(program: RandomProgram) -> RandomProgram:
    """Without what nobody reads."""
    weights = {n: w for n, w in program.weights.items() if n in program.outputs}
    needed = {*program.outputs, *program.state.values(), *program.streams}
    lines: list[Line] = []
    for line in reversed(program.lines):
        if line.name in needed:
            needed.update(line.reads)
            lines.insert(0, line)
    inputs = {n: a for n, a in program.inputs.items() if n in needed}
    by = tuple(n for n in program.by if n in inputs)
    order = program.order if weights and by else 0
    if program.streams and not order:
        return program  # no training without a loss
    if not order:
        weights, by = {}, ()
    constants = {n: a for n, a in program.constants.items() if n in {*needed, *weights.values()}}
    return replace(program, inputs=inputs, constants=constants, lines=lines, order=order, by=by,
                   weights=weights)  # fmt: skip


def _size(program: RandomProgram) -> tuple[float, ...]:
    arrays = (*program.inputs.values(), *program.constants.values())
    return (
        len(program.lines) + len(program.outputs) + len(program.state) + 2 * program.order
        + 0.5 * len(arrays) + 0.1 * len(program.by) + 0.01 * program.steps,
        sum(len(str(a.tolist())) for a in arrays),
    )  # fmt: skip


def _smaller(program: RandomProgram) -> Iterator[RandomProgram]:
    if program.order and not program.streams:
        count = len(program.outputs)
        state = {k: v for k, v in program.state.items() if k < count}
        yield replace(program, order=0, state=state)
        if program.order == 2:
            yield replace(program, order=1)
    if program.steps > 1 and not program.streams:
        yield replace(program, steps=1)
    if len(program.outputs) > 1:
        for n in reversed(range(len(program.outputs))):
            yield _without_output(program, n)
    for place in program.state:
        if not program.streams:
            yield replace(program, state={k: v for k, v in program.state.items() if k != place})
    if len(program.by) > 1 and all(k < len(program.outputs) for k in program.state):
        for name in program.by:
            yield replace(program, by=tuple(n for n in program.by if n != name))
    yield from _with_fewer_lines(program)
    yield from _with_plainer_numbers(program)


def _without_output(program: RandomProgram, n: int) -> RandomProgram:
    place = n + (1 + len(program.by) if program.streams else 0)
    if program.streams and place in program.state:
        return program
    state = {k - (k > place): v for k, v in program.state.items() if k != place}
    return replace(program, outputs=[o for k, o in enumerate(program.outputs) if k != n],
                   state=state)  # fmt: skip


def _with_fewer_lines(program: RandomProgram) -> Iterator[RandomProgram]:
    """A line's value given as an input, or another value of its kind in its place."""
    values = line_values(program)
    for line in program.lines:
        if line.name not in values:
            continue
        kind = (values[line.name].shape, values[line.name].dtype)
        rest = [other for other in program.lines if other is not line]
        if not program.streams:
            inputs = {**program.inputs, line.name: values[line.name]}
            yield replace(program, inputs=inputs, lines=rest)
        for read in line.reads:
            if (values[read].shape, values[read].dtype) == kind:
                yield _renamed(replace(program, lines=rest), line.name, read)


def _renamed(program: RandomProgram, old: str, new: str) -> RandomProgram:
    lines = [
        replace(line, text=_replaced(line.text, old, new),
                reads=tuple(new if r == old else r for r in line.reads))
        for line in program.lines
    ]  # fmt: skip
    outputs = [new if o == old else o for o in program.outputs]
    weights = {new if n == old else n: w for n, w in program.weights.items()}
    return replace(program, lines=lines, outputs=outputs, weights=weights)


def _replaced(text: str, old: str, new: str) -> str:
    return re.sub(rf"\b{old}\b", new, text)


def _with_plainer_numbers(program: RandomProgram) -> Iterator[RandomProgram]:
    for group in ("inputs", "constants"):
        arrays = getattr(program, group)
        for name, array in arrays.items():
            if array.size and name not in program.streams:
                for plain in (np.ones_like(array), np.round(array)):
                    yield replace(program, **{group: {**arrays, name: plain}})


def line_values(program: RandomProgram) -> dict[str, np.ndarray]:
    """Every name's eager value, as far as eager gets."""
    values: dict[str, Any] = dict(program.inputs)
    scope = {"myad": myad, "np": np, **program.constants}
    scope.update({name: myad.Tensor(array) for name, array in program.inputs.items()})
    with np.errstate(all="ignore"):
        for line in program.lines:
            try:
                scope[line.name] = eval(line.text, scope)
            except Exception:
                break  # the line that fails: what follows has no value
            found = scope[line.name]
            values[line.name] = found.value if type(found) is myad.Tensor else np.asarray(found)
    return {**values, **program.constants}
