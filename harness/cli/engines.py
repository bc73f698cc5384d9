"""`bench engines`: the engines that were found and whether they can run here."""

import typer


def register(app: typer.Typer) -> None:
    """Add `bench engines`."""
