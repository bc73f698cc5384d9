"""Lowers a kernel to loop code under a schedule.

The nest is always: loops over blocks of outputs; for each block, accumulators in registers; loops
over the reduced axes with everything the schedule unrolls inside; then epilogue and stores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from myad.compile.dtypes import FLOATS, identity
from myad.compile.kernels.expr import Apply, AxisValue, Buffer, Choose, Const, Expr, Load, Sum
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel
from myad.compile.loops.access import Access, Env
from myad.compile.loops.loops import LoopBuilder, LoopCode, Value, check
from myad.compile.schedule.layout import Layout
from myad.compile.schedule.schedule import Schedule


@dataclass
class _Piece:
    """A part of the vector axis: `chunks` of (first element, valid lanes), repeated by `loop`."""

    chunks: list[tuple[Affine, int]]
    loop: Axis | None = None


def lower(kernel: Kernel, schedule: Schedule, layouts: dict[Buffer, Layout]) -> LoopCode:
    """The checked loop code of `kernel`."""
    return check(_Lowering(kernel, schedule, layouts).code())


class _Lowering(Access):
    def __init__(self, kernel: Kernel, schedule: Schedule, layouts: dict[Buffer, Layout]) -> None:
        build = LoopBuilder(kernel.name, str(schedule))
        super().__init__(kernel, schedule.lanes, schedule.vector, layouts, build)
        self.schedule = schedule
        self.finished: Value | None = None
        self.memo: dict[int, Value] = {}  # values of the parts of an expression at one point

    def code(self) -> LoopCode:
        """The whole nest."""
        kernel, vector = self.kernel, self.schedule.vector
        fresh = kernel.output.kind == "result" and kernel.output.fill is not None
        if kernel.accumulate or fresh:
            self.build.zero(self.layouts[kernel.output].storage)
        pieces = self.pieces() if vector in kernel.parallel else [_Piece([(affine(0), 1)])]
        for piece in pieces:
            loops = [*self.schedule.loops, *([piece.loop] if piece.loop else [])]
            self.nest(loops, piece)
        if kernel.output.kind == "temporary" and kernel.output.fill is None:
            layout = self.layouts[kernel.output]
            layout.zero_to = layout.row_step if kernel.accumulate else min(self.padded, default=0)
        return self.build.code

    def pieces(self) -> list[_Piece]:
        """The vector axis cut into runs of equal blocks and a rest."""
        axis, lanes, chunks = self.schedule.vector, self.schedule.lanes, self.schedule.chunks
        assert axis is not None
        count = -(-axis.size // lanes)
        parts = [(n * lanes, min(lanes, axis.size - n * lanes)) for n in range(count)]
        if count > 1 and self.repeatable():  # the last vector overlaps: no lane is left over
            parts[-1] = (axis.size - lanes, lanes)
        if count <= chunks:
            return [_Piece([(affine(first), valid) for first, valid in parts])]
        runs = (axis.size // lanes) // chunks
        pieces = []
        if runs > 1:
            loop = Axis(f"{axis.name}v", runs)
            step = lanes * chunks
            pieces.append(_Piece([(loop * step + lanes * n, lanes) for n in range(chunks)], loop))
        start = runs * chunks if runs > 1 else 0
        for first in range(start, count, chunks):
            rest = parts[first : first + chunks]
            pieces.append(_Piece([(affine(first), valid) for first, valid in rest]))
        return pieces

    def repeatable(self) -> bool:
        """Whether computing an element twice changes nothing."""
        kernel = self.kernel
        in_place = any(load.buffer is kernel.output for load in kernel.reads)
        return kernel.combine == "store" and not in_place

    def nest(self, loops: list[Axis], piece: _Piece) -> None:
        if not loops:
            self.block(piece)
            return
        axis, count = loops[0], self.schedule.block.get(loops[0], 1)
        if count == axis.size:
            self.nest(loops[1:], piece)
            return
        var = axis if count == 1 else Axis(f"{axis.name}b", axis.size // count)
        with self.build.loop(var):
            self.env[axis] = affine(var) * count
            self.nest(loops[1:], piece)
            del self.env[axis]

    def points(self, piece: _Piece) -> list[tuple[Env, int]]:
        """Environment and valid lanes of every accumulator of a block."""
        axes = list(self.schedule.block)
        points = []
        for place in product(*(range(self.schedule.block[axis]) for axis in axes)):
            env = {a: self.env.get(a, affine(0)) + n for a, n in zip(axes, place, strict=True)}
            for first, valid in piece.chunks:
                if self.schedule.vector in self.kernel.parallel:
                    assert self.schedule.vector is not None
                    assert self.lane is not None
                    env = {**env, self.schedule.vector: first + self.lane}
                points.append((env, valid))
        return points

    def block(self, piece: _Piece) -> None:
        points = self.points(piece)
        if self.kernel.accumulate:
            self.accumulate(points)
            return
        if self.kernel.combine == "store":
            values = [self.at(env, valid, self.kernel.body) for env, valid in points]
        else:
            values = self.reduction(points)
        for n, ((env, valid), value) in enumerate(zip(points, values, strict=True)):
            self.finished = value
            if self.kernel.epilogue is not None:
                value = self.at(env, valid, self.kernel.epilogue)
            self.store(env, valid, value, last=n == len(points) - 1)

    def at(self, env: Env, valid: int, expr: Expr) -> Value:
        saved, self.env, self.valid = self.env, {**self.env, **env}, valid
        self.memo = {}
        value = self.evaluate(expr)
        self.env = saved
        return value

    def reduction(self, points: list[tuple[Env, int]]) -> list[Value]:
        """The finished sums of a block, one per point."""
        kernel, ways = self.kernel, self.schedule.ways
        inside = self.schedule.vector is not None and self.schedule.vector in kernel.reduced
        across = self.schedule.vector in kernel.parallel or inside
        lanes = self.schedule.lanes if across else 1
        start = self.build.const(identity(kernel.combine, kernel.body.dtype), kernel.body.dtype)
        sums = [self.build.spread(start, lanes)] * (len(points) * ways)
        for piece in self.pieces() if inside else [_Piece([(affine(0), lanes)])]:
            loops = [*([piece.loop] if piece.loop else []), *self.schedule.reductions]
            sums = self.reduce(loops, sums, points, piece, inside)
        combined = []
        for n in range(len(points)):
            total = sums[n * ways]
            for way in range(1, ways):
                total = self.build.apply(kernel.combine, total, sums[n * ways + way])
            combined.append(self.build.across(kernel.combine, total) if inside else total)
        return combined

    def reduce(
        self, loops: list[Axis], sums: list[Value], points: list[tuple[Env, int]],
        piece: _Piece, inside: bool,
    ) -> list[Value]:  # fmt: skip
        if loops:
            count = self.schedule.unroll.get(loops[0], 1)
            var = loops[0] if count == 1 else Axis(f"{loops[0].name}b", loops[0].size // count)
            with self.build.loop(var, sums) as loop:
                self.env[loops[0]] = affine(var) * count
                loop.yields = self.reduce(loops[1:], loop.carried, points, piece, inside)
                del self.env[loops[0]]
            return loop.yields
        sums = list(sums)
        for turn, (inner, width) in enumerate(self.inner_points(piece, inside)):
            for n, (env, valid) in enumerate(points):
                place = n * self.schedule.ways + turn % self.schedule.ways
                saved, self.env = self.env, {**self.env, **env, **inner}
                self.valid, self.memo = width if inside else valid, {}
                sums[place] = self.add(sums[place], width if inside else None)
                self.env = saved
        return sums

    def inner_points(self, piece: _Piece, inside: bool) -> Iterator[tuple[Env, int]]:
        axes = self.schedule.unroll
        for place in product(*(range(self.schedule.unroll[axis]) for axis in axes)):
            env = {a: self.env.get(a, affine(0)) + n for a, n in zip(axes, place, strict=True)}
            for first, width in piece.chunks:
                if inside:
                    assert self.schedule.vector is not None
                    assert self.lane is not None
                    yield {**env, self.schedule.vector: first + self.lane}, width
                else:
                    yield env, width

    def add(self, total: Value, width: int | None) -> Value:
        """`total ⊕ body` here; lanes from `width` on, if it is given, count for nothing."""
        body, combine = self.kernel.body, self.kernel.combine
        partial = width is not None and width < self.schedule.lanes
        product_ = isinstance(body, Apply) and body.op == "mul" and body.dtype in FLOATS
        if combine == "add" and product_:
            assert isinstance(body, Apply)
            left, right = (self.evaluate(arg) for arg in body.args)
            if partial:
                assert width is not None
                keep_left, keep_right = self.beyond(body.args, width)
                left = self.keep(left, width, 0.0) if keep_left else left
                right = self.keep(right, width, 0.0) if keep_right else right
            return self.build.apply("fma", left, right, total)
        value = self.evaluate(body)
        if partial:
            assert width is not None
            value = self.keep(value, width, identity(combine, value.dtype))
        return self.build.apply(combine, total, value)

    def accumulate(self, points: list[tuple[Env, int]]) -> None:
        """Read, add and write back each point: windows that overlap."""

        def turn(loops: list[Axis]) -> None:
            if loops:
                with self.build.loop(loops[0]):
                    self.env[loops[0]] = affine(loops[0])
                    turn(loops[1:])
                    del self.env[loops[0]]
                return
            output = self.kernel.output
            for env, valid in points:
                value = self.at(env, valid, self.kernel.body)
                before = self.at(env, valid, Load(output, self.kernel.index))
                self.store(env, valid, self.build.apply("add", before, value))

        turn(self.schedule.reductions)

    def evaluate(self, expr: Expr) -> Value:
        """The value of `expr` at the current point."""
        memo, waiting = self.memo, [expr]
        while waiting:
            node = waiting[-1]
            if id(node) not in memo:
                missing = [part for part in self.operands(node) if id(part) not in memo]
                if missing:
                    waiting.extend(reversed(missing))
                    continue
                memo[id(node)] = self.built(node)
            waiting.pop()
        return memo[id(expr)]

    def operands(self, expr: Expr) -> tuple[Expr, ...]:
        """The parts of `expr` whose values it needs here."""
        if isinstance(expr, Choose):
            index = expr.index.substitute(self.env)
            return expr.options if index.terms else (expr.options[index.const],)
        return self.fused(expr) or expr.parts

    @staticmethod
    def fused(expr: Expr) -> tuple[Expr, ...]:
        """x, y, z if `expr` is the sum x·y + z of floats."""
        if isinstance(expr, Apply) and expr.op == "add" and expr.dtype in FLOATS:
            for product_, other in (expr.args, expr.args[::-1]):
                if isinstance(product_, Apply) and product_.op == "mul":
                    return (*product_.args, other)
        return ()

    def built(self, expr: Expr) -> Value:
        build = self.build
        if isinstance(expr, Const):
            return build.const(expr.value, expr.dtype)
        if isinstance(expr, Load):
            return self.load(expr)
        if isinstance(expr, Sum):
            assert self.finished is not None
            return self.finished
        if isinstance(expr, AxisValue):
            index = expr.index.substitute(self.env)
            step = index.coefficient(self.lane) if self.lane is not None else 0
            if self.lane is None or not step:
                return build.index(index, 0, 1, expr.dtype)
            return build.index(index - self.lane * step, step, self.schedule.lanes, expr.dtype)
        if isinstance(expr, Choose):
            return self.choice(expr)
        assert isinstance(expr, Apply)
        if fused := self.fused(expr):
            return build.apply("fma", *[self.memo[id(part)] for part in fused])
        return build.apply(expr.op, *[self.memo[id(a)] for a in expr.args], dtype=expr.dtype)

    def choice(self, expr: Choose) -> Value:
        index = expr.index.substitute(self.env)
        if not index.terms:
            return self.memo[id(expr.options[index.const])]
        number = self.built(AxisValue(expr.index))  # not by `evaluate`: nobody keeps this node
        value = self.memo[id(expr.options[0])]
        for n, option in enumerate(expr.options[1:], start=1):
            here = self.build.apply("eq", number, self.build.const(n, "i32"))
            value = self.build.apply("select", here, self.memo[id(option)], value)
        return value
