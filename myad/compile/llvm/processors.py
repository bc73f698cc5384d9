"""How many processors this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

import numpy as np

from myad.errors import OptionError

GROUPS, OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def team_size(threads: int) -> int:
    """`threads`, or as many as this process may use if that is less.

    Raises: OptionError unless it is an integer >= 1.
    """
    if isinstance(threads, bool) or not isinstance(threads, int | np.integer) or threads < 1:
        raise OptionError(f"threads: must be an integer >= 1, not {threads!r}.")
    return min(int(threads), available())


def available() -> int:
    """Processors this process may use: of its affinity mask, and of a container's quota."""
    try:
        count = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS, Windows
        count = os.cpu_count() or 1
    return max(1, min(count, quota() or count))


@cache
def quota(groups: Path = GROUPS, own: Path = OWN) -> int | None:
    """Processors that the control groups grant, rounded up; None if they set no limit.

    Args: groups: the folder in which the groups are mounted. own: the file with this process's
        group in each hierarchy. A group is bounded by those above it, too.
    Source: Linux, Documentation/admin-guide/cgroup-v2.rst (cpu.max), scheduler/sched-bwc.rst.
    """
    found = [_granted(group) for group in _groups(groups, own)]
    return min((count for count in found if count is not None), default=None)


def _groups(groups: Path, own: Path) -> Iterator[Path]:
    """The process's groups of both versions of the interface, and all above them."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = ["0::/", "1:cpu:/"]
    for line in lines:
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        top = groups / "cpu" if controllers else groups
        # in a container its own group is the top, whatever the path says: what is not there has
        # no limit
        inner = PurePosixPath(path.lstrip("/"))
        for group in (inner, *inner.parents):
            yield top / group


def _granted(group: Path) -> int | None:
    """The group's own limit."""
    words = [*_words(group / "cpu.max"),
             *_words(group / "cpu.cfs_quota_us"), *_words(group / "cpu.cfs_period_us")]  # fmt: skip
    try:
        time, period = int(words[0]), int(words[1])
    except (ValueError, IndexError):  # "max 100000", or no such file
        return None
    return -(-time // period) if time > 0 and period > 0 else None


def _words(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return []
