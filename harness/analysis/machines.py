"""A run of several machines, taken apart: what each one measured is a run of its own.

Seconds of different machines are never pooled. A block is of one machine, so that ratios are paired
within it; over the machines there is one line per metric, of a model that lets them differ.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from harness.analysis.metrics import Metric
from harness.records.models import Machine, Trial
from harness.records.store import Run
from harness.stats import Across, across_machines
from harness.stats.paired import logarithms


def apart(run: Run) -> dict[str, Run]:
    """Fingerprint -> the run of that machine, where several have measured; else nothing.

    In the order in which they joined. A machine's run has the host and the blocks of that machine.
    """
    blocks: dict[str, set[int]] = {}
    for trial in run.finished():
        blocks.setdefault(trial.machine, set()).add(trial.block)
    if len(blocks) < 2:
        return {}
    order = [*run.machines, *sorted(blocks.keys() - run.machines.keys())]
    return {name: _part(run, name, blocks[name]) for name in order if name in blocks}


def _part(run: Run, name: str, blocks: set[int]) -> Run:
    machine = run.machines.get(name)
    schedule = [p for p in run.manifest.schedule if not p.warmup and p.block in blocks]
    update: dict[str, Any] = {
        "host": machine.host if machine else {},
        "environment": machine.environment if machine else {},
        "schedule": schedule,
        "repeats": len(blocks),
        "warmups": 0,
        "further_seeds": [],
        "curves": False,
        "cluster": False,
    }
    return replace(
        run,
        manifest=run.manifest.model_copy(update=update),
        trials=[t for t in run.trials if t.machine == name and not t.warmup],
        points=[],
        machines={name: machine} if machine else {},
        problems=[],
        torn=False,
    )


def label(machine: str, known: dict[str, Machine]) -> str:
    """A machine for people: "3f2a91c0d4e5 (node7, AMD EPYC 9B14)"."""
    if machine not in known:
        return machine or "the host of the manifest"
    cpu = known[machine].host.get("cpu") or "unknown processor"
    return f"{machine} ({known[machine].name}, {cpu})"


def across(pairs: dict[str, list[tuple[Trial, Trial]]], metric: Metric) -> Across | None:
    """The random-effects line of one metric from each machine's pairs of trials."""
    logs = []
    for found in pairs.values():
        values = [(metric.read(a), metric.read(b)) for a, b in found]
        known = [(a, b) for a, b in values if a and b]
        ratios = logarithms([a for a, _ in known]) - logarithms([b for _, b in known])
        logs.append(ratios if known else np.empty(0))
    return across_machines(logs)
