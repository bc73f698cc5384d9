"""Arrays of the caller that the loops want in another order: copied, natively, in and out.

Arguments are read and results written where they lie, in NumPy's order. Where the descent found
that another order saves more than a copy costs (a small matrix that is read along its columns),
the kernels use a temporary of that order, and a kernel of its own copies.
"""

from __future__ import annotations

from collections.abc import Sequence

from myad.compile.kernels.expr import Buffer
from myad.compile.kernels.kernel import Kernel
from myad.compile.kernels.state import copy_kernel, renamed
from myad.compile.schedule.layout import Layout, Machine


def with_copies(
    kernels: Sequence[Kernel], layouts: dict[Buffer, Layout], machine: Machine
) -> list[Kernel]:
    """The kernels with the copies that the orders in `layouts` ask for, which is changed along:
    afterwards every argument and result has NumPy's order."""
    names = {buffer.name for buffer in layouts}
    before, after = [], []
    inside: dict[Buffer, Buffer] = {}
    for buffer, wanted in list(layouts.items()):
        given = Layout(buffer, machine, tuple(range(len(buffer.shape))))
        if buffer.kind not in ("argument", "result") or wanted.order == given.order:
            continue
        own = Buffer(_unused(f"{buffer.name}_laid", names), buffer.shape, buffer.dtype)
        own.fill = buffer.fill
        inside[buffer] = own
        layouts[buffer], layouts[own] = given, Layout(own, machine, wanted.order)
        if buffer.kind == "argument":
            before.append(copy_kernel(buffer, own, buffer))
        else:
            buffer.fill = None  # the copy writes every element
            after.append(copy_kernel(own, buffer, buffer))
    if not inside:
        return list(kernels)
    return [*before, *(renamed(kernel, inside) for kernel in kernels), *after]


def _unused(name: str, names: set[str]) -> str:
    while name in names:
        name += "_"
    names.add(name)
    return name
