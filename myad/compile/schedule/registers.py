"""What one block of a kernel holds in registers, and what is written out inside its loops."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

from myad.compile.kernels.expr import Buffer, Load, loads
from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel
from myad.compile.schedule.footprint import NEAR, PAGE, USABLE, Operand
from myad.compile.schedule.layout import Layout, Machine

MAX_UNROLLED = 96  # multiply-adds written out in one block: more only costs compile time
MAX_SHARED = 256  # the same where neighbours share loads
LONG_BODY = 16  # nodes of a body that counts for two and more multiply-adds when written out
MAX_WRITTEN = 512  # operations of one block of an elementwise kernel
LONG_ROW = 8  # vectors in a row that are written out when the row does not divide evenly
START = 0.5  # cycles: two multiply-adds start per cycle, and two loads
WAIT = 4.0  # cycles a sum waits for the one before it
WAY = 20.0  # bytes per cycle that the second-level cache delivers at most
DISTANCE = 0.05  # more cycles where the values of a block lie pages apart
MOVE = 0.2  # cycles a load takes from the multiply-adds beside it
COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28)  # values of an axis in a block


def register_block(
    kernel: Kernel, parallel: list[Axis], vectors: int, vector: Axis | None,
    layouts: dict[Buffer, Layout], machine: Machine,
) -> tuple[dict[Axis, int], int]:  # fmt: skip
    """How many values of which parallel axes, and how many vectors, share the registers.

    The block that takes the fewest cycles per multiply-add wins, among those whose sums leave room
    for the operands. What an axis leaves over is a smaller block, and counted as such. Operands
    that the first-level cache does not hold while the sums run are read from the next.
    """
    if kernel.combine == "store":
        return small_block(kernel, parallel, vectors)
    reads = list(dict.fromkeys(loads(kernel.body)))
    operands = [Operand(load, layouts) for load in reads]
    turns = prod(axis.size for axis in kernel.reduced)
    lanes = machine.lanes(kernel.body.dtype)
    room = USABLE * machine.level1
    small = sum(o.bytes({axis: axis.size for axis in kernel.axes}) for o in operands) <= room

    distant = [max(o.step(axis) for o in operands) >= 4 * PAGE for axis in parallel]

    def fetched(counts: tuple[int, ...]) -> float:
        """Bytes per turn that a block reads, if they have to come from further away."""
        extent = {axis: axis.size for axis in kernel.reduced}
        extent |= dict(zip(parallel, counts, strict=False))
        if vector is not None and vector not in extent:
            extent[vector] = min(vector.size, counts[-1] * lanes)
        each = [operand.bytes(extent) for operand in operands]
        return sum(each) / turns if sum(each) > room else 0.0

    model = _Model([axis.size for axis in parallel] + [vectors],
                   [_slides(load, [*parallel, vector], kernel.reduced, vector) for load in reads],
                   machine.registers)  # fmt: skip
    blocks = [block for block in _blocks(model.sizes, machine.registers) if model.fits(block)]
    apart = [1 + DISTANCE * sum(n > 1 and far for n, far in zip(counts, distant, strict=False))
             for counts in blocks]  # fmt: skip
    bounds = [model.least(counts) * more for counts, more in zip(blocks, apart, strict=True)]
    best = float("inf"), 0, 0
    for place in sorted(range(len(blocks)), key=bounds.__getitem__):
        if bounds[place] > best[0]:
            break  # and so are all that follow
        counts = blocks[place]
        cycles = model.cycles(counts, 0.0 if small else fetched(counts))
        best = min(best, (cycles * apart[place], -prod(counts), place))
    *block, chunks = blocks[best[2]]
    return {a: n for a, n in zip(parallel, block, strict=True) if n > 1}, chunks


def _blocks(sizes: list[int], limit: int) -> list[tuple[int, ...]]:
    """Values of each axis in a block of `limit` sums at most; three axes at most have several."""
    blocks: list[tuple[tuple[int, ...], int, int]] = [((), 1, 0)]  # block, its sums, how many > 1
    for size in sizes:
        options = [n for n in sorted({*COUNTS, size}) if n <= min(size, limit)]
        blocks = [
            ((*block, n), sums * n, several + (n > 1))
            for block, sums, several in blocks
            for n in options
            if sums * n <= limit and several + (n > 1) <= 3
        ]
    return [block for block, *_ in blocks]


def _slides(
    load: Load, axes: list[Axis | None], reduced: list[Axis], vector: Axis | None
) -> list[int]:
    """For each axis how many values of a reduced axis `load` slides over beside it; 0: it stays.

    Along the lanes nothing is shared: a vector that starts one element later is another load.
    """
    found = []
    for axis in axes:
        parts = [part for part in load.index if axis in part.terms] if axis is not None else []
        beside = [other.size for part in parts for other in reduced if other in part.terms]
        here = [] if any(vector in part.terms for part in parts) else beside
        found.append(max(here, default=1) if parts else 0)
    return found


class _Model:
    """What a block costs: `sizes` of the axes, and how each operand moves with them."""

    def __init__(self, sizes: list[int], slides: list[list[int]], registers: int) -> None:
        self.sizes, self.slides, self.registers = sizes, slides, registers

    def fits(self, counts: tuple[int, ...]) -> bool:
        """Whether the sums leave registers: for one operand that stays, and one passing through."""
        sums = prod(counts)
        if sums == 1 or sums + 1 > self.registers:
            return sums == 1
        fewest = min((self.loaded(counts, row, shared=False) for row in self.slides), default=0)
        return sums + fewest + 1 <= self.registers

    @staticmethod
    def loaded(counts: tuple[int, ...], row: list[int], *, shared: bool) -> float:
        """Loads of one operand for a turn; fewer where a window shares them with the next turn."""
        total = 1.0
        for n, width in zip(counts, row, strict=True):
            if width:
                total *= (n + width - 1) / width if shared else n
        return total

    def shares(self, counts: tuple[int, ...]) -> bool:
        """Whether what a window shares with the next turn stays in registers beside the sums."""
        return prod(counts) + max(map(partial(_kept, counts), self.slides)) <= self.registers

    def least(self, counts: tuple[int, ...]) -> float:
        """Less than `cycles`, more quickly: no part of a block is better than the whole."""
        sums = prod(counts)
        loaded = sum([self.loaded(counts, row, shared=True) for row in self.slides])
        return 0.999999 * max(START * sums + MOVE * loaded, START * loaded, WAIT) / sums

    def cycles(self, counts: tuple[int, ...], fetched: float) -> float:
        """Cycles per multiply-add of a block and of the smaller ones at the ends of the axes.

        `fetched`: bytes per turn from behind the first-level cache; they come while others compute,
        until the way is full.
        """
        places: list[tuple[tuple[int, ...], int]] = [((), 1)]
        for n, size in zip(counts, self.sizes, strict=True):
            whole, rest = divmod(size, n)
            options = [(n, whole), *([(rest, 1)] if rest else [])]
            places = [((*here, m), times * more) for here, times in places for m, more in options]
        total = 0.0
        for here, times in places:
            sums = prod(here)
            shared = self.shares(here)
            loaded = sum(self.loaded(here, row, shared=shared) for row in self.slides)
            busy = max(START * sums + MOVE * loaded, START * loaded, WAIT)
            total += times * (max(busy, fetched / WAY) + fetched * NEAR)
        return total / prod(self.sizes) * (1 + 0.02 * (len(places) - 1))


def _kept(counts: Sequence[int], row: list[int]) -> int:
    """Values of one operand that wait for the next turn: those of the block, and where it slides
    along several axes, the whole width of the window along all but the outermost."""
    slides = [n for n, width in enumerate(row) if width > 1]
    return prod(
        n + (width - 1 if place in slides[1:] else 0)
        for place, (n, width) in enumerate(zip(counts, row, strict=True))
        if width
    )


def small_block(kernel: Kernel, parallel: list[Axis], vectors: int) -> tuple[dict[Axis, int], int]:
    """Elementwise kernels: whole short rows, and short axes written out; less of long bodies."""
    limit = max(1, MAX_WRITTEN // len(kernel.nodes))
    chunks = vectors if vectors <= min(LONG_ROW, limit) else min(4, limit)
    block: dict[Axis, int] = {}
    count = chunks
    for axis in sorted(parallel, key=lambda a: a.size):
        if count * axis.size > min(16, limit):
            break
        block[axis] = axis.size
        count *= axis.size
    return block, chunks


def inner_chunks(vectors: int, sums: int) -> int:
    """Vectors of a reduced vector axis in one turn."""
    if vectors <= LONG_ROW and vectors * sums <= MAX_UNROLLED:
        return vectors
    return max(1, min(4, MAX_UNROLLED // max(1, sums)))


def unrolled(
    kernel: Kernel,
    reduced: list[Axis],
    each: int,
    block: dict[Axis, int],
    vector: Axis | None,
    machine: Machine,
) -> dict[Axis, int]:
    """What to write out of the reduced axes, given from the outermost to the innermost.

    First what slides along with the register block, as a kernel's rows do with an image's: a load
    then serves several sums. Then from the innermost axis on, as long as the body stays short;
    never an outer axis without the inner ones, which would walk through memory in long steps.
    """
    chosen: dict[Axis, int] = {}
    count = each * max(1, len(kernel.body_nodes) // LONG_BODY)
    axes: list[Axis | None] = [*block]
    slides = [_slides(load, axes, kernel.reduced, vector) for load in loads(kernel.body)]
    model = _Model([axis.size for axis in block], slides, machine.registers)
    roomy = model.shares(tuple(block.values()))
    partners = {axis: _partners(kernel, axis, block) if roomy else 1 for axis in reduced}
    for axis in sorted(reduced, key=lambda a: -partners[a]):
        if partners[axis] > 1:
            fits = [n for n in range(2, axis.size + 1) if axis.size % n == 0]
            chosen[axis] = max((n for n in fits if count * n <= MAX_SHARED), default=1)
            count *= chosen[axis]
    for axis in reversed(reduced):
        if axis not in chosen:
            if count * axis.size > MAX_UNROLLED:
                break
            chosen[axis] = axis.size
            count *= axis.size
    return {axis: n for axis, n in reversed(chosen.items()) if n > 1}


def _partners(kernel: Kernel, axis: Axis, block: dict[Axis, int]) -> int:
    """How many values of the register block share a dimension of some buffer with `axis`."""
    return max((n for load in loads(kernel.body) for part in load.index if axis in part.terms
                for other, n in block.items() if other in part.terms), default=1)  # fmt: skip
