"""The launcher of the system that runs the tests, with an engine that every system has."""

import json
import os
import subprocess
import sys

from harness.process.supervise import LAUNCHER, interpreter

# without SYSTEMROOT Windows starts no Python
ENVIRONMENT = {key: os.environ[key] for key in ("PATH", "SYSTEMROOT") if key in os.environ}


def launch(folder, code, **more):
    """Run a program in Python as an engine; the launcher's answers."""
    order = {
        "command": [sys.executable, "-c", code],
        "cwd": str(folder),
        "env": ENVIRONMENT,
        "stdout": str(folder / "stdout.log"),
        "stderr": str(folder / "stderr.log"),
        "log_cap": 1000,
        "timeout_s": 60.0,
        "grace_s": 0.2,
        "cpus": None,
        "cgroup": None,
        **more,
    }
    command = [interpreter(), "-I", "-S", str(LAUNCHER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order).encode() + b"\n")
        process.stdin.flush()
        return [json.loads(line) for line in process.stdout]


def test_exit_code_output_and_the_engines_own_pid(tmp_path):
    started, ended = launch(tmp_path, "import os; print(os.getpid()); raise SystemExit(5)")
    assert (ended["exit_code"], ended["signal"], ended["stopped"]) == (5, None, None)
    # of the process that works: no redirector of a virtual environment stands before it
    assert (tmp_path / "stdout.log").read_text().strip() == str(started["pid"])


def test_peak_and_time_are_those_of_the_work(tmp_path):
    code = "x = b'1' * 200_000_000; sum(i * i for i in range(3_000_000))"
    _, ended = launch(tmp_path, code)
    assert ended["exit_code"] == 0
    assert ended["max_rss"] > 200_000_000
    assert ended["user_s"] > 0


def test_engine_stays_in_its_virtual_environment(tmp_path):
    launch(tmp_path, "import sys; print(sys.prefix)")
    assert (tmp_path / "stdout.log").read_text().strip() == sys.prefix


def test_time_limit(tmp_path):
    _, ended = launch(tmp_path, "import time; time.sleep(60)", timeout_s=0.5)
    assert ended["stopped"] == "timeout"
