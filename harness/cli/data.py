"""`bench data`: list, fetch, verify and import data sets."""

from pathlib import Path
from typing import Annotated

import typer

from harness.safe.text import one_line


def register(app: typer.Typer) -> None:
    """Add the group `bench data`."""
    group = typer.Typer(help="List, fetch, verify and import data sets.", no_args_is_help=True)
    group.command("list")(list_)
    group.command("fetch")(fetch)
    group.command("verify")(verify)
    group.command("import")(import_)
    app.add_typer(group, name="data")


def list_() -> None:
    """List the data sets that are here and those that can be fetched."""
    from harness.data.cache import dataset_folder
    from harness.data.load import available
    from harness.data.sources import SOURCES

    here = available()
    for name in sorted({*here, *SOURCES}):
        if name not in here:
            state = f"bench data fetch {name}"
        elif name == "mnist" or not dataset_folder(name).exists():
            state = "here (made when it is used)" if name != "mnist" else "here (shipped)"
        else:
            state = "here"
        summary = f"{SOURCES[name].summary}; {SOURCES[name].licence}" if name in SOURCES else ""
        print(one_line(f"{name:18} {state:30} {summary}".rstrip()))


def fetch(
    names: Annotated[list[str], typer.Argument(help="Data sets to fetch.")],
    mirror: Annotated[
        list[str] | None, typer.Option(help="Address of a folder to try first.")
    ] = None,
) -> None:
    """Fetch data sets, check them against their published SHA-256, and store them."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from harness.data.fetch import fetch as fetch_dataset

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        for name in names:
            task = progress.add_task(name, total=None)

            def show(file: str, done: int, total: int, task=task) -> None:
                progress.update(task, description=file, completed=done, total=total or None)

            found = fetch_dataset(name, mirrors=tuple(mirror or ()), on_progress=show)
            progress.update(task, visible=False)
            print(_line(found))


def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Data sets to check (default: all in the cache).")
    ] = None,
) -> int:
    """Read stored data sets again and compare every byte with what was stored."""
    from harness.data.cache import cache_folder, open_dataset
    from harness.data.shipped import read_mnist
    from harness.errors import DataError

    failed = 0
    stored = sorted(meta.parent.name for meta in cache_folder().glob("*/dataset.json"))
    for name in names or stored:
        try:
            if name == "mnist":
                read_mnist()
            print(f"ok    {_line(open_dataset(name))}")
        except DataError as error:
            failed += 1
            print(one_line(f"FAIL  {name}: {error}"))
    if not (names or stored):
        print("nothing is stored yet.")
    return 1 if failed else 0


def import_(
    name: Annotated[str, typer.Argument(help="What the data set will be called.")],
    path: Annotated[
        Path,
        typer.Argument(help="Four IDX files in a folder, an .npz, or pictures in class folders."),
    ],
    test_share: Annotated[
        float, typer.Option(help="Share of each class for testing, where there is no test/ folder.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(min=0, help="Of that split.")] = 0,
) -> None:
    """Import a data set of one's own; afterwards: --set data.dataset=NAME."""
    from harness.data.importing import import_dataset

    print(_line(import_dataset(name, path, test_share=test_share, seed=seed)))


def _line(dataset) -> str:
    size = "x".join(map(str, dataset.input_shape))
    train, test = dataset.counts["train"], dataset.counts["test"]
    return f"{dataset.name}: {train} + {test} images, {size}, {dataset.classes} classes"
