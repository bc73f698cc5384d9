"""`bench run`: measure engines on a workload, block by block."""

from pathlib import Path
from typing import Annotated, Any

import typer

from harness.cli._options import (
    Cluster,
    ClusterTls,
    Commands,
    EnginePaths,
    Engines,
    NoVerify,
    Results,
    Sandbox,
    Settings,
    Trust,
    VerifyEngines,
    VerifySteps,
    Wait,
)
from harness.errors import UsageError
from harness.safe.text import one_line

MOST_TRIALS = 4_000  # with more, what measures is not made to hold them all at its end
RESUMABLE = "--resume goes on with the schedule of its run; beside it only --name, --results, "

OptionalPreset = Annotated[
    str | None, typer.Option(help="A preset (default: paper) or a path to a TOML file.")
]
Repeats = Annotated[
    int | None, typer.Option(min=1, max=100_000, help="Measured blocks (default: 10).")
]
WarmUps = Annotated[
    int | None, typer.Option(min=0, max=100, help="Warm-up blocks before them (default: 1).")
]
FirstSeed = Annotated[
    int | None,
    typer.Option(min=0, max=2**30, help="Of the first block and the order (default: 0)."),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100_000,
        help="Starts in all; those beyond the blocks give an accuracy after the last block, "
        "not timed.",
    ),
]
Curves = Annotated[
    bool,
    typer.Option("--curves", help="Also the accuracy after every epoch of every start, not timed."),
]
Name = Annotated[str | None, typer.Option(help="Name of the run, its folder.")]
Threads = Annotated[
    int | None, typer.Option(min=1, max=1024, help="Threads per engine (default: 1).")
]
Processors = Annotated[str | None, typer.Option(help="Pin the engines to these processors: 0,2-3.")]
Timeout = Annotated[
    str | None, typer.Option(help="Stop a process after this time: 90s, 30m (default: 2h).")
]
MaxTime = Annotated[
    str | None, typer.Option(help="Begin no block that would end later than this: 2h.")
]
Primary = Annotated[
    str | None,
    typer.Option(
        metavar="METRICS",
        help="What gets a verdict, with commas "
        "(default: train_wall_s, test_wall_s, total_wall_s, accuracy); all else is exploratory.",
    ),
]
Baseline = Annotated[
    str | None,
    typer.Option(help="The engine that all others are compared with (default: tensorflow)."),
]
Margin = Annotated[
    str | None, typer.Option(help="Times that differ by less are equivalent (default: 2%).")
]
AccuracyMargin = Annotated[
    float | None,
    typer.Option(min=0.001, max=99, help="The same of accuracies, in points (default: 0.5)."),
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="Add blocks until every primary ratio of times is known this well: 3%.",
    ),
]
MaxRepeats = Annotated[
    int | None,
    typer.Option(min=1, max=100_000, help="The most blocks of --until (default: 5 x --repeats)."),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        help="Wait before each trial, a minute at most, until the machine is quiet; disturbed "
        "blocks are kept, do not count, and are repeated at the end.",
    ),
]
Spares = Annotated[
    int | None,
    typer.Option(
        min=0, max=100_000, help="Most blocks that --quiet repeats (default: half of --repeats)."
    ),
]
Settle = Annotated[
    str | None,
    typer.Option(
        help="Longest pause before a trial, a tenth of the time of the one before (default: 1s)."
    ),
]
Cold = Annotated[
    bool, typer.Option("--cold", help="Empty an engine's compile cache before every trial.")
]
NoSampling = Annotated[bool, typer.Option("--no-sampling", help="Draw no memory timeline.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with an interrupted run (default: newest).")
]


def register(app: typer.Typer) -> None:
    """Add `bench run`."""
    app.command("run")(run)


def run(
    preset: OptionalPreset = None,
    settings: Settings = None,
    engines: Engines = None,
    command: Commands = None,
    engine_path: EnginePaths = None,
    repeats: Repeats = None,
    warmup: WarmUps = None,
    seed: FirstSeed = None,
    seeds: Seeds = None,
    curves: Curves = False,
    name: Name = None,
    results: Results = Path("results"),
    threads: Threads = None,
    cpus: Processors = None,
    timeout: Timeout = None,
    max_time: MaxTime = None,
    primary: Primary = None,
    baseline: Baseline = None,
    margin: Margin = None,
    accuracy_margin: AccuracyMargin = None,
    until: Until = None,
    max_repeats: MaxRepeats = None,
    quiet: Quiet = False,
    spares: Spares = None,
    settle: Settle = None,
    cold: Cold = False,
    no_sampling: NoSampling = False,
    no_verify: NoVerify = False,
    verify_steps: VerifySteps = None,
    verify_engines: VerifyEngines = None,
    sandbox: Sandbox = False,
    wait: Wait = False,
    cluster: Cluster = None,
    cluster_tls: ClusterTls = None,
    resume: Resume = False,
    trust: Trust = False,
) -> int:
    """Measure engines on a workload: train and test, again and again, side by side."""
    fixed = {
        "preset": preset,
        "engines": engines,
        "repeats": repeats,
        "warmups": warmup,
        "seed": seed,
        "seeds": seeds,
        "curves": curves or None,
        "threads": threads,
        "settings": tuple(settings or ()) or None,
        "cpus": cpus or None,
        "timeout_s": timeout or None,
        "primary": tuple(part.strip() for part in primary.split(",")) if primary else None,
        "baseline": baseline,
        "margin": margin or None,
        "accuracy_margin": accuracy_margin,
        "until_share": until or None,
        "most_repeats": max_repeats,
        "quiet": quiet or None,
        "spares": spares,
        "settle_s": settle or None,
        "cold": cold or None,
        "sampling": False if no_sampling else None,
        "verify": False if no_verify else None,
        "verify_steps": verify_steps,
        "verify_engines": verify_engines,
        "sandbox": sandbox or None,
    }
    given = {key: value for key, value in fixed.items() if value is not None}
    free = {
        "name": name,
        "commands": tuple(command or ()),
        "engine_paths": tuple(engine_path or ()),
        "max_time_s": max_time or None,
        "wait": wait,
        "trust": trust,
    }
    crew = crew_of(cluster, cluster_tls, tuple(command or ()), tuple(engine_path or ()))
    return _finish(_carry_out(results, given, {**free, "crew": crew}, resume=resume))


def crew_of(
    cluster: str | None,
    tls: Path | None,
    commands: tuple[str, ...],
    engine_paths: tuple[Path, ...],
) -> Any:
    """Who measures: None for this machine, else a cluster's. Raises: UsageError."""
    if cluster is None:
        if tls is not None:
            raise UsageError("--cluster-tls is of the connections of --cluster; give both.")
        return None
    from harness.cluster.site import site

    where = site(cluster, tls=tls, commands=commands, engine_paths=engine_paths)
    from harness.cluster.commander import Cluster as Crew

    return Crew(where)


def _carry_out(results: Path, given: dict[str, Any], free: dict[str, Any], *, resume: bool):
    """Begin a run or go on with one. given: what its manifest fixes; free: what it does not."""
    from harness.run import loop as runner
    from harness.run import options as parsing

    if given.get("cpus"):
        given["cpus"] = parsing.parse_cpus(given["cpus"])
    if given.get("timeout_s"):
        given["timeout_s"] = parsing.parse_duration(given["timeout_s"], "--timeout")
    for key, option in (("margin", "--margin"), ("until_share", "--until")):
        if given.get(key):
            given[key] = parsing.parse_share(given[key], option)
    if given.get("settle_s") and given["settle_s"].strip() != "0":
        given["settle_s"] = parsing.parse_duration(given["settle_s"], "--settle")
    elif given.get("settle_s"):
        given["settle_s"] = 0.0
    if free["max_time_s"]:
        free["max_time_s"] = parsing.parse_duration(free["max_time_s"], "--max-time")
    crew = free.pop("crew")
    if not resume:
        given.setdefault("settle_s", parsing.SETTLE_S)
        options = parsing.RunOptions(results=results, **given, **free)
        return runner.start(options, live_tables, crew)
    if given:
        raise UsageError(
            f"{RESUMABLE}--command, --engine-path, --max-time, --cluster, --wait and --trust are "
            "allowed."
        )
    return runner.resume(results, **free, tables=live_tables, crew=crew)


def live_tables(run: Any, width: int) -> list[Any]:
    """What stands above the bar on a terminal (`run.progress.Tables`)."""
    from harness.report import terminal  # pandas and SciPy: a second, when it is needed

    return list(terminal.live_tables(run, width))


def _finish(ended) -> int:
    from rich.console import Console

    from harness.report.terminal import print_summary

    console = Console(stderr=True, highlight=False)
    if ended.trials <= MOST_TRIALS:
        print_summary(ended.folder, console)
    console.print(f"bench: {one_line(ended.sentence)}", markup=False, soft_wrap=True)
    return ended.exit_code
