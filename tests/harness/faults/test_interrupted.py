"""A harness that is killed, stopped or hung up on, and goes on afterwards."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.machine.origin import seal
from harness.records import store
from harness.records.store import POINTS, RECORDS, read_run
from harness.run import loop as runner

BENCH = [sys.executable, "-m", "harness.cli"]


def arguments(fakes, *engines, repeats):
    """The command line of a run of fakes named "r"."""
    chosen = fakes(*engines, repeats=repeats)
    command = [*BENCH, "run", "--preset", chosen.preset, "--name", "r", "--warmup", "0"]
    for text in chosen.commands:
        command += ["--command", text]
    return [*command, "--repeats", str(repeats), "--no-verify"]


RESUME = [*BENCH, "run", "--resume", "--name", "r"]


def is_gone(leftovers, *, within_s=10.0):
    """Wait until no process of the run is left."""
    deadline = time.monotonic() + within_s
    while leftovers() and time.monotonic() < deadline:
        time.sleep(0.01)
    return leftovers() == []


def wait_for(condition, *, within_s=30.0):
    """Wait until a condition holds. Fails if it never does."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def results_of(folder):
    """What must not depend on interruptions: per trial, everything but times and machine noise."""
    run = read_run(folder)
    assert run.problems == []
    assert not run.torn
    return {
        trial.id: (
            trial.state,
            trial.valid,
            trial.seed,
            trial.slot,
            trial.accuracy,
            run.trial_folder(trial, "test").joinpath("predictions.npy").read_bytes(),
        )
        for trial in run.trials
    }


def test_kill_at_25_random_moments_loses_and_doubles_nothing(home, fakes, leftovers):
    repeats, engines = 12, ("a=seeded:0.02", "bb=seeded:0.02")
    start = arguments(fakes, *engines, repeats=repeats)
    moments = random.Random(5)
    folder = home / "results" / "r"
    for kill in range(25):
        command = RESUME if (folder / "manifest.json").exists() else start
        harness = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if kill % 5:  # most of them after some records of this session, wherever it then is
            lines = count_of(folder) + moments.randrange(1, 4)
            wait_for(lambda h=harness, n=lines: h.poll() is not None or count_of(folder) >= n)
            time.sleep(moments.uniform(0.0, 0.15))
        else:  # the others while it starts, reads or plans
            time.sleep(moments.uniform(0.0, 0.8))
        harness.kill()
        harness.wait()
        assert is_gone(leftovers)
    done = subprocess.run(RESUME, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    interrupted = results_of(folder)
    ended = [t.id for t in records(folder) if t.state == "finished"]
    assert sorted(ended) == sorted(set(ended)), "a trial was run twice"
    assert any(t.state == "interrupted" for t in records(folder))
    runner.start(fakes(*engines, repeats=repeats, results=home / "undisturbed"))
    assert interrupted == results_of(home / "undisturbed" / "r")


def count_of(folder):
    """How many lines have been written."""
    path = folder / RECORDS
    return path.read_bytes().count(b"\n") if path.exists() else 0


def records(folder):
    """Every record of a run, in the order in which they were written."""
    lines = (folder / RECORDS).read_bytes().splitlines()
    return [store.parse_trial(line) for line in lines]


@pytest.mark.parametrize("name", [RECORDS, POINTS])
def test_record_cut_at_every_byte_is_healed(home, fakes, monkeypatch, name):
    folder = runner.start(fakes("a=ok", repeats=2, seeds=4)).folder
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # 10,000 of them take their time
    path = folder / name
    whole = path.read_bytes()
    last = whole[:-1].rfind(b"\n") + 1
    run = read_run(folder)
    final = run.trials[-1] if name == RECORDS else run.points[-1]
    for cut in range(last, len(whole)):
        path.write_bytes(whole[:cut])
        complete = cut == len(whole) - 1  # only the newline is missing
        assert read_run(folder).torn == (not complete and cut > last)
        assert store.heal(folder) == (not complete and cut > last)
        run = read_run(folder)
        assert (run.problems, run.torn) == ([], False)
        left = [*(planned.id for planned in run.pending()), *run.pending_points()]
        assert left == ([] if complete else [final.id if name == RECORDS else final.key])
        if not complete:
            store.append(folder, final)
        assert path.read_bytes() == whole


@pytest.mark.parametrize("cut", [1, 200, -2])
def test_run_with_a_cut_record_is_resumed(home, fakes, cut):
    runner.start(fakes("a=seeded:0", "b=seeded:0", repeats=2))
    folder = home / "results" / "r"
    before = results_of(folder)
    path = folder / RECORDS
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]) + lines[-1][:cut])
    ended = runner.resume(home / "results", "r")
    assert ended.exit_code == 0
    assert results_of(folder) == before


SIGNALS = {"ctrl-c": signal.SIGINT, "term": signal.SIGTERM, "hang-up": signal.SIGHUP}


@pytest.mark.parametrize("number", SIGNALS.values(), ids=SIGNALS)
def test_signal_stops_cleanly_and_resume_goes_on(home, fakes, leftovers, number):
    command = arguments(fakes, "a=slow:0.3", "b=slow:0.3", repeats=2)
    harness = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    path = home / "results" / "r" / RECORDS
    wait_for(lambda: path.exists() and path.read_bytes().count(b"\n") >= 3)
    time.sleep(0.1)
    harness.send_signal(number)
    output, errors = harness.communicate()
    assert harness.returncode == 130
    assert output == ""
    assert "interrupted; 1 of 4 trials valid. Go on: bench run --resume --name r" in errors
    assert leftovers() == []
    assert records(path.parent)[-1].state == "interrupted"
    ended = runner.resume(home / "results", "r")
    assert (ended.exit_code, len(read_run(path.parent).valid())) == (0, 4)


def test_second_signal_does_not_wait_for_the_grace_time(home, fakes, leftovers):
    command = arguments(fakes, "a=ignore_term", repeats=1)
    harness = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    job = home / "results" / "r" / "trials" / "0-a" / "train" / "stdout.log"
    wait_for(job.exists)
    time.sleep(0.2)
    harness.send_signal(signal.SIGINT)
    time.sleep(0.1)
    harness.send_signal(signal.SIGINT)
    _, errors = harness.communicate(timeout=30)
    assert harness.returncode == 130
    assert "Traceback" not in errors
    assert leftovers() == []
    assert records(home / "results" / "r")[-1].train.signal == "SIGKILL"


def test_killed_harness_takes_a_stubborn_tree_along(home, fakes, leftovers):
    harness = subprocess.Popen(
        arguments(fakes, "a=fork_many", repeats=1),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: len(leftovers()) > 30)
    harness.kill()
    harness.wait()
    assert is_gone(leftovers, within_s=2.0)


def test_resume_refuses_another_machine(home, fakes):
    runner.start(fakes("a=ok", repeats=1))
    folder = home / "results" / "r"
    manifest = store.read_manifest(folder)
    manifest.packages["numpy"] = "1.0"
    manifest.host["cpu"] = "Z80"
    manifest.origin = seal(manifest)
    store.write_manifest(folder, manifest)
    with pytest.raises(runner.UsageError) as caught:
        runner.resume(home / "results", "r")
    assert "host.cpu: Z80 →" in str(caught.value)
    assert "packages.numpy: 1.0 →" in str(caught.value)


def test_resume_refuses_an_engine_that_has_changed(home, fakes):
    script = shutil.copytree(Path(__file__).parents[2] / "fakes", home / "mine") / "engine.py"
    command = f"mine={sys.executable} -I -S {script} ok"
    chosen = fakes("x=ok", repeats=1)
    runner.start(type(chosen)(**{**vars(chosen), "commands": (command,)}))
    script.write_text(script.read_text() + "# faster now\n")
    with pytest.raises(runner.UsageError, match="engine mine: its source files have changed"):
        runner.resume(home / "results", "r")


def test_resume_of_a_finished_run_does_nothing(home, fakes):
    runner.start(fakes("a=ok", repeats=1))
    before = (home / "results" / "r" / RECORDS).read_bytes()
    assert runner.resume(home / "results", None).exit_code == 0
    assert (home / "results" / "r" / RECORDS).read_bytes() == before


def test_resume_without_a_run(home):
    with pytest.raises(runner.UsageError, match=r"no run in .*results"):
        runner.resume(home / "results", None)
    with pytest.raises(runner.UsageError, match="there is no run 'x'"):
        runner.resume(home / "results", "x")


def test_wall_clock_stepped_an_hour_changes_no_duration(trial, monkeypatch):
    steps = iter(range(10_000))
    monkeypatch.setattr(time, "time", lambda: 1e9 + (-1) ** next(steps) * 3600.0)
    train = trial("sleep:0.1").train
    assert 0.1 <= train.wall_s < 5
    assert 0.1 <= train.outer_wall_s < 5


def test_no_duration_is_taken_from_the_wall_clock():
    harness = Path(runner.__file__).parents[1]
    users = [
        path.name
        for path in harness.rglob("*.py")
        if "time.time(" in path.read_text(encoding="utf-8")
    ]
    assert users == []
