"""`bench doctor`: is this machine fit to measure, and how small a difference can it show?"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import Format, Output, Results
from harness.safe.text import one_line, say

LARGE_CLAIM = 0.05


def register(app: typer.Typer) -> None:
    """Add `bench doctor`."""
    app.command("doctor")(doctor)


def doctor(
    seconds: Annotated[
        float, typer.Option(min=0, max=3600, help="Time for the A/A comparison; 0 leaves it out.")
    ] = 60.0,
    aa: Annotated[
        int,
        typer.Option(
            min=0,
            max=1000,
            help="Also measure so many whole runs of five equal engines (50 trials each) and "
            "count those that call one faster or slower.",
        ),
    ] = 0,
    results: Results = Path("results"),
    format: Output = Format.table,
) -> int:
    """Examine clock, lock, groups, governor, memory and disk; compare a program with itself."""
    from harness.machine.lock import is_held, measuring
    from harness.run.aa import compare_with_itself, equal_runs
    from harness.run.doctor import examine

    compared, equal = None, None
    # while another command measures, nothing is done that could disturb it
    if is_held():
        findings = examine(results, is_held=True)
    else:
        with measuring(wait=False):
            findings = examine(results, is_held=False)
            compared = compare_with_itself(seconds) if seconds else None
            equal = equal_runs(aa, on_run=lambda n: say(f"A/A run {n} of {aa}")) if aa else None
    if format is Format.json:
        told = {"findings": [asdict(finding) for finding in findings]}
        told["self_comparison"] = asdict(compared) if compared else None  # type: ignore[assignment]
        told["equal_runs"] = asdict(equal) if equal else None  # type: ignore[assignment]
        print(json.dumps(told, indent=2))
    else:
        for finding in findings:
            print(f"{'ok ' if finding.ok else '!  '} {finding.name:20} {one_line(finding.answer)}")
            if not finding.ok:
                print(f"      → {one_line(finding.advice)}.")
        if compared:
            _print_claim(compared)
        if equal:
            print(
                f"A/A: {equal.wrong} of {equal.runs} runs of five equal engines call one faster or "
                f"slower; ratios are known to ±{100 * equal.widest:.1f} % (median of the widest)."
            )
    return 0 if all(finding.ok for finding in findings) else 1


def _print_claim(compared) -> None:
    print(
        f"A/A: {compared.blocks} pairs of a program with itself ({compared.median_s:.2f} s each), "
        f"ratio {compared.ratio:.4f}."
    )
    print(
        f"     Ten repeats could support here a claim of {100 * compared.claim:.1f} % "
        "difference or more."
    )
    if compared.claim > LARGE_CLAIM:
        print("      → Make the machine quieter (see above) or use more repeats.")
