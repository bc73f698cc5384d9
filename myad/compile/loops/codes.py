"""The loop code of a whole program: kernels that differ in names only are lowered once."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from myad.compile.kernels.expr import Buffer
from myad.compile.kernels.form import form_of
from myad.compile.kernels.kernel import Kernel
from myad.compile.kernels.routine import Routine
from myad.compile.loops.loops import LoopCode
from myad.compile.loops.lower import lower
from myad.compile.loops.routine import RoutineCode
from myad.compile.schedule.choose import choose
from myad.compile.schedule.layout import Layout, Machine

_OWN = ("buffer", "storage")  # what two layouts do not share even if they are alike


def codes_of(
    kernels: Sequence[Kernel], layouts: dict[Buffer, Layout], machine: Machine
) -> list[LoopCode]:
    """Loop code by kernel; of each form once, the others with the same code on other storages."""
    known: dict[Hashable, tuple[LoopCode, tuple[Buffer, ...]]] = {}
    codes: list[LoopCode] = []
    for kernel in kernels:
        if isinstance(kernel, Routine):
            codes.append(RoutineCode(kernel, layouts))
            continue
        form = form_of(kernel)
        key = (form.key, *[_facts(layouts[buffer]) for buffer in form.buffers])
        if key in known:
            model, buffers = known[key]
            pairs = dict(zip(buffers, form.buffers, strict=True))
            _adopt(layouts[kernel.output], layouts[buffers[0]])
            storages = {layouts[a].storage: layouts[b].storage for a, b in pairs.items()}
            codes.append(model.on(kernel.name, storages, kernel.slice))
            continue
        code = lower(kernel, choose(kernel, layouts, machine), layouts)
        known[key] = code, form.buffers
        codes.append(code)
    return codes


def _facts(layout: Layout) -> Hashable:
    return tuple((name, tuple(value) if isinstance(value, list) else value)
                 for name, value in vars(layout).items() if name not in _OWN)  # fmt: skip


def _adopt(layout: Layout, model: Layout) -> None:
    """Note in the layout of an output what lowering found out about that of its model."""
    facts: dict[str, Any] = {name: v for name, v in vars(model).items() if name not in _OWN}
    vars(layout).update(facts)
