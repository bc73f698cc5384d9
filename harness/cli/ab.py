"""`bench ab`: two versions of one engine, interleaved in one run."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli import run as running
from harness.cli._options import NoVerify, Results, Settings, VerifySteps, Wait


def register(app: typer.Typer) -> None:
    """Add `bench ab`."""
    app.command("ab")(ab)


def ab(
    old: Annotated[
        str,
        typer.Argument(help="A commit, a folder of sources, an environment, or a command in ''."),
    ],
    new: Annotated[str, typer.Argument(help="The version that is judged, in the same ways.")],
    engine: Annotated[str, typer.Option(help="The engine of which these are versions.")] = "myad",
    preset: running.OptionalPreset = None,
    settings: Settings = None,
    repeats: running.Repeats = None,
    warmup: running.WarmUps = None,
    seed: running.FirstSeed = None,
    name: running.Name = None,
    results: Results = Path("results"),
    threads: running.Threads = None,
    cpus: running.Processors = None,
    timeout: running.Timeout = None,
    max_time: running.MaxTime = None,
    margin: running.Margin = None,
    until: running.Until = None,
    max_repeats: running.MaxRepeats = None,
    quiet: running.Quiet = False,
    settle: running.Settle = None,
    cold: running.Cold = False,
    no_verify: NoVerify = False,
    verify_steps: VerifySteps = None,
    wait: Wait = False,
) -> int:
    """Measure two versions of one engine side by side: in every block, in changing order.

    What the machine does to a run it does to both, so no difference between runs is in the answer.
    `bench gate RUN` gives it as an exit code; an interrupted run goes on by `bench run --resume`.
    """
    from harness.run.ab import SIDES, command

    commands = [command(side, text, engine) for side, text in zip(SIDES, (old, new), strict=True)]
    return running.run(
        preset=preset,
        settings=settings,
        command=commands,
        repeats=repeats,
        warmup=warmup,
        seed=seed,
        name=name,
        results=results,
        threads=threads,
        cpus=cpus,
        timeout=timeout,
        max_time=max_time,
        baseline=SIDES[0],
        margin=margin,
        until=until,
        max_repeats=max_repeats,
        quiet=quiet,
        settle=settle,
        cold=cold,
        no_verify=no_verify,
        verify_steps=verify_steps,
        wait=wait,
    )
