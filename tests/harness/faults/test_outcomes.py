"""Every outcome that a process can have, each by a real process that earns it."""

import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from harness.records.models import ProcessResult
from harness.records.store import read_run
from harness.trial.outcome import _exit_fault

# behaviour, outcome of the train process, what its reason says
ENDS = {
    "exit-after-result": ("exit_after_report:3", "exit_nonzero", "exit code 3 after"),
    "exception": ("fail:no module named x", "exit_nonzero", "no module named x"),
    "segmentation-fault": ("segfault", "signal", "SIGSEGV"),
    "abort": ("abort", "signal", "SIGABRT"),
    "memory-error": ("memory_error", "out_of_memory", "no room for the images"),
    "no-report": ("no_report", "no_result", "no report was written"),
    "no-done": ("no_done", "no_result", "`done` line"),
    "no-weights": ("no_weights", "no_result", "no weights"),
    "half-weights": ("truncated_weights", "bad_result", "not a readable .npz"),
    "nan-weights": ("nan_weights", "not_finite", "not finite"),
    "nan-loss": ("loss:nan", "not_finite", "the loss of epoch 1 is nan"),
    "infinite-loss": ("loss:inf", "not_finite", "inf"),
    "null-loss": ("loss:null", "not_finite", "the loss of epoch 1 is None"),
    "negative-time": ("seconds:-1", "bad_result", "greater than or equal to 0"),
    "nan-time": ("seconds:nan", "bad_result", "finite"),
    "phases-too-long": ("seconds:3600", "bad_result", "phases add up to 7200.000 s"),
    "not-json": ("raw_report:{oops", "bad_result", "report line 1"),
    "unknown-event": ('raw_report:{"event":"praise"}', "bad_result", "praise"),
    "event-of-a-line-end": (r'raw_report:{"event":"\n"}', "bad_result", r"Input tag '\n' found"),
    "text-for-number": (
        'raw_report:{"event":"phase","name":"load","seconds":"1"}',
        "bad_result",
        "valid number",
    ),
    "phase-unknown": (
        'raw_report:{"event":"phase","name":"warm","seconds":0.001}',
        "bad_result",
        "no phase 'warm'; allowed: import, load, build, compile, train, test, save",
    ),
    "phase-twice": (
        'raw_report:{"event":"phase","name":"import","seconds":0.001}',
        "bad_result",
        "phase 'import' a second time",
    ),
    "after-done": ("after_done", "bad_result", "after the `done` line"),
    "forged-nonce": ("forge", "contract_broken", "nonce"),
    "fewer-examples": ("fewer_examples", "contract_broken", "epoch 1 saw 39 of 40 images"),
    "fewer-epochs": ("fewer_epochs", "contract_broken", "asks for 2 from 1"),
    "other-parameters": (
        "done:parameters=5",
        "contract_broken",
        "parameters: the engine reports 5",
    ),
    "other-layers": ('done:layers=["dense"]', "contract_broken", "layers"),
    "other-dtype": ('done:dtype="float16"', "contract_broken", "float16"),
    "other-batch": ("done:batch_size=32", "contract_broken", "batch_size"),
    "other-threads": ("done:threads=2", "contract_broken", "threads: the engine reports 2"),
}


@pytest.mark.parametrize(("behaviour", "outcome", "reason"), ENDS.values(), ids=ENDS)
def test_train_process_ends_with(trial, behaviour, outcome, reason):
    record = trial(behaviour)
    assert record.train.outcome == outcome
    assert reason in record.train.reason
    assert record.test is None, "nothing is tested that was not trained"
    assert not record.valid
    assert record.failure.startswith(f"train: {outcome}: ")
    assert record.accuracy is None


STOPPED = {
    "hangs-silently": ("hang", "timeout", "SIGTERM"),
    "hangs-while-printing": ("hang_printing", "timeout", "SIGTERM"),
    "ignores-term": ("ignore_term", "timeout", "SIGKILL"),
    "stops-itself": ("stop_itself", "timeout", "SIGTERM"),
    "forks-thirty-times": ("fork_many", "timeout", "SIGTERM"),
}


@pytest.mark.parametrize(("behaviour", "outcome", "ended_by"), STOPPED.values(), ids=STOPPED)
def test_process_is_stopped(trial, behaviour, outcome, ended_by):
    record = trial(behaviour, timeout_s=0.5)
    assert record.train.outcome == outcome
    assert "the limit is 0.5 s" in record.train.reason
    assert record.train.signal == ended_by
    assert record.train.wall_s < 5


def test_hang_after_the_result_is_not_a_timeout(trial):
    record = trial("hang_after_result")
    assert record.train.outcome == "hang_after_result"
    assert "still running 0.4 s after its result" in record.train.reason


def test_timeout_after_the_result_is_told_apart_too(trial):
    record = trial("hang_after_result", timeout_s=0.5, exit_grace_s=60.0)
    assert record.train.outcome == "hang_after_result"
    assert "limit of 0.5 s" in record.train.reason


def test_endless_report_is_stopped(trial):
    record = trial("report_flood")
    assert record.train.outcome == "bad_result"
    assert "grew without end" in record.train.reason


def test_program_that_is_not_there(trial):
    record = trial("", command="/nowhere/engine --fast")
    assert record.train.outcome == "not_started"
    assert record.train.reason == "/nowhere/engine: No such file or directory."
    assert record.train.wall_s is None


def test_program_that_is_not_executable(trial, home):
    (home / "engine.txt").write_text("not a program")
    record = trial("", command=f"{home / 'engine.txt'} now")
    assert record.train.outcome == "not_started"
    assert "Permission denied" in record.train.reason


TESTS = {
    "none": ("no_predictions", "no_result", "no predictions"),
    "short": ("predictions:short", "contract_broken", "19 for 20 test images"),
    "class": ("predictions:class", "bad_result", "class 200, allowed 0 to 9"),
    "floats": ("predictions:floats", "bad_result", "float32 (20,), expected uint8 (20,)"),
    "huge": ("predictions:huge", "bad_result", "larger than"),
    "pickle": ("predictions:pickle", "bad_result", "not a readable .npy"),
    "garbage": ("predictions:garbage", "bad_result", "not a readable .npy"),
}


@pytest.mark.parametrize(("behaviour", "outcome", "reason"), TESTS.values(), ids=TESTS)
def test_test_process_ends_with(trial, home, behaviour, outcome, reason):
    record = trial(behaviour)
    assert record.train.outcome == "ok"
    assert record.test.outcome == outcome
    assert reason in record.test.reason
    assert not record.valid
    assert record.accuracy is None
    assert not (home / "unpickled").exists(), "a pickle was executed"


def test_perfect_engine_is_ok(trial):
    record = trial("ok")
    assert (record.train.outcome, record.test.outcome, record.failure) == ("ok", "ok", "")
    assert record.valid
    assert (record.correct, record.test_count, record.accuracy) == (2, 20, 0.1)
    assert record.train.phases == {"import": 0.001, "train": 0.001}
    assert record.train.start_up_and_exit_s == pytest.approx(record.train.wall_s - 0.002)
    assert [epoch.examples for epoch in record.train.epochs] == [40, 40]


def test_accuracy_that_the_engine_claims_is_ignored(trial):
    assert trial("percent").accuracy == 0.1


KERNEL = {
    "killed-by-the-kernel": (3, 4, 0, "out_of_memory"),
    "killed-in-its-group": (3, 3, 1, "out_of_memory"),
    "killed-by-somebody": (3, 3, 0, "signal"),
    "no-counter": (None, None, 0, "signal"),
}


@pytest.mark.parametrize(("before", "after", "group", "outcome"), KERNEL.values(), ids=KERNEL)
def test_kill_for_want_of_memory_is_told_from_other_kills(before, after, group, outcome):
    seen = SimpleNamespace(
        before=SimpleNamespace(oom_kills=before),
        after=SimpleNamespace(oom_kills=after),
        group_oom_kills=group,
    )
    result = ProcessResult(outcome="ok", signal="SIGKILL")
    assert _exit_fault(seen, result, "after 1.0 s").outcome == outcome


# the whole harness in the limited group; only one of the two counters can tell
IN_A_LIMITED_GROUP = """
import contextlib, pathlib, sys
from harness import cli
from harness.machine import noise
from harness.process import supervise
pathlib.Path(sys.argv[1], "cgroup.procs").write_text("0")
if sys.argv[2] == "counter-of-the-group":
    noise._vmstat = dict
else:
    supervise.fresh_group = contextlib.nullcontext
sys.exit(cli.main(sys.argv[3:]))
"""


@pytest.fixture
def starved(home, fakes, memory_group, limited_group, leftovers):
    """Run a fake engine where 600 MB are all there is: starved("eat:2000", counter)."""

    def run(behaviour, counter):
        chosen = fakes(f"fake={behaviour}")
        options = ["--preset", chosen.preset, "--name", "r", "--warmup", "0", "--repeats", "1"]
        options += ["--command", chosen.commands[0], "--no-verify"]
        command = [sys.executable, "-c", IN_A_LIMITED_GROUP, str(limited_group), counter, "run"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
        assert done.returncode > 0, done.stderr  # not the harness was killed
        (record,) = read_run(home / "results" / "r").trials
        assert leftovers() == []
        assert not list(memory_group.path.glob("bench-*"))
        return record.train

    return run


@pytest.mark.parametrize("counter", ["counter-of-the-group", "counter-of-the-machine"])
def test_kernel_kills_an_engine_for_want_of_memory(starved, counter):
    train = starved("eat:2000", counter)
    assert train.outcome == "out_of_memory"
    assert train.signal == "SIGKILL"
    assert train.reason.startswith("killed by the kernel for want of memory after")
    assert 300 << 20 < train.peak_rss.bytes <= 620 << 20


def test_kernel_kills_a_child_of_the_engine_for_want_of_memory(starved):
    train = starved("eat_in_child:2000", "counter-of-the-group")
    assert train.outcome == "out_of_memory"
    assert train.exit_code == 1
    assert "the kernel had killed 1 of its processes" in train.reason
    assert "a worker ended with status 9" in train.stderr_tail


def test_killed_launcher_takes_the_engine_along(trial, home, monkeypatch):
    from harness.process import supervise

    def kill_launcher(self, *arguments):
        if self.started:
            os.kill(self.pid, signal.SIGKILL)
        return ""

    following = supervise._follow

    def follow(launched, seen, watch, limits, on_tick):
        monkeypatch.setattr(watch, "look", lambda: kill_launcher(launched))
        following(launched, seen, watch, limits, on_tick)

    monkeypatch.setattr(supervise, "_follow", follow)
    record = trial("hang")
    assert record.train.outcome == "interrupted"
    assert "the launcher ended early" in record.train.reason


def test_every_outcome_has_a_case():
    from typing import get_args

    from harness.records.models import Outcome

    shown = {case[1] for case in [*ENDS.values(), *STOPPED.values(), *TESTS.values()]}
    shown |= {
        "ok",
        "hang_after_result",
        "not_started",
        "interrupted",
        *(c[3] for c in KERNEL.values()),
    }
    assert shown == set(get_args(Outcome))


def test_pipe_of_the_answers_is_open_as_long_as_it_is_read(trial, monkeypatch):
    """On a busy machine the reader goes on after the last answer has been acted upon."""
    from harness.process import supervise

    class Slow(supervise.queue.SimpleQueue):
        def put(self, item):
            super().put(item)
            time.sleep(0.2)

    monkeypatch.setattr(supervise.queue, "SimpleQueue", Slow)
    assert trial("ok").valid  # an exception in a thread fails the test
