"""The loop of `bench run`: hold the host, run the schedule, record every change of state."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import BenchError, Interrupted, UsageError
from harness.machine.lock import measuring
from harness.machine.origin import seal
from harness.process.supervise import Control
from harness.records import store
from harness.records.find import newest
from harness.records.models import Planned, Trial
from harness.records.sameness import in_short
from harness.records.store import Run, read_run
from harness.run import trust as trusted
from harness.run.accuracies import expected_s, run_point
from harness.run.options import RunOptions, check_run_name
from harness.run.plan import Plan, new_plan, same_plan
from harness.run.progress import Display, Tables
from harness.safe import files
from harness.safe.text import say
from harness.trial.trial import Bench, record, run_trial

DONE, FAILED, NOTHING_VALID, INTERRUPTED = 0, 1, 3, 130


class StorageError(BenchError):
    """The run's folder cannot be written any more."""


@dataclass
class Ended:
    """How a run ended: its folder, the exit code of `bench run`, a sentence for people."""

    folder: Path
    exit_code: int
    sentence: str


def start(options: RunOptions, tables: Tables | None = None) -> Ended:
    """A new run. Raises: BenchError before anything is written if it cannot be done.

    tables: what a terminal shows of the run so far.
    """
    folder = options.results / (options.name or "")
    if options.name and _is_taken(folder):
        raise UsageError(
            f"{folder} exists; choose another --name, or go on with it: "
            f"--resume --name {options.name}."
        )
    with measuring(wait=options.wait):
        plan = new_plan(options)
        _tell_of_seeds(options)
        if options.verify:
            plan.manifest.verification = _verify(plan, options)
        folder = options.results / plan.manifest.run
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            plan.manifest.origin = seal(plan.manifest)
            store.write_manifest(folder, plan.manifest)
            # what the predictions are compared with, so that the report needs the run alone
            labels = plan.dataset.paths["test_labels"].read_bytes()
            files.replace(folder / store.TEST_LABELS, labels)
            files.create(folder / store.RECORDS).close()
        return carry_out(plan, Run(folder, plan.manifest), options.max_time_s, tables)


def resume(
    results: Path,
    name: str | None,
    *,
    commands: tuple[str, ...] = (),
    engine_paths: tuple[Path, ...] = (),
    max_time_s: float | None = None,
    wait: bool = False,
    trust: bool = False,
    tables: Tables | None = None,
) -> Ended:
    """Go on with a run where it was interrupted: the same schedule, the missing trials.

    trust: execute the commands of a manifest that this user has not made on this machine.
    Raises: UsageError if there is none, if it comes from elsewhere and is not trusted, or if the
        machine is not the same any more.
    """
    folder = _folder_to_resume(results, name)
    trusted.require(folder, store.read_manifest(folder), trusted=trust)
    with measuring(wait=wait):
        with writing(folder):
            store.heal(folder)
        run = read_run(folder)
        for problem in run.problems:
            say(f"{problem} (refused; the other lines are used)")
        plan, differences = same_plan(run.manifest, commands, engine_paths)
        if differences:
            raise UsageError(
                f"{folder} cannot go on, this is not the same machine any more: "
                f"{in_short(differences)}. "
                "Trials measured now would not be comparable; start a new run."
            )
        return carry_out(plan, run, max_time_s or run.manifest.max_time_s, tables)


def carry_out(
    plan: Plan, run: Run, max_time_s: float | None, tables: Tables | None = None
) -> Ended:
    """Run what has not finished yet: the trials of the schedule, then the accuracies after them."""
    bench = plan.bench(run.folder)
    pending = run.pending()
    stopped = ""
    with writing(run.folder):
        _close_interrupted(run)
    with stop_signals(bench.control), Display(run, pending, tables=tables) as display:
        bench.on_tick = display.tick
        begin = time.monotonic()
        for index, planned in enumerate(pending):
            if index and planned.slot == 0 and not planned.warmup:
                stopped = _out_of_time(display, begin, max_time_s)
            if stopped or bench.control.stopping:
                break
            with writing(run.folder):
                _run_one(bench, run, planned, display)
        if not run.pending():
            stopped = _find_accuracies(bench, run, display, begin, max_time_s)
    with contextlib.suppress(OSError):
        files.remove(run.folder, "work")
    return _ended(run, bench.control, stopped)


@contextlib.contextmanager
def stop_signals(control: Control) -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP end the current trial; the second one without grace."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    for name in names:
        number = getattr(signal, name)
        before[number] = signal.signal(number, lambda *_: control.request_stop())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say which folder could not be written, and that nothing measured is lost."""
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise StorageError(
            f"{place}: {error.strerror or error}. The run stops here; what was recorded is kept, "
            "and `bench run --resume` goes on once the folder can be written."
        ) from error


def _verify(plan: Plan, options: RunOptions) -> dict[str, Any]:
    """Hold the engines against the reference before anything is timed.

    Raises: BenchError naming the engine that does other work; Interrupted if stopped.
    """
    from harness.verify.request import ALL, Request, Watcher, verify_run

    request = Request(
        options.preset,
        engines=options.verify_engines or ALL,
        threads=plan.manifest.threads,
        sandbox=options.sandbox,
    )
    if options.verify_steps is not None:
        request = replace(request, steps=options.verify_steps)
    if options.timeout_s is not None:
        request = replace(request, timeout_s=options.timeout_s)
    watcher = Watcher(on_engine=lambda n, count, name: say(f"verifying {n}/{count}: {name}"))
    with stop_signals(watcher.control):
        found = verify_run(plan.workload, plan.dataset, plan.engines, request, watcher)
    if watcher.control.stopping:
        raise Interrupted("interrupted.")
    return found


def _run_one(bench: Bench, run: Run, planned: Planned, display: Display) -> None:
    store.append(run.folder, record(planned, "started"))
    display.started(planned)
    trial = run_trial(bench, planned)
    store.append(run.folder, trial)
    if trial.state == "finished":
        _note(run, trial)
        display.finished(trial)


def _find_accuracies(
    bench: Bench, run: Run, display: Display, begin: float, max_time_s: float | None
) -> str:
    """What the manifest asks for beyond the blocks; returns why it ended early, or ""."""
    keys = run.pending_points()
    if keys:
        display.accuracies_begin(len(keys))
    for place, key in enumerate(keys):
        if bench.control.stopping:
            break
        end_s = time.monotonic() - begin + expected_s(run, [key])
        if max_time_s is not None and end_s > max_time_s:
            return f"--max-time {max_time_s:g} s leaves {len(keys) - place} accuracies to be found"
        display.point_started(key, expected_s(run, keys[place:]))
        with writing(run.folder):
            point = run_point(bench, key)
            if point is None:
                break
            store.append(run.folder, point)
        run.points.append(point)
        display.point_finished(point)
    return ""


def _tell_of_seeds(options: RunOptions) -> None:
    if 0 < options.seeds < options.repeats:
        say(
            f"--seeds {options.seeds} adds nothing: each of the {options.repeats} blocks "
            "has a seed of its own already."
        )


def _note(run: Run, trial: Trial) -> None:
    """Keep the run in memory as a reader of its files would see it."""
    order = {planned.id: place for place, planned in enumerate(run.manifest.schedule)}
    run.trials = [*(known for known in run.trials if known.id != trial.id), trial]
    run.trials.sort(key=lambda known: order[known.id])


def _close_interrupted(run: Run) -> None:
    """Trials that a killed harness left as "started" are recorded as interrupted, once."""
    for trial in run.trials:
        if trial.state == "started":
            store.append(run.folder, record(trial, "interrupted"))


def _out_of_time(display: Display, begin: float, max_time_s: float | None) -> str:
    """Why the run ends between two blocks; empty if it goes on."""
    if max_time_s is None:
        return ""
    expected = time.monotonic() - begin + (display.clock.block_s() or 0.0)
    if expected <= max_time_s:
        return ""
    return f"--max-time {max_time_s:g} s leaves no time for another block"


def _is_taken(folder: Path) -> bool:
    """Something lies there, other than what a kill before the first manifest leaves."""
    if not folder.is_dir():
        return folder.exists()
    return any(not path.name.startswith(f".{store.MANIFEST}") for path in folder.iterdir())


def _folder_to_resume(results: Path, name: str | None) -> Path:
    if name is not None:
        check_run_name(name)
        folder = results / name
        if not files.is_regular(folder / store.MANIFEST):
            raise UsageError(f"--resume: there is no run '{name}' in {results}.")
        return folder
    return newest(results)


def _ended(run: Run, control: Control, stopped: str) -> Ended:
    finished, valid = run.finished(), run.valid()
    planned = len(run.manifest.schedule) - run.manifest.warmups * len(run.manifest.engines)
    counts = f"{len(valid)} of {planned} trials valid{_points_told(run)}"
    again = f"bench run --resume --name {run.manifest.run}{_results_option(run.folder)}"
    report = f"bench report {run.manifest.run}{_results_option(run.folder)}"
    if control.stopping:
        sentence = f"interrupted; {counts}. Go on: {again}. So far: {report}"
        return Ended(run.folder, INTERRUPTED, sentence)
    if stopped:
        counts = f"{stopped}; {counts}. Go on: {again}"
    failed = len(valid) < len(finished) or any(point.failure for point in run.points)
    code = NOTHING_VALID if not valid else FAILED if failed else DONE
    return Ended(run.folder, code, f"{counts}. Tables and plots: {report}")


def _points_told(run: Run) -> str:
    """The accuracies beyond the blocks, where the run was to find any."""
    if not run.manifest.points():
        return ""
    failed = sum(bool(point.failure) for point in run.points)
    left = len(run.pending_points())
    told = f", {len(run.points) - failed} untimed accuracies found"
    told += f", {failed} failed" if failed else ""
    return f"{told}, {left} to go" if left else told


def _results_option(folder: Path) -> str:
    parent = folder.parent
    if parent == Path("results"):
        return ""
    return f" --results {os.fspath(parent)}"
