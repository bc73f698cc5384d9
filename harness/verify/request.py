"""From a preset and engine names to a verification: what `bench verify` and `bench run` ask for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.data.cache import DataSet
from harness.data.load import load as load_dataset
from harness.errors import BenchError, UsageError
from harness.process import sandbox
from harness.process.supervise import Control
from harness.trial.engines import Engine, able, choose, find
from harness.verify.checks import ORDERED
from harness.verify.jobs import LONGEST_S
from harness.verify.verifier import Finding, Verifier, document
from harness.workload import shapes
from harness.workload.format import load, preset_names

REFERENCE = "myad-eager"
ALL = "all"


@dataclass(frozen=True)
class Request:
    """The options of `bench verify` for one workload."""

    preset: str
    settings: tuple[str, ...] = ()
    engines: str | None = ALL
    commands: tuple[str, ...] = ()
    engine_paths: tuple[Path, ...] = ()
    steps: int = 200
    short: bool = False
    reference: str = REFERENCE
    threads: int = 1
    timeout_s: float = LONGEST_S
    sandbox: bool = False


class Different(BenchError):
    """Engines of a run that do not do the same work; nothing was measured."""


def presets(name: str) -> list[str]:
    """The presets meant: one, or every one."""
    return preset_names() if name == ALL else [name]


@dataclass
class Watcher:
    """What is told of a verification while it goes on, and how it is stopped.

    on_engine: number, count and name of the engine that comes next. on_check: engine and check.
    """

    control: Control = field(default_factory=Control)
    on_engine: Callable[[int, int, str], None] = lambda number, count, engine: None
    on_check: Callable[[str, str], None] = lambda engine, check: None


def verify_preset(request: Request, watcher: Watcher | None = None) -> dict[str, Any]:
    """Verify engines on a workload and return a JSON-ready document.

    Raises: BenchError for wrong names, unfit workloads, or a reference that does not run;
        Interrupted if stopped.
    """
    if request.sandbox:
        sandbox.check()
    workload = load(request.preset, request.settings)
    dataset = load_dataset(workload.data.dataset)
    resolved = shapes.resolve(workload.document(), dataset.input_shape, dataset.classes)
    known = find(folders=request.engine_paths)
    engines = able(choose(request.engines, request.commands, known))
    reference = choose(request.reference, (), known)[0]
    return _verify(resolved, dataset, engines, reference, request, watcher or Watcher())


def verify_run(
    workload: dict[str, Any],
    dataset: DataSet,
    engines: Sequence[Engine],
    request: Request | None = None,
    watcher: Watcher | None = None,
) -> dict[str, Any]:
    """The short verification before a run, for its manifest.

    An engine that crashes here is left to the run, which records it and goes on without it.

    Args:
        request: which of the engines, and how; its workload is not read.
    Raises: UsageError if an engine cannot run the workload, naming the layer; Different if one
        does other work than the reference; Interrupted if stopped.
    """
    request = replace(request or Request(""), short=True)
    reference = choose(REFERENCE, (), find())[0]
    chosen = choose(request.engines, (), {engine.name: engine for engine in engines})
    chosen = [engine for engine in chosen if engine.can_run]
    found = _verify(workload, dataset, chosen, reference, request, watcher or Watcher())
    for row in found["findings"]:
        if row["reason"].startswith("unsupported:"):
            raise UsageError(
                f"engine '{row['engine']}' cannot run workload '{workload['name']}': "
                f"{row['reason'].removeprefix('unsupported:').strip()}. Leave it out of --engines."
            )
        if not row["ok"] and row["deviation"] is not None:
            raise Different(
                f"engine '{row['engine']}' does not do the same work: {row['check']}: "
                f"{row['where']} is {row['deviation']:.1e} off, allowed {row['tolerance']:.0e}. "
                "`bench verify` says more; --no-verify measures all the same and is recorded."
            )
    return found


def _verify(
    workload: dict[str, Any],
    dataset: DataSet,
    engines: Sequence[Engine],
    reference: Engine,
    request: Request,
    watcher: Watcher,
) -> dict[str, Any]:
    # what an engine has left may not be removable, and is no fault of the verification's
    with tempfile.TemporaryDirectory(prefix="bench-verify-", ignore_cleanup_errors=True) as folder:
        verifier = Verifier(
            workload,
            dataset,
            reference,
            Path(folder),
            steps=request.steps,
            short=request.short,
            threads=request.threads,
            timeout_s=request.timeout_s,
            sandboxed=request.sandbox,
            control=watcher.control,
            on_check=watcher.on_check,
            on_engine=watcher.on_engine,
        )
        findings: list[Finding] = verifier.verify(engines)
    shortened = request.short and request.steps >= ORDERED
    return {
        "workload": workload["name"],
        "reference": reference.name,
        "steps": None if shortened else request.steps,
        **document(findings, verifier.notes),
    }
