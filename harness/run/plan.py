"""From options to a manifest: everything about a run that is fixed before its first trial."""

import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.cache import DataSet, cut
from harness.data.load import load as load_dataset
from harness.errors import UsageError
from harness.machine import host
from harness.machine.environment import recorded_environment
from harness.process import sandbox
from harness.process.supervise import POLL_S, Limits
from harness.records.manifest import EngineEntry, Manifest
from harness.records.sameness import Purpose, unlike
from harness.run import schedule
from harness.run.options import RunOptions
from harness.run.rule import margins_of, most_blocks, rule_of
from harness.safe.text import visible
from harness.trial.engines import ROOT, Engine, able, choose, find
from harness.trial.trial import Bench
from harness.workload import shapes
from harness.workload.format import Workload, WorkloadError, parse
from harness.workload.format import load as load_workload

# Warm-ups fill the page cache and the byte code; that needs every import, not every image.
WARMUP_TRAIN, WARMUP_TEST = 256, 128


@dataclass
class Plan:
    """A manifest and what is needed to carry it out on this machine."""

    manifest: Manifest
    engines: list[Engine]
    workload: dict[str, Any]
    dataset: DataSet

    def bench(self, folder: Path) -> Bench:
        """What all trials of this run have in common."""
        manifest = self.manifest
        return Bench(
            folder=folder.absolute(),  # engines run in folders of their own
            commands={engine.name: engine.command for engine in self.engines},
            workload=self.workload,
            dataset=self.dataset,
            warmup_dataset=cut(self.dataset, train=WARMUP_TRAIN, test=WARMUP_TEST),
            threads=manifest.threads,
            cold=manifest.cold,
            sandboxed=manifest.sandbox is not None,
            checkpoints=manifest.target is not None,
            settle_s=manifest.rule.settle_s if manifest.rule else 0.0,
            quiet_s=manifest.rule.quiet_s if manifest.rule else 0.0,
            limits=Limits(
                timeout_s=manifest.timeout_s,
                cpus=tuple(manifest.cpus) if manifest.cpus else None,
                sample_interval_s=manifest.sample_interval_s,
            ),
        )


def new_plan(options: RunOptions, without: Collection[str] = ()) -> Plan:
    """Check the options against what exists and fix everything. Writes nothing but the data cache.

    Args:
        without: engines that the options name and that cannot do this workload.
    Raises: UsageError, DataError.
    """
    if options.sandbox:
        sandbox.check()
    try:
        workload = load_workload(options.preset, options.settings)
    except WorkloadError as error:
        raise UsageError(str(error)) from error
    known = find(folders=options.engine_paths)
    engines = able(choose(options.engines, options.commands, known))
    engines = [engine for engine in engines if engine.name not in without]
    names = [engine.name for engine in engines]
    rule, repeats = rule_of(options, names), most_blocks(options)
    seeds = schedule.block_seeds(options.seed, repeats)
    manifest = Manifest(
        run=options.name or default_name(workload.name, options.results),
        preset=workload.name,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        # an argument that is no text would make a manifest that cannot be read
        command_line=["bench", *map(visible, sys.argv[1:])],
        workload=workload.document(),
        engines=[engine.entry() for engine in engines],
        repeats=repeats,
        warmups=options.warmups,
        schedule_seed=options.seed,
        seeds=seeds,
        further_seeds=schedule.block_seeds(seeds[-1] + 1, options.seeds - repeats),
        curves=options.curves,
        schedule=schedule.plan(
            names,
            repeats=repeats,
            warmups=options.warmups,
            seeds=seeds,
            schedule_seed=options.seed,
        ),
        threads=options.threads,
        cpus=list(options.cpus) if options.cpus else None,
        cold=options.cold,
        sandbox=sandbox.NAME if options.sandbox else None,
        timeout_s=options.timeout_s,
        max_time_s=options.max_time_s,
        sample_interval_s=POLL_S if options.sampling else None,
        **_surroundings(),
        data={},
        margins=margins_of(options),
        rule=rule,
    )
    return _complete(manifest, workload, engines)


def same_plan(
    manifest: Manifest,
    commands: Sequence[str] = (),
    engine_paths: Sequence[Path] = (),
    *,
    purpose: Purpose = "continue",
    own_commands: bool = False,
) -> tuple[Plan, dict[str, tuple[Any, Any]]]:
    """The plan of an existing run on the machine as it is now, and what has changed since.

    Args:
        manifest: of the run that is to go on.
        commands: `--command` texts given again; without them they come from the manifest.
        engine_paths: `--engine-path` folders given again; where the manifest can tell the folder of
            an engine's file (below the current one or the home), it is found without them.
        purpose: what the differences matter for: that a run goes on, or that a machine joins it.
        own_commands: nothing that the manifest alone names is run: it came over a network.
    """
    if manifest.sandbox is not None:
        sandbox.check()
    known = find(folders=engine_paths)
    files = [_local(e.command[-1]) for e in manifest.engines if e.source == "file"]
    folders = [Path(f).parent for f in files if f.endswith(".py") and Path(f).is_file()]
    if not own_commands and any(
        e.source == "file" and e.name not in known for e in manifest.engines
    ):
        known = find(folders=[*engine_paths, *folders])
    given = {engine.name: engine for engine in choose(None, commands, known)} if commands else {}
    if own_commands:
        _refuse_commands(manifest, given)
    engines = [given.get(e.name) or _again(e, known) for e in manifest.engines]
    now = manifest.model_copy(
        update={"engines": [engine.entry() for engine in engines], **_surroundings()}
    )
    plan = _complete(now, parse(manifest.workload), engines)
    differences = unlike(manifest, plan.manifest, purpose)
    plan.manifest = manifest
    return plan, differences


def default_name(preset: str, results: Path) -> str:
    """A name from the preset and the time of day in UTC, that is not taken yet."""
    base = f"{preset[:40]}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    names = (base if n == 1 else f"{base}-{n}" for n in range(1, 10_000))
    return next(name for name in names if not (results / name).exists())


def _complete(manifest: Manifest, workload: Workload, engines: list[Engine]) -> Plan:
    """Add the data set to a manifest; the data set decides the sizes of the model."""
    dataset = load_dataset(
        workload.data.dataset,
        train_limit=workload.data.train_limit,
        test_limit=workload.data.test_limit,
    )
    try:
        resolved = shapes.resolve(workload.document(), dataset.input_shape, dataset.classes)
    except WorkloadError as error:
        raise UsageError(str(error)) from error
    manifest.data = {
        "dataset": dataset.name,
        "input_shape": list(dataset.input_shape),
        "classes": dataset.classes,
        "counts": dataset.counts,
        "sha256": dataset.sha256,
        "parameters": shapes.parameter_count(resolved["model"]),
        "warmup_counts": {"train": WARMUP_TRAIN, "test": WARMUP_TEST},
    }
    return Plan(manifest, engines, resolved, dataset)


def _surroundings() -> dict[str, Any]:
    return {
        "host": host.host(),
        "versions": host.versions() | _blas(),
        "packages": host.packages(),
        "environment": recorded_environment(),
        "git": host.git_state(ROOT),
    }


def _blas() -> dict[str, str]:
    """The linear algebra library that NumPy was built with."""
    built = np.show_config(mode="dicts") or {}
    blas = built.get("Build Dependencies", {}).get("blas", {})
    return {"blas": f"{blas['name']} {blas.get('version', '')}".strip()} if "name" in blas else {}


def _refuse_commands(manifest: Manifest, given: dict[str, Engine]) -> None:
    for entry in manifest.engines:
        if entry.source == "command" and entry.name not in given:
            raise UsageError(
                f"engine '{entry.name}' is a command, and none that comes over the network is run: "
                f"start the worker with --command {entry.name}='...'."
            )


def _again(entry: EngineEntry, known: dict[str, Engine]) -> Engine:
    """The engine of a manifest, found again on this machine. Raises: UsageError."""
    if entry.source != "command":
        if entry.name not in known:
            hint = ""
            if entry.source == "file":
                hint = f" Name the folder of {Path(entry.command[-1]).name} by --engine-path."
            raise UsageError(f"engine '{entry.name}' of this run is not here any more.{hint}")
        return known[entry.name]
    command = tuple(_local(part) for part in entry.command)
    files = tuple(Path(part) for part in command[1:] if Path(part).is_file())
    return Engine(entry.name, command, "command", files=files)


def _local(part: str) -> str:
    """Undo what the manifest left out of a command's part (engines.Engine.entry)."""
    if part == "python":
        return sys.executable
    if part.startswith("~/"):
        return os.path.expanduser(part)  # noqa: PTH111 (a Path would drop a trailing slash)
    for folder in (ROOT, Path.cwd()):
        if part and not Path(part).is_absolute() and (folder / part).is_file():
            return str(folder / part)
    return part
