"""Learning curves: a point per engine, seed and epoch; failures are points too."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from harness.analysis.seeds import Accuracy, by_epoch
from harness.cli import main
from harness.errors import Interrupted
from harness.process.supervise import Control
from harness.run.accuracies import collect
from harness.run.options import RunOptions
from harness.run.plan import new_plan

FAKE = Path(__file__).parents[2] / "fakes" / "numpy_engine.py"
COMMAND = f"fake={shlex.join([sys.executable, '-P', str(FAKE)])}"


def test_the_command_gives_a_point_per_seed_and_epoch(home, capsys):
    options = ["--preset", "tiny.toml", "--command", COMMAND, "--set", "training.shuffle=true"]
    assert main(["curves", *options, "--seeds", "2", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(p["seed"], p["epoch"]) for p in found["points"]] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert all(0 <= point["accuracy"] <= 1 for point in found["points"])
    assert [(row["epoch"], row["n"]) for row in found["summary"]] == [(1, 2), (2, 2)]
    assert main(["curves", *options, "--seeds", "1", "--format", "csv"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "engine,seed,epoch,accuracy"


def test_a_failing_engine_is_shown_and_exits_1(home, capsys):
    broken = f"broken={shlex.join([sys.executable, '-c', '1/0'])}"
    options = ["--preset", "tiny.toml", "--command", broken, "--set", "training.epochs=1"]
    assert main(["curves", *options, "--seeds", "1"]) == 1
    out = capsys.readouterr().out
    assert "broken             epoch   1  failed" in out
    assert "ZeroDivisionError" in out


def test_an_interrupted_curve_ends(home):
    plan = new_plan(RunOptions(preset="tiny.toml", commands=(COMMAND,), repeats=2, warmups=0))
    control = Control()
    seen = []

    def stop_after_the_first(point):
        seen.append(point)
        control.requests = 1

    with pytest.raises(Interrupted):
        collect(plan, control, stop_after_the_first)
    assert len(seen) == 1


def test_the_summary_is_over_the_seeds():
    found = [Accuracy("a", seed, 1, value, 20) for seed, value in enumerate((0.5, 0.7, None))]
    row = by_epoch(found)[0].document()
    assert row["mean"] == pytest.approx(0.6)
    assert row["sd"] == pytest.approx(0.02**0.5)
    assert (row["n"], row["failed"], row["min"], row["max"]) == (2, 1, 0.5, 0.7)
    alone = by_epoch(found[2:])[0].document()
    assert (alone["mean"], alone["sd"], alone["min"]) == (None, None, None)
