"""`bench sweep`: one run per value of a setting."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from harness.cli._options import (
    Cluster,
    ClusterTls,
    Commands,
    EnginePaths,
    Engines,
    NoVerify,
    Preset,
    Results,
    Sandbox,
    Trust,
    Wait,
)
from harness.cli.run import crew_of, live_tables
from harness.safe.text import say


def register(app: typer.Typer) -> None:
    """Add `bench sweep`."""
    app.command("sweep")(sweep)


def sweep(
    settings: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=V,V,...", help="Values: training.batch_size=1,8,32."),
    ],
    preset: Preset = "paper",
    engines: Engines = None,
    command: Commands = None,
    engine_path: EnginePaths = None,
    repeats: Annotated[int, typer.Option(min=1, help="Measured blocks per point.")] = 10,
    warmup: Annotated[int, typer.Option(min=0, help="Warm-up blocks per point.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the first block of every point.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Threads per engine.")] = 1,
    name: Annotated[str | None, typer.Option(help="Name of the sweep, its folder.")] = None,
    results: Results = Path("results"),
    no_verify: NoVerify = False,
    sandbox: Sandbox = False,
    wait: Wait = False,
    cluster: Cluster = None,
    cluster_tls: ClusterTls = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted sweep.")
    ] = False,
    trust: Trust = False,
) -> int:
    """Measure one run per value, or per combination of values, and draw the curves."""
    from harness.run.options import SETTLE_S, RunOptions
    from harness.run.sweep import carry_out, parse_axes

    options = RunOptions(
        preset=preset,
        engines=engines,
        commands=tuple(command or ()),
        engine_paths=tuple(engine_path or ()),
        repeats=repeats,
        warmups=warmup,
        seed=seed,
        threads=threads,
        name=name,
        results=results,
        verify=not no_verify,
        wait=wait,
        trust=trust,
        sandbox=sandbox,
        settle_s=SETTLE_S,
    )
    crew = crew_of(cluster, cluster_tls, options.commands, options.engine_paths)
    with crew.stay() if crew is not None else nullcontext():
        folder, code = carry_out(
            options,
            parse_axes(settings),
            resume=resume,
            announce=say,
            tables=live_tables,
            crew=crew,
        )
    from harness.report.sweep import read_sweep, write_sweep_report

    written = write_sweep_report(read_sweep(folder))
    say(f"report written to {written / 'index.html'}")
    return code
