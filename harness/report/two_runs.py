"""A comparison of two runs as a whole: loaded, printed, as JSON."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness import units
from harness.analysis.analysis import analyze
from harness.analysis.two_runs import Change, accuracy_changes, changes, notes, refuse_unlike
from harness.errors import UsageError
from harness.records.find import find_run
from harness.stats import AccuracyDifference, accuracy_word

WITH_P = 90  # a narrower terminal shows the tables without p


@dataclass(frozen=True)
class Comparison:
    """Two runs and everything that changed. allowed: differences that `--allow` let pass."""

    base: str
    new: str
    margin: float
    allowed: list[str]
    notes: list[str]
    changes: list[Change]
    accuracies: dict[str, AccuracyDifference]


def load_comparison(
    base: str, new: str, results: Path, *, allow: list[str], margin: float | None
) -> Comparison:
    """Read two runs and compare them; the margin is the new run's own unless given.

    Raises: UsageError if the runs are not alike, NothingMeasuredError if nothing is valid in both.
    """
    if margin is not None and not (math.isfinite(margin) and 0 < margin <= 10):
        raise UsageError(
            f"--margin {margin:g}: expected a share above 0 and up to 10, such as 0.02."
        )
    first, second = (analyze(find_run(name, results)) for name in (base, new))
    then, now = first.run.manifest, second.run.manifest
    chosen = now.margins.time_share if margin is None else margin
    return Comparison(
        base=then.run,
        new=now.run,
        margin=chosen,
        allowed=refuse_unlike(then, now, allow),
        notes=notes(then, now),
        changes=changes(first, second, chosen),
        accuracies=accuracy_changes(first, second),
    )


def print_comparison(found: Comparison, console: Console | None = None) -> None:
    """Tables of the changes, engine by engine, then what else differs."""
    console = console or Console(highlight=False)
    console.print(f"[bold]{escape(found.base)}[/bold] → [bold]{escape(found.new)}[/bold]")
    for is_pair, heading in ((False, "times and memory"), (True, "ratios between engines")):
        chosen = [change for change in found.changes if change.is_pair == is_pair]
        if chosen:
            console.print()
            console.print(_table(heading, chosen, with_p=console.width >= WITH_P))
    for name, change in found.accuracies.items():
        span = units.span(change.interval, units.signed)
        console.print(
            f"{escape(name)}, accuracy: {accuracy_word(change)}, "
            f"{units.points(change.difference_points)} (95 % interval {span}, "
            f"margin {change.margin_points:.2f} points)"
        )
    made = sum(change.ratio.p is not None for change in found.changes)
    console.print(f"\n95 % intervals; p Holm-corrected for {made} comparisons.")
    for text in found.allowed:
        console.print(f"[yellow]! allowed to differ: {escape(text)}[/yellow]")
    for text in found.notes:
        console.print(f"• {escape(text)}")


def _table(heading: str, rows: list[Change], *, with_p: bool) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(heading, overflow="fold")
    for title in ("base", "new", "new/base", *(["p"] if with_p else [])):
        table.add_column(title, justify="right", overflow="fold")
    table.add_column("verdict", min_width=12, overflow="fold")
    subject = None
    for change in rows:
        if change.subject != subject:
            subject = change.subject
            table.add_row(f"[bold]{escape(subject)}[/bold]")
        table.add_row(
            f"  {change.metric.title}",
            _value(change, change.base),
            _value(change, change.new),
            _ratio(change),
            *([units.probability(change.p_holm)] if with_p else []),
            "withheld" if change.withheld else change.verdict or "",
        )
    return table


def _value(change: Change, value: float | None) -> str:
    return units.ratio(value) if change.is_pair else change.metric.text(value)


def _ratio(change: Change) -> str:
    if change.withheld or change.ratio.ratio is None:
        return units.ABSENT
    text = units.significant(change.ratio.ratio)
    return f"{text} ({units.span(change.ratio.interval)})" if change.ratio.interval else text


def comparison_document(found: Comparison) -> dict[str, Any]:
    """The comparison for programs."""
    return {
        "base": found.base,
        "new": found.new,
        "margin": found.margin,
        "allowed": found.allowed,
        "notes": found.notes,
        "changes": [_change_document(change) for change in found.changes],
        "accuracies": {name: asdict(change) for name, change in found.accuracies.items()},
    }


def _change_document(change: Change) -> dict[str, Any]:
    shown = not change.withheld
    interval = change.ratio.interval if shown else None
    return {
        "subject": change.subject,
        "metric": change.metric.key,
        "base": change.base,
        "new": change.new,
        "base_n": change.base_n,
        "new_n": change.new_n,
        "ratio": change.ratio.ratio if shown else None,
        "interval": list(interval) if interval else None,
        "p": change.ratio.p if shown else None,
        "p_holm": change.p_holm if shown else None,
        "verdict": change.verdict,
        "withheld": change.withheld or None,
    }
