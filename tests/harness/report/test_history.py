"""`bench list` and `bench history`: runs over time."""

import json
import os
import struct
from datetime import UTC, datetime, timedelta

import pytest

from harness.cli import main
from harness.records.manifest import GitState
from harness.records.sameness import machine
from harness.records.store import MANIFEST, read_manifest, write_manifest

HOST = {"system": "Linux", "cpu": "Test CPU", "memory_bytes": 8_000_000_000}


@pytest.fixture
def months(make_run, tmp_path, monkeypatch):
    """Sixteen runs, a day apart, the last eight slower by a fifth; a run of another machine."""
    monkeypatch.chdir(tmp_path)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    for day in range(16):
        seconds = {"myad": 0.4 if day < 8 else 0.48, "tensorflow": 160.0}
        state = GitState(commit=f"{day:040x}", dirty=day == 3)
        made = (begin + timedelta(days=day)).isoformat()
        make_run(
            seconds, 4, name=f"run{day:02d}", seed=day, created=made, git=state, host=HOST,
            timelines=False,
        )  # fmt: skip
    other = {**HOST, "cpu": "Another CPU"}
    make_run({"myad": 0.1, "tensorflow": 9.0}, 4, name="away", host=other, timelines=False)
    return tmp_path / "results"


def test_list_tells_the_newest_first(months, capsys):
    assert main(["list", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["run"] for row in found["runs"][:2]] == ["run15", "run14"]
    first = found["runs"][0]
    assert (first["workload"], first["engines"]) == ("paper", ["myad", "tensorflow"])
    assert (first["valid"], first["planned"]) == (8, 8)
    assert (first["baseline"], first["verdicts"]) == ("tensorflow", {"myad": "faster"})
    assert {row["machine"] for row in found["runs"]} == {
        machine(read_manifest(months / name)) for name in ("run00", "away")
    }


def test_list_is_a_table_and_names_what_cannot_be_read(months, capsys):
    (months / "run03" / MANIFEST).write_text("{")
    assert main(["list"]) == 0
    told = capsys.readouterr()
    assert told.out.index("run15") < told.out.index("run00")
    assert "myad faster" in " ".join(told.out.split())
    assert told.err.startswith("bench: results/run03/manifest.json: not JSON")
    assert told.err.count("\n") == 1


def test_list_of_nothing(tmp_path, capsys):
    assert main(["list", "--results", str(tmp_path)]) == 0
    assert "no run in" in capsys.readouterr().err


def test_history_finds_the_change_and_draws_it(months, capsys):
    assert main(["history", "train_wall_s", "--format", "json"]) == 0
    told = capsys.readouterr()
    found = json.loads(told.out)
    assert [run["run"] for run in found["runs"]] == [f"run{day:02d}" for day in range(16)]
    assert found["left_out"] == 1
    (change,) = found["changes"]
    assert change["run"] == "run08"
    assert change["after"] / change["before"] == pytest.approx(1.2, rel=0.03)
    (drawn,) = (months / "history").glob("*.png")
    assert drawn.name == f"myad-train_wall_s-{found['machine']}.png"
    width, height = struct.unpack(">II", drawn.read_bytes()[16:24])
    assert width > height > 300
    assert f"drawn to results/history/{drawn.name}" in told.err


def test_history_as_a_table_marks_the_run_and_uncommitted_changes(months, capsys):
    os.environ["COLUMNS"] = "160"
    try:
        assert main(["history", "train_wall_s"]) == 0
    finally:
        del os.environ["COLUMNS"]
    lines = capsys.readouterr().out.splitlines()
    (marked,) = (line for line in lines if "→" in line)
    assert marked.startswith("run08")
    (dirty,) = (line for line in lines if "*" in line)
    assert dirty.startswith("run03")


def test_history_of_another_machine_is_its_own(months, capsys):
    name = machine(read_manifest(months / "away"))
    command = ["history", "train_wall_s", "--machine", name, "--format", "json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["run"] for run in found["runs"]] == ["away"]
    assert found["changes"] == []


def test_other_work_is_left_out(months, capsys):
    manifest = read_manifest(months / "run05")
    write_manifest(months / "run05", manifest.model_copy(update={"threads": 2}))
    assert main(["history", "accuracy", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (len(found["runs"]), found["left_out"]) == (15, 2)


def test_wrong_names_are_one_line(months, capsys):
    assert main(["history", "speed"]) == 2
    assert main(["history", "train_wall_s", "--engine", "jax"]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("bench: history: no metric 'speed'; allowed: train_wall_s, ")
    assert second.endswith("no run has train_wall_s of engine 'jax'. Engines: myad, tensorflow.")


def test_a_kernel_that_keeps_more_memory_is_no_other_machine(make_run):
    small, large = (
        read_manifest(make_run(name=name, host={**HOST, "memory_bytes": size}, timelines=False))
        for name, size in (("a", 8_010_000_000), ("b", 8_040_000_000))
    )
    assert machine(small) == machine(large)
