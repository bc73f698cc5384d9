"""Dimensions that are only ever read as several axes become several dimensions.

A dense layer behind `flatten` reads its kernel at row 13·i + j. Seen as (13, 13, K) the kernel can
be padded and laid out like the image it meets, and both are read in whole, aligned vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from myad.compile.kernels.expr import Buffer, Expr, Load
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel

SHORT_ROW = 4  # a last dimension below this fills too little of a vector to be worth a row

Access = tuple[int, Affine]  # number of the kernel, index in the dimension


def split_dimensions(kernels: list[Kernel]) -> list[Kernel]:
    """The same kernels over buffers whose `shape` is finer; `Buffer.given` keeps the old one."""
    return _Splitting(kernels).run()


class _Splitting:
    """Kernels by number, and by buffer the numbers of those that touch it.

    A buffer is looked at again when a kernel that touches it has changed: the first in the order
    of the program comes first.
    """

    def __init__(self, kernels: list[Kernel]) -> None:
        self.kernels = list(kernels)
        self.touching: dict[Buffer, dict[int, None]] = {}
        for number, kernel in enumerate(kernels):
            for buffer, _ in _accesses(kernel):
                if buffer.kind != "stream" and not buffer.fixed:
                    self.touching.setdefault(buffer, {})[number] = None
        self.buffers = list(self.touching)
        self.places = {buffer: place for place, buffer in enumerate(self.buffers)}

    def run(self) -> list[Kernel]:
        waiting = list(range(len(self.buffers)))
        queued = set(waiting)
        while waiting:
            place = heappop(waiting)
            queued.discard(place)
            found = self.split_of(self.buffers[place])
            if found is None:
                continue
            for other in self.split(self.buffers[place], *found) - queued:
                queued.add(other)
                heappush(waiting, other)
        return self.kernels

    def split_of(
        self, buffer: Buffer
    ) -> tuple[int, tuple[int, ...], list[tuple[int, Axis]]] | None:
        """A dimension to split, the sizes, and the axes that run along all of it, by kernel."""
        for dim, extent in enumerate(buffer.shape):
            forms, plain, whole = set(), set(), True
            for number, part in self.accesses(buffer, dim):
                axis = part.plain()
                if axis is not None and axis.size == extent:
                    plain.add((number, axis))
                elif (factors := mixed_radix(part, extent)) is not None:
                    forms.add(factors)
                else:
                    whole = False
                    break
            if whole and len(forms) == 1:
                ordered = sorted(plain, key=lambda pair: (pair[0], pair[1].name))
                return dim, forms.pop(), ordered
        return None

    def accesses(self, buffer: Buffer, dim: int) -> Iterator[Access]:
        for number in self.touching[buffer]:
            for other, index in _accesses(self.kernels[number]):
                if other is buffer:
                    yield number, index[dim]

    def split(
        self, buffer: Buffer, dim: int, factors: tuple[int, ...], plain: list[tuple[int, Axis]]
    ) -> set[int]:
        """Split `dim` of `buffer`; the places of the buffers whose kernels have changed."""
        for number, axis in plain:
            fresh = [Axis(f"{axis.name}{'abcdef'[n]}", size) for n, size in enumerate(factors)]
            self.kernels[number] = self.kernels[number].substituted({axis: _merged(fresh)}, fresh)
        buffer.shape = (*buffer.shape[:dim], *factors, *buffer.shape[dim + 1 :])
        changed: set[int] = set()
        for number in self.touching[buffer]:
            kernel = _reindexed(self.kernels[number], buffer, dim, len(factors))
            self.kernels[number] = kernel
            changed.update(self.places[b] for b, _ in _accesses(kernel) if b in self.places)
        return changed


def _accesses(kernel: Kernel) -> Iterator[tuple[Buffer, tuple[Affine, ...]]]:
    yield kernel.output, kernel.index
    for load in kernel.reads:
        yield load.buffer, load.index


def mixed_radix(part: Affine, extent: int) -> tuple[int, ...] | None:
    """Sizes of the axes of an index such as 13·i + j that counts to `extent` without gaps."""
    terms = sorted(part.terms.items(), key=lambda term: -term[1])
    step = 1
    for axis, factor in reversed(terms):
        if factor != step:
            return None
        step *= axis.size
    if part.const or step != extent or len(terms) < 2 or terms[-1][0].size < SHORT_ROW:
        return None
    return tuple(axis.size for axis, _ in terms)


def _merged(axes: list[Axis]) -> Affine:
    total, step = affine(0), 1
    for axis in reversed(axes):
        total, step = total + axis * step, step * axis.size
    return total


def _reindexed(kernel: Kernel, buffer: Buffer, dim: int, count: int) -> Kernel:
    def finer(index: tuple[Affine, ...]) -> tuple[Affine, ...]:
        terms = sorted(index[dim].terms, key=lambda axis: -index[dim].terms[axis])
        assert len(terms) == count
        return (*index[:dim], *(affine(axis) for axis in terms), *index[dim + 1 :])

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Load) and node.buffer is buffer:
            return Load(buffer, finer(node.index))
        return None

    index = finer(kernel.index) if kernel.output is buffer else kernel.index
    return kernel.rewritten(rule, index=index)
