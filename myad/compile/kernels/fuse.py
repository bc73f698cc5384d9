"""From a program to few kernels: every step becomes one, and neighbours are put together.

Two moves, repeated until none applies:
- *inline*: a kernel that only maps or moves elements is written into its reader;
- *finish*: an elementwise reader of a reduction becomes the reduction's epilogue.
"""

from __future__ import annotations

from math import isfinite, prod

import numpy as np

from myad.compile.dtypes import NAMES
from myad.compile.kernels.cost import COST
from myad.compile.kernels.expr import (
    Apply,
    Buffer,
    Const,
    Expr,
    Load,
    loads,
    rewrite,
    substitute,
    walk,
)  # fmt: skip
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel, KernelBuilder, Source, sum_of
from myad.compile.program.program import Program, Variable
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
    kernels = []
    for number, step in enumerate(program.steps):
        sources = [_source(v, buffer_of(v, "input")) for v in step.inputs]
        output = buffer_of(step.output, "temporary")
        builder = KernelBuilder(f"k{number}_{step.op.name}", output)
        kernels.append(step.op.kernel_rule(builder, *sources, **step.static))
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
    if value is not None and value.size and np.all(value == value.flat[0]):
        return _Uniform(buffer, value.flat[0].item())
    return Source(buffer)


def fuse(kernels: list[Kernel], kept: set[Buffer]) -> list[Kernel]:
    """The same results with fewer kernels; the buffers of `kept` are still written."""
    kernels = list(kernels)
    while _one_move(kernels, kept):
        pass
    return kernels


def _one_move(kernels: list[Kernel], kept: set[Buffer]) -> bool:
    for place, kernel in enumerate(kernels):
        if kernel.output in kept:
            continue
        readers = [k for k in kernels if any(x.buffer is kernel.output for x in k.reads)]
        if not readers:
            del kernels[place]
            return True
        fused = _inlined(kernel, readers)
        if fused is None and len(readers) == 1:
            last = finish(kernel, readers[0])
            fused = None if last is None else [last]
        if fused is not None:
            for old, new in zip(readers, fused, strict=True):
                kernels[kernels.index(old)] = new
            kernels.remove(kernel)
            return True
    return False


def _inlined(kernel: Kernel, readers: list[Kernel]) -> list[Kernel] | None:
    """Every reader with `kernel` written into it, or None if that cannot be or does not pay."""
    if kernel.combine != "store" or kernel.epilogue is not None or kernel.accumulate:
        return None
    once = len(readers) == 1 and _times_read(kernel, readers[0]) <= 2 * kernel.output.size
    if not once and not is_view(kernel):
        return None
    fused = [inline(kernel, reader) for reader in readers]
    return None if any(f is None for f in fused) else [f for f in fused if f is not None]


def is_view(kernel: Kernel) -> bool:
    """Whether a kernel costs next to nothing to repeat: it moves or scales one operand."""
    operands = loads(kernel.body)
    if len(operands) > 1 or any(load.buffer.kind == "stream" for load in operands):
        return False
    ops = [node.op for node in walk(kernel.body) if isinstance(node, Apply)]
    return sum(COST.get(op, 1.0) for op in ops) <= 1.0


def _times_read(kernel: Kernel, reader: Kernel) -> int:
    body = sum(load.buffer is kernel.output for load in loads(reader.body))
    total = body * prod(a.size for a in reader.axes)
    if reader.epilogue is not None:
        last = sum(load.buffer is kernel.output for load in loads(reader.epilogue))
        total += last * prod(a.size for a in reader.parallel)
    return total


def inline(kernel: Kernel, reader: Kernel) -> Kernel | None:
    """`reader` with its loads of `kernel.output` replaced by what `kernel` computes."""
    places = [part.plain() for part in kernel.index]
    simple = all(p is not None or (not i.terms and i.const == 0)
                 for p, i in zip(places, kernel.index, strict=True))  # fmt: skip
    distinct = [p for p in places if p is not None]
    if simple and len(set(distinct)) == len(distinct) and kernel.output.fill is None:
        return _replaced(kernel, reader)
    return _resplit(kernel, reader)


def _replaced(kernel: Kernel, reader: Kernel) -> Kernel:
    """Each load at some index becomes the kernel's body at that index."""

    def rule(node: Expr) -> Expr | None:
        if not (isinstance(node, Load) and node.buffer is kernel.output):
            return None
        mapping = {part.plain(): at for part, at in zip(kernel.index, node.index, strict=True)}
        return substitute(kernel.body, {a: at for a, at in mapping.items() if a is not None})

    return _with(reader, rule)


def _with(reader: Kernel, rule: object) -> Kernel:
    return Kernel(
        reader.name, reader.output, reader.axes, reader.index,
        rewrite(reader.body, rule), reader.combine,  # type: ignore[arg-type]
        None if reader.epilogue is None else rewrite(reader.epilogue, rule),  # type: ignore[arg-type]
        reader.accumulate,
    )  # fmt: skip


def _resplit(kernel: Kernel, reader: Kernel) -> Kernel | None:
    """For a kernel that writes at merged or strided places: the reader's axes become those."""
    mapping = reading_axes(kernel.output, reader)
    if mapping is None:
        return None
    if kernel.output.fill is not None and not _skips_zero(kernel, reader):
        return None
    replaced = {axis: kernel.index[dim] for dim, axis in mapping.items()}
    split = reader.substituted(replaced, kernel.axes)
    if kernel.output.fill is not None and reader.combine == "store":
        split.output.fill = 0.0
    body = kernel.body

    def rule(node: Expr) -> Expr | None:
        return body if isinstance(node, Load) and node.buffer is kernel.output else None

    return _with(split, rule)


def reading_axes(buffer: Buffer, reader: Kernel) -> dict[int, Axis] | None:
    """By dimension, the axis along which `reader` reads `buffer`, if always one whole axis."""
    found: dict[int, Axis] | None = None
    for load in reader.reads:
        if load.buffer is not buffer:
            continue
        axes: dict[int, Axis] = {}
        for dim, part in enumerate(load.index):
            axis = part.plain()
            if axis is None and buffer.shape[dim] == 1:
                continue
            if axis is None or axis.size != buffer.shape[dim] or axis in axes.values():
                return None
            axes[dim] = axis
        if found is not None and found != axes:
            return None
        found = axes
    return found


def _skips_zero(kernel: Kernel, reader: Kernel) -> bool:
    """Whether the places that `kernel` leaves at 0 contribute nothing to `reader`."""
    if kernel.output.fill != 0 or reader.epilogue is not None or reader.combine != "store":
        return False
    if reader.output.fill:  # its own border is another number: one array, one fill
        return False
    return vanishes(reader.body, kernel.output)


def vanishes(expr: Expr, buffer: Buffer) -> bool:
    """Whether `expr` is 0 wherever `buffer` is."""
    if isinstance(expr, Load):
        return expr.buffer is buffer
    if isinstance(expr, Const):
        return expr.value == 0
    if not isinstance(expr, Apply):
        return False
    if expr.op == "mul":  # 0 times infinity is not 0
        zero = [vanishes(arg, buffer) for arg in expr.args]
        finite = [isinstance(a, Const) and isfinite(a.value) for a in expr.args]
        return any(zero) and all(z or f for z, f in zip(zero, finite, strict=True))
    if expr.op == "select":
        return vanishes(expr.args[1], buffer) and vanishes(expr.args[2], buffer)
    if expr.op in ("neg", "add", "sub"):
        return all(vanishes(arg, buffer) for arg in expr.args)
    return False


def finish(kernel: Kernel, reader: Kernel) -> Kernel | None:
    """`kernel` with its elementwise reader as epilogue, or None if the reader is not that."""
    if kernel.combine == "store":
        return None
    if kernel.accumulate or reader.accumulate or reader.combine != "store" or reader.epilogue:
        return None
    mapping = reading_axes(kernel.output, reader)
    if mapping is None or set(mapping.values()) != set(reader.parallel) or reader.reduced:
        return None
    if kernel.output.fill is not None:
        return None
    replaced: dict[Axis, Affine] = {axis: kernel.index[dim] for dim, axis in mapping.items()}
    body, done = substitute(reader.body, replaced), sum_of(kernel)

    def rule(node: Expr) -> Expr | None:
        return done if isinstance(node, Load) and node.buffer is kernel.output else None

    index = tuple(affine(part).substitute(replaced) for part in reader.index)
    return Kernel(
        f"{kernel.name}_{reader.name.split('_', 1)[-1]}", reader.output, kernel.axes, index,
        kernel.body, kernel.combine, rewrite(body, rule),
    )  # fmt: skip
