"""`bench run --seeds --curves`: accuracies that are found after the last block, and recorded."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from harness import cli
from harness.records.models import Epoch, PointKey, ProcessResult, Trial
from harness.records.store import POINTS, RECORDS, read_manifest, read_run
from harness.run import loop as runner
from harness.run.accuracies import expected_s
from harness.workload.start import order

BENCH = [sys.executable, "-m", "harness.cli", "run"]
# fails if trained from a seed of 2 or more
PICKY = """#!/bin/sh
grep -q '"seed": [2-9]' "$3" && {{ echo "not from this start" >&2; exit 7; }}
exec {fake} "$@"
"""


def keys(folder):
    """The points of a run, in the order of their records."""
    run = read_run(folder)
    assert run.problems == []
    return [tuple(point.key) for point in run.points]


def results(folder):
    """What must not depend on interruptions."""
    run = read_run(folder)
    assert (run.problems, run.torn) == ([], False)
    trials = {t.id: (t.state, t.valid, t.accuracy) for t in run.trials}
    return trials, {p.key: (p.accuracy, p.correct, p.test_count, p.failure) for p in run.points}


def test_seeds_beyond_the_blocks_run_once_each(home, fakes):
    ended = runner.start(fakes("a=seeded:0", "b=seeded:0", repeats=2, seeds=4))
    assert ended.exit_code == 0
    assert "4 of 4 trials valid, 4 untimed accuracies found." in ended.sentence
    assert keys(ended.folder) == [("a", 2, 2), ("b", 2, 2), ("a", 3, 2), ("b", 3, 2)]
    manifest = read_manifest(ended.folder)
    assert (manifest.seeds, manifest.further_seeds, manifest.curves) == ([0, 1], [2, 3], False)
    assert sorted(path.name for path in (ended.folder / "trials").iterdir()) == [
        "0-a",
        "0-b",
        "1-a",
        "1-b",
    ]
    assert not (ended.folder / "work").exists()


def test_accuracies_are_those_of_blocks_with_these_seeds(home, fakes):
    short = runner.start(fakes("a=seeded:0", repeats=1, seeds=3)).folder
    long = runner.start(fakes("a=seeded:0", repeats=3, name="long")).folder
    blocks = {t.seed: (t.accuracy, t.correct, t.test_count) for t in read_run(long).valid()}
    assert {p.seed: (p.accuracy, p.correct, p.test_count) for p in read_run(short).points} == {
        seed: blocks[seed] for seed in (1, 2)
    }


def test_curves_are_every_epoch_but_those_that_blocks_have_measured(home, fakes):
    folder = runner.start(fakes("a=ok", repeats=2, seeds=3, curves=True)).folder
    assert keys(folder) == [("a", 2, 2), ("a", 0, 1), ("a", 1, 1), ("a", 2, 1)]


def spying(home, options, log):
    """A program that notes what it is to train, and is then the engine of the options."""
    script, fake = home / "engine.sh", options.commands[0].partition("=")[2]
    script.write_text(
        f'#!/bin/sh\n[ "$1" = train ] && python3 -I -c "{SPY}" "$3" {log}\nexec {fake} "$@"\n'
    )
    script.chmod(0o755)
    return script


def test_jobs_of_a_curve_have_the_start_and_orders_of_the_block(home, fakes):
    log = home / "jobs.txt"
    script = spying(home, fakes("a=ok"), log)
    options = replace(fakes(curves=True), commands=(f"a={script}",))
    runner.start(replace(options, settings=("training.shuffle=true",)))
    block, curve = (json.loads(line) for line in log.read_text().splitlines())
    assert (block.pop("checkpoints"), curve.pop("checkpoints")) == (False, True)
    assert block == curve  # one training, and its weights after each epoch
    assert block["order"] == order(0, 2, 40).astype("<i4").tobytes().hex()


@pytest.mark.parametrize("engine", ["older", "ignorant"])
def test_an_engine_that_leaves_no_checkpoints_is_trained_anew_for_each_epoch(home, fakes, engine):
    log = home / "jobs.txt"
    script = spying(home, fakes(f"a={engine}"), log)
    options = replace(fakes(curves=True, repeats=2), commands=(f"a={script}",))
    folder = runner.start(replace(options, settings=("training.shuffle=true",))).folder
    assert keys(folder) == [("a", 0, 1), ("a", 1, 1)]
    assert not [point.failure for point in read_run(folder).points if point.failure]
    first, _, tried, *anew = (json.loads(line) for line in log.read_text().splitlines())
    assert tried["checkpoints"]
    assert [(job["epochs"], job["checkpoints"]) for job in anew] == [(1, False), (1, False)]
    assert first["start"] == anew[0]["start"]
    assert first["order"].startswith(anew[0]["order"])
    assert len(anew[0]["order"]) * 2 == len(first["order"])


SPY = (
    "import json, sys; j = json.load(open(sys.argv[1])); "
    "start = open(j['initial_weights'], 'rb').read(); "
    "order = open(j['data']['order'], 'rb').read()[128:]; "
    "open(sys.argv[2], 'a').write(json.dumps({'epochs': j['workload']['training']['epochs'], "
    "'start': start.hex(), 'order': order.hex(), 'checkpoints': j['checkpoints'] is not None}) "
    "+ chr(10))"
).replace('"', "'")


def test_timed_trials_come_first_and_are_the_same(home, fakes):
    plain = runner.start(fakes("a=seeded:0", "b=seeded:0", repeats=3)).folder
    asked = runner.start(
        fakes("a=seeded:0", "b=seeded:0", repeats=3, seeds=5, curves=True, name="asked")
    ).folder
    assert read_manifest(plain).schedule == read_manifest(asked).schedule
    assert results(plain)[0] == results(asked)[0]
    ends = [t.at for t in read_run(asked).trials]
    assert max(ends) <= min(p.at for p in read_run(asked).points)
    assert not (plain / POINTS).exists()


@pytest.mark.parametrize(("seeds", "told"), [(2, True), (3, False), (0, False)])
def test_no_more_seeds_than_blocks_add_nothing(home, fakes, capsys, seeds, told):
    folder = runner.start(fakes("a=ok", repeats=3, seeds=seeds)).folder
    assert read_manifest(folder).further_seeds == []
    said = "--seeds 2 adds nothing: each of the 3 blocks has a seed of its own already."
    assert (said in capsys.readouterr().err) == told


def picky(home, fakes):
    """Options with an engine that fails from every start beyond the second."""
    script = home / "picky.sh"
    script.write_text(PICKY.format(fake=fakes("a=ok").commands[0].partition("=")[2]))
    script.chmod(0o755)
    return replace(fakes(repeats=2, seeds=3), commands=(f"a={script}",))


def test_failed_point_has_a_reason_and_no_number(home, fakes):
    ended = runner.start(picky(home, fakes))
    assert ended.exit_code == 1
    assert "2 of 2 trials valid, 0 untimed accuracies found, 1 failed." in ended.sentence
    (point,) = read_run(ended.folder).points
    assert (point.accuracy, point.correct) == (None, None)
    assert point.failure.startswith("train: exit_nonzero: exit code 7")
    before = (ended.folder / POINTS).read_bytes()
    assert runner.resume(home / "results", "r").exit_code == 1  # it is not tried again
    assert (ended.folder / POINTS).read_bytes() == before


def test_engine_without_a_valid_trial_is_not_asked_again(home, fakes):
    ended = runner.start(fakes("a=ok", "b=segfault", repeats=1, seeds=3, curves=True))
    assert ended.exit_code == 1
    assert {name for name, _, _ in keys(ended.folder)} == {"a"}
    assert read_run(ended.folder).pending_points() == []
    assert runner.start(fakes("b=segfault", seeds=3, name="none")).exit_code == 3


def test_max_time_holds_for_them_and_resume_goes_on(home, fakes):
    ended = runner.start(fakes("a=slow:0.1", repeats=1, seeds=60, max_time_s=2.0))
    done = keys(ended.folder)
    assert 0 < len(done) < 59
    assert ended.exit_code == 0
    assert f"--max-time 2 s leaves {59 - len(done)} accuracies to be found" in ended.sentence
    runner.resume(home / "results", "r", max_time_s=2.0)
    more = keys(ended.folder)
    assert len(more) > len(done)
    assert more[: len(done)] == done
    assert len(set(more)) == len(more)


def command(fakes, *engines):
    """The command line of a run of fakes with 1 block, 4 starts and curves."""
    chosen = fakes(*engines)
    texts = [part for text in chosen.commands for part in ("--command", text)]
    options = ["--repeats", "1", "--warmup", "0", "--seeds", "4", "--curves", "--no-verify"]
    return [*BENCH, "--preset", chosen.preset, "--name", "r", *texts, *options]


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def lines(home):
    path = home / "results" / "r" / POINTS
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_killed_in_this_part_loses_and_doubles_nothing(home, fakes, leftovers):
    engines = ("a=seeded:0.05", "bb=seeded:0.05")
    line = command(fakes, *engines)
    for number in (1, 4, 7):
        harness = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda n=number: lines(home) >= n)
        time.sleep(0.03 * number)
        harness.kill()
        harness.wait()
        wait_for(lambda: leftovers() == [])
        line = [*BENCH, "--resume", "--name", "r"]
    assert runner.resume(home / "results", "r").exit_code == 0
    assert len(keys(home / "results" / "r")) == 6 + 8
    options = fakes(*engines, repeats=1, seeds=4, curves=True, results=home / "undisturbed")
    assert results(home / "results" / "r") == results(runner.start(options).folder)


def test_ctrl_c_in_this_part_leaves_a_valid_run(home, fakes, leftovers):
    harness = subprocess.Popen(
        command(fakes, "a=slow:0.3"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: lines(home) >= 2)
    time.sleep(0.1)
    harness.send_signal(signal.SIGINT)
    output, errors = harness.communicate()
    assert (harness.returncode, output) == (130, "")
    assert "interrupted; 1 of 1 trials valid, 2 untimed accuracies found, 5 to go." in errors
    assert leftovers() == []
    assert runner.resume(home / "results", "r").exit_code == 0
    assert len(set(keys(home / "results" / "r"))) == 7


DAMAGE = {
    "twice": ({}, "duplicate record: accuracy of 'a', seed 1, epoch 2."),
    "never planned": ({"seed": 9}, "not in the manifest's plan: accuracy of 'a', seed 9, epoch 2."),
    "measured by a block": ({"seed": 0}, "not in the manifest's plan: accuracy of 'a', seed 0"),
    "no number, no reason": ({"accuracy": None}, "either an accuracy or the reason"),
    "number and reason": ({"failure": "x"}, "either an accuracy or the reason"),
    "per cent": ({"accuracy": 91.0}, "accuracy: Input should be less than or equal to 1"),
    "schema": ({"schema_version": 2}, "schema version 2, this program reads 1."),
    "unknown key": ({"loss": 1}, "loss: Extra inputs are not permitted"),
}


@pytest.mark.parametrize(("change", "message"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_record_is_refused_and_the_rest_used(home, fakes, change, message):
    folder = runner.start(fakes("a=ok", repeats=1, seeds=2)).folder
    path = folder / POINTS
    good = json.loads(path.read_text())
    with path.open("a") as file:
        file.write(json.dumps({**good, **change}) + "\n")
    run = read_run(folder)
    assert len(run.points) == 1
    (problem,) = run.problems
    assert problem.startswith(f"{path}:2: ")
    assert message in problem


def test_manifest_from_before_these_fields_is_read_and_resumed(home, fakes):
    folder = runner.start(fakes("a=ok", repeats=2)).folder
    path = folder / "manifest.json"
    old = json.loads(path.read_text())
    del old["further_seeds"], old["curves"]
    path.write_text(json.dumps(old))
    trials = (folder / RECORDS).read_bytes()
    assert read_run(folder).pending_points() == []
    assert read_manifest(folder).points() == []
    assert runner.resume(home / "results", "r").exit_code == 0
    assert (folder / RECORDS).read_bytes() == trials


def test_what_a_shorter_job_is_expected_to_take(home, fakes):
    run = read_run(runner.start(fakes("a=ok", repeats=1)).folder)
    train = ProcessResult(
        outcome="ok",
        wall_s=10.0,
        epochs=[Epoch(epoch=k, seconds=3.0, examples=40) for k in (1, 2)],
    )
    test = ProcessResult(outcome="ok", wall_s=1.0)
    planned = run.manifest.schedule[0].model_dump()
    state = {"state": "finished", "at": "2026-01-01T00:00:00Z", "valid": True, "accuracy": 0.5}
    run.trials = [Trial(**planned, **state, train=train, test=test)]
    assert expected_s(run, [PointKey("a", 1, 2)]) == 11.0
    assert expected_s(run, [PointKey("a", 1, 1), PointKey("a", 2, 2)]) == 8.0 + 11.0


def test_options_reach_the_manifest_and_resume_refuses_them(home, fakes, capsys):
    chosen = fakes("a=ok")
    line = ["run", "--preset", chosen.preset, "--command", chosen.commands[0], "--no-verify"]
    line += ["--repeats", "1", "--warmup", "0", "--name", "cli", "--seeds", "2", "--curves"]
    assert cli.main(line) == 0
    manifest = read_manifest(home / "results" / "cli")
    assert (manifest.further_seeds, manifest.curves) == ([1], True)
    assert "1/3 not timed: seed 1 a, 2 epochs: accuracy 10.00 %" in capsys.readouterr().err
    assert cli.main(["run", "--resume", "--seeds", "5"]) == 2
    assert cli.main(["run", "--resume", "--curves"]) == 2


@pytest.mark.parametrize("columns", ["40", "80"])
def test_help_cuts_no_option_off(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    cli.main(["run", "--help"])
    text = capsys.readouterr().out
    assert "--seeds" in text
    assert "--no-sampling" in text
    assert "…" not in text
