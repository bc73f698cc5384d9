"""`bench gate`: two runs as an exit code for scripts."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import Format, Output, Results
from harness.cli.compare import Allow
from harness.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add `bench gate`."""
    app.command("gate")(gate)


def gate(
    base: Annotated[str, typer.Argument(help="The run to compare with: name or folder.")],
    new: Annotated[str, typer.Argument(help="The run that is judged: name or folder.")],
    results: Results = Path("results"),
    metric: Annotated[
        list[str] | None,
        typer.Option(help="What is judged; may be repeated (default: train_wall_s, test_wall_s)."),
    ] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Judge only this engine; may be repeated.")
    ] = None,
    ratio: Annotated[
        str | None,
        typer.Option(metavar="A/B", help="Judge the ratio of two engines instead of seconds."),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="How much slower is still fine, a share: 0.05.")
    ] = None,
    allow: Allow = None,
    format: Output = Format.table,
) -> int:
    """Exit code 0: within the margin, 1: a regression, 3: nothing measured, 4: inconclusive."""
    from harness.analysis.gate import select, verdict
    from harness.analysis.two_runs import load_two_runs

    if ratio and engine:
        raise UsageError("--ratio judges a pair of engines; leave --engine out.")
    found = load_two_runs(base, new, results, allow=allow or [], margin=margin)
    judged = select(found, metric or ["train_wall_s", "test_wall_s"], engine, ratio)
    answer = verdict(judged).name.lower()
    if format is Format.json:
        told = [
            {"subject": c.subject, "metric": c.metric, "answer": c.answer.name.lower()}
            for c in judged
        ]
        print(json.dumps({"answer": answer, "margin": found.margin, "checks": told}))
    for one in judged:
        print(one.sentence, file=sys.stderr if format is Format.json else sys.stdout)
    return int(verdict(judged))
