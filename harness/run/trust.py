"""Whose run is it? A manifest says what is executed, so one from elsewhere is not run unasked."""

import shlex
from pathlib import Path

from harness.errors import UsageError
from harness.machine.origin import is_ours
from harness.records.manifest import Manifest
from harness.safe.text import say


class ForeignError(UsageError):
    """The run was not begun by this user on this host, or was changed since."""


def require(folder: Path, manifest: Manifest, *, trusted: bool) -> None:
    """Show what a run from elsewhere would execute, and refuse it unless it is trusted.

    Raises: ForeignError. Nothing is written, removed or executed before.
    """
    if is_ours(manifest):
        return
    for entry in manifest.engines:
        say(f"{folder.name} executes, as engine {entry.name}: {shlex.join(entry.command)}")
    if not trusted:
        raise ForeignError(
            f"{folder}: not begun by this user on this machine, or changed since. Going on "
            "executes the commands above; --trust does so."
        )
