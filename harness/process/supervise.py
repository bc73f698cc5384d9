"""One process of a trial, run through the launcher: started, watched, measured, cleared away."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

from harness.machine.cgroup import Group, fresh_group
from harness.machine.noise import Snapshot, snapshot
from harness.process.checkpoints import Folder, Seen, Watcher
from harness.process.timeline import Timeline
from harness.records.models import Memory
from harness.records.store import REPORT_CAP
from harness.safe import files

LAUNCHER = Path(__file__).with_name(
    "launcher_windows.py" if sys.platform == "win32" else "launcher.py"
)
POLL_S = 0.05
SWEEP_S = 5.0  # how long to go on killing what a killed launcher has left


@dataclass(frozen=True)
class Limits:
    """What a process may do. timeout_s: wall time until it is stopped, None for no end.
    grace_s: from TERM to KILL. exit_grace_s: how long it may live on after its `done` line.
    log_cap: bytes kept of each log. cpus: pinned to these. sample_interval_s: None for none.
    """

    timeout_s: float | None = None
    grace_s: float = 2.0
    exit_grace_s: float = 10.0
    log_cap: int = 1 << 20
    cpus: tuple[int, ...] | None = None
    sample_interval_s: float | None = POLL_S


@dataclass
class Measurement:
    """What was seen of one process, before anything is concluded from it.

    ended: the launcher's last answer; empty if there was none, and then `failure` says why.
    stopped: "", "timeout", "hang" (alive after its result), "report" (report too large),
    "interrupted". spoiled: how the engine changed its folder. group_peak, group_oom_kills: of the
    memory group of its own, if it had one. checkpoints: those of a training that was to leave any.
    """

    outer_wall_s: float
    before: Snapshot
    after: Snapshot
    timeline: Timeline
    ended: dict[str, Any] = field(default_factory=dict)
    failure: str = ""
    stopped: str = ""
    spoiled: str = ""
    group_peak: Memory | None = None
    group_oom_kills: int = 0
    checkpoints: Seen | None = None


class Watch:
    """Follows the report while the engine writes it: phase marks, the `done` line, the size."""

    def __init__(self, report: Path) -> None:
        self.report = report
        self.done_at: float | None = None
        self.size = 0
        self._rest = b""

    def look(self) -> str:
        """Names of the phases that ended since the last look, joined by "+"."""
        with contextlib.suppress(OSError):
            size = self.report.lstat().st_size
            if size > self.size and size <= REPORT_CAP:
                return self._read()
            self.size = size
        return ""

    def _read(self) -> str:
        with files.open_regular(self.report, below=self.report.parent.parent) as file:
            file.seek(self.size)
            content = file.read(REPORT_CAP)
        self.size += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        ended = []
        for line in lines:
            event = _object(line)
            if event.get("event") == "phase":
                ended.append(str(event.get("name"))[:16])
            if event.get("event") == "done" and self.done_at is None:
                self.done_at = time.monotonic()
        return "+".join(ended)


class Process:
    """A launcher and the engine below it. `stop` may be called from a signal handler."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.started: dict[str, Any] = {}
        self._launcher = subprocess.Popen(
            [interpreter(), "-I", "-S", str(LAUNCHER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C in the terminal reaches the harness alone; each system heeds one of the two
            start_new_session=True,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self._send(json.dumps(order).encode())

    @property
    def pid(self) -> int:
        """The launcher's."""
        return self._launcher.pid

    def stop(self, *, at_once: bool = False) -> None:
        """Ask the launcher to end the engine: TERM, grace, KILL; or KILL straight away."""
        self._send(b"kill" if at_once else b"stop")

    def close(self) -> None:
        """Let go of the launcher; whatever it has not cleared away dies with the pipe."""
        stdin, stdout, stderr = (
            _pipe(self._launcher, name) for name in ("stdin", "stdout", "stderr")
        )
        with contextlib.suppress(OSError):
            stdin.close()
        try:
            self._launcher.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._launcher.kill()
            self._launcher.wait()
        self._listener.join(timeout=10)  # it ends with the launcher; until then it reads the pipes
        stdout.close()
        stderr.close()
        self._sweep()

    def _listen(self) -> None:
        for line in _pipe(self._launcher, "stdout"):
            self.answers.put(_object(line))
        words = _pipe(self._launcher, "stderr").read(4096).decode(errors="replace").strip()
        last = words.splitlines()[-1] if words else "it was killed"
        self.answers.put({"event": "lost", "reason": f"the launcher ended early: {last}"})

    def _send(self, line: bytes) -> None:
        pipe = _pipe(self._launcher, "stdin")
        with contextlib.suppress(OSError, ValueError):  # the launcher is gone: nothing to stop
            pipe.write(line + b"\n")
            pipe.flush()

    def _sweep(self) -> None:
        """If the launcher was killed, its engine's session may live on: end that."""
        session = self.started.get("pid")
        if session is None or self._launcher.returncode == 0 or not hasattr(os, "getsid"):
            return
        deadline = time.monotonic() + SWEEP_S
        while time.monotonic() < deadline and (members := _session(session)):
            for member in members:
                with contextlib.suppress(OSError):
                    os.kill(member, signal.SIGKILL)
            time.sleep(0.01)


def interpreter() -> str:
    """The Python that runs the launcher; it imports the standard library alone.

    On Windows a virtual environment's python.exe starts the real one as a child, which the sampler,
    looking below the launcher, would take for a part of the engine.
    """
    return getattr(sys, "_base_executable", sys.executable) if os.name == "nt" else sys.executable


class Control:
    """Where a signal handler finds the process that is running now."""

    def __init__(self) -> None:
        self.requests = 0
        self.process: Process | None = None

    @property
    def stopping(self) -> bool:
        """The user or the system asked this run to end."""
        return self.requests > 0

    def request_stop(self) -> None:
        """End the current trial; the second time without any grace."""
        self.requests += 1
        if self.process is not None:
            self.process.stop(at_once=self.requests > 1)


def run_process(
    command: list[str],
    folder: Path,
    environment: dict[str, str],
    *,
    report: Path,
    limits: Limits,
    control: Control,
    checkpoints: Folder | None = None,
    on_tick: Callable[[], None] = lambda: None,
) -> Measurement:
    """Run `command` in `folder` to its end and return what was seen of it.

    Logs, `memory.csv` and the engine's working folder are `folder`. No process is left afterwards.
    """
    before = snapshot()
    timeline = Timeline()
    seen = Measurement(0.0, before, before, timeline)
    watcher = contextlib.nullcontext() if checkpoints is None else Watcher(checkpoints)
    with fresh_group() as group, watcher as seen.checkpoints:
        begin = time.monotonic_ns()
        process = Process(_order(command, folder, environment, limits, group))
        control.process = process
        try:
            if control.stopping:  # the signal came while the launcher was being started
                process.stop()
            _follow(process, seen, Watch(report), limits, on_tick)
            seen.outer_wall_s = (time.monotonic_ns() - begin) / 1e9
        finally:
            control.process = None
            process.close()
        if group is not None:
            seen.group_peak = group.peak()
            seen.group_oom_kills = group.out_of_memory_kills()
    seen.after = snapshot()
    if control.stopping and seen.ended.get("stopped") == "stopped":
        seen.stopped = "interrupted"
    if limits.sample_interval_s is not None:
        try:
            timeline.write(folder / "memory.csv", below=folder.parent)
        except files.Refused as error:  # a full disk ends the run, a folder made a link the trial
            seen.spoiled = str(error.strerror)
    return seen


def _follow(
    process: Process,
    seen: Measurement,
    watch: Watch,
    limits: Limits,
    on_tick: Callable[[], None],
) -> None:
    """Sample and watch until the launcher says that the engine has ended."""
    while True:
        try:
            answer = process.answers.get(timeout=limits.sample_interval_s or POLL_S)
        except queue.Empty:
            answer = {}
        if answer.get("event") == "started":
            process.started = answer
        elif answer.get("event") == "ended":
            seen.ended = answer
            seen.stopped = seen.stopped or _stop_reason(answer)
            return
        elif answer.get("event") in ("failed", "lost"):
            seen.failure = str(answer.get("reason"))
            return
        phase_ended = watch.look()
        if process.started and limits.sample_interval_s is not None:
            seen.timeline.sample(process.pid, process.started["start_ns"], phase_ended)
        if not seen.stopped:
            seen.stopped = _why_stop(watch, limits)
            if seen.stopped:
                process.stop()
        on_tick()


def _why_stop(watch: Watch, limits: Limits) -> str:
    if watch.size > REPORT_CAP:
        return "report"
    if watch.done_at is not None and time.monotonic() - watch.done_at > limits.exit_grace_s:
        return "hang"
    return ""


def _stop_reason(answer: dict[str, Any]) -> str:
    return "timeout" if answer.get("stopped") == "timeout" else ""


def _order(
    command: list[str],
    folder: Path,
    environment: dict[str, str],
    limits: Limits,
    group: Group | None,
) -> dict[str, Any]:
    return {
        "command": command,
        "cwd": str(folder),
        "env": environment,
        "stdout": str(folder / "stdout.log"),
        "stderr": str(folder / "stderr.log"),
        "log_cap": limits.log_cap,
        "timeout_s": limits.timeout_s,
        "grace_s": limits.grace_s,
        "cpus": list(limits.cpus) if limits.cpus else None,
        "cgroup": {"own": str(group.path), "home": str(group.home)} if group else None,
    }


def _session(session: int) -> list[int]:
    """PIDs of the living processes of a session."""
    found = []
    for process in psutil.process_iter(["status"]):
        with contextlib.suppress(OSError):
            if process.info["status"] != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == session:
                found.append(process.pid)
    return found


def _pipe(launcher: "subprocess.Popen[bytes]", name: str) -> IO[bytes]:
    pipe = getattr(launcher, name)
    assert pipe is not None, "all three pipes are asked for"
    return pipe


def _object(line: bytes) -> dict[str, Any]:
    """A JSON object, or an empty one where the line is anything else (an engine wrote it)."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
