"""Writes LLVM IR with loops over counters: what routines are written with."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from myad.compile.dtypes import BYTES, FLOATS
from myad.compile.llvm.ir import MEMORY, Declarations, conversion
from myad.compile.schedule.layout import Layout

MEMCPY = "@llvm.memcpy.p0.p0.i64"


class Writer:
    """Lines of one function, whose arguments are pointers."""

    def __init__(self, declarations: Declarations) -> None:
        self.declarations = declarations
        self.lines: list[str] = []
        self.label = "entry"
        self._count = 0

    def fresh(self, stem: str = "%w") -> str:
        """A name of its own."""
        self._count += 1
        return f"{stem}.{self._count}"

    def emit(self, right: str) -> str:
        """A line with a result; its name."""
        name = self.fresh()
        self.lines.append(f" {name} = {right}")
        return name

    def do(self, line: str) -> None:
        """A line without a result."""
        self.lines.append(f" {line}")

    def block(self, label: str) -> None:
        """Begin the block `label`, from the one before if that has not ended."""
        self.lines.append(f"{label}:")
        self.label = label

    @contextmanager
    def loop(self, size: int) -> Iterator[str]:
        """Around what is written inside; gives the counter. A loop of one turn is none."""
        assert size > 0
        if size == 1:
            yield "0"
            return
        label, before = self.fresh("turn"), self.label
        counter = self.fresh("%n")
        self.do(f"br label %{label}")
        self.block(label)
        place = len(self.lines)
        yield counter
        self.lines.insert(
            place, f" {counter} = phi i64 [0, %{before}], [{counter}.next, %{self.label}]"
        )
        self.do(f"{counter}.next = add nuw nsw i64 {counter}, 1")
        self.do(f"{counter}.go = icmp ult i64 {counter}.next, {size}")
        self.do(f"br i1 {counter}.go, label %{label}, label %{label}.done")
        self.block(f"{label}.done")

    @contextmanager
    def loops(self, sizes: Sequence[int]) -> Iterator[list[str]]:
        """One loop in the other."""
        with ExitStack() as stack:
            yield [stack.enter_context(self.loop(size)) for size in sizes]

    @contextmanager
    def when(self, condition: str) -> Iterator[None]:
        """Around what is done only where `condition` holds."""
        label = self.fresh("case")
        self.do(f"br i1 {condition}, label %{label}, label %{label}.done")
        self.block(label)
        yield
        self.do(f"br label %{label}.done")
        self.block(f"{label}.done")

    @contextmanager
    def when_zero(self, pointer: str) -> Iterator[None]:
        """Around what is done only where the word at `pointer` is 0."""
        word = self.emit(f"load i64, ptr {pointer}")
        with self.when(self.emit(f"icmp eq i64 {word}, 0")):
            yield

    def sum(self, terms: Sequence[tuple[str, int]], const: int = 0) -> str:
        """Σ counter·step + const."""
        total = str(const)
        for counter, step in terms:
            if step == 0 or counter == "0":
                continue
            term = counter if step == 1 else self.emit(f"mul i64 {counter}, {step}")
            total = term if total == "0" else self.emit(f"add i64 {total}, {term}")
        return total

    def element(self, dtype: str, base: str, place: str) -> str:
        """A pointer to element `place` behind `base`."""
        return self.emit(f"getelementptr {MEMORY[dtype]}, ptr {base}, i64 {place}")

    def load(self, dtype: str, base: str, place: str) -> str:
        """The element at `place`, as it is in memory."""
        return self.emit(f"load {MEMORY[dtype]}, ptr {self.element(dtype, base, place)}")

    def store(self, dtype: str, value: str, base: str, place: str) -> None:
        """Write an element."""
        self.do(f"store {MEMORY[dtype]} {value}, ptr {self.element(dtype, base, place)}")

    def converted(self, value: str, old: str, new: str) -> str:
        """A value from memory of type `old` as one of type `new`; booleans are bytes 0 and 1."""
        old = "u8" if old == "bool" else old
        kind = MEMORY[old]
        for word, dtype in conversion(old, new) if old != new else ():
            value = self.emit(f"{word} {kind} {value} to {MEMORY[dtype]}")
            kind = MEMORY[dtype]
        return value

    def copy(
        self, old: str, source: str, start: str, steps: Sequence[int],
        new: str, target: str, behind: str, strides: Sequence[int], sizes: Sequence[int],
    ) -> None:  # fmt: skip
        """Elements of type `old` at `source`, from `start` on, to `target`, from `behind` on."""
        if math.prod(sizes) == 0:
            return
        sizes, steps, strides = _merged(sizes, steps, strides)
        if old == new and sizes and steps[-1] == strides[-1] == 1 and sizes[-1] > 1:
            with self.loops(sizes[:-1]) as counters:
                a = self.element(old, source, self.at(start, counters, steps[:-1]))
                b = self.element(old, target, self.at(behind, counters, strides[:-1]))
                self.bytes(a, b, sizes[-1] * BYTES[old])
            return
        with self.loops(sizes) as counters:
            value = self.load(old, source, self.at(start, counters, steps))
            value = self.converted(value, old, new)
            self.store(new, value, target, self.at(behind, counters, strides))

    def at(self, start: str, counters: Sequence[str], steps: Sequence[int]) -> str:
        """start + Σ counter·step."""
        return self.sum([(start, 1), *zip(counters, steps, strict=True)])

    def bytes(self, source: str, target: str, count: int) -> None:
        """Copy so many bytes between places that do not overlap."""
        self.declarations.need(MEMCPY, f"declare void {MEMCPY}(ptr, ptr, i64, i1)")
        self.do(f"call void {MEMCPY}(ptr {target}, ptr {source}, i64 {count}, i1 false)")

    def zero(self, layout: Layout, base: str) -> None:
        """Set all elements of a buffer to 0."""
        name = "@llvm.memset.p0.i64"
        self.declarations.need(name, f"declare void {name}(ptr, i8, i64, i1)")
        count = layout.size * BYTES[layout.buffer.dtype]
        self.do(f"call void {name}(ptr {base}, i8 0, i64 {count}, i1 false)")

    def added(self, dtype: str, x: str, y: str) -> str:
        """x + y, of booleans "or"."""
        word = "fadd" if dtype in FLOATS else "or" if dtype == "bool" else "add"
        return self.emit(f"{word} {MEMORY[dtype]} {x}, {y}")


def _merged(
    sizes: Sequence[int], steps: Sequence[int], strides: Sequence[int]
) -> tuple[list[int], list[int], list[int]]:
    """Axes that both sides run through in one go as one; those of length 1 left out."""
    merged: list[tuple[int, int, int]] = []
    for size, step, stride in zip(sizes, steps, strides, strict=True):
        if size == 1:
            continue
        if merged:
            before, outer, far = merged[-1]
            if outer == step * size and far == stride * size:
                merged[-1] = before * size, step, stride
                continue
        merged.append((size, step, stride))
    return [m[0] for m in merged], [m[1] for m in merged], [m[2] for m in merged]
