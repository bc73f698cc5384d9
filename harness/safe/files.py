"""Files that an engine or a stranger may have made: opened, read, written and removed warily.

Never through a link, never waiting (a pipe would block for ever), regular files only, and no more
of them than was asked for. What is refused is an OSError whose `strerror` says why, so that whoever
handles a file that cannot be read handles these, too.
"""

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from io import BufferedReader, BufferedWriter, FileIO
from pathlib import Path

# Windows has neither links that anybody may make, nor pipes among files, nor these flags
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
NO_TERMINAL = getattr(os, "O_NOCTTY", 0)
FOLDER = getattr(os, "O_DIRECTORY", 0)
BINARY = getattr(os, "O_BINARY", 0)
WALKS = os.open in os.supports_dir_fd and os.unlink in os.supports_dir_fd
KINDS = (
    (stat.S_ISLNK, "a link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Refused(OSError):
    """Not a file that may be used: a link, a pipe, a device, a folder, or larger than allowed."""

    def __init__(self, reason: str, path: Path) -> None:
        super().__init__(errno.EPERM, reason, str(path))


def open_regular(path: Path, *, below: Path | None = None, follow: bool = False) -> BufferedReader:
    """Open a file for reading.

    Args:
        below: no folder on the way from here to the file may be a link either.
        follow: go through a link, as where a person named the file on a command line.
    Raises: Refused; OSError where it is not there or not readable.
    """
    flags = os.O_RDONLY | NO_WAIT | NO_TERMINAL | BINARY | (0 if follow else NO_FOLLOW)
    return os.fdopen(_checked(_opened(path, flags, below), path), "rb")


def read(path: Path, cap: int, *, below: Path | None = None, follow: bool = False) -> bytes:
    """All of a file of at most `cap` bytes. Raises: Refused, OSError."""
    with open_regular(path, below=below, follow=follow) as file:
        content = file.read(cap + 1)
    if len(content) > cap:
        raise Refused(f"larger than {cap} bytes", path)
    return content


def read_text(path: Path, cap: int, *, below: Path | None = None, follow: bool = False) -> str:
    """The same as text in UTF-8. Raises: Refused, OSError, UnicodeDecodeError."""
    return read(path, cap, below=below, follow=follow).decode()


def tail(path: Path, count: int, *, below: Path | None = None) -> bytes:
    """The last `count` bytes of a file. Raises: Refused, OSError."""
    with open_regular(path, below=below) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - count, 0))
        return file.read(count)


def open_to_change(path: Path) -> FileIO:
    """Open a file to read and write it, unbuffered; it is made where it is not there.

    Raises: Refused, OSError.
    """
    flags = os.O_RDWR | os.O_CREAT | NO_FOLLOW | NO_WAIT | NO_TERMINAL | BINARY
    return os.fdopen(_checked(_opened(path, flags, None), path), "r+b", buffering=0)


def is_regular(path: Path) -> bool:
    """A regular file is there, and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # ValueError: a name that holds a zero byte
        return False


def is_folder(path: Path) -> bool:
    """A folder is there, and no link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def create(path: Path, *, below: Path | None = None) -> BufferedWriter:
    """A new, empty file; whatever lies there goes first, a link itself and not what it points to.

    Raises: Refused where a folder on the way from `below` is a link; OSError.
    """
    with _parent(path, below) as (name, folder):
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=folder)
            else:
                os.unlink(name, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | BINARY
        return os.fdopen(os.open(name, flags, 0o666, dir_fd=folder), "wb")


def replace(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Write a file whole or not at all; a new file takes the place of an old one or of a link."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with create(temporary) as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def folder(root: Path, *parts: str) -> Path:
    """A folder below `root`, made where it is not there. `root` itself may be reached by links.

    Raises: Refused where a part is a link or a file, or no plain name.
    """
    path = root
    path.mkdir(parents=True, exist_ok=True)
    for part in parts:
        path = path / plain_name(part)
        with contextlib.suppress(FileExistsError):
            path.mkdir()
        mode = path.lstat().st_mode
        if not stat.S_ISDIR(mode):
            raise Refused(f"{kind(mode)}, not a folder", path)
    return path


def remove(root: Path, *parts: str) -> None:
    """Remove a folder, file or link below `root` with all that is in it; it need not be there.

    Links are removed, and never gone through. Raises: Refused where a part is no plain name or a
    folder on the way is a link; OSError.
    """
    path = root.joinpath(*map(plain_name, parts))
    if path == root:
        raise Refused("nothing below it was named", path)
    try:
        with _parent(path, root) as (name, parent):
            if stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                shutil.rmtree(name, dir_fd=parent)
            else:
                os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return


def plain_name(name: str) -> str:
    """The name, if it names something in a folder and nothing outside. Raises: Refused."""
    if name in ("", ".", "..") or any(sign in name for sign in ("/", "\\", "\0")):
        raise Refused("not a plain name", Path(name.replace("\0", "")))
    return name


def kind(mode: int) -> str:
    """What lies there, in two words, from its mode."""
    return next((words for test, words in KINDS if test(mode)), "a regular file")


def _checked(descriptor: int, path: Path) -> int:
    """The descriptor, if it is of a regular file; else it is closed. Raises: Refused."""
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise Refused(f"{kind(mode)}, not a regular file", path)
    return descriptor


def _opened(path: Path, flags: int, below: Path | None) -> int:
    try:
        with _parent(path, below) as (name, folder):
            return os.open(name, flags, 0o666, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refused("a link, not a regular file", path) from None
        if error.errno == errno.ENXIO:  # a socket; of a pipe only the other end
            raise Refused("a socket, not a regular file", path) from None
        raise
    except ValueError:
        raise Refused("a name that holds a zero byte", Path(repr(path))) from None


@contextlib.contextmanager
def _parent(path: Path, below: Path | None) -> Iterator[tuple[str, int | None]]:
    """The name of a file inside its folder, and that folder's descriptor.

    Without `below`, and where the system cannot open relative to a folder: the whole path, None.
    """
    if below is None or not WALKS:
        yield str(path), None
        return
    *folders, name = path.relative_to(below).parts
    descriptor = os.open(below, os.O_RDONLY | FOLDER)
    try:
        for part in folders:
            descriptor = _stepped_into(descriptor, part, path)
        yield plain_name(name), descriptor
    finally:
        os.close(descriptor)


def _stepped_into(parent: int, part: str, path: Path) -> int:
    """The descriptor of a folder inside another one, whose own is closed in exchange."""
    try:
        found = os.open(plain_name(part), os.O_RDONLY | FOLDER | NO_FOLLOW, dir_fd=parent)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused(f"'{part}' is a link or a file, not a folder", path) from None
        raise
    os.close(parent)
    return found
