"""Orders for the launcher, as the harness gives them."""

import json
import os
import subprocess
import sys

from harness.process.supervise import LAUNCHER


def order(tmp_path, command, **more):
    return {
        "command": command,
        "cwd": str(tmp_path),
        "env": {"PATH": os.environ["PATH"]},
        "stdout": str(tmp_path / "stdout.log"),
        "stderr": str(tmp_path / "stderr.log"),
        "log_cap": 1000,
        "timeout_s": 20.0,
        "grace_s": 0.2,
        "cpus": None,
        "cgroup": None,
        **more,
    }


def launch(text):
    """Give the launcher its order and keep its pipe open; its answers."""
    command = [sys.executable, "-I", "-S", str(LAUNCHER)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(text)
        process.stdin.flush()
        return [json.loads(line) for line in process.stdout]
