"""The order of the loops around a block of sums, tiles, and which reduced axes go outside.

A nest runs at the speed of the registers only if what it reads again is still in a cache. For each
order the bytes that have to come from the second-level cache and from behind it are modelled, and
the cheapest order wins: Hong & Kung's argument (1981) made countable, as in Lam, Rothberg & Wolf
1991 ("The cache performance and optimizations of blocked algorithms").

Data are counted by footprints: what the loops from some level inwards touch. The outermost level
whose footprint fits a cache is loaded once per turn of the loops around it, but for an operand that
does not move with the loops next to it, which is there already.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations
from math import prod

from myad.compile.dtypes import BYTES
from myad.compile.kernels.expr import Buffer, Load, loads
from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel
from myad.compile.schedule.layout import Layout, Machine
from myad.compile.schedule.schedule import Schedule

Order = list[tuple[Axis, int]]

LINE = 64  # bytes that a cache holds together
USABLE = 0.75  # of a cache: the rest is for what streams through, and for conflicts
NEAR, FAR = 1 / 48, 1 / 10  # cycles for a byte from the second-level cache, from behind it
SUM_COST = 1.0  # cycles to read, add and write one vector of sums in memory
ENTRY_COST = 12.0  # cycles to enter and leave the loops inside the sums
LONG_SUM = 64  # turns inside the sums that make these cheap
TILES = (4, 16, 64)  # blocks in a tile of a parallel axis


def by_layout(kernel: Kernel, axes: list[Axis], layouts: dict[Buffer, Layout]) -> list[Axis]:
    """`axes`, the one with the longest step through the largest buffer first."""
    reads = [*kernel.reads, Load(kernel.output, kernel.index)]

    def step(axis: Axis) -> int:
        steps = [abs(part.coefficient(axis)) * layouts[load.buffer].strides[dim]
                 for load in reads for dim, part in enumerate(load.index)]  # fmt: skip
        return max(steps, default=0)

    return sorted(axes, key=step, reverse=True)


def set_order(
    kernel: Kernel, schedule: Schedule, layouts: dict[Buffer, Layout], machine: Machine
) -> None:
    """Complete `schedule` with the loops around and inside the sums.

    `schedule.block`, `unroll`, `vector` and `reductions` (all reduced loops, outermost first) are
    given; where sums are continued in memory, reduced axes move from `reductions` into `order`.
    """
    vector = schedule.vector
    along = vector is not None and vector in kernel.parallel
    steps = {axis: schedule.block.get(axis, 1) for axis in kernel.parallel}
    natural = by_layout(kernel, [a for a in kernel.parallel if a is not vector], layouts)
    if along and vector is not None:
        natural.append(vector)
    schedule.order = [(axis, steps[axis]) for axis in natural if steps[axis] < axis.size]
    if kernel.combine == "store" or kernel.accumulate:
        return
    model = _Model(kernel, schedule, layouts, machine)
    if model.footprint(dict(model.whole)) <= machine.level1 * USABLE:
        return
    best = model.cost(schedule.order), schedule.order
    for order in _orders(kernel, schedule, model):
        cost = model.cost(order)
        if cost < best[0] * 0.99:
            best = cost, order
    schedule.order = best[1]


def _orders(kernel: Kernel, schedule: Schedule, model: _Model) -> Iterator[Order]:
    """Candidates: the parallel loops in every order, sums cut or not, and one axis in tiles."""
    parallel = schedule.order
    loose = parallel if len(parallel) <= 4 else parallel[-3:]
    fixed = parallel[: len(parallel) - len(loose)]
    outers = list(_outer_sums(kernel, schedule))
    for some in permutations(loose):
        for outer in outers:
            yield [*outer, *fixed, *some]
            if outer:
                continue
            for axis, step in parallel:
                for tile in TILES:
                    if 2 * tile * step <= axis.size:
                        yield [(axis, tile * step), *fixed, *some]


def _outer_sums(kernel: Kernel, schedule: Schedule) -> Iterator[Order]:
    """Which reduced axes lie outside the sums: none, or the outermost ones, the last in parts."""
    yield []
    # an epilogue needs whole sums; so does a sum over lanes
    if kernel.epilogue is not None or schedule.vector in kernel.reduced:
        return
    loops = schedule.reductions
    written = prod(schedule.unroll.get(a, 1) for a in kernel.reduced if a not in loops)
    for count in range(1, len(loops) + 1):
        inside = written * prod(axis.size for axis in loops[count:])
        before: Order = [(axis, 1) for axis in loops[: count - 1]]
        axis = loops[count - 1]
        if schedule.unroll.get(axis, 1) > 1 and count < len(loops):
            return
        part = max(1, schedule.unroll.get(axis, 1))
        while part * 2 <= axis.size:
            if part * inside >= LONG_SUM:
                yield [*before, (axis, part)]
            part *= 2


class _Model:
    """What an order costs, in cycles, apart from the arithmetic, which is the same in all."""

    def __init__(
        self, kernel: Kernel, schedule: Schedule, layouts: dict[Buffer, Layout], machine: Machine
    ) -> None:
        self.kernel, self.schedule, self.machine = kernel, schedule, machine
        self.whole = {axis: axis.size for axis in kernel.axes}
        self.steps = {axis: min(axis.size, schedule.block.get(axis, 1)) for axis in kernel.parallel}
        reads = list(dict.fromkeys(loads(kernel.body)))
        self.output = Load(kernel.output, kernel.index)
        self.operands = [_Operand(load, layouts) for load in (*reads, self.output)]

    def footprint(self, extent: dict[Axis, int]) -> float:
        """Bytes touched when each axis goes through so many values."""
        return sum(operand.bytes(extent) for operand in self.operands)

    def cost(self, order: Order) -> float:
        """Cycles of moving data, of continued sums and of entering the innermost loops."""
        outer = {axis: step for axis, step in order if axis in self.kernel.reduced}
        levels = self.levels(order)
        total = NEAR * self.moved(levels, USABLE * self.machine.level1)
        total += FAR * self.moved(levels, USABLE * self.machine.level2)
        entries = prod(trips for _, trips, _ in levels)
        sums = prod(-(-n // self.schedule.lanes) if axis is self.schedule.vector else n
                    for axis, n in self.steps.items())  # fmt: skip
        return total + entries * (ENTRY_COST + (2 * SUM_COST * sums if outer else 0.0))

    def levels(self, order: Order) -> list[tuple[Axis, int, dict[Axis, int]]]:
        """Outermost first: the axis of each loop, its trips, and what one turn goes through."""
        extent = dict(self.whole)
        levels = []
        for axis, step in order:
            trips = -(-extent[axis] // step)
            extent[axis] = min(step, extent[axis])
            levels.append((axis, trips, dict(extent)))
        return levels

    def moved(self, levels: list[tuple[Axis, int, dict[Axis, int]]], room: float) -> float:
        """Bytes that have to come from behind a cache of `room` bytes."""
        inside = self.whole
        depth = 0
        while self.footprint(inside) > room and depth < len(levels):
            inside = levels[depth][2]
            depth += 1
        total = 0.0
        for operand in self.operands:
            times, moves = 1, False
            for axis, trips, _ in reversed(levels[:depth]):
                moves = moves or axis in operand.axes
                times *= trips if moves else 1
            total += operand.bytes(inside) * times
        return total


class _Operand:
    """The shape of one access."""

    def __init__(self, load: Load, layouts: dict[Buffer, Layout]) -> None:
        self.axes = {axis for part in load.index for axis in part.terms}
        self.width = BYTES[load.buffer.dtype]
        inner = layouts[load.buffer].inner
        self.parts = [([(axis, abs(factor)) for axis, factor in part.terms.items()], dim == inner)
                      for dim, part in enumerate(load.index)]  # fmt: skip

    def bytes(self, extent: dict[Axis, int]) -> float:
        """Bytes of the cache lines touched when each axis goes through so many values."""
        count, row = 1, self.width
        for terms, inner in self.parts:
            reach = 1
            for axis, factor in terms:
                reach += factor * (extent[axis] - 1)
            if inner:
                row = reach * self.width
            else:
                count *= reach
        return count * (-(-row // LINE) * LINE)
