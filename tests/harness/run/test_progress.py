"""What is shown while a run goes on."""

import io
import time

import pytest
from rich.console import Console
from rich.text import Text

from harness.records.models import Memory, ProcessResult, Trial
from harness.records.store import read_run
from harness.run.loop import start
from harness.run.progress import Clock, Display, duration, trial_line
from harness.run.schedule import plan


def schedule(repeats):
    return plan(["a", "b"], repeats=repeats, warmups=1, seeds=range(repeats), schedule_seed=0)


def test_time_left_comes_from_whole_blocks(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    planned = schedule(4)
    clock = Clock(planned)
    for number, trial in enumerate(planned[:7]):
        clock.started(trial)
        now += 3.0 if trial.engine == "a" else 7.0
        clock.finished(trial)
        if number < 3:
            assert clock.left_s() is None, "warm-ups and half a block say nothing"
        elif number % 2:
            assert clock.left_s() == pytest.approx(10.0 * (4 - (number - 1) / 2))
    assert clock.left_s() == pytest.approx(20.0 - (3.0 if planned[6].engine == "a" else 7.0))


def test_durations():
    assert [duration(s) for s in (3.2, 75, 7200 + 125)] == ["3 s", "1 min 15 s", "2 h 02 min"]


def test_lines_of_trials():
    process = ProcessResult(
        outcome="ok", wall_s=1.5, peak_rss=Memory(bytes=10**8, method="x", bound="exact")
    )
    trial = Trial(
        id="1-a", block=1, slot=0, engine="a", seed=1, state="finished", at="2026-01-01T00:00:00Z",
        train=process, test=process, accuracy=0.915, valid=True,
    )  # fmt: skip
    assert (
        trial_line(trial) == "block 2 a: train 1.50 s, test 1.50 s, accuracy 91.50 %, peak 100 MB"
    )
    failed = trial.model_copy(
        update={"valid": False, "failure": "train: signal: ended by SIGSEGV."}
    )
    assert trial_line(failed) == "block 2 a: train: signal: ended by SIGSEGV."


@pytest.mark.parametrize("terminal", [True, False])
def test_display_of_a_run(home, fakes, terminal):
    run = read_run(start(fakes("a=ok", "b=segfault", repeats=2)).folder)
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, highlight=False)

    def tables(run, width):
        return [Text(f"{len(run.trials)} trials on {width} columns")]

    with Display(run, run.manifest.schedule, console, tables) as display:
        for planned in run.manifest.schedule:
            display.started(planned)
            display.finished(next(t for t in run.trials if t.id == planned.id))
    shown = text.getvalue()
    assert "1/4 block 1" in shown
    assert "4/4 block 2" in shown
    assert "SIGSEGV" in shown
    assert ("\x1b[" in shown) == terminal
    assert ("4 trials on 100 columns" in shown) == terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_display_of_accuracies_after_the_blocks(home, fakes, terminal):
    run = read_run(start(fakes("a=ok", repeats=1, seeds=3)).folder)
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=100, highlight=False)
    with Display(run, [], console) as display:
        display.accuracies_begin(2)
        for point in run.points:
            display.point_started(point.key, left_s=75.0)
            display.tick()
            display.point_finished(point)
    shown = text.getvalue()
    assert "1/2 not timed: seed 1 a, 2 epochs: accuracy 10.00 %" in shown
    assert "2/2 not timed: seed 2 a, 2 epochs: accuracy 10.00 %" in shown
    assert ("not timed: seed 2, a, 2 epochs, 1 min 15 s left" in shown) == terminal
