"""A schedule: how one kernel runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from myad.compile.kernels.index import Axis


@dataclass
class Schedule:
    """How a kernel runs.

    Fields: `vector` the axis along the lanes, if any, and `lanes`; `block` how many values of which
    parallel axes share a block of registers, whole vectors of the vector axis among them; `order`
    the loops around the sums, outermost first, each an axis and how many of its values one turn
    goes through: all parallel axes, tiles of them, and reduced axes whose sums are continued in
    memory; `shared` the place in `order` of the loop that threads may share; `reductions` the loops
    inside the sums; `unroll` reduced axes and how many of their values are written out; `chunks`
    vectors in one turn if the vector axis is reduced; `ways` partial sums per accumulator.
    """

    vector: Axis | None = None
    lanes: int = 1
    block: dict[Axis, int] = field(default_factory=dict)
    order: list[tuple[Axis, int]] = field(default_factory=list)
    shared: int | None = None
    reductions: list[Axis] = field(default_factory=list)
    unroll: dict[Axis, int] = field(default_factory=dict)
    chunks: int = 1
    ways: int = 1

    def __str__(self) -> str:
        parts = [f"vector {self.vector.name} x{self.lanes}" if self.vector else "scalar"]
        parts += [f"{n} of {axis!r}" for axis, n in self.block.items() if n > 1]
        parts += [f"{self.chunks} vectors"] * (self.chunks > 1)
        parts += [f"{n} of {axis!r} unrolled" for axis, n in self.unroll.items() if n > 1]
        around = [f"{axis!r}/{n}" if n > 1 else f"{axis!r}" for axis, n in self.order]
        return ", ".join(parts) + (f"; around {' '.join(around)}" if around else "")
