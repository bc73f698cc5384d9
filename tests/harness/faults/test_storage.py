"""A run's folder that is full, read-only, gone or damaged."""

import errno
import json
import os
from pathlib import Path

import pytest

from harness.errors import RecordError
from harness.records import store
from harness.records.models import Planned
from harness.records.store import MANIFEST, RECORDS, read_run
from harness.run import loop as runner
from harness.run.ledger import StorageError


@pytest.fixture
def finished(home, fakes):
    """Folder of a run of two engines and two blocks that went well."""
    return runner.start(fakes("a=ok", "b=ok", repeats=2)).folder


@pytest.fixture
def full_disk(monkeypatch):
    """From the call on, writing records fails half-way for want of space."""
    writing = os.write

    def write(descriptor, content):
        if Path(f"/proc/self/fd/{descriptor}").readlink().name != RECORDS:
            return writing(descriptor, content)
        writing(descriptor, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda: monkeypatch.setattr(os, "write", write)


def test_full_disk_stops_the_run_and_keeps_what_was_measured(home, fakes, leftovers, full_disk):
    runner.start(fakes("a=ok", repeats=3, max_time_s=0.001))  # one block, then the time is over
    path = home / "results" / "r" / RECORDS
    before = path.read_bytes()
    assert before.count(b"\n") == 2
    full_disk()
    with pytest.raises(StorageError) as caught:
        runner.resume(home / "results", "r", max_time_s=60.0)
    assert "No space left on device. The run stops here" in str(caught.value)
    assert caught.value.exit_code == 1
    assert leftovers() == []
    assert path.read_bytes() == before


def test_record_file_that_is_a_device_is_refused(finished):
    (finished / RECORDS).unlink()
    (finished / RECORDS).symlink_to("/dev/zero")
    with pytest.raises(RecordError, match="not a regular file"):
        read_run(finished)


def test_append_to_a_full_disk_leaves_no_half_line(finished, full_disk):
    path = finished / RECORDS
    before = path.read_bytes()
    trial = read_run(finished).trials[0]
    full_disk()
    with pytest.raises(OSError, match="No space left"):
        store.append(finished, trial)
    assert path.read_bytes() == before


def test_results_folder_that_cannot_be_written(home, fakes):
    (home / "results").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="results"):
        runner.start(fakes("a=ok"))


def test_results_folder_that_disappears(home, fakes, leftovers):
    with pytest.raises(StorageError, match="The run stops here"):
        runner.start(fakes(f"a=break_run:{home / 'results'}", repeats=2))
    assert leftovers() == []


def damage(folder, change):
    path = folder / RECORDS
    lines = path.read_text().splitlines()
    path.write_text("\n".join(change(lines)) + "\n")


def edited(line, **changes):
    return json.dumps({**json.loads(line), **changes})


DAMAGE = {
    "garbage": (lambda x: [*x[:3], "%&$", *x[4:]], 4, "not JSON"),
    "cut-in-the-middle": (lambda x: [*x[:3], x[3][:50], *x[4:]], 4, "not JSON"),
    "an-array": (lambda x: [*x[:3], "[1]", *x[4:]], 4, "not a JSON object"),
    "newer-schema": (
        lambda x: [*x[:3], edited(x[3], schema_version=99), *x[4:]],
        4,
        "schema version 99, this program reads 1",
    ),
    "no-schema": (
        lambda x: [*x[:3], '{"id": "0-a"}', *x[4:]],
        4,
        "schema version None, this program reads 1",
    ),
    "unknown-key": (lambda x: [*x[:3], edited(x[3], speed=9), *x[4:]], 4, "speed: Extra inputs"),
    "nan": (
        lambda x: [*x[:3], x[3].replace('"accuracy":0.1', '"accuracy":NaN'), *x[4:]],
        4,
        "accuracy: ",
    ),
    "infinity": (
        lambda x: [*x[:3], x[3].replace('"wall_s":', '"wall_s":Infinity,"x":', 1), *x[4:]],
        4,
        "train.",
    ),
    "accuracy-in-percent": (
        lambda x: [*x[:3], edited(x[3], accuracy=91.2), *x[4:]],
        4,
        "accuracy: Input should be less than or equal to 1",
    ),
    "duplicate": (lambda x: [*x, x[3]], 9, "had already finished"),
    "not-in-schedule": (
        lambda x: [*x, edited(x[3], id="7-z")],
        9,
        "'7-z' is not in the manifest's schedule",
    ),
}


@pytest.mark.parametrize(("change", "number", "complaint"), DAMAGE.values(), ids=DAMAGE)
def test_damaged_line_is_refused_by_number_and_the_rest_is_used(
    finished, change, number, complaint
):
    whole = read_run(finished)
    assert (len(whole.valid()), whole.problems) == (4, [])
    damage(finished, change)
    run = read_run(finished)
    assert len(run.problems) == 1
    assert run.problems[0].startswith(f"{finished / RECORDS}:{number}: ")
    assert complaint in run.problems[0]
    assert "\n" not in run.problems[0]
    assert len(run.valid()) == (4 if number == 9 else 3)


def test_trial_whose_record_was_damaged_runs_again(home, finished, capsys):
    damage(finished, lambda lines: [*lines[:3], "%&$", *lines[4:]])
    assert runner.resume(home / "results", "r").exit_code == 0
    assert f"{RECORDS}:4: not JSON" in capsys.readouterr().err
    assert len(read_run(finished).valid()) == 4


MANIFESTS = {
    "missing": (None, "no run here"),
    "cut": (lambda text: text[:-40], "not JSON"),
    "newer": (
        lambda text: text.replace('"schema_version": 1', '"schema_version": 2'),
        "schema version 2",
    ),
    "nan": (lambda text: text.replace('"time_share": 0.02', '"time_share": NaN'), "time_share"),
}


@pytest.mark.parametrize(("change", "complaint"), MANIFESTS.values(), ids=MANIFESTS)
def test_manifest_that_cannot_be_used(finished, change, complaint):
    path = finished / MANIFEST
    text = path.read_text()
    path.unlink()
    if change is not None:
        path.write_text(change(text))
    with pytest.raises(RecordError) as caught:
        read_run(finished)
    assert str(caught.value).startswith(f"{path}: ")
    assert complaint in str(caught.value)


def test_ten_thousand_records_are_read_quickly_enough_to_be_useful(finished):
    """The clock is not asserted here; benchmarks/records.py prints it."""
    run = read_run(finished)
    trial = run.trials[0]
    schedule = [
        trial.model_copy(update={"id": f"{n}-a", "block": n, "slot": 0, "engine": "a"})
        for n in range(10_000)
    ]
    fields = set(Planned.model_fields)
    planned = [Planned(**t.model_dump(include=fields)) for t in schedule]
    manifest = run.manifest.model_copy(update={"schedule": planned, "repeats": 10_000})
    store.write_manifest(finished, manifest)
    lines = [t.model_dump_json() for t in schedule]
    Path(finished / RECORDS).write_text("\n".join(lines) + "\n")
    assert len(read_run(finished).valid()) == 10_000
