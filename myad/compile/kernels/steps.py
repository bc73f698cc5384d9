"""One kernel per step of a program, by the rule of its operation."""

from __future__ import annotations

import numpy as np

from myad.compile.dtypes import NAMES
from myad.compile.kernels.expr import Buffer, Const
from myad.compile.kernels.kernel import Kernel, KernelBuilder, Source
from myad.compile.kernels.routine import Routine
from myad.compile.program.program import Program, Variable
from myad.core import routine
from myad.errors import CompileError


def kernels_of(program: Program) -> tuple[list[Kernel], dict[Variable, Buffer]]:
    """One kernel per step, and the buffer of every variable.

    Raises: CompileError for a dtype that no kernel can hold.
    """
    buffers: dict[Variable, Buffer] = {}

    def buffer_of(variable: Variable, kind: str) -> Buffer:
        if variable not in buffers:
            dtype = NAMES.get(variable.dtype.name)
            if dtype is None:
                raise CompileError(
                    f"compile: {variable!r} has a dtype that cannot be compiled; use one of "
                    f"{', '.join(NAMES)}."
                )
            buffers[variable] = Buffer(variable.name, variable.shape, dtype, kind)
        return buffers[variable]

    for variable in program.inputs:
        buffer_of(variable, "input")
    kernels: list[Kernel] = []
    for number, step in enumerate(program.steps):
        sources = [_source(v, buffer_of(v, "input")) for v in step.inputs]
        output = buffer_of(step.output, "temporary")
        name = f"k{number}_{step.op.name}"
        kernel: Kernel
        if step.op.kernel_rule is routine:
            read = [source.buffer for source in sources]
            kernel = Routine(name, output, step.op, read, step.static)
        else:
            kernel = step.op.kernel_rule(KernelBuilder(name, output), *sources, **step.static)
        kernel.origins = ((step.op.name, step.origin),) if step.origin else ()
        kernels.append(kernel)
    for variable in program.outputs:
        buffer_of(variable, "input")
    return kernels, buffers


class _Uniform(Source):
    """A constant that is the same everywhere: a number in the code, not a load."""

    def __init__(self, buffer: Buffer, value: float) -> None:
        super().__init__(buffer)
        self.number = Const(value, buffer.dtype)

    def __getitem__(self, index: object) -> Const:  # type: ignore[override]
        return self.number


def _source(variable: Variable, buffer: Buffer) -> Source:
    value = variable.value
    if value is not None and value.size and _is_uniform(value):
        return _Uniform(buffer, value.flat[0].item())
    return Source(buffer)


def _is_uniform(value: np.ndarray) -> bool:
    """Whether all elements are one number; 0.0 and -0.0 are two."""
    first = value.flat[0]
    signs = value.dtype.kind != "f" or bool(np.all(np.signbit(value) == np.signbit(first)))
    return signs and bool(np.all(value == first))
