"""A batch in slices that a cache holds: forward and backward of one before those of the next.

Kernels that go through the examples of a batch one by one are run slice by slice, all of them for
one slice and then for the next, as far as they depend on each other example by example only. What
they hand to one another is then as large as a slice, lies where that of the slice before lay, and
never leaves the cache; sums over the batch, the gradients, are continued from slice to slice.

What needs the whole batch (a finished sum, the step of the optimizer) runs between such groups, and
so does what reads more weights than the cache holds: these would be fetched for every slice.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from myad.compile.dtypes import BYTES
from myad.compile.kernels.expr import Buffer, Expr, Load
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel
from myad.compile.kernels.pack import sums_apart

WIDE = 16  # examples in a slice are a multiple of this: lanes may lie along them
SHARE = 0.5  # of the second-level cache for weights that are read for every slice
SLICE = 0.25  # of it for what a slice writes: twice that is read beside, and a part stays unused
FEW_BYTES = 1 << 16  # of sums that may be read and written again for every slice


def in_slices(
    kernels: list[Kernel], streams: list[Buffer], kept: Collection[Buffer], level2: int
) -> list[Kernel]:
    """The same kernels, in an order in which groups of them can be run slice by slice.

    Kernels of one group have the same `slice`, an axis over the slices.

    Args: kept: buffers that are read from outside; level2: bytes of the second-level cache.
    """
    if not streams or streams[0].shape[0] < 2 * WIDE:
        return kernels
    batch = streams[0].shape[0]
    examples = _Examples(kernels, batch, set(kept), level2)
    if not examples.axes:
        return kernels
    count = _slice_of(batch, examples.bytes_each(), level2)
    if count is None:
        return kernels
    kernels = [
        part
        for number, kernel in enumerate(kernels)
        for part in (sums_apart(kernel) if examples.ends(number) else [kernel])
    ]
    examples = _Examples(kernels, batch, set(kept), level2)
    placed = _Places(kernels, examples)
    return _rewritten(kernels, placed.positions, examples, batch, count)


def _slice_of(batch: int, each: float, level2: int) -> int | None:
    """Examples in a slice, if slices fit where the whole batch does not."""
    if batch * each <= SLICE * level2:
        return None
    sizes = [n for n in range(WIDE, batch, WIDE) if batch % n == 0]
    fits = [n for n in sizes if n * each <= SLICE * level2]
    return max(fits or [n for n in sizes[:1] if n * each <= level2], default=None)


class _Examples:
    """Which kernels go through the batch example by example.

    Fields: `axes` the axis over the examples, by kernel; `dims` the dimension over the examples,
    by buffer that a kernel writes so.
    """

    def __init__(self, kernels: list[Kernel], batch: int, kept: set[Buffer], level2: int) -> None:
        self.batch, self.level2, self.kept = batch, level2, kept
        self.axes: dict[int, Axis] = {}
        self.dims: dict[Buffer, int] = {}
        self.kernels = kernels
        for number, kernel in enumerate(kernels):
            axis = self.axis_of(kernel)
            if axis is None:
                continue
            self.axes[number] = axis
            if axis in kernel.parallel:
                self.dims[kernel.output] = next(
                    dim for dim, part in enumerate(kernel.index) if axis in part.terms
                )

    def axis_of(self, kernel: Kernel) -> Axis | None:
        """The axis of `kernel` over the examples, if all it does is by example."""
        found: set[Axis | None] = set()
        weights = 0
        for buffer, index in {(load.buffer, load.index) for load in kernel.reads}:
            if buffer.kind == "stream":
                found.add(index[0].plain())
            elif buffer in self.dims:
                found.add(index[self.dims[buffer]].plain())
            else:
                weights += buffer.size * BYTES[buffer.dtype]
        if len(found) != 1 or kernel.accumulate or weights > SHARE * self.level2:
            return None
        (axis,) = found
        if axis is None or axis.size != self.batch:
            return None
        if axis in kernel.parallel:
            places = zip(kernel.index, kernel.output.shape, strict=True)
            whole = [part.plain() is axis and extent == self.batch
                     for part, extent in places if axis in part.terms]  # fmt: skip
            return axis if whole == [True] else None
        few = kernel.output.size * BYTES[kernel.output.dtype] <= FEW_BYTES
        elsewhere = any(load.buffer is kernel.output for load in kernel.reads)
        return axis if few and kernel.combine == "add" and not elsewhere else None

    def sums(self, number: int) -> bool:
        """Whether kernel `number` adds up over the examples."""
        return number in self.axes and self.axes[number] in self.kernels[number].reduced

    def ends(self, number: int) -> bool:
        """Whether it also does something with the finished sums."""
        return self.sums(number) and self.kernels[number].epilogue is not None

    def bytes_each(self) -> float:
        """Bytes that the kernels write for one example."""
        return sum(b.size * BYTES[b.dtype] for b in self.dims) / self.batch


@dataclass
class _Places:
    """Where each kernel runs: at an even position in the group of that number, slice by slice; at
    an odd one after the group before it, whole."""

    kernels: list[Kernel]
    examples: _Examples
    positions: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        written: dict[Buffer, list[int]] = {}
        read: dict[Buffer, list[int]] = {}
        for number, kernel in enumerate(self.kernels):
            reads = {load.buffer for load in kernel.reads}
            before = [(n, True) for buffer in reads for n in written.get(buffer, [])]
            before += [(n, False) for n in written.get(kernel.output, [])]
            before += [(n, False) for n in read.get(kernel.output, [])]
            self.positions.append(self.position(number, before))
            written.setdefault(kernel.output, []).append(number)
            for buffer in reads:
                read.setdefault(buffer, []).append(number)

    def position(self, number: int, before: list[tuple[int, bool]]) -> int:
        """The first position behind all kernels of `before`; `True`: their results are read."""
        by_slice = number in self.examples.axes
        place = 0 if by_slice else -1
        for other, results in before:
            there = self.positions[other]
            if there % 2 == 0 and by_slice:
                whole = self.examples.sums(other) or not results
                place = max(place, there + 2 if whole else there)
            elif there % 2 == 0 or by_slice:
                place = max(place, there + 1)
            else:
                place = max(place, there)
        return place


def _rewritten(
    kernels: list[Kernel], positions: list[int], examples: _Examples, batch: int, count: int
) -> list[Kernel]:
    """The kernels in the order of their positions, those of groups over a slice."""
    order = sorted(range(len(kernels)), key=lambda n: (positions[n], n))
    slices = {p: Axis("slice", batch // count) for p in positions if p % 2 == 0}
    touching: dict[Buffer, set[int]] = {}
    for number, kernel in enumerate(kernels):
        for buffer in {kernel.output, *(load.buffer for load in kernel.reads)}:
            touching.setdefault(buffer, set()).add(positions[number])
    small: dict[Buffer, Buffer] = {}
    for buffer, dim in examples.dims.items():
        within = len(touching[buffer]) == 1 and next(iter(touching[buffer])) % 2 == 0
        if within and buffer.kind == "temporary" and buffer not in examples.kept:
            shape = (*buffer.shape[:dim], count, *buffer.shape[dim + 1 :])
            small[buffer] = Buffer(buffer.name, shape, buffer.dtype, buffer.kind, buffer.fill)
    result = []
    for number in order:
        kernel = kernels[number]
        if number in examples.axes:
            place = slices[positions[number]]
            kernel = _sliced(kernel, examples.axes[number], place, count, small, examples.dims)
            kernel.continued = examples.sums(number)
        result.append(kernel)
    return result


def _sliced(
    kernel: Kernel, axis: Axis, place: Axis, count: int, small: dict[Buffer, Buffer],
    dims: dict[Buffer, int],
) -> Kernel:  # fmt: skip
    """`kernel` for the examples of slice number `place`, on buffers of a slice where `small`."""
    within = Axis(f"{axis.name}s", count)
    mapping = {axis: affine(place) * count + within}
    new = kernel.substituted(mapping, [within])

    def index_in(buffer: Buffer, index: tuple[Affine, ...]) -> tuple[Affine, ...]:
        dim = dims[buffer]
        return (*index[:dim], affine(within), *index[dim + 1 :])

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Load) and node.buffer in small:
            return Load(small[node.buffer], index_in(node.buffer, node.index))
        return None

    output, index = new.output, new.index
    if output in small:
        output, index = small[output], index_in(output, index)
    return new.rewritten(rule, output=output, index=index, slice=place)
