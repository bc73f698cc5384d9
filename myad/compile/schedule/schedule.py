"""A schedule: how one kernel runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from myad.compile.kernels.index import Axis


@dataclass
class Schedule:
    """How a kernel runs.

    Fields: `vector` the axis along the lanes, if any, and `lanes`; `chunks` vectors of that axis
    in one block; `block` parallel axes and how many of their values share a block of registers;
    `unroll` reduced axes and how many of their values are written out; `loops` the parallel axes,
    outermost first; `reductions` the reduced ones not wholly written out; `ways` partial sums per
    accumulator.
    """

    vector: Axis | None = None
    lanes: int = 1
    chunks: int = 1
    block: dict[Axis, int] = field(default_factory=dict)
    unroll: dict[Axis, int] = field(default_factory=dict)
    loops: list[Axis] = field(default_factory=list)
    reductions: list[Axis] = field(default_factory=list)
    ways: int = 1

    def __str__(self) -> str:
        parts = [f"vector {self.vector.name} x{self.lanes}" if self.vector else "scalar"]
        if self.chunks > 1:
            parts.append(f"{self.chunks} vectors")
        parts += [f"{n} of {axis!r}" for axis, n in self.block.items()]
        if self.unroll:
            parts += [f"{n} of {axis!r} unrolled" for axis, n in self.unroll.items()]
        return ", ".join(parts)
