"""A run whose workload has a target: checkpoints of the timed trials, tested after the last one."""

import pytest

from harness.analysis.analysis import analyze
from harness.analysis.target import to_target
from harness.errors import UsageError
from harness.records.store import read_manifest, read_run
from harness.run import loop as runner
from harness.run.accuracies import expected_s

TARGET = ("target={accuracy=0.05, max_epochs=2}",)


def test_the_accuracy_of_every_checkpoint_is_found_after_the_blocks(home, fakes):
    options = fakes("a=ok", "b=ok", repeats=2, warmups=1, settings=TARGET)
    ended = runner.start(options)
    assert ended.exit_code == 0
    run = read_run(ended.folder)
    keys = [tuple(point.key) for point in run.points]
    assert keys == [("a", 0, 1), ("b", 0, 1), ("a", 1, 1), ("b", 1, 1)]
    assert {point.accuracy for point in run.points} == {0.1}  # class 0 for every image
    ends = [trial.at for trial in run.trials]
    assert max(ends) <= min(point.at for point in run.points)
    assert list(ended.folder.rglob("*.npz")) == []
    assert not (ended.folder / "work").exists()


def test_a_checkpoint_is_tested_and_nothing_is_trained_for_it(home, fakes):
    folder = runner.start(fakes("a=ok", settings=TARGET)).folder
    run = read_run(folder)
    (trial,) = run.valid()
    assert expected_s(run, run.manifest.points()) == trial.test.wall_s
    assert not list(folder.rglob("curve"))


def test_resume_tests_the_checkpoints_that_are_left(home, fakes, monkeypatch):
    whole = runner.start(fakes("a=ok", repeats=2, settings=TARGET, name="whole")).folder
    with monkeypatch.context() as stopped:
        stopped.setattr(runner, "_find_accuracies", lambda *_: "stopped")
        folder = runner.start(fakes("a=ok", repeats=2, settings=TARGET)).folder
    assert read_run(folder).points == []
    kept = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.npz"))
    assert kept == [f"trials/{k}-a/checkpoints/{e}.npz" for k in (0, 1) for e in (1, 2)]
    runner.resume(home / "results", "r", trust=True)
    found = [[(p.key, p.accuracy) for p in read_run(f).points] for f in (whole, folder)]
    assert found[0] == found[1]


def test_an_engine_of_protocol_1_is_left_out_by_name(home, fakes, capsys):
    options = fakes("new=ok", "old=older", "deaf=ignorant", settings=TARGET)
    folder = runner.start(options).folder
    assert [entry.name for entry in read_manifest(folder).engines] == ["new"]
    told = capsys.readouterr().err
    for name in ("old", "deaf"):
        assert f"engine '{name}' is left out: it speaks protocol 1, and a target needs 2." in told


def test_settings_of_protocol_2_leave_it_out_too(home, fakes, capsys):
    settings = ("training.weight_decay=0.1",)
    folder = runner.start(fakes("new=ok", "old=older", settings=settings)).folder
    assert [entry.name for entry in read_manifest(folder).engines] == ["new"]
    assert "'old' is left out: it speaks protocol 1, and these training" in capsys.readouterr().err


def test_a_run_without_an_engine_that_can_is_refused(home, fakes):
    with pytest.raises(UsageError, match="no engine is left: a target needs one that speaks"):
        runner.start(fakes("old=older", settings=TARGET))
    assert not (home / "results").exists()


def test_engines_of_protocol_1_go_on_to_work_on_everything_else(home, fakes):
    ended = runner.start(fakes("old=older", "deaf=ignorant"))
    assert "2 of 2 trials valid" in ended.sentence


def test_a_failed_trial_has_no_course(home, fakes):
    options = fakes("a=ok", "b=checkpoints:few", repeats=2, settings=TARGET)
    analysis = analyze(runner.start(options).folder)
    reached = {reach.engine: len(reach.courses) for reach in to_target(analysis).reaches}
    assert reached == {"a": 2, "b": 0}
