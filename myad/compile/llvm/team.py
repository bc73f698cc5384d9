"""Python threads that run native code together.

They are started once and wait for work. The caller gives it to one of them, which tells the others:
an interrupt of the caller can come before or after that, never between, and nobody waits at a
barrier for someone who was not called.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

import numpy as np

Work = Callable[[int, int], float]

# Memory in which threads meet: words of 8 bytes, each on a line of its own.
ARRIVED, ROUND, REST, LEAVE, WORDS = 0, 8, 16, 24, 32


def together(work: Work, threads: int) -> float:
    """`work(thread, sync)` in `threads` threads at once; what the first of them returns.

    `sync` is the address of memory in which their native code meets. An interrupt is raised when
    all have ended.
    """
    return _team(threads).run(work)


class _Job:
    """One piece of work: `busy` threads have not ended it, `bell` is free once none is left.

    What the caller's thread does to it can be interrupted anywhere, so nothing of it has to happen
    once and only once; the counting is done by the threads, which no signal reaches.
    """

    def __init__(self, work: Work, size: int) -> None:
        self.work: Work | None = work
        self.busy, self.begun = size, False
        self.result = 0.0
        self.failure: BaseException | None = None
        self.lock, self.bell = threading.Lock(), threading.Lock()
        self.bell.acquire()

    def end(self, number: int, result: float, failure: BaseException | None) -> None:
        """Thread `number` has ended it."""
        with self.lock:
            if number == 0:
                self.result = result
            self.failure = self.failure or failure
            self.busy -= 1
            if not self.busy:
                self.bell.release()


class _Team:
    """`size` threads that do one job at a time, together: the first of them tells the others."""

    def __init__(self, size: int) -> None:
        self.turn = threading.Lock()  # one caller at a time
        self.boxes: list[SimpleQueue[_Job]] = [SimpleQueue() for _ in range(size)]
        self.job: _Job | None = None
        memory = np.zeros(WORDS, np.int64)
        memory[REST] = _rest_address()
        self.memory, self.sync = memory, memory.ctypes.data
        for number in range(size):
            threading.Thread(target=self._serve, args=(number,), daemon=True,
                             name=f"myad-{number}").start()  # fmt: skip

    def run(self, work: Work) -> float:
        with self.turn:
            if self.job is not None:  # a second interrupt left it behind
                self._settle(self.job)
            job = self.job = _Job(work, len(self.boxes))
            interrupt: BaseException | None = None
            while self.job is not None:
                try:
                    self._settle(job)
                    self.job = job.work = None
                except BaseException as caught:  # what a handler of signals raises
                    interrupt = caught
        if interrupt is not None or job.failure is not None:
            raise interrupt or job.failure  # type: ignore[misc]
        return job.result

    def _settle(self, job: _Job) -> None:
        """Have `job` done, or wait for its end if it has begun."""
        self.boxes[0].put(job)
        while job.busy:
            job.bell.acquire(timeout=0.1)

    def _serve(self, number: int) -> None:
        while True:
            job = self.boxes[number].get()
            if number == 0 and not self._spread(job):
                continue
            work, result, failure = job.work, 0.0, None
            assert work is not None
            try:
                result = work(number, self.sync)
            except BaseException as error:
                failure = error
                self.memory[LEAVE] = 1  # nobody waits for this one at a barrier
            del work  # what it holds is not kept until the next one comes
            job.end(number, result, failure)
            del job

    def _spread(self, job: _Job) -> bool:
        """Give `job` to the others, once."""
        if job.begun:
            return False
        job.begun = True
        self.memory[ARRIVED] = self.memory[LEAVE] = 0
        for box in self.boxes[1:]:
            box.put(job)
        return True


_teams: dict[int, _Team] = {}
_starting = threading.Lock()


def _team(size: int) -> _Team:
    with _starting:
        if size not in _teams:
            _teams[size] = _Team(size)
        return _teams[size]


def _forget() -> None:
    """In a forked child no thread of the parent's runs: it starts its own."""
    global _starting
    _starting = threading.Lock()
    _teams.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


@cache
def _rest_address() -> int:
    """The address of a function of the system that gives the processor to others for a moment.

    `usleep` of some microseconds; on Windows, which has none so short, `SwitchToThread`, which
    takes no argument and is not disturbed by one.
    """
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).usleep
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address
