"""`bench export`: a run in another tool's format."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import OneRun, Results


class Format(StrEnum):
    """The tools whose formats are written."""

    pyperf = "pyperf"
    hyperfine = "hyperfine"
    bencher = "bencher"
    github_action_benchmark = "github-action-benchmark"
    mlflow = "mlflow"


def register(app: typer.Typer) -> None:
    """Add `bench export`."""
    app.command("export")(export)


def export(
    format: Annotated[Format, typer.Option(help="The tool that reads it.")],
    run: OneRun = None,
    results: Results = Path("results"),
) -> None:
    """Print a run's valid trials as JSON that another tool reads."""
    from harness.analysis.analysis import analyze
    from harness.records.find import find_run
    from harness.report.export import export as exported

    document = exported(analyze(find_run(run, results)), format.value)
    print(json.dumps(document, indent=1, allow_nan=False))
