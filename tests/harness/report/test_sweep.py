"""`bench sweep` with fake engines: every point a run, resumable, a page of curves."""

import json
import re
import shutil

import pandas as pd
import pytest

from harness.analysis.metrics import METRICS
from harness.cli import main
from harness.errors import UsageError
from harness.records.manifest import Manifest
from harness.records.store import read_run
from harness.run.sweep import parse_axes, points
from harness.workload.format import load


@pytest.fixture
def sweep(home, fakes):
    """sweep("--set", ..., engines=("a=ok",)) -> exit code of `bench sweep` in `home`."""

    def run(*arguments, engines=("a=ok", "b=ok")):
        commands = [part for c in fakes(*engines).commands for part in ("--command", c)]
        fixed = ["--preset", str(home / "tiny.toml"), "--repeats", "2", "--warmup", "0"]
        return main(["sweep", *fixed, *commands, "--no-verify", "--name", "s", *arguments])

    return run


def test_axes_are_read_with_lists_as_values():
    texts = ["training.batch_size=1, 8", "model.layers.0.kernel_size=[3,3],[5,5]"]
    assert parse_axes(texts) == {
        "training.batch_size": ["1", "8"],
        "model.layers.0.kernel_size": ["[3,3]", "[5,5]"],
    }


def test_points_are_every_combination_with_names_that_sort():
    made = points({"a.x": ["1", "2"], "b.y": ["u/v", "w"]})
    assert [p.name for p in made] == ["1-x-1-y-u_v", "2-x-1-y-w", "3-x-2-y-u_v", "4-x-2-y-w"]
    assert made[1].settings == ("a.x=1", "b.y=w")
    assert points({"a": [str(k) for k in range(12)]})[0].name == "01-a-0"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([], "at least one --set"),
        (["epochs"], "expected setting=value"),
        (["epochs=1,,2"], "expected setting=value"),
        (["epochs=1,1"], "a value is given twice"),
        (["epochs=1", "epochs=2"], "given twice"),
    ],
)
def test_wrong_axes_are_refused(texts, message):
    with pytest.raises(UsageError, match=message):
        parse_axes(texts)


def test_too_many_points_are_refused():
    values = [str(k) for k in range(15)]
    with pytest.raises(UsageError, match="225 runs, allowed are 200"):
        points({"a": values, "b": values})


def test_every_point_is_a_run_with_its_setting_and_the_page_has_the_curves(sweep, home):
    assert sweep("--set", "training.batch_size=1,8", "--set", "training.epochs=1,2") == 0
    folder = home / "results" / "s"
    found = [read_run(path) for path in sorted(folder.glob("[1-9]-*"))]
    trained = [run.manifest.workload["training"] for run in found]
    expected = [(1, 1), (1, 2), (8, 1), (8, 2)]
    assert [(t["batch_size"], t["epochs"]) for t in trained] == expected
    assert all(len(run.valid()) == 4 for run in found)
    report = folder / "report"
    swept = [metric.key for metric in METRICS if metric.swept]
    assert swept
    for key in swept:
        for panel in (1, 2):  # one per number of epochs
            assert (report / f"{key}-{panel}.svg").is_file()
            assert (report / f"{key}-{panel}.png").is_file()
    page = (report / "index.html").read_text()
    assert page.count("<svg") == 2 * len(swept)
    assert not re.search(r"https?://", page)
    summary = pd.read_csv(report / "summary.csv")
    assert len(summary) == 4 * 2 * len(METRICS)
    assert set(summary["training.batch_size"]) == {1, 8}


def test_settings_that_are_no_numbers_have_an_axis_too(sweep, home):
    assert sweep("--set", "training.optimizer=sgd,adam", engines=("a=ok",)) == 0
    assert "training.optimizer" in (home / "results" / "s" / "report" / "report.md").read_text()


def test_an_existing_sweep_goes_on_only_with_resume(sweep, home, capsys):
    assert sweep("--set", "training.epochs=1,2") == 0
    records = [p.read_bytes() for p in sorted((home / "results/s").glob("*/trials.jsonl"))]
    assert sweep("--set", "training.epochs=1,2") == 2
    assert "go on with --resume" in capsys.readouterr().err
    assert sweep("--set", "training.epochs=1,2", "--resume") == 0
    again = [p.read_bytes() for p in sorted((home / "results/s").glob("*/trials.jsonl"))]
    assert again == records  # what was complete did not run again


def test_resume_runs_what_is_missing(sweep, home):
    sweep("--set", "training.epochs=1,2")
    second = next((home / "results" / "s").glob("2-*"))
    records = second / "trials.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    records.write_text("".join(lines[:-3]))  # a kill in the middle of the third trial
    assert sweep("--set", "training.epochs=1,2", "--resume") == 0
    assert len(read_run(second).valid()) == 4


def test_resume_with_other_values_is_refused(sweep, home, capsys):
    (home / "results" / "s").mkdir(parents=True)
    (home / "results" / "s" / "sweep.json").write_text('{"axes": {"training.epochs": ["1", "2"]}}')
    assert sweep("--set", "training.epochs=1,3", "--resume") == 2
    assert "goes over training.epochs=1,2, not training.epochs=1,3" in capsys.readouterr().err


STARTED_OTHERWISE = [
    (["--repeats", "3"], ("a=ok", "b=ok"), "repeats: 2 → 3"),
    (["--warmup", "1"], ("a=ok", "b=ok"), "warmups: 0 → 1"),
    (["--seed", "7"], ("a=ok", "b=ok"), "seeds: [0, 1] → [7, 8]"),
    (["--threads", "2"], ("a=ok", "b=ok"), "threads: 1 → 2"),
    (["--preset", "other.toml"], ("a=ok", "b=ok"), "workload.training.learning_rate: 0.01 → 0.5"),
    ([], ("a=ok",), "engines: a, b → a"),
    ([], ("a=ok", "b=slow:0"), "engine b: its command has changed"),
]


def test_resume_refuses_what_differs_from_the_start(sweep, home, capsys):
    other = (home / "tiny.toml").read_text().replace("learning_rate = ", "learning_rate = 0.5 # ")
    (home / "other.toml").write_text(other)
    assert sweep("--set", "training.epochs=1,2") == 0
    second = next((home / "results" / "s").glob("2-*"))
    shutil.rmtree(second)  # still to be measured: it must not be measured otherwise
    for arguments, engines, named in STARTED_OTHERWISE:
        assert sweep("--set", "training.epochs=1,2", "--resume", *arguments, engines=engines) == 2
        error = capsys.readouterr().err
        assert "this sweep was started with something else: " in error
        assert named in error
        assert not second.exists()
    assert sweep("--set", "training.epochs=1,2", "--resume") == 0
    assert len(read_run(second).valid()) == 4


def test_resume_refuses_a_definition_that_does_not_say_its_start(sweep, home, capsys):
    (home / "results" / "s").mkdir(parents=True)
    (home / "results" / "s" / "sweep.json").write_text('{"axes": {"training.epochs": ["1"]}}')
    assert sweep("--set", "training.epochs=1", "--resume") == 2
    assert "does not say what the sweep was started with" in capsys.readouterr().err


def test_a_crashing_engine_is_left_out_of_the_curves_and_exits_with_one(sweep, home):
    assert sweep("--set", "training.epochs=1,2", engines=("a=ok", "b=segfault")) == 1
    summary = pd.read_csv(home / "results" / "s" / "report" / "summary.csv")
    assert set(summary[summary.engine == "b"].n) == {0}


def test_nothing_valid_exits_with_three(sweep, capsys):
    assert sweep("--set", "training.epochs=1", engines=("a=segfault",)) == 3
    assert "nothing was measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("training.epochs=1,0", "training.epochs"),
        ("training.speed=1,2", "no such setting"),
    ],
)
def test_a_value_that_no_workload_takes_is_refused_before_anything_is_written(
    sweep, home, capsys, setting, message
):
    assert sweep("--set", setting) == 2
    assert message in capsys.readouterr().err
    assert not (home / "results").exists()


def test_an_unknown_engine_is_refused_before_anything_is_written(sweep, home, capsys):
    assert sweep("--set", "training.epochs=1", "--engines", "nosuch") == 2
    assert "nosuch" in capsys.readouterr().err
    assert not (home / "results").exists()


def test_report_made_twice_is_the_same(sweep, home):
    sweep("--set", "training.epochs=1,2")
    report = home / "results" / "s" / "report"
    first = {path.name: path.read_bytes() for path in report.iterdir()}
    assert main(["report", "s"]) == 0
    assert {path.name: path.read_bytes() for path in report.iterdir()} == first


def test_definition_is_readable(sweep, home):
    sweep("--set", "training.epochs=1,2")
    definition = json.loads((home / "results" / "s" / "sweep.json").read_text())
    assert definition["axes"] == {"training.epochs": ["1", "2"]}
    first = Manifest.model_validate(definition["first"])
    assert (first.run, first.repeats, first.workload["training"]["epochs"]) == ("1-epochs-1", 2, 1)
    assert load(str(home / "tiny.toml")).training.epochs == 2
