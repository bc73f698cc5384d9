"""The tiny process between harness and engine (POSIX): starts it, waits, clears up after it.

It exists because a child's peak memory, as Linux counts it, begins at its parent's size: started
by a harness that has imported pandas, a 14 MB engine would read 400 MB. So it runs as
`python -I -S launcher.py` with the standard library only, and imports little of that.

It reads one line of JSON (the order) from standard input and then watches that pipe: `stop` or
`kill` lines ask it to end the engine, end of file means that the harness has died, and then the
engine's whole tree goes at once. Its answers are JSON lines on standard output, which the engine
never sees. The engine runs in a session of its own; on Linux the launcher adopts what the engine
leaves behind (PR_SET_CHILD_SUBREAPER), so nothing escapes by forking twice.

Order: {"command": [...], "cwd", "env": {...}, "stdout", "stderr": paths, "log_cap": bytes,
"timeout_s": s or null, "grace_s": s, "cpus": [...] or null, "cgroup": {"own", "home"} or null},
the folders of the group for the engine and of the one to go back to.
Answers: {"event": "started", "pid", "start_ns"}, then {"event": "ended", ...} or
{"event": "failed", "reason"}. Nanoseconds are those of the monotonic clock.
"""

import contextlib
import json
import os
import signal
import sys
import threading
import time

CHUNK = 1 << 16
TAIL_BYTES = 1 << 16  # kept from the end of a log that is longer than its cap
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
DRAIN_S = 2.0  # how long to wait for output that is still in a pipe after the engine's end
ON_LINUX = sys.platform == "linux"


class Log:
    """One output stream of the engine: its beginning and, beyond the cap, its end go to a file."""

    def __init__(self, path, cap):
        self.read_end, self.write_end = os.pipe()
        self.file, self.cap = fresh(path), cap
        self.total = self.written = 0
        self.tail = bytearray()
        self.thread = threading.Thread(target=self._copy, daemon=True)

    def _copy(self):
        with open(self.file, "wb", buffering=0) as file:  # noqa: PTH123 (a descriptor)
            while chunk := os.read(self.read_end, CHUNK):
                self.total += len(chunk)
                head = chunk[: self.cap - self.written]
                self._write(file, head)
                self.tail += chunk[len(head) :]
                if len(self.tail) > 2 * TAIL_BYTES:
                    del self.tail[:-TAIL_BYTES]
            left_out = self.total - self.written - len(self.tail)
            if left_out:
                self._write(file, b"\n[... %d bytes left out ...]\n" % left_out)
            self._write(file, self.tail)

    def _write(self, file, content):
        try:
            self.written += file.write(content)
        except OSError:  # a full disk must not block the engine: its output is still drained
            self.cap = self.written


def fresh(path):
    """The descriptor of a new file, made before the engine runs: one that it puts there instead,
    a link or a pipe, is never written to."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # noqa: PTH108
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)


class Stop:
    """Ends the engine: TERM to its group, a grace time, then KILL to everything it started."""

    def __init__(self, pid, grace_s, cgroup):
        self.pid, self.grace_s, self.cgroup = pid, grace_s, cgroup
        self.reason = None
        self.ended = threading.Event()  # the engine itself has been waited for
        self._lock = threading.Lock()

    def gently(self, reason):
        if self.ended.is_set():
            return
        with self._lock:
            self.reason = self.reason or reason
        _signal_group(self.pid, signal.SIGTERM)
        _signal_group(self.pid, signal.SIGCONT)  # a stopped process cannot act on TERM
        if not self.ended.wait(self.grace_s):
            self.at_once(reason)

    def at_once(self, reason):
        with self._lock:
            self.reason = self.reason or reason
        _kill_cgroup(self.cgroup)
        if not self.ended.is_set():
            _signal_group(self.pid, signal.SIGKILL)
        for pid in descendants(os.getpid()):
            _signal(pid, signal.SIGKILL)


def main():
    """Read the order, run the engine, answer."""
    order = json.loads(sys.stdin.buffer.readline() or b"null")
    if order is None:
        return  # the harness died before it had said what to do
    degraded = become_subreaper()
    try:
        logs = [Log(order["stdout"], order["log_cap"]), Log(order["stderr"], order["log_cap"])]
    except OSError as error:
        answer({"event": "failed", "reason": f"{error.filename}: {error.strerror}"})
        return
    pid, start_ns, failure = start(order, logs)
    if failure:
        answer({"event": "failed", "reason": failure})
        return
    stop = Stop(pid, order["grace_s"], leave_group(order.get("cgroup")))
    for log in logs:
        os.close(log.write_end)
        log.thread.start()
    answer({"event": "started", "pid": pid, "start_ns": start_ns})
    threading.Thread(target=watch, args=(stop,), daemon=True).start()
    if order.get("timeout_s") is not None:
        threading.Thread(target=limit, args=(stop, order["timeout_s"]), daemon=True).start()
    _, status, usage = os.wait4(pid, 0)
    end_ns = time.monotonic_ns()
    stop.ended.set()
    left = clear(stop)
    deadline = time.monotonic() + DRAIN_S
    for log in logs:
        log.thread.join(max(deadline - time.monotonic(), 0))
    answer(result(status, usage, start_ns, end_ns, stop, left, logs, degraded))


def start(order, logs):
    """Start the engine; returns (pid, start_ns, reason of failure or None).

    By posix_spawn, because the pages that a forked Python copies before it calls exec would be
    counted as the engine's: 4 ms of CPU time and 600 page faults. So the launcher itself joins the
    engine's group, which the engine inherits: moved after its start, it would have been charged
    elsewhere for what it had touched by then, as joining takes 10 ms and more.
    """
    join_group(order.get("cgroup"))
    command, before = order["command"], None
    if order.get("cpus"):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, order["cpus"])  # of this thread; what it starts inherits it
    start_ns = time.monotonic_ns()
    try:
        os.chdir(order["cwd"])
        pid = os.posix_spawnp(
            command[0],
            command,
            order["env"],
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, logs[0].write_end, 1),
                (os.POSIX_SPAWN_DUP2, logs[1].write_end, 2),
            ],
            setsid=True,
            setsigdef=(signal.SIGPIPE,),  # Python ignores it, and that would be inherited
        )
    except OSError as error:
        return 0, start_ns, f"{error.filename or command[0]}: {error.strerror}"
    if before:
        os.sched_setaffinity(0, before)
    return pid, start_ns, None


def join_group(cgroup):
    """Enter the engine's group; if that fails the group's peak stays 0, that is, absent."""
    if cgroup is not None:
        _enter(cgroup["own"])


def leave_group(cgroup):
    """Go back, so that the launcher's memory is not the engine's; the group that may be killed."""
    if cgroup is None or not _enter(cgroup["home"]):
        return None  # `cgroup.kill` would end the launcher as well
    return cgroup["own"]


def watch(stop):
    """Obey the harness; end everything at once when it dies."""
    for line in sys.stdin.buffer:
        if line.strip() == b"stop":
            threading.Thread(target=stop.gently, args=("stopped",), daemon=True).start()
        else:
            stop.at_once("stopped")
    stop.at_once("orphaned")


def limit(stop, timeout_s):
    """Stop the engine when its time is over."""
    if not stop.ended.wait(timeout_s):
        stop.gently("timeout")


def clear(stop):
    """Kill and reap all that the engine left behind; the figures of what was reaped.

    `left` counts processes still alive at the engine's end; user_s, system_s and max_rss are those
    of processes that only the launcher waited for, dead before or killed now.
    """
    left = {"left": len(descendants(os.getpid())), "user_s": 0.0, "system_s": 0.0, "max_rss": 0}
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        stop_everything = descendants(os.getpid())
        for pid in stop_everything:
            _signal(pid, signal.SIGKILL)
        _kill_cgroup(stop.cgroup)
        reap(left)
        if not stop_everything:
            break
        time.sleep(0.002)
    return left


def reap(left):
    """Wait for every child that is dead and add up what it used."""
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        left["user_s"] += usage.ru_utime
        left["system_s"] += usage.ru_stime
        left["max_rss"] = max(left["max_rss"], rss_bytes(usage))


def descendants(root):
    """PIDs of the living processes below `root`, from /proc or, without it, from `ps`."""
    children: dict[int, list[int]] = {}
    for pid, parent, state in process_table():
        if state != "Z":
            children.setdefault(parent, []).append(pid)
    found, queue = [], [root]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def process_table():
    """(pid, parent's pid, state letter) of every process."""
    if not ON_LINUX:
        with os.popen("ps -A -o pid= -o ppid= -o state=") as lines:
            rows = [line.split() for line in lines]
        return [(int(pid), int(parent), state[0]) for pid, parent, state in rows]
    table = []
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdecimal():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                # the name in brackets may hold anything; fields begin after the last bracket
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        table.append((int(name), int(fields[1]), fields[0].decode()))
    return table


def become_subreaper():
    """Adopt orphans of the tree; the words for the record where that is not possible."""
    if not ON_LINUX:
        return ["no subreaper: an engine that forks twice may leave processes behind"]
    if _prctl(PR_SET_CHILD_SUBREAPER, 1) != 0:
        return ["prctl(PR_SET_CHILD_SUBREAPER) was refused"]
    return []


def rss_bytes(usage):
    """Peak resident size: kilobytes on Linux and the BSDs, bytes on macOS (getrusage(2))."""
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def floor_bytes():
    """The launcher's own peak, where a child's figure begins; 0 where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb") as file:  # noqa: PTH123
        for line in file:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def result(status, usage, start_ns, end_ns, stop, left, logs, degraded):
    """The answer that ends everything: figures of wait4, unrounded."""
    return {
        "event": "ended",
        "start_ns": start_ns,
        "end_ns": end_ns,
        "exit_code": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        "stopped": stop.reason,
        "user_s": usage.ru_utime,
        "system_s": usage.ru_stime,
        "max_rss": rss_bytes(usage),
        "memory_method": "wait4 ru_maxrss",
        "floor_bytes": floor_bytes(),
        "minor_faults": usage.ru_minflt,
        "major_faults": usage.ru_majflt,
        "voluntary_switches": usage.ru_nvcsw,
        "involuntary_switches": usage.ru_nivcsw,
        "left_behind": left,
        "stdout_bytes": logs[0].total,
        "stderr_bytes": logs[1].total,
        "adopts": not degraded,
        "degraded": degraded,
    }


def answer(document):
    """One JSON line to the harness; where it is gone, nobody wants to know."""
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(document).encode() + b"\n")


def _prctl(option, value):
    import ctypes

    return ctypes.CDLL(None, use_errno=True).prctl(option, int(value), 0, 0, 0)


def _signal_group(pid, number):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _signal(pid, number):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _enter(group):
    try:
        with open(group + "/cgroup.procs", "w") as file:  # noqa: PTH123
            file.write("0")  # whoever writes it
    except OSError:
        return False
    return True


def _kill_cgroup(group):
    if group is None:
        return
    # version 1 and Linux before 5.14 have no such file: there processes are killed one by one
    with contextlib.suppress(OSError), open(group + "/cgroup.kill", "w") as file:  # noqa: PTH123
        file.write("1")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # threads that still watch a pipe do not hold the launcher up
