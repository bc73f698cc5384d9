"""Data sets that need no download: drawn from a seed, or put here by a system package."""

from __future__ import annotations

from harness.data.cache import DataSet, store
from harness.data.convert import idx_arrays
from harness.data.sources import SOURCES, Source
from harness.data.synthetic import CLASSES, NAME, synthetic_colour


def make_local(name: str) -> DataSet | None:
    """Store data set `name` in the cache if this machine has it or can make it; else None."""
    if name == NAME:
        return store(NAME, synthetic_colour(), classes=CLASSES, source="drawn from a fixed seed")
    return from_system(SOURCES[name]) if name in SOURCES else None


def local_names() -> list[str]:
    """Names that `make_local` can make here."""
    found = [NAME]
    for source in SOURCES.values():
        if any(
            all((folder / file).is_file() for file in source.files) for folder in source.folders
        ):
            found.append(source.name)
    return found


def from_system(source: Source) -> DataSet | None:
    """The data set as a package of the operating system put it here, or None.

    Raises: DataError if it is here and damaged.
    """
    for folder in source.folders:
        paths = {file: folder / file for file in source.files}
        if all(path.is_file() for path in paths.values()):
            arrays = idx_arrays(paths, source.contents)
            return store(source.name, arrays, classes=source.classes, source=str(folder))
    return None
