"""Analysis -> the tables of where and how: every trial, the engines' commands, the machine."""

import shlex
from typing import Any

from harness.analysis.analysis import Analysis
from harness.analysis.metrics import METRICS
from harness.analysis.warnings import outcome
from harness.records.models import Trial
from harness.report.table import Cell, Table, numbers, texts

MOST_TRIALS = 2_000  # rows of the page's table; a browser sorts no more in a moment
MOST_LOGS = 200  # log tails of this many trials are in the page; the rest lie in the run's folder
LOG_CHARACTERS = 2_000


def trial_table(analysis: Analysis) -> Table:
    """One row per trial with its metrics, sortable; failed ones with the end of their logs.

    Of a very long run only the first ones: `trials.csv` has all.
    """
    trials = analysis.run.trials[:MOST_TRIALS]
    columns = [
        *texts("trial", "block", "engine", "outcome", sortable=True),
        *numbers(*(metric.title for metric in METRICS), sortable=True),
        *texts("note and log"),
    ]
    rows = [_trial_row(trial, has_log=place < MOST_LOGS) for place, trial in enumerate(trials)]
    failed = frozenset(place for place, trial in enumerate(trials) if not trial.valid)
    return Table(columns, rows, failed=failed)


def _trial_row(trial: Trial, *, has_log: bool) -> list[str | Cell]:
    block = trial.block + 1
    values = [(metric, metric.read(trial)) for metric in METRICS]
    return [
        trial.id,
        Cell(str(block), block),
        trial.engine,
        outcome(trial),
        *(Cell(metric.text(value), value) for metric, value in values),
        Cell(_note(trial), log=_log(trial) if has_log else ""),
    ]


def _note(trial: Trial) -> str:
    parts = ["warm-up"] if trial.warmup else []
    if trial.failure:
        parts.append(trial.failure)
    if trial.disturbed:
        parts.append(f"disturbed: {', '.join(trial.disturbances)}")
    return "; ".join(parts)


def _log(trial: Trial) -> str:
    """The ends of what both processes wrote."""
    results = [result for result in (trial.train, trial.test) if result is not None]
    tails = [tail for result in results for tail in (result.stdout_tail, result.stderr_tail)]
    return "\n".join(tail[-LOG_CHARACTERS:] for tail in tails if tail.strip())


def engine_table(analysis: Analysis) -> Table:
    """The engines' commands, and the versions that they reported."""
    rows = []
    for entry in analysis.run.manifest.engines:
        first = next((t.train for t in analysis.run.valid() if t.engine == entry.name), None)
        versions = sorted(first.versions.items()) if first is not None else []
        told = ", ".join(f"{name} {version}" for name, version in versions)
        rows.append([entry.name, shlex.join(entry.command), told])
    return Table([*texts("engine"), *texts("command", "versions", long=True)], rows)


def host_table(analysis: Analysis) -> Table:
    """The machine and what ran on it."""
    manifest = analysis.run.manifest
    caches = "emptied before every trial (--cold)" if manifest.cold else (
        "empty at the start of the run, then kept from trial to trial"
    )  # fmt: skip
    rows = [*flat(manifest.host), *flat(manifest.versions), ("compile caches", caches)]
    return Table([*texts("host"), *texts("", long=True)], rows, named=True)


def machine_hosts(analysis: Analysis) -> Table | None:
    """The machines of a cluster's run, a column each; None for any other run."""
    known = analysis.run.machines
    if not known:
        return None
    hosts = [dict(flat(machine.host)) for machine in known.values()]
    keys = dict.fromkeys(key for facts in hosts for key in facts)
    rows = [
        ["name", *(machine.name for machine in known.values())],
        *([key, *(facts.get(key, "") for facts in hosts)] for key in keys),
        ["bench doctor", *("; ".join(m.findings) or "well" for m in known.values())],
    ]
    return Table([*texts("machine"), *texts(*known, long=True)], rows, named=True)


def flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as rows "cpu.model", "…"."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, dict):
            rows += flat(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            rows.append((f"{prefix}{key}", ", ".join(map(str, value))))
        elif value is not None:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
