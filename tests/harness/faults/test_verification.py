"""The verification before a run: bounded, not silent, stopped when asked to, and shortened."""

import signal
import subprocess
import sys

import pytest

from harness.records.store import read_manifest, read_run
from tests.harness.conftest import fake_command

BENCH = [sys.executable, "-m", "harness.cli"]
RUN = [*BENCH, "run", "--preset", "tiny.toml", "--repeats", "1", "--warmup", "0", "--name", "r"]
HANGING = ["--engines", "myad-eager", "--command", f"fake={fake_command('hang')}"]


def test_engine_that_hangs_is_waited_for_as_long_as_timeout_says(home, leftovers):
    """Ten minutes it was, without a sign of life; whatever `--timeout` said."""
    done = subprocess.run(
        [*RUN, *HANGING, "--timeout", "3s"], cwd=home, capture_output=True, text=True, timeout=300
    )
    lines = done.stderr.splitlines()
    assert "bench: verifying 1/2: myad-eager" in lines
    assert "bench: verifying 2/2: fake" in lines
    run = read_run(home / "results" / "r")
    (found,) = (f for f in run.manifest.verification["findings"] if f["engine"] == "fake")
    assert "timeout" in found["reason"]
    assert "the limit is 3 s" in found["reason"]
    assert {t.engine: t.valid for t in run.trials} == {"myad-eager": True, "fake": False}
    assert leftovers() == []


@pytest.mark.parametrize("command", ["run", "verify"])
def test_interrupt_ends_a_verification_and_leaves_nothing(home, leftovers, command):
    hanging = ["--engines", "fake", "--command", f"fake={fake_command('hang')}"]
    line = RUN if command == "run" else [*BENCH, "verify", "--preset", "tiny.toml"]
    process = subprocess.Popen(
        [*line, *hanging], cwd=home, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    while "verifying 1/1: fake" not in (told := process.stderr.readline()):
        assert told, "ended before it had begun"
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 130
    assert rest.splitlines()[-1] == "bench: interrupted."
    assert leftovers() == []
    assert not (home / "results").exists()


def test_verification_is_shortened_by_steps_and_by_engine(home):
    engines = ["--engines", "myad,myad-eager", "--verify-engines", "myad", "--verify-steps", "1"]
    done = subprocess.run([*RUN, *engines], cwd=home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "verifying 1/1: myad" in done.stderr
    found = read_manifest(home / "results" / "r").verification
    assert (found["ok"], found["steps"]) == (True, 1)
    assert {row["engine"] for row in found["findings"]} == {"myad"}
    assert "Not verified to do the same work before this run: myad-eager." in done.stderr


def test_engine_to_verify_that_is_not_in_the_run_is_wrong_usage(home):
    engines = ["--engines", "myad-eager", "--verify-engines", "nosuch"]
    done = subprocess.run([*RUN, *engines], cwd=home, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("bench: no engine 'nosuch'; allowed: myad-eager")
