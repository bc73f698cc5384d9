"""The counters of a counted build, as seconds: which kernel took how long."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from myad.compile.llvm.counters import TICK, Rows
from myad.compile.llvm.module import Module
from myad.compile.loops.plan import groups
from myad.errors import CompileError
from myad.recording import Origin

CALIBRATION_S = 0.02  # that the counter is held against the clock, at least
REST = "the loop around the kernels"


class KernelTime(NamedTuple):
    """A kernel's own time in all steps that were counted.

    Fields: `origins` the operations it computes, each by its name and where it comes from; `calls`
    of one step, more than one where the batch goes through in slices; `start` of its latest call,
    in seconds from when counting began, None if it never ran.
    """

    name: str
    origins: tuple[tuple[str, Origin], ...]
    calls: int
    seconds: float
    start: float | None


class Counters:
    """The memory in which a module of a counted build counts, and its clock.

    Args: module: made with `counted`. threads: that will run it.
    Raises: CompileError where this processor's counter does not move.
    """

    def __init__(self, module: Module, threads: int) -> None:
        self.module = module
        self.rows = Rows(len(module.plan.codes) + 1)
        self.ticks = np.zeros((threads, self.rows.size), np.int64)
        self._tick = ctypes.CFUNCTYPE(ctypes.c_int64)(module.code.address(TICK))
        self.reset()

    def reset(self) -> None:
        """Count from here."""
        self.ticks[...] = 0
        self._begun = self._tick(), time.perf_counter()

    def read(self) -> list[KernelTime]:
        """The times of all kernels on the first thread, which is never away, and of the rest.

        With several threads a kernel's time is that of the first one's part of it, and waiting for
        the others belongs to the rest.
        """
        second = self._ticks_per_second()
        places = self.rows.places
        sums, starts = self.ticks[0, 1 : 1 + places], self.ticks[0, 1 + places : 1 + 2 * places]
        found = []
        for place, (name, origins, calls) in enumerate(self._kernels()):
            ran = starts[place] != 0
            start = float(starts[place] - self._begun[0]) / second if ran else None
            found.append(KernelTime(name, origins, calls, float(sums[place]) / second, start))
        return found

    def _kernels(self) -> Iterator[tuple[str, tuple[tuple[str, Origin], ...], int]]:
        plan = self.module.plan
        for run, count in groups([code.slice for code in plan.codes]):
            for number in run:
                yield plan.codes[number].name, plan.kernels[number].origins, count
        yield REST, (), 1

    def _ticks_per_second(self) -> float:
        """The counter's speed, held against the clock since counting began."""
        (ticks, clock), now = self._begun, time.perf_counter()
        while now - clock < CALIBRATION_S:
            now = time.perf_counter()
        passed = self._tick() - ticks
        if passed <= 0:
            raise CompileError("compile: this processor's counter does not move; nothing is timed.")
        return passed / (time.perf_counter() - clock)
