"""The loop of `bench run`: hold the host, run the schedule, record every change of state."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import Interrupted, UsageError
from harness.machine.lock import measuring
from harness.machine.origin import seal
from harness.process.supervise import Control
from harness.records import store
from harness.records.find import newest
from harness.records.sameness import Purpose, in_short
from harness.records.store import Run, read_run
from harness.run import trust as trusted
from harness.run.accuracies import Finder, expected_s
from harness.run.crew import Crew, Here
from harness.run.ledger import Ledger, writing
from harness.run.options import RunOptions, check_run_name
from harness.run.plan import Plan, new_plan, same_plan
from harness.run.progress import Display, Tables
from harness.run.protocol import older
from harness.safe import files
from harness.safe.text import say
from harness.trial.trial import Bench

DONE, FAILED, NOTHING_VALID, INTERRUPTED = 0, 1, 3, 130


@dataclass
class Ended:
    """How a run ended: its folder, the exit code of `bench run`, a sentence for people, and how
    many trials have a record."""

    folder: Path
    exit_code: int
    sentence: str
    trials: int


def start(options: RunOptions, tables: Tables | None = None, crew: Crew | None = None) -> Ended:
    """A new run. Raises: BenchError before anything is written if it cannot be done.

    tables: what a terminal shows of the run so far. crew: who measures, this machine by default.
    """
    crew = crew or Here()
    if crew.cluster and (options.quiet or options.until_share is not None):
        raise UsageError("--until and --quiet are of runs on one machine; leave --cluster out.")
    folder = options.results / (options.name or "")
    if options.name and _is_taken(folder):
        raise UsageError(
            f"{folder} exists; choose another --name, or go on with it: "
            f"--resume --name {options.name}."
        )
    with crew.holding(wait=options.wait):
        plan = new_plan(options)
        control = Control()
        with _holding_unless_held(crew, wait=options.wait), stop_signals(control):
            unable = older(plan, control)
        if unable:
            plan = new_plan(options, without=unable)
        plan.manifest.cluster = crew.cluster
        _tell_of_seeds(options)
        if options.verify:
            with _holding_unless_held(crew, wait=options.wait):
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
        return carry_out(plan, Run(folder, plan.manifest), options.max_time_s, tables, crew)


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
    crew: Crew | None = None,
) -> Ended:
    """Go on with a run where it was interrupted: the same schedule, the missing trials.

    The run of a cluster may go on with any crew, on this machine too, if all but the machine is
    the same. trust: execute the commands of a manifest that this user has not made on this machine.
    Raises: UsageError if there is none, if it comes from elsewhere and is not trusted, or if the
        machine is not the same any more.
    """
    crew = crew or Here()
    folder = _folder_to_resume(results, name)
    trusted.require(folder, store.read_manifest(folder), trusted=trust)
    with crew.holding(wait=wait):
        with writing(folder):
            store.heal(folder)
        run = read_run(folder)
        if crew.cluster and not run.manifest.cluster:
            raise UsageError(
                f"{folder} was begun on one machine and goes on there; a run of several begins "
                "with --cluster."
            )
        for problem in run.problems:
            say(f"{problem} (refused; the other lines are used)")
        purpose: Purpose = "join" if run.manifest.cluster else "continue"
        plan, differences = same_plan(run.manifest, commands, engine_paths, purpose=purpose)
        if differences:
            raise UsageError(
                f"{folder} cannot go on, this is not the same machine any more: "
                f"{in_short(differences)}. "
                "Trials measured now would not be comparable; start a new run."
            )
        return carry_out(plan, run, max_time_s or run.manifest.max_time_s, tables, crew)


def carry_out(
    plan: Plan,
    run: Run,
    max_time_s: float | None,
    tables: Tables | None = None,
    crew: Crew | None = None,
) -> Ended:
    """Run what has not finished yet: the trials of the schedule, then the accuracies after them."""
    crew, control, begin = crew or Here(), Control(), time.monotonic()
    with stop_signals(control):
        stopped = crew.measure(plan, run, control, max_time_s=max_time_s, tables=tables)
        if run.pending_points() and not run.pending_blocks() and not control.stopping:
            with _holding_unless_held(crew, wait=True):
                bench = replace(plan.bench(run.folder), control=control)
                stopped = _find_accuracies(bench, run, begin, max_time_s)
    with contextlib.suppress(OSError):
        files.remove(run.folder, "work")
        if run.manifest.target is not None and not run.pending_points():
            for trial in run.finished():  # megabytes; what was to be found in them is recorded
                files.remove(run.folder, "trials", trial.id, "checkpoints")
    return _ended(run, control, stopped)


def _holding_unless_held(crew: Crew, *, wait: bool) -> AbstractContextManager[None]:
    """The host's lock, for what this machine does in the run of a cluster."""
    return measuring(wait=wait) if crew.cluster else contextlib.nullcontext()


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


def _find_accuracies(bench: Bench, run: Run, begin: float, max_time_s: float | None) -> str:
    """What the manifest asks for beyond the blocks; returns why it ended early, or ""."""
    keys, ledger, finder = run.pending_points(), Ledger(run), Finder(bench, run)
    with Display(run, []) as display:
        display.accuracies_begin(len(keys))
        for place, key in enumerate(keys):
            if bench.control.stopping:
                break
            end_s = time.monotonic() - begin + expected_s(run, [key])
            if max_time_s is not None and end_s > max_time_s:
                return (
                    f"--max-time {max_time_s:g} s leaves {len(keys) - place} accuracies to be found"
                )
            display.point_started(key, expected_s(run, keys[place:]))
            with writing(run.folder):
                point = finder.find(key)
            if point is None:
                break
            ledger.found(point)
            display.point_finished(point)
    return ""


def _tell_of_seeds(options: RunOptions) -> None:
    if 0 < options.seeds < options.repeats:
        say(
            f"--seeds {options.seeds} adds nothing: each of the {options.repeats} blocks "
            "has a seed of its own already."
        )


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
    counts = f"{len(valid)} of {len(run.planned())} trials valid{_points_told(run)}"
    again = f"bench run --resume --name {run.manifest.run}{_results_option(run.folder)}"
    report = f"bench report {run.manifest.run}{_results_option(run.folder)}"
    if control.stopping:
        sentence = f"interrupted; {counts}. Go on: {again}. So far: {report}"
        return Ended(run.folder, INTERRUPTED, sentence, len(run.trials))
    if stopped:
        counts = f"{stopped}; {counts}. Go on: {again}"
    if run.ended is not None:
        counts = f"it ended by its rule: {run.ended.reason}; {counts}"
    failed = len(valid) < len(finished) or any(point.failure for point in run.points)
    code = NOTHING_VALID if not valid else FAILED if failed else DONE
    sentence = f"{counts}. Tables and plots: {report}"
    return Ended(run.folder, code, sentence, len(run.trials))


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
