"""Memory groups of both versions, on file trees made for the test, and a real one where allowed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.machine import cgroup
from harness.machine.cgroup import V1, V2, fresh_group
from harness.records.models import Memory

DEAD = 1 << 22  # above the largest PID that Linux gives out
FILES = {
    V1: {
        "memory.max_usage_in_bytes": "4096\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
    },
    V2: {"memory.peak": "4096\n", "memory.events": "low 0\noom 1\noom_kill 2\n"},
}


class Tree:
    """Both hierarchies in a folder; the harness is in `user` of each, mounts are as told."""

    def __init__(self, folder):
        self.v1, self.v2 = folder / "memory", folder / "unified"
        self.mounts, self.own = folder / "mountinfo", folder / "own"
        for group in (self.v1 / "user", self.v2 / "user"):
            group.mkdir(parents=True)
        for group in (self.v2, self.v2 / "user"):
            (group / "cgroup.subtree_control").write_text("cpu memory\n")
            (group / "cgroup.procs").write_text("")
        self.mount(V1, V2)
        self.be_in("/user")

    def mount(self, *versions, root="/"):
        """Write mountinfo: these versions, each showing the groups from `root` on."""
        lines = ["31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755"]
        lines.append(f"32 31 0:29 {root} /nowhere rw shared:5 - cgroup cgroup rw,cpu")
        if V1 in versions:
            lines.append(f"35 31 0:32 {root} {self.v1} rw,relatime - cgroup cgroup rw,memory")
        if V2 in versions:
            lines.append(f"41 31 0:38 {root} {self.v2} rw shared:9 master:2 - cgroup2 cgroup2 rw")
        self.mounts.write_text("\n".join(lines) + "\n")

    def be_in(self, path):
        self.own.write_text(f"9:name=systemd:/\n4:cpu,memory:{path}\n1:cpuset:/\n0::{path}\n")

    def fresh_group(self):
        return fresh_group(self.mounts, self.own)


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Folders that behave like groups: files appear in new ones, and do not keep them."""
    making, removing = Path.mkdir, Path.rmdir

    def mkdir(self, *arguments, **more):
        making(self, *arguments, **more)
        if self.name.startswith("bench-"):
            for name, text in FILES[V1 if "memory" in self.parts else V2].items():
                (self / name).write_text(text)

    def rmdir(self):
        for name in (*FILES[V1], *FILES[V2]):
            (self / name).unlink(missing_ok=True)
        removing(self)

    found = Tree(tmp_path)
    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(Path, "rmdir", rmdir)
    return found


@pytest.mark.parametrize("version", [V1, V2], ids=lambda v: v.name)
def test_group_is_made_below_the_own_one_and_removed(tree, version):
    tree.mount(version)
    with tree.fresh_group() as group:
        assert group.version == version
        assert group.home == group.path.parent == getattr(tree, version.name) / "user"
        peak = Memory(bytes=4096, method=version.method, bound="exact")
        assert group.peak() == peak
        assert group.out_of_memory_kills() == 2
        (group.path / version.peak).write_text("0\n")
        assert group.peak() is None, "nobody had joined"
    assert not group.path.exists()


def test_version_2_is_preferred(tree):
    with tree.fresh_group() as group:
        assert group.version is V2


def test_version_1_where_version_2_has_no_memory_controller(tree):
    for folder in (tree.v2, tree.v2 / "user"):
        (folder / "cgroup.subtree_control").write_text("cpu\n")
    with tree.fresh_group() as group:
        assert group.version is V1


def test_group_beside_the_own_one_where_that_may_not_have_children(tree):
    (tree.v2 / "user" / "cgroup.subtree_control").write_text("\n")
    with tree.fresh_group() as group:
        assert (group.path.parent, group.home) == (tree.v2, tree.v2 / "user")


@pytest.mark.parametrize("limit", ["memory.max", "memory.high", "cpu.max", "cpuset.cpus"])
def test_engine_does_not_escape_a_limit_of_the_harness(tree, limit):
    tree.mount(V2)
    (tree.v2 / "user" / "cgroup.subtree_control").write_text("\n")
    (tree.v2 / "user" / limit).write_text("max 100000\n")
    with tree.fresh_group() as group:
        assert group is not None
    (tree.v2 / "user" / limit).write_text("1000\n")
    with tree.fresh_group() as group:
        assert group is None


def test_no_memory_controller_no_group(tree):
    tree.mount()
    with tree.fresh_group() as group:
        assert group is None


def test_old_kernel_without_peak(tree, monkeypatch):
    tree.mount(V2)
    monkeypatch.setattr(Path, "exists", lambda self: self.name != "memory.peak")
    with tree.fresh_group() as group:
        assert group is None
    monkeypatch.undo()
    assert not list((tree.v2 / "user").glob("bench-*"))


def test_no_cgroups_at_all(tmp_path):
    with fresh_group(tmp_path / "none", tmp_path / "none") as group:
        assert group is None


@pytest.mark.parametrize("path", ["/elsewhere", "/../user", "/user/gone/since"])
def test_own_group_that_cannot_be_reached_from_a_container(tree, path):
    tree.be_in(path)
    with tree.fresh_group() as group:
        assert group is None


def test_container_that_sees_its_part_of_the_tree(tree):
    tree.mount(V1, root="/docker/1")
    tree.be_in("/docker/1/user")
    with tree.fresh_group() as group:
        assert group.home == tree.v1 / "user"
    tree.be_in("/docker/2/user")
    with tree.fresh_group() as group:
        assert group is None


def test_empty_groups_of_dead_harnesses_are_removed(tree):
    user = tree.v2 / "user"
    stale, used = user / f"bench-{DEAD}-aa", user / f"bench-{DEAD}-bb"
    living, foreign = user / f"bench-{os.getppid()}-cc", user / "bench-mark-3"
    for path in (stale, used, living, foreign):
        path.mkdir()
    (used / "inner").mkdir()  # as a group with processes, it cannot be removed
    with tree.fresh_group():
        assert [path.exists() for path in (stale, used, living, foreign)] == [False] + 3 * [True]


def test_group_that_is_busy_for_a_moment_is_removed_later(tree, monkeypatch):
    removing, tries = Path.rmdir, []

    def rmdir(self):
        tries.append(self)
        if len(tries) < 3:
            raise OSError(16, "Device or resource busy")
        removing(self)

    monkeypatch.setattr(Path, "rmdir", rmdir)
    with tree.fresh_group() as group:
        pass
    assert len(tries) == 3
    assert not group.path.exists()


def test_group_that_stays_busy_is_left(tree, monkeypatch):
    def rmdir(self):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "rmdir", rmdir)
    monkeypatch.setattr(cgroup, "REMOVE_S", 0.0)
    with tree.fresh_group() as group:
        pass
    assert group.path.exists()


KILLED = """
import os, signal
from harness.machine.cgroup import fresh_group
with fresh_group() as group:
    print(group.path, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_real_group_of_a_killed_harness_is_removed_by_the_next(memory_group):
    killed = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, text=True)
    left = Path(killed.stdout.strip())
    assert left.name.startswith("bench-")
    assert left.exists()
    with fresh_group() as group:
        assert not left.exists()
        assert group.path.exists()
    assert not group.path.exists()
