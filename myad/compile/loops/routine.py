"""The code of a routine as the other stages see it: storages, and what the interpreter runs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from myad.compile.kernels.expr import Buffer
from myad.compile.kernels.routine import Routine
from myad.compile.loops.loops import LoopCode
from myad.compile.loops.plan import view
from myad.compile.schedule.layout import Layout, Storage


class RoutineCode(LoopCode):
    """A function of one pointer per buffer of `routine`; `layouts` say how they lie."""

    def __init__(self, routine: Routine, layouts: Mapping[Buffer, Layout]) -> None:
        self.routine = routine
        self.layouts = [layouts[b] for b in routine.buffers]
        super().__init__(routine.name, [layout.storage for layout in self.layouts], [])

    def run(self, memory: Mapping[Storage, np.ndarray]) -> None:
        """The operation itself, on the arrays in `memory`."""
        views = [view(layout, memory[layout.storage]) for layout in self.layouts]
        inputs = [np.array(x) for x in views[: len(self.routine.inputs)]]
        views[-1][...] = self.routine.op.value(*inputs, **self.routine.static)

    def __str__(self) -> str:
        return str(self.routine)
