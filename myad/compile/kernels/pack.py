"""Copies of operands in the order in which a reduction reads them; sums apart from what follows.

Both cost a pass over few elements, and let the schedule of the reduction alone decide how it runs.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod

from myad.compile.dtypes import BYTES
from myad.compile.kernels.cost import LINE
from myad.compile.kernels.expr import Buffer, Expr, Load, Sum, loads, rewrite
from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel, KernelBuilder

REUSE = 64  # readings of an element that make a copy of it cheap
SHORT = 8  # values of an axis that are gathered as quickly as they are copied
LONG = 512  # terms of a sum beside which writing and reading the sum once more is nothing


def packed(kernels: list[Kernel]) -> list[Kernel]:
    """The same kernels; transposed operands that are read often are copied first.

    Lanes lie along the last dimension of what is written. An operand in which that axis is not the
    last dimension would be gathered, or everybody else who reads it would have to.
    """
    touching: dict[Buffer, int] = {}
    for kernel in kernels:
        for buffer in {kernel.output, *(load.buffer for load in kernel.reads)}:
            touching[buffer] = touching.get(buffer, 0) + 1
    result: list[Kernel] = []
    for kernel in kernels:
        reads = list(dict.fromkeys(loads(kernel.body)))
        for load in reads if kernel.combine == "add" else ():
            axis = kernel.index[-1].plain() if kernel.index else None
            free = load.buffer.kind == "temporary" and touching[load.buffer] <= 2
            if axis is not None and not free and _worth(kernel, load, axis):
                copy, kernel = _copied(kernel, load, axis)
                result.append(copy)
        result.append(kernel)
    return result


def _worth(kernel: Kernel, load: Load, axis: Axis) -> bool:
    """Whether `load` reads along `axis` across the rows of its buffer, each element often."""
    if load.buffer.kind == "stream" or any(len(part.terms) > 1 for part in load.index):
        return False
    own = [other for part in load.index for other in part.terms]
    if axis not in own or len(set(own)) < len(own) or axis.size < SHORT:
        return False
    if axis in load.index[-1].terms or not load.index[-1].terms:
        return False
    return prod(a.size for a in kernel.parallel if a not in own) >= REUSE


def _copied(kernel: Kernel, load: Load, axis: Axis) -> tuple[Kernel, Kernel]:
    """A kernel that copies what `load` reads, `axis` last, and `kernel` reading the copy."""
    own = [other for part in load.index for other in part.terms]
    axes = [*(other for other in own if other is not axis), axis]
    copy = Buffer(f"{load.buffer.name}_packed", tuple(a.size for a in axes), load.buffer.dtype)
    pack = KernelBuilder(f"pack_{load.buffer.name}", copy).define(axes, load, domain=axes).renewed()
    place = Load(copy, tuple(a + 0 for a in axes))

    def rule(node: Expr) -> Expr | None:
        same = isinstance(node, Load) and (node.buffer, node.index) == (load.buffer, load.index)
        return place if same else None

    return pack, replace(kernel, body=rewrite(kernel.body, rule))


def apart(kernels: list[Kernel], level1: int) -> list[Kernel]:
    """The same kernels; sums too long for a first-level cache of so many bytes are finished by
    a kernel of their own.

    Such a sum is best made in parts, each of data that a cache holds, and continued in memory.
    """
    result: list[Kernel] = []
    for kernel in kernels:
        long = kernel.epilogue is not None and _long(kernel, level1)
        result.extend(sums_apart(kernel) if long else [kernel])
    return result


def sums_apart(kernel: Kernel) -> list[Kernel]:
    """The sums of `kernel`, and its epilogue as a kernel of its own."""
    assert kernel.epilogue is not None
    axes = list(dict.fromkeys(axis for part in kernel.index for axis in part.terms))
    shape = tuple(axis.size for axis in axes)
    sums = Buffer(f"{kernel.output.name}_sums", shape, kernel.body.dtype)
    first, last = kernel.name.split("_", 1)[0], kernel.name.rsplit("_", 1)[-1]
    index = tuple(axis + 0 for axis in axes)

    def rule(node: Expr) -> Expr | None:
        return Load(sums, index) if isinstance(node, Sum) else None

    whole = Kernel(f"{kernel.name}_sums", sums, kernel.axes, index, kernel.body, kernel.combine,
                   origins=kernel.origins[:1])  # fmt: skip
    epilogue = rewrite(kernel.epilogue, rule)
    done = Kernel(f"{first}_{last}", kernel.output, tuple(axes), kernel.index, epilogue,
                  origins=kernel.origins[1:] or kernel.origins)  # fmt: skip
    return [whole, done.renewed()]


def _long(kernel: Kernel, level1: int) -> bool:
    """Whether one vector of sums reads more than the first-level cache holds twice over."""
    terms = prod(axis.size for axis in kernel.reduced)
    if terms < LONG or kernel.combine != "add":
        return False
    reads = [load for load in dict.fromkeys(loads(kernel.body)) if load.buffer.kind != "stream"]
    lines = sum(min(terms, load.buffer.size * BYTES[load.buffer.dtype] // LINE) for load in reads)
    return lines * LINE > 2 * level1
