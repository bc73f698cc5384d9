"""Memory over time of the processes of one trial, sampled; and which figure is the peak.

The peak of a single process is the kernel's own (`ru_maxrss`), since sampling misses short peaks.
Sampling draws the timeline, sees children, threads and CPU time. Adding resident sizes over a tree
counts shared pages again and again, so a tree is measured by its proportional set size (PSS), where
the kernel offers it.
"""

import csv
import io
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from harness.records.models import Memory
from harness.safe import files

# `children` needs CONFIG_PROC_CHILDREN, which distributions set; elsewhere psutil looks everywhere
ON_LINUX = sys.platform == "linux"
HAS_CHILDREN = os.path.exists("/proc/self/task") and os.path.exists(  # noqa: PTH110
    f"/proc/self/task/{os.getpid()}/children"
)
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
TICKS_PER_S = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
MAX_ROWS = 2000  # of memory.csv: enough for a plot, small enough to keep
COLUMNS = ("t_s", "rss_bytes", "pss_bytes", "processes", "threads", "phase_ended")


@dataclass
class Glance:
    """One process at one moment; `started` tells apart two processes with the same PID."""

    pid: int
    started: float
    rss_bytes: int
    threads: int
    cpu_s: float


@dataclass
class Timeline:
    """The samples of one process tree and what they add up to.

    rows: as COLUMNS, `t_s` from the engine's start, `pss_bytes` None for a single process.
    cpu_s: last CPU time seen of each process, by (pid, start).
    """

    rows: list[tuple[float, int, int | None, int, int, str]] = field(default_factory=list)
    cpu_s: dict[tuple[int, float], float] = field(default_factory=dict)
    sampler_s: float = 0.0
    tree_peak_bytes: int = 0
    tree_method: str = "sampled pss"
    most_processes: int = 0
    most_threads: int = 0

    def sample(self, launcher_pid: int, start_ns: int, phase_ended: str = "") -> None:
        """Look once at everything below the launcher."""
        before = time.thread_time()
        glances = [g for pid in tree(launcher_pid) if (g := look(pid)) is not None]
        if glances:
            self._note(glances, (time.monotonic_ns() - start_ns) / 1e9, phase_ended)
        self.sampler_s += time.thread_time() - before

    def _note(self, glances: list[Glance], t_s: float, phase_ended: str) -> None:
        rss = sum(g.rss_bytes for g in glances)
        pss = None
        if len(glances) > 1:
            pss = proportional_bytes([g.pid for g in glances])
            if pss is None:
                self.tree_method = "sampled rss"  # counts shared pages again: too much, if anything
            self.tree_peak_bytes = max(self.tree_peak_bytes, rss if pss is None else pss)
        for g in glances:
            self.cpu_s[g.pid, g.started] = g.cpu_s
        threads = sum(g.threads for g in glances)
        self.most_processes = max(self.most_processes, len(glances))
        self.most_threads = max(self.most_threads, threads)
        self.rows.append((t_s, rss, pss, len(glances), threads, phase_ended))

    def write(self, path: Path, *, below: Path | None = None) -> None:
        """Write `memory.csv`, thinned to MAX_ROWS by keeping the largest row of each group.

        Raises: Refused where a folder on the way from `below` has become a link.
        """
        group = -(-len(self.rows) // MAX_ROWS) or 1
        with (
            files.create(path, below=below) as raw,
            io.TextIOWrapper(raw, encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for begin in range(0, len(self.rows), group):
                rows = self.rows[begin : begin + group]
                largest = max(rows, key=lambda row: row[1])
                marks = "+".join(row[-1] for row in rows if row[-1])
                t_s, *numbers = largest[:-1]
                writer.writerow([f"{t_s:.6f}", *("" if n is None else n for n in numbers), marks])


def peaks(
    timeline: Timeline,
    engine_bytes: int,
    group: Memory | None,
    method: str = "wait4 ru_maxrss",
) -> tuple[Memory, Memory | None]:
    """The peak of the largest single process and, where there were children, that of the tree.

    Args:
        engine_bytes: the kernel's figure for the largest process, got by `method`.
        group: the kernel's figure for the trial's own memory group, if it had one.
    """
    largest = Memory(bytes=engine_bytes, method=method, bound="exact")
    if timeline.most_processes <= 1:
        return largest, None
    if group is not None and group.bytes >= engine_bytes:
        return largest, group
    if group is not None or timeline.tree_peak_bytes < engine_bytes:
        # One process alone was larger than every sample of the tree, or than what its group was
        # charged (files that others had read before are not): the truth is at least that.
        return largest, Memory(bytes=engine_bytes, method=method, bound="lower")
    return largest, Memory(
        bytes=timeline.tree_peak_bytes, method=timeline.tree_method, bound="sampled"
    )


def tree(launcher_pid: int) -> list[int]:
    """PIDs of everything below the launcher (orphans are its children too, on Linux)."""
    if not HAS_CHILDREN:
        return _tree_by_psutil(launcher_pid)
    found: list[int] = []
    queue = [launcher_pid]
    while queue:
        children = _children(queue.pop())
        found += children
        queue += children
    return found


def look(pid: int) -> Glance | None:
    """A process at this moment; None if it is gone or a zombie."""
    if not ON_LINUX:
        return _look_by_psutil(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 (20 times a second)
            # proc(5): fields from the third on stand after the last bracket
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[0] == b"Z":
        return None
    cpu_s = (int(fields[11]) + int(fields[12])) / TICKS_PER_S
    return Glance(pid, float(fields[19]), int(fields[21]) * PAGE, int(fields[17]), cpu_s)


def proportional_bytes(pids: list[int]) -> int | None:
    """Sum of the proportional set sizes; None where the kernel does not tell them."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", "rb") as file:  # noqa: PTH123
                lines = [line for line in file if line.startswith(b"Pss:")]
        except FileNotFoundError:
            if not os.path.exists("/proc/self/smaps_rollup"):  # noqa: PTH110
                return None
            continue
        except OSError:
            continue  # it ended meanwhile (ESRCH), or changed its user
        total += sum(int(line.split()[1]) * 1024 for line in lines)
    return total


def _children(pid: int) -> list[int]:
    """Children of a process, those of every thread, as the kernel lists them."""
    found: list[int] = []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208
    except OSError:
        return found
    for thread in threads:
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:  # noqa: PTH123
                found += map(int, file.read().split())
        except OSError:
            continue  # the thread ended meanwhile
    return found


def _tree_by_psutil(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def _look_by_psutil(pid: int) -> Glance | None:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            times = process.cpu_times()
            return Glance(
                pid,
                process.create_time(),
                process.memory_info().rss,
                process.num_threads(),
                times.user + times.system,
            )
    except psutil.Error:
        return None
