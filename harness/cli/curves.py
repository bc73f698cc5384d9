"""`bench curves`: accuracy on the test set after each epoch, over several seeds."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from harness.cli._options import Commands, EnginePaths, Engines, Preset, Settings, Wait
from harness.safe.text import one_line


class Format(StrEnum):
    """What is written to standard output."""

    table = "table"
    csv = "csv"
    json = "json"


def register(app: typer.Typer) -> None:
    """Add `bench curves`."""
    app.command("curves")(curves)


def curves(
    preset: Preset = "paper",
    settings: Settings = None,
    engines: Engines = None,
    command: Commands = None,
    engine_path: EnginePaths = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="How many starts.")] = 3,
    seed: Annotated[int, typer.Option(min=0, max=2**30, help="The first of them.")] = 0,
    wait: Wait = False,
    format: Annotated[Format, typer.Option(help="What standard output gets.")] = Format.table,
) -> int:
    """Learning curves; nothing is timed, so that they cost a measurement nothing."""
    from rich.console import Console

    from harness.analysis.seeds import Accuracy, by_epoch
    from harness.machine.lock import measuring
    from harness.process.supervise import Control
    from harness.run import accuracies as drawing
    from harness.run.loop import stop_signals
    from harness.run.options import RunOptions
    from harness.run.plan import new_plan

    plan = new_plan(
        RunOptions(
            preset=preset,
            settings=tuple(settings or ()),
            engines=engines,
            commands=tuple(command or ()),
            engine_paths=tuple(engine_path or ()),
            repeats=seeds,
            seed=seed,
            warmups=0,
        )
    )
    control = Control()
    with (
        measuring(wait=wait),  # it makes the machine as busy as a run would
        Console(stderr=True).status("training") as status,
        stop_signals(control),
    ):
        found = drawing.collect(
            plan,
            control,
            lambda p: status.update(f"{p.engine}, seed {p.seed}: {p.epoch} epochs done"),
        )
    summary = [row.document() for row in by_epoch(map(Accuracy.of_point, found))]
    _print(drawing.document(plan, found, summary), format)
    return 1 if any(point.accuracy is None for point in found) else 0


def _print(document: dict, format: Format) -> None:
    if format is Format.json:
        print(json.dumps(document, indent=2))
        return
    if format is Format.csv:
        print("engine,seed,epoch,accuracy")
        for point in document["points"]:
            accuracy = "" if point["accuracy"] is None else point["accuracy"]
            print(f"{point['engine']},{point['seed']},{point['epoch']},{accuracy}")
        return
    print(f"{document['preset']} on {document['dataset']}, {len(document['seeds'])} seeds")
    for row in document["summary"]:
        if not row["n"]:
            print(f"{row['engine']:18} epoch {row['epoch']:3}  failed")
            continue
        spread = "" if row["sd"] is None else f" ± {100 * row['sd']:.2f}"
        print(
            f"{row['engine']:18} epoch {row['epoch']:3}  {100 * row['mean']:.2f} %{spread}  "
            f"({100 * row['min']:.2f} to {100 * row['max']:.2f}, n = {row['n']})"
        )
    for point in document["points"]:
        if point["failure"]:
            print(f"  {point['engine']}, seed {point['seed']}: {one_line(point['failure'])}")
