"""The same quantity of every engine: compiling inside the loop, time limits, peaks of memory."""

import json

import numpy as np
import pytest

from harness.analysis.analysis import analyze
from harness.analysis.conclusions import conclusions
from harness.analysis.metrics import BY_KEY
from harness.analysis.order import carry_over_of
from harness.analysis.warnings import warnings
from harness.records.models import Epoch, ProcessResult
from harness.report.as_json import report_document
from harness.report.tables import carry_over_table, mean_and_sd, wide_table
from tests.fakes.runs import trial as made_trial


def process(epochs, **phases):
    listed = [Epoch(epoch=k, seconds=s, examples=9) for k, s in enumerate(epochs, start=1)]
    return ProcessResult(outcome="ok", wall_s=9.0, phases=phases, epochs=listed)


@pytest.mark.parametrize(
    ("epochs", "phases", "compiling", "steady"),
    [
        ([3.0, 1.0, 1.2], {"train": 5.2}, 3.0 - 1.1, 1.1),  # traced at its first call
        ([1.0, 1.0, 1.0], {"compile": 1.9, "train": 3.0}, 1.9, 1.0),  # in a phase of its own
        ([0.9, 1.0], {"compile": 1.9, "train": 1.9}, 1.9, 1.0),  # never less than its phase
        ([3.0], {"train": 3.0}, None, None),  # one epoch cannot be split
    ],
)
def test_compiling_in_the_loop_and_before_it_is_one_metric(
    make_run, epochs, phases, compiling, steady
):
    run = analyze(make_run(blocks=1)).run
    one = run.trials[0].model_copy(update={"train": process(epochs, **phases)})
    assert BY_KEY["compile_s"].read(one) == pytest.approx(compiling)
    assert BY_KEY["epoch_s"].read(one) == pytest.approx(steady)


def timed_out(folder, ids, limit):
    """These trials were stopped at the limit, in seconds, while they trained."""
    path = folder / "trials.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["id"] in ids:
            row["train"]["wall_s"] = limit
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_time_limit_is_a_slow_value_and_not_a_missing_one(make_run):
    """Engine a takes 3 s in the blocks that it ends, and is stopped at 30 s in all others."""
    ids = {f"{block}-a" for block in range(5)}
    folder = make_run({"a": 3.0, "b": 2.0}, fail=dict.fromkeys(ids, "timeout"))
    analysis = analyze(timed_out(folder, ids, 30.0))
    cell = analysis.comparisons["a", "b"]["train_wall_s"]
    assert (cell.n, cell.bound, cell.withheld) == (10, "at least", "")
    assert cell.value == pytest.approx(np.sqrt(15 * 1.5), rel=0.05)
    assert cell.verdict in ("slower", "inconclusive")
    assert analysis.comparisons["b", "a"]["train_wall_s"].bound == "at most"
    test = analysis.comparisons["a", "b"]["test_wall_s"]
    assert (test.n, test.bound) == (5, "")  # it never came to be tested
    assert any("5 trials of a stopped at the time limit" in text for text in warnings(analysis))
    assert report_document(analysis)["ratios"]["a/b"]["train_wall_s"]["bound"] == "at least"
    assert any("≥ " in str(row[-1]) for row in wide_table(analysis).rows)


def test_an_engine_always_stopped_is_slower_by_at_least_the_limit(make_run):
    ids = {f"{block}-a" for block in range(10)}
    folder = make_run({"a": 3.0, "b": 2.0}, fail=dict.fromkeys(ids, "timeout"))
    texts = conclusions(analyze(timed_out(folder, ids, 30.0)))
    assert texts[0].startswith("a trains at least 15")
    assert "times slower than b" in texts[0]


def test_a_bound_proves_one_direction_alone(make_run):
    """Stopped at a second, against one that takes ten: nothing says that it is faster."""
    ids = {f"{block}-a" for block in range(10)}
    folder = make_run({"a": 3.0, "b": 10.0}, fail=dict.fromkeys(ids, "timeout"))
    analysis = analyze(timed_out(folder, ids, 1.0))
    assert analysis.comparisons["a", "b"]["train_wall_s"].verdict == "inconclusive"
    assert analysis.comparisons["b", "a"]["train_wall_s"].verdict == "inconclusive"


def test_other_failures_are_missing_as_ever(make_run):
    failed = {f"{block}-myad": "exit_nonzero" for block in range(2)}
    analysis = analyze(make_run(fail=failed))
    assert analysis.comparisons["myad", "tensorflow"]["train_wall_s"].withheld


def test_peaks_by_another_method_are_marked(make_run):
    folder = make_run({"a": 1.0, "b": 1.0, "c": 1.0}, blocks=3)
    assert not any("†" in str(cell) for row in wide_table(analyze(folder)).rows for cell in row)
    path = folder / "trials.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows:
        if row["engine"] == "b":
            row["train"]["tree_peak"] = {
                "bytes": 10**9, "method": "cgroup memory.peak", "bound": "exact",
            }  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    analysis = analyze(folder)
    shown = {name: mean_and_sd(analysis, name, BY_KEY["peak_rss_bytes"]) for name in "abc"}
    assert [text.endswith("†") for text in shown.values()] == [False, True, False]
    told = [text for text in warnings(analysis) if "not one quantity" in text]
    assert "b: cgroup memory.peak and wait4 ru_maxrss" in told[0]


def test_carry_over_is_shown_and_a_large_one_is_a_warning(make_run, monkeypatch):
    folder = make_run({"a": 1.0, "b": 1.0, "c": 1.0}, blocks=12, noise=0.01)
    assert [row[0] for row in carry_over_table(analyze(folder)).rows] == ["a", "b", "c"]
    analysis = analyze(folder)
    order = [p.id for p in analysis.run.manifest.schedule]
    for number, trial in enumerate(analysis.run.trials):
        if number and order[number - 1].endswith("-c"):
            wall = 1.3 * trial.train.wall_s
            analysis.run.trials[number] = made_trial(analysis.run.manifest.schedule[number], wall)
    found = carry_over_of(analysis)
    assert found.p < 0.01
    assert found.effects["c"][0] > 1.1
    assert any(text.startswith("Trials right behind c differ by +") for text in warnings(analysis))
