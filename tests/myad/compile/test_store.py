"""What is kept on disk is found again, or made again: never anything else."""

import errno
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from myad.compile import store as disk
from myad.compile.store import Doubt, Store

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="nothing is kept elsewhere")
CONTENT = bytes(range(256)) * 2


@pytest.fixture
def kept(tmp_path):
    return Store(tmp_path / "cache" / "myad")


@pytest.fixture
def file(kept):
    """The one file of a store that holds `CONTENT` under "k"."""
    assert kept.write("k", CONTENT)
    return kept.path / "k"


def test_what_is_written_is_found_by_another(kept, file):
    assert Store(kept.path).read("k") == CONTENT
    assert kept.read("other") is None
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in kept.path.iterdir()] == ["k"]


def test_a_folder_is_made_only_to_write(kept):
    assert kept.read("k") is None
    assert not kept.path.exists()


def test_a_file_cut_at_any_length_is_not_found(kept, file):
    whole = file.read_bytes()
    for length in range(0, len(whole), 7):
        file.write_bytes(whole[:length])
        assert kept.read("k") is None
    file.write_bytes(whole + b"\0")
    assert kept.read("k") is None
    file.write_bytes(whole)
    assert kept.read("k") == CONTENT


def test_a_bit_that_has_flipped_anywhere_is_seen(kept, file):
    whole = file.read_bytes()
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        file.write_bytes(changed)
        assert kept.read("k") is None, place


def test_another_keys_file_is_not_taken(kept, file):
    file.rename(kept.path / "other")
    assert kept.read("other") is None


def test_a_link_is_not_followed(kept, file, tmp_path):
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert kept.read("k") is None
    assert kept.write("k", CONTENT)  # replaces the link, not what it leads to
    assert not file.is_symlink()
    assert kept.read("k") == CONTENT


def test_a_folder_that_is_a_link_is_not_used(kept, file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(kept.path)
    assert Store(link).read("k") is None
    assert not Store(link).write("k", b"")


@pytest.mark.parametrize("mode", [0o750, 0o705, 0o770, 0o777])
def test_a_folder_open_to_others_is_not_used(kept, file, mode):
    kept.path.chmod(mode)
    assert kept.read("k") is None
    assert not kept.write("new", CONTENT)
    kept.path.chmod(0o700)
    assert kept.read("k") == CONTENT


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_may_write_is_not_read(kept, file, mode):
    file.chmod(mode)
    assert kept.read("k") is None


def test_what_belongs_to_somebody_else_is_not_used(kept, file, monkeypatch):
    monkeypatch.setattr(disk.os, "geteuid", lambda: os.getuid() + 1)
    assert kept.read("k") is None
    assert not kept.write("new", CONTENT)


@pytest.mark.skipif(getattr(os, "geteuid", int)() != 0, reason="only root gives files away")
def test_a_file_that_was_given_away_is_not_read(kept, file):
    os.chown(file, 12345, -1)
    assert kept.read("k") is None


def test_what_is_no_file_is_not_read(kept, file):
    file.unlink()
    os.mkfifo(file)
    assert kept.read("k") is None  # and does not wait for a writer
    file.unlink()
    file.mkdir()
    assert kept.read("k") is None
    assert not kept.write("k", CONTENT)
    assert [path.name for path in kept.path.iterdir()] == ["k"]


def test_a_disk_that_takes_no_more_leaves_nothing_behind(kept, file):
    """The limit of a file's size stops the write half-way, as a full disk does."""
    code = (
        "import resource, sys; from pathlib import Path; from myad.compile.store import Store\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "sys.exit(Store(Path(sys.argv[1])).write('new', bytes(30_000)))\n"
    )
    assert subprocess.run([sys.executable, "-c", code, str(kept.path)], check=False).returncode == 0
    assert [path.name for path in kept.path.iterdir()] == ["k"]
    assert kept.read("k") == CONTENT


def test_a_rename_that_fails_leaves_nothing_behind(kept, file, monkeypatch):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(disk.os, "replace", full)
    assert not kept.write("new", CONTENT)
    assert [path.name for path in kept.path.iterdir()] == ["k"]


def test_many_writers_and_readers_at_once(kept):
    """Each reader sees nothing or one whole content."""
    contents = {bytes([n]) * 50_000 for n in range(8)}

    def work(n):
        seen = set()
        for _ in range(20):
            assert kept.write("k", bytes([n]) * 50_000)
            seen.add(kept.read("k"))
        return seen

    with ThreadPoolExecutor(8) as pool:
        seen = set().union(*pool.map(work, range(8)))
    assert seen <= contents
    assert [path.name for path in kept.path.iterdir()] == ["k"]


def test_two_processes_at_once(kept):
    code = (
        "import sys; from pathlib import Path; from myad.compile.store import Store\n"
        "kept = Store(Path(sys.argv[1]))\n"
        "for n in range(50):\n"
        "    assert kept.write('k', sys.argv[2].encode() * 30_000)\n"
        "    assert kept.read('k') in (b'a' * 30_000, b'b' * 30_000)\n"
    )
    command = [sys.executable, "-c", code, str(kept.path)]
    running = [subprocess.Popen([*command, letter]) for letter in "ab"]
    assert [process.wait(60) for process in running] == [0, 0]
    assert kept.read("k") in (b"a" * 30_000, b"b" * 30_000)


def test_the_least_recently_used_are_removed_above_the_cap(tmp_path):
    kept = Store(tmp_path / "cache", cap_bytes=10_000)
    for n, name in enumerate("abcdefgh"):
        assert kept.write(name, bytes(1100))
        os.utime(kept.path / name, ns=(n, n))
    assert kept.read("a") == bytes(1100)  # used now
    assert kept.write("i", bytes(1100))
    left = {path.name: path.stat().st_size for path in kept.path.iterdir()}
    assert set(left) == {"a", "e", "f", "g", "h", "i"}
    assert sum(left.values()) <= 7500


def test_what_a_dead_writer_left_is_removed_in_time(kept, file):
    old, new = kept.path / ".k.1.aa", kept.path / ".k.2.bb"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (1, 1))
    assert kept.write("other", CONTENT)
    assert not old.exists()
    assert new.exists()


@pytest.fixture
def chosen(monkeypatch):
    """A function: the store of a process with these variables."""

    def choose(**variables):
        disk.store.cache_clear()
        for name in ("MYAD_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        return disk.store()

    yield choose
    monkeypatch.undo()
    disk.store.cache_clear()


def test_where_it_lies(chosen, tmp_path, monkeypatch):
    assert chosen(MYAD_CACHE="0") is None
    assert chosen(MYAD_CACHE=tmp_path / "own").path == tmp_path / "own"
    assert chosen(XDG_CACHE_HOME=tmp_path / "xdg").path == tmp_path / "xdg" / "myad"
    assert chosen(HOME=tmp_path, MYAD_CACHE="1").path == tmp_path / ".cache" / "myad"
    assert chosen(HOME=tmp_path).path == tmp_path / ".cache" / "myad"
    assert chosen(HOME=tmp_path, XDG_CACHE_HOME="relative").path == tmp_path / ".cache" / "myad"
    monkeypatch.setattr(disk.sys, "platform", "win32")
    assert chosen(MYAD_CACHE=tmp_path) is None


def test_a_folder_that_was_asked_for_and_cannot_be_used_is_named(chosen, tmp_path):
    tmp_path.chmod(0o755)
    with pytest.warns(RuntimeWarning, match=rf"MYAD_CACHE={tmp_path}: .*is open to others"):
        assert chosen(MYAD_CACHE=tmp_path) is None
    (tmp_path / "file").touch()
    with pytest.warns(RuntimeWarning, match="Not a directory"):
        assert chosen(MYAD_CACHE=tmp_path / "file") is None


def test_a_doubt_says_what_it_is():
    with pytest.raises(Doubt, match="damaged"):
        disk._checked("k", b"")
