"""A function recorded on shapes, with all that it reads as inputs: what loops and branches repeat.

Recording finds what the function closes over: a tensor that somebody follows, or that belongs to a
trace around this one, becomes a further input; any other array is a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np

from myad.core import AbstractValue, Described, Primitive, Spec, Tensor, routine
from myad.recording import next_level, staged
from myad.tree import Structure, flatten, unflatten


class Slot(AbstractValue):
    """A value of a body: number `place` of those it computes."""

    __slots__ = ("body", "dtype", "level", "place", "shape")

    def __init__(self, body: Body, spec: Spec, place: int) -> None:
        self.body, self.place, self.level = body, place, body.level
        self.shape, self.dtype = tuple(spec.shape), np.dtype(spec.dtype)

    def record(self, op: Primitive, inputs: list[Any], static: dict[str, Any]) -> Slot:
        """Append the step `op(*inputs, **static)` to the body."""
        return self.body.append(op, inputs, static)


class _Step(NamedTuple):
    op: Primitive
    inputs: tuple[int, ...]
    static: dict[str, Any]
    output: int


class Body(Described):
    """Steps from inputs to outputs, in an order in which they can run.

    Fields: `inputs`, `outputs` their shapes and dtypes, the inputs being the arguments and then
    what the function closed over; `_given` places of what is no argument: constants, by place.
    """

    def __init__(self, arguments: Sequence[Spec], stages: str = "own") -> None:
        self.level, self._stages = next_level(), stages
        self.arguments = [Slot(self, spec, n) for n, spec in enumerate(arguments)]
        self.steps: list[_Step] = []
        self.constants: dict[int, Any] = {}
        self._count = len(self.arguments)
        self._places: dict[int, int] = {}  # of what came from outside, by its id
        self._outside: dict[int, Any] = {}
        self._entries = list(range(self._count))
        self._results: list[int] = []
        self.inputs: list[Spec] = []
        self.outputs: list[Spec] = []

    def description(self) -> tuple[Any, ...]:
        """Steps, by the places of what they read and make."""
        steps = [(op, places, tuple(sorted(static.items())), output)
                 for op, places, static, output in self.steps]  # fmt: skip
        inputs = [(s.shape, s.dtype) for s in self.inputs]
        return inputs, self._entries, self._results, list(self.constants.items()), steps

    def takes(self, op: Primitive) -> bool:
        """Whether an operation on what comes from outside is a step of it; see `record`."""
        return self._stages == "all" or op.kernel_rule is routine

    def append(self, op: Primitive, inputs: list[Any], static: dict[str, Any]) -> Slot:
        """Add a step; the shape rule of `op` checks it."""
        places = tuple([self.place_of(x) for x in inputs])
        slot = Slot(self, op.shape_rule(*inputs, **static), self._next())
        self.steps.append(_Step(op, places, static, slot.place))
        return slot

    def place_of(self, x: Any) -> int:
        """Where the value `x` (an array or abstract) is found."""
        if type(x) is Slot and x.body is self:
            return x.place
        if id(x) not in self._places:
            self._places[id(x)] = self._next()
            self._outside[self._places[id(x)]] = x  # which also keeps the id taken
        return self._places[id(x)]

    def _next(self) -> int:
        self._count += 1
        return self._count - 1

    def close(self, results: Sequence[Tensor]) -> list[Tensor]:
        """Set the outputs; returns the tensors from outside that are further inputs, in order."""
        self._results = [self.place_of(z.value) for z in results]
        self.outputs = [Spec(z.shape, z.dtype) for z in results]
        followed = self._followed(results)
        foreign: list[Tensor] = []
        for place, value in self._outside.items():
            if id(value) in followed or isinstance(value, AbstractValue):
                foreign.append(followed[id(value)] if id(value) in followed else Tensor(value))
                self._entries.append(place)
            else:
                self.constants[place] = value
        self.inputs = [spec_of(x) for x in [*self.arguments, *foreign]]
        return foreign

    def _followed(self, results: Sequence[Tensor]) -> dict[int, Tensor]:
        """Tensors from outside that a derivative follows into the results, by their value's id."""
        found: dict[int, Tensor] = {}
        seen: set[int] = set()
        waiting = list(results)
        while waiting:
            z = waiting.pop()
            if id(z) in seen or type(z) is not Tensor:
                continue
            seen.add(id(z))
            if type(z.value) is Slot and z.value.body is self:
                waiting += z.inputs
            elif z.tracked and id(z.value) in self._places:
                found.setdefault(id(z.value), z)
        return found

    def __call__(self, *inputs: Any) -> list[Any]:
        """The outputs for tensors or arrays, by calling the operations."""
        return self.replay(inputs, lambda op, values, static: op(*values, **static), lambda x: x)

    def evaluate(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """The outputs for arrays, at the speed of NumPy."""
        known = dict(zip(self._entries, arrays, strict=True))
        known.update(self.constants)
        for op, places, static, output in self.steps:
            known[output] = op.value(*[known[n] for n in places], **static)
        return [known[n] for n in self._results]

    def replay(
        self, inputs: Sequence[Any], apply: Callable[[Primitive, list[Any], dict[str, Any]], Any],
        constant: Callable[[Any], Any],
    ) -> list[Any]:  # fmt: skip
        """The outputs if `apply(op, values, static)` makes each step's value and `constant` that of
        an array: values of any kind."""
        known = dict(zip(self._entries, inputs, strict=True))
        known.update({place: constant(x) for place, x in self.constants.items()})
        for op, places, static, output in self.steps:
            known[output] = apply(op, [known[n] for n in places], static)
        return [known[n] for n in self._results]


def spec_of(x: Any) -> Spec:
    """Shape and dtype of a tensor, an array or an abstract value."""
    return Spec(tuple(x.shape), x.dtype)


def record(
    function: Callable[..., Any], arguments: Sequence[tuple[Sequence[Spec], Structure]],
    stages: str = "own",
) -> tuple[Body, list[Tensor], Structure]:  # fmt: skip
    """`function` recorded on `arguments`: for each the shapes of its leaves, and its structure.

    What it does with nothing but values from outside is done there and then, once, however often
    the body runs. `stages` says what waits for the body all the same: nothing ("own"); what may
    fail or never end, in a body that may never run ("routines"); or everything ("all").

    Returns: the body, whose arguments are the leaves in a row; what else it reads, as tensors; and
        the structure of the result.
    """
    body = Body([spec for specs, _ in arguments for spec in specs], stages)
    slots = iter(body.arguments)
    trees = [
        unflatten(structure, [Tensor(next(slots)) for _ in specs]) for specs, structure in arguments
    ]
    with staged(body) if stages != "own" else nullcontext():
        results, structure = flatten(function(*trees))
    tensors = [z if type(z) is Tensor else Tensor(z) for z in results]
    return body, body.close(tensors), structure
