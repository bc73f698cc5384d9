"""The launcher on Windows: the same order, the same answers, with what Windows offers.

A job object takes the place of session, group and subreaper: everything the engine starts belongs
to it and dies when the launcher does (JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE). The engine is created
suspended and runs only once it is in its job, so that nothing it starts can be born outside.

The python.exe of a virtual environment is no interpreter: it starts the one that the environment
was made from and waits for it. Measured as it stands, its own few megabytes would be the peak and
the start of a second process part of the wall time. So the real interpreter is started, told by
__PYVENV_LAUNCHER__ which environment it is for, as multiprocessing and the redirector itself do.

CPU time is the job's, of the engine and all it started, as wait4 gives it elsewhere. Peak memory is
the engine process's PeakWorkingSetSize: what a job keeps is committed memory, another quantity.
Context switches are not told, TERM does not exist, so stopping is killing. See launcher.py for the
order and the answers.
"""

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import threading
import time

CREATE_SUSPENDED = 0x4
CREATE_NEW_PROCESS_GROUP = 0x200  # Ctrl-C is for the harness alone
BASIC_ACCOUNTING = 1  # JobObjectBasicAccountingInformation
KILL_ON_JOB_CLOSE = 0x2000
EXTENDED_LIMITS = 9  # JobObjectExtendedLimitInformation
TICKS_PER_S = 10_000_000  # FILETIME counts 100 ns
TAIL_BYTES = 1 << 16
DEGRADED = (
    "Windows: no context switches, no orderly stop, children are killed with the job object, "
    "the peak of a process that the engine started is not told",
)


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION, with its two inner structures laid out flat."""

    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("limit_flags", ctypes.c_uint32),
        ("minimum_working_set", ctypes.c_size_t),
        ("maximum_working_set", ctypes.c_size_t),
        ("active_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority_class", ctypes.c_uint32),
        ("scheduling_class", ctypes.c_uint32),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


class Accounting(ctypes.Structure):
    """JOBOBJECT_BASIC_ACCOUNTING_INFORMATION: of every process that was ever in the job."""

    _fields_ = (
        ("user_time", ctypes.c_int64),
        ("system_time", ctypes.c_int64),
        ("period_user_time", ctypes.c_int64),
        ("period_system_time", ctypes.c_int64),
        ("page_faults", ctypes.c_uint32),
        ("processes", ctypes.c_uint32),
        ("active_processes", ctypes.c_uint32),
        ("terminated_processes", ctypes.c_uint32),
    )


class MemoryCounters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("page_faults", ctypes.c_uint32),
        ("peak_working_set", ctypes.c_size_t),
        ("working_set", ctypes.c_size_t),
        ("quota", ctypes.c_size_t * 4),
        ("pagefile", ctypes.c_size_t),
        ("peak_pagefile", ctypes.c_size_t),
    )


class Log:
    """One output stream, copied to a file up to a cap; then only its end is kept."""

    def __init__(self, stream, path, cap):
        self.total, self.tail = 0, bytearray()
        self.thread = threading.Thread(target=self._copy, args=(stream, path, cap), daemon=True)
        self.thread.start()

    def _copy(self, stream, path, cap):
        with open(path, "wb", buffering=0) as file:  # noqa: PTH123 (pathlib costs 8 ms)
            written = 0
            while chunk := stream.read1(1 << 16):
                self.total += len(chunk)
                head = chunk[: cap - written]
                written += len(head)
                file.write(head)
                self.tail += chunk[len(head) :]
                del self.tail[: max(len(self.tail) - TAIL_BYTES, 0)]
            left_out = self.total - written - len(self.tail)
            if left_out:
                file.write(b"\n[... %d bytes left out ...]\n" % left_out)
            file.write(self.tail)


def main(kernel=None, psapi=None, ntdll=None):
    """Read the order, run the engine, answer."""
    kernel = kernel or ctypes.windll.kernel32  # type: ignore[attr-defined]
    psapi = psapi or ctypes.windll.psapi  # type: ignore[attr-defined]
    ntdll = ntdll or ctypes.windll.ntdll  # type: ignore[attr-defined]
    order = json.loads(sys.stdin.buffer.readline() or b"null")
    if order is None:
        return
    job = kill_with_launcher(kernel)
    start_ns = time.monotonic_ns()
    engine, failure = start(order, job, kernel, ntdll)
    if engine is None:
        answer({"event": "failed", "reason": failure})
        return
    logs = [Log(engine.stdout, order["stdout"], order["log_cap"])]
    logs.append(Log(engine.stderr, order["stderr"], order["log_cap"]))
    answer({"event": "started", "pid": engine.pid, "start_ns": start_ns})
    stopped: dict[str, str] = {}
    threading.Thread(target=watch, args=(kernel, job, stopped), daemon=True).start()
    code = wait(engine, order["timeout_s"], kernel, job, stopped)
    end_ns = time.monotonic_ns()
    figures = usage(kernel, psapi, job, handle_of(engine))
    kernel.TerminateJobObject(job, 1)  # whatever the engine left behind
    for log in logs:
        log.thread.join(2.0)
    answer(result(code, start_ns, end_ns, stopped, figures, logs))


def start(order, job, kernel, ntdll):
    """Create the engine suspended, put it into its job, let it run: (process, "") or (None, why).

    Neither an engine outside the job, which nothing would end, nor one that was never resumed is
    left: both are killed, and the reason names the call that failed.
    """
    command, environment = real_interpreter(order["command"], order["env"])
    try:
        engine = subprocess.Popen(
            command,
            cwd=order["cwd"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            creationflags=CREATE_NEW_PROCESS_GROUP | CREATE_SUSPENDED,
        )
    except OSError as error:
        return None, f"{command[0]}: {error.strerror}"
    handle, failed = handle_of(engine), ""
    if not kernel.AssignProcessToJobObject(job, handle):
        failed = "AssignProcessToJobObject"
    elif order.get("cpus"):
        kernel.SetProcessAffinityMask(handle, sum(1 << cpu for cpu in order["cpus"]))
    # Popen has closed the thread's handle, so the whole process is resumed, as psutil does it
    if not failed and ntdll.NtResumeProcess(handle) < 0:
        failed = "NtResumeProcess"
    if failed:
        engine.kill()
        engine.communicate()
        return None, f"{command[0]}: {failed} was refused"
    return engine, ""


def real_interpreter(command, environment):
    """The command and environment with which a virtual environment's Python starts itself.

    A program beside or one folder below a `pyvenv.cfg` that is called python is a redirector; the
    file's `executable` (Python 3.11 on) or `home` says to what. Anything else stays as it is.
    """
    program = command[0]
    name = os.path.basename(program)  # noqa: PTH119 (pathlib costs 8 ms)
    if not name.lower().startswith("python"):
        return command, environment
    folder = os.path.dirname(program)  # noqa: PTH120
    for place in (folder, os.path.dirname(folder)):  # noqa: PTH120
        settings = venv_settings(os.path.join(place, "pyvenv.cfg"))  # noqa: PTH118
        beside = os.path.join(settings["home"], name) if "home" in settings else ""  # noqa: PTH118
        for real in (settings.get("executable", ""), beside):
            if os.path.isfile(real):  # noqa: PTH113
                return [real, *command[1:]], {**environment, "__PYVENV_LAUNCHER__": program}
    return command, environment


def venv_settings(path):
    """The settings of a pyvenv.cfg by name; none where there is no such file."""
    settings = {}
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:  # noqa: PTH123
        for line in file:
            key, _, value = line.partition("=")
            settings[key.strip().lower()] = value.strip()
    return settings


def handle_of(engine):
    """The handle of a process that was started here."""
    return int(getattr(engine, "_handle", engine.pid))


def kill_with_launcher(kernel):
    """A job object whose processes die when its last handle, the launcher's, is closed."""
    job = kernel.CreateJobObjectW(None, None)
    limits = ExtendedLimits(limit_flags=KILL_ON_JOB_CLOSE)
    kernel.SetInformationJobObject(
        job, EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)
    )
    return job


def watch(kernel, job, stopped):
    """Obey the harness; end everything when it dies."""
    for _ in sys.stdin.buffer:
        stopped.setdefault("reason", "stopped")
        kernel.TerminateJobObject(job, 1)
    stopped.setdefault("reason", "orphaned")
    kernel.TerminateJobObject(job, 1)


def wait(engine, timeout_s, kernel, job, stopped):
    """Wait for the engine, no longer than its limit; its exit code."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return engine.wait(timeout_s)
    stopped.setdefault("reason", "timeout")
    kernel.TerminateJobObject(job, 1)
    return engine.wait()


def usage(kernel, psapi, job, handle):
    """CPU seconds and page faults of the job, peak working set in bytes of the engine's process."""
    total = Accounting()
    kernel.QueryInformationJobObject(
        job, BASIC_ACCOUNTING, ctypes.byref(total), ctypes.sizeof(total), None
    )
    counters = MemoryCounters(size=ctypes.sizeof(MemoryCounters))
    psapi.GetProcessMemoryInfo(handle, ctypes.byref(counters), counters.size)
    return {
        "user_s": total.user_time / TICKS_PER_S,
        "system_s": total.system_time / TICKS_PER_S,
        "max_rss": counters.peak_working_set,
        "minor_faults": total.page_faults,
        "major_faults": None,
    }


def result(code, start_ns, end_ns, stopped, figures, logs):
    """The answer that ends everything."""
    crashed = code >= 0xC0000000  # NTSTATUS of severity "error": an exception nobody handled
    return {
        "event": "ended",
        "start_ns": start_ns,
        "end_ns": end_ns,
        "exit_code": None if crashed else code,
        "signal": 11 if crashed else None,
        "stopped": stopped.get("reason"),
        **figures,
        "memory_method": "PeakWorkingSetSize",
        "floor_bytes": 0,
        "voluntary_switches": None,
        "involuntary_switches": None,
        # their time is in the job's, and the launcher cannot tell them from the engine at its end
        "left_behind": {"left": 0, "user_s": 0.0, "system_s": 0.0, "max_rss": 0},
        "stdout_bytes": logs[0].total,
        "stderr_bytes": logs[1].total,
        "adopts": False,
        "degraded": list(DEGRADED),
    }


def answer(document):
    """One JSON line to the harness; where it is gone, nobody wants to know."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(document).encode() + b"\n")


if __name__ == "__main__":
    main()
    os._exit(0)  # threads that still watch a pipe do not hold the launcher up
