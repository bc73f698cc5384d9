"""Loops and branches as native loops and branches around the kernels of what is inside.

Each body is a plan of its own with an arena of its own, a buffer of the program around it. Before a
turn its inputs are copied in, after it its results out; the carry stays where it is, the body
writing the new one over the old.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from myad.compile.kernels.expr import Buffer
from myad.compile.llvm.calls import call
from myad.compile.llvm.writer import Writer
from myad.compile.loops.plan import Plan
from myad.compile.loops.routine import RoutineCode
from myad.compile.schedule.layout import Layout


def nest_text(code: RoutineCode, w: Writer) -> str:
    """The loop or branch in `w`; returns the functions of its bodies."""
    return _Nest(code, w).text()


class _Nest:
    def __init__(self, code: RoutineCode, w: Writer) -> None:
        self.code, self.w = code, w
        self.routine, self.nest = code.routine, code.routine.static["nest"]
        self.plans: list[Plan] = [plan for plan, _ in self.routine.parts]
        first = len(self.routine.inputs)
        self.faults = "null"
        if self.routine.faults is not None:
            self.faults, first = f"%b{first}", first + 1
        self.arenas = [f"%b{first + n}" for n in range(len(self.plans))]
        self.target = f"%b{len(code.layouts) - 1}"
        self.floating = self.routine.op.name == "nested"

    def text(self) -> str:
        kind = type(self.nest).__name__
        {"Scan": self.scan, "While": self.while_, "Branch": self.branch}[kind]()
        return "".join([self.body(n, plan) for n, plan in enumerate(self.plans)])

    def body(self, number: int, plan: Plan) -> str:
        """A function of its arena and of the place for faults that runs the kernels of `plan`
        once: whoever runs the loop runs all that threads could share."""
        names = {} if plan.faults is None else {plan.layouts[plan.faults].storage: "%faults"}
        lines = [f"define internal void @{self.code.name}.{number}(ptr %arena, ptr %faults) #0 {{",
                 "entry:"]  # fmt: skip
        for place, code in enumerate(plan.codes):
            lines += call(plan, place, names, ["i64 0", f"i64 {code.units}"] if code.units else ())
        return "\n".join([*lines, " ret void", "}", ""])

    def run(self, number: int) -> None:
        operands = f"ptr {self.arenas[number]}, ptr {self.faults}"
        self.w.do(f"call void @{self.code.name}.{number}({operands})")

    def inside(self, number: int, buffer: Buffer) -> tuple[str, Layout]:
        """A pointer to a buffer of a body, and its layout."""
        plan = self.plans[number]
        layout = plan.layouts[buffer]
        offset = plan.offsets[layout.storage]
        arena = self.arenas[number]
        return self.w.emit(f"getelementptr i8, ptr {arena}, i64 {offset}"), layout

    def take(self, number: int, place: int, source: int, row: str | None = None) -> None:
        """Copy input `source` of the routine (its row `row`) to input `place` of a body."""
        buffer = self.plans[number].inputs[place]
        if not buffer.size or buffer not in self.plans[number].layouts:
            return
        target, layout = self.inside(number, buffer)
        outer = self.code.layouts[source]
        start = self.w.at("0", [row], outer.strides[:1]) if row is not None else "0"
        steps = outer.strides if row is None else outer.strides[1:]
        self.w.copy(buffer.dtype, f"%b{source}", start, _finer(steps, buffer), buffer.dtype, target,
                    "0", layout.strides, buffer.shape)  # fmt: skip

    def give(self, number: int, buffer: Buffer, start: str) -> None:
        """Copy a buffer of a body to the result, from `start` on, one element behind the other."""
        if not buffer.size:
            return
        source, layout = self.inside(number, buffer)
        steps = _steps(buffer.shape)
        self.w.copy(buffer.dtype, source, "0", layout.strides, self.routine.output.dtype,
                    self.target, start, steps, buffer.shape)  # fmt: skip

    def wanted(self, result: int) -> bool:
        """Whether result number `result` belongs into this routine's output."""
        return (self.nest.results.specs[result].dtype.kind == "f") == self.floating

    def start(self, result: int) -> int:
        return int(self.nest.results.starts[result])

    def scan(self) -> None:
        nest, plan = self.nest, self.plans[0]
        for n in range(nest.carried):
            self.take(0, n, n)
        for n in range(nest.carried + nest.moved, len(plan.inputs)):
            self.take(0, n, n)
        if nest.length:
            with self.w.loop(nest.length) as counter:
                row = counter
                if nest.reverse:
                    row = self.w.emit(f"sub i64 {nest.length - 1}, {counter}")
                self.turn(row)
        for n in range(nest.carried):
            if self.wanted(n):
                self.give(0, plan.inputs[n], str(self.start(n)))

    def turn(self, row: str) -> None:
        nest, plan = self.nest, self.plans[0]
        count = len(nest.body.outputs)
        for n in range(nest.carried, nest.carried + nest.moved):
            self.take(0, n, n, row)
        if nest.keep:
            for n in range(nest.carried):
                if self.wanted(count + n):
                    self.give_row(plan.inputs[n], count + n, row)
        self.run(0)
        ys = iter(plan.outputs[nest.carried :])
        for result in range(nest.carried, count):
            if self.wanted(result):
                self.give_row(next(ys), result, row)

    def give_row(self, buffer: Buffer, result: int, row: str) -> None:
        size = math.prod(self.nest.results.specs[result].shape[1:])
        self.give(0, buffer, self.w.sum([(row, size)], self.start(result)))

    def while_(self) -> None:
        nest, w = self.nest, self.w
        asked, body = self.plans
        own = len(nest.condition.inputs) - nest.carried
        for n in range(nest.carried):
            self.take(1, n, n)
        for n in range(own):
            self.take(0, nest.carried + n, nest.carried + n)
        for n in range(len(body.inputs) - nest.carried):
            self.take(1, nest.carried + n, nest.carried + own + n)
        label = w.fresh("again")
        w.do(f"br label %{label}")
        w.block(label)
        for n in range(nest.carried):
            self.hand_over(body.inputs[n], asked.inputs[n])
        self.run(0)
        answer, _ = self.inside(0, asked.outputs[0])
        byte = w.emit(f"load i8, ptr {answer}")
        wanted = w.emit(f"icmp ne i8 {byte}, 0")
        found = w.emit(f"load i64, ptr {self.faults}")  # what comes of a fault may never end
        sound = w.emit(f"icmp eq i64 {found}, 0")
        go = w.emit(f"and i1 {wanted}, {sound}")
        w.do(f"br i1 {go}, label %{label}.turn, label %{label}.done")
        w.block(f"{label}.turn")
        self.run(1)
        w.do(f"br label %{label}")
        w.block(f"{label}.done")
        for n in range(nest.carried):
            if self.wanted(n):
                self.give(1, body.inputs[n], str(self.start(n)))

    def hand_over(self, carry: Buffer, asked: Buffer) -> None:
        """The body's carry as the input of the condition."""
        if not asked.size:
            return
        source, old = self.inside(1, carry)
        target, new = self.inside(0, asked)
        self.w.copy(carry.dtype, source, "0", old.strides, asked.dtype, target, "0", new.strides,
                    carry.shape)  # fmt: skip

    def branch(self) -> None:
        w, nest = self.w, self.nest
        byte = w.load("bool", "%b0", "0")
        yes = w.emit(f"icmp ne i8 {byte}, 0")
        no = w.emit(f"icmp eq i8 {byte}, 0")
        own = len(nest.yes.inputs) - nest.operands
        for number, condition in ((0, yes), (1, no)):
            with w.when(condition):
                for place in range(len(self.plans[number].inputs)):
                    skip = own if number == 1 and place >= nest.operands else 0
                    self.take(number, place, 1 + place + skip)
                self.run(number)
                results = [n for n in range(len(nest.results.specs)) if self.wanted(n)]
                for result, buffer in zip(results, self.plans[number].outputs, strict=True):
                    self.give(number, buffer, str(self.start(result)))


def _steps(shape: Sequence[int]) -> list[int]:
    """Steps of an array whose elements lie one behind the other."""
    steps: list[int] = []
    step = 1
    for size in reversed(shape):
        steps.insert(0, step)
        step *= size
    return steps


def _finer(steps: Sequence[int], buffer: Buffer) -> list[int]:
    """`steps` of the dimensions of `buffer.given` as steps of those of `buffer.shape`."""
    return _spread(steps, buffer.given, buffer.shape)


def _spread(steps: Sequence[int], shape: Sequence[int], finer: Sequence[int]) -> list[int]:
    """Steps along dimensions that are parts of those of `shape`."""
    found: list[int] = []
    rest = list(finer)
    for step, extent in zip(steps, shape, strict=True):
        own: list[int] = []
        size = 1
        while size < extent or not own:
            own.append(rest.pop(0))
            size *= own[-1]
        inner = _steps(own)
        found += [step * n for n in inner]
    return found
