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
from pathlib import Path

import numpy as np

from myad.errors import OptionError

Work = Callable[[int, int], float]

WORDS = 32  # of 8 bytes, in which threads meet: arrived, round, the yield function; a line each


def available() -> int:
    """Processors this process may use: of its affinity mask, and of a container's quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        count = os.cpu_count() or 1
    return max(1, min(count, _quota()))


def team_size(threads: int) -> int:
    """`threads`, or as many as this process may use if that is less.

    Raises: OptionError unless it is an integer >= 1.
    """
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise OptionError(f"threads: must be an integer >= 1, not {threads!r}.")
    return min(int(threads), available())


@cache
def _quota() -> int:
    """Processors that the control group grants, rounded up; many if it sets no limit."""
    for quota, period in (
        ("/sys/fs/cgroup/cpu.max", None),
        ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
    ):
        try:
            words = Path(quota).read_text(encoding="ascii").split()
            if period is not None:
                words += Path(period).read_text(encoding="ascii").split()
            granted, each = int(words[0]), int(words[1])
        except (OSError, ValueError, IndexError):
            continue
        if granted > 0 and each > 0:
            return -(-granted // each)
    return 1 << 16


def together(work: Work, threads: int) -> float:
    """`work(thread, sync)` in `threads` threads at once; what the first of them returns.

    `sync` is the address of memory in which their native code meets. An interrupt is raised when
    all have ended.
    """
    return _team(threads).run(work)


class _Team:
    """`size` threads that do one piece of work at a time, together."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.turn = threading.Lock()  # one caller at a time
        self.state = threading.Condition()
        self.round = 0
        self.busy = 0
        self.work: Work | None = None
        self.result = 0.0
        self.failure: BaseException | None = None
        memory = np.zeros(WORDS, np.int64)
        memory[16] = _yield_address()
        self.memory, self.sync = memory, memory.ctypes.data
        for number in range(size):
            threading.Thread(target=self._serve, args=(number,), daemon=True,
                             name=f"myad-{number}").start()  # fmt: skip

    def run(self, work: Work) -> float:
        with self.turn:
            self._wait()  # for what an interrupt may have left behind
            before = self.round
            try:
                with self.state:
                    self.work, self.failure, self.busy = work, None, self.size
                    self.round += 1  # from here on all of them run, and before it none
                    self.state.notify_all()
            finally:
                if self.round != before:
                    self._wait()
            if self.failure is not None:
                raise self.failure
            return self.result

    def _wait(self) -> None:
        """Until all have ended; an interrupt meanwhile is raised then."""
        interrupt: BaseException | None = None
        while True:
            try:
                with self.state:
                    self.state.notify_all()
                    while self.busy:
                        self.state.wait()
                break
            except KeyboardInterrupt as caught:
                interrupt = caught
        if interrupt is not None:
            raise interrupt

    def _serve(self, number: int) -> None:
        seen = 0
        while True:
            with self.state:
                while self.round == seen:
                    self.state.wait()
                seen, work = self.round, self.work
            assert work is not None
            try:
                result = work(number, self.sync)
            except BaseException as error:  # ctypes raises before it calls: for all alike
                with self.state:
                    self.failure = error
                result = 0.0
            with self.state:
                if number == 0:
                    self.result = result
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
