"""A plan as machine code, and the functions that run it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np

from myad.compile.dtypes import BYTES, DTYPES
from myad.compile.kernels.expr import Buffer
from myad.compile.llvm.arena import Arena, raise_fault, reset
from myad.compile.llvm.ir import TYPES, conversion
from myad.compile.llvm.native import NativeModule
from myad.compile.llvm.render import Renderer
from myad.compile.loops.interpret import interpret
from myad.compile.loops.loops import LoopCode
from myad.compile.loops.plan import Plan, view
from myad.compile.loops.routine import RoutineCode
from myad.compile.schedule.layout import Storage


class Module:
    """Compiled kernels, and the arenas in which they run; running allocates nothing.

    `ir` is the LLVM IR; `loss` the output whose values are added up over the steps, `collect` the
    output that is kept of each; `given`, `poison` as in `Arena`.

    `call`, and `run` in an arena from `arena()`, may be used by several threads at once: each run
    has its arena. `write`, `read` and `run` without one work in one arena of the module's own.
    """

    def __init__(
        self, plan: Plan, *, loss: int | None = None, collect: int | None = None,
        given: Mapping[Buffer, np.ndarray] | None = None, poison: int | None = None,
    ) -> None:  # fmt: skip
        self.plan, self.collect = plan, collect
        self.ir = render(plan, loss, collect)
        self.native = NativeModule(self.ir)
        self._given = {buffer: np.array(value) for buffer, value in (given or {}).items()}
        self._poison = poison
        self._idle: list[Arena] = []  # list.pop and list.append are one step for all threads
        kinds = (
            [ctypes.c_void_p] * (3 + len(plan.streams)) + [ctypes.c_int64] * 2 + [ctypes.c_double]
        )
        self._run = ctypes.CFUNCTYPE(ctypes.c_double, *kinds)(self.native.address("run"))

    @cached_property
    def own(self) -> Arena:
        """The arena of `write`, `read` and `run`."""
        return Arena(self.plan, self._given, self._poison)

    def write(self, buffer: Buffer, array: np.ndarray) -> None:
        """Set the value of an input."""
        self.own.write(buffer, array)

    def read(self, buffer: Buffer) -> np.ndarray:
        """A copy of the value of an output or state."""
        return self.own.read(buffer)

    @contextmanager
    def arena(self) -> Iterator[Arena]:
        """An arena that nobody else uses meanwhile."""
        try:
            arena = self._idle.pop()
        except IndexError:
            arena = Arena(self.plan, self._given, self._poison)
        try:
            yield arena
        finally:
            self._idle.append(arena)

    def call(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for these inputs, as arrays of their own."""
        with self.arena() as arena:
            for buffer, value in zip(self.plan.inputs, values, strict=True):
                arena.write(buffer, value)
            self.run(arena=arena)
            return [arena.read(buffer) for buffer in self.plan.outputs]

    def run(
        self, streams: Sequence[np.ndarray] = (), rows: np.ndarray | None = None, steps: int = 1,
        out: np.ndarray | None = None, arena: Arena | None = None, total: float = 0.0,
    ) -> float:  # fmt: skip
        """Run all kernels `steps` times; `total` and the sum of the loss over the steps.

        `streams` are as from `native`, `rows` int32 with the examples of all steps, each checked to
        be a row of the streams by the caller; `out` is of `collected(steps)`.
        """
        arena = self.own if arena is None else arena
        arena.spoil()
        batch = self.plan.streams[0].shape[0] if self.plan.streams else 0
        where = rows.ctypes.data if rows is not None else 0
        pointers = [stream.ctypes.data for stream in streams]
        kept = out.ctypes.data if out is not None else 0
        total = self._run(arena.address, where, kept, *pointers, steps, batch, total)
        raise_fault(arena)
        return total

    def collected(self, steps: int) -> np.ndarray:
        """Room for the collected output of `steps` steps."""
        assert self.collect is not None
        layout = self.plan.layouts[self.plan.outputs[self.collect]]
        return np.empty((steps, layout.size), DTYPES[layout.buffer.dtype])

    def unpack(self, out: np.ndarray) -> np.ndarray:
        """What `run` collected, (steps × batch, …)."""
        assert self.collect is not None
        layout = self.plan.layouts[self.plan.outputs[self.collect]]
        strides = (out.strides[0], *(step * out.itemsize for step in layout.strides))
        shape = layout.buffer.shape
        whole: np.ndarray = np.ndarray((len(out), *shape), out.dtype, out, strides=strides)
        given = layout.buffer.given
        return whole.reshape(len(out) * given[0], *given[1:])


def render(plan: Plan, loss: int | None = None, collect: int | None = None) -> str:
    """The LLVM IR of a plan: its kernels, and `run(arena, rows, out, streams…, steps, batch)`."""
    renderer = Renderer()
    renderer.functions_of(plan)
    streams = [plan.layouts[buffer].storage for buffer in plan.streams]
    names: dict[Storage, str] = {storage: f"%s{n}" for n, storage in enumerate(streams)}
    arguments = "".join(f", ptr {name}" for name in names.values())
    lines = [
        f"define double @run(ptr %arena, ptr %rows, ptr %out{arguments}, "
        "i64 %steps, i64 %batch, double %before) #0 {",
        "entry:",
    ]
    ends = [layout.storage for layout in map(plan.layouts.get, plan.outputs) if layout]
    for storage in dict.fromkeys(ends):
        names[storage] = f"%p{len(names)}"
        lines.append(f" {names[storage]} = {_place(plan, storage)}")
    lines += [
        " br label %step",
        "step:",
        " %n = phi i64 [0, %entry], [%n.next, %step]",
        " %total = phi double [%before, %entry], [%sum, %step]",
        " %first = mul i64 %n, %batch",
        " %here = getelementptr i32, ptr %rows, i64 %first",
    ]
    for number, code in enumerate(plan.codes):
        lines += _call(plan, number, code, names)
    lines += [*_collecting(plan, collect, names, renderer), *_adding(plan, loss, names)]
    lines += [
        " %n.next = add i64 %n, 1",
        " %go = icmp ult i64 %n.next, %steps",
        " br i1 %go, label %step, label %done",
        "done:",
        " ret double %sum",
        "}",
    ]
    renderer.functions.append("\n".join(lines))
    return renderer.text()


def _place(plan: Plan, storage: Storage) -> str:
    return f"getelementptr i8, ptr %arena, i64 {plan.offsets[storage]}"


def _call(plan: Plan, number: int, code: LoopCode, names: dict[Storage, str]) -> list[str]:
    """A call of a kernel. Places are computed at each call: thousands of them at the head of the
    function would all be kept, in memory, and LLVM's time for them grows with their square."""
    lines, operands = [], []
    for place, storage in enumerate(code.storages):
        name = names.get(storage, "%here")
        if storage in plan.offsets:
            name = f"%a{number}.{place}"
            lines.append(f" {name} = {_place(plan, storage)}")
        operands.append(f"ptr {name}")
    function = code.name if code.model is None else code.model.name
    return [*lines, f" call void @{function}({', '.join(operands)})"]


def _collecting(
    plan: Plan, collect: int | None, names: dict[Storage, str], renderer: Renderer
) -> list[str]:
    """Copy the collected output of this step to its place in `out`."""
    if collect is None:
        return []
    layout = plan.layouts[plan.outputs[collect]]
    count = layout.size * BYTES[layout.buffer.dtype]
    memcpy = "@llvm.memcpy.p0.p0.i64"
    renderer.declarations.need(memcpy, f"declare void {memcpy}(ptr, ptr, i64, i1)")
    return [
        f" %skip = mul i64 %n, {count}",
        " %there = getelementptr i8, ptr %out, i64 %skip",
        f" call void @llvm.memcpy.p0.p0.i64(ptr %there, ptr {names[layout.storage]}, "
        f"i64 {count}, i1 false)",
    ]


def _adding(plan: Plan, loss: int | None, names: dict[Storage, str]) -> list[str]:
    """Add the loss of this step to the total, in double precision."""
    if loss is None:
        return [" %sum = fadd double %total, 0.0"]
    layout = plan.layouts[plan.outputs[loss]]
    dtype = "u8" if layout.buffer.dtype == "bool" else layout.buffer.dtype
    lines = [f" %loss = load {TYPES[dtype]}, ptr {names[layout.storage]}"]
    wide = "%loss"
    for word, _ in conversion(dtype, "f64") if dtype != "f64" else ():
        lines.append(f" %wide = {word} {TYPES[dtype]} %loss to double")
        wide = "%wide"
    return [*lines, f" %sum = fadd double %total, {wide}"]


def run_interpreted(
    plan: Plan, values: dict[Buffer, np.ndarray], streams: Sequence[np.ndarray] = (),
    rows: np.ndarray | None = None,
) -> list[np.ndarray]:  # fmt: skip
    """One step of a plan in Python, kernel by kernel: the outputs."""
    arrays: dict[Storage, np.ndarray] = {
        layout.storage: np.zeros(layout.size, DTYPES[buffer.dtype])
        for buffer, layout in plan.layouts.items()
        if not buffer.kind.startswith("stream")
    }
    reset(plan, lambda layout: arrays[layout.storage])
    for buffer, value in values.items():
        layout = plan.layouts[buffer]
        view(layout, arrays[layout.storage])[...] = value.reshape(buffer.shape)
    for buffer, stream in zip(plan.streams, streams, strict=True):
        arrays[plan.layouts[buffer].storage] = stream.reshape(len(stream), -1)
    for buffer, layout in plan.layouts.items():
        if buffer.kind == "stream_rows":
            assert rows is not None
            arrays[layout.storage] = rows
    for code in plan.codes:
        if isinstance(code, RoutineCode):
            code.run(arrays)
        else:
            interpret(code, arrays)
    return [
        view(plan.layouts[b], arrays[plan.layouts[b].storage]).reshape(b.given).copy()
        for b in plan.outputs
    ]
