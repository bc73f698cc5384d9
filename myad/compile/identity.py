"""What compiled code depends on besides the program: this library, LLVM, Python and the processor.

Keys of what is kept on disk contain it. Where it cannot be told for certain, nothing is kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from myad.loading import LOADED_NS

# Lines of /proc/cpuinfo that tell processors apart; others change from hour to hour.
CPU_LINES = (
    "vendor_id", "cpu family", "model", "model name", "stepping", "flags",
    "CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features",
)  # fmt: skip
PACKAGE = Path(__file__).parents[1]


def identity(*more: str) -> str | None:
    """A name for all that code depends on and for `more`; None in doubt."""
    base = _base()
    if base is None:
        return None
    return hashlib.sha256("\0".join((base, *more)).encode()).hexdigest()


@cache
def _base() -> str | None:
    try:
        parts = (sources(), llvm(), cpu())
    except OSError:  # the library is no folder of files
        return None
    if any(part is None for part in parts):
        return None
    system = os.uname()
    versions = (system.sysname, system.machine, sys.version, np.__version__)
    return "\0".join([*map(str, parts), *versions])


def sources(folder: Path = PACKAGE, loaded_ns: int = LOADED_NS) -> str | None:
    """A checksum of all Python files in `folder`; None if one is younger than what is loaded."""
    digest = hashlib.sha256()
    for path in sorted(_python_files(str(folder))):
        file = os.open(path, os.O_RDONLY)
        try:
            status = os.fstat(file)
            content = os.read(file, status.st_size)
        finally:
            os.close(file)
        if status.st_mtime_ns > loaded_ns or len(content) != status.st_size:
            return None
        digest.update(f"{os.path.relpath(path, folder)}\0".encode())
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _python_files(folder: str) -> Iterator[str]:
    with os.scandir(folder) as entries:  # three times as quick as `Path.rglob`
        for entry in entries:
            if entry.is_dir():
                yield from _python_files(entry.path)
            elif entry.name.endswith(".py"):
                yield entry.path


def llvm() -> str | None:
    """llvmlite's version, and its library's size and date, found without importing it."""
    spec = importlib.util.find_spec("llvmlite")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    libraries = [p for p in (package / "binding").glob("*llvmlite.*") if p.suffix != ".py"]
    try:
        facts = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(libraries)]
        version = (package / "_version.py").read_text()
    except OSError:
        return None
    return f"{package} {version} {facts}" if facts else None


def cpu(source: Path = Path("/proc/cpuinfo")) -> str | None:
    """The processor, as the system describes it; None if it does not."""
    try:
        with source.open() as file:
            first = file.read(16384).partition("\n\n")[0]
    except OSError:
        return None
    pairs = (line.partition(":") for line in first.splitlines())
    found = {name.strip(): value.strip() for name, _, value in pairs}
    if not found.keys() & {"flags", "Features"}:
        return None
    return "\n".join(f"{name}: {found[name]}" for name in CPU_LINES if name in found)
