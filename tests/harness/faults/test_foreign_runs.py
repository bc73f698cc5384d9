"""Runs from elsewhere: never executed unasked, and nothing outside of them is touched."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from harness import cli
from harness.errors import RecordError
from harness.records import store
from harness.records.store import MANIFEST, RECORDS, read_run
from harness.run import loop as runner
from harness.run.ledger import StorageError
from harness.run.trust import ForeignError

BENCH = [sys.executable, "-m", "harness.cli"]


@pytest.fixture
def interrupted(home, fakes):
    """Folder of a run of which one block of many is done."""
    return runner.start(fakes("a=ok", repeats=4, max_time_s=0.001)).folder


def changed(folder, change):
    """Write the manifest anew, as a stranger would: with any editor."""
    document = json.loads((folder / MANIFEST).read_text())
    change(document)
    (folder / MANIFEST).write_text(json.dumps(document))


def resume(home, *more):
    command = [*BENCH, "run", "--resume", "--name", "r", "--max-time", "1h", *more]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, timeout=60)


def test_own_run_goes_on_without_a_word(home, interrupted):
    done = resume(home)
    assert done.returncode == 0, done.stderr
    assert "executes" not in done.stderr
    assert len(read_run(interrupted).valid()) == 4


def test_command_of_a_stranger_is_shown_and_not_executed(home, interrupted):
    trap = ["sh", "-c", f"touch {home / 'owned'} \x1b[2J"]
    changed(interrupted, lambda m: m["engines"][0].update(command=trap, sha256=None))
    before = (interrupted / RECORDS).read_bytes()
    done = resume(home)
    assert done.returncode == 2
    assert "r executes, as engine a: sh -c" in done.stderr
    assert r"\x1b[2J" in done.stderr
    assert "\x1b" not in done.stderr
    assert "--trust" in done.stderr.splitlines()[-1]
    assert not (home / "owned").exists()
    assert (interrupted / RECORDS).read_bytes() == before


def test_any_change_of_the_manifest_makes_it_a_stranger_s(home, interrupted):
    changed(interrupted, lambda m: m.update(timeout_s=7.0))
    with pytest.raises(ForeignError, match="changed since"):
        runner.resume(home / "results", "r")


def test_run_of_another_host_or_user_goes_on_where_it_is_trusted(home, interrupted, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "another-user"))
    with pytest.raises(ForeignError):
        runner.resume(home / "results", "r")
    assert not (home / "another-user").exists(), "a look makes no key"
    done = resume(home, "--trust")
    assert done.returncode == 0, done.stderr
    assert "r executes, as engine a: " in done.stderr
    assert len(read_run(interrupted).valid()) == 4


def test_run_of_another_host_is_a_stranger_s(home, interrupted, monkeypatch):
    monkeypatch.setattr("harness.machine.origin.name_hash", lambda: "0" * 12)
    with pytest.raises(ForeignError):
        runner.resume(home / "results", "r")


def test_key_is_the_user_s_alone(home, interrupted):
    (key,) = (home.__class__(os.environ["XDG_STATE_HOME"]) / "myad-bench").iterdir()
    assert key.stat().st_mode & 0o777 == 0o600


OUTSIDE = {
    "id-outside": lambda m: m["schedule"][1].update(id="../../../victim"),
    "id-absolute": lambda m: m["schedule"][1].update(id="/victim"),
    "id-of-another": lambda m: m["schedule"][1].update(id="0-a"),
    "engine-outside": lambda m: m["schedule"][1].update(engine="../victim", id="1-../victim"),
    "engine-unknown": lambda m: m["schedule"][1].update(engine="b", id="1-b"),
    "block-beyond": lambda m: m["schedule"][1].update(block=10**6, id="1000000-a"),
    "engine-name": lambda m: m["engines"][0].update(name="=cmd()"),
    "engine-empty": lambda m: m["engines"][0].update(command=[]),
    "run-name": lambda m: m.update(run="../../r"),
    "repeats": lambda m: m.update(repeats=10**15),
    "epochs": lambda m: m["workload"]["training"].update(epochs=10**15),
    "no-epochs": lambda m: m["workload"].pop("training"),
    "accuracies": lambda m: m.update(curves=True, further_seeds=[*range(100_000)]),
    "created": lambda m: m.update(created="soon"),
    "nested": lambda m: m.update(host={"cpu": [[[[1]]]]}),
}


@pytest.mark.parametrize("change", OUTSIDE.values(), ids=OUTSIDE)
@pytest.mark.parametrize("command", [["report", "r"], ["run", "--resume", "--trust"]], ids=len)
def test_manifest_that_reaches_out_is_refused(home, interrupted, capsys, change, command):
    victim = home / "victim"
    victim.mkdir()
    (victim / "file").write_text("mine")
    if change is OUTSIDE["accuracies"]:
        changed(interrupted, lambda m: m["workload"]["training"].update(epochs=100))
    changed(interrupted, change)
    assert cli.main(command) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"bench: results/r/{MANIFEST}: ")
    assert told.count("\n") == 1
    assert (victim / "file").read_text() == "mine"


def test_record_that_says_otherwise_than_the_schedule_is_refused(interrupted):
    lines = (interrupted / RECORDS).read_text().splitlines()
    forged = json.loads(lines[-1]) | {"seed": 77}
    (interrupted / RECORDS).write_text(f"{lines[0]}\n{json.dumps(forged)}\n")
    run = read_run(interrupted)
    assert run.valid() == []
    assert "trial '0-a': seed is '0' in the schedule" in run.problems[0]


@pytest.mark.parametrize("name", [MANIFEST, RECORDS])
@pytest.mark.parametrize("kind", ["fifo", "link"])
def test_file_of_a_run_that_is_none_is_refused(interrupted, name, kind):
    (interrupted / name).rename(interrupted / "kept")
    if kind == "fifo":
        os.mkfifo(interrupted / name)
    else:
        (interrupted / name).symlink_to(interrupted / "kept")
    with pytest.raises(RecordError, match="a named pipe" if kind == "fifo" else "a link"):
        read_run(interrupted)


def test_report_goes_through_no_link_and_removes_its_own_files_alone(home, interrupted, capsys):
    victim = home / "victim"
    victim.mkdir()
    (victim / "index.html").write_text("mine")
    (interrupted / "report").symlink_to(victim)
    assert cli.main(["report", "r"]) == 2
    assert "results/r/report: a link, not a folder; no report is written" in capsys.readouterr().err
    assert (victim / "index.html").read_text() == "mine"
    (interrupted / "report").unlink()
    (interrupted / "report").mkdir()
    (interrupted / "report" / "index.html").symlink_to(victim / "index.html")
    (interrupted / "report" / "train.svg").symlink_to(victim / "train.svg")
    (interrupted / "report" / "notes.txt").write_text("a reader's own")
    assert cli.main(["report", "r"]) == 0
    assert (interrupted / "report" / "notes.txt").read_text() == "a reader's own"
    assert (victim / "index.html").read_text() == "mine"
    assert not (victim / "train.svg").exists()
    assert not (interrupted / "report" / "index.html").is_symlink()


@pytest.mark.parametrize("name", ["test_labels.npy", "trials/0-a/test/predictions.npy"])
@pytest.mark.parametrize("kind", ["fifo", "claims"])
def test_arrays_of_a_run_that_are_none_are_left_out(interrupted, name, kind, capsys):
    path = interrupted / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    else:
        header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000000,), }"
        path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + header.ljust(117).encode() + b"\n")
    assert cli.main(["report", "r", "--format", "json"]) == 0


def test_folder_of_trials_made_a_link_stops_the_run_before_anything_is_removed(home, interrupted):
    victim = home / "victim"
    (victim / "1-a").mkdir(parents=True)
    (victim / "1-a" / "file").write_text("mine")
    shutil.rmtree(interrupted / "trials")
    (interrupted / "trials").symlink_to(victim)
    with pytest.raises(StorageError, match="'trials' is a link or a file, not a folder"):
        runner.resume(home / "results", "r")
    assert (victim / "1-a" / "file").read_text() == "mine"


def test_sealed_manifest_is_still_this_user_s_after_it_was_read_and_written(home, interrupted):
    store.write_manifest(interrupted, store.read_manifest(interrupted))
    assert runner.resume(home / "results", "r", max_time_s=3600.0).exit_code == 0
