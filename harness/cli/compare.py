"""`bench compare`: two runs side by side."""

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import Format, Output, Results

Allow = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD", help="Compare although FIELD differs: host, workload.training."),
]


RunToRun = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="How much runs differ by themselves (standard deviation), where no repeated runs on "
        "this machine tell: 2%.",
    ),
]


def stated(run_to_run: str | None) -> float | None:
    """The share that a person states. Raises: UsageError."""
    from harness.run.options import parse_share

    return None if run_to_run is None else parse_share(run_to_run, "--run-to-run")


def register(app: typer.Typer) -> None:
    """Add `bench compare`."""
    app.command("compare")(compare)


def compare(
    base: Annotated[str, typer.Argument(help="The run to compare with: name or folder.")],
    new: Annotated[str, typer.Argument(help="The run that is judged: name or folder.")],
    results: Results = Path("results"),
    allow: Allow = None,
    margin: Annotated[
        float | None, typer.Option(help="Changes below this share are equivalent: 0.02.")
    ] = None,
    run_to_run: RunToRun = None,
    format: Output = Format.table,
) -> None:
    """Compare two runs of the same work on the same machine: what got faster, what slower."""
    from harness.analysis.two_runs import load_two_runs
    from harness.report.two_runs import print_two_runs, two_runs_document

    found = load_two_runs(
        base, new, results, allow=allow or [], margin=margin, stated=stated(run_to_run)
    )
    if format is Format.json:
        print(json.dumps(two_runs_document(found), indent=2, allow_nan=False))
    else:
        print_two_runs(found)
