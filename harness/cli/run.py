"""`bench run`: measure engines on a workload, block by block."""

from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UsageError

RESUMABLE = "--resume goes on with the schedule of its run; beside it only --name, --results, "


def register(app: typer.Typer) -> None:
    """Add `bench run`."""
    app.command("run")(run)


def run(
    preset: Annotated[
        str | None, typer.Option(help="A preset (default: paper) or a path to a TOML file.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a setting: training.epochs=1."),
    ] = None,
    engines: Annotated[
        str | None,
        typer.Option(help="Names with commas, or 'all' (default: myad,tensorflow)."),
    ] = None,
    command: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME='PROGRAM ARGS'", help="An engine given as a command."),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Measured blocks (default: 10).")
    ] = None,
    warmup: Annotated[
        int | None, typer.Option(min=0, max=100, help="Warm-up blocks before them (default: 1).")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, max=2**30, help="Of the first block and the order (default: 0)."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run, its folder.")] = None,
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results"),
    threads: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Threads per engine (default: 1).")
    ] = None,
    cpus: Annotated[
        str | None, typer.Option(help="Pin the engines to these processors: 0,2-3.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(help="Stop a process after this time: 90s, 30m (default: 2h).")
    ] = None,
    max_time: Annotated[
        str | None, typer.Option(help="Begin no block that would end later than this: 2h.")
    ] = None,
    cold: Annotated[
        bool, typer.Option("--cold", help="Empty an engine's compile cache before every trial.")
    ] = False,
    no_sampling: Annotated[
        bool, typer.Option("--no-sampling", help="Draw no memory timeline.")
    ] = False,
    no_verify: Annotated[
        bool, typer.Option("--no-verify", help="Do not prove first that all do the same work.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait while another command is measuring.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run (default: newest).")
    ] = False,
) -> int:
    """Measure engines on a workload: train and test, again and again, side by side."""
    from harness import options as parsing
    from harness import run as runner

    numbers = {
        "preset": preset,
        "engines": engines,
        "repeats": repeats,
        "warmups": warmup,
        "seed": seed,
        "threads": threads,
        "settings": tuple(settings or ()) or None,
        "cpus": parsing.parse_cpus(cpus) if cpus else None,
        "timeout_s": parsing.parse_duration(timeout, "--timeout") if timeout else None,
    }
    given = {key: value for key, value in numbers.items() if value is not None}
    limit = parsing.parse_duration(max_time, "--max-time") if max_time else None
    commands = tuple(command or ())
    if resume:
        if given or cold or no_sampling or no_verify:
            raise UsageError(f"{RESUMABLE}--command, --max-time and --wait are allowed.")
        ended = runner.resume(results, name, commands=commands, max_time_s=limit, wait=wait)
    else:
        chosen = parsing.RunOptions(
            name=name,
            results=results,
            commands=commands,
            max_time_s=limit,
            cold=cold,
            sampling=not no_sampling,
            verify=not no_verify,
            wait=wait,
            **given,  # type: ignore[arg-type]
        )
        ended = runner.start(chosen)
    return _finish(ended)


def _finish(ended) -> int:
    from rich.console import Console

    from harness.summary import print_summary

    console = Console(stderr=True, highlight=False)
    print_summary(ended.folder, console)
    console.print(f"bench: {ended.sentence}", markup=False, soft_wrap=True)
    return ended.exit_code
