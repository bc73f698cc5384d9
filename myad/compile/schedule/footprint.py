"""What an access touches, in cache lines and in pages, as a function of how far each axis goes."""

from __future__ import annotations

from myad.compile.dtypes import BYTES
from myad.compile.kernels.cost import LINE
from myad.compile.kernels.expr import Buffer, Load
from myad.compile.kernels.index import Axis
from myad.compile.schedule.layout import Layout

PAGE = 4096  # bytes that one entry of the address cache reaches
USABLE = 0.75  # of a cache: the rest is for what streams through, and for conflicts
NEAR = 1 / 100  # cycles for a byte from the second-level cache, of which most are hidden


class Operand:
    """The shape of one access: the axes it moves with, and how each dimension moves."""

    def __init__(self, load: Load, layouts: dict[Buffer, Layout]) -> None:
        layout = layouts[load.buffer]
        self.axes = {axis for part in load.index for axis in part.terms}
        self.width = BYTES[load.buffer.dtype]
        self.parts = [
            ([(axis, abs(factor)) for axis, factor in part.terms.items()],
             dim == layout.inner, layout.strides[dim] * self.width)
            for dim, part in enumerate(load.index)
        ]  # fmt: skip

    def touched(self, extent: dict[Axis, int]) -> tuple[float, float]:
        """Bytes of the cache lines, and pages, when each axis goes through so many values."""
        count, row, pages, span = 1, self.width, 1, self.width
        for terms, inner, step in self.parts:
            reach = 1
            for axis, factor in terms:
                reach += factor * (extent.get(axis, 1) - 1)  # a slice stays where it is
            if inner:
                row = reach * self.width
            else:
                count *= reach
            if step >= PAGE:
                pages *= reach
            else:
                span += (reach - 1) * step
        return count * (-(-row // LINE) * LINE), pages * -(-span // PAGE)

    def bytes(self, extent: dict[Axis, int]) -> float:
        """Bytes of the cache lines touched."""
        return self.touched(extent)[0]

    def step(self, axis: Axis) -> int:
        """Bytes from one value of `axis` to the next."""
        return sum(factor * step for terms, _, step in self.parts
                   for other, factor in terms if other is axis)  # fmt: skip
