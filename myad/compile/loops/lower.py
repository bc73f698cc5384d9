"""Lowers a kernel to loop code under a schedule.

The nest is always: loops over blocks of outputs, and over parts of the sums if the schedule cuts
them; for each block, accumulators in registers; loops over the reduced axes with everything the
schedule unrolls inside; then epilogue and stores. What does not fill a whole step of a loop is a
nest of its own behind it, of the same blocks made smaller.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from myad.compile.dtypes import FLOATS, identity
from myad.compile.kernels.expr import Apply, AxisValue, Buffer, Choose, Const, Expr, Load, Sum
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel
from myad.compile.loops.access import Access, Env
from myad.compile.loops.loops import LoopBuilder, LoopCode, Value, check
from myad.compile.schedule.layout import Layout
from myad.compile.schedule.schedule import Schedule


def lower(kernel: Kernel, schedule: Schedule, layouts: dict[Buffer, Layout]) -> LoopCode:
    """The checked loop code of `kernel`."""
    return check(_Lowering(kernel, schedule, layouts).code())


class _Lowering(Access):
    """One kernel being lowered.

    Fields: `extent` how many values of each axis are left to go through here, from `env` on.
    """

    def __init__(self, kernel: Kernel, schedule: Schedule, layouts: dict[Buffer, Layout]) -> None:
        build = LoopBuilder(kernel.name, str(schedule))
        super().__init__(kernel, schedule.lanes, schedule.vector, layouts, build)
        self.schedule = schedule
        self.extent = {axis: axis.size for axis in kernel.axes}
        self.finished: Value | None = None
        self.memo: dict[int, Value] = {}  # values of the parts of an expression at one point
        self.plans: dict[int, tuple[Expr, list[Expr]]] = {}  # by identity of a kept expression

    def code(self) -> LoopCode:
        """The whole nest."""
        kernel = self.kernel
        self.build.code.slice = kernel.slice
        fresh = kernel.output.kind == "result" and kernel.output.fill is not None
        if kernel.accumulate or fresh:
            self.build.zero(self.layouts[kernel.output].storage)
        self.nest(0)
        if kernel.output.kind == "temporary" and kernel.output.fill is None:
            layout = self.layouts[kernel.output]
            layout.zero_to = layout.row_step if kernel.accumulate else min(self.padded, default=0)
        return self.build.code

    def nest(self, level: int) -> None:
        """The loops from `level` on: whole steps of an axis, then what is left of it."""
        if level == len(self.schedule.order):
            self.block()
            return
        axis, step = self.schedule.order[level]
        base, extent = self.env.get(axis, affine(0)), self.extent[axis]
        whole, rest = divmod(extent, step)
        shared = level == self.schedule.shared
        if shared:
            self.build.code.units = whole + (rest > 0)
        if whole > 1 or (whole and shared):
            var = axis if step == 1 and extent == axis.size else Axis(f"{axis.name}b", whole)
            with self.build.loop(var, unit=0 if shared else None):
                self.part(level, axis, base + affine(var) * step, step)
        elif whole:
            self.part(level, axis, base, step)
        if rest and shared:
            with self.build.loop(Axis(f"{axis.name}r", 1), unit=whole):
                self.part(level, axis, base + whole * step, rest)
        elif rest:
            self.part(level, axis, base + whole * step, rest)
        self.env[axis], self.extent[axis] = base, extent

    def part(self, level: int, axis: Axis, first: Affine, count: int) -> None:
        self.env[axis], self.extent[axis] = first, count
        self.nest(level + 1)

    def repeatable(self) -> bool:
        """Whether computing an element twice changes nothing."""
        kernel = self.kernel
        in_place = any(load.buffer is kernel.output for load in kernel.reads)
        return kernel.combine == "store" and not in_place

    def vectors(self, axis: Axis) -> list[tuple[Affine, int]]:
        """First element and valid lanes of each vector that is left of `axis` here."""
        lanes, base, extent = self.schedule.lanes, self.env.get(axis, affine(0)), self.extent[axis]
        starts = [(n, min(lanes, extent - n)) for n in range(0, extent, lanes)]
        if starts[-1][1] < lanes < axis.size and axis in self.kernel.parallel and self.repeatable():
            starts[-1] = (extent - lanes, lanes)  # the last overlaps: no lane is left over
        return [(base + start, valid) for start, valid in starts]

    def points(self) -> list[tuple[Env, int]]:
        """Environment and valid lanes of every accumulator of a block."""
        vector = self.schedule.vector
        axes = [axis for axis in self.schedule.block if axis is not vector]
        along = vector is not None and vector in self.kernel.parallel
        points = []
        for place in product(*(range(self.extent[axis]) for axis in axes)):
            env = {a: self.env.get(a, affine(0)) + n for a, n in zip(axes, place, strict=True)}
            if not along:
                points.append((env, 1))
                continue
            assert vector is not None
            assert self.lane is not None
            for first, valid in self.vectors(vector):
                points.append(({**env, vector: first + self.lane}, valid))
        return points

    def block(self) -> None:
        points = self.points()
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
        sums = self.reduce(self.schedule.reductions, sums, points)
        combined = []
        for n, (env, valid) in enumerate(points):
            total = sums[n * ways]
            for way in range(1, ways):
                total = self.build.apply(kernel.combine, total, sums[n * ways + way])
            total = self.build.across(kernel.combine, total) if inside else total
            combined.append(self.with_earlier(total, env, valid, start))
        return combined

    def with_earlier(self, total: Value, env: Env, valid: int, start: Value) -> Value:
        """`total` and what is in memory already, if this block is reached several times."""
        kernel, build = self.kernel, self.build
        outer = {axis for axis, _ in self.schedule.order if axis in kernel.reduced}
        place = affine(kernel.slice) if kernel.continued and kernel.slice is not None else affine(0)
        for axis in outer:
            place = place + self.env[axis]
        if not place.terms and not place.const:
            return total  # the first time
        before = self.at(env, valid, Load(kernel.output, kernel.index))
        if not place.const:
            first = build.apply("eq", build.index(place, 0, 1, "i32"), build.const(0, "i32"))
            before = build.apply("select", first, start, before)
        return build.apply(kernel.combine, before, total)

    def reduce(
        self, loops: list[Axis], sums: list[Value], points: list[tuple[Env, int]]
    ) -> list[Value]:
        """`sums` with everything added that the loops over the reduced axes go through."""
        if not loops:
            return self.turns(sums, points)
        axis = loops[0]
        base, extent = self.env.get(axis, affine(0)), self.extent[axis]
        whole, rest = divmod(extent, self.written(axis))
        step = self.written(axis)
        if whole > 1:
            var = axis if step == 1 and extent == axis.size else Axis(f"{axis.name}b", whole)
            with self.build.loop(var, sums) as loop:
                self.env[axis], self.extent[axis] = base + affine(var) * step, step
                loop.yields = self.reduce(loops[1:], loop.carried, points)
            sums = loop.yields
        elif whole:
            self.env[axis], self.extent[axis] = base, step
            sums = self.reduce(loops[1:], sums, points)
        if rest:
            self.env[axis], self.extent[axis] = base + whole * step, rest
            sums = self.reduce(loops[1:], sums, points)
        self.env[axis], self.extent[axis] = base, extent
        return sums

    def written(self, axis: Axis) -> int:
        """How many values of a reduced axis one turn of its loop goes through."""
        if axis is self.schedule.vector:
            return self.schedule.lanes * self.schedule.chunks
        return self.schedule.unroll.get(axis, 1)

    def turns(self, sums: list[Value], points: list[tuple[Env, int]]) -> list[Value]:
        """`sums` and one product each for every value that is written out."""
        sums, ways = list(sums), self.schedule.ways
        for turn, (inner, width) in enumerate(self.inner_points()):
            for n, (env, valid) in enumerate(points):
                place = n * ways + turn % ways
                saved, self.env = self.env, {**self.env, **env, **inner}
                self.valid, self.memo = width or valid, {}
                sums[place] = self.add(sums[place], width)
                self.env = saved
        return sums

    def inner_points(self) -> Iterator[tuple[Env, int | None]]:
        """What the reduced axes are at each turn, and the valid lanes if one lies along them."""
        vector = self.schedule.vector
        axes = [axis for axis in self.schedule.unroll if axis is not vector]
        for place in product(*(range(self.extent[axis]) for axis in axes)):
            env = {a: self.env.get(a, affine(0)) + n for a, n in zip(axes, place, strict=True)}
            if vector is None or vector not in self.kernel.reduced:
                yield env, None
                continue
            assert self.lane is not None
            for first, width in self.vectors(vector):
                yield {**env, vector: first + self.lane}, width

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
        memo = self.memo
        plan = self.plans.get(id(expr))
        if plan is None:  # the same order at each of the many points, but where a choice is made
            nodes = self.ordered(expr)
            if not any(isinstance(node, Choose) for node in nodes):
                self.plans[id(expr)] = expr, nodes
        else:
            nodes = plan[1]
        for node in nodes:
            if id(node) not in memo:
                memo[id(node)] = self.built(node)
        return memo[id(expr)]

    def ordered(self, expr: Expr) -> list[Expr]:
        """The parts of `expr` that are needed here, operands first, and itself."""
        seen: dict[int, Expr] = {}
        waiting = [expr]
        while waiting:
            node = waiting[-1]
            if id(node) not in seen:
                missing = [part for part in self.operands(node) if id(part) not in seen]
                if missing:
                    waiting.extend(reversed(missing))
                    continue
                seen[id(node)] = node
            waiting.pop()
        return list(seen.values())

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
