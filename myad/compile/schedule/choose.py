"""How each kernel runs, chosen from its shapes, the layouts and the machine.

All decisions are made in this room; `lower.py` only carries them out.
"""

from __future__ import annotations

from math import prod

from myad.compile.kernels.expr import Buffer
from myad.compile.kernels.kernel import Kernel
from myad.compile.schedule.layout import Layout, Machine
from myad.compile.schedule.order import by_layout, set_order
from myad.compile.schedule.registers import LONG_ROW, inner_chunks, register_block, unrolled
from myad.compile.schedule.schedule import Schedule
from myad.compile.schedule.search import cheapest, kernel_dtype
from myad.compile.schedule.share import set_shared


def choose(kernel: Kernel, layouts: dict[Buffer, Layout], machine: Machine) -> Schedule:
    """The schedule of `kernel` for these layouts."""
    cost, vector = cheapest(kernel, layouts, machine)
    lanes = machine.lanes_for(vector.size, kernel_dtype(kernel)) if vector else 1
    schedule = Schedule(vector, lanes)
    vectors = -(-vector.size // lanes) if vector else 1
    parallel = [a for a in kernel.parallel if a is not vector]
    reduced = [a for a in kernel.reduced if a is not vector]
    inside = vector is not None and vector in kernel.reduced
    if kernel.accumulate:
        schedule.reductions = reduced
        if vector is not None and not inside:
            schedule.block = {vector: lanes * min(vectors, LONG_ROW)}
        set_order(kernel, schedule, layouts, machine)
        return schedule  # zeros come first, and all of them: one thread's
    along = 1 if inside else vectors
    block, chunks = register_block(kernel, parallel, along, vector, layouts, machine)
    schedule.block = block
    sums = prod(block.values()) * chunks
    if inside:
        schedule.chunks = inner_chunks(vectors, sums)
    turns = schedule.chunks if inside else 1
    reduced = by_layout(kernel, reduced, layouts)
    whole = dict(block) if inside or vector is None else {**block, vector: chunks}
    schedule.unroll = unrolled(kernel, reduced, sums * turns, whole, vector, machine)
    schedule.reductions = [a for a in reduced if schedule.unroll.get(a, 1) < a.size]
    turns *= prod(schedule.unroll.values())
    if reduced or inside:
        schedule.ways = max(1, min(turns, 8 // sums, 4))
    if inside and vector is not None:
        schedule.reductions.insert(0, vector)
    elif vector is not None:
        schedule.block = {**block, vector: lanes * chunks}
    set_order(kernel, schedule, layouts, machine)
    set_shared(kernel, schedule, cost)
    return schedule
