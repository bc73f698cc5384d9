"""`bench list`: the runs in a folder."""

import json
from pathlib import Path

import typer

from harness.cli._options import Format, Output, Results
from harness.safe.text import say


def register(app: typer.Typer) -> None:
    """Add `bench list`."""
    app.command("list")(list_)


def list_(results: Results = Path("results"), format: Output = Format.table) -> None:
    """List the runs, newest first: workload, machine, trials, and who trained faster."""
    from rich.console import Console

    from harness.analysis.history import entry, read_all
    from harness.report.history import run_documents, run_table
    from harness.report.render import as_rich

    runs, problems = read_all(results)
    entries = [entry(run) for run in runs]
    if format is Format.json:
        print(json.dumps(run_documents(entries, problems), indent=2))
        return
    for problem in problems:
        say(problem)
    if not entries:
        say(f"no run in {results}.")
        return
    Console(highlight=False).print(as_rich(run_table(entries)))
