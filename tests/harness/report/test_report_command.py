"""`bench report` end to end, on synthetic runs."""

import csv
import json
import math
import time
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis.analysis import analyze
from harness.analysis.metrics import METRICS
from harness.cli import main
from harness.records.models import Trial
from harness.records.store import RECORDS
from harness.report import page
from harness.report.as_json import report_document
from harness.report.plots import engines, process
from harness.report.provenance import MOST_TRIALS
from harness.report.terminal import print_summary

METRIC_KEYS = {metric.key for metric in METRICS}
PLOTS = {plot.name for plot in (*engines.PLOTS, *process.PLOTS)}


@pytest.fixture(autouse=True)
def wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")


def finite_numbers(value):
    """Every number in a JSON document."""
    if isinstance(value, dict):
        return [n for v in value.values() for n in finite_numbers(v)]
    if isinstance(value, list):
        return [n for v in value for n in finite_numbers(v)]
    return [value] if isinstance(value, int | float) else []


def document_of(folder):
    """The JSON document, without drawing plots; one test goes through the command."""
    return json.loads(json.dumps(report_document(analyze(folder)), allow_nan=False))


def test_json_has_the_documented_shape(make_run, capsys):
    document = document_of(make_run())
    assert set(document) == {
        *("run", "preset", "blocks", "decision"),
        *("engines", "ratios", "machines", "across", "seeds"),
    }
    assert document["machines"] == document["across"] == {}  # of one machine
    assert (document["run"], document["preset"]) == ("made", "paper")
    assert document["blocks"] == {"planned": 10, "valid": 10}
    assert set(document["engines"]) == {"myad", "tensorflow"}
    for figures in document["engines"].values():
        assert set(figures) == METRIC_KEYS | {"failed"}
        for key in METRIC_KEYS:
            summary = figures[key]
            assert set(summary) == {"n", "mean", "median", "sd", "min", "max", "values"}
            assert summary["n"] == len(summary["values"]) == 10
            assert summary["mean"] == pytest.approx(sum(summary["values"]) / 10, rel=1e-12)
    assert set(document["ratios"]) == {"myad/tensorflow", "tensorflow/myad"}
    assert set(document["ratios"]["myad/tensorflow"]) == METRIC_KEYS
    assert all(map(math.isfinite, finite_numbers(document)))


def test_json_numbers_are_those_of_the_records(make_run, capsys):
    folder = make_run({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]}, blocks=3, noise=0.0)
    document = document_of(folder)
    a = document["engines"]["a"]
    assert a["train_wall_s"]["values"] == [1.0, 2.0, 3.0]
    assert a["test_wall_s"]["values"] == pytest.approx([0.1, 0.2, 0.3], rel=1e-12)
    assert a["total_wall_s"]["median"] == pytest.approx(2.2, rel=1e-12)
    assert a["train_phase_s"]["max"] == pytest.approx(2.4, rel=1e-12)
    assert a["peak_rss_bytes"]["mean"] == 6e7
    ratio = document["ratios"]["a/b"]["train_wall_s"]
    assert ratio["ratio"] == pytest.approx(0.5, rel=1e-12)
    assert document["ratios"]["b/a"]["train_wall_s"]["ratio"] == 1 / ratio["ratio"]


def test_nothing_but_json_is_on_standard_output(make_run, capsys):
    folder = make_run()
    assert main(["report", str(folder), "--format", "json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == document_of(folder)
    assert "report written to" in captured.err


def test_folder_holds_page_tables_and_plots(make_run):
    folder = make_run()
    assert main(["report", str(folder)]) == 0
    names = {path.name for path in (folder / "report").iterdir()}
    expected = {"index.html", "report.md", "summary.csv", "trials.csv", "trials.parquet"}
    expected |= {f"{name}.{kind}" for name in PLOTS for kind in ("png", "svg")}
    assert names == expected


def test_tables_are_read_by_pandas(make_run):
    folder = make_run(fail={"3-myad": "signal"})
    main(["report", str(folder)])
    summary = pd.read_csv(folder / "report" / "summary.csv")
    trials = pd.read_csv(folder / "report" / "trials.csv")
    parquet = pd.read_parquet(folder / "report" / "trials.parquet")
    assert len(trials) == len(parquet) == 20
    assert list(trials.columns) == list(parquet.columns)
    myad = summary[(summary.engine == "myad") & (summary.metric == "train_wall_s")].iloc[0]
    assert (myad.n, myad.failed) == (9, 1)
    valid = trials[(trials.engine == "myad") & trials.valid]
    assert myad["mean"] == pytest.approx(valid.train_wall_s.mean(), rel=1e-12)
    failed = trials[trials.trial == "3-myad"].iloc[0]
    assert (failed.outcome, failed.failure) == ("signal", "train: signal")


def test_without_pyarrow_only_the_parquet_file_is_missing(make_run, monkeypatch):
    folder = make_run(timelines=False)
    main(["report", str(folder)])
    whole = contents(folder)
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    main(["report", str(folder)])
    del whole["trials.parquet"]
    assert contents(folder) == whole


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "report").iterdir()}


def test_made_twice_every_byte_is_the_same(make_run):
    folder = make_run({"myad": 0.4, "tensorflow": 160.0, "jax": 15.0})
    main(["report", str(folder)])
    first = contents(folder)
    time.sleep(1.1)  # a timestamp of now, if there were one, would differ
    main(["report", str(folder)])
    assert contents(folder) == first


def shown(folder, capsys):
    """What the terminal shows of a run, on one line; no plot is drawn."""
    print_summary(folder)
    return " ".join(capsys.readouterr().out.split())


def test_terminal_says_the_conclusions(make_run, capsys):
    out = shown(make_run(noise=0.02), capsys)
    assert "myad trains 398 times faster than tensorflow (95 % interval 390 to 407, 10" in out
    assert "accuracy: equivalent" in out
    assert "162.77 s 145.47 s" in out
    assert "another machine" in out


@pytest.mark.parametrize("columns", ["40", "60", "80", "200"])
def test_no_line_is_wider_than_the_terminal(make_run, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    engines = {"myad": 0.4, "an-engine-with-a-long-name": 3.0, "tensorflow": 160.0}
    print_summary(make_run(engines))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert not any("…" in line for line in lines)  # nothing cut off


def test_a_pipe_gets_no_escape_codes(make_run, capsys):
    print_summary(make_run())
    assert "\x1b" not in capsys.readouterr().out


def test_one_block_shows_values_and_claims_nothing(make_run, capsys):
    folder = make_run(blocks=1)
    document = document_of(folder)
    ratio = document["ratios"]["myad/tensorflow"]["train_wall_s"]
    assert (ratio["interval"], ratio["verdict"]) == (None, "inconclusive")
    assert document["engines"]["myad"]["train_wall_s"]["sd"] is None
    assert "without a repeat there is no interval" in shown(folder, capsys)


def test_one_engine_has_figures_and_no_ratio(make_run, capsys):
    folder = make_run({"myad": 0.4})
    document = document_of(folder)
    assert document["ratios"] == {}
    main(["report", str(folder)])
    assert "myad, means of 10 blocks: training took" in " ".join(capsys.readouterr().out.split())
    assert not (folder / "report" / "ratios.svg").exists()


def test_five_engines(make_run, capsys):
    names = ["myad", "myad-eager", "tensorflow", "pytorch", "jax"]
    document = document_of(make_run({n: 1.0 + k for k, n in enumerate(names)}))
    assert len(document["ratios"]) == 20
    assert list(document["engines"]) == names


def test_a_run_cut_short_is_reported_as_such(make_run, capsys):
    folder = make_run(stop=7)
    document = document_of(folder)
    assert document["blocks"] == {"planned": 10, "valid": 3}
    out = shown(folder, capsys)
    assert "The run is not complete: 7 of 20 trials finished." in out


def test_more_than_one_failure_in_ten_withholds_the_ratio(make_run, capsys):
    one = document_of(make_run(name="one", fail={"3-tensorflow": "timeout"}))
    two_failed = {"3-tensorflow": "signal", "5-tensorflow": "exit_nonzero"}
    two = document_of(make_run(name="two", fail=two_failed))
    assert one["ratios"]["myad/tensorflow"]["train_wall_s"]["n"] == 10  # a bound
    assert one["ratios"]["myad/tensorflow"]["train_wall_s"]["bound"] == "at most"
    cell = two["ratios"]["myad/tensorflow"]["train_wall_s"]
    assert (cell["ratio"], cell["interval"], cell["p"]) == (None, None, None)
    assert cell["verdict"] == "inconclusive"
    assert cell["withheld"] == "2 of 10 trials of tensorflow failed, more than 1 in 10."
    assert two["engines"]["tensorflow"]["failed"] == 2
    assert two["engines"]["tensorflow"]["train_wall_s"]["n"] == 8


def test_no_valid_trial_exits_with_three_and_still_reports(make_run, capsys):
    failed = {f"{b}-{e}": "exit_nonzero" for b in range(2) for e in ("myad", "tensorflow")}
    folder = make_run(blocks=2, fail=failed)
    document = document_of(folder)
    assert document["blocks"]["valid"] == 0
    assert document["engines"]["myad"]["train_wall_s"] == {
        "n": 0,
        "mean": None,
        "median": None,
        "sd": None,
        "min": None,
        "max": None,
        "values": [],
    }
    assert main(["report", str(folder)]) == 3
    captured = capsys.readouterr()
    assert "no trial is valid" in captured.err
    assert "No trial is valid, so nothing was measured." in captured.out
    assert (folder / "report" / "index.html").is_file()


def test_a_run_without_any_record_has_no_valid_block(make_run):
    assert document_of(make_run(stop=0, timelines=False))["blocks"]["valid"] == 0


EVIL = "=cmd|'/c calc'!A1<script>alert(1)</script>$x$_*"


def test_texts_are_escaped_everywhere(make_run):
    folder = make_run(blocks=2, fail={"0-myad": "signal"}, host={"cpu": EVIL})
    path = folder / RECORDS
    trials = [Trial.model_validate_json(line) for line in path.read_text().splitlines()]
    for trial in trials:
        trial.failure = trial.failure and EVIL
    path.write_text("".join(trial.model_dump_json() + "\n" for trial in trials))
    main(["report", str(folder)])
    html = (folder / "report" / "index.html").read_text()
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html
    markdown = (folder / "report" / "report.md").read_text()
    assert "<script>" not in markdown
    assert "=cmd\\|" in markdown
    with (folder / "report" / "trials.csv").open(newline="") as file:
        failures = {row["failure"] for row in csv.DictReader(file)}
    assert failures == {"", f"'{EVIL}"}


def test_log_tails_are_shown_escaped(make_run):
    folder = make_run(blocks=4, fail={"3-myad": "signal"}, timelines=False)
    main(["report", str(folder)])
    html = (folder / "report" / "index.html").read_text()
    assert "Traceback:\n  &lt;b&gt;boom&lt;/b&gt;" in html


def test_ten_thousand_trials(make_run, capsys):
    folder = make_run(blocks=5000, timelines=False)
    assert main(["report", str(folder), "--format", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["engines"]["myad"]["train_wall_s"]["n"] == 5000
    assert document["ratios"]["myad/tensorflow"]["train_wall_s"]["verdict"] == "faster"
    html = (folder / "report" / "index.html").read_text()
    # a browser sorts no more rows in a moment; the file has all of them
    assert MOST_TRIALS <= html.count("<tr><td>") < MOST_TRIALS + 100
    assert f"{10_000 - MOST_TRIALS:,} more are in" in html
    assert len(pd.read_csv(folder / "report" / "trials.csv")) == 10_000


def test_a_damaged_line_is_named_and_the_rest_is_used(make_run, capsys):
    folder = make_run()
    records = folder / "trials.jsonl"
    lines = records.read_text().splitlines(keepends=True)
    lines[4] = lines[4].replace('"slot"', '"slott"')
    records.write_text("".join(lines))
    out = shown(folder, capsys)
    assert "trials.jsonl:5" in out
    assert "9 of 10 blocks valid" in out


def test_formats_of_standard_output_are_the_files(make_run, capsys):
    folder = make_run()
    for form, name in (("md", "report.md"), ("html", "index.html"), ("csv", "summary.csv")):
        assert main(["report", str(folder), "--format", form]) == 0
        assert capsys.readouterr().out == (folder / "report" / name).read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["report", "nosuch"], "no run 'nosuch'"),
        (["report", "--format", "pdf"], "'table', 'md', 'html', 'csv', 'json'"),
        (["report", "--results", "empty"], "no run in empty"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_two(
    make_run, capsys, monkeypatch, tmp_path, arguments, message
):
    make_run()
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_without_a_name_the_newest_run_is_meant(make_run, capsys, monkeypatch, tmp_path):
    make_run(name="old", created="2026-01-01T00:00:00+00:00")
    make_run(name="new", created="2026-02-01T00:00:00+00:00")
    make_run(name="middle", created="2026-01-15T00:00:00+00:00")
    monkeypatch.chdir(tmp_path)
    main(["report"])
    assert capsys.readouterr().out.startswith("new, preset paper")
