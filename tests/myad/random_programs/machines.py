"""A random program on one machine: by the interpreter of loop code, and by machine code.

The interpreter runs what threads may share unit by unit, the last one first. Machine code works in
memory that held something else before, and that ends where a page begins which nothing may touch.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any
from unittest import mock

import numpy as np

from myad.compile import load as loading
from myad.compile.build import build
from myad.compile.llvm.arena import Arena
from myad.compile.llvm.module import Module
from myad.compile.load import module_of
from myad.compile.loops import steps as running
from myad.compile.loops.interpret import interpret
from myad.compile.loops.loops import LoopCode
from myad.compile.loops.plan import Plan
from myad.compile.loops.steps import run_interpreted
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine
from myad.compile.training import CompiledTraining
from tests.myad.random_programs.program import RandomProgram

FILLINGS = {"zeros": 0, "ones": 0xFFFFFFFF, "NaN": 0x7FC00000}  # words of memory
Arrays = list[np.ndarray]


class Function:
    """A plain program or one with state, compiled for `machine`."""

    def __init__(self, program: RandomProgram, machine: Machine) -> None:
        self.program = program
        recorded, _ = trace(program.function(), *program.inputs.values())
        arrays = not program.places and program.steps == 1  # as `jit` compiles
        self.plan = build(recorded, machine, state=program.places, arrays=arrays)

    def interpreted(self) -> Arrays:
        """The results by the interpreter of loop code."""
        values = list(self.program.inputs.values())
        results: Arrays = []
        for _ in range(self.program.steps):
            results = _interpreted(self.plan, dict(zip(self.plan.inputs, values, strict=True)))
            for out, into in self.program.places.items():
                values[into] = results[out]
        return results

    def native(self) -> Callable[[str, int], Arrays]:
        """What gives the results by machine code, in memory that held a filling before, with so
        many threads."""
        module = module_of(self.plan)

        def run(filling: str, threads: int) -> Arrays:
            _fill(module, filling)
            for place, array in zip(module.inputs, self.program.inputs.values(), strict=True):
                module.write(place, array)
            _call(self.program, lambda: module.run(steps=self.program.steps, threads=threads))
            return [module.read(place) for place in module.outputs]

        return run


class Training:
    """A training program, compiled for `machine`: an epoch of as many batches as it has steps.

    The results are the mean loss and the new state.
    """

    def __init__(self, program: RandomProgram, machine: Machine) -> None:
        self.program = program
        rest = [n for n in program.inputs if n not in (*program.by, *program.streams)]
        self._state = [{n: program.inputs[n] for n in names} for names in (program.by, rest)]
        self._data = [
            np.concatenate([program.batch(name, step) for step in range(program.steps)])
            for name in program.streams
        ]
        with mock.patch.object(loading, "host", return_value=machine):
            self._training = CompiledTraining(
                program.step, *self._state, *self._data, batch_size=program.batch_size
            )
        self.plan: Plan = self._training.plan

    def interpreted(self) -> Arrays:
        """The results by the interpreter of loop code."""
        state = [a for group in self._state for a in group.values()] + [np.zeros(2, np.uint32)]
        losses = []
        for step in range(self.program.steps):
            first = step * self.program.batch_size
            rows = np.arange(first, first + self.program.batch_size, dtype=np.int32)
            values = dict(zip(self.plan.inputs, state, strict=False))
            loss, *state = _interpreted(self.plan, values, self._data, rows)
            losses.append(loss)
        names = [n for group in self._state for n in group]
        return self._ordered(np.mean(losses, dtype=float), dict(zip(names, state, strict=False)))

    def native(self) -> Callable[[str, int], Arrays]:
        """What gives the results by machine code, in memory that held a filling before, with so
        many threads."""

        def run(filling: str, threads: int) -> Arrays:
            training = self._training
            training.threads = threads
            _fill(training._module, filling)
            training._write(training._state)
            losses: list[float] = []
            _call(self.program, lambda: losses.append(training.epoch(*self._data)))
            return self._ordered(losses[0], {**training.parameters, **training.optimizer_state})

        return run

    def _ordered(self, loss: Any, state: dict[str, np.ndarray]) -> Arrays:
        return [np.asarray(float(loss)), *[state[n] for n in self.program.state.values()]]


def _interpreted(plan: Plan, *args: Any) -> Arrays:
    """One step of `plan`, the units of each kernel by themselves and in another order."""

    def by_units(code: LoopCode, memory: Any, place: int = 0) -> None:
        for unit in reversed(range(max(1, code.units))):
            interpret(code, memory, range(unit, unit + 1), place)

    with mock.patch.object(running, "interpret", by_units):
        return run_interpreted(plan, *args)


def _call(program: RandomProgram, run: Callable[[], Any]) -> None:
    # The name of the "file" is what faulthandler prints should native code crash.
    exec(compile("run()", f"<random program {program.seed}>", "exec"), {"run": run})


def _fill(module: Module, filling: str) -> None:
    """Let `module` work in memory that holds `filling`, the caller's arrays included."""
    numbers = count()

    def room(size: int) -> np.ndarray:
        memory = _guarded(size, next(numbers))
        word = np.array([FILLINGS[filling]], np.uint32).view(np.uint8)
        memory[...] = np.resize(word, size)
        return memory

    module.own = Arena(module.places, room=room)


@cache
def _pages(count: int, number: int) -> np.ndarray:
    """Memory between two pages that nothing may touch, where the system can do that."""
    block = mmap.mmap(-1, (count + 2) * mmap.PAGESIZE)
    whole = np.frombuffer(block, np.uint8)
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        for page in (0, count + 1):
            place = ctypes.c_void_p(whole.ctypes.data + page * mmap.PAGESIZE)
            assert libc.mprotect(place, mmap.PAGESIZE, 0) == 0
    return whole[mmap.PAGESIZE : -mmap.PAGESIZE]


def _guarded(size: int, number: int) -> np.ndarray:
    """`size` bytes that end where a forbidden page begins; others for each `number`."""
    pages = _pages(-(-size // mmap.PAGESIZE) or 1, number)
    return pages[len(pages) - size :]
