"""Runs over time, for people: the list of runs, the table and the plot of a history."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from harness import units
from harness.analysis.history import Entry, History
from harness.records.manifest import Manifest
from harness.records.sameness import machine
from harness.report.plots.style import INK, colour, new, style, write
from harness.report.table import Table, numbers, texts
from harness.safe import files

FOLDER = "history"


def run_table(entries: list[Entry]) -> Table:
    """One row per run."""
    rows = [
        [
            found.manifest.run,
            _day(found.manifest.created),
            found.manifest.preset,
            machine(found.manifest),
            f"{len(found.run.valid())} of {found.planned}",
            _verdicts(found),
        ]
        for found in entries
    ]
    columns = [
        *texts("run", least=8),
        *texts("made", whole=True),
        *texts("workload", least=5),
        *texts("machine", "valid", whole=True),
        *texts("training time", least=12),
    ]
    return Table(columns, rows)


def run_documents(entries: list[Entry], problems: list[str]) -> dict[str, Any]:
    """The same as JSON-ready data, with the engines and what could not be read."""
    return {
        "runs": [
            {
                "run": found.manifest.run,
                "folder": str(found.run.folder),
                "created": found.manifest.created,
                "workload": found.manifest.preset,
                "machine": machine(found.manifest),
                "commit": found.manifest.git.commit if found.manifest.git else None,
                "engines": [engine.name for engine in found.manifest.engines],
                "planned": found.planned,
                "valid": len(found.run.valid()),
                "baseline": found.baseline,
                "verdicts": found.verdicts,
            }
            for found in entries
        ],
        "problems": problems,
    }


def history_table(found: History) -> Table:
    """One row per run, oldest first; a run from which on the level is another one says so."""
    rows = []
    changes = {change.place: change for change in found.changes}
    for place, (run, summary) in enumerate(zip(found.runs, found.summaries, strict=True)):
        change = changes.get(place)
        text = found.metric.text
        told = f"{text(change.before)} → {text(change.after)}, p = {change.p:.2g}" if change else ""
        row = [run.manifest.run, _day(run.manifest.created), _commit(run.manifest)]
        rows.append([*row, str(summary.n), text(summary.median), _interval(found, place), told])
    columns = [
        *texts("run", least=8),
        *texts("made", "commit", whole=True),
        *numbers("n", "median", "95 % interval"),
        *texts("change", least=8),
    ]
    return Table(columns, rows)


def history_document(found: History) -> dict[str, Any]:
    """The same as JSON-ready data, unrounded."""
    return {
        "engine": found.engine,
        "metric": found.metric.key,
        "machine": found.machine,
        "left_out": found.left_out,
        "runs": [
            {
                "run": run.manifest.run,
                "created": run.manifest.created,
                "commit": run.manifest.git.commit if run.manifest.git else None,
                "n": summary.n,
                "median": summary.median,
                "interval": summary.median_interval,
            }
            for run, summary in zip(found.runs, found.summaries, strict=True)
        ],
        "changes": [
            {
                "run": found.runs[change.place].manifest.run,
                "before": change.before,
                "after": change.after,
                "p": change.p,
            }
            for change in found.changes
        ],
    }


def write_history(found: History, results: Path) -> Path:
    """Draw a history into `results/history/`, as PNG and SVG; returns the PNG's path."""
    folder = files.folder(results, FOLDER)
    name = f"{found.engine}-{found.metric.key}-{found.machine}"
    for end in (".png", ".svg"):
        files.remove(folder, f"{name}{end}")
    with style():
        write(_drawn(found), folder, name)
    path = folder / f"{name}.json"
    files.replace(path, json.dumps(history_document(found), indent=1).encode() + b"\n")
    return folder / f"{name}.png"


def _drawn(found: History) -> Figure:
    """The median of each run with its interval, the levels between changes, the changes."""
    scale = found.metric.quantity.scale
    medians = [scale * (summary.median or 0.0) for summary in found.summaries]
    figure, (axis,) = new(6)
    for place, summary in enumerate(found.summaries):
        if summary.median_interval is not None:
            low, high = (scale * end for end in summary.median_interval)
            axis.vlines(place, low, high, color=colour(0), alpha=0.45, linewidth=1.6)
    axis.plot(range(len(medians)), medians, "o", color=colour(0), ms=5, label="median of a run")
    for label, (begin, end, level) in enumerate(_levels(found)):
        reach = (begin - 0.4, end - 0.6)
        named = "level" if label == 0 else ""  # an empty label is not in the legend
        axis.hlines(scale * level, *reach, color=INK, linewidth=1.2, label=named)
    for change in found.changes:
        axis.axvline(change.place - 0.5, color=colour(3), linestyle="--", linewidth=1.0)
        rise = units.signed(100 * (change.after / change.before - 1)) if change.before else ""
        axis.annotate(
            f"{rise} %",
            (change.place - 0.5, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=8.5,
            color=colour(3),
        )
    _axes(axis, found, medians)
    title = f"{found.metric.title} of {found.engine}, runs of machine {found.machine}"
    axis.set_title(title)
    figure.legend(loc="outside lower center", ncols=2, fontsize=8)
    return figure


def _axes(axis: Any, found: History, medians: list[float]) -> None:
    count = len(medians)
    step = -(-count // 6)  # more labels would overlap
    places = range(0, count, step)
    days = [_day(found.runs[place].manifest.created)[:10] for place in places]
    labels = [
        f"{day}\n{_commit(found.runs[place].manifest)}"
        for day, place in zip(days, places, strict=True)
    ]
    axis.set_xticks(list(places), labels, fontsize=7.5)
    axis.set_xlim(-0.7, count - 0.3)
    axis.set_ylim(0, 1.2 * max(medians, default=1.0) or 1.0)
    axis.set_ylabel(found.metric.axis or found.metric.quantity.axis)
    axis.grid(axis="y")


def _levels(found: History) -> list[tuple[int, int, float]]:
    """First run, end and level of every stretch without a change; none where nothing changed."""
    if not found.changes:
        return []
    ends = [0, *(change.place for change in found.changes), len(found.runs)]
    levels = [found.changes[0].before, *(change.after for change in found.changes)]
    return [(a, b, level) for a, b, level in zip(ends, ends[1:], levels, strict=False)]


def _interval(found: History, place: int) -> str:
    interval = found.summaries[place].median_interval
    if interval is None:
        return units.ABSENT
    return " to ".join(found.metric.text(end) for end in interval)


def _verdicts(found: Entry) -> str:
    if not found.verdicts:
        return found.baseline
    told = ", ".join(f"{name} {word}" for name, word in found.verdicts.items())
    return f"{told} (against {found.baseline})"


def _day(created: str) -> str:
    return f"{datetime.fromisoformat(created).astimezone(UTC):%Y-%m-%d %H:%M}"


def _commit(manifest: Manifest) -> str:
    """Short, with a star where there were changes that no commit holds."""
    if manifest.git is None:
        return units.ABSENT
    return f"{manifest.git.commit[:8]}{'*' if manifest.git.dirty else ''}"
