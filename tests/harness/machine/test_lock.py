"""The lock: one place per host and user, and everything that measures takes part in it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.machine import lock
from harness.machine.lock import LOCK_VARIABLE, LockError

BENCH = [sys.executable, "-m", "harness.cli"]
HOLD = """
import sys, time
from harness.machine.lock import measuring
with measuring(wait=False):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def held(home):
    """Another process measures."""
    process = subprocess.Popen([sys.executable, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


TINY = ["--preset", "tiny.toml", "--engines", "myad-eager"]
COMMANDS = {
    "run": ["run", *TINY, "--no-verify", "--repeats", "1"],
    "verify": ["verify", *TINY],
    "curves": ["curves", *TINY, "--seeds", "1"],
    "sweep": ["sweep", *TINY, "--set", "training.epochs=1,2", "--no-verify", "--repeats", "1"],
}


@pytest.mark.parametrize("arguments", COMMANDS.values(), ids=COMMANDS)
def test_second_command_names_the_holder_and_leaves(held, home, arguments):
    done = subprocess.run(
        [*BENCH, *arguments], cwd=home, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert f"bench: process {held.pid} (bench), since " in done.stderr
    assert "--wait waits for it" in done.stderr
    assert done.stdout == ""


def test_doctor_leaves_the_comparison_out_while_another_measures(held, home):
    command = [*BENCH, "doctor", "--seconds", "600"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60)
    assert f"held by process {held.pid}" in done.stdout
    assert "A/A" not in done.stdout


def test_place_does_not_depend_on_the_folder_for_temporary_files(tmp_path):
    """Two that were started with different TMPDIR still know of each other."""
    code = "from harness.machine.lock import lock_path; print(lock_path())"
    found = set()
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        told = {**os.environ, "TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder)}
        told.pop(LOCK_VARIABLE, None)
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=told, capture_output=True, text=True, check=True)
        found.add(done.stdout.strip())
    (path,) = map(Path, found)
    assert not path.is_relative_to(tmp_path)
    assert path.parent.stat().st_uid == os.getuid()
    assert path.parent.stat().st_mode & 0o022 == 0, "nobody else may put anything there"


def test_folder_of_another_user_or_a_link_is_no_place_for_the_lock(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(LockError, match="not a folder of this user's"):
        lock._own_folder(tmp_path / "link")
    if os.getuid() == 0:
        os.chown(tmp_path / "real", 12345, 12345)
        with pytest.raises(LockError, match="not a folder of this user's"):
            lock._own_folder(tmp_path / "real")


def test_holder_is_written_and_read_through_no_link(home):
    victim = home / "victim"
    victim.write_text("mine")
    holder = Path(os.environ[LOCK_VARIABLE]).with_suffix(".holder")
    holder.symlink_to(victim)
    with lock.measuring(wait=False):
        assert str(os.getpid()) in lock.holder()
    assert victim.read_text() == "mine"
    victim.write_text('{"pid": 1, "command": "secret", "since": "now"}')
    holder.symlink_to(victim)
    assert lock.holder() == "an unknown process"


def test_holder_that_is_a_pipe_is_not_waited_at(home):
    os.mkfifo(Path(os.environ[LOCK_VARIABLE]).with_suffix(".holder"))
    begin = time.monotonic()
    assert lock.holder() == "an unknown process"
    assert time.monotonic() - begin < 60


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_lock_that_is_no_file_is_refused(home, kind):
    path = Path(os.environ[LOCK_VARIABLE])
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(home / "elsewhere")
    with pytest.raises(LockError, match="not a regular file"), lock.measuring(wait=False):
        pass
    assert not (home / "elsewhere").exists()
