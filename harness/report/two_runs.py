"""Two runs side by side: printed, and as JSON."""

from dataclasses import asdict
from typing import Any

from rich.console import Console

from harness import units
from harness.analysis.two_runs import Change, TwoRuns
from harness.report.render import as_rich, escaped
from harness.report.table import Column, Table, numbers, texts

WITH_P = 90  # a narrower terminal shows the tables without p


def print_two_runs(found: TwoRuns, console: Console | None = None) -> None:
    """Tables of the changes, engine by engine, then what else differs."""
    console = console or Console(highlight=False)
    console.print(f"[bold]{escaped(found.base)}[/bold] → [bold]{escaped(found.new)}[/bold]")
    for is_pair, heading in ((False, "times and memory"), (True, "ratios between engines")):
        chosen = [change for change in found.changes if change.is_pair == is_pair]
        if chosen:
            console.print()
            has_p = console.width >= WITH_P
            console.print(as_rich(change_table(heading, chosen, has_p=has_p)))
    for name, change in found.accuracies.items():
        span = units.span(change.interval, units.signed)
        console.print(
            f"{escaped(name)}, accuracy: {change.verdict}, "
            f"{units.points(change.difference_points)} (95 % interval {span}, "
            f"margin {change.margin_points:.2f} points)"
        )
    made = sum(change.p_adjusted is not None for change in found.changes)
    kind = (
        f"that hold together for {made} primary changes"
        if _are_known(found)
        else "of each change alone"
    )
    console.print(f"\n95 % intervals {kind}; p corrected for {made}.")
    console.print(escaped(found.spread_told()))
    for text in found.allowed:
        console.print(f"[yellow]! allowed to differ: {escaped(text)}[/yellow]")
    for text in found.notes:
        console.print(f"• {escaped(text)}")


def _are_known(found: TwoRuns) -> bool:
    return any(change.spread is not None for change in found.changes)


def change_table(heading: str, changes: list[Change], *, has_p: bool) -> Table:
    """The changes below the name of the engine or pair that they are of."""
    rows: list[list[str]] = []
    for change in changes:
        if [change.subject] not in rows:
            rows.append([change.subject])
        row = [f"  {change.metric.title}", _value(change, change.base), _value(change, change.new)]
        row += [_ratio(change), units.probability(change.p_adjusted)][: 1 + has_p]
        rows.append([*row, "withheld" if change.withheld else change.verdict or ""])
    columns = [
        *texts(heading),
        *numbers("base", "new", "new/base", *(["p"] if has_p else [])),
        Column("verdict", least=12),
    ]
    return Table(columns, rows)


def _value(change: Change, value: float | None) -> str:
    return units.ratio(value) if change.is_pair else change.metric.text(value)


def _ratio(change: Change) -> str:
    if change.withheld or change.ratio.ratio is None:
        return units.ABSENT
    text = units.significant(change.ratio.ratio)
    return f"{text} ({units.span(change.ratio.interval)})" if change.ratio.interval else text


def two_runs_document(found: TwoRuns) -> dict[str, Any]:
    """The comparison for programs."""
    return {
        "base": found.base,
        "new": found.new,
        "margin": found.margin,
        "allowed": found.allowed,
        "notes": found.notes,
        "run_to_run": found.spread_told(),
        "changes": [_change_document(change) for change in found.changes],
        "accuracies": {name: asdict(change) for name, change in found.accuracies.items()},
    }


def _change_document(change: Change) -> dict[str, Any]:
    shown = not change.withheld
    return {
        "subject": change.subject,
        "metric": change.metric.key,
        "base": change.base,
        "new": change.new,
        "base_n": change.base_n,
        "new_n": change.new_n,
        "ratio": change.ratio.ratio if shown else None,
        "interval": change.ratio.interval if shown else None,
        "p": change.ratio.p if shown else None,
        "p_adjusted": change.p_adjusted if shown else None,
        "run_to_run_sd": change.spread.sd if change.spread else None,
        "repeated_runs": change.spread.runs if change.spread else 0,
        "verdict": change.verdict,
        "withheld": change.withheld or None,
    }
