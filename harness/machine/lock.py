"""One measuring command at a time per host and user: a file lock, which the kernel frees on a kill.

It lies in one place whatever TMPDIR says, in a folder that only its user can write. The holder
writes who it is into a file beside the lock, so that the second one can say so.
"""

import contextlib
import json
import os
import stat
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from harness.errors import BenchError
from harness.safe import files
from harness.safe.text import one_line, say

LOCK_VARIABLE = "MYAD_BENCH_LOCK"  # another file, for tests
HOLDER_CAP = 1 << 16


class BusyError(BenchError):
    """Another measuring command holds the host."""


class LockError(BenchError):
    """The lock's place is not this user's own."""


def lock_path() -> Path:
    """The lock's file: of this user on this host, or $MYAD_BENCH_LOCK. Raises: LockError."""
    chosen = os.environ.get(LOCK_VARIABLE)
    if chosen:
        return Path(chosen)
    if not hasattr(os, "getuid"):  # Windows: a folder of the user's that is not carried about
        folder = platformdirs.user_state_path("myad-bench", appauthor=False)
        folder.mkdir(parents=True, exist_ok=True)
        return folder / "lock"
    # a home may be shared by many hosts, and /tmp is each one's own
    return _own_folder(Path(f"/tmp/myad-bench-{os.getuid()}")) / "lock"


def _own_folder(folder: Path) -> Path:
    """A folder that is this user's alone, made where it is not there. Raises: LockError."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise LockError(f"{folder}: not a folder of this user's; it is needed for the lock.")
    if found.st_mode & 0o022:
        folder.chmod(0o700)
    return folder


def holder() -> str:
    """Who holds the lock, in words."""
    try:
        told = json.loads(files.read(_holder_path(), HOLDER_CAP))
        words = f"process {told['pid']} ({told['command']}), since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return "an unknown process"
    return one_line(words)


def is_held() -> bool:
    """Somebody is measuring now."""
    lock = _lock()
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False


@contextlib.contextmanager
def measuring(*, wait: bool) -> Iterator[None]:
    """Hold the host while measuring.

    Args:
        wait: wait until it is free, instead of giving up at once.
    Raises: BusyError naming the holder.
    """
    lock = _lock()
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise BusyError(
                f"{holder()} is measuring on this machine. Two at once would disturb each other; "
                "--wait waits for it."
            ) from None
        say(f"waiting for {holder()}.")
        lock.acquire(timeout=-1, poll_interval=0.2)
    try:
        _tell()
        yield
    finally:
        with contextlib.suppress(OSError):
            _holder_path().unlink()
        lock.release()


def _lock() -> FileLock:
    path = lock_path()
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise LockError(f"{path}: not a regular file; it is needed for the lock.")
    return FileLock(path, mode=0o600)


def _tell() -> None:
    told = {
        "pid": os.getpid(),
        "command": " ".join(["bench", *sys.argv[1:]]),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):  # a full disk: the lock still counts
        files.replace(_holder_path(), json.dumps(told).encode())


def _holder_path() -> Path:
    return lock_path().with_suffix(".holder")
