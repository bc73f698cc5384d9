"""By which method each engine's peak memory was had: two methods do not give one quantity."""

from harness.records.models import ProcessResult
from harness.records.store import Run


def methods(run: Run) -> dict[str, str]:
    """Engine -> the methods of its peaks, in words; of the valid trials."""
    found: dict[str, set[str]] = {}
    for trial in run.valid():
        known = {m for m in map(_method, (trial.train, trial.test)) if m}
        found.setdefault(trial.engine, set()).update(known)
    return {engine: " and ".join(sorted(names)) for engine, names in found.items() if names}


def _method(process: ProcessResult | None) -> str:
    memory = None if process is None else process.tree_peak or process.peak_rss
    return "" if memory is None else memory.method


def others(run: Run) -> dict[str, str]:
    """The engines whose method is not the most frequent one, with theirs; usually none."""
    known = methods(run)
    names = list(known.values())
    usual = max(names, key=names.count, default="")
    return {engine: name for engine, name in known.items() if name != usual}
