"""A plan: everything about a compiled program but its machine code, and its places in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from myad.compile.dtypes import BYTES, DTYPES
from myad.compile.kernels.expr import Buffer
from myad.compile.kernels.kernel import Kernel
from myad.compile.loops.loops import LoopCode
from myad.compile.program.program import Program
from myad.compile.schedule.layout import Layout, Storage

ALIGN = 64  # bytes: a cache line, and the widest vector


@dataclass
class Plan:
    """Everything about a compiled program but its machine code.

    Fields: `program` after simplification; `kernels` in the order they run; `layouts` by buffer;
    `codes` loop code by kernel; `offsets` bytes from the start of the arena by storage; `size`
    bytes of the arena; `inputs`, `outputs` buffers by position; `streams` the inputs that stay
    the caller's; `constants` their values;
    `faults` where routines note an index out of bounds (1 if there is one, index, axis, length).
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
    kept = {*result.inputs, *result.outputs, *result.constants}
    placed = _Placed(len(result.layouts))
    forever = len(result.kernels)
    sized = sorted(
        (b for b in result.layouts if not b.kind.startswith("stream")),
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


def view(layout: Layout, memory: np.ndarray) -> np.ndarray:
    """A writable window on the elements of a buffer in its flat memory."""
    width = BYTES[layout.buffer.dtype]
    strides = tuple(step * width for step in layout.strides)
    return np.ndarray(layout.buffer.shape, DTYPES[layout.buffer.dtype], memory, strides=strides)
