"""`bench gate`: two runs as an exit code for scripts."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import Format, Output, Results
from harness.cli.compare import Allow, RunToRun, stated
from harness.errors import NothingMeasuredError, UsageError


def register(app: typer.Typer) -> None:
    """Add `bench gate`."""
    app.command("gate")(gate)


def gate(
    base: Annotated[str, typer.Argument(help="The run to compare with: name or folder.")],
    new: Annotated[
        str | None,
        typer.Argument(help="The run that is judged; none where BASE is a run of `bench ab`."),
    ] = None,
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
    run_to_run: RunToRun = None,
    format: Output = Format.table,
) -> int:
    """Exit code 0: within the margin, 1: a regression, 3: nothing measured, 4: inconclusive."""
    from harness.analysis.gate import verdict

    metrics = metric or ["train_wall_s", "test_wall_s"]
    if ratio and engine:
        raise UsageError("--ratio judges a pair of engines; leave --engine out.")
    if new is None:
        judged, limit = _side_by_side(base, results, metrics, margin)
    else:
        from harness.analysis.gate import select
        from harness.analysis.two_runs import load_two_runs

        found = load_two_runs(
            base, new, results, allow=allow or [], margin=margin, stated=stated(run_to_run)
        )
        judged, limit = select(found, metrics, engine, ratio), found.margin
    answer = verdict(judged).name.lower()
    if format is Format.json:
        told = [
            {"subject": c.subject, "metric": c.metric, "answer": c.answer.name.lower()}
            for c in judged
        ]
        print(json.dumps({"answer": answer, "margin": limit, "checks": told}))
    for one in judged:
        print(one.sentence, file=sys.stderr if format is Format.json else sys.stdout)
    return int(verdict(judged))


def _side_by_side(base: str, results: Path, metrics: list[str], margin: float | None):
    """The judgements of a run of `bench ab`, and their margin."""
    from harness.analysis.analysis import analyze, one_machine
    from harness.analysis.gate import judge_side_by_side
    from harness.analysis.two_runs import check_margin
    from harness.records.find import find_run

    check_margin(margin)
    found = one_machine(analyze(find_run(base, results)), "gate")
    if not found.run.valid():
        raise NothingMeasuredError(f"{found.run.folder}: no trial is valid, nothing to judge.")
    limit = found.margins.time_share if margin is None else margin
    return judge_side_by_side(found, metrics, limit), limit
