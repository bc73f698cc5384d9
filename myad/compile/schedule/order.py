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

from myad.compile.kernels.expr import Buffer, Load, loads
from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel
from myad.compile.schedule.footprint import NEAR, USABLE, Operand
from myad.compile.schedule.layout import Layout, Machine
from myad.compile.schedule.schedule import Schedule

Order = list[tuple[Axis, int]]
Level = tuple[Axis | None, int, dict[Axis, int]]

FAR = 1 / 10  # cycles for a byte from behind the second-level cache
PAGES, PAGE_NEAR = 64, 3.0  # pages whose addresses are at hand, and cycles for one that is not
MORE_PAGES, PAGE_FAR = 1500, 20.0  # the same one level further
SUM_COST = 1.0  # cycles to read, add and write one vector of sums in memory
ENTRY_COST = 12.0  # cycles to enter and leave the loops inside the sums
LONG_SUM = 64  # turns inside the sums that make these cheap
TILES = (4, 8, 16, 64)  # blocks in a tile of a parallel axis
WIDTH = 3  # orders of the parallel loops that are looked at with tiles and cut sums


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
    if model.fits(model.whole, USABLE * machine.level1):
        return
    orders = sorted(_permuted(schedule.order), key=model.cost)
    wide = [order for plain in orders[:WIDTH] for order in _cut(plain, kernel, schedule)]
    schedule.order = min(orders[:1] + wide, key=model.cost)


def _permuted(parallel: Order) -> Iterator[Order]:
    """The parallel loops in every order; of many, the outer ones stay where they are."""
    fixed = parallel[:-4] if len(parallel) > 4 else []
    for some in permutations(parallel[len(fixed) :]):
        yield [*fixed, *some]


def _cut(plain: Order, kernel: Kernel, schedule: Schedule) -> Iterator[Order]:
    """`plain` with one axis in tiles, with sums cut into parts, and with both."""
    tiles: list[Order] = [[]]
    for axis, step in plain:
        tiles += [[(axis, n * step)] for n in TILES if 2 * n * step <= axis.size]
    for outer in _outer_sums(kernel, schedule):
        yield from ([*tile, *outer, *plain] for tile in tiles)


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
        self.operands = [Operand(load, layouts) for load in (*reads, self.output)]

    def fits(self, extent: dict[Axis, int], room: float) -> bool:
        """Whether what is touched when each axis goes through so many values is `room` bytes."""
        return sum(operand.bytes(extent) for operand in self.operands) <= room

    def cost(self, order: Order) -> float:
        """Cycles of moving data, of continued sums and of entering the innermost loops."""
        outer = any(axis in self.kernel.reduced for axis, _ in order)
        levels = [(None, 1, self.whole), *self.levels(order)]
        touched = [[operand.touched(extent) for operand in self.operands] for *_, extent in levels]
        total = 0.0
        for part, room, price in (
            (0, USABLE * self.machine.level1, NEAR), (0, USABLE * self.machine.level2, FAR),
            (1, PAGES, PAGE_NEAR), (1, MORE_PAGES, PAGE_FAR),
        ):  # fmt: skip
            total += price * self.moved(levels, [[t[part] for t in each] for each in touched], room)
        entries = prod(trips for _, trips, _ in levels)
        sums = prod(-(-n // self.schedule.lanes) if axis is self.schedule.vector else n
                    for axis, n in self.steps.items())  # fmt: skip
        return total + entries * (ENTRY_COST + (2 * SUM_COST * sums if outer else 0.0))

    def levels(self, order: Order) -> list[Level]:
        """Outermost first: the axis of each loop, its trips, and what one turn goes through."""
        extent = dict(self.whole)
        levels: list[Level] = []
        for axis, step in order:
            trips = -(-extent[axis] // step)
            extent[axis] = min(step, extent[axis])
            levels.append((axis, trips, dict(extent)))
        return levels

    def moved(self, levels: list[Level], touched: list[list[float]], room: float) -> float:
        """How much has to come from behind a cache that holds `room`, of all operands.

        `touched` by level and operand: how much of it one turn at this level needs.
        """
        depth = next((n for n, each in enumerate(touched) if sum(each) <= room), len(levels) - 1)
        total = 0.0
        for operand, amount in zip(self.operands, touched[depth], strict=True):
            times, moves = 1, False
            for axis, trips, _ in reversed(levels[1 : depth + 1]):
                moves = moves or axis in operand.axes
                times *= trips if moves else 1
            total += amount * times
        return total
