"""Python threads that run native code together.

They are started once and wait for work. All of them are woken by one act, so that an interrupt can
come before or after it, never between: nobody waits at a barrier for someone who was not called.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from functools import cache

import numpy as np

Work = Callable[[int, int], float]

# Memory in which threads meet: words of 8 bytes, each on a line of its own.
ARRIVED, ROUND, YIELD, LEAVE, WORDS = 0, 8, 16, 24, 32


def together(work: Work, threads: int) -> float:
    """`work(thread, sync)` in `threads` threads at once; what the first of them returns.

    `sync` is the address of memory in which their native code meets. An interrupt is raised when
    all have ended.
    """
    return _team(threads).run(work)


class _Team:
    """`size` threads that do one piece of work at a time, together.

    `with` is given plain locks, never a condition: between its `__enter__`, which is Python, and
    the block an interrupt would leave it locked.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.turn = threading.Lock()  # one caller at a time
        self.lock = threading.RLock()
        self.state = threading.Condition(self.lock)
        self.round = 0
        self.busy = 0
        self.work: Work | None = None
        self.result = 0.0
        self.failure: BaseException | None = None
        memory = np.zeros(WORDS, np.int64)
        memory[YIELD] = _yield_address()
        self.memory, self.sync = memory, memory.ctypes.data
        for number in range(size):
            threading.Thread(target=self._serve, args=(number,), daemon=True,
                             name=f"myad-{number}").start()  # fmt: skip

    def run(self, work: Work) -> float:
        with self.turn:
            self._wait()  # for what a second interrupt may have left behind
            try:
                self._begin(work)
                self._wait()
            except BaseException:  # an interrupt; whoever has begun ends before it is raised
                self._wait()
                raise
            failure, self.failure, self.work = self.failure, None, None
            if failure is not None:
                raise failure
            return self.result

    def _begin(self, work: Work) -> None:
        with self.lock:
            self.memory[ARRIVED] = self.memory[LEAVE] = 0
            self.work, self.failure = work, None
            self.busy, self.round = self.size, self.round + 1  # now all of them run, before it none
            self.state.notify_all()

    def _wait(self) -> None:
        """Until all have ended; an interrupt meanwhile is raised then."""
        interrupt: BaseException | None = None
        while True:
            try:
                with self.lock:
                    self.state.notify_all()
                    while self.busy:
                        self.state.wait()
                break
            except BaseException as caught:  # what a handler of signals raises
                interrupt = caught
        if interrupt is not None:
            raise interrupt

    def _serve(self, number: int) -> None:
        seen = 0
        while True:
            with self.lock:
                while self.round == seen:
                    self.state.wait()
                seen, work = self.round, self.work
            assert work is not None
            result, failure = 0.0, None
            try:
                result = work(number, self.sync)
            except BaseException as error:
                failure = error
                self.memory[LEAVE] = 1  # nobody waits for this one at a barrier
            del work  # what it holds is not kept until the next one comes
            with self.lock:
                if number == 0:
                    self.result = result
                if failure is not None:
                    self.failure = failure
                self.busy -= 1
                self.state.notify_all()


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
def _yield_address() -> int:
    """The address of the system's function that offers the processor to other threads."""
    if sys.platform == "win32":
        function = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    address = ctypes.cast(function, ctypes.c_void_p).value
    assert address is not None
    return address
