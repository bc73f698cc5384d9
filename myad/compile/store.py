"""Bytes kept on disk from process to process, one file per key; for what can be made again.

MYAD_CACHE=0 switches it off, MYAD_CACHE=path puts it elsewhere than in the user's cache folder.

What is read will be executed, so it is trusted only if nobody else can have written it: folder and
files are the user's own, closed to others, and no links. Every file has a checksum over its key and
its content. Whatever is wrong, nothing is found, and the content made again. Files are written
aside and renamed: a reader sees one whole or not at all, however many write.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

VARIABLE = "MYAD_CACHE"
CAP_BYTES = 256 * 2**20  # of all files together
KEPT_SHARE = 0.75  # of the cap, when the files used least recently are removed
STALE_S = 3600.0  # what a writer that died has left is removed after this
MAGIC = b"myad 1\n\0"
DIGEST_BYTES = hashlib.sha256().digest_size


class Doubt(Exception):
    """Why a folder or a file is not to be trusted."""


class Store:
    """A folder of files.

    Args: path: of the folder, made when something is first written. cap_bytes: of all files.
    """

    def __init__(self, path: Path, cap_bytes: int = CAP_BYTES) -> None:
        self.path, self.cap_bytes = path, cap_bytes

    def read(self, key: str) -> bytes | None:
        """What was written under `key`, if it is there and beyond doubt."""
        try:
            with self._folder() as folder:
                return _checked(key, _read_own(folder, key))
        except (OSError, Doubt):
            return None

    def write(self, key: str, content: bytes) -> bool:
        """Keep `content` under `key`; whether that was possible."""
        try:
            with self._folder(make=True) as folder:
                _write_aside(folder, key, MAGIC + _digest(key, content) + content)
                self._trim(folder, key)
        except (OSError, Doubt):
            return False
        return True

    @contextmanager
    def _folder(self, make: bool = False) -> Iterator[int]:
        """The folder, open: what happens to its path meanwhile is of no account."""
        if make:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            _check_own(os.fstat(folder), 0o077)
            yield folder
        finally:
            os.close(folder)

    def _trim(self, folder: int, newest: str) -> None:
        """Remove the files used least recently, if all together are too large; and old rests."""
        found = []
        for name in os.listdir(folder):
            with suppress(OSError):
                status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if name.startswith(".") and time.time() - status.st_mtime > STALE_S:
                    os.unlink(name, dir_fd=folder)
                else:
                    found.append((name == newest, status.st_mtime_ns, status.st_size, name))
        total = sum(size for _, _, size, _ in found)
        if total <= self.cap_bytes:
            return
        for is_newest, _, size, name in sorted(found):
            if total <= KEPT_SHARE * self.cap_bytes or is_newest:
                break
            with suppress(OSError):
                os.unlink(name, dir_fd=folder)
            total -= size


def _check_own(status: os.stat_result, forbidden: int) -> None:
    if status.st_uid != os.geteuid():
        raise Doubt("belongs to somebody else")
    if stat.S_IMODE(status.st_mode) & forbidden:
        raise Doubt("is open to others")


def _read_own(folder: int, name: str) -> bytes:
    file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(file, "rb") as opened:
        status = os.fstat(file)
        _check_own(status, 0o022)
        if not stat.S_ISREG(status.st_mode):
            raise Doubt("is no file")
        content = opened.read()
        with suppress(OSError):
            os.utime(file)  # used now: by this, the least recently used is known
    return content


def _checked(key: str, whole: bytes) -> bytes:
    head = len(MAGIC) + DIGEST_BYTES
    content = whole[head:]
    if whole[:head] != MAGIC + _digest(key, content):
        raise Doubt("is damaged, or another key's")
    return content


def _digest(key: str, content: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + content).digest()


def _write_aside(folder: int, name: str, whole: bytes) -> None:
    aside = f".{name}.{os.getpid()}.{os.urandom(8).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(aside, flags, 0o600, dir_fd=folder), "wb") as opened:
            opened.write(whole)
        os.replace(aside, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(aside, dir_fd=folder)
        raise


@cache
def store() -> Store | None:
    """The store of this process; None if it is switched off, or the system does not tell whose
    a file is."""
    asked = os.environ.get(VARIABLE, "")
    if asked == "0" or sys.platform != "linux":
        return None
    if asked in ("", "1"):
        folder = _user_folder()
        return None if folder is None else Store(folder / "myad")
    chosen = Store(Path(asked).expanduser().absolute())
    try:
        with chosen._folder(make=True):
            return chosen
    except (OSError, Doubt) as fault:
        warnings.warn(
            f"{VARIABLE}={asked}: the folder {fault}; nothing is kept. It must be this user's own,"
            " with mode 0700.", RuntimeWarning, stacklevel=2,
        )  # fmt: skip
        return None


def _user_folder() -> Path | None:
    """Where a user's caches go by the XDG base directory specification; None for no home."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():
        return base
    try:
        return Path.home() / ".cache"
    except RuntimeError:
        return None
