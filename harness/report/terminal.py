"""What the terminal shows: the summary after a run, and the live view while it goes on."""

from pathlib import Path

import rich.table
from rich.console import Console

from harness import units
from harness.analysis.analysis import Analysis, analyze, analyze_run
from harness.analysis.conclusions import conclusions
from harness.analysis.decision import decided_beforehand
from harness.analysis.published import SOURCE, difference_of_work, is_comparable
from harness.analysis.target import to_target
from harness.analysis.warnings import warnings
from harness.records.store import Run
from harness.report.machine_tables import across_table
from harness.report.render import as_rich, escaped
from harness.report.tables import MEDIAN, published_table, spread_text, terminal_table
from harness.report.target import WIDE, narrow_table, share, target_sentences, target_table


def print_summary(run_folder: Path, console: Console | None = None) -> Analysis:
    """Print the tables, conclusions and warnings of the run in `run_folder`.

    The console's width, colours and encoding decide the layout; a pipe gets plain text.
    Returns: the analysis, for a caller that goes on with it. Raises: RecordError.
    """
    analysis = analyze(run_folder)
    show_summary(analysis, console or Console(highlight=False))
    return analysis


def show_summary(analysis: Analysis, console: Console) -> None:
    """Tables, published values, conclusions, warnings."""
    manifest = analysis.run.manifest
    console.print(
        f"[bold]{escaped(manifest.run)}[/bold], preset {escaped(manifest.preset)}: "
        f"{analysis.valid_blocks} of {units.counted(analysis.run.blocks, 'block')} valid\n"
    )
    console.print(as_rich(terminal_table(analysis, console.width)))
    if analysis.machines:
        console.print()
        console.print(as_rich(across_table(analysis)))
    if found := to_target(analysis):
        console.print(f"\n[bold]Time to {escaped(share(found.accuracy))}[/bold]")
        fits = console.width >= WIDE
        console.print(as_rich(target_table(found) if fits else narrow_table(found)))
    if is_comparable(manifest):
        console.print()
        console.print(as_rich(published_table("published, another machine")))
        console.print(f"[dim]{SOURCE}.[/dim]", soft_wrap=False)
        if different := difference_of_work(manifest):
            console.print(f"[dim]This run differs from that work: {escaped(different)}.[/dim]")
    console.print()
    if analysis.rivals:
        console.print(
            f"[dim]{escaped(decided_beforehand(analysis.decision, analysis.margins))}[/dim]"
        )
    told = target_sentences(found) if found else []
    for text in [*conclusions(analysis), *map(spread_text, analysis.last_spreads), *told]:
        console.print(f"• {escaped(text)}")
    for text in warnings(analysis):
        console.print(f"[yellow]! {escaped(text)}[/yellow]")


def live_tables(run: Run, width: int) -> list[rich.table.Table]:
    """The medians and ratios of the trials so far, for `rich.live.Live`."""
    return [as_rich(terminal_table(analyze_run(run), width, MEDIAN))]
