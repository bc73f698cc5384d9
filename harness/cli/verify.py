"""`bench verify`: prove that engines do the same work."""

import json
from typing import Annotated, Any

import typer

from harness.cli._options import Commands, EnginePaths, Format, Output, Settings
from harness.safe.text import one_line


def register(app: typer.Typer) -> None:
    """Add `bench verify`."""
    app.command("verify")(verify)


def verify(
    preset: Annotated[
        str, typer.Option(help="A preset, a path to a TOML file, or 'all' presets.")
    ] = "paper",
    settings: Settings = None,
    engines: Annotated[
        str, typer.Option(help="Names with commas, or 'all' that can run here.")
    ] = "all",
    command: Commands = None,
    engine_path: EnginePaths = None,
    steps: Annotated[int, typer.Option(min=1, max=100_000, help="Of the long checks.")] = 200,
    short: Annotated[
        bool, typer.Option("--short", help="Only what `bench run` checks before it starts.")
    ] = False,
    reference: Annotated[
        str, typer.Option(help="The engine that is trusted, run in float64.")
    ] = "myad-eager",
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads per engine.")] = 1,
    format: Output = Format.table,
) -> int:
    """Hold engines against a float64 reference: gradients, batches, order, weights, classes."""
    from rich.console import Console

    from harness.verify import request as verification

    console = Console(stderr=True, highlight=False)
    documents = []
    for name in verification.presets(preset):
        with console.status(name) as status:
            found = verification.verify_preset(
                verification.Request(
                    preset=name,
                    settings=tuple(settings or ()),
                    engines=engines,
                    commands=tuple(command or ()),
                    engine_paths=tuple(engine_path or ()),
                    steps=steps,
                    short=short,
                    reference=reference,
                    threads=threads,
                ),
                on_check=lambda engine, check: status.update(f"{engine}: {check}"),
            )
        documents.append(found)
        if format is Format.table:
            _print(found)
    if format is Format.json:
        print(json.dumps(documents, indent=2))
    return 0 if all(found["ok"] for found in documents) else 1


def _print(found: dict[str, Any]) -> None:
    """One line per check, on standard output."""
    print(f"{found['workload']}: against {found['reference']} in float64")
    for note in found["notes"]:
        print(f"  note: {one_line(note)}")
    rows = found["findings"]
    width = max((len(row["engine"]) for row in rows), default=0)
    for row in rows:
        deviation = "-" if row["deviation"] is None else f"{row['deviation']:.1e}"
        state = "ok  " if row["ok"] else "FAIL"
        print(
            f"  {state} {row['engine']:{width}}  {row['check']:11} {deviation:>8} "
            f"(allowed {row['tolerance']:.0e})  {one_line(row['where'] or row['reason'])}"
        )
        if row["reason"] and row["where"]:
            print(f"       {row['engine']}: {one_line(row['reason'])}")
