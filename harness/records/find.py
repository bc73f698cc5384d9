"""Which run a command means: a name in the results folder, a path, or the newest."""

from pathlib import Path

from harness.errors import UsageError
from harness.records.store import MANIFEST, read_manifest
from harness.safe import files

DEFAULT = Path("results")


def find_run(name: str | None, results: Path = DEFAULT) -> Path:
    """Folder of the run that `name` means; without a name, of the newest run in `results`.

    Raises: UsageError if there is none, with the names that exist.
    """
    if name is None:
        return newest(results)
    for folder in (results / name, Path(name)):
        if files.is_regular(folder / MANIFEST):
            return folder
    known = ", ".join(sorted(folder.name for folder in folders(results))) or "none"
    raise UsageError(f"no run '{name}' in {results} and no such folder. Runs there: {known}.")


def newest(results: Path = DEFAULT) -> Path:
    """The run whose manifest was created last (by the manifest, not by the file's date)."""
    found = folders(results)
    if not found:
        raise UsageError(f"no run in {results}. `bench run` makes one, --results names its folder.")
    return max(found, key=lambda folder: (read_manifest(folder).created, folder.name))


def folders(results: Path) -> list[Path]:
    """Folders in `results` that hold a manifest."""
    if not results.is_dir():
        return []
    return [folder for folder in results.iterdir() if files.is_regular(folder / MANIFEST)]
