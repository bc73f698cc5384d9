"""Time per kernel, counted by the native code itself: for a build of its own, see `entry.render`.

The processor's counter is read after every kernel, and what has passed since the last reading is
added to that kernel's place: one reading per kernel, and no time belongs to nobody. A reading costs
some ten nanoseconds, which the counted build has more than another. Each thread has a row of its
own: the last reading; ticks by place; the reading at which the latest turn of each place began.
"""

from __future__ import annotations

import platform
from typing import NamedTuple

from myad.compile.llvm.ir import Declarations

TICK = "profile.tick"  # a function that reads the counter; no kernel has a dot in its name
_COUNT = "@profile.count"
_LINE = 8  # numbers in a cache line: threads write to lines of their own


class Rows(NamedTuple):
    """Where the numbers of a thread lie, for so many places."""

    places: int

    @property
    def size(self) -> int:
        """Numbers in a row, each of 64 bits."""
        return -(-(1 + 2 * self.places) // _LINE) * _LINE


def begin(rows: Rows, declarations: Declarations) -> list[str]:
    """The thread's row, in the memory for what is collected, and the first reading."""
    counter = _counter(declarations)
    return [
        f" %row.skip = mul i64 %thread, {rows.size}",
        " %row = getelementptr i64, ptr %out, i64 %row.skip",
        f" %row.begin = call i64 {counter}()",
        " store i64 %row.begin, ptr %row",
    ]


def count(place: int, rows: Rows, declarations: Declarations) -> str:
    """What has passed since the last reading belongs to `place`."""
    counter = _counter(declarations)
    declarations.need(_COUNT, "\n".join([
        f"define internal void {_COUNT}(ptr %row, i64 %place) #0 {{",
        f" %now = call i64 {counter}()",
        " %last = load i64, ptr %row",
        " %spent = sub i64 %now, %last",
        " %sum.at = getelementptr i64, ptr %row, i64 %place",
        " %sum = load i64, ptr %sum.at",
        " %more = add i64 %sum, %spent",
        " store i64 %more, ptr %sum.at",
        f" %start.at = getelementptr i64, ptr %sum.at, i64 {rows.places}",
        " store i64 %last, ptr %start.at",
        " store i64 %now, ptr %row",
        " ret void",
        "}",
    ]))  # fmt: skip
    return f" call void {_COUNT}(ptr %row, i64 {1 + place})"


def tick(declarations: Declarations) -> None:
    """Define the function that only reads the counter, to hold it against a clock."""
    counter = _counter(declarations)
    body = f" %now = call i64 {counter}()\n ret i64 %now"
    declarations.need(f"@{TICK}", f"define i64 @{TICK}() #0 {{\n{body}\n}}")


def _counter(declarations: Declarations) -> str:
    # on ARM the counter of cycles is the kernel's own; the steady one may be read by anybody
    is_x86 = platform.machine().lower() in ("x86_64", "amd64", "i386", "i686")
    name = "@llvm.readcyclecounter" if is_x86 else "@llvm.readsteadycounter"
    declarations.need(name, f"declare i64 {name}()")
    return name
