"""Where the elements of a buffer lie in memory.

A layout is an order of the dimensions, the last of which is contiguous; its rows are padded to
whole vectors, and by one vector more where their length would make them collide in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from myad.compile.dtypes import BYTES
from myad.compile.kernels.expr import Buffer
from myad.compile.kernels.index import Affine, Axis

# Rows whose length is a multiple of so many bytes fall into few sets of the first-level cache and
# push one another out; a vector more between them, and a matrix product of 1024 runs at 141 instead
# of 56 GFLOP/s.
CONFLICT = 1024


@dataclass(frozen=True)
class Machine:
    """What the schedule asks of the host: bytes of a vector, number of vector registers, bytes of
    the first-level data cache and of the second-level cache of one core."""

    vector_bytes: int = 32
    registers: int = 16
    level1: int = 32 << 10
    level2: int = 512 << 10

    def lanes(self, dtype: str) -> int:
        """Numbers of `dtype` in the widest vector."""
        return max(1, self.vector_bytes // max(4, BYTES[dtype]))

    def lanes_for(self, size: int, dtype: str) -> int:
        """Lanes of the vectors along an axis of `size`: no wider than it needs."""
        return min(self.lanes(dtype), 1 << max(0, size - 1).bit_length())


@dataclass(eq=False)
class Storage:
    """Memory of one buffer: `size` elements of `dtype`, slack for whole vectors included.

    `kind` "stream" is the caller's own memory: rows of `row` elements, as many as the caller has,
    the row chosen at run time by a checked row number, and no slack behind the last one; `kind`
    "argument" and "result" are whole arrays of the caller's, as NumPy lays them out.
    """

    name: str
    dtype: str
    size: int
    kind: str = "temporary"
    row: int = 0


CALLERS = ("stream", "argument", "result")  # kinds of buffers that lie in the caller's memory


class Layout:
    """The address of every element of one buffer.

    Fields: `order` dimensions from slowest to fastest; `size` elements of storage, with slack
    behind the last for vectors that run over the end of a row; `row_size` elements of a row and
    `row_step` with its padding; `zero_to` up to where behind its elements a row holds zeros: what
    lasts from run to run is zero there from the start, of others the kernel that writes them tells.
    """

    def __init__(self, buffer: Buffer, machine: Machine, order: tuple[int, ...]) -> None:
        # A dimension of size 1 has no step of its own: the fastest is the last of the others.
        order = tuple(sorted(order, key=lambda dim: buffer.shape[dim] > 1))
        self.buffer, self.order = buffer, order
        self.row_size = self.row_step = 1
        self.strides = [0] * len(buffer.shape)
        step = 1
        for place, dim in enumerate(reversed(order)):
            self.strides[dim] = step
            extent = buffer.shape[dim]
            if place == 0 and buffer.kind not in CALLERS:
                self.row_size = extent
                lanes = machine.lanes_for(self.row_size, buffer.dtype)
                self.row_step = -(-self.row_size // lanes) * lanes
                row_bytes = self.row_step * BYTES[buffer.dtype]
                if row_bytes % CONFLICT == 0 and buffer.size > extent:
                    self.row_step += lanes
                extent = self.row_step
            step *= extent
        lasts = buffer.kind in ("state", "input") or buffer.fill is not None
        self.zero_to = self.row_step if lasts else 0
        slack = 2 * machine.lanes(buffer.dtype) if step > 1 and buffer.kind not in CALLERS else 0
        self.size = step + slack
        row = step // buffer.shape[0] if buffer.kind == "stream" and buffer.shape else 0
        self.storage = Storage(buffer.name, buffer.dtype, self.size, buffer.kind, row)

    @property
    def inner(self) -> int | None:
        """The contiguous dimension; None for a scalar."""
        return self.order[-1] if self.order else None

    def address(self, index: tuple[Affine, ...]) -> Affine:
        """The address of an element, in elements from the start of the storage."""
        terms: dict[Axis, int] = {}
        const = 0
        for part, step in zip(index, self.strides, strict=True):
            const += part.const * step
            for axis, factor in part.terms.items():
                terms[axis] = terms.get(axis, 0) + factor * step
        return Affine.of({axis: factor for axis, factor in terms.items() if factor}, const)

    def step(self, index: tuple[Affine, ...], axis: Axis) -> int:
        """How far the address moves, in elements, when `axis` grows by 1."""
        return sum(part.coefficient(axis) * step
                   for part, step in zip(index, self.strides, strict=True))  # fmt: skip

    def __repr__(self) -> str:
        return f"{self.buffer!r} order {self.order}"
