"""From a preset and engine names to a verification: what `bench verify` and `bench run` ask for."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.data.cache import DataSet
from harness.data.load import load as load_dataset
from harness.errors import BenchError, UsageError
from harness.process.supervise import Control
from harness.trial.engines import Engine, able, choose, find
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


class Different(BenchError):
    """Engines of a run that do not do the same work; nothing was measured."""


def presets(name: str) -> list[str]:
    """The presets meant: one, or every one."""
    return preset_names() if name == ALL else [name]


def verify_preset(
    request: Request, *, on_check: Callable[[str, str], None] = lambda engine, check: None
) -> dict[str, Any]:
    """Verify engines on a workload and return a JSON-ready document.

    Raises: BenchError for wrong names, unfit workloads, or a reference that does not run.
    """
    workload = load(request.preset, request.settings)
    dataset = load_dataset(workload.data.dataset)
    resolved = shapes.resolve(workload.document(), dataset.input_shape, dataset.classes)
    known = find(folders=request.engine_paths)
    engines = able(choose(request.engines, request.commands, known))
    return _verify(
        resolved,
        dataset,
        engines,
        choose(request.reference, (), known)[0],
        steps=request.steps,
        short=request.short,
        threads=request.threads,
        on_check=on_check,
    )


def verify_run(
    workload: dict[str, Any],
    dataset: DataSet,
    engines: Sequence[Engine],
    *,
    threads: int = 1,
    control: Control | None = None,
    on_check: Callable[[str, str], None] = lambda engine, check: None,
) -> dict[str, Any]:
    """The short verification before a run, for its manifest.

    An engine that crashes here is left to the run, which records it and goes on without it.
    Raises: UsageError if an engine cannot run the workload, naming the layer; Different if one
        does other work than the reference.
    """
    reference = choose(REFERENCE, (), find())[0]
    found = _verify(
        workload,
        dataset,
        [engine for engine in engines if engine.can_run],
        reference,
        short=True,
        threads=threads,
        control=control,
        on_check=on_check,
    )
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
    *,
    steps: int = 200,
    short: bool = False,
    threads: int = 1,
    control: Control | None = None,
    on_check: Callable[[str, str], None],
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder:
        verifier = Verifier(
            workload,
            dataset,
            reference,
            Path(folder),
            steps=steps,
            short=short,
            threads=threads,
            control=control or Control(),
            on_check=on_check,
        )
        findings: list[Finding] = verifier.verify(engines)
    return {
        "workload": workload["name"],
        "reference": reference.name,
        "steps": None if short else steps,
        **document(findings, verifier.notes),
    }
