"""Machine code of a program, and the functions that run it."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from myad.compile.dtypes import DTYPES, native
from myad.compile.llvm.arena import Arena
from myad.compile.llvm.native import NativeModule
from myad.compile.llvm.pointer import address
from myad.compile.llvm.team import together
from myad.compile.places import Place, Places

if TYPE_CHECKING:
    from myad.compile.loops.plan import Plan


class Stages(NamedTuple):
    """What a program went through on its way to machine code, for people who read it."""

    plan: Plan
    ir: str


class Module:
    """Compiled kernels, and the arenas in which they run; running allocates nothing.

    `inputs` and `outputs` are the places of the program's; `given`, `poison` as in `Arena`;
    `stages()` gives plan and LLVM IR, which need not be there for the code to run.

    `call`, and `run` in an arena from `arena()`, may be used by several threads at once: each run
    has its arena. `write`, `read` and `run` without one work in one arena of the module's own.
    """

    def __init__(
        self, code: NativeModule, places: Places, *, stages: Callable[[], Stages],
        given: Sequence[np.ndarray] = (), poison: int | None = None,
    ) -> None:  # fmt: skip
        self.code, self.places, self._made = code, places, stages
        self.inputs, self.outputs = places.inputs, places.outputs
        self._given = [np.array(value) for value in given]
        self._poison = poison
        self._idle: list[Arena] = []  # list.pop and list.append are one step for all threads
        self._pack = struct.Struct(f"{3 + places.streams + len(places.arrays)}P").pack
        kinds = (
            ctypes.c_double, ctypes.c_char_p, ctypes.c_int64, ctypes.c_double,
            ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p,
        )  # fmt: skip
        self._run = ctypes.CFUNCTYPE(*kinds)(code.address("run"))
        self._results = [place for place in places.arrays if not place.is_argument]
        self._fresh = [(place.given, np.dtype(DTYPES[place.dtype])) for place in self._results]
        self._is_plain = self._results == places.outputs

    @cached_property
    def _stages(self) -> Stages:
        return self._made()

    @property
    def plan(self) -> Plan:
        """Kernels, layouts, loop code and memory."""
        return self._stages.plan

    @property
    def ir(self) -> str:
        """The LLVM IR."""
        return self._stages.ir

    @cached_property
    def own(self) -> Arena:
        """The arena of `write`, `read` and `run`."""
        return Arena(self.places, self._given, self._poison)

    def write(self, place: Place, array: np.ndarray) -> None:
        """Set the value of an input."""
        self.own.write(place, array)

    def read(self, place: Place) -> np.ndarray:
        """A copy of the value of an output or state."""
        return self.own.read(place)

    @contextmanager
    def arena(self) -> Iterator[Arena]:
        """An arena that nobody else uses meanwhile."""
        arena = self._take()
        try:
            yield arena
        finally:
            self._idle.append(arena)

    def _take(self) -> Arena:
        try:
            return self._idle.pop()
        except IndexError:
            return Arena(self.places, self._given, self._poison)

    def call(self, values: Sequence[np.ndarray], threads: int = 1) -> list[np.ndarray]:
        """The outputs for these inputs, as arrays of their own.

        The plan is one of `build(arrays=True)`: inputs are read where they lie, if they lie as
        C does and in this machine's byte order, and results written into fresh arrays.
        """
        values = [native(value) for value in values]
        results = [np.empty(shape, dtype) for shape, dtype in self._fresh]
        arena = self._take()
        try:
            arena.spoil()
            table = self._pack(arena.address, 0, 0, *map(address, values + results))
            self._start(arena, table, 1, 0.0, threads)
            return results if self._is_plain else self._outputs(values, results, arena)
        finally:
            self._idle.append(arena)

    def _outputs(
        self, values: list[np.ndarray], results: list[np.ndarray], arena: Arena
    ) -> list[np.ndarray]:
        """Results, and copies of what is an input, a constant, or returned a second time."""
        whole = dict(zip((*self.inputs, *self._results), (*values, *results), strict=True))
        own = set(self._results)
        outputs = []
        for place in self.outputs:
            array = whole[place] if place in whole else arena.read(place)
            outputs.append(array if place in own or place not in whole else array.copy())
            own.discard(place)
        return outputs

    def run(
        self, streams: Sequence[np.ndarray] = (), rows: np.ndarray | None = None, steps: int = 1,
        out: np.ndarray | None = None, arena: Arena | None = None, total: float = 0.0,
        threads: int = 1,
    ) -> float:  # fmt: skip
        """Run all kernels `steps` times; `total` and the sum of the loss over the steps.

        With several `threads` the result is the same to the bit. One is used where no kernel is
        large enough to be shared.

        `streams` are as from `native`, `rows` int32 with the examples of all steps, each checked to
        be a row of the streams by the caller; `out` is of `collected(steps)`.
        """
        arena = self.own if arena is None else arena
        arena.spoil()
        where = rows.ctypes.data if rows is not None else 0
        pointers = [stream.ctypes.data for stream in streams]
        kept = out.ctypes.data if out is not None else 0
        table = self._pack(arena.address, where, kept, *pointers, *arena.addresses)
        return self._start(arena, table, steps, total, threads)

    def _start(
        self, arena: Arena, table: bytes, steps: int, total: float, threads: int
    ) -> float:  # fmt: skip
        threads = min(threads, self.places.parts)
        arena.forget_fault()
        if threads == 1:
            total = self._run(table, steps, total, 0, 1, None)
        else:
            before = total
            total = together(
                lambda thread, sync: self._run(table, steps, before, thread, threads, sync), threads
            )
        arena.raise_fault()
        return total

    def collected(self, steps: int) -> np.ndarray:
        """Room for the collected output of `steps` steps."""
        place = self._collect
        return np.empty((steps, place.size), DTYPES[place.dtype])

    def unpack(self, out: np.ndarray) -> np.ndarray:
        """What `run` collected, (steps × batch, …)."""
        place = self._collect
        strides = (out.strides[0], *(step * out.itemsize for step in place.strides))
        whole: np.ndarray = np.ndarray((len(out), *place.shape), out.dtype, out, strides=strides)
        return whole.reshape(len(out) * place.given[0], *place.given[1:])

    @property
    def _collect(self) -> Place:
        assert self.places.collect is not None
        return self.places.outputs[self.places.collect]
