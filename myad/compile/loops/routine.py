"""The code of a routine as the other stages see it: storages, and what the interpreter runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from textwrap import indent

import numpy as np

from myad.compile.kernels.expr import Buffer
from myad.compile.kernels.routine import Routine
from myad.compile.loops.loops import LoopCode
from myad.compile.schedule.layout import Layout, Storage


class RoutineCode(LoopCode):
    """A function of one pointer per buffer of `routine`; `layouts` say how they lie."""

    def __init__(self, routine: Routine, layouts: Mapping[Buffer, Layout]) -> None:
        self.routine = routine
        self.layouts = [layouts[b] for b in routine.buffers]
        super().__init__(routine.name, [layout.storage for layout in self.layouts], [])

    @property
    def written(self) -> set[Storage]:
        """Its result, and what it works in."""
        return set(self.storages[len(self.routine.inputs) :])

    def run(self, window: Callable[[Buffer], np.ndarray]) -> None:
        """The operation itself, on the arrays that `window` shows."""
        inputs = [window(buffer).copy() for buffer in self.routine.inputs]
        window(self.routine.output)[...] = self.routine.op.value(*inputs, **self.routine.static)

    def __str__(self) -> str:
        inputs = ", ".join(f"{s.name}:{s.dtype}[{s.size}]" for s in self.storages)
        text = f"{self.name}({inputs}):   # a routine"
        for number, (plan, _) in enumerate(self.routine.parts):
            text += f"\n  body {number}:\n{indent(plan.loops, '    ')}"
        return text
