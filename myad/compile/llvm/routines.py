"""Routines as LLVM IR: one function of one pointer per buffer each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from myad.compile.dtypes import KIND
from myad.compile.llvm.ir import MEMORY, Declarations
from myad.compile.llvm.nests import nest_text
from myad.compile.llvm.writer import Writer
from myad.compile.loops.routine import RoutineCode
from myad.compile.schedule.layout import Layout


def routine_text(code: RoutineCode, declarations: Declarations) -> str:
    """The functions of a routine, with those it calls."""
    writer = Writer(declarations)
    before = TEXTS[code.routine.op.name](code, writer)
    arguments = ", ".join(f"ptr noalias %b{n}" for n in range(len(code.layouts)))
    body = "\n".join(writer.lines)
    return (
        f"{before}define internal void @{code.name}({arguments}) #0 {{\nentry:\n{body}\n"
        " ret void\n}\n"
    )


def _gather(code: RoutineCode, w: Writer) -> str:
    """out[p…, r…] = x[index(p)…, r…]."""
    x, *indices, _, out = code.layouts
    dtype, count = x.buffer.dtype, len(indices)
    rest = x.buffer.shape[count:]
    picked = out.buffer.shape[: len(out.buffer.shape) - len(rest)]
    with w.loops(picked) as counters:
        start = _place(w, code, x, indices, counters)
        if not x.buffer.size:  # no place is inside
            return ""
        behind = w.at("0", counters, out.strides[: len(picked)])
        w.copy(dtype, "%b0", start, x.strides[count:], dtype, f"%b{count + 2}", behind,
               out.strides[len(picked) :], rest)  # fmt: skip
    return ""


def _scatter_add(code: RoutineCode, w: Writer) -> str:
    """out[index(p)…, r…] += x[p…, r…], from zeros."""
    x, *indices, _, out = code.layouts
    dtype, count, target = x.buffer.dtype, len(indices), f"%b{len(indices) + 2}"
    rest = out.buffer.shape[count:]
    picked = x.buffer.shape[: len(x.buffer.shape) - len(rest)]
    w.zero(out, target)
    with w.loops(picked) as counters:
        start = _place(w, code, out, indices, counters)
        source = w.at("0", counters, x.strides[: len(picked)])
        with w.loops(rest) as inner:
            here = w.element(dtype, target, w.at(start, inner, out.strides[count:]))
            value = w.load(dtype, "%b0", w.at(source, inner, x.strides[len(picked) :]))
            old = w.emit(f"load {MEMORY[dtype]}, ptr {here}")
            w.do(f"store {MEMORY[dtype]} {w.added(dtype, old, value)}, ptr {here}")
    return ""


def _scatter_set(code: RoutineCode, w: Writer) -> str:
    """out = x, then out[index(p)…, r…] = values[p…, r…]; nothing for an index out of bounds."""
    x, values, *indices, _, out = code.layouts
    dtype, count, target = x.buffer.dtype, len(indices), f"%b{len(indices) + 3}"
    shape = out.buffer.shape
    picked = values.buffer.shape[: len(values.buffer.shape) - len(shape) + count]
    w.copy(dtype, "%b0", "0", x.strides, dtype, target, "0", out.strides, shape)
    with w.loops(picked) as counters:
        start = _place(w, code, out, indices, counters, first=2)
        source = w.at("0", counters, values.strides[: len(picked)])
        w.copy(dtype, "%b1", source, values.strides[len(picked) :], dtype, target, start,
               out.strides[count:], shape[count:])  # fmt: skip
    return ""


def _place(
    w: Writer,
    code: RoutineCode,
    array: Layout,
    indices: Sequence[Layout],
    counters: list[str],
    first: int = 1,
) -> str:
    """The address in `array` that the indices name, each checked; 0 in the place of a wrong one."""
    terms = []
    for axis, index in enumerate(indices):
        shape = index.buffer.shape
        own = counters[len(counters) - len(shape) :]
        steps = [0 if n == 1 else step for n, step in zip(shape, index.strides, strict=True)]
        number = w.load(index.buffer.dtype, f"%b{axis + first}", w.at("0", own, steps))
        kind = MEMORY[index.buffer.dtype]
        if kind != "i64":
            word = "sext" if KIND[index.buffer.dtype] == "signed" else "zext"
            number = w.emit(f"{word} {kind} {number} to i64")
        size = array.buffer.shape[axis]
        place = number
        if KIND[index.buffer.dtype] == "signed":
            negative = w.emit(f"icmp slt i64 {number}, 0")
            turned = w.emit(f"add i64 {number}, {size}")
            place = w.emit(f"select i1 {negative}, i64 {turned}, i64 {number}")
        wrong = w.emit(f"icmp uge i64 {place}, {size}")
        faults = f"%b{len(indices) + first}"
        with w.when(wrong), w.when_zero(faults):  # the first one is told
            for n, word in enumerate(("1", number, str(axis), str(size))):
                w.store("i64", word, faults, str(n))
        terms.append((w.emit(f"select i1 {wrong}, i64 0, i64 {place}"), array.strides[axis]))
    return w.sum(terms)


TEXTS: dict[str, Callable[[RoutineCode, Writer], str]] = {
    "gather": _gather, "scatter_add": _scatter_add, "scatter_set": _scatter_set,
    "nested": nest_text, "nested_integers": nest_text,
}  # fmt: skip
