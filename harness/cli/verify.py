"""`bench verify`: prove that engines do the same work."""

import json
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli._options import (
    Commands,
    EnginePaths,
    Format,
    Output,
    Sandbox,
    Settings,
    Wait,
)
from harness.safe.text import one_line, say

if TYPE_CHECKING:
    from rich.status import Status


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
    timeout: Annotated[
        str | None, typer.Option(help="Stop a process after this time: 90s, 5m (default: 10m).")
    ] = None,
    sandbox: Sandbox = False,
    wait: Wait = False,
    format: Output = Format.table,
) -> int:
    """Hold engines against a float64 reference: gradients, batches, order, weights, classes."""
    from rich.console import Console

    from harness.machine.lock import measuring
    from harness.run.loop import stop_signals
    from harness.run.options import parse_duration
    from harness.verify import request as verification

    asked = verification.Request(
        preset=preset,
        settings=tuple(settings or ()),
        engines=engines,
        commands=tuple(command or ()),
        engine_paths=tuple(engine_path or ()),
        steps=steps,
        short=short,
        reference=reference,
        threads=threads,
        sandbox=sandbox,
    )
    if timeout:
        asked = replace(asked, timeout_s=parse_duration(timeout, "--timeout"))
    console = Console(stderr=True, highlight=False)
    documents = []
    # it makes the machine as busy as a run would
    with measuring(wait=wait):
        for name in verification.presets(preset):
            with console.status(name) as status:
                watcher = verification.Watcher(
                    on_engine=lambda n, count, name: say(f"verifying {n}/{count}: {name}"),
                    on_check=partial(_show, status),
                )
                with stop_signals(watcher.control):
                    found = verification.verify_preset(replace(asked, preset=name), watcher)
            documents.append(found)
            if format is Format.table:
                _print(found)
    if format is Format.json:
        print(json.dumps(documents, indent=2))
    return 0 if all(found["ok"] for found in documents) else 1


def _show(status: "Status", engine: str, check: str) -> None:
    status.update(f"{engine}: {check}")


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
