"""The launcher of Windows, its system calls answered by a stand-in, on any POSIX system."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from harness.process import launcher_windows, supervise
from harness.process.launcher_windows import real_interpreter
from tests.fakes.orders import order

pytestmark = pytest.mark.skipif(os.name == "nt", reason="plays Windows by POSIX means")


class Kernel:
    """kernel32 and psapi as the launcher uses them; remembers what was asked for."""

    def __init__(self):
        self.calls = []

    def CreateJobObjectW(self, security, name):
        return 77

    def SetInformationJobObject(self, job, kind, limits, size):
        self.calls.append(("limits", job, kind, limits._obj.limit_flags, size))

    def AssignProcessToJobObject(self, job, handle):
        self.calls.append(("assign", job))
        return self.assigns

    def NtResumeProcess(self, handle):
        """Wakes the engine, which has stopped itself before its first instruction."""
        self.calls.append(("resume",))
        deadline = time.monotonic() + 10
        while psutil.Process(handle).status() != psutil.STATUS_STOPPED:
            assert time.monotonic() < deadline, "the engine ran before it was told to"
            time.sleep(0.001)
        os.kill(handle, signal.SIGCONT)
        return self.resumes

    def SetProcessAffinityMask(self, handle, mask):
        self.calls.append(("affinity", mask))

    def TerminateJobObject(self, job, code):
        self.calls.append(("terminate", job))
        if self.engine is not None:
            self.engine.kill()

    engine: subprocess.Popen | None = None
    assigns, resumes = 1, 0  # what the two calls return when all is well

    def QueryInformationJobObject(self, job, kind, total, size, returned):
        assert (job, kind, size) == (77, 1, ctypes.sizeof(launcher_windows.Accounting))
        total._obj.user_time, total._obj.system_time = 20_000_000, 5_000_000
        total._obj.page_faults = 42

    def GetProcessMemoryInfo(self, handle, counters, size):
        counters._obj.peak_working_set = 123_456_789


@pytest.fixture
def windows(tmp_path, monkeypatch):
    """Run the Windows launcher in this process with its system calls answered by a stand-in."""

    def run(command, *, assigns=1, resumes=0, **more):
        kernel, answers = Kernel(), []
        kernel.assigns, kernel.resumes = assigns, resumes
        text = json.dumps(order(tmp_path, command, **more)).encode() + b"\n"
        reader, writer = os.pipe()
        os.write(writer, text)
        starting = subprocess.Popen

        def popen(command, *, creationflags, **options):
            kernel.calls.append(("created", creationflags))
            suspended = ["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *command]
            if command[0].startswith("/nowhere/"):
                suspended = command
            kernel.engine = starting(suspended, **options)
            return kernel.engine

        with os.fdopen(reader, "rb") as source:
            monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=source))
            monkeypatch.setattr(launcher_windows, "answer", answers.append)
            monkeypatch.setattr(subprocess, "Popen", popen)
            launcher_windows.main(kernel, kernel, kernel)
            os.close(writer)
        if kernel.engine is not None:
            kernel.engine.wait()
            kernel.engine.stdout.close()
            kernel.engine.stderr.close()
        return answers, kernel.calls

    return run


def test_windows_figures(windows, tmp_path):
    answers, calls = windows(["sh", "-c", "echo out; exit 3"], cpus=[0, 2])
    assert [answer["event"] for answer in answers] == ["started", "ended"]
    ended = answers[1]
    assert (ended["exit_code"], ended["signal"], ended["stopped"]) == (3, None, None)
    assert (ended["user_s"], ended["system_s"]) == (2.0, 0.5)
    assert (ended["max_rss"], ended["memory_method"]) == (123_456_789, "PeakWorkingSetSize")
    assert ended["voluntary_switches"] is None
    assert ended["degraded"][0].startswith("Windows: ")
    assert calls[0][:4] == ("limits", 77, 9, 0x2000)
    assert ("affinity", 0b101) in calls
    assert calls[-1] == ("terminate", 77), "what the engine left behind dies with the job"
    assert (tmp_path / "stdout.log").read_text() == "out\n"


def test_windows_timeout_ends_the_job(windows):
    answers, calls = windows(["sleep", "60"], timeout_s=0.2)
    assert answers[1]["stopped"] == "timeout"
    assert ("terminate", 77) in calls


def test_windows_program_that_is_not_there(windows):
    answers, _ = windows(["/nowhere/engine.exe"])
    assert answers == [
        {"event": "failed", "reason": "/nowhere/engine.exe: No such file or directory"}
    ]


def test_windows_crash_is_a_signal():
    logs = [SimpleNamespace(total=0)] * 2
    ended = launcher_windows.result(0xC0000005, 0, 1, {}, {}, logs)
    assert (ended["exit_code"], ended["signal"]) == (None, 11)


def test_windows_answers_have_the_keys_of_the_others(windows, tmp_path):
    text = json.dumps(order(tmp_path, ["sh", "-c", "exit 0"])).encode() + b"\n"
    command = [sys.executable, "-I", "-S", str(supervise.LAUNCHER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(text)
        process.stdin.flush()
        ours = json.loads(process.stdout.readlines()[-1])
    theirs = windows(["sh", "-c", "exit 0"])[0][-1]
    assert set(ours) == set(theirs)


def test_windows_engine_is_in_its_job_before_it_runs(windows):
    _, calls = windows(["true"], cpus=[1])
    names = [call[0] for call in calls]
    assert names[:5] == ["limits", "created", "assign", "affinity", "resume"]
    assert calls[1][1] == 0x4 | 0x200, "suspended, in a group of its own"


@pytest.mark.parametrize(
    ("outcome", "call"),
    [({"assigns": 0}, "AssignProcessToJobObject"), ({"resumes": -1}, "NtResumeProcess")],
)
def test_windows_engine_that_cannot_be_watched_is_killed(windows, tmp_path, outcome, call):
    answers, _ = windows(["sleep", "60"], **outcome)
    assert answers == [{"event": "failed", "reason": f"sleep: {call} was refused"}]


def test_windows_structures_have_the_sizes_of_the_64_bit_headers():
    assert ctypes.sizeof(launcher_windows.ExtendedLimits) == 144
    assert ctypes.sizeof(launcher_windows.Accounting) == 48
    assert ctypes.sizeof(launcher_windows.MemoryCounters) == 72


@pytest.fixture
def base(tmp_path):
    """A folder with an interpreter that environments can be made from."""
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "python.exe").touch()
    return folder


@pytest.mark.parametrize("key", ["executable", "home"])
def test_windows_redirector_of_an_environment_is_passed_by(tmp_path, base, key):
    scripts = tmp_path / "env" / "Scripts"
    scripts.mkdir(parents=True)
    value = base if key == "home" else base / "python.exe"
    (tmp_path / "env" / "pyvenv.cfg").write_text(f"{key} = {value}\nversion = 3.11.7\n")
    program = str(scripts / "python.exe")
    command, environment = real_interpreter([program, "-P", "engine.py"], {"PATH": "x"})
    assert command == [str(base / "python.exe"), "-P", "engine.py"]
    assert environment == {"PATH": "x", "__PYVENV_LAUNCHER__": program}


def test_windows_other_programs_are_started_as_they_stand(tmp_path, base):
    (tmp_path / "pyvenv.cfg").write_text(f"home = {base}\n")
    for program in ("engine.exe", "python.exe"):
        outside = tmp_path / "a" / "b" / program  # no pyvenv.cfg beside or one folder above
        assert real_interpreter([str(outside)], {}) == ([str(outside)], {})
    engine = str(tmp_path / "Scripts" / "engine.exe")
    assert real_interpreter([engine], {}) == ([engine], {})


def test_windows_environment_whose_interpreter_is_gone_is_started_as_it_stands(tmp_path):
    (tmp_path / "pyvenv.cfg").write_text(f"home = {tmp_path / 'gone'}\n")
    program = str(tmp_path / "Scripts" / "python.exe")
    assert real_interpreter([program], {}) == ([program], {})


def test_windows_launcher_runs_on_the_real_interpreter(monkeypatch):
    monkeypatch.setattr(sys, "_base_executable", "C:/Python/python.exe")
    assert supervise.interpreter() == sys.executable
    monkeypatch.setattr(supervise, "os", SimpleNamespace(name="nt"))
    assert supervise.interpreter() == "C:/Python/python.exe"
