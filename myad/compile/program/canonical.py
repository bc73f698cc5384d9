"""A program as text that is equal for equal programs, whatever they were called and how they were
recorded; for keys."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from myad.compile.program.program import Program, Step, Variable
from myad.core import PRIMITIVES, Described, Primitive

_PLAIN = (type(None), bool, int, str, bytes, type(Ellipsis))


class _Unknown(Exception):
    """Something whose text does not say all that it is."""


def canonical(program: Program) -> str | None:
    """The text; None if the program holds operations or settings that are not this library's,
    of which a name does not say what they do."""
    names = {variable: f"i{n}" for n, variable in enumerate(program.inputs)}
    lines = [f"inputs {[(v.dtype.str, v.shape) for v in program.inputs]}"]

    def name(variable: Variable) -> str:
        if variable.value is not None:
            return _constant(variable.value)
        return names[variable]

    try:
        for number, step in enumerate(program.steps):
            names[step.output] = f"s{number}"
            inputs = [name(v) for v in step.inputs]
            lines.append(f"{_operation(step)} {inputs} {step.output.dtype.str}{step.output.shape}")
    except _Unknown:
        return None
    return "\n".join([*lines, f"outputs {[name(v) for v in program.outputs]}"])


def _constant(value: np.ndarray) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(value).data).hexdigest()
    return f"{value.dtype.str}{value.shape}{digest}"


def _operation(step: Step) -> str:
    static = [(key, _setting(value)) for key, value in sorted(step.static.items())]
    return f"{_primitive(step.op)} {static}"


def _primitive(op: Primitive) -> str:
    home = getattr(op.kernel_rule, "__module__", "")
    if PRIMITIVES.get(op.name) is not op or not home.startswith("myad."):
        raise _Unknown
    return op.name


def _setting(value: Any) -> str:
    kind = type(value)
    if kind in _PLAIN:
        return f"{kind.__name__} {value!r}"
    if kind is float:
        return value.hex()
    if kind in (tuple, list):
        return f"{kind.__name__} [{', '.join(map(_setting, value))}]"
    if kind is slice:
        return f"slice {_setting((value.start, value.stop, value.step))}"
    if isinstance(value, np.dtype):
        return f"dtype {value.str}"
    if isinstance(value, np.generic):
        return f"{value.dtype.str} {value.tobytes().hex()}"
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"type {np.dtype(value).str}"
    if isinstance(value, Primitive):
        return f"operation {_primitive(value)}"
    if isinstance(value, np.ndarray):
        return f"array {_constant(value)}"
    if isinstance(value, Described) and kind.__module__.startswith("myad."):
        return f"{kind.__name__} {_setting(value.description())}"
    raise _Unknown
