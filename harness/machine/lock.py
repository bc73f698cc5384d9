"""One measuring command at a time on a host: a file lock, which the kernel frees on a kill.

The holder writes who it is into a file beside the lock, so that the second one can say so.
"""

import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from harness.errors import BenchError

LOCK_VARIABLE = "MYAD_BENCH_LOCK"


class BusyError(BenchError):
    """Another measuring command holds the host."""


def lock_path() -> Path:
    """The lock's file, one per host: in the folder for temporary files, or $MYAD_BENCH_LOCK."""
    chosen = os.environ.get(LOCK_VARIABLE)
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / "myad-bench.lock"


def holder() -> str:
    """Who holds the lock, in words."""
    try:
        told = json.loads(_holder_path().read_text(encoding="utf-8"))
        return f"process {told['pid']} ({told['command']}), since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown process"


def is_held() -> bool:
    """Somebody is measuring now."""
    lock = FileLock(lock_path(), mode=0o666)
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
    lock = FileLock(lock_path(), mode=0o666)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise BusyError(
                f"{holder()} is measuring on this machine. Two at once would disturb each other; "
                "--wait waits for it."
            ) from None
        print(f"bench: waiting for {holder()}.", file=sys.stderr)
        lock.acquire(timeout=-1, poll_interval=0.2)
    try:
        _tell()
        yield
    finally:
        with contextlib.suppress(OSError):
            _holder_path().unlink()
        lock.release()


def _tell() -> None:
    told = {
        "pid": os.getpid(),
        "command": " ".join(["bench", *sys.argv[1:]]),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    with contextlib.suppress(OSError):  # another user's file: the lock still counts
        _holder_path().write_text(json.dumps(told), encoding="utf-8")


def _holder_path() -> Path:
    return lock_path().with_suffix(".holder")
