"""A resume never mixes two builds of an engine, however the engine was given."""

import os
import shutil
import sys

import pytest

from harness.errors import UsageError
from harness.records.store import read_manifest
from harness.run import loop as runner
from harness.run.options import RunOptions
from tests.harness.conftest import FAKE


@pytest.fixture
def program(home):
    """An engine as a program of its own: `./engine`, a script that starts another one."""
    path = home / "engine"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {FAKE} ok "$@"\n')
    path.chmod(0o755)
    return path


def started(home, command):
    options = RunOptions(
        preset=str(home / "tiny.toml"), commands=(command,), repeats=3, warmups=0, name="r",
        results=home / "results", verify=False, max_time_s=0.001,
    )  # fmt: skip
    return runner.start(options).folder


def test_program_itself_is_hashed_and_held_against(home, program):
    folder = started(home, "mine=./engine")
    assert read_manifest(folder).engines[0].program_sha256
    runner.resume(home / "results", "r", max_time_s=0.001)
    program.write_text(program.read_text() + "# another build\n")
    with pytest.raises(UsageError, match="engine mine: its program has changed"):
        runner.resume(home / "results", "r")


def test_interpreter_of_a_script_is_hashed_too(home):
    interpreter = home / "python"
    shutil.copy(shutil.which("sh"), interpreter)
    script = home / "engine.sh"
    script.write_text(f'exec {sys.executable} -I -S {FAKE} ok "$@"\n')
    folder = started(home, "mine=./python engine.sh")
    entry = read_manifest(folder).engines[0]
    assert entry.sha256
    assert entry.program_sha256
    with interpreter.open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UsageError, match="engine mine: its program has changed"):
        runner.resume(home / "results", "r")


def test_file_of_an_engine_that_is_a_pipe_is_not_waited_at(home):
    """What lies about in the folder where `bench` is called is read to find engines."""
    from harness.trial.engines import find

    os.mkfifo(home / "engine_trap.py")
    found = find()["trap"]
    assert not found.can_run
    assert "a named pipe, not a regular file" in found.summary
