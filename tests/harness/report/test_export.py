"""`bench export`: checked against the tool itself, or against its published schema."""

import json
import re
import subprocess
import sys

import pytest

from harness.analysis.analysis import analyze
from harness.analysis.metrics import METRICS
from harness.cli import main
from harness.report.export import FORMATS, export

METRIC_KEY = re.compile(r"[\w./ :-]{1,250}")  # what MLflow allows in a metric's name


def exported(capsys, folder, form):
    assert main(["export", str(folder), "--format", form]) == 0
    return json.loads(capsys.readouterr().out)


def pyperf(*arguments):
    """Run pyperf and return what it printed."""
    command = [sys.executable, "-m", "pyperf", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def suite(make_run, capsys, tmp_path):
    """suite(name, seconds) -> path of a file that pyperf reads."""

    def write(name, **options):
        path = tmp_path / f"{name}.json"
        document = exported(capsys, make_run(name=name, **options), "pyperf")
        path.write_text(json.dumps(document))
        return path

    return write


def test_pyperf_stats_shows_our_figures(suite, make_run):
    path = suite("base", seconds={"myad": [1.0, 2.0, 3.0, 4.0]}, blocks=4, noise=0.0)
    out = pyperf("stats", path)
    assert "myad: train_wall_s" in out
    assert "Number of run with values: 4" in out
    assert "Minimum:         1.00 sec" in out
    assert "Median +- MAD:   2.50 sec +- 1.00 sec" in out
    assert "Mean +- std dev: 2.50 sec +- 1.29 sec" in out


def test_pyperf_compare_to_sees_a_planted_slow_down(suite):
    base = suite("base", seconds={"myad": 0.4}, seed=3)
    new = suite("new", seconds={"myad": 0.8}, seed=4)
    out = pyperf("compare_to", base, new)
    assert re.search(r"myad: train_wall_s: .* -> .*: (1\.9|2\.0)\dx slower", out)


def test_hyperfine_has_the_fields_of_its_own_export(make_run, capsys):
    document = exported(capsys, make_run({"a": [1.0, 2.0, 3.0]}, blocks=3, noise=0.0), "hyperfine")
    assert list(document) == ["results"]
    train = document["results"][0]
    # hyperfine 1.19, src/benchmark/benchmark_result.rs
    assert set(train) == {
        "command",
        "mean",
        "stddev",
        "median",
        "user",
        "system",
        "min",
        "max",
        "times",
        "memory_usage_byte",
        "exit_codes",
    }
    assert (train["command"], train["mean"], train["times"]) == ("a train", 2.0, [1.0, 2.0, 3.0])
    assert train["user"] == pytest.approx(0.95 * 2.0)
    assert train["exit_codes"] == [0, 0, 0]


def test_bencher_follows_its_schema(make_run, capsys):
    """bmf.json of bencher.dev: object of objects of {value, lower_value?, upper_value?}."""
    document = exported(capsys, make_run(), "bencher")
    assert set(document) == {"myad", "tensorflow"}
    for measures in document.values():
        for name, measure in measures.items():
            assert re.fullmatch(r"[a-z0-9-]{1,64}", name)
            assert set(measure) == {"value", "lower_value", "upper_value"}
            assert measure["lower_value"] <= measure["value"] <= measure["upper_value"]


def test_github_action_benchmark_entries(make_run, capsys):
    """customSmallerIsBetter: name, unit and value, and range and extra as texts."""
    entries = exported(capsys, make_run(accuracy=0.9), "github-action-benchmark")
    assert len({entry["name"] for entry in entries}) == len(entries) == 2 * len(METRICS)
    for entry in entries:
        assert set(entry) == {"name", "unit", "value", "range", "extra"}
        assert isinstance(entry["value"], float)
        assert entry["range"].startswith("± ")
    error = next(entry for entry in entries if entry["name"] == "myad: error")
    assert error["value"] == pytest.approx(10.0, abs=0.1)  # smaller is better


def test_mlflow_requests_stay_below_its_limits(make_run, capsys):
    entries = exported(capsys, make_run(blocks=400, timelines=False), "mlflow")
    assert [entry["create"]["run_name"] for entry in entries] == ["made myad", "made tensorflow"]
    for entry in entries:
        batches = entry["log_batch"]
        assert sum(len(batch["metrics"]) for batch in batches) == 400 * len(METRICS)
        for batch in batches:
            assert len(batch["metrics"]) + len(batch["params"]) <= 1000
            assert all(METRIC_KEY.fullmatch(metric["key"]) for metric in batch["metrics"])
            assert all(set(m) == {"key", "value", "timestamp", "step"} for m in batch["metrics"])
            assert all(isinstance(p["value"], str) for p in batch["params"])
    assert {m["step"] for b in entries[0]["log_batch"] for m in b["metrics"]} == set(range(400))


@pytest.mark.parametrize("form", FORMATS)
def test_failed_trials_are_left_out(make_run, capsys, form):
    with_failure = exported(capsys, make_run(name="a", fail={"3-myad": "signal"}), form)
    assert with_failure
    document = export(analyze(make_run(name="b", blocks=1, fail={"0-myad": "signal"})), form)
    assert "myad" not in json.dumps(document).replace("myad-bench", "")


@pytest.mark.parametrize("form", FORMATS)
def test_one_block_can_be_exported(make_run, capsys, form):
    assert exported(capsys, make_run(blocks=1), form)


def test_nothing_measured_exits_with_three(make_run, capsys):
    folder = make_run({"a": 1.0}, blocks=1, fail={"0-a": "timeout"})
    assert main(["export", str(folder), "--format", "bencher"]) == 3
    captured = capsys.readouterr()
    assert (captured.out, "nothing to export" in captured.err) == ("", True)


def test_an_unknown_format_lists_the_known(make_run, capsys):
    assert main(["export", str(make_run()), "--format", "junit"]) == 2
    assert "'pyperf', 'hyperfine', 'bencher'" in capsys.readouterr().err
