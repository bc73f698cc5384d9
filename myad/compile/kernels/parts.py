"""Long sums with few results, in parts that threads can share.

The gradient of a bias is a sum over all images and pixels for each of a few channels. Cut into
parts of the rows it is as many sums, and then a short one; into how many hangs on the shapes alone,
never on the number of threads, so that any number gives the same bits.
"""

from __future__ import annotations

from math import prod

from myad.compile.kernels.expr import Buffer, Load
from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel

FEW = 1024  # results: more can be shared among threads as they are
MANY = 1 << 18  # terms of all sums that are worth a second kernel
PARTS = 16  # at most, and a quarter of it at least


def in_parts(kernels: list[Kernel]) -> list[Kernel]:
    """The same kernels, long sums with few results made of sums of parts."""
    result: list[Kernel] = []
    for kernel in kernels:
        found = _cut(kernel)
        result.extend([kernel] if found is None else _two(kernel, *found))
    return result


def _cut(kernel: Kernel) -> tuple[Axis, int] | None:
    """The reduced axis to cut and the number of parts, if the kernel is one to cut."""
    if kernel.combine != "add" or kernel.accumulate or not kernel.reduced:
        return None
    if prod(a.size for a in kernel.parallel) > FEW or prod(a.size for a in kernel.axes) < MANY:
        return None
    # not the outermost, which lanes may lie along: a batch
    for axis in kernel.reduced[1:]:
        count = max(n for n in range(1, PARTS + 1) if axis.size % n == 0)
        if count * 4 >= PARTS:
            return axis, count
    return None


def _two(kernel: Kernel, axis: Axis, count: int) -> list[Kernel]:
    """The sums of the parts, and the sum over the parts with the epilogue."""
    part, rest = Axis("part", count), Axis(f"{axis.name}p", axis.size // count)
    own = list(dict.fromkeys(a for place in kernel.index for a in place.terms))
    shape = (count, *(a.size for a in own))
    sums = Buffer(f"{kernel.output.name}_parts", shape, kernel.body.dtype)
    index = (part + 0, *(a + 0 for a in own))
    inner = Kernel(f"{kernel.name}_parts", sums, kernel.axes, index, kernel.body, kernel.combine,
                   origins=kernel.origins)  # fmt: skip
    first = inner.substituted({axis: part * rest.size + rest}, [part, rest])
    first.axes = tuple(a for a in first.axes if a.size > 1)
    last = Kernel(kernel.name, kernel.output, (*own, part), kernel.index, Load(sums, index),
                  kernel.combine, kernel.epilogue, origins=kernel.origins)  # fmt: skip
    return [first, last.renewed()]
