"""What a worker can be asked for, and nothing else: `prove`, `take_data`, `carry_out`.

Each takes and returns JSON (and arrays as bytes) and raises nothing. What the worker runs is its
own: engines that it finds itself or was started with, never a command line of the message.
"""

import contextlib
import io
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from harness.cluster import baggage
from harness.cluster.messages import TOPIC, Answer, Order, Proof, Question, identity, project
from harness.data.cache import ARRAYS, cache_folder, store
from harness.data.load import available
from harness.errors import BenchError, UsageError
from harness.machine.host import machine_record
from harness.machine.lock import BusyError, measuring
from harness.process.supervise import Control
from harness.records.manifest import Manifest
from harness.records.models import Machine, Planned, Trial
from harness.records.sameness import in_short
from harness.records.store import parse_trial
from harness.run.doctor import examine
from harness.run.plan import Plan, same_plan
from harness.safe.text import flat
from harness.trial.runner import Block, LocalRunner, Runner
from harness.trial.trial import Bench

KEPT = "record.json"  # in a trial's folder on the worker, until its record is surely at home
STALE_S = 7 * 24 * 3600.0  # folders of runs that nobody asked for since
POLL_S = 0.1
# findings of the doctor with which nothing can be measured; the others are told beside the results
FATAL = ("clock", "free memory", "disk for results", "disk for data cache")

Send = Callable[[dict[str, Any]], None]
Wanted = Callable[[], bool]


@cache
def machine(name: str) -> Machine:
    """This machine with the doctor's verdict, found once by each process."""
    # the lock is held, by this process
    findings = [finding for finding in examine(cache_folder()) if finding.name != "lock"]
    told = [f"{finding.name}: {finding.answer}" for finding in findings if not finding.ok]
    return machine_record(name, told)


@dataclass
class Worker:
    """What this worker process was started with, and the runs for which it has proven itself.

    commands, engine_paths: as of `bench run`; the only command lines it runs. folder: of its work.
    """

    name: str = "worker"
    commands: tuple[str, ...] = ()
    engine_paths: tuple[Path, ...] = ()
    folder: Path = field(default_factory=lambda: cache_folder() / ".worker")
    make_runner: Callable[[Bench], Runner] = LocalRunner
    plans: dict[str, Plan] = field(default_factory=dict)
    machine: Callable[[str], Machine] = field(default=lambda name: machine(name))


ME = Worker()


def prove(text: str) -> str:
    """A `Question` -> a `Proof`, found while nobody measures on this host."""
    try:
        with _turn(_wanted()) as is_mine:
            question = Question.model_validate_json(text)
            proof = _prove(question) if is_mine else Proof(refused="not asked any more.")
    except (BenchError, ValueError, OSError) as error:
        proof = Proof(refused=flat(error))
    return proof.model_dump_json()


def take_data(name: str, classes: int, *arrays: bytes) -> str:
    """Store a data set that is not here -> `Answer`. arrays: .npy files in the order of ARRAYS."""
    try:
        if name in available():
            raise UsageError(f"data set '{name}' is here already.")
        if not name.replace("-", "").replace("_", "").isalnum():
            raise UsageError(f"data set {name!r}: not a name.")
        loaded = [np.load(io.BytesIO(array), allow_pickle=False) for array in arrays]
        found = dict(zip(ARRAYS, loaded, strict=True))
        store(name, found, classes=classes, source="sent by a commander")
    except (BenchError, ValueError, OSError, EOFError) as error:
        return Answer(failure=flat(error)).model_dump_json()
    return Answer().model_dump_json()


def carry_out(text: str) -> None:
    """Carry an `Order` out. Records go home as events, each as it is made, an `Answer` last."""
    from distributed import get_worker

    worker = get_worker()
    work(text, lambda message: worker.log_event(TOPIC, message), _wanted())


def _wanted() -> Wanted:
    """Whether Dask's task in this thread is still to be done; always where there is none."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return lambda: True
    key = worker.get_current_task()

    def wanted() -> bool:
        # read from another thread than the loop's: a moment late is early enough
        task = worker.state.tasks.get(key)
        return worker.status.name == "running" and task is not None and task.state == "executing"

    return wanted


def work(text: str, send: Send, wanted: Wanted) -> None:
    """`carry_out` without Dask. send: takes a message home. wanted: whether to go on."""
    ticket = ""
    try:
        order = Order.model_validate_json(text)
        ticket = order.ticket
        answer = _work(order, send, wanted)
    except (BenchError, ValueError, OSError) as error:
        answer = Answer(failure=flat(error))
    send({"ticket": ticket, "answer": answer.model_dump_json()})


def _prove(question: Question) -> Proof:
    manifest = question.manifest
    _check_processors(manifest)
    if manifest.data["dataset"] not in available():
        return Proof(missing=manifest.data["dataset"])
    plan, differences = same_plan(
        manifest, ME.commands, ME.engine_paths, purpose="join", own_commands=True
    )
    if differences:
        raise UsageError(in_short(differences))
    if question.project != project():
        raise UsageError("its harness is not the same: another version or other changes.")
    record = ME.machine(ME.name)
    fatal = [text for text in record.findings if text.startswith(FATAL)]
    if fatal:
        raise UsageError(f"bench doctor: {'; '.join(fatal)}")
    run = identity(manifest)
    ME.plans[run] = plan
    return Proof(run=run, machine=record)


def _check_processors(manifest: Manifest) -> None:
    if not manifest.cpus:
        return
    here = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    away = set(manifest.cpus) - here
    if away:
        raise UsageError(f"--cpus: no processor {', '.join(map(str, sorted(away)))} here.")


@contextlib.contextmanager
def _turn(wanted: Wanted) -> Iterator[bool]:
    """The host's lock, waited for; False where the order was withdrawn meanwhile."""
    with contextlib.ExitStack() as stack:
        while wanted():
            try:
                stack.enter_context(measuring(wait=False))
            except BusyError:
                time.sleep(POLL_S)
            else:
                yield True
                return
        yield False


def _work(order: Order, send: Send, wanted: Wanted) -> Answer:
    plan = ME.plans.get(order.run)
    if plan is None:
        return Answer(failure="has not proven itself for this run.")
    mine = {planned.id: planned for planned in plan.manifest.schedule}
    trials = [mine[planned.id] for planned in order.trials if planned.id in mine]
    if len(trials) != len(order.trials) or not trials:
        return Answer(failure="the order names trials that are none of this run.")
    folder = ME.folder / order.run
    with _turn(wanted) as is_mine:
        if is_mine:
            _tidy(folder, {planned.id for planned in trials})
            for trial in _trials(plan, folder, trials, wanted):
                send(_message(order.ticket, folder, trial))
    return Answer()


def _trials(plan: Plan, folder: Path, trials: list[Planned], wanted: Wanted) -> Iterator[Trial]:
    """Records kept of an order that was cut off, then those of what is left of it."""
    left = []
    for planned in trials:
        path = folder / "trials" / planned.id / KEPT
        if path.is_file():
            yield parse_trial(path.read_bytes())
        else:
            left.append(planned)
    if not left:
        return
    control = Control()

    def look() -> None:
        if not control.stopping and not wanted():
            control.request_stop()

    bench = replace(plan.bench(folder), control=control, on_tick=look)
    for trial in ME.make_runner(bench).run(Block(tuple(left))):
        if trial.state == "finished":
            _keep(folder, trial)
        yield trial


def _keep(folder: Path, trial: Trial) -> None:
    path = folder / "trials" / trial.id / KEPT
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(trial.model_dump_json(), encoding="utf-8")
    partial.replace(path)


def _message(ticket: str, folder: Path, trial: Trial) -> dict[str, Any]:
    files = {}
    if trial.state == "finished" and not trial.warmup:
        files = baggage.pack(folder / "trials" / trial.id)
    return {"ticket": ticket, "trial": trial.model_dump_json(), "files": files}


def _tidy(folder: Path, now: set[str]) -> None:
    """A new order says that those before it are settled; other runs' folders go after a week."""
    for place in (folder / "trials").glob("*"):
        if place.name not in now:
            shutil.rmtree(place, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    oldest = folder.stat().st_mtime - STALE_S
    for other in ME.folder.glob("*"):
        if other.stat().st_mtime < oldest:
            shutil.rmtree(other, ignore_errors=True)
