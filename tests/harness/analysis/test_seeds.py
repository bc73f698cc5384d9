"""Accuracy over seeds in the report: tables by hand-worked numbers, figures, runs without it."""

import json

import pandas as pd
import pytest
from scipy import stats

from harness.analysis.analysis import analyze
from harness.analysis.warnings import warnings
from harness.cli import main
from harness.records.models import Point
from harness.records.store import POINTS, append
from harness.report.as_json import report_document
from harness.report.page import context, write_report
from harness.report.render import render
from harness.report.tables import spread_table
from harness.report.terminal import print_summary

# accuracy of each engine by seed; 0 and 1 are blocks, the others came after them
TRAINED = {"a": [0.80, 0.82, 0.84, 0.90], "b": [0.80, 0.82, 0.84, 0.82]}


def point(engine, seed, epoch, accuracy, failure=""):
    count = None if accuracy is None else round(10_000 * accuracy)
    return Point(
        engine=engine,
        seed=seed,
        epoch=epoch,
        at="2026-01-02T04:00:00+00:00",
        accuracy=accuracy,
        correct=count,
        test_count=None if accuracy is None else 10_000,
        failure=failure,
    )


@pytest.fixture
def seeds_run(make_run):
    """A run of 2 blocks and 4 starts, whose trials have the accuracies of TRAINED."""

    def make(curves=False, further=(2, 3), left_out=(), **changes):
        further_seeds = list(further)
        folder = make_run(
            {"a": 1.0, "b": 2.0}, blocks=2, further_seeds=further_seeds, curves=curves, **changes
        )
        path = folder / "trials.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            if row["valid"]:
                row["accuracy"] = TRAINED[row["engine"]][row["seed"]]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        for engine in "ab":
            for seed in further:
                if (engine, seed) not in left_out:
                    append(folder, point(engine, seed, 3, TRAINED[engine][seed]))
            for epoch in (1, 2) if curves else ():
                for seed in (0, 1, *further):
                    append(folder, point(engine, seed, epoch, 0.1 * epoch + 0.01 * seed))
        return folder

    return make


def test_table_is_over_blocks_and_further_seeds(seeds_run):
    rows = spread_table(analyze(seeds_run())).rows
    # a: (80 + 82 + 84 + 90) / 4 = 84, squares 16 + 4 + 0 + 36 = 56, √(56/3) = 4.32
    # b: mean 82, squares 4 + 0 + 4 + 0 = 8, √(8/3) = 1.63
    assert rows == [
        ["a", 4, "84.00 %", "4.32 points", "83.00 %", "80.00 %", "90.00 %", 0],
        ["b", 4, "82.00 %", "1.63 points", "82.00 %", "80.00 %", "84.00 %", 0],
    ]


def test_verdict_on_accuracy_pairs_every_seed_and_times_only_blocks(seeds_run):
    found = analyze(seeds_run())
    difference = found.accuracies["a", "b"]
    assert difference.n == 4
    assert difference.difference_points == pytest.approx(2.0)  # 0, 0, 0 and 8 points
    low, high = difference.interval
    # sd 4 of 4 seeds, at the level that each of the run's four comparisons gets
    half = stats.t.ppf(1 - found.decision.family.alpha / 2, 3) * 4 / 2
    assert (low, high) == pytest.approx((2 - half, 2 + half), abs=1e-5)
    assert found.comparisons["a", "b"]["train_wall_s"].ratio.n == 2
    without = analyze(seeds_run(name="blocks", further=()))
    assert without.accuracies["a", "b"].n == 2
    ours, theirs = (run.comparisons["a", "b"]["train_wall_s"] for run in (found, without))
    assert ours.ratio == theirs.ratio
    assert ours.verdict == theirs.verdict


def test_only_seeds_of_both_engines_are_pairs(seeds_run):
    found = analyze(seeds_run(left_out=[("b", 3)]))
    assert found.accuracies["a", "b"].n == 3
    assert found.accuracies["a", "b"].difference_points == 0.0
    assert [row.summary.n for row in found.last_spreads] == [4, 3]
    assert "Accuracies outside of the blocks: 1 of 4 are still missing." in warnings(found)


def test_failed_seeds_are_counted_and_named(seeds_run):
    folder = seeds_run(left_out=[("b", 3)], fail={"1-a": "signal"})
    append(folder, point("b", 3, 3, None, "train: timeout: stopped after 9 s"))
    found = analyze(folder)
    assert [(row.summary.n, row.failed) for row in found.last_spreads] == [(3, 1), (3, 1)]
    assert (
        "1 of 2 untimed trainings of b failed, the first with seed 3: "
        "train: timeout: stopped after 9 s" in warnings(found)
    )
    frame = write_report(found) / "accuracy.csv"
    table = pd.read_csv(frame, keep_default_na=False)
    failed = table[table.failure != ""]
    assert list(zip(failed.engine, failed.seed, failed.accuracy, strict=True)) == [
        ("a", 1, ""),
        ("b", 3, ""),
    ]


def test_curves_by_epoch(seeds_run):
    document = report_document(analyze(seeds_run(curves=True)))
    spread = {(row["engine"], row["epoch"]): row for row in document["seeds"]["spread"]}
    assert list(spread) == [(name, epoch) for name in "ab" for epoch in (1, 2, 3)]
    assert spread["a", 1]["mean"] == pytest.approx(0.115)  # 0.10, 0.11, 0.12, 0.13
    assert spread["a", 1]["sd"] == pytest.approx((0.0005 / 3) ** 0.5)
    assert (spread["b", 2]["min"], spread["b", 2]["max"]) == pytest.approx((0.20, 0.23))
    assert spread["b", 3]["median"] == pytest.approx(0.82)
    values = document["seeds"]["values"]
    assert len(values) == 2 * 4 * 3
    assert sum(value["timed"] for value in values) == 4
    json.dumps(document, allow_nan=False)


def test_files_of_the_report_and_twice_the_same_bytes(seeds_run):
    folder = seeds_run(curves=True)
    main(["report", str(folder)])
    first = {path.name: path.read_bytes() for path in (folder / "report").iterdir()}
    assert {"accuracy.csv", "seeds.svg", "seeds.png", "curves.svg", "curves.png"} <= set(first)
    page = first["index.html"].decode()
    assert 'id="figure-seeds"' in page
    assert 'id="figure-curves"' in page
    assert "2 starts from the blocks, 2 further starts trained" in page
    assert "![Accuracy on the test set after each epoch" in first["report.md"].decode()
    assert "| a | 4 | 84.00 % | 4.32 points | 83.00 % |" in first["report.md"].decode()
    main(["report", str(folder)])
    assert {path.name: path.read_bytes() for path in (folder / "report").iterdir()} == first


def test_curves_alone_do_not_draw_the_blocks_twice(seeds_run):
    folder = write_report(analyze(seeds_run(curves=True, further=())))
    assert (folder / "curves.svg").is_file()
    assert not (folder / "seeds.svg").exists()


def test_run_from_before_these_fields_reports_as_ever(make_run):
    folder = make_run(blocks=2)
    path = folder / "manifest.json"
    old = json.loads(path.read_text())
    del old["further_seeds"], old["curves"]
    path.write_text(json.dumps(old))
    assert not (folder / POINTS).exists()
    found = analyze(folder)
    assert found.last_spreads == []
    assert report_document(found)["seeds"] == {"spread": [], "values": []}
    shown = context(found) | {"plots": [], "spread_plots": []}
    assert "over seeds" not in render("report.md.j2", shown)


def test_terminal_says_it_in_a_line_per_engine(seeds_run, capsys, monkeypatch):
    for columns in ("40", "120"):
        monkeypatch.setenv("COLUMNS", columns)
        print_summary(seeds_run(name=f"wide{columns}"))
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= int(columns)
        text = " ".join(out.split())
        assert "a, accuracy from 4 starts: 84.00 % ± 4.32, 80.00 % to 90.00 %." in text
        assert "difference +2.00 points" in text
        assert ", 4 seeds, margin" in text
