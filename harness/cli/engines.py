"""`bench engines`: the engines that were found and whether they can run here."""

import json

import typer

from harness.cli._options import Format, Output


def register(app: typer.Typer) -> None:
    """Add `bench engines`."""
    app.command("engines")(engines)


def engines(
    format: Output = Format.table,
) -> None:
    """List the engines that were found and whether they can run."""
    from harness.trial.engines import find

    found = find()
    if format is Format.json:
        rows = [
            {
                "name": engine.name,
                "can_run": engine.can_run,
                "missing": list(engine.missing),
                "source": engine.source,
                "command": engine.entry().command,
                "summary": engine.summary,
            }
            for engine in found.values()
        ]
        print(json.dumps(rows, indent=2))
        return
    width = max(map(len, found), default=0)
    for engine in found.values():
        state = "can run" if engine.can_run else f"needs {', '.join(engine.missing)}"
        print(f"{engine.name:{width}}  {state:10}  {engine.summary}")
