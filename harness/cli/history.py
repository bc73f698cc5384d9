"""`bench history`: one metric of one engine over the runs of one machine."""

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import Format, Output, Results
from harness.errors import UsageError
from harness.safe.text import say


def register(app: typer.Typer) -> None:
    """Add `bench history`."""
    app.command("history")(history)


def history(
    metric: Annotated[str, typer.Argument(help="train_wall_s, test_wall_s, peak_rss_bytes, ...")],
    engine: Annotated[str, typer.Option(help="Whose it is.")] = "myad",
    machine: Annotated[
        str | None, typer.Option(help="As `bench list` names it (default: that of the newest run).")
    ] = None,
    results: Results = Path("results"),
    format: Output = Format.table,
) -> None:
    """One engine over all runs of the same work on one machine: table, plot, change points."""
    from rich.console import Console

    from harness.analysis import history as over_time
    from harness.analysis.metrics import BY_KEY
    from harness.report import history as shown
    from harness.report.render import as_rich

    if metric not in BY_KEY:
        raise UsageError(f"history: no metric '{metric}'; allowed: {', '.join(BY_KEY)}.")
    runs, problems = over_time.read_all(results)
    for problem in problems:
        say(problem)
    found = over_time.history(runs, BY_KEY[metric], engine, machine)
    if format is Format.json:
        print(json.dumps(shown.history_document(found), indent=2))
    else:
        Console(highlight=False).print(as_rich(shown.history_table(found)))
    if found.left_out:
        say(f"{found.left_out} runs of {engine} are left out: another machine, or other work.")
    say(f"drawn to {shown.write_history(found, results)}")
