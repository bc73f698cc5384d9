"""Engines without network, that can write to their own folders alone: bubblewrap, on Linux.

Where it is asked for and does not work, that is an error: a run is never less apart than it says.
The whole system can be read, but for the folders where other programs' sockets lie: whoever may
connect to one of those can do more than read. Source: bwrap(1).
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from harness.errors import UsageError

NAME: Literal["bubblewrap"] = "bubblewrap"
PROGRAM = "bwrap"
HIDDEN = (Path("/tmp"), Path("/run"))
TRIED_FOR_S = 20.0
FIRST_SIGNAL, LAST_SIGNAL = 129, 192  # exit codes by which a shell, and bwrap, tells of a signal


class SandboxError(UsageError):
    """There is no sandbox here; the message says what is missing."""


def check() -> None:
    """Raises: SandboxError where `--sandbox` cannot be kept."""
    if not sys.platform.startswith("linux"):
        raise SandboxError("--sandbox: needs Linux and bubblewrap; leave it out on this system.")
    if shutil.which(PROGRAM) is None:
        raise SandboxError(
            f"--sandbox: {PROGRAM} is not installed; it is in the package {NAME} of every "
            "distribution."
        )
    command = wrapped([sys.executable, "-I", "-S", "-c", ""], [], [Path(sys.prefix)])
    try:
        done = subprocess.run(command, capture_output=True, timeout=TRIED_FOR_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SandboxError(f"--sandbox: {PROGRAM} does not work here: {error}.") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        why = lines[-1] if lines else f"exit code {done.returncode}"
        raise SandboxError(
            f"--sandbox: {PROGRAM} does not work here ({why}); the system must allow its users "
            "namespaces of their own."
        )


def wrapped(
    command: Sequence[str], writable: Iterable[Path], readable: Iterable[Path]
) -> list[str]:
    """The command inside a sandbox of its own; it starts in the folder where it would have.

    Args:
        writable: folders that it may change. readable: what it needs of the hidden folders.
    """
    seen = sorted({path.absolute() for path in readable}, key=lambda path: len(path.parts))
    needed = [path for path in seen if any(path.is_relative_to(hidden) for hidden in HIDDEN)]
    return [
        PROGRAM,
        *("--unshare-all", "--die-with-parent", "--cap-drop", "ALL"),
        *("--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"),
        *(part for hidden in HIDDEN if hidden.is_dir() for part in ("--tmpfs", str(hidden))),
        *(part for path in needed for part in ("--ro-bind", str(path), str(path))),
        *(part for path in writable for part in ("--bind", str(path), str(path))),
        "--",
        *command,
    ]


def needs(job: dict[str, Any], command: Sequence[str]) -> list[Path]:
    """What a job's process reads: its inputs, and the folders of its program and files."""
    texts = [*job["data"].values(), job["initial_weights"], job["weights"]]
    found = [Path(text).parent for text in texts if text is not None]
    programs = [Path(part) for part in command if Path(part).is_absolute()]
    # an interpreter's packages lie two folders above it
    found += [path.parent for path in programs if path.exists()]
    found += [path.parent.parent for path in programs[:1] if path.parent.name == "bin"]
    return [path for path in found if path not in HIDDEN]


def ended(answer: dict[str, Any]) -> dict[str, Any]:
    """The launcher's answer with the signal that ended the engine, as it is without a sandbox."""
    code = answer.get("exit_code")
    if code is None or not FIRST_SIGNAL <= code <= LAST_SIGNAL:
        return answer
    return {**answer, "exit_code": None, "signal": code - FIRST_SIGNAL + 1}
