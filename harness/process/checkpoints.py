"""Weights that an engine leaves while it trains: read and stamped as they appear.

An engine renames each file into the folder, `<epoch>.npz`. The harness reads all of it and then its
own clock: the bytes that are tested later had been written when that moment came. An engine can
change nothing of it afterwards, as its file is not read again, and gains nothing by announcing what
is not done. Reading comes before the stamp, which is therefore late (by a millisecond for a
megabyte) and never early.
"""

from __future__ import annotations

import ctypes
import os
import select
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from harness.safe import files

POLL_S = 0.005
IN_MOVED_TO = 0x80  # linux/inotify.h
END_S = 0.05  # how long the end may go unnoticed; a checkpoint is noticed at once
MOST_EVENTS = 1 << 16  # bytes of events read at once


@dataclass
class Folder:
    """Where checkpoints appear, and where the harness keeps what it has read.

    engine: the folder that the engine writes to. kept: the harness's own. epochs: how many there
    are to be. cap: the largest size of a file, in bytes.
    """

    engine: Path
    kept: Path
    epochs: int
    cap: int


@dataclass
class Seen:
    """What appeared.

    at_ns: epoch -> this system's monotonic clock. fault: the first that was wrong. method: how the
    harness was told.
    """

    at_ns: dict[int, int] = field(default_factory=dict)
    fault: str = ""
    method: str = ""


class Watcher:
    """A thread that waits for checkpoints; a context around the process that makes them."""

    def __init__(self, folder: Folder) -> None:
        self.seen = Seen()
        self._folder = folder
        self._wanted = {f"{epoch}.npz": epoch for epoch in range(1, folder.epochs + 1)}
        self._error: OSError | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Seen:
        self._told = _inotify(self._folder.engine)
        self.seen.method = f"polled every {1e3 * POLL_S:g} ms" if self._told is None else "inotify"
        self._thread.start()
        return self.seen

    def __exit__(self, *_: object) -> None:
        """Look once more and end. Raises: OSError where a checkpoint could not be kept."""
        self._over.set()
        self._thread.join()
        if self._told is not None:
            os.close(self._told)
        if self._error is not None:
            raise self._error

    def _watch(self) -> None:
        try:
            while not self._over.is_set():
                if self._wait():
                    self._look()
            self._look()
        except OSError as error:
            self._error = error

    def _wait(self) -> bool:
        """Until there may be something new, which is True, or for a while."""
        if self._told is None:
            self._over.wait(POLL_S)
            return True
        if not select.select([self._told], [], [], END_S)[0]:
            return False
        os.read(self._told, MOST_EVENTS)  # which names does not matter: all are looked for
        return True

    def _look(self) -> None:
        try:
            names = {path.name for path in self._folder.engine.iterdir()}
        except OSError as error:  # the engine has put something else there, or nothing
            self.seen.fault = self.seen.fault or f"their folder: {error.strerror}."
            return
        for name in sorted(self._wanted.keys() & names, key=self._wanted.__getitem__):
            self._take(name)

    def _take(self, name: str) -> None:
        epoch, path = self._wanted.pop(name), self._folder.engine / name
        try:
            content = files.read(path, self._folder.cap, below=self._folder.engine.parent.parent)
        except OSError as error:
            self.seen.fault = self.seen.fault or f"{name}: {error.strerror}."
            return
        self.seen.at_ns[epoch] = time.monotonic_ns()
        files.replace(self._folder.kept / name, content)


def _inotify(folder: Path) -> int | None:
    """A descriptor that becomes readable when a file is renamed into `folder`; None without."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0:
        return None
    if libc.inotify_add_watch(descriptor, os.fsencode(folder), IN_MOVED_TO) < 0:
        os.close(descriptor)
        return None
    return descriptor
