"""Loads and stores of a kernel being lowered: which are whole vectors, and which are not."""

from __future__ import annotations

from math import isfinite

from myad.compile.kernels.expr import Buffer, Const, Expr, Load
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel
from myad.compile.loops.loops import LoopBuilder, Value
from myad.compile.schedule.layout import Layout

Env = dict[Axis, Affine]


class Access:
    """Reads and writes elements at the current point of a nest.

    Fields: `env` what each axis of the kernel is here; `lane` the axis along the vector, if any;
    `valid` lanes of the current vector that are elements; `halves` stores of every second element
    that wait for their neighbours; `addresses` of loads, in axes of the kernel.
    """

    def __init__(
        self, kernel: Kernel, lanes: int, vector: Axis | None, layouts: dict[Buffer, Layout],
        build: LoopBuilder,
    ) -> None:  # fmt: skip
        self.kernel, self.layouts, self.build = kernel, layouts, build
        self.lanes = lanes
        self.lane = Axis("lane", lanes) if vector is not None else None
        self.env: Env = {}
        self.valid = lanes
        self.padded: list[int] = []  # up to where rows were written, zeros behind them included
        self.halves: list[tuple[Affine, Affine, int, Value]] = []
        self.addresses: dict[int, tuple[Load, Affine]] = {}  # by identity of the load, kept alive

    def keep(self, value: Value, width: int, other: float) -> Value:
        return self.build.keep(self.build.spread(value, self.lanes), width, other)

    def beyond(self, factors: tuple[Expr, ...], width: int) -> tuple[bool, bool]:
        """Which of two factors must be set to 0 in the lanes from `width` on.

        None where both are 0 already, in the padding of their rows, or one is and the other is a
        finite number; the product of 0 and whatever else lies in memory may be NaN.
        """
        zero = [self.zero_beyond(factor, width) for factor in factors]
        finite = [isinstance(f, Const) and isfinite(f.value) for f in factors]
        if not any(zero):
            return True, True
        left, right = (not z and not f for z, f in zip(zero, finite, strict=True))
        return left, right

    def zero_beyond(self, factor: Expr, width: int) -> bool:
        """Whether `factor` is read with its row's padding, which holds zeros."""
        if not isinstance(factor, Load):
            return False
        layout = self.layouts[factor.buffer]
        index = tuple(i.substitute(self.env) for i in factor.index)
        assert self.lane is not None
        if layout.inner is None or index[layout.inner].coefficient(self.lane) != 1:
            return False
        place = index[layout.inner]
        fixed = not set(place.terms) - {self.lane}
        ends = fixed and place.const + width == layout.row_size
        return ends and place.const + self.lanes <= layout.zero_to

    def load(self, expr: Load) -> Value:
        layout = self.layouts[expr.buffer]
        if expr.buffer.kind == "stream":
            return self.stream(expr, tuple([i.substitute(self.env) for i in expr.index]))
        if id(expr) not in self.addresses:
            self.addresses[id(expr)] = expr, layout.address(expr.index)
        address = self.addresses[id(expr)][1].substitute(self.env)
        stride = address.coefficient(self.lane) if self.lane is not None else 0
        if not stride:
            return self.build.load(layout.storage, address)
        assert self.lane is not None
        base, lanes = address.without(self.lane), self.lanes
        low, high = base.bounds()
        reach = high + (lanes if stride == 1 else lanes * stride) - 1
        low += min(0, stride * (lanes - 1))
        whole = reach < layout.size and low >= 0 and stride in (1, 2)
        valid = lanes if whole else min(self.valid, lanes)
        return self.build.load(layout.storage, base, lanes=lanes, stride=stride, valid=valid)

    def stream(self, expr: Load, index: tuple[Affine, ...]) -> Value:
        """A load from the caller's rows: `rows` says which row each example is."""
        layout = self.layouts[expr.buffer]
        rows = self.layouts[rows_of(self.layouts)]
        example, inner = index[0], layout.address((affine(0), *index[1:]))
        if self.lane is None or not example.coefficient(self.lane):
            row = self.build.load(rows.storage, example)
            stride = inner.coefficient(self.lane) if self.lane is not None else 0
            if not stride:
                return self.build.load(layout.storage, inner, row=row)
            assert self.lane is not None
            base = inner - self.lane * stride
            return self.build.load(
                layout.storage, base, lanes=self.lanes, stride=stride,
                valid=self.valid, row=row,
            )  # fmt: skip
        return self.gathered(expr, index)

    def gathered(self, expr: Load, index: tuple[Affine, ...]) -> Value:
        """One element per lane, each from its own row."""
        layout, rows = self.layouts[expr.buffer], self.layouts[rows_of(self.layouts)]
        assert self.lane is not None
        parts = []
        for lane in range(min(self.valid, self.lanes)):
            here = tuple(i.substitute({self.lane: affine(lane)}) for i in index)
            row = self.build.load(rows.storage, here[0])
            address = layout.address((affine(0), *here[1:]))
            parts.append(self.build.load(layout.storage, address, row=row))
        return self.build.value("pack", tuple(parts), expr.dtype, self.lanes)

    def store(self, env: Env, valid: int, value: Value, last: bool = True) -> None:
        """Write one point; every second element waits for its neighbour until the `last` point."""
        layout = self.layouts[self.kernel.output]
        index = tuple(i.substitute({**self.env, **env}) for i in self.kernel.index)
        address = layout.address(index)
        stride = address.coefficient(self.lane) if self.lane is not None else 0
        if self.lane is None or not stride:
            self.build.store(layout.storage, address, value)
            return
        value = self.build.spread(value, self.lanes)
        base = address - self.lane * stride
        start = index[layout.inner] - self.lane * stride if layout.inner is not None else base
        if stride == 2 and not self.kernel.accumulate:
            self.halves.append((base, start, valid, value))
        else:
            self.write(layout, base, start, valid, value, stride)
        if last:
            self.join_halves(layout)

    def join_halves(self, layout: Layout) -> None:
        """Vectors of every second element: neighbours are interleaved, others scattered."""
        while self.halves:
            base, start, valid, value = self.halves.pop(0)
            partner = next((h for h in self.halves if h[0] == base + 1 and h[2] == valid), None)
            if partner is None:
                self.build.store(layout.storage, base, value, stride=2, valid=valid)
                continue
            self.halves.remove(partner)
            both = self.build.value("interleave", (value, partner[3]), value.dtype, 2 * value.lanes)
            self.write(layout, base, start, 2 * valid, both, 1)

    def write(
        self, layout: Layout, base: Affine, start: Affine, valid: int, value: Value, stride: int
    ) -> None:
        """Store a vector; its row's padding, if it reaches into it, is filled with zeros."""
        lanes = value.lanes
        ends = not start.terms and start.const + valid == layout.row_size
        if stride == 1 and valid < lanes and ends and start.const + lanes <= layout.row_step:
            value = self.build.keep(value, valid, 0.0)
            valid = lanes
        if ends:
            self.padded.append(start.const + valid if stride == 1 else 0)
        self.build.store(layout.storage, base, value, stride=stride, valid=valid)


def rows_of(layouts: dict[Buffer, Layout]) -> Buffer:
    """The buffer of row numbers, which every program with streams has."""
    return next(buffer for buffer in layouts if buffer.kind == "stream_rows")
