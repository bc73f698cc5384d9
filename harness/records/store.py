"""Reading and writing a run's folder: the manifest once, records appended one by one.

The record files are append-only and synced to the disk after every line, so that a killed harness
loses at most the line it was writing; such a torn tail is cut away before the next append.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from harness.errors import RecordError
from harness.records.manifest import SCHEMA, Manifest
from harness.records.models import Ended, Machine, Planned, Point, PointKey, Trial
from harness.safe import files
from harness.safe.text import one_line

MANIFEST = "manifest.json"
RECORDS = "trials.jsonl"
POINTS = "accuracy.jsonl"  # only in runs with further seeds or curves
MACHINES = "machines.jsonl"  # only in runs of a cluster
ENDED = "ended.jsonl"  # only in runs that end by a rule
TEST_LABELS = "test_labels.npy"  # of all trials, uint8 (N,)
REPORT_CAP = 16 << 20  # bytes: an engine's report has some hundred; one beyond this is an attack
# A manifest has 100 bytes per planned trial, a record some thousand: room for a million of each.
MANIFEST_CAP, RECORDS_CAP = 1 << 28, 1 << 32

Record = TypeVar("Record", Trial, Point, Machine, Ended)
FILES = {Trial: RECORDS, Point: POINTS, Machine: MACHINES, Ended: ENDED}


@dataclass
class Run:
    """A run as its folder tells it.

    trials: the last state of every trial that has a record, in the order of the schedule.
    points: accuracies found after the blocks, in the order of their records.
    machines: by fingerprint, those of a cluster's run in the order in which they joined.
    ended: that it ended by its rule before the schedule did; None otherwise.
    problems: one text per refused line ("…/trials.jsonl:17: …"); the other lines are used.
    torn: a last line was cut off by a kill (nothing is lost: its trial runs again on resume).
    """

    folder: Path
    manifest: Manifest
    trials: list[Trial] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    machines: dict[str, Machine] = field(default_factory=dict)
    ended: Ended | None = None
    problems: list[str] = field(default_factory=list)
    torn: bool = False

    def finished(self) -> list[Trial]:
        """Measured trials that ended, valid or not; without warm-ups."""
        return [t for t in self.trials if t.state == "finished" and not t.warmup]

    def valid(self) -> list[Trial]:
        """Measured trials whose every check held; the only ones that may be averaged."""
        return [t for t in self.finished() if t.valid]

    @property
    def blocks(self) -> int:
        """Measured blocks that the run is to have: of the schedule, or as it ended."""
        most = self.manifest.repeats
        return most if self.ended is None else min(self.ended.blocks, most)

    def planned(self) -> list[Planned]:
        """The trials of these blocks, without warm-ups."""
        return [p for p in self.manifest.schedule if not p.warmup and p.block < self.blocks]

    def pending(self, machine: str = "") -> list[Planned]:
        """Trials of the schedule that have not finished, in their order.

        Warm-ups too: each machine has its own, and those that `machine` has finished count.
        """
        finished = (t for t in self.trials if t.state == "finished")
        done = {t.id for t in finished if not t.warmup or t.machine == machine}
        return [
            planned
            for planned in self.manifest.schedule
            if planned.id not in done and (planned.warmup or planned.block < self.blocks)
        ]

    def pending_blocks(self) -> bool:
        """Whether a measured trial has not finished yet."""
        return any(not planned.warmup for planned in self.pending())

    def pending_points(self) -> list[PointKey]:
        """Accuracies that are still to be found after the blocks, in their order.

        An engine without one valid trial is not asked again: each of its points would fail, too.
        """
        done = {point.key for point in self.points}
        able = {trial.engine for trial in self.valid()}
        return [key for key in self.manifest.points() if key not in done and key.engine in able]

    def trial_folder(self, trial: Planned, process: str | None = None) -> Path:
        """Folder of a trial, or of its "train" or "test" process."""
        folder = self.folder / "trials" / trial.id
        return folder / process if process else folder


def read_run(folder: Path) -> Run:
    """Read manifest and records of the run in `folder`.

    Raises: RecordError if the manifest is missing or wrong; damaged record lines go to `problems`.
    """
    run = Run(folder=folder, manifest=read_manifest(folder))
    _read_trials(run)
    _read_points(run)
    for _, machine in _records(run, MACHINES, Machine):
        run.machines[machine.id] = machine
    for _, ended in _records(run, ENDED, Ended):
        run.ended = ended
    return run


def _read_trials(run: Run) -> None:
    planned = {planned.id: planned for planned in run.manifest.schedule}
    order = {name: place for place, name in enumerate(planned)}
    latest: dict[tuple[str, str], Trial] = {}
    for place, trial in _records(run, RECORDS, Trial):
        try:
            _check_transition(trial, latest.get(trial.key), planned)
        except ValueError as error:
            run.problems.append(f"{place}: {error}")
        else:
            latest[trial.key] = trial
    run.trials = sorted(latest.values(), key=lambda trial: order[trial.id])


def _read_points(run: Run) -> None:
    wanted = set(run.manifest.points())
    for place, point in _records(run, POINTS, Point):
        name = f"accuracy of '{point.engine}', seed {point.seed}, epoch {point.epoch}"
        if point.key not in wanted:
            known = point.key in {other.key for other in run.points}
            why = "duplicate record" if known else "not in the manifest's plan"
            run.problems.append(f"{place}: {why}: {name}.")
        else:
            wanted.remove(point.key)
            run.points.append(point)


def _records(run: Run, name: str, kind: type[Record]) -> Iterator[tuple[str, Record]]:
    """The records of a file, each with its place; what is damaged goes to `run.problems`."""
    path = run.folder / name
    lines, torn = _complete_lines(_content(path))
    run.torn = run.torn or torn
    for number, line in enumerate(lines, start=1):
        try:
            yield f"{path}:{number}", _parse(line, kind)
        except ValueError as error:
            run.problems.append(f"{path}:{number}: {error}")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the run in `folder`. Raises: RecordError, naming the file."""
    path = folder / MANIFEST
    try:
        content = files.read(path, MANIFEST_CAP)
    except OSError as error:
        raise RecordError(f"{path}: no run here ({error.strerror}).") from error
    try:
        _check_schema(content)
        return Manifest.model_validate_json(content)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"{path}: {_first_line(error)}") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, whole or not at all (a new file takes the old one's place)."""
    text = json.dumps(manifest.model_dump(mode="json"), indent=1, allow_nan=False) + "\n"
    files.replace(folder / MANIFEST, text.encode(), sync=True)


def append(folder: Path, *records: Record) -> None:
    """Append records of one kind and sync them to the disk, all of them or none.

    A torn tail must have been healed before.
    """
    if not records:
        return
    lines = [record.model_dump_json(exclude_defaults=False).encode() + b"\n" for record in records]
    line = b"".join(lines)
    with files.open_to_change(folder / FILES[type(records[0])]) as file:
        start = file.seek(0, os.SEEK_END)
        try:
            _write_all(file.fileno(), line)
            os.fsync(file.fileno())
        except OSError:
            os.truncate(file.fileno(), start)  # a full disk: leave no half line behind
            raise


def heal(folder: Path) -> bool:
    """Cut torn last lines off the record files, or complete their newline. True if one was torn."""
    torn = [_heal_file(folder / name) for name in FILES.values()]
    return any(torn)


def _heal_file(path: Path) -> bool:
    content = _content(path)
    if not content or content.endswith(b"\n"):
        return False
    _, torn = _complete_lines(content)
    with files.open_to_change(path) as file:
        if torn:
            file.truncate(content.rfind(b"\n") + 1)
        else:
            file.seek(0, os.SEEK_END)
            file.write(b"\n")
        os.fsync(file.fileno())
    return torn


def parse_trial(line: bytes) -> Trial:
    """One line as a record. Raises: ValueError with one line of text."""
    return _parse(line, Trial)


def _parse(line: bytes, kind: type[Record]) -> Record:
    try:
        return kind.model_validate_json(line)
    except (ValidationError, RecursionError) as error:
        _check_schema(line)
        raise ValueError(_first_line(error)) from error


def _content(path: Path) -> bytes:
    try:
        return files.read(path, RECORDS_CAP)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror}.") from error


def _complete_lines(content: bytes) -> tuple[list[bytes], bool]:
    """The lines, and whether the last was torn and is left out.

    A last line that lacks only its newline is whole: no proper prefix of an object is an object.
    """
    lines = content.split(b"\n")
    tail = lines.pop()
    if not tail:
        return lines, False
    try:
        json.loads(tail)
    except (ValueError, RecursionError):
        return lines, True
    return [*lines, tail], False


def _check_transition(trial: Trial, before: Trial | None, schedule: dict[str, Planned]) -> None:
    if trial.id not in schedule:
        raise ValueError(f"trial '{trial.id}' is not in the manifest's schedule.")
    for name in Planned.model_fields:
        if getattr(trial, name) != (planned := getattr(schedule[trial.id], name)):
            raise ValueError(f"trial '{trial.id}': {name} is '{planned}' in the schedule.")
    if before is not None and before.state == "finished" and trial.state != "withdrawn":
        raise ValueError(f"duplicate record: trial '{trial.id}' had already finished.")


def _check_schema(content: bytes) -> None:
    """Name a wrong schema version before anything else that is wrong because of it."""
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("nested too deeply.") from None
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise ValueError("not a JSON object.")
    version = found.get("schema_version")
    if version != SCHEMA:
        raise ValueError(f"schema version {version!r}, this program reads {SCHEMA}.")


def _first_line(error: Exception) -> str:
    """The first complaint of a validation error, with the path of the field."""
    if isinstance(error, RecursionError):
        return "nested too deeply."
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False)[0]
    place = one_line(".".join(str(part) for part in first["loc"]))
    return f"{place}: {first['msg']}" if place else first["msg"]


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
