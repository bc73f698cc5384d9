"""Witnesses of noise: what else the machine did while a process of a trial ran.

A snapshot is taken before and after; the difference goes into the record. What a platform does not
tell stays None. A fixed rule, `disturbances`, marks a trial; no trial is dropped because of it.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.records.models import ProcessResult, Witnesses

# The fixed rule. Each is a share of the wall time during which something else happened.
OTHER_CPU_SHARE = 0.10  # of one core: a competitor on another core still takes cache and clock
STEAL_SHARE = 0.02  # the hypervisor gave the core away
PRESSURE_SHARE = 0.10  # some task waited for memory or disk
SWAPPED_PAGES = 256  # 1 MiB: below that it is housekeeping
SWITCHES_PER_S = 200  # involuntary, of an engine of one thread: somebody wanted its core
SHORTEST_S = 0.2  # counters tick at 10 ms; shorter processes are judged by steal and swap only

THROTTLE_FILES = "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"
RAPL_FILES = "/sys/class/powercap/intel-rapl:?/energy_uj"


@dataclass(frozen=True)
class Snapshot:
    """Counters at one moment; all seconds are cumulative since boot."""

    at: float
    load: float | None
    busy_s: float
    steal_s: float | None
    swapped_pages: int | None
    throttled: int | None
    pressure_s: dict[str, float]
    frequency_mhz: float | None
    own_cpu_s: float
    energy_uj: dict[str, tuple[int, int]]
    oom_kills: int | None


def snapshot() -> Snapshot:
    """Read every counter that this machine offers."""
    cpu = psutil.cpu_times()
    idle = cpu.idle + getattr(cpu, "iowait", 0.0)
    steal = getattr(cpu, "steal", None)
    # guest time is contained in user time already
    total = sum(cpu) - getattr(cpu, "guest", 0.0) - getattr(cpu, "guest_nice", 0.0)
    vmstat = _vmstat()
    swapped = [vmstat[key] for key in ("pswpin", "pswpout") if key in vmstat]
    return Snapshot(
        at=time.monotonic(),
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        busy_s=total - idle - (steal or 0.0),
        steal_s=steal,
        swapped_pages=sum(swapped) if swapped else None,
        throttled=_throttled(),
        pressure_s={
            what: s for what in ("cpu", "memory", "io") if (s := _pressure(what)) is not None
        },
        frequency_mhz=_frequency(),
        own_cpu_s=time.process_time(),
        energy_uj=_energy(),
        oom_kills=vmstat.get("oom_kill"),
    )


def witnesses(before: Snapshot, after: Snapshot, trial_cpu_s: float) -> Witnesses:
    """What happened between two snapshots besides the trial's own `trial_cpu_s`."""
    own = after.own_cpu_s - before.own_cpu_s
    return Witnesses(
        load_before=before.load,
        load_after=after.load,
        other_cpu_s=max(after.busy_s - before.busy_s - trial_cpu_s - own, 0.0),
        steal_s=_grown(before.steal_s, after.steal_s),
        swapped_pages=_grown(before.swapped_pages, after.swapped_pages),
        throttled=_grown(before.throttled, after.throttled),
        pressure_cpu_s=_grown(before.pressure_s.get("cpu"), after.pressure_s.get("cpu")),
        pressure_memory_s=_grown(before.pressure_s.get("memory"), after.pressure_s.get("memory")),
        pressure_io_s=_grown(before.pressure_s.get("io"), after.pressure_s.get("io")),
        frequency_before_mhz=before.frequency_mhz,
        frequency_after_mhz=after.frequency_mhz,
    )


def energy_j(before: Snapshot, after: Snapshot) -> float | None:
    """Joules used by the processor packages in between (RAPL); None where unreadable."""
    if not before.energy_uj or set(before.energy_uj) != set(after.energy_uj):
        return None
    total = 0
    for name, (start, span) in before.energy_uj.items():
        total += (after.energy_uj[name][0] - start) % (span + 1)  # the counter wraps around
    return total / 1e6


def disturbances(process: str, result: ProcessResult) -> list[str]:
    """Why a process of a trial counts as disturbed, each with the number that says so."""
    seen, wall = result.witnesses, result.wall_s
    if not wall:
        return []
    found = []
    if seen.steal_s is not None and seen.steal_s > max(STEAL_SHARE * wall, 0.02):
        found.append(f"{process}: the hypervisor took {seen.steal_s:.2f} s of {wall:.2f} s")
    if (seen.swapped_pages or 0) > SWAPPED_PAGES:
        found.append(f"{process}: {seen.swapped_pages} pages were swapped")
    if seen.throttled:
        found.append(f"{process}: the processor was throttled {seen.throttled} times")
    if wall < SHORTEST_S:
        return found
    if (seen.other_cpu_s or 0.0) > OTHER_CPU_SHARE * wall:
        found.append(
            f"{process}: other processes used {seen.other_cpu_s:.2f} s CPU in {wall:.2f} s"
        )
    for what in ("memory", "io"):
        waited = getattr(seen, f"pressure_{what}_s") or 0.0
        if waited > PRESSURE_SHARE * wall:
            found.append(f"{process}: tasks waited {waited:.2f} s for {what}")
    # a runtime with many threads takes the core from itself: its switches witness nothing
    alone = (result.threads_seen or 1) == 1
    switches = result.involuntary_switches or 0
    if alone and switches > SWITCHES_PER_S * wall:
        found.append(f"{process}: {switches} involuntary context switches in {wall:.2f} s")
    return found


def _grown(before, after):
    """Difference of two counters; None where one is missing, 0 where one was set back."""
    return None if before is None or after is None else max(after - before, 0)


def _vmstat() -> dict[str, int]:
    try:
        with open("/proc/vmstat") as file:  # noqa: PTH123 (no path object for a kernel file)
            return {key: int(value) for key, value in (line.split() for line in file)}
    except OSError:
        return {}


def _pressure(what: str) -> float | None:
    """Seconds since boot in which some task waited for a resource (pressure stall)."""
    try:
        with open(f"/proc/pressure/{what}") as file:  # noqa: PTH123
            return int(file.readline().rpartition("total=")[2]) / 1e6
    except (OSError, ValueError):
        return None


def _throttled() -> int | None:
    counts = _integers(THROTTLE_FILES)
    return sum(counts.values()) if counts else None


def _frequency() -> float | None:
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError, RuntimeError):
        return None
    return frequency.current if frequency and frequency.current else None


def _energy() -> dict[str, tuple[int, int]]:
    """Per package: energy counter and the largest value it takes, in microjoules."""
    energy = _integers(RAPL_FILES)
    spans = _integers(RAPL_FILES.replace("energy_uj", "max_energy_range_uj"))
    found = {}
    for path, value in energy.items():
        span = spans.get(path.replace("energy_uj", "max_energy_range_uj"))
        if span is not None:
            found[path] = (value, span)
    return found


def _integers(pattern: str) -> dict[str, int]:
    """Contents of the readable files that match a pattern below the root."""
    found = {}
    for path in Path("/").glob(pattern.lstrip("/")):
        try:
            found[str(path)] = int(path.read_text())
        except (OSError, ValueError):
            continue
    return found
