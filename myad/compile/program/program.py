"""The recorded program: a flat, typed, printable list of steps.

Every transformation of a program (`myad/compile`) reads one and returns another, and every result
is checked: each step reads what an earlier one wrote, and each shape is what the shape rule of its
primitive says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from myad.core import AbstractValue, Primitive, Spec
from myad.errors import CompileError
from myad.recording import Origin, next_level, thread_state


class Variable(AbstractValue):
    """The result of a step, an input or a constant of a program: known by shape and dtype."""

    __slots__ = ("dtype", "level", "name", "origin", "program", "shape", "value")

    def __init__(
        self, program: Program, shape: tuple[int, ...], dtype: np.dtype, name: str,
        value: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.program, self.shape, self.level = program, tuple(shape), program.level
        self.dtype = np.dtype(dtype).newbyteorder("=")  # foreign byte order ends at the door
        self.name = name
        self.value = value
        self.origin: Origin | None = None

    def record(self, op: Primitive, inputs: list[Any], static: dict[str, Any]) -> Variable:
        """Append the step `op(*inputs, **static)` to the program."""
        return self.program.append(op, inputs, static)

    def __repr__(self) -> str:
        return f"{self.name}:{self.dtype}{list(self.shape)}"


@dataclass(eq=False)
class Step:
    """One operation of a program; `origin` is where it was called."""

    op: Primitive
    inputs: tuple[Variable, ...]
    static: dict[str, Any]
    output: Variable
    origin: Origin | None = None

    def __str__(self) -> str:
        inputs = [v.name if v.value is None else _short(v) for v in self.inputs]
        static = [f"{name}={value}" for name, value in self.static.items()]
        return f"{self.output!r} = {self.op.name}({', '.join(inputs + static)})"


@dataclass(eq=False)
class Program:
    """Steps from `inputs` to `outputs`, in an order in which they can run.

    Fields: `roles` what each input is ("parameter", "images", ...), for the printer and for
    those who plan memory; `origin` of the steps that are appended, those of the thread if None.
    """

    inputs: list[Variable] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    outputs: list[Variable] = field(default_factory=list)
    _constants: dict[tuple[bytes, str, tuple[int, ...]], Variable] = field(default_factory=dict)
    _count: int = 0
    level: int = field(default_factory=next_level)
    origin: Origin | None = None

    def input(self, shape: Sequence[int], dtype: Any, name: str) -> Variable:
        """Add an input."""
        variable = Variable(self, tuple(shape), np.dtype(dtype), name)
        self.inputs.append(variable)
        return variable

    def constant(self, value: Any) -> Variable:
        """The variable of a constant array; equal constants are one variable."""
        array = np.array(value)
        array = array.astype(array.dtype.newbyteorder("="), copy=False)
        key = (array.tobytes(), array.dtype.str, array.shape)
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            self._constants[key] = Variable(self, array.shape, array.dtype, name, array)
        return self._constants[key]

    def append(self, op: Primitive, inputs: Sequence[Any], static: dict[str, Any]) -> Variable:
        """Add the step `op(*inputs)`; arrays among the inputs become constants.

        Raises: the errors of the primitive's shape rule.
        """
        variables = tuple(v if isinstance(v, Variable) else self.constant(v) for v in inputs)
        for variable in variables:
            if variable.program is not self:
                raise CompileError(
                    f"{op.name}: {variable!r} belongs to another trace. Pass it in as an argument."
                )
        spec: Spec = op.shape_rule(*variables, **static)
        self._count += 1
        output = Variable(self, spec.shape, spec.dtype, f"v{self._count}")
        origin = self.origin or thread_state.origin or Origin(thread_state.scope, op.name)
        output.origin = origin
        self.steps.append(Step(op, variables, static, output, origin))
        return output

    def check(self) -> Program:
        """Raise CompileError if a step reads what is not there yet or breaks its shape rule."""
        known = set(self.inputs) | set(self._constants.values())
        for step in self.steps:
            for variable in step.inputs:
                if variable not in known:
                    raise CompileError(f"program: {step} reads {variable.name} before it exists.")
            spec = step.op.shape_rule(*step.inputs, **step.static)
            found = tuple(spec.shape), spec.dtype.newbyteorder("=")
            if found != (step.output.shape, step.output.dtype):
                raise CompileError(f"program: {step} should give {spec.dtype}{list(spec.shape)}.")
            known.add(step.output)
        for variable in self.outputs:
            if variable not in known:
                raise CompileError(f"program: output {variable.name} is never computed.")
        return self

    def run(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Execute the steps with NumPy: the meaning that every transformation must keep."""
        values: dict[Variable, Any] = dict(zip(self.inputs, arrays, strict=True))
        values.update({v: v.value for v in self._constants.values()})
        for step in self.steps:
            inputs = [values[v] for v in step.inputs]
            values[step.output] = step.op.value(*inputs, **step.static)
        return [values[v] for v in self.outputs]

    def __str__(self) -> str:
        lines = ["inputs  " + ", ".join(map(repr, self.inputs))]
        lines += [f"  {step}" for step in self.steps]
        lines.append("outputs " + ", ".join(v.name for v in self.outputs))
        return "\n".join(lines)


def _short(variable: Variable) -> str:
    assert variable.value is not None
    if variable.value.size == 1:
        number = variable.value.reshape(()).item()
        return f"{number:g}" if isinstance(number, float) else str(number)
    return f"constant{list(variable.shape)}"
