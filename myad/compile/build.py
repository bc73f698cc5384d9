"""From a recorded program to a plan: kernels in order, layouts, loop code, places in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from myad.compile.dtypes import DTYPES, KIND, SUPPORT
from myad.compile.kernels.expr import Apply, Buffer, walk
from myad.compile.kernels.fuse import fuse
from myad.compile.kernels.kernel import Kernel
from myad.compile.kernels.names import name_apart
from myad.compile.kernels.narrow import narrow
from myad.compile.kernels.pack import apart, packed
from myad.compile.kernels.parts import in_parts
from myad.compile.kernels.routine import Routine
from myad.compile.kernels.slices import in_slices
from myad.compile.kernels.split import split_dimensions
from myad.compile.kernels.state import copy_kernel, place_state
from myad.compile.kernels.steps import kernels_of
from myad.compile.loops.codes import codes_of
from myad.compile.loops.plan import Plan, place
from myad.compile.loops.routine import RoutineCode
from myad.compile.places import ALIGN
from myad.compile.program.empty import without_empty
from myad.compile.program.program import Program
from myad.compile.program.simplify import expand, remove_unread, simplify
from myad.compile.program.trace import Argument, trace
from myad.compile.schedule.boundary import with_copies
from myad.compile.schedule.layout import Machine
from myad.compile.schedule.search import natural, plan
from myad.errors import CompileError

PASSES = (
    "fold",
    "fuse",
    "pack",
    "split",
    "slices",
    "layouts",
)  # what can be left out, to see what it gains


def build(
    program: Program, machine: Machine, *, state: Mapping[int, int] | None = None,
    streams: Sequence[int] = (), arrays: bool = False, without: Sequence[str] = (),
    fixed: Sequence[int] = (),
) -> Plan:  # fmt: skip
    """Plan `program` for `machine`.

    Args:
        state: {output: input} positions: the output's new value takes the place of the input's.
        streams: positions of inputs that are the caller's own memory, indexed by example; a
            further array of row numbers says which example is where.
        arrays: whether inputs and outputs are the caller's own arrays, read and written where they
            lie; else they are copied in and out.
        without: names of `PASSES` to leave out; the result is the same, only slower.
        fixed: positions of inputs that keep their shape and lie row by row.
    Raises: CompileError naming what cannot be compiled.
    """
    _check_state(program, state or {})
    program = without_empty(program)
    program = expand(remove_unread(program)) if "fold" in without else simplify(program)
    kernels, buffers = kernels_of(program)
    kernels, faults = with_bodies(kernels, machine, without)
    inputs = [buffers[v] for v in program.inputs]
    outputs = [buffers[v] for v in program.outputs]
    for position in streams:
        inputs[position].kind = "stream"
    for position in fixed:
        inputs[position].fixed = True
    constants = {b: v.value for v, b in buffers.items() if v.value is not None}
    kernels = with_rows(kernels)
    if "fuse" not in without:
        kernels = fuse(narrow(kernels, set(outputs)), set(outputs))
    kernels = place_state(kernels, inputs, outputs, state or {})
    if "pack" not in without:
        kernels = packed(in_parts(apart(kernels, machine.level1)))
    if "split" not in without:
        kernels = split_dimensions(kernels)
    if "slices" not in without:
        kept = {*inputs, *outputs}
        kernels = in_slices(kernels, [inputs[p] for p in streams], kept, machine.level2)
    used = _buffers_of(kernels, inputs, outputs)
    if arrays:
        _outside(kernels, inputs, outputs)
    if streams:
        count = program.inputs[streams[0]].shape[0]
        used.append(Buffer("rows", (count,), "i32", "stream_rows"))
    _check_operations(kernels)
    name_apart(used)
    plain = [kernel for kernel in kernels if not isinstance(kernel, Routine)]
    layouts = natural(used, machine) if "layouts" in without else plan(plain, used, machine)
    kernels = with_copies(kernels, layouts, machine)
    name_apart(kernels)
    codes = codes_of(kernels, layouts, machine)
    result = Plan(
        program, kernels, layouts, codes, inputs, outputs, [inputs[p] for p in streams],
        {b: v for b, v in constants.items() if b in layouts and v is not None}, faults=faults,
    )  # fmt: skip
    place(result)
    return result


def with_bodies(
    kernels: Sequence[Kernel], machine: Machine, without: Sequence[str]
) -> tuple[list[Kernel], Buffer | None]:
    """The kernels with what is inside of loops and branches planned, and the place for faults if
    one may occur."""
    faults = Buffer("faults", (4,), "i64", "faults")
    found: list[Kernel] = []
    for kernel in kernels:
        if isinstance(kernel, Routine):
            parts = []
            for number, inner in enumerate(_bodies(kernel, machine, without)):
                _name_inside(inner, f"{kernel.name}_{number}_")
                name = f"{kernel.output.name}_arena{number}"
                parts.append((inner, Buffer(name, (max(ALIGN, inner.size),), "u8", "arena")))
            fails = kernel.may_fail or any(inner.faults is not None for inner, _ in parts)
            kernel = kernel.with_parts(faults if fails else None, parts)
        found.append(kernel)
    used = any(isinstance(kernel, Routine) and kernel.faults is faults for kernel in found)
    return found, faults if used else None


def _name_inside(inner: Plan, prefix: str) -> None:
    """Let the names of a body's kernels, and of those inside of them, begin with `prefix`."""
    for code in inner.codes:
        code.name = prefix + code.name
        for deeper, _ in code.routine.parts if isinstance(code, RoutineCode) else ():
            _name_inside(deeper, prefix)


def _bodies(routine: Routine, machine: Machine, without: Sequence[str]) -> list[Plan]:
    """The plans of what is inside of a loop or a branch; of its results those that are wanted."""
    nest = routine.static.get("nest")
    if nest is None:
        return []
    floating = routine.op.name == "nested"
    plans = []
    for body, carried, carries, fixed in nest.bodies():
        kept = [
            n for n, spec in enumerate(body.outputs)
            if n < carried or carries or (spec.dtype.kind == "f") == floating
        ]  # fmt: skip

        def wanted(*inputs: Any, body: Any = body, kept: Any = kept) -> list[Any]:
            found = body(*inputs)
            return [found[n] for n in kept]

        arguments = [Argument(s.shape, s.dtype, f"x{n}") for n, s in enumerate(body.inputs)]
        names = [argument.name for argument in arguments]
        program, _ = trace(wanted, *arguments, names=names)
        state = {n: n for n in range(carried)}
        places = range(len(body.inputs)) if fixed else ()
        plans.append(build(program, machine, state=state, without=without, fixed=places))
    return plans


def with_rows(kernels: Sequence[Kernel]) -> list[Kernel]:
    """The kernels with copies of the rows that routines read of a stream."""
    found: list[Kernel] = []
    copied: dict[Buffer, Buffer] = {}
    for kernel in kernels:
        for buffer in kernel.inputs if isinstance(kernel, Routine) else ():
            if buffer.kind == "stream" and buffer not in copied:
                copied[buffer] = Buffer(f"{buffer.name}_rows", buffer.shape, buffer.dtype)
                found.append(copy_kernel(buffer, copied[buffer], buffer))
        found.append(kernel.renamed(copied) if isinstance(kernel, Routine) else kernel)
    return found


def _outside(kernels: list[Kernel], inputs: list[Buffer], outputs: list[Buffer]) -> None:
    """Let inputs be read, and outputs written, in the caller's memory: what a kernel writes whole,
    or with zeros around it. Inputs and constants that are returned are copied by who calls."""
    for buffer in inputs:
        buffer.kind = "argument"
    written = {kernel.output for kernel in kernels}
    for buffer in outputs:
        if buffer in written and not buffer.fill:
            buffer.kind = "result"


def _check_state(program: Program, state: Mapping[int, int]) -> None:
    """Raise CompileError unless every new value is of its state's shape and dtype."""
    for out, into in state.items():
        new, old = program.outputs[out], program.inputs[into]
        if (new.shape, new.dtype) != (old.shape, old.dtype):
            raise CompileError(
                f"compile: the step takes {old!r} and returns {new.dtype}{list(new.shape)} for it;"
                " return state as it came: astype() and reshape() convert."
            )


def _check_operations(kernels: list[Kernel]) -> None:
    """Raise CompileError for an operation that its operands' type does not have, by name."""
    for kernel in kernels:
        for expr in (kernel.body, kernel.epilogue):
            for node in walk(expr) if expr is not None else ():
                if not isinstance(node, Apply):
                    continue
                dtype = node.args[1 if node.op == "select" else 0].dtype
                if KIND[dtype] not in SUPPORT[node.op]:
                    raise CompileError(
                        f"compile: {kernel.name}: no operation {node.op!r} for"
                        f" {np.dtype(DTYPES[dtype]).name}; convert with astype()."
                    )


def _buffers_of(kernels: list[Kernel], inputs: list[Buffer], outputs: list[Buffer]) -> list[Buffer]:
    found = dict.fromkeys([*inputs, *outputs])
    for kernel in kernels:
        found.update(dict.fromkeys([*(load.buffer for load in kernel.reads), kernel.output]))
    return list(found)
