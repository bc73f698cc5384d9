"""Calls of kernels as LLVM IR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from myad.compile.loops.loops import LoopCode
from myad.compile.loops.plan import Plan
from myad.compile.schedule.layout import Storage


def place_text(plan: Plan, storage: Storage) -> str:
    """The address of a storage in %arena."""
    return f"getelementptr i8, ptr %arena, i64 {plan.offsets[storage]}"


def call(
    plan: Plan, number: int, names: Mapping[Storage, str], more: Sequence[str] = (),
) -> list[str]:  # fmt: skip
    """A call of kernel `number`, on what `names` tells and else on the arena; `more` operands.

    Places are computed at each call: thousands of them at the head of the function would all be
    kept, in memory, and LLVM's time for them grows with their square.
    """
    code: LoopCode = plan.codes[number]
    lines, operands = [], []
    for place, storage in enumerate(code.storages):
        name = names.get(storage)
        if name is None:
            name = f"%a{number}.{place}"
            lines.append(f" {name} = {place_text(plan, storage)}")
        operands.append(f"ptr {name}")
    function = code.name if code.model is None else code.model.name
    return [*lines, f" call void @{function}({', '.join([*operands, *more])})"]
