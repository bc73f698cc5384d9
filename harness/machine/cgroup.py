"""A memory group of its own for a trial, where the system allows one.

Its peak is the kernel's exact account of a whole process tree: memory that is shared counts once,
files that the tree was the first to read (page cache) and kernel memory on its behalf count too.
The second version of the interface is used where it has the memory controller, else the first.
Sources: cgroups(7); Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

from harness.records.models import Memory

OWN = Path("/proc/self/cgroup")
MOUNTS = Path("/proc/self/mountinfo")
PREFIX = "bench-"
REMOVE_S = 2.0  # a killed process leaves its group some milliseconds after it was waited for
# of version 2: what a user may have set on the harness's own group, and a sibling would escape
LIMITS = ("memory.max", "memory.high", "memory.swap.max", "cpu.max", "cpuset.cpus")


@dataclass(frozen=True)
class Version:
    """One version of the interface: its files and what the record says of a peak from there."""

    name: str
    peak: str
    events: str
    method: str


V1 = Version(
    "v1",
    "memory.max_usage_in_bytes",
    "memory.oom_control",
    "cgroup v1 memory.max_usage_in_bytes",
)
V2 = Version("v2", "memory.peak", "memory.events", "cgroup memory.peak")


@dataclass(frozen=True)
class Group:
    """A folder that a process joins by its PID in `cgroup.procs`; `home`: where the harness is."""

    path: Path
    home: Path
    version: Version

    def peak(self) -> Memory | None:
        """The most it was ever charged; None where nobody has joined it."""
        found = _read(self.path / self.version.peak)
        if not found.isdecimal() or int(found) == 0:
            return None
        return Memory(bytes=int(found), method=self.version.method, bound="exact")

    def out_of_memory_kills(self) -> int:
        """How many of its processes the kernel killed for want of memory."""
        lines = _read(self.path / self.version.events).splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


@contextlib.contextmanager
def fresh_group(mounts: Path = MOUNTS, own: Path = OWN) -> Iterator[Group | None]:
    """A new, empty group for one process tree, removed afterwards; None where none can be made."""
    group = _make(mounts, own)
    try:
        yield group
    finally:
        if group is not None:
            _remove(group.path)


def _make(mounts: Path, own: Path) -> Group | None:
    for parent, home, version in _places(mounts, own):
        _remove_stale(parent)
        group = Group(parent / f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}", home, version)
        try:
            group.path.mkdir()
        except OSError:
            continue
        if (group.path / version.peak).exists():  # `memory.peak` came with Linux 5.19
            return group
        with contextlib.suppress(OSError):
            group.path.rmdir()
    return None


def _remove(path: Path) -> None:
    deadline = time.monotonic() + REMOVE_S
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                return  # the next group made here tries again, once this process has ended
            time.sleep(0.01)
        else:
            return


def _remove_stale(parent: Path) -> None:
    """Remove what harness processes that were killed have left; only empty groups can be."""
    for path in parent.glob(f"{PREFIX}*-*"):
        pid = path.name.split("-")[1]
        if pid.isdecimal() and not psutil.pid_exists(int(pid)):
            with contextlib.suppress(OSError):
                path.rmdir()


def _places(mounts: Path, own: Path) -> Iterator[tuple[Path, Path, Version]]:
    """(folder in which a group may be made, the harness's own, version), best first."""
    homes = _homes(mounts, own)
    if V2 in homes:
        # a group with processes of its own may not hand out memory: then a sibling is made
        home = homes[V2]
        places = [home] if any(_is_set(home / name) for name in LIMITS) else [home, home.parent]
        yield from ((place, home, V2) for place in places if _hands_out_memory(place))
    if V1 in homes:
        yield homes[V1], homes[V1], V1


def _homes(mounts: Path, own: Path) -> dict[Version, Path]:
    """The folder of this process's own group in each version that is mounted here."""
    paths = {}
    for line in _read(own).splitlines():
        number, controllers, name = line.split(":", 2)
        if number == "0":
            paths[V2] = PurePosixPath(name)
        elif "memory" in controllers.split(","):
            paths[V1] = PurePosixPath(name)
    homes = {}
    for version, root, point in _mounted(mounts):
        path = paths.get(version)
        # in a container, the path may be one of the host's that cannot be reached from here
        if path is None or not path.is_relative_to(root) or ".." in path.parts:
            continue
        home = Path(point) / path.relative_to(root)
        if home.is_dir():
            homes[version] = home
    return homes


def _mounted(mounts: Path) -> Iterator[tuple[Version, str, str]]:
    """(version, group at its root, folder) of every mount that could hand out memory."""
    for line in _read(mounts).splitlines():
        # proc(5): id parent device root folder options ... - type source options
        place, _, kind = line.partition(" - ")
        root, point = place.split()[3:5]
        name, *_, options = kind.split()
        if name == "cgroup2":
            yield V2, root, point
        elif name == "cgroup" and "memory" in options.split(","):
            yield V1, root, point


def _hands_out_memory(group: Path) -> bool:
    enabled = _read(group / "cgroup.subtree_control").split()
    return "memory" in enabled and os.access(group / "cgroup.procs", os.W_OK)


def _is_set(limit: Path) -> bool:
    return _read(limit).split()[:1] not in ([], ["max"])


def _read(path: Path) -> str:
    """Content without the newline at its end; empty where it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
