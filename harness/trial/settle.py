"""Before a trial: let the heat of the one before go, and wait until the machine is quiet."""

import time
from collections.abc import Callable

from harness.machine import noise
from harness.process.supervise import Control

REST = 0.1  # of the time of the trial before: what it heats, it heats in proportion to its work
LOOK_S = 0.25
BUSY = 0.10  # of one core, used by others: the share at which a trial would count as disturbed


def settle(
    before_s: float,
    *,
    most_s: float,
    quiet_s: float,
    control: Control,
    on_tick: Callable[[], None] = lambda: None,
) -> float:
    """Pause, then wait for quiet; returns the seconds that this took.

    Args:
        before_s: seconds of the trial that ended just now, 0 without one.
        most_s: the longest pause. quiet_s: the longest wait after it; then the trial runs all the
            same, and its witnesses tell.
    """
    begin = time.monotonic()
    _sleep(min(most_s, REST * before_s), control, on_tick)
    end = time.monotonic() + quiet_s
    while not control.stopping and time.monotonic() < end and not _is_quiet(control, on_tick):
        pass
    return time.monotonic() - begin


def _is_quiet(control: Control, on_tick: Callable[[], None]) -> bool:
    """Whether others left the machine alone while we looked."""
    before = noise.snapshot()
    _sleep(LOOK_S, control, on_tick)
    after = noise.snapshot()
    seen, passed = noise.witnesses(before, after, 0.0), after.at - before.at
    steal = max(noise.STEAL_SHARE * passed, 0.02)  # counters tick at 10 ms
    return (seen.other_cpu_s or 0.0) <= BUSY * passed and (seen.steal_s or 0.0) <= steal


def _sleep(seconds: float, control: Control, on_tick: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while not control.stopping and (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 0.1))
        on_tick()
