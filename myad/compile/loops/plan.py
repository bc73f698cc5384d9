"""A plan: everything about a compiled program but its machine code, and its places in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from myad.compile.dtypes import BYTES
from myad.compile.kernels.expr import Buffer
from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel
from myad.compile.kernels.routine import Routine
from myad.compile.loops.loops import LoopCode
from myad.compile.places import ALIGN, Place, Places
from myad.compile.program.program import Program
from myad.compile.schedule.layout import CALLERS, Layout, Storage

OUTSIDE = (*CALLERS, "stream_rows")  # kinds of storages that are not in the arena


@dataclass
class Plan:
    """Everything about a compiled program but its machine code.

    Fields: `program` after simplification; `kernels` in the order they run; `layouts` by buffer;
    `codes` loop code by kernel; `offsets` bytes from the start of the arena by storage; `size`
    bytes of the arena; `inputs`, `outputs` buffers by position; `streams` the inputs that stay
    the caller's, by row; `constants` their values; `faults` where routines note an index out of
    bounds (1 if there is one, index, axis, length), None if none can.
    """

    program: Program
    kernels: list[Kernel]
    layouts: dict[Buffer, Layout]
    codes: list[LoopCode]
    inputs: list[Buffer]
    outputs: list[Buffer]
    streams: list[Buffer]
    constants: dict[Buffer, np.ndarray]
    offsets: dict[Storage, int] = field(default_factory=dict)
    size: int = 0
    faults: Buffer | None = None

    @property
    def arrays(self) -> list[Buffer]:
        """Arguments and results: whole arrays in the caller's memory."""
        ours = dict.fromkeys([*self.inputs, *self.outputs])
        return [buffer for buffer in ours if buffer.kind in ("argument", "result")]

    @property
    def loops(self) -> str:
        """The loop code of all kernels as text."""
        return "\n\n".join(f"# {kernel}\n{code}" for kernel, code in
                           zip(self.kernels, self.codes, strict=True))  # fmt: skip

    @property
    def memory(self) -> str:
        """The planned memory as text: offset, bytes, kind and layout of every buffer."""
        lines = [f"arena of {self.size} bytes"]
        for buffer, layout in self.layouts.items():
            if layout.storage in self.offsets:
                count = layout.size * BYTES[buffer.dtype]
                offset = self.offsets[layout.storage]
                lines.append(f"{offset:>9} {count:>9}  {buffer.kind:<9} {layout!r}")
        return "\n".join(lines)


def place(result: Plan) -> None:
    """Give every storage its place; temporaries whose lifetimes do not meet share memory."""
    last: dict[Buffer, int] = {}
    first: dict[Buffer, int] = {}
    for time, kernel in enumerate(result.kernels):
        for buffer in {kernel.output, *(load.buffer for load in kernel.reads)}:
            first.setdefault(buffer, time)
            last[buffer] = time
    _through_groups(result.kernels, first, last)
    kept = {*result.inputs, *result.outputs, *result.constants}
    kept |= {buffer for buffer in result.layouts if buffer.kind in ("arena", "faults")}
    placed = _Placed(len(result.layouts))
    forever = len(result.kernels)
    sized = sorted(
        (b for b, layout in result.layouts.items() if layout.storage.kind not in OUTSIDE),
        key=lambda b: -result.layouts[b].size,
    )
    for buffer in sized:
        layout = result.layouts[buffer]
        # What no kernel writes (a border of zeros, padding) is set once and must stay.
        shared = buffer not in kept and buffer.fill is None
        span = (first.get(buffer, 0), last.get(buffer, forever)) if shared else (0, forever)
        count = -(-layout.size * BYTES[buffer.dtype] // ALIGN) * ALIGN
        offset = placed.lowest(count, span)
        result.offsets[layout.storage] = offset
        placed.add(offset, count, span)
        result.size = max(result.size, offset + count)


def groups(slices: Sequence[Axis | None]) -> Iterator[tuple[range, int]]:
    """Runs of kernels, by the axis over slices of each, and how often each run is repeated."""
    start = 0
    for end in range(1, len(slices) + 1):
        if end == len(slices) or slices[end] is not slices[start]:
            axis = slices[start]
            yield range(start, end), 1 if axis is None else axis.size
            start = end


def _through_groups(
    kernels: Sequence[Kernel], first: dict[Buffer, int], last: dict[Buffer, int]
) -> None:
    """What is there from slice to slice lives as long as the whole group that touches it."""
    for run, count in groups([kernel.slice for kernel in kernels]):
        if count == 1:
            continue
        inside = {b for n in run for b in kernels[n].times_read.keys() | {kernels[n].output}}
        sums = {kernels[n].output for n in run if kernels[n].continued}
        for buffer in inside:
            if buffer in sums or first[buffer] < run.start or last[buffer] >= run.stop:
                first[buffer] = min(first[buffer], run.start)
                last[buffer] = max(last[buffer], run.stop - 1)


class _Placed:
    """What lies where and when. Each search is a few passes of NumPy over all that is placed, so
    that thousands of buffers take hundredths of a second."""

    def __init__(self, capacity: int) -> None:
        self.rows = np.zeros((4, capacity), np.int64)  # offset, end, first and last kernel
        self.count = 0

    def lowest(self, count: int, span: tuple[int, int]) -> int:
        """The lowest offset with `count` bytes that nobody else uses during `span`."""
        low, high, first, last = self.rows[:, : self.count]
        meets = (first <= span[1]) & (last >= span[0])
        low, high = low[meets], high[meets]
        order = np.argsort(low, kind="stable")
        low, high = low[order], np.maximum.accumulate(high[order])
        free = np.concatenate([[0], high])  # behind everything that starts before
        fits = np.flatnonzero(free[:-1] + count <= low)
        return int(free[fits[0]] if len(fits) else free[-1])

    def add(self, offset: int, count: int, span: tuple[int, int]) -> None:
        self.rows[:, self.count] = offset, offset + count, *span
        self.count += 1


def places_of(plan: Plan, collect: int | None = None) -> Places:
    """What running `plan` has to know; `collect` is the number of the output that is kept."""
    made = place_by_buffer(plan)
    return Places(
        plan.size, [made[b] for b in plan.inputs], [made[b] for b in plan.outputs],
        [made[b] for b in plan.arrays], list(_lasting(plan, made)), len(plan.streams), collect,
        max([1, *(code.units for code in plan.codes)]), made[plan.faults] if plan.faults else None,
    )  # fmt: skip


def _lasting(
    plan: Plan, made: dict[Buffer, Place]
) -> Iterator[tuple[Place, np.ndarray | float | None]]:
    """What keeps its value from run to run, in the arenas of bodies too."""
    lasts = {*plan.inputs, *plan.constants}
    for buffer, place in made.items():
        always = buffer in lasts or buffer.kind == "faults" or buffer.fill is not None
        if place.offset is not None and always:
            yield place, plan.constants.get(buffer, buffer.fill or None)
    for kernel in plan.kernels:
        for inner, arena in kernel.parts if isinstance(kernel, Routine) else ():
            start = made[arena].offset
            assert start is not None
            yield from _lasting(inner, place_by_buffer(inner, start))


def place_by_buffer(plan: Plan, start: int = 0) -> dict[Buffer, Place]:
    """The place of every buffer, if the arena begins `start` bytes into a larger one."""
    offsets = {storage: start + offset for storage, offset in plan.offsets.items()}
    return {
        buffer: Place(
            buffer.dtype, buffer.given, buffer.shape, tuple(layout.strides), layout.size,
            offsets.get(layout.storage), buffer.kind == "argument",
        )
        for buffer, layout in plan.layouts.items()
    }  # fmt: skip
