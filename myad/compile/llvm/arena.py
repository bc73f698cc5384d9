"""The memory that compiled code works in: one arena per run at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from myad.compile.dtypes import BYTES, DTYPES
from myad.compile.kernels.expr import Buffer
from myad.compile.loops.plan import ALIGN, Plan, view
from myad.compile.schedule.layout import Layout
from myad.errors import BoundsError


class Arena:
    """Places of all buffers of a plan, in which one run at a time may work.

    Args:
        given: values of inputs that stay.
        poison: a byte with which everything is filled that the program must write before it reads
            it, when the arena is made and by `spoil`; for tests. By default memory is zero.
        within: bytes to work in, at least `plan.size`, whatever they hold; for tests, too.
    """

    def __init__(
        self, plan: Plan, given: Mapping[Buffer, np.ndarray] | None = None,
        poison: int | None = None, within: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.poison = plan, poison
        if within is None:
            raw = np.full(plan.size + ALIGN, poison or 0, np.uint8)
            skip = -raw.ctypes.data % ALIGN
            within = raw[skip:]
        self.bytes = within[: plan.size]
        self.address = self.bytes.ctypes.data
        reset(plan, self.memory)
        for buffer, value in (given or {}).items():
            self.write(buffer, value)

    def memory(self, layout: Layout) -> np.ndarray:
        """The flat memory of one buffer, as elements."""
        offset = self.plan.offsets[layout.storage]
        count = layout.size * BYTES[layout.buffer.dtype]
        return self.bytes[offset : offset + count].view(DTYPES[layout.buffer.dtype])

    def write(self, buffer: Buffer, array: np.ndarray) -> None:
        """Set the value of an input."""
        layout = self.plan.layouts[buffer]
        view(layout, self.memory(layout))[...] = array.reshape(buffer.shape)

    def read(self, buffer: Buffer) -> np.ndarray:
        """A copy of the value of an output or state."""
        layout = self.plan.layouts[buffer]
        return view(layout, self.memory(layout)).reshape(buffer.given).copy()

    def spoil(self) -> None:
        """Fill with `poison` what no run may rely on: all but inputs, state, constants, borders."""
        if self.poison is None:
            return
        kept = [self.memory(layout) for layout in lasting(self.plan)]
        before = [memory.copy() for memory in kept]
        self.bytes[...] = self.poison
        for memory, value in zip(kept, before, strict=True):
            memory[...] = value


def raise_fault(arena: Arena) -> None:
    """Raise BoundsError if a routine has noted an index out of bounds, and forget it."""
    if arena.plan.faults is None:
        return
    noted = arena.memory(arena.plan.layouts[arena.plan.faults])
    found, index, axis, size = noted[:4].tolist()
    noted[0] = 0
    if found:
        raise BoundsError(f"index {index} is out of bounds for axis {axis} with size {size}")


def lasting(plan: Plan) -> list[Layout]:
    """Layouts of what keeps its value from run to run; nothing shares their memory."""
    always = {*plan.inputs, *plan.constants}
    return [
        layout
        for buffer, layout in plan.layouts.items()
        if layout.storage in plan.offsets and (buffer in always or buffer.fill is not None)
    ]


def reset(plan: Plan, memory: Callable[[Layout], np.ndarray]) -> None:
    """Set padding to zero, and write the constants and the borders that no kernel writes."""
    for layout in lasting(plan):
        buffer = layout.buffer
        memory(layout)[...] = 0
        if buffer.fill:
            view(layout, memory(layout))[...] = buffer.fill
        if buffer in plan.constants:
            view(layout, memory(layout))[...] = plan.constants[buffer].reshape(buffer.shape)
