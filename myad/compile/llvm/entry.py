"""A plan as LLVM IR with one entry, `run`: the loop over steps around all kernels."""

from __future__ import annotations

from myad.compile.dtypes import BYTES
from myad.compile.llvm.calls import call, place_text
from myad.compile.llvm.counters import Rows, begin, count, tick
from myad.compile.llvm.ir import TYPES, Declarations, conversion
from myad.compile.llvm.render import Renderer
from myad.compile.llvm.threads import barrier, barriers
from myad.compile.loops.loops import LoopCode
from myad.compile.loops.plan import Plan, groups
from myad.compile.schedule.layout import Storage


def render(
    plan: Plan, loss: int | None = None, collect: int | None = None, counted: bool = False
) -> str:
    """The LLVM IR of a plan: its kernels, and `run(table, steps, before, thread, threads, sync)`.

    `table` holds the addresses of the arena, the row numbers, the room for what is collected, the
    streams and the arrays of the plan, in this order. Each of `threads` threads calls it with its
    number, and the memory in which they meet. A `counted` plan collects the ticks that its kernels
    take, see `counters`, and nothing else.
    """
    renderer = Renderer()
    rows = Rows(len(plan.codes) + 1) if counted else None
    renderer.functions_of(plan)
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
        lines.append(f" {names[storage]} = {place_text(plan, storage)}")
    for buffer, layout in plan.layouts.items():
        if buffer.kind == "stream_rows":
            names[layout.storage] = "%here"
    if rows is not None:
        tick(renderer.declarations)
        lines += begin(rows, renderer.declarations)
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
    lines += _kernels(plan, names, renderer.declarations, rows)
    lines += [*_adding(plan, loss, names), *_collecting(plan, collect, names, renderer)]
    if any(code.units for code in plan.codes):  # before the next step writes what this one read
        lines += _meeting("end", renderer.declarations)
    if rows is not None:
        lines.append(count(len(plan.codes), rows, renderer.declarations))
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
    plan: Plan, names: dict[Storage, str], declarations: Declarations, rows: Rows | None
) -> list[str]:
    """The calls of one step, groups of them slice by slice.

    Where threads share work, each calls a kernel for its part, or the first alone, and all meet
    where one might touch what another is not done with, and at the end of a slice.
    """
    shared = any(code.units for code in plan.codes)
    meets = barriers(plan)
    lines: list[str] = []
    for run, turns in groups([code.slice for code in plan.codes]):
        place = "0"
        if turns > 1:
            first, place = run.start, f"%slice{run.start}"
            before = f"[0, %before{first}], [{place}.next, %end{first}]"
            lines += [f" br label %before{first}", f"before{first}:", f" br label %again{first}",
                      f"again{first}:", f" {place} = phi i64 {before}"]  # fmt: skip
        alone = ""  # the label behind the block being written, if it is the first thread's
        for number in run:
            code = plan.codes[number]
            if alone and (meets[number] or code.units):
                lines += [f" br label %{alone}", f"{alone}:"]
                alone = ""
            if meets[number]:
                lines += _meeting(str(number), declarations)
                lines += [] if rows is None else [count(len(plan.codes), rows, declarations)]
            if shared and not code.units and not alone:
                alone = f"all{number}"
                lines += [f" br i1 %first.thread, label %one{number}, label %{alone}",
                          f"one{number}:"]  # fmt: skip
            lines += _call(plan, number, code, names, place)
            lines += [] if rows is None else [count(number, rows, declarations)]
        if alone:
            lines += [f" br label %{alone}", f"{alone}:"]
        if turns > 1:
            lines += _meeting(f"end{first}", declarations) if shared else []
            lines += [f" br label %end{first}", f"end{first}:",
                      f" {place}.next = add i64 {place}, 1",
                      f" {place}.go = icmp ult i64 {place}.next, {turns}",
                      f" br i1 {place}.go, label %again{first}, label %after{first}",
                      f"after{first}:"]  # fmt: skip
    return lines + (_meeting("last", declarations) if shared else [])


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


def _call(
    plan: Plan, number: int, code: LoopCode, names: dict[Storage, str], slice_number: str
) -> list[str]:
    """A call of a kernel, for this thread's share of it and this slice."""
    lines, operands = [], []
    if code.units:
        for word, which in (("from", "%thread"), ("to", "%thread.next")):
            lines += [f" %{word}{number}.all = mul i64 {which}, {code.units}",
                      f" %{word}{number} = udiv i64 %{word}{number}.all, %threads"]  # fmt: skip
            operands.append(f"i64 %{word}{number}")
    if code.slice is not None:
        operands.append(f"i64 {slice_number}")
    return [*lines, *call(plan, number, names, operands)]


def _collecting(
    plan: Plan, collect: int | None, names: dict[Storage, str], renderer: Renderer
) -> list[str]:
    """Copy the collected output of this step to its place in `out`."""
    if collect is None:
        return []
    layout = plan.layouts[plan.outputs[collect]]
    size = layout.size * BYTES[layout.buffer.dtype]
    memcpy = "@llvm.memcpy.p0.p0.i64"
    renderer.declarations.need(memcpy, f"declare void {memcpy}(ptr, ptr, i64, i1)")
    return [
        " br i1 %first.thread, label %collect, label %collected",
        "collect:",
        f" %skip = mul i64 %n, {size}",
        " %there = getelementptr i8, ptr %out, i64 %skip",
        f" call void @llvm.memcpy.p0.p0.i64(ptr %there, ptr {names[layout.storage]}, "
        f"i64 {size}, i1 false)",
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
