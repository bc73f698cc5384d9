"""A memory group of its own for a trial (cgroup v2), where the system allows one.

Its `memory.peak` is the kernel's exact figure for a whole process tree. It counts page cache that
the tree brought in, too; the method is written beside the figure.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")


@contextlib.contextmanager
def fresh_group(root: Path = ROOT, own: Path = OWN) -> Iterator[Path | None]:
    """A new, empty group for one process tree; None where none can be made."""
    group = _make(root, own)
    try:
        yield group
    finally:
        if group is not None:
            with contextlib.suppress(OSError):  # processes that linger keep it; it costs nothing
                group.rmdir()


def peak_bytes(group: Path | None) -> int | None:
    """The group's `memory.peak`; None without a group or where nobody joined it."""
    if group is None:
        return None
    try:
        return int((group / "memory.peak").read_text()) or None
    except (OSError, ValueError):
        return None


def out_of_memory_kills(group: Path | None) -> int:
    """How many processes of the group the kernel killed for want of memory."""
    if group is None:
        return 0
    try:
        lines = (group / "memory.events").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _make(root: Path, own: Path) -> Path | None:
    for parent in _parents(root, own):
        try:
            if "memory" not in (parent / "cgroup.subtree_control").read_text().split():
                continue
            if not os.access(parent / "cgroup.procs", os.W_OK):
                continue
            group = parent / f"bench-{os.getpid()}-{secrets.token_hex(4)}"
            group.mkdir()
        except OSError:
            continue
        if (group / "memory.peak").exists():
            return group
        with contextlib.suppress(OSError):
            group.rmdir()
    return None


def _parents(root: Path, own: Path) -> list[Path]:
    """Where a group could be made: below the harness's own group, or beside it."""
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        if line.startswith("0::"):
            here = root / line[3:].lstrip("/")
            return [here, here.parent] if here != root else [here]
    return []
