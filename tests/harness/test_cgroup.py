"""Groups of cgroup v2, on a file tree made for the test: root may not have one here."""

from pathlib import Path

import pytest

from harness.cgroup import fresh_group, out_of_memory_kills, peak_bytes


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A root with a group `user` that may hand out memory; new folders get a memory.peak."""
    root = tmp_path / "cgroup"
    user = root / "user"
    user.mkdir(parents=True)
    for folder in (root, user):
        (folder / "cgroup.subtree_control").write_text("cpu memory\n")
        (folder / "cgroup.procs").write_text("")
    own = tmp_path / "own"
    own.write_text("1:name=systemd:/\n0::/user\n")
    making = Path.mkdir

    def mkdir(self, *arguments, **more):
        making(self, *arguments, **more)
        if self.name.startswith("bench-"):
            (self / "memory.peak").write_text("4096\n")
            (self / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    monkeypatch.setattr(Path, "rmdir", lambda self: [p.unlink() for p in self.iterdir()])
    return root, own


def test_group_is_made_below_the_own_one_and_removed(tree):
    root, own = tree
    with fresh_group(root, own) as group:
        assert group is not None
        assert group.parent == root / "user"
        assert peak_bytes(group) == 4096
        assert out_of_memory_kills(group) == 2
        (group / "memory.peak").write_text("0\n")
        assert peak_bytes(group) is None, "nobody had joined"
    assert not list(group.iterdir())


def test_group_beside_the_own_one_where_that_may_not_have_children(tree):
    root, own = tree
    (root / "user" / "cgroup.subtree_control").write_text("\n")
    with fresh_group(root, own) as group:
        assert group is not None
        assert group.parent == root


def test_no_memory_controller_no_group(tree):
    root, own = tree
    for folder in (root, root / "user"):
        (folder / "cgroup.subtree_control").write_text("cpu\n")
    with fresh_group(root, own) as group:
        assert group is None
    assert peak_bytes(None) is None
    assert out_of_memory_kills(None) == 0


def test_old_kernel_without_peak(tree, monkeypatch):
    root, own = tree
    monkeypatch.setattr(Path, "exists", lambda self: self.name != "memory.peak")
    with fresh_group(root, own) as group:
        assert group is None


def test_no_cgroups_at_all(tmp_path):
    with fresh_group(tmp_path, tmp_path / "none") as group:
        assert group is None
