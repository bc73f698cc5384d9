"""Where a run's workers are: `--cluster` as a scheduler's address, local:N, or a SLURM queue."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from harness.cluster.needs import needs
from harness.errors import UsageError

ADDRESS = re.compile(r"(tcp|tls|ws|wss)://[^\s/]+:\d{1,5}")
LOCAL = re.compile(r"local:(\d{1,3})")
RESTART_S = 0.2
TLS_KEYS = {"ca_file", "cert", "key"}
SLURM_KEYS = {"slurm", "worker"}


class Site(Protocol):
    """Where workers are. security: of Dask's connections, None without."""

    security: Any

    def open(self) -> AbstractContextManager[str]:
        """The scheduler's address, for as long as the run needs it."""
        ...


def site(
    text: str,
    *,
    tls: Path | None = None,
    commands: Sequence[str] = (),
    engine_paths: Sequence[Path] = (),
) -> Site:
    """What `--cluster TEXT` means. commands, engine_paths: for the workers that it starts itself.

    Raises: UsageError naming what is allowed, or the extra that is missing.
    """
    needs("distributed")
    security = read_security(tls)
    if ADDRESS.fullmatch(text):
        return Scheduler(text, security)
    if (match := LOCAL.fullmatch(text)) and 1 <= int(match[1]) <= 64:
        return Local(int(match[1]), security, tuple(commands), tuple(engine_paths))
    if text.endswith(".toml"):
        from harness.cluster.slurm import Slurm

        return Slurm(read_toml(Path(text), SLURM_KEYS), security, commands, engine_paths)
    raise UsageError(
        f"--cluster '{text}': expected tcp://scheduler:8786 (or tls://), local:2, or a file "
        "such as slurm.toml."
    )


def read_security(path: Path | None) -> Any:
    """Dask's TLS settings from a TOML file with ca_file, cert and key; None without a file.

    Raises: UsageError.
    """
    if path is None:
        return None
    given = read_toml(path, TLS_KEYS)
    if set(given) != TLS_KEYS:
        raise UsageError(f"{path}: needs {', '.join(sorted(TLS_KEYS))}, each a path.")
    files = {key: str((path.parent / str(value)).resolve()) for key, value in given.items()}
    for key, file in files.items():
        if not Path(file).is_file():
            raise UsageError(f"{path}: {key}: there is no file {file}.")
    return security_of(files)


def security_of(files: dict[str, str]) -> Any:
    """Dask's TLS settings from the paths of ca_file, cert and key, the same for every role."""
    from distributed.security import Security

    roles = {
        f"tls_{role}_{part}": files[part]
        for role in ("client", "worker", "scheduler")
        for part in ("cert", "key")
    }
    return Security(tls_ca_file=files["ca_file"], require_encryption=True, **roles)


def read_toml(path: Path, allowed: set[str]) -> dict[str, Any]:
    """A TOML file with some of the keys that are allowed. Raises: UsageError."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {error}.") from error
    if strange := set(found) - allowed:
        raise UsageError(
            f"{path}: {', '.join(sorted(strange))}: no such key; "
            f"allowed: {', '.join(sorted(allowed))}."
        )
    return found


@dataclass
class Scheduler:
    """One that runs already, with workers of its own."""

    address: str
    security: Any = None

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        """See Site. Raises: UsageError if nobody is there."""
        from harness.cluster.link import Link, LinkBroken

        try:
            Link(self.address, self.security).close()
        except LinkBroken as error:
            raise UsageError(f"--cluster {self.address}: {error}") from error
        yield self.address


@dataclass
class Local:
    """A scheduler and workers on this machine, started again when one of them ends.

    program: of a worker; it takes the arguments of `bench worker`.
    """

    count: int
    security: Any = None
    commands: tuple[str, ...] = ()
    engine_paths: tuple[Path, ...] = ()
    program: tuple[str, ...] = (sys.executable, "-m", "harness.cli", "worker")

    @contextlib.contextmanager
    def open(self) -> Iterator[str]:
        """See Site."""
        if self.security is not None:
            raise UsageError("--cluster local:N: its connections stay on this machine; no TLS.")
        port = _free_port()
        address = f"tcp://127.0.0.1:{port}"
        programs = [_scheduler(port), *(self._worker(address, n) for n in range(self.count))]
        with _kept_running(programs):
            yield address

    def _worker(self, address: str, number: int) -> list[str]:
        command = [*self.program, address, "--with-parent"]
        command += ["--name", f"local-{number}"]
        for text in self.commands:
            command += ["--command", text]
        for path in self.engine_paths:
            command += ["--engine-path", str(path)]
        return command


def _scheduler(port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1"),
        *("--port", str(port), "--no-dashboard", "--dashboard-address", ":0", "--no-show"),
        *("--preload", "harness.cluster.preload", "--preload", "harness.cluster.orphan"),
    ]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def _kept_running(commands: Sequence[Sequence[str]]) -> Iterator[None]:
    """Start programs, and again whenever one ends; each ends when this process does."""
    running = [_begin(command) for command in commands]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(RESTART_S):
            for place, process in enumerate(running):
                if process.poll() is not None:
                    _end(process)
                    running[place] = _begin(commands[place])

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
        for process in running:
            process.terminate()
        for process in running:
            _end(process)


def _begin(command: Sequence[str]) -> subprocess.Popen[bytes]:
    log = None if os.environ.get("BENCH_CLUSTER_LOG") else subprocess.DEVNULL
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdin is not None:
        process.stdin.close()
