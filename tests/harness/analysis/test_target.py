"""Time to a target: courses by hand, censored trials, and what a report shows of them."""

import json

import pandas as pd
import pytest

from harness.analysis.analysis import analyze
from harness.analysis.target import to_target
from harness.cli import main
from harness.records.models import Point
from harness.records.store import append
from harness.report.as_json import report_document
from harness.report.export import export
from harness.report.page import context
from harness.report.render import render
from harness.report.target import target_sentences, target_table
from harness.report.terminal import print_summary
from harness.workload.format import load

# engine -> by block: seconds and accuracy after each of three epochs
COURSES = {
    "quick": [((1, 2, 3), (0.90, 0.96, 0.94)), ((1, 2, 4), (0.97, 0.90, 0.98))],
    "slow": [((4, 8, 12), (0.90, 0.94, 0.95)), ((4, 8, 12), (0.95, 0.96, 0.97))],
    "never": [((1, 2, 3), (0.10, 0.20, 0.30)), ((1, 2, 3), (0.95, 0.20, 0.30))],
}


@pytest.fixture
def target_run(make_run):
    """A run of two blocks with these courses, or others; `known` says which points are there."""

    def make(courses=COURSES, known=lambda engine, seed, epoch: True, name="made"):
        workload = load("paper").document()
        workload["target"] = {"accuracy": 0.95, "max_epochs": 3}
        folder = make_run(
            dict.fromkeys(courses, 20.0),
            blocks=2,
            workload=workload,
            timelines=False,
            name=name,
        )
        path = folder / "trials.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            seconds, accuracies = courses[row["engine"]][row["block"]]
            row["accuracy"] = accuracies[-1]
            row["train"]["checkpoints"] = [
                {"epoch": epoch, "seconds": at} for epoch, at in enumerate(seconds, start=1)
            ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        for engine, blocks in courses.items():
            for seed, (_, accuracies) in enumerate(blocks):
                for epoch in (1, 2):
                    if known(engine, seed, epoch):
                        append(folder, point(engine, seed, epoch, accuracies[epoch - 1]))
        return folder

    return make


def point(engine, seed, epoch, accuracy):
    return Point(
        engine=engine,
        seed=seed,
        epoch=epoch,
        at="2026-01-02T04:00:00+00:00",
        accuracy=accuracy,
        correct=round(10_000 * accuracy),
        test_count=10_000,
    )


def reaches(folder):
    return {reach.engine: reach for reach in to_target(analyze(folder)).reaches}


def test_the_first_epoch_that_is_good_enough_counts(target_run):
    quick = reaches(target_run())["quick"]
    assert [(c.to_target_epochs, c.to_target_s) for c in quick.courses] == [(2, 2.0), (1, 1.0)]
    assert (quick.reached, quick.median_s(), quick.median_epochs()) == (2, 1.5, 1.5)


def test_a_trial_that_never_comes_there_is_slower_than_all(target_run):
    never = reaches(target_run())["never"]
    assert [course.reached for course in never.courses] == [False, True]
    assert (never.courses[0].to_target_s, never.courses[0].to_target_epochs) == (3.0, 3)
    # of two the median lies between 1 s and "later than 3 s": nobody knows where
    assert (never.median_s(), never.median_epochs(), never.times()) == (None, None, [1.0])


def test_a_ratio_is_paired_and_never_made_of_a_censored_trial(target_run):
    found = to_target(analyze(target_run()))
    assert found.baseline == "never"
    assert found.ratios == {"quick": None, "slow": None}
    both = {name: COURSES[name] for name in ("quick", "slow")}
    ratio = to_target(analyze(target_run(both, name="both"))).ratios["quick"]
    assert ratio.ratio == pytest.approx((2 / 12 * 1 / 4) ** 0.5)


def test_the_median_of_an_odd_number_may_be_known_beside_a_censored_one(target_run):
    reach = reaches(target_run())["never"]
    doubled = type(reach)("never", (*reach.courses, reach.courses[1]))
    assert doubled.median_s() == 1.0


def test_a_course_with_a_hole_before_the_target_is_not_told(target_run):
    folder = target_run(known=lambda engine, seed, epoch: (engine, epoch) != ("quick", 1))
    assert [len(reach.courses) for reach in reaches(folder).values()] == [0, 2, 2]
    # what comes after the target need not be known
    one = ("quick", 1, 2)
    folder = target_run(known=lambda *key: key != one, name="later")
    assert len(reaches(folder)["quick"].courses) == 2


def test_a_run_without_a_target_has_none(make_run):
    analysis = analyze(make_run(blocks=2))
    assert to_target(analysis) is None
    assert "target" not in report_document(analysis)
    assert "Time to" not in render("report.html.j2", context(analysis) | PLOTLESS)


PLOTLESS = {"plots": [], "spread_plots": [], "target_plots": []}


def test_table_and_sentences_say_what_is_censored(target_run):
    found = to_target(analyze(target_run()))
    rows = [[str(cell) for cell in row] for row in target_table(found).rows]
    assert rows == [
        ["quick", "2 of 2", "1.50 s", "1.00 s", "2.00 s", "1.5", "censored"],
        ["slow", "2 of 2", "8.00 s", "4.00 s", "12.0 s", "2", "censored"],
        ["never", "1 of 2", "> 3.00 s", "1.00 s", "not reached", "> 3", ""],
    ]
    assert target_sentences(found)[0] == (
        "quick, time to 95 %: reached in 2 of 2 trials, median 1.50 s and 1.5 epochs "
        "(1.00 s to 2.00 s)."
    )
    assert target_sentences(found)[2] == (
        "never, time to 95 %: reached in 1 of 2 trials, the median later than epoch 3."
    )


def test_a_narrow_terminal_has_who_came_there_and_when(target_run, monkeypatch, capsys):
    folder = target_run()
    for columns, told in ((60, False), (120, True)):
        monkeypatch.setenv("COLUMNS", str(columns))
        print_summary(folder)
        shown = capsys.readouterr().out
        assert ("slowest" in shown) == told
        assert "1.50 s" in shown


def test_exports_have_it_where_no_trial_is_censored(target_run):
    analysis = analyze(target_run())
    (suite,) = [
        b for b in export(analysis, "pyperf")["benchmarks"] if b["metadata"]["name"] == NAME
    ]
    assert [run["values"] for run in suite["runs"]] == [[2.0], [1.0]]
    measures = {
        name: found.get("target-wall-s") for name, found in export(analysis, "bencher").items()
    }
    assert measures["quick"] == {"value": 1.5, "lower_value": 1.0, "upper_value": 2.0}
    assert measures["never"] is None
    named = [entry["name"] for entry in export(analysis, "github-action-benchmark")]
    assert NAME in named
    assert "never: target_wall_s" not in named
    logged = {
        entry["create"]["run_name"]: [
            (m["step"], m["value"])
            for batch in entry["log_batch"]
            for m in batch["metrics"]
            if m["key"] == "target_wall_s"
        ]
        for entry in export(analysis, "mlflow")
    }
    assert logged == {
        "made quick": [(0, 2.0), (1, 1.0)], "made slow": [(0, 12.0), (1, 4.0)], "made never": []
    }  # fmt: skip


NAME = "quick: target_wall_s"


def test_the_report_shows_it_everywhere(target_run, capsys):
    folder = target_run()
    assert main(["report", str(folder)]) == 0
    shown = capsys.readouterr().out
    assert "Time to 95 %" in shown
    written = folder / "report"
    page, text = (written / "index.html").read_text(), (written / "report.md").read_text()
    for content in (page, text):
        assert "Time to 95 %" in content
        assert "not reached" in content
    assert page.count("<svg") == len(list(written.glob("*.svg")))
    assert (written / "target.png").stat().st_size > 5_000
    assert (written / "accuracy-time.png").stat().st_size > 5_000
    rows = pd.read_csv(written / "target.csv")
    assert len(rows) == 18
    assert rows[rows.reached].groupby("engine").seconds.sum().to_dict() == {
        "never": 1.0, "quick": 3.0, "slow": 16.0
    }  # fmt: skip
    document = report_document(analyze(folder))["target"]
    assert document["engines"]["never"]["reached"] == 1
    assert document["engines"]["quick"]["median_s"] == 1.5
    assert document["ratios"] == {"quick/never": None, "slow/never": None}
