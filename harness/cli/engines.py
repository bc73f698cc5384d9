"""`bench engines`: the engines that were found and whether they can run here."""

import json

import typer

from harness.cli._options import EnginePaths, Format, Output
from harness.safe.text import one_line


def register(app: typer.Typer) -> None:
    """Add `bench engines`."""
    app.command("engines")(engines)


def engines(
    engine_path: EnginePaths = None,
    format: Output = Format.table,
) -> None:
    """List the engines that were found and whether they can run."""
    from harness.trial.engines import find

    found = find(folders=engine_path or ())
    if format is Format.json:
        rows = [
            {
                "name": engine.name,
                "can_run": engine.can_run,
                "missing": list(engine.missing),
                "install": engine.install,
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
        state = "can run" if engine.can_run else "cannot run"
        print(f"{engine.name:{width}}  {state:10}  {one_line(engine.summary)}")
        if not engine.can_run:
            print(f"{'':{width}}  {one_line(engine.needs)}")
