"""A plan as LLVM IR with one entry, `run`: the loop over steps around all kernels."""

from __future__ import annotations

from myad.compile.dtypes import BYTES
from myad.compile.llvm.ir import TYPES, Declarations, conversion
from myad.compile.llvm.render import Renderer
from myad.compile.llvm.threads import barrier, barriers
from myad.compile.loops.loops import LoopCode
from myad.compile.loops.plan import Plan
from myad.compile.schedule.layout import Storage


def render(plan: Plan, loss: int | None = None, collect: int | None = None) -> str:
    """The LLVM IR of a plan: its kernels, and `run(table, steps, before, thread, threads, sync)`.

    `table` holds the addresses of the arena, the row numbers, the room for what is collected, the
    streams and the arrays of the plan, in this order. Each of `threads` threads calls it with its
    number, and the memory in which they meet.
    """
    renderer = Renderer()
    for code in plan.codes:
        if code.model is None:
            renderer.function(code)
    callers = [plan.layouts[buffer].storage for buffer in [*plan.streams, *plan.arrays]]
    names: dict[Storage, str] = {storage: f"%s{n}" for n, storage in enumerate(callers)}
    batch = plan.streams[0].shape[0] if plan.streams else 0
    lines = [
        "define double @run(ptr %table, i64 %steps, double %before, i64 %thread, i64 %threads, "
        "ptr %sync) #0 {",
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
        " %first.thread = icmp eq i64 %thread, 0",
        " %alone = icmp eq i64 %threads, 1",
        " %thread.next = add i64 %thread, 1",
        " br label %step",
        "step:",
        " %n = phi i64 [0, %entry], [%n.next, %step.end]",
        " %total = phi double [%before, %entry], [%sum, %step.end]",
        f" %first = mul i64 %n, {batch}",
        " %here = getelementptr i32, ptr %rows, i64 %first",
    ]
    lines += _kernels(plan, names, renderer.declarations)
    lines += [*_adding(plan, loss, names), *_collecting(plan, collect, names, renderer)]
    if any(code.units for code in plan.codes):  # before the next step writes what this one read
        lines += _meeting("end", renderer.declarations)
    lines += [
        " br label %step.end",
        "step.end:",
        " %n.next = add i64 %n, 1",
        " %go = icmp ult i64 %n.next, %steps",
        " br i1 %go, label %step, label %done",
        "done:",
        " ret double %sum",
        "}",
    ]
    renderer.functions.append("\n".join(lines))
    return renderer.text()


def _kernels(
    plan: Plan, names: dict[Storage, str], declarations: Declarations
) -> list[str]:
    """The calls of one step; where threads share work, each on its part, and waits between."""
    calls = [_call(plan, number, code, names) for number, code in enumerate(plan.codes)]
    if not any(code.units for code in plan.codes):
        return [line for call in calls for line in call]
    lines: list[str] = []
    alone = False  # whether the block being written is the first thread's
    for number, (code, call, meet) in enumerate(
        zip(plan.codes, calls, barriers(plan), strict=False)
    ):
        if alone and (meet or code.units):
            lines += [f" br label %all{number}", f"all{number}:"]
            alone = False
        if meet:
            lines += _meeting(str(number), declarations)
        if not code.units and not alone:
            lines += [f" br i1 %first.thread, label %one{number}, label %all{_after(plan, number)}",
                      f"one{number}:"]  # fmt: skip
            alone = True
        lines += call
    if alone:
        lines += [f" br label %all{len(calls)}", f"all{len(calls)}:"]
    return lines + _meeting("last", declarations)


def _after(plan: Plan, number: int) -> int:
    """The next kernel, after one of the first thread alone, that others have a part in."""
    meets = barriers(plan)
    for later in range(number + 1, len(plan.codes)):
        if plan.codes[later].units or meets[later]:
            return later
    return len(plan.codes)


def _meeting(name: str, declarations: Declarations) -> list[str]:
    """All threads wait for each other, if there are several."""
    function = barrier(declarations)
    return [
        f" br i1 %alone, label %met.{name}, label %meet.{name}",
        f"meet.{name}:",
        f" call void {function}(ptr %sync, i64 %threads)",
        f" br label %met.{name}",
        f"met.{name}:",
    ]


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
    if code.units:
        for word, which in (("from", "%thread"), ("to", "%thread.next")):
            lines += [f" %{word}{number}.all = mul i64 {which}, {code.units}",
                      f" %{word}{number} = udiv i64 %{word}{number}.all, %threads"]  # fmt: skip
            operands.append(f"i64 %{word}{number}")
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
        " br i1 %first.thread, label %collect, label %collected",
        "collect:",
        f" %skip = mul i64 %n, {count}",
        " %there = getelementptr i8, ptr %out, i64 %skip",
        f" call void @llvm.memcpy.p0.p0.i64(ptr %there, ptr {names[layout.storage]}, "
        f"i64 {count}, i1 false)",
        " br label %collected",
        "collected:",
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
