"""The report of a run of several machines: nothing pooled, a line over them, every page of it."""

import io
import json
import math

import pytest

from harness import cli
from harness.analysis.analysis import analyze
from harness.errors import UsageError
from harness.records.models import Machine
from harness.records.store import MACHINES, RECORDS, read_run
from harness.report.as_json import report_document
from harness.report.export import FORMATS, export
from harness.report.page import write_report
from harness.report.terminal import show_summary
from harness.stats import paired_ratio
from tests.fakes.runs import make_run  # noqa: F401

IDS = ("a" * 12, "b" * 12, "c" * 12)
SPEED = {IDS[0]: 1.0, IDS[1]: 3.0, IDS[2]: 10.0}  # seconds of one against those of another


@pytest.fixture
def spread(make_run):  # noqa: F811
    """spread(blocks per machine): a run whose blocks three machines of different speed measured."""

    def make(*counts, seconds=None):
        owners = [machine for machine, n in zip(IDS, counts, strict=False) for _ in range(n)]
        seconds = seconds or {"myad": 0.4, "tensorflow": 160.0}
        folder = make_run(
            {name: [s * SPEED[owner] for owner in owners] for name, s in seconds.items()},
            blocks=len(owners),
            cluster=True,
        )
        lines = (folder / RECORDS).read_text().splitlines()
        records = [json.loads(line) for line in lines]
        for record in records:
            record["machine"] = owners[record["block"]]
        (folder / RECORDS).write_text("".join(json.dumps(r) + "\n" for r in records))
        machines = [
            Machine(id=name, name=f"node{n}", host={"cpu": f"CPU {n}"}, at="2026-01-02T03:04:05Z")
            for n, name in enumerate(IDS[: len(counts)])
        ]
        (folder / MACHINES).write_text("".join(m.model_dump_json() + "\n" for m in machines))
        return folder

    return make


def test_times_are_never_averaged_over_machines(spread):
    analysis = analyze(spread(4, 5, 6))
    assert list(analysis.machines) == list(IDS)
    for key in ("train_wall_s", "test_wall_s", "total_wall_s", "peak_rss_bytes"):
        assert analysis.summary("myad", key).n == 0
        assert analysis.comparisons["myad", "tensorflow"][key].ratio.ratio is None
    assert [part.summary("myad", "train_wall_s").n for part in analysis.machines.values()] == [
        4, 5, 6,
    ]  # fmt: skip
    means = [part.summary("myad", "train_wall_s").mean for part in analysis.machines.values()]
    assert means == pytest.approx([0.4, 1.2, 4.0], rel=0.05)
    assert analysis.summary("myad", "accuracy").n == 15  # the same task everywhere


def test_ratios_are_those_of_each_machines_own_blocks(spread):
    folder = spread(4, 5, 6)
    analysis = analyze(folder)
    trials = {(t.block, t.engine): t for t in read_run(folder).trials}
    for part, blocks in zip(analysis.machines.values(), (range(4), range(4, 9)), strict=False):
        by_hand = paired_ratio(
            *([trials[b, name].train.wall_s for b in blocks] for name in ("myad", "tensorflow"))
        )
        assert part.comparisons["myad", "tensorflow"]["train_wall_s"].ratio == by_hand


def test_the_line_over_machines(spread):
    analysis = analyze(spread(4, 5, 6))
    line = analysis.across["myad", "tensorflow"]["train_wall_s"]
    back = analysis.across["tensorflow", "myad"]["train_wall_s"]
    assert line.machines == 3
    low, high = line.interval
    assert low < 0.4 / 160 < high
    assert high / low < 1.2  # pooled seconds, of machines ten times apart, could not say that
    assert back.ratio == pytest.approx(1 / line.ratio)
    assert math.isfinite(line.tau)


def test_machine_with_one_block_has_no_part_in_the_line(spread):
    analysis = analyze(spread(4, 1, 6))
    assert analysis.across["myad", "tensorflow"]["train_wall_s"].machines == 2
    text = write_report(analysis).joinpath("report.md").read_text()
    assert f"not in the line over machines: {IDS[1]}." in text


def test_page_markdown_tables_and_json(spread, capsys):
    folder = spread(4, 5, 6)
    analysis = analyze(folder)
    written = write_report(analysis)
    for name in ("index.html", "report.md"):
        text = (written / name).read_text()
        assert "Over the machines" in text
        assert "random effects over 3 machines" in text
        for n, machine in enumerate(IDS):
            assert f"{machine} (node{n}, CPU {n})" in text
    assert (written / "machines.svg").is_file()
    assert not (written / "train.svg").exists()
    rows = (written / "summary.csv").read_text().splitlines()
    assert len(rows) == 1 + 3 * 2 * 9
    assert {row.rpartition(",")[2] for row in rows[1:]} == set(IDS)
    document = report_document(analysis)
    assert document["engines"]["myad"]["train_wall_s"]["mean"] is None
    assert set(document["machines"]) == set(IDS)
    assert document["machines"][IDS[2]]["engines"]["myad"]["train_wall_s"]["n"] == 6
    assert document["across"]["myad/tensorflow"]["train_wall_s"]["machines"] == 3
    json.dumps(document, allow_nan=False)


@pytest.mark.parametrize("width", [60, 160])
def test_terminal(spread, width):
    from rich.console import Console

    console = Console(width=width, record=True, file=io.StringIO())
    show_summary(analyze(spread(4, 5, 6)), console)
    text = console.export_text()
    for machine in IDS:
        assert machine in text
    assert "I²" in text


def test_report_made_twice_is_the_same(spread):
    folder = spread(2, 3)
    first = {p.name: p.read_bytes() for p in write_report(analyze(folder)).iterdir()}
    assert {p.name: p.read_bytes() for p in write_report(analyze(folder)).iterdir()} == first


@pytest.mark.parametrize("form", FORMATS)
def test_no_other_tool_is_told_a_pooled_figure(spread, form):
    with pytest.raises(UsageError, match="measured on 2 machines"):
        export(analyze(spread(2, 3)), form)


def test_no_comparison_of_a_run_of_several(spread, capsys):
    folder = spread(2, 3)
    assert cli.main(["compare", str(folder), str(folder)]) == 2
    assert "whose seconds are never pooled" in capsys.readouterr().err


def test_one_machine_of_a_cluster_is_reported_as_ever(spread):
    analysis = analyze(spread(5))
    assert analysis.machines == {}
    assert analysis.across == {}
    assert analysis.summary("myad", "train_wall_s").n == 5
    text = write_report(analysis).joinpath("report.md").read_text()
    assert "Over the machines" not in text
    assert "node0" in text
