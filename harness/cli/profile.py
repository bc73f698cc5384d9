"""`bench profile`: where the time goes, operation by operation, engine beside engine."""

import json
import webbrowser
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli._options import (
    Commands,
    EnginePaths,
    Engines,
    Format,
    Output,
    Preset,
    Results,
    Sandbox,
    Settings,
    Trust,
    Wait,
)
from harness.errors import NothingMeasuredError, UsageError
from harness.safe.text import say

if TYPE_CHECKING:
    from harness.profile.model import Profile
    from harness.profile.request import Request


def register(app: typer.Typer) -> None:
    """Add `bench profile`."""
    app.command("profile")(profile)


def profile(
    preset: Preset = "paper",
    settings: Settings = None,
    engines: Engines = None,
    command: Commands = None,
    engine_path: EnginePaths = None,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, help="Steps that are profiled (default: 100, at batch 1 500)."
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=1024, help="Threads per engine.")] = 1,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="Profile the engines and the workload of this run; its report shows the profile.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the profile, its folder.")] = None,
    results: Results = Path("results"),
    timeout: Annotated[
        str | None, typer.Option(help="Stop an engine after this time: 90s, 5m (default: 30m).")
    ] = None,
    sandbox: Sandbox = False,
    wait: Wait = False,
    trust: Trust = False,
    open: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    format: Output = Format.table,
) -> None:
    """Run every engine once with its profiler on and show where the time of a step goes.

    Writes a page, tables, plots and trace.json, which ui.perfetto.dev opens. No verdict is made of
    these times: a profiler slows down what it looks at, and the table says by how much.
    """
    from rich.console import Console

    from harness.machine.lock import measuring
    from harness.profile.request import carry_out
    from harness.report.profile import write_profile
    from harness.run.loop import stop_signals
    from harness.run.options import RunOptions, parse_duration

    if run is not None and (preset != "paper" or settings or engines or name or threads != 1):
        raise UsageError("--run takes the workload, engines and threads of that run as they are.")
    options = RunOptions(
        preset=preset,
        settings=tuple(settings or ()),
        engines=engines,
        commands=tuple(command or ()),
        engine_paths=tuple(engine_path or ()),
        threads=threads,
        name=name,
        results=results,
        sandbox=sandbox,
    )
    folder, planned = _of_run(run, options, trust) if run else _new(options)
    more = {} if timeout is None else {"timeout_s": parse_duration(timeout, "--timeout")}
    with measuring(wait=wait), Console(stderr=True).status("") as status:
        request = planned(steps=steps, on_engine=_teller(status.update), **more)
        with stop_signals(request.control):
            found = carry_out(request)
    page = write_profile(found, folder)
    _show(found, format)
    say(f"profile written to {page}; trace.json beside it opens in ui.perfetto.dev")
    if open:
        webbrowser.open(page.resolve().as_uri())
    if not found.measured:
        raise NothingMeasuredError("no engine could be profiled.")


def _show(found: "Profile", format: Format) -> None:
    from harness.report.profile_tables import print_profile

    if format is Format.json:
        print(json.dumps(found.document(), indent=1, allow_nan=False))
    else:
        print_profile(found)


def _new(options) -> "tuple[Path, Callable[..., Request]]":
    """A folder below the results, and the request for a workload. Raises: UsageError."""
    from harness.run.plan import new_plan

    plan = new_plan(options)
    name = options.name or f"profile-{plan.manifest.run}"[:64]
    folder = options.results / name
    if folder.exists():
        raise UsageError(f"{folder} exists; choose another --name.")
    return folder, _planned(plan, name, options.sandbox)


def _of_run(run: str, options, trust: bool) -> "tuple[Path, Callable[..., Request]]":
    """The place of a profile in a run, and the request for its workload. Raises: UsageError."""
    from harness.profile.model import FOLDER
    from harness.records.find import find_run
    from harness.records.store import read_manifest
    from harness.run import trust as trusted
    from harness.run.plan import same_plan

    folder = find_run(run, options.results)
    manifest = read_manifest(folder)
    trusted.require(folder, manifest, trusted=trust)
    plan, _ = same_plan(manifest, options.commands, options.engine_paths)
    sandboxed = options.sandbox or manifest.sandbox is not None
    return folder / FOLDER, _planned(plan, manifest.run, sandboxed)


def _planned(plan, name: str, sandboxed: bool) -> "Callable[..., Request]":
    from functools import partial

    from harness.profile.request import Request

    return partial(
        Request,
        name=name,
        preset=plan.manifest.preset,
        workload=plan.workload,
        dataset=plan.dataset,
        engines=plan.engines,
        threads=plan.manifest.threads,
        sandbox=sandboxed,
    )


def _teller(update: Callable[[str], None]) -> Callable[[int, int, str], None]:
    def tell(number: int, count: int, engine: str) -> None:
        text = f"profiling {number}/{count}: {engine}" if engine else "the machine's peak"
        update(text)
        say(text)

    return tell
