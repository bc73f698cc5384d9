"""Threads in native code: who runs which part of a step, and where they wait for one another.

All threads run the same loop over the steps. A kernel whose work is dealt out is run by each thread
on its own units, any other by the first thread alone. Before a kernel that touches what another
thread has written or still reads, all meet at a barrier.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence

from myad.compile.dtypes import BYTES
from myad.compile.llvm.ir import Declarations
from myad.compile.llvm.team import LEAVE, REST, ROUND
from myad.compile.loops.loops import LoopCode
from myad.compile.loops.plan import Plan, groups
from myad.compile.schedule.layout import Storage

SPINS = 4000  # looks at the barrier before the processor is given up: 50 to 250 microseconds
AGAIN = 20  # looks after each rest
REST_US = 50  # microseconds of a rest

Span = tuple[object, int, int]


def barriers(plan: Plan) -> list[bool]:
    """For each kernel whether all threads meet before it: all do so before a group of slices.

    Each kernel that is dealt out is met by every thread; what one thread alone did since the last
    meeting needs none for what it does next.
    """
    found: list[bool] = []
    since: list[tuple[bool, list[Span], list[Span]]] = []
    starts = {run.start for run, _ in groups([code.slice for code in plan.codes])}
    for number, code in enumerate(plan.codes):
        shared = code.units > 0
        reads, writes = _spans(plan, code)
        meets = number in starts - {0} or any(
            (shared or other)
            and (_overlap(writes, earlier_reads) or _overlap(writes, earlier_writes)
                 or _overlap(reads, earlier_writes))
            for other, earlier_reads, earlier_writes in since
        )  # fmt: skip
        if meets:
            since = []
        since.append((shared, reads, writes))
        found.append(meets)
    return found


def _spans(plan: Plan, code: LoopCode) -> tuple[list[Span], list[Span]]:
    """The memory that a kernel reads, and that it writes."""
    written = code.written
    writes = [_span(plan, storage) for storage in code.storages if storage in written]
    return [_span(plan, storage) for storage in code.storages], writes


def _span(plan: Plan, storage: Storage) -> Span:
    """Where a storage lies: in the arena, or in memory of the caller's."""
    if storage not in plan.offsets:
        return storage, 0, 1
    first = plan.offsets[storage]
    return "arena", first, first + storage.size * BYTES[storage.dtype]


def _overlap(some: Sequence[Span], others: Sequence[Span]) -> bool:
    return any(a[0] == b[0] and a[1] < b[2] and b[1] < a[2] for a in some for b in others)


def barrier(declarations: Declarations) -> str:
    """The name of the function that returns when all threads have called it.

    A counter of those who arrived and the number of the round: Mellor-Crummey & Scott 1991, section
    3.1. Waiting threads look at the round for a while, then sleep for moments: where other programs
    want the processors, one who offers its own with `sched_yield` waits behind all of them, whole
    slices of time at every barrier, and takes up to ten times as long. Once
    somebody has left for good, nobody waits any more: what they compute is thrown away.
    """
    pause = ""
    if platform.machine().lower() in ("x86_64", "amd64", "i686"):
        declarations.need("@llvm.x86.sse2.pause", "declare void @llvm.x86.sse2.pause()")
        pause = " call void @llvm.x86.sse2.pause()\n"
    declarations.need("@barrier", f"""define internal void @barrier(ptr %sync, i64 %threads) #0 {{
entry:
 %round = getelementptr i64, ptr %sync, i64 {ROUND}
 %give = getelementptr i64, ptr %sync, i64 {REST}
 %leave = getelementptr i64, ptr %sync, i64 {LEAVE}
 %now = load atomic i64, ptr %round acquire, align 8
 %before = atomicrmw add ptr %sync, i64 1 acq_rel
 %arrived = add i64 %before, 1
 %last = icmp eq i64 %arrived, %threads
 br i1 %last, label %open, label %wait
open:
 store atomic i64 0, ptr %sync monotonic, align 8
 %next = add i64 %now, 1
 store atomic i64 %next, ptr %round release, align 8
 ret void
wait:
 %looks = phi i64 [0, %entry], [%more, %look], [{SPINS - AGAIN}, %tired]
 %seen = load atomic i64, ptr %round acquire, align 8
 %same = icmp eq i64 %seen, %now
 br i1 %same, label %look, label %done
look:
{pause} %more = add i64 %looks, 1
 %long = icmp ugt i64 %more, {SPINS}
 br i1 %long, label %tired, label %wait
tired:
 %rest = load ptr, ptr %give
 call i32 %rest(i32 {REST_US})
 %left = load atomic i64, ptr %leave acquire, align 8
 %stay = icmp eq i64 %left, 0
 br i1 %stay, label %wait, label %done
done:
 ret void
}}
""")  # fmt: skip
    return "@barrier"
