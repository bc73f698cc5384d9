"""`bench report`: tables, plots and the page of a run."""

import json
import sys
import webbrowser
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import OneRun, Results
from harness.errors import NothingMeasuredError
from harness.safe.text import say


class Format(StrEnum):
    """What is written to standard output."""

    table = "table"
    md = "md"
    html = "html"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add `bench report`."""
    app.command("report")(report)


def report(
    run: OneRun = None,
    results: Results = Path("results"),
    format: Annotated[Format, typer.Option(help="What standard output gets.")] = Format.table,
    open: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
) -> None:
    """Write the report of a run, complete or not, into its folder, and print it.

    The name of a sweep draws its curves anew.
    """
    if run is not None and (results / run / "sweep.json").is_file():
        _report_sweep(results / run)
    else:
        _report_run(run, results, format, open)


def _report_run(name: str | None, results: Path, form: Format, show: bool) -> None:
    from harness.analysis.analysis import analyze
    from harness.records.find import find_run
    from harness.report.page import write_report
    from harness.report.terminal import print_summary

    folder = find_run(name, results)
    analysis = print_summary(folder) if form is Format.table else analyze(folder)
    written = write_report(analysis)
    if form is Format.json:
        from harness.report.as_json import report_document

        print(json.dumps(report_document(analysis), indent=2, allow_nan=False))
    elif form is not Format.table:
        files = {Format.md: "report.md", Format.html: "index.html", Format.csv: "summary.csv"}
        sys.stdout.write((written / files[form]).read_text(encoding="utf-8"))
    say(f"report written to {written / 'index.html'}")
    if show:
        webbrowser.open((written / "index.html").resolve().as_uri())
    if not analysis.run.valid():
        raise NothingMeasuredError(f"{folder}: no trial is valid, so nothing was measured.")


def _report_sweep(folder: Path) -> None:
    from harness.report.sweep import read_sweep, write_sweep_report

    written = write_sweep_report(read_sweep(folder))
    say(f"report written to {written / 'index.html'}")
