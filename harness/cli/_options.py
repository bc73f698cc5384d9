"""Options that several commands share: their names, limits and texts exist once, here.

Each is the annotation of a parameter; its default stands with the command that takes it.
"""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What is written to standard output."""

    table = "table"
    json = "json"


Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: training.epochs=1."),
]
Engines = Annotated[
    str | None, typer.Option(help="Names with commas, or 'all' (default: myad,tensorflow).")
]
Commands = Annotated[
    list[str] | None,
    typer.Option("--command", metavar="NAME='PROGRAM ARGS'", help="An engine given as a command."),
]
EnginePaths = Annotated[
    list[Path] | None,
    typer.Option(
        "--engine-path",
        metavar="DIR",
        envvar="BENCH_ENGINE_PATH",
        help="Another folder with engine_NAME.py files, beside the current one.",
    ),
]
Preset = Annotated[str, typer.Option(help="A preset or a path to a TOML file.")]
Results = Annotated[Path, typer.Option(help="Folder of the runs.")]
NoVerify = Annotated[
    bool, typer.Option("--no-verify", help="Do not prove first that all do the same work.")
]
VerifySteps = Annotated[
    int | None,
    typer.Option(min=1, max=4, help="Batches of the verification before a run (default: 4)."),
]
VerifyEngines = Annotated[
    str | None, typer.Option(help="Verify only these of the run's engines: names with commas.")
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Go on with a run of another host or user: execute its commands."),
]
Sandbox = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Engines run without network and write to their own folders alone (bwrap).",
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait while another command is measuring.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="WHERE",
        help="Measure on the machines of a cluster: tcp://scheduler:8786, local:2 or slurm.toml.",
    ),
]
ClusterTls = Annotated[
    Path | None,
    typer.Option(
        "--cluster-tls", metavar="FILE", help="TOML with ca_file, cert and key of the connections."
    ),
]
OneRun = Annotated[
    str | None, typer.Argument(help="A run's name or folder; the newest by default.")
]
Output = Annotated[Format, typer.Option(help="What standard output gets.")]
