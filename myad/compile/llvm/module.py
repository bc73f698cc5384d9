"""A plan as machine code, and the functions that run it."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property

import numpy as np

from myad.compile.dtypes import BYTES, DTYPES, native
from myad.compile.kernels.expr import Buffer
from myad.compile.llvm.arena import Arena, reset
from myad.compile.llvm.ir import TYPES, conversion
from myad.compile.llvm.native import NativeModule
from myad.compile.llvm.pointer import address
from myad.compile.llvm.render import Renderer
from myad.compile.loops.interpret import interpret
from myad.compile.loops.loops import LoopCode
from myad.compile.loops.plan import Plan, view
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
        self._pack = struct.Struct(f"{3 + len(plan.streams) + len(plan.arrays)}P").pack
        kinds = ctypes.c_double, ctypes.c_char_p, ctypes.c_int64, ctypes.c_double
        self._run = ctypes.CFUNCTYPE(*kinds)(self.native.address("run"))
        self._results = [buffer for buffer in plan.arrays if buffer.kind == "result"]
        self._fresh = [(buffer.given, np.dtype(DTYPES[buffer.dtype])) for buffer in self._results]
        self._is_plain = self._results == plan.outputs

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
        arena = self._take()
        try:
            yield arena
        finally:
            self._idle.append(arena)

    def _take(self) -> Arena:
        try:
            return self._idle.pop()
        except IndexError:
            return Arena(self.plan, self._given, self._poison)

    def call(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The outputs for these inputs, as arrays of their own.

        The plan is one of `build(arrays=True)`: inputs are read where they lie, if they lie as
        C does and in this machine's byte order, and results written into fresh arrays.
        """
        values = [native(value) for value in values]
        results = [np.empty(shape, dtype) for shape, dtype in self._fresh]
        arena = self._take()
        try:
            arena.spoil()
            self._run(self._pack(arena.address, 0, 0, *map(address, values + results)), 1, 0.0)
            return results if self._is_plain else self._outputs(values, results, arena)
        finally:
            self._idle.append(arena)

    def _outputs(
        self, values: list[np.ndarray], results: list[np.ndarray], arena: Arena
    ) -> list[np.ndarray]:
        """Results, and copies of what is an input, a constant, or returned a second time."""
        buffers = (*self.plan.inputs, *self._results)
        whole = dict(zip(buffers, (*values, *results), strict=True))
        own = set(self._results)
        outputs = []
        for buffer in self.plan.outputs:
            array = whole[buffer] if buffer in whole else arena.read(buffer)
            outputs.append(array if buffer in own or buffer not in whole else array.copy())
            own.discard(buffer)
        return outputs

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
        where = rows.ctypes.data if rows is not None else 0
        pointers = [stream.ctypes.data for stream in streams]
        kept = out.ctypes.data if out is not None else 0
        table = self._pack(arena.address, where, kept, *pointers, *arena.addresses)
        return self._run(table, steps, total)

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
    """The LLVM IR of a plan: its kernels, and `run(table, steps, before)`.

    `table` holds the addresses of the arena, the row numbers, the room for what is collected, the
    streams and the arrays of the plan, in this order.
    """
    renderer = Renderer()
    for code in plan.codes:
        if code.model is None:
            renderer.function(code)
    callers = [plan.layouts[buffer].storage for buffer in [*plan.streams, *plan.arrays]]
    names: dict[Storage, str] = {storage: f"%s{n}" for n, storage in enumerate(callers)}
    batch = plan.streams[0].shape[0] if plan.streams else 0
    lines = [
        "define double @run(ptr %table, i64 %steps, double %before) #0 {",
        "entry:",
    ]
    for place, name in enumerate(["%arena", "%rows", "%out", *names.values()]):
        lines += [
            f" {name}.at = getelementptr ptr, ptr %table, i64 {place}",
            f" {name} = load ptr, ptr {name}.at",
        ]
    ends = [layout.storage for layout in map(plan.layouts.get, plan.outputs) if layout]
    for storage in [end for end in dict.fromkeys(ends) if end in plan.offsets]:
        names[storage] = f"%p{len(names)}"
        lines.append(f" {names[storage]} = {_place(plan, storage)}")
    lines += [
        " br label %step",
        "step:",
        " %n = phi i64 [0, %entry], [%n.next, %step]",
        " %total = phi double [%before, %entry], [%sum, %step]",
        f" %first = mul i64 %n, {batch}",
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
        interpret(code, arrays)
    return [
        view(plan.layouts[b], arrays[plan.layouts[b].storage]).reshape(b.given).copy()
        for b in plan.outputs
    ]
