"""The memory that compiled code works in: one arena per run at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from myad.compile.dtypes import BYTES, DTYPES
from myad.compile.kernels.expr import Buffer
from myad.compile.loops.plan import ALIGN, Plan, view
from myad.compile.schedule.layout import CALLERS, Layout


class Arena:
    """Places of all buffers of a plan, in which one run at a time may work.

    Args:
        given: values of inputs that stay.
        poison: a byte with which everything is filled that the program must write before it reads
            it, when the arena is made and by `spoil`; for tests. By default memory is zero.
        room: makes the memory, size in bytes -> array of bytes, whatever they hold; for tests, too.
    """

    def __init__(
        self, plan: Plan, given: Mapping[Buffer, np.ndarray] | None = None,
        poison: int | None = None, room: Callable[[int], np.ndarray] | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.poison = plan, poison
        self._room = room or _zeros
        self.bytes = self._room(plan.size)
        if poison is not None:
            self.bytes[...] = poison
        self.address = self.bytes.ctypes.data
        self._arrays: dict[Buffer, np.ndarray] = {}
        reset(plan, self.memory)
        for buffer, value in (given or {}).items():
            self.write(buffer, value)

    def memory(self, layout: Layout) -> np.ndarray:
        """The flat memory of one buffer, as elements; of the caller's arrays, a stand-in."""
        buffer, dtype = layout.buffer, DTYPES[layout.buffer.dtype]
        count = layout.size * BYTES[buffer.dtype]
        if layout.storage.kind in CALLERS:
            if buffer not in self._arrays:
                self._arrays[buffer] = self._room(count).view(dtype)
            return self._arrays[buffer]
        offset = self.plan.offsets[layout.storage]
        return self.bytes[offset : offset + count].view(dtype)

    def write(self, buffer: Buffer, array: np.ndarray) -> None:
        """Set the value of an input."""
        layout = self.plan.layouts[buffer]
        view(layout, self.memory(layout))[...] = array.reshape(buffer.shape)

    def read(self, buffer: Buffer) -> np.ndarray:
        """A copy of the value of an output or state."""
        layout = self.plan.layouts[buffer]
        return view(layout, self.memory(layout)).reshape(buffer.given).copy()

    @cached_property
    def addresses(self) -> list[int]:
        """Where the stand-ins for `plan.arrays` lie."""
        return [self.memory(self.plan.layouts[b]).ctypes.data for b in self.plan.arrays]

    def spoil(self) -> None:
        """Fill with `poison` what no run may rely on: all but inputs, state, constants, borders."""
        if self.poison is None:
            return
        kept = [self.memory(layout) for layout in lasting(self.plan)]
        before = [memory.copy() for memory in kept]
        self.bytes[...] = self.poison
        for memory, value in zip(kept, before, strict=True):
            memory[...] = value


def _zeros(size: int) -> np.ndarray:
    """`size` bytes of zeros that begin at a multiple of `ALIGN`."""
    raw = np.zeros(size + ALIGN, np.uint8)
    skip = -raw.ctypes.data % ALIGN
    return raw[skip : skip + size]


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
