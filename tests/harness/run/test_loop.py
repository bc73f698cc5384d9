"""The run as a user meets it: schedule kept, failures shown, exit codes, locks, limits."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from harness import cli
from harness.errors import BenchError, UsageError
from harness.machine import lock
from harness.records.store import TEST_LABELS, read_manifest, read_run
from harness.run import loop as runner
from harness.run.options import RunOptions


def test_manifest_is_complete_before_the_first_trial(home, fakes):
    manifest_there = f"break_run:{home / 'nothing'}"
    folder = runner.start(fakes("a=ok", f"b={manifest_there}", repeats=2)).folder
    manifest = read_manifest(folder)
    assert manifest.run == "r"
    assert manifest.preset == "tiny"
    assert manifest.seeds == [0, 1]
    assert [planned.id for planned in manifest.schedule][:2] in (["0-a", "0-b"], ["0-b", "0-a"])
    assert manifest.workload["training"]["batch_size"] == 4
    assert manifest.data["counts"] == {"train": 40, "test": 20}
    assert len(manifest.data["sha256"]["train_images"]) == 64
    assert manifest.packages["numpy"] == manifest.versions["numpy"]
    assert manifest.host["cpu"]
    assert manifest.engines[0].command[0] == "python"
    assert manifest.margins.time_share == 0.02
    assert manifest.created < read_run(folder).trials[0].at


def test_argument_that_is_no_text_leaves_a_manifest_that_can_be_read(home, fakes, monkeypatch):
    monkeypatch.setattr("sys.argv", ["bench", "run", "--name", "\udcff\x1b"])
    folder = runner.start(fakes("a=ok")).folder
    assert read_manifest(folder).command_line[-1] == r"\udcff\x1b"


def test_records_follow_the_schedule(home, fakes):
    folder = runner.start(fakes("a=seeded:0", "b=seeded:0", repeats=3, seed=5)).folder
    run = read_run(folder)
    assert [t.id for t in run.trials] == [p.id for p in run.manifest.schedule]
    assert {(t.block, t.seed) for t in run.trials} == {(0, 5), (1, 6), (2, 7)}
    jobs = [json.loads((run.trial_folder(t, "train") / "job.json").read_text()) for t in run.trials]
    for trial, job in zip(run.trials, jobs, strict=True):
        assert job["seed"] == trial.seed
    assert len({job["nonce"] for job in jobs}) == len(jobs)
    assert not (folder / "work").exists()


def test_test_job_holds_no_labels(home, fakes):
    folder = runner.start(fakes("a=ok")).folder
    train, test = (
        json.loads((folder / "trials" / "0-a" / phase / "job.json").read_text())
        for phase in ("train", "test")
    )
    assert train["data"]["labels"].endswith("train_labels.npy")
    assert test["data"]["labels"] is None
    assert test["data"]["order"] is None
    assert test["weights"] == train["weights"]
    assert train["predictions"] is None


def test_crashing_engine_is_recorded_and_the_other_goes_on(home, fakes):
    ended = runner.start(fakes("a=fail:broken", "b=ok", repeats=2))
    run = read_run(ended.folder)
    assert ended.exit_code == 1
    assert {t.engine for t in run.valid()} == {"b"}
    assert len(run.valid()) == 2
    failures = [t.failure for t in run.finished() if t.engine == "a"]
    assert all(text.startswith("train: exit_nonzero: exit code 1 after") for text in failures)
    assert len(failures) == 2


def test_nothing_valid_is_exit_code_3(home, fakes):
    assert runner.start(fakes("a=segfault")).exit_code == 3


def test_warm_ups_are_recorded_and_excluded(home, fakes):
    ended = runner.start(fakes("a=ok", repeats=2, warmups=1))
    run = read_run(ended.folder)
    assert [t.id for t in run.trials] == ["warmup0-a", "0-a", "1-a"]
    assert [t.id for t in run.valid()] == ["0-a", "1-a"]
    assert run.trials[0].warmup
    assert run.manifest.warmups == 1


def test_failing_warm_up_alone_is_no_failure_of_the_run(home, fakes):
    flag = home / "once"
    script = home / "engine.sh"
    fake = " ".join(fakes("a=ok").commands[0].partition("=")[2].split())
    script.write_text(f"#!/bin/sh\n[ -e {flag} ] || {{ touch {flag}; exit 9; }}\nexec {fake} $@\n")
    script.chmod(0o755)
    chosen = fakes("a=ok", warmups=1)
    ended = runner.start(type(chosen)(**{**vars(chosen), "commands": (f"a={script}",)}))
    assert ended.exit_code == 0


def test_cold_empties_the_cache_before_every_trial(home, fakes, monkeypatch):
    script = home / "engine.sh"
    fake = " ".join(fakes("a=ok").commands[0].partition("=")[2].split())
    script.write_text(
        f'#!/bin/sh\nls "$XDG_CACHE_HOME" >> {home}/seen.txt\n'
        f'echo "$1" >> {home}/seen.txt\ntouch "$XDG_CACHE_HOME/compiled"\nexec {fake} $@\n'
    )
    script.chmod(0o755)
    for cold, expected in ((True, 2), (False, 3)):
        (home / "seen.txt").write_text("")
        chosen = fakes("a=ok", repeats=2, cold=cold, name=f"cold-{cold}")
        ended = runner.start(type(chosen)(**{**vars(chosen), "commands": (f"a={script}",)}))
        assert ended.exit_code == 0
        assert read_manifest(ended.folder).cold is cold
        # of four processes the first finds nothing; with --cold neither does the next trial's
        assert (home / "seen.txt").read_text().split().count("compiled") == expected


def test_max_time_stops_between_blocks_and_resume_goes_on(home, fakes):
    ended = runner.start(fakes("a=slow:0.2", "b=ok", repeats=50, max_time_s=1.0))
    run = read_run(ended.folder)
    assert ended.exit_code == 0
    assert "--max-time 1 s leaves no time for another block" in ended.sentence
    assert 2 <= len(run.trials) < 100
    assert len(run.trials) % 2 == 0
    before = len(run.trials)
    runner.resume(home / "results", "r", max_time_s=1.0)
    assert len(read_run(ended.folder).trials) > before


def test_resume_takes_the_commands_given_again(home, fakes):
    options = fakes("a=slow:0.2", repeats=20, max_time_s=0.6)
    folder = runner.start(options).folder
    before = len(read_run(folder).trials)
    runner.resume(home / "results", "r", commands=options.commands, max_time_s=0.6)
    assert len(read_run(folder).trials) > before


def test_run_holds_the_labels_its_predictions_are_compared_with(home, fakes):
    folder = runner.start(fakes("a=ok")).folder
    labels = np.load(folder / TEST_LABELS, allow_pickle=False)
    assert (labels.shape, labels.dtype) == ((20,), np.uint8)


def test_pinned_engine_runs_on_its_processor(home, fakes):
    script = home / "engine.sh"
    fake = " ".join(fakes("a=ok").commands[0].partition("=")[2].split())
    script.write_text(
        f"#!/bin/sh\ngrep Cpus_allowed_list /proc/self/status > {home}/cpus\nexec {fake} $@\n"
    )
    script.chmod(0o755)
    cpu = min(os.sched_getaffinity(0))
    chosen = fakes("a=ok", cpus=(cpu,))
    ended = runner.start(type(chosen)(**{**vars(chosen), "commands": (f"a={script}",)}))
    assert ended.exit_code == 0
    assert (home / "cpus").read_text().split() == ["Cpus_allowed_list:", str(cpu)]


HOLD = """
import time
from harness.machine.lock import measuring
with measuring(wait=False):
    print("held", flush=True)
    time.sleep({seconds})
"""


def test_second_run_names_the_holder_and_leaves(home, fakes, leftovers):
    code = HOLD.format(seconds=60)
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert other.stdout is not None
    other.stdout.readline()
    with pytest.raises(
        lock.BusyError, match=rf"process {other.pid} \(bench\), since .* is measuring"
    ):
        runner.start(fakes("a=ok"))
    assert not (home / "results").exists()
    assert lock.is_held()
    other.kill()  # the kernel frees the lock; nothing has to be cleaned up by hand
    other.wait()
    other.stdout.close()
    assert not lock.is_held()
    assert runner.start(fakes("a=ok")).exit_code == 0


def test_second_run_waits_if_told_to(home, fakes, capsys):
    code = HOLD.format(seconds=0.7)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert runner.start(fakes("a=ok", wait=True)).exit_code == 0
        assert other.wait() == 0
    assert f"waiting for process {other.pid}" in capsys.readouterr().err


def test_name_that_is_taken(home, fakes):
    runner.start(fakes("a=ok"))
    with pytest.raises(UsageError, match="exists; choose another --name"):
        runner.start(fakes("a=ok"))


USAGE = {
    "preset": (["--preset", "papper"], "no preset 'papper'; allowed: "),
    "missing-file": (["--preset", "no/such.toml"], "no/such.toml: No such file"),
    "engine": (["--preset", "smoke", "--engines", "tensorflw"], "Did you mean 'tensorflow'?"),
    "engine-twice": (["--engines", "myad,myad"], "names an engine twice"),
    "negative-repeats": (["--repeats", "-1"], "'--repeats'"),
    "text-repeats": (["--repeats", "ten"], "'--repeats'"),
    "no-threads": (["--threads", "0"], "'--threads'"),
    "option": (["--repeat", "3"], "Allowed: --preset, "),
    "key": (["--set", "training.bach_size=3"], "training.bach_size: no such setting; allowed: "),
    "negative-setting": (["--set", "training.batch_size=-3"], "training.batch_size"),
    "dataset": (
        ["--set", "data.dataset=mnits", "--preset", "smoke", "--engines", "myad"],
        "data set 'mnits'",
    ),
    "name": (["--name", "../escape"], "--name '../escape': allowed are 1 to 64"),
    "dots": (["--name", ".."], "--name '..'"),
    "long-name": (["--name", "x" * 65], "allowed are 1 to 64"),
    "timeout": (["--timeout", "soon"], "--timeout 'soon': expected a time"),
    "no-time": (["--max-time", "0"], "--max-time '0'"),
    "cpus": (["--cpus", "4000"], "--cpus '4000': allowed on this machine"),
    "cpu-text": (["--cpus", "all"], "--cpus 'all': expected processors"),
    "command": (["--command", "prog"], "--command prog: expected NAME="),
    "command-name": (["--command", "a/b=prog"], "engine name 'a/b'"),
    "command-quote": (["--command", "a=prog 'x"], "No closing quotation"),
    "resume-and-more": (["--resume", "--repeats", "3"], "--resume goes on with the schedule"),
    "resume-nothing": (["--resume"], "no run in results"),
}


@pytest.mark.parametrize(("arguments", "complaint"), USAGE.values(), ids=USAGE)
def test_wrong_usage_is_one_line_and_writes_nothing(home, capsys, arguments, complaint):
    before = sorted(home.rglob("*"))
    assert cli.main(["run", *arguments]) == 2
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("bench: ")
    assert errors.count("\n") == 1
    assert complaint in errors
    assert [p for p in sorted(home.rglob("*")) if not p.name.startswith("host.")] == before


def test_unknown_command_is_one_line(capsys):
    assert cli.main(["rum"]) == 2
    errors = capsys.readouterr().err
    assert errors.startswith("bench: No such command 'rum'.")
    assert "run" in errors
    assert errors.count("\n") == 1


def test_run_command_prints_nothing_to_standard_output(home, fakes, capsys):
    chosen = fakes("a=ok")
    code = cli.main(
        [
            *("run", "--preset", chosen.preset, "--command", chosen.commands[0]),
            *("--repeats", "1", "--no-verify", "--name", "cli", "--warmup", "0"),
        ]
    )
    output, errors = capsys.readouterr()
    assert code == 0
    assert output == ""
    assert "1/1 block 1 a: train" in errors
    assert "bench: 1 of 1 trials valid. Tables and plots: bench report cli" in errors


def test_engine_that_does_other_work_is_refused_before_anything_is_written(home, fakes):
    # the fake hands its starting weights back, untrained
    with pytest.raises(BenchError, match="engine 'a' does not do the same work") as caught:
        runner.start(fakes("a=ok", verify=True))
    assert caught.value.exit_code == 1
    assert not (home / "results").exists()


def test_verification_is_in_the_manifest(home):
    chosen = RunOptions(
        preset=str(home / "tiny.toml"), engines="myad-eager", repeats=1, warmups=0, name="v"
    )
    folder = runner.start(chosen).folder
    assert read_manifest(folder).verification["ok"] is True
    assert len(read_run(folder).valid()) == 1
