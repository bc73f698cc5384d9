"""Is this machine fit to measure? One finding per question, with advice where it is not."""

import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.data.cache import cache_folder
from harness.machine import cgroup, host, lock, noise
from harness.process import timeline

MIN_FREE_MEMORY = 2_000_000_000  # TensorFlow needs 1.2 GB
MIN_FREE_DISK = 500_000_000
MAX_CLOCK_STEP_S = 1e-5
MAX_BUSY = 0.10  # of one core
LOOK_S = 1.0


@dataclass(frozen=True)
class Finding:
    """One question: its name, whether the answer is good, the answer, and what to do if not."""

    name: str
    ok: bool
    answer: str
    advice: str = ""


def examine(results: Path = Path("results"), *, is_held: bool = False) -> list[Finding]:
    """All findings that need no measuring; takes about a second.

    Args:
        results: where runs would be written.
        is_held: another command is measuring.
    """
    checks: list[Callable[[], Finding]] = [
        _clock,
        lambda: _lock(is_held),
        _launcher,
        _cgroup,
        _governor,
        _turbo,
        _cores,
        _quiet,
        _steal,
        _free_memory,
        lambda: _free_disk("results", results),
        lambda: _free_disk("data cache", cache_folder()),
        _energy,
    ]
    return [check() for check in checks]


def _clock() -> Finding:
    begin = time.monotonic_ns()
    while (step := time.monotonic_ns() - begin) == 0:
        pass
    return Finding(
        "clock",
        step / 1e9 <= MAX_CLOCK_STEP_S,
        f"monotonic, steps of {step} ns",
        "the clock source is slow: see /sys/devices/system/clocksource, prefer tsc or kvm-clock",
    )


def _lock(is_held: bool) -> Finding:
    return Finding(
        "lock",
        not is_held,
        f"held by {lock.holder()}" if is_held else "free",
        "wait until the other command is done, or use --wait",
    )


def _launcher() -> Finding:
    good = timeline.ON_LINUX and timeline.HAS_CHILDREN
    return Finding(
        "process tree",
        good,
        "orphans are adopted, children are seen" if good else "reduced on this system",
        "measure on Linux for exact figures; records name what was missing in `degraded`",
    )


def _cgroup() -> Finding:
    """Only engines of several processes need one, so its absence is no fault of the machine."""
    with cgroup.fresh_group() as group:
        pass
    if group is None:
        absent = "no memory group can be made: the peak of engines of several processes is sampled"
        return Finding("cgroup", True, absent)
    version = group.version
    return Finding(
        "cgroup", True, f"{version.name}, a group per process: exact peaks of trees, {version.peak}"
    )


def _governor() -> Finding:
    found = host.governor()
    return Finding(
        "governor",
        found in (None, "performance"),
        found or "not told",
        "set it: sudo cpupower frequency-set -g performance",
    )


def _turbo() -> Finding:
    found = host.turbo()
    return Finding(
        "turbo",
        found is not True,
        {None: "not told", True: "on", False: "off"}[found],
        "the clock depends on temperature and neighbours; off is steadier: "
        "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost",
    )


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding(
        "cores",
        (usable or 1) >= 2,
        f"{usable} usable, {host.cpu_model()}",
        "with one core the harness and the engine share it; use a machine with two",
    )


def _quiet() -> Finding:
    before, times = noise.snapshot(), _cpu_times()
    time.sleep(LOOK_S)
    seen = noise.witnesses(before, noise.snapshot(), 0.0)
    busy = (seen.other_cpu_s or 0.0) / LOOK_S
    return Finding(
        "quiet",
        busy <= MAX_BUSY,
        f"others use {100 * busy:.0f} % of a core, load {seen.load_after or 0.0:.2f}",
        f"close other programs; busiest now: {_busiest(times, _cpu_times())}",
    )


def _steal() -> Finding:
    before = noise.snapshot()
    time.sleep(0.2)
    seen = noise.witnesses(before, noise.snapshot(), 0.0)
    if seen.steal_s is None:
        return Finding("steal", True, "not told")
    share = seen.steal_s / 0.2
    return Finding(
        "steal",
        share <= noise.STEAL_SHARE,
        f"{100 * share:.0f} % taken by the hypervisor",
        "another guest uses this machine's cores; measure at another time or place",
    )


def _free_memory() -> Finding:
    free = psutil.virtual_memory().available
    return Finding(
        "free memory", free >= MIN_FREE_MEMORY, f"{free / 1e9:.1f} GB", "close other programs"
    )


def _free_disk(name: str, folder: Path) -> Finding:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    free, writable = shutil.disk_usage(place).free, os.access(place, os.W_OK)
    return Finding(
        f"disk for {name}",
        writable and free >= MIN_FREE_DISK,
        f"{free / 1e9:.1f} GB free" if writable else "not writable",
        "make room or choose another folder",
    )


def _energy() -> Finding:
    readable = bool(noise.snapshot().energy_uj)
    return Finding(
        "energy", True, "RAPL counters are read" if readable else "not readable, left out"
    )


def _cpu_times() -> dict[tuple[int, str], float]:
    """CPU seconds of every other process so far, by PID and name."""
    found = {}
    for process in psutil.process_iter(["name", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is not None and process.pid != os.getpid():
            found[process.pid, process.info["name"] or "?"] = times.user + times.system
    return found


def _busiest(before: dict[tuple[int, str], float], after: dict[tuple[int, str], float]) -> str:
    """The three processes that have used most CPU time in between."""
    used = {key: now - before.get(key, 0.0) for key, now in after.items()}
    names = [f"{name} ({pid})" for pid, name in sorted(used, key=used.__getitem__, reverse=True)]
    return ", ".join(names[:3]) or "not told"
