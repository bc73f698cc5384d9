"""From a workload and engines to a profile: one training job per engine, its last epoch profiled.

The job trains on the first images of the data set, as many as the steps need, for several epochs:
one to warm up, some without a profiler, and one with it. All of them do the same steps, so the
profiler's own cost is measured by the engine that pays it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract import EXIT_UNSUPPORTED
from harness.data.cache import DataSet, load_array
from harness.errors import BenchError, Interrupted
from harness.machine import host
from harness.machine.environment import engine_environment
from harness.process.supervise import Control, Limits
from harness.profile import peak
from harness.profile.model import EngineProfile, Operation, Peak, Profile
from harness.records.models import ProcessResult
from harness.safe.text import one_line
from harness.trial.answer import Fault, read_report
from harness.trial.engines import Engine
from harness.trial.job import job, run_job
from harness.workload import start as weights

WARM_UP, PLAIN = 1, 3  # epochs before the profiled one
STEPS, EXAMPLES = 100, 500  # at least so many steps of at least so many images
LONGEST_S = 1800.0  # that the process of an engine takes


@dataclass(frozen=True)
class Request:
    """What to profile.

    workload: resolved. steps: of an epoch, enough of them by default; fewer where the data set has
    not so many batches.
    """

    name: str
    preset: str
    workload: dict[str, Any]
    dataset: DataSet
    engines: Sequence[Engine]
    steps: int | None = None
    threads: int = 1
    seed: int = 0
    timeout_s: float = LONGEST_S
    sandbox: bool = False
    control: Control = field(default_factory=Control)
    on_engine: Callable[[int, int, str], None] = lambda number, count, engine: None


def carry_out(request: Request) -> Profile:
    """Profile every engine; one that fails is in the result with its reason.

    Raises: Interrupted if stopped; BenchError if the machine's peak cannot be measured.
    """
    batch = request.workload["training"]["batch_size"]
    wanted = request.steps or max(STEPS, EXAMPLES // batch)
    steps = max(min(wanted, request.dataset.counts["train"] // batch), 1)
    # what an engine has left may not be removable, and is no fault of the profile's
    with tempfile.TemporaryDirectory(prefix="bench-profile-", ignore_cleanup_errors=True) as folder:
        prepared = _Prepared(request, Path(folder), steps)
        request.on_engine(0, len(request.engines), "")
        before = _peak(Path(folder), request)
        engines = []
        for number, engine in enumerate(request.engines, start=1):
            request.on_engine(number, len(request.engines), engine.name)
            engines.append(prepared.profile(engine))
        request.on_engine(0, len(request.engines), "")
        after = _peak(Path(folder), request)
    return Profile(
        name=request.name,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        preset=request.preset,
        workload=request.workload,
        steps=steps,
        threads=request.threads,
        host=host.host(),
        peak=Peak(  # whatever else the machine did meanwhile can only have slowed it down
            flop_per_s=max(before.flop_per_s, after.flop_per_s),
            bytes_per_s=max(before.bytes_per_s, after.bytes_per_s),
            threads=request.threads,
        ),
        engines=engines,
    )


class _Prepared:
    """Images, labels and starting weights of the job, written once; all engines get them."""

    def __init__(self, request: Request, folder: Path, steps: int) -> None:
        self.request, self.folder, self.steps = request, folder, steps
        training = {**request.workload["training"], "epochs": WARM_UP + PLAIN + 1}
        self.workload = {**request.workload, "training": training}
        paths = request.dataset.paths
        count = min(steps * training["batch_size"], request.dataset.counts["train"])
        self.examples = count
        self.given = {name: folder / f"{name}.npy" for name in ("images", "labels")}
        for name, path in self.given.items():
            np.save(path, load_array(paths[f"train_{name}"])[:count])
        self.given["initial_weights"] = folder / "initial.npz"
        model, dtype = self.workload["model"], training["dtype"]
        start = weights.initial_weights(model, request.seed, dtype)
        weights.save(self.given["initial_weights"], start)
        if training["shuffle"]:
            self.given["order"] = folder / "order.npy"
            order = weights.order(request.seed, training["epochs"], count)
            np.save(self.given["order"], order)

    def profile(self, engine: Engine) -> EngineProfile:
        """Run the job with one engine and read what it reports. Raises: Interrupted."""
        request = self.request
        folder = self.folder / engine.name / "train"
        folder.mkdir(parents=True)
        options: dict[str, Any] = {"seed": request.seed, "threads": request.threads, **self.given}
        asked = job(
            "train", engine.name, self.workload, folder, weights=folder / "weights.npz",
            profile=self.steps, **options,
        )  # fmt: skip
        result = run_job(
            asked,
            engine.command,
            folder,
            self.folder / engine.name / "cache",
            examples=self.examples,
            limits=Limits(timeout_s=request.timeout_s, sample_interval_s=None),
            control=request.control,
            sandboxed=request.sandbox,
        )
        if request.control.stopping:
            raise Interrupted("interrupted.")
        if result.outcome != "ok":
            return EngineProfile(engine=engine.name, failure=_reason(result)[:300])
        return self._read(engine, Path(asked["report"]), result)

    def _read(self, engine: Engine, path: Path, result: ProcessResult) -> EngineProfile:
        try:
            report = read_report(path, below=self.folder)
        except Fault as fault:
            return EngineProfile(engine=engine.name, failure=fault.reason[:300])
        if not report.ops:
            why = "it reported no operations: its engine has no profiler."
            return EngineProfile(engine=engine.name, failure=why)
        seconds = [epoch.seconds for epoch in report.epochs]
        if min(seconds) <= 0:
            return EngineProfile(engine=engine.name, failure="an epoch of it took no time.")
        found = [event.model_dump() for event in report.ops]
        return EngineProfile(
            engine=engine.name,
            plain_s=seconds[WARM_UP:-1],
            profiled_s=seconds[-1],
            operations=[Operation(**entry) for entry in found],
            versions=result.versions,
        )


def _reason(result: ProcessResult) -> str:
    """Why there is no profile, as the engine or the harness says it."""
    lines = result.stderr_tail.strip().splitlines()
    if result.exit_code == EXIT_UNSUPPORTED and lines:
        return one_line(lines[-1])
    return one_line(f"{result.outcome}: {result.reason}")


def _peak(folder: Path, request: Request) -> Peak:
    """Measured by a process that has as many threads as the engines. Raises: BenchError."""
    command = [sys.executable, "-I", peak.__file__, str(request.threads)]
    command.append(request.workload["training"]["dtype"])
    environment = engine_environment(folder, threads=request.threads)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = one_line((done.stderr.strip().splitlines() or ["no reason"])[-1])
        raise BenchError(f"the machine's peak cannot be measured: {last}")
    return Peak(**json.loads(done.stdout))
