"""A random program from a seed: always the same one from the same seed."""

from __future__ import annotations

import math

import numpy as np

from tests.myad.random_programs.draft import Draft
from tests.myad.random_programs.operations import OPERATIONS
from tests.myad.random_programs.program import RandomProgram

STEPS = 3  # of programs with state and of training
BATCH = 3


def generate(seed: int) -> RandomProgram:
    """The program of `seed`: plain, with state, or a training step."""
    d = Draft(seed)
    kind = d.rng.choices(("plain", "state", "training"), (60, 28, 12))[0]
    if kind == "training":
        return _training(d, seed)
    for _ in range(d.rng.randint(1, 3)):
        d.new(d.shape(), d.any_dtype())
    _extend(d, d.rng.choice((1, 2, 3, 4, 6, 8, 12)))
    outputs = _outputs(d)
    program = RandomProgram(
        seed, d.inputs, d.constants, d.lines, outputs, dtype=d.dtype,
        order=0 if d.broken else d.rng.choices((0, 1, 2), (5, 4, 2))[0],
    )  # fmt: skip
    _differentiate(d, program)
    if kind == "state" and d.inputs and not d.broken:
        _give_state(d, program)
    return program


def _extend(d: Draft, count: int) -> None:
    operations, weights = list(OPERATIONS), list(OPERATIONS.values())
    for _ in range(3 * count):
        if len(d.lines) >= count or d.broken:
            return
        d.rng.choices(operations, weights)[0](d)


def _outputs(d: Draft) -> list[str]:
    """What nobody reads yet, mostly; perhaps an input, a constant, or the same value twice."""
    read = {name for line in d.lines for name in line.reads}
    made = [line.name for line in d.lines]
    chosen = [n for n in made if d.rng.random() < (0.2 if n in read else 0.8)]
    d.rng.shuffle(chosen)
    if d.rng.random() < 0.15 or not chosen:
        known = [*d.values] or [d.new((), d.dtype)]
        chosen.append(d.rng.choice(known))
    if d.rng.random() < 0.05:
        chosen.append(chosen[0])
    return chosen


def _differentiate(d: Draft, program: RandomProgram) -> None:
    """Weigh the floating-point outputs, and choose what to differentiate by."""
    floats = [n for n in dict.fromkeys(program.outputs) if d.values.get(n, _NONE).dtype.kind == "f"]
    by = [n for n, array in program.inputs.items() if array.dtype.kind == "f"]
    by = d.rng.sample(by, d.rng.randint(1, len(by))) if by else []
    if not program.order or not floats or not by:
        program.order = 0
        return
    program.by = tuple(by)
    for name in floats:
        value = d.values[name]
        program.weights[name] = d.give(d.array(value.shape, value.dtype), constant=True)


_NONE = np.zeros((), bool)


def _give_state(d: Draft, program: RandomProgram) -> None:
    """Some inputs take the place of results: their own, old values, each other's, constants."""
    program.steps = STEPS
    slopes: list[str] = []
    for name in d.rng.sample(list(program.inputs), d.rng.randint(1, len(program.inputs))):
        if name in program.by and d.rng.random() < 0.3:
            slopes.append(name)
            continue
        same = _like(d, program.inputs[name])
        others = [n for n in same if n != name]
        program.state[len(program.outputs)] = name
        program.outputs.append(d.rng.choice(others if others and d.rng.random() < 0.8 else same))
    for name in slopes:  # they follow the outputs and the sum
        program.state[len(program.outputs) + 1 + program.by.index(name)] = name


def _training(d: Draft, seed: int) -> RandomProgram:
    """Descent on a random loss, with further state, on images of any dtype and labels."""
    shape = d.fresh_shape(d.rng.choice((1, 1, 2, 3)))
    while not 0 < math.prod(shape) <= 40:
        shape = d.fresh_shape(len(shape))
    images = d.give(d.array((BATCH, *shape), d.rng.choice((d.dtype, "uint8", d.integer))))
    labels = d.give(d.numbers.integers(0, 3, BATCH).astype(d.rng.choice((d.integer, "uint8"))))
    d.base = (BATCH, *shape)
    d.add("cast", f"{{0}}.astype({d.dtype!r}) * 0.125", images)
    d.add("one_hot", f"myad.one_hot({{0}}, 3, {d.dtype!r})", labels)
    for _ in range(d.rng.randint(1, 3)):
        d.give(d.array(d.rng.choice((shape, shape[-1:], (BATCH, *shape))), d.dtype))
    _extend(d, d.rng.choice((3, 5, 8)))
    program = RandomProgram(seed, d.inputs, d.constants, d.lines, _outputs(d), dtype=d.dtype,
                            order=0 if d.broken else 1)  # fmt: skip
    _differentiate(d, program)
    program.by = tuple(n for n in program.by if n not in (images, labels))
    if not program.by or not program.order:
        program.order = 0
        return program
    program.streams, program.steps = (images, labels), STEPS
    first = 1 + len(program.by)
    program.state = {1 + n: name for n, name in enumerate(program.by)}
    for name in program.inputs:
        if name not in (images, labels, *program.by):
            program.state[first + len(program.outputs)] = name
            program.outputs.append(d.rng.choice(_like(d, d.values[name])))
    return program


def _like(d: Draft, array: np.ndarray) -> list[str]:
    return [n for n, v in d.values.items() if (v.shape, v.dtype) == (array.shape, array.dtype)]
