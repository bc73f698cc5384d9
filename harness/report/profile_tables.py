"""A profile -> its table, its sentences, and what terminal and page show of it."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from harness import units
from harness.profile.compare import Cell, cell, conclusions, notes, rows, whole
from harness.profile.model import EngineProfile, Operation, Profile
from harness.report.render import as_rich, escaped
from harness.report.table import Cell as Shown
from harness.report.table import Table, numbers, texts

TITLE_WIDTH, COLUMN_WIDTH = 29, 20  # of the wide table in a terminal
RATE = "  GFLOP/s, of the peak"


def print_profile(profile: Profile, console: Console | None = None) -> None:
    """The table, what follows from it, and what to know before believing it."""
    console = console or Console(highlight=False)
    console.print(f"[bold]{escaped(profile.name)}[/bold]: {escaped(heading(profile))}\n")
    if profile.measured:
        console.print(as_rich(terminal_table(profile, console.width)))
        console.print()
    for text in conclusions(profile):
        console.print(f"• {escaped(text)}")
    for text in notes(profile):
        console.print(f"[yellow]! {escaped(text)}[/yellow]")


def profile_context(profile: Profile) -> dict[str, Any]:
    """What the templates show besides plots; every number is already text."""
    return {
        "heading": heading(profile),
        "table": wide_table(profile),
        "operations": operations_table(profile),
        "conclusions": list(conclusions(profile)),
        "notes": list(notes(profile)),
    }


def heading(profile: Profile) -> str:
    """What was profiled, and what the machine can do."""
    batch, peak = profile.workload["training"]["batch_size"], profile.peak
    return (
        f"preset {profile.preset}, {units.counted(profile.steps, 'step')} of "
        f"{units.counted(batch, 'image')}, {units.counted(profile.threads, 'thread')}; "
        f"the machine's measured peak: {_giga(peak.flop_per_s)} GFLOP/s and "
        f"{_giga(peak.bytes_per_s)} GB/s."
    )


def terminal_table(profile: Profile, width: int) -> Table:
    """For a terminal of that many columns: engines side by side while they fit."""
    fits = TITLE_WIDTH + COLUMN_WIDTH * len(profile.measured) <= width
    return wide_table(profile) if fits else narrow_table(profile)


def wide_table(profile: Profile) -> Table:
    """Classes down, engines across; a second line below where the work of a class is known."""
    found: list[list[str]] = []
    for row in rows(profile):
        cells = [cell(profile, engine, row) for engine in profile.measured]
        found += _lines(row.title, cells)
    cells = [whole(profile, engine) for engine in profile.measured]
    found += _lines("the whole step", cells)
    found.append(["without the profiler", *(_plain(profile, e) for e in profile.measured)])
    found.append(["the profiler adds", *(_inflation(e) for e in profile.measured)])
    engines = [engine.engine for engine in profile.measured]
    columns = [*texts("per step", whole=True), *numbers(*engines, whole=True)]
    return Table(columns, found, named=True)


def narrow_table(profile: Profile) -> Table:
    """One line per class and engine."""
    found: list[list[str]] = []
    for row in rows(profile):
        found.append([row.title])
        for engine in profile.measured:
            one = cell(profile, engine, row)
            found.append([f"  {engine.engine}", _time(one), _rate(one)])
    found.append(["the whole step"])
    for engine in profile.measured:
        one = whole(profile, engine)
        found.append([f"  {engine.engine}", _time(one), _rate(one)])
    found.append(["without the profiler"])
    for engine in profile.measured:
        found.append([f"  {engine.engine}", _plain(profile, engine), _inflation(engine)])
    return Table([*texts(""), *numbers("per step", "GFLOP/s, peak")], found)


def operations_table(profile: Profile, most: int = 200) -> Table:
    """The operations of all engines, those that take longest first."""
    found = [(engine, op) for engine in profile.measured for op in engine.operations]
    found.sort(key=lambda pair: -pair[1].seconds)
    columns = [
        *texts("engine", sortable=True),
        *texts("operation", long=True, sortable=True),
        *texts("class", "pass", "layer", sortable=True),
        *numbers("calls a step", "time a step", sortable=True),
    ]
    return Table(columns, [_operation(profile, *pair) for pair in found[:most]])


def _operation(profile: Profile, engine: EngineProfile, op: Operation) -> list[Any]:
    calls, step_s = op.calls / profile.steps, op.seconds / profile.steps
    layer = units.ABSENT
    if op.layer is not None and op.layer < len(profile.workload["model"]["layers"]):
        layer = f"{op.layer} {profile.workload['model']['layers'][op.layer]['type']}"
    return [
        engine.engine,
        op.name,
        op.kind,
        op.part or units.ABSENT,
        layer,
        Shown(units.significant(calls), calls),
        Shown(units.seconds(step_s), step_s),
    ]


def _lines(title: str, cells: list[Cell]) -> list[list[str]]:
    lines = [[title, *map(_time, cells)]]
    if any(one.flop_per_s for one in cells):
        lines.append([RATE, *map(_rate, cells)])
    return lines


def _time(one: Cell) -> str:
    return f"{units.seconds(one.step_s)}, {100 * one.share:4.1f} %"


def _rate(one: Cell) -> str:
    if one.flop_per_s is None or one.of_peak is None:
        return ""
    return f"{_giga(one.flop_per_s)}, {100 * one.of_peak:4.1f} %"


def _plain(profile: Profile, engine: EngineProfile) -> str:
    return units.seconds(engine.plain / profile.steps)


def _inflation(engine: EngineProfile) -> str:
    return f"{100 * engine.inflation:+.1f} %"


def _giga(value: float) -> str:
    return units.significant(value / 1e9)
