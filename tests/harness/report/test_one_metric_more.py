"""A metric is one entry of one table: with one more, every output has one more."""

import json
import subprocess
import sys

import pytest

TITLE, KEY = "CPU time of training", "train_cpu_s"
# in a process of its own: the other modules take the table when they are imported
PROGRAM = """
import contextlib, io, json, sys
import harness.analysis.metrics as metrics

def read(trial):
    return trial.train.user_s if trial.train is not None else None

more = metrics.Metric("train_cpu_s", "CPU time of training", "trains", metrics.TIME, read,
                      drawn=True, swept=True)
metrics.METRICS += (more,)
metrics.RATIO_METRICS += (more,)

from harness.cli import main

def printed(*arguments):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main(list(arguments))
    return out.getvalue()

base, new, sweep = sys.argv[1:]
print(json.dumps({
    "terminal": printed("report", base),
    "json": printed("report", base, "--format", "json"),
    "sweep": printed("report", "sweep", "--results", sweep),
    "compare": printed("compare", base, new),
    "compare as json": printed("compare", base, new, "--format", "json"),
    "gate": printed("gate", base, new, "--metric", "train_cpu_s"),
    **{form: printed("export", base, "--format", form)
       for form in ("pyperf", "bencher", "github-action-benchmark", "mlflow")},
}))
"""


@pytest.fixture
def outputs(make_run):
    """What every command printed, and the folders of both reports."""
    base, new = make_run(name="base", blocks=3), make_run(name="new", blocks=3, seed=2)
    point = make_run(name="sweep/1-epochs-3", blocks=2, timelines=False)
    (point.parent / "sweep.json").write_text('{"axes": {"training.epochs": ["3"]}}')
    command = [sys.executable, "-c", PROGRAM, str(base), str(new), str(base.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout), base / "report", point.parent / "report"


def test_every_output_shows_a_metric_that_was_added_to_the_table(outputs):
    printed, report, sweep = outputs
    assert TITLE in printed["terminal"]
    assert TITLE in printed["compare"]
    assert "myad, CPU time of training: " in printed["gate"]
    assert '"metric": "train_cpu_s"' in printed["compare as json"]
    document = json.loads(printed["json"])
    assert document["engines"]["myad"][KEY]["n"] == 3
    assert document["ratios"]["myad/tensorflow"][KEY]["n"] == 3
    assert "myad: train_cpu_s" in printed["pyperf"]
    assert "train-cpu-s" in printed["bencher"]
    assert "myad: train_cpu_s" in printed["github-action-benchmark"]
    assert '"key": "train_cpu_s"' in printed["mlflow"]
    for folder in (report, sweep):
        assert TITLE in (folder / "index.html").read_text()
        assert TITLE in (folder / "report.md").read_text()
        assert KEY in (folder / "summary.csv").read_text()
    assert KEY in (report / "trials.csv").read_text()
    assert (report / f"{KEY}.svg").is_file()
    assert (sweep / f"{KEY}-1.svg").is_file()
