"""Finds engines without importing any: by file name, by entry point, or given as a command."""

import difflib
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Literal

from harness.errors import UsageError
from harness.records.manifest import EngineEntry
from harness.safe.text import say
from harness.trial.sources import ROOMS, read, sha256, sources

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "myad-bench"
EXTRAS = {  # module -> the extra of the package that installs it
    "torch": "pytorch",
    "tensorflow": "tensorflow",
    "keras": "tensorflow",
    "jax": "jax",
    "jaxlib": "jax",
}
ENTRY_POINTS = "bench.engines"
DEFAULT = ("myad", "tensorflow")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True)
class Engine:
    """An engine that was found.

    command: argument list; `train --job JOB.json` is added to it. files: what makes up the engine,
    hashed for the manifest, as is the program. missing: what it needs and is not installed.
    """

    name: str
    command: tuple[str, ...]
    source: Literal["file", "entry point", "command"]
    summary: str = ""
    files: tuple[Path, ...] = field(default=(), repr=False)
    missing: tuple[str, ...] = ()

    @property
    def can_run(self) -> bool:
        """Nothing that its file imports, and no program, is missing."""
        return not self.missing

    @property
    def install(self) -> str | None:
        """The command that installs what is missing, as far as the package has extras for it."""
        extras = sorted({EXTRAS[module] for module in self.missing if module in EXTRAS})
        return f"pip install '{PACKAGE}[{','.join(extras)}]'" if extras else None

    @property
    def needs(self) -> str:
        """What is missing, and what installs it."""
        hint = f": {self.install}" if self.install else ""
        return f"needs {', '.join(self.missing)}{hint}"

    def entry(self) -> EngineEntry:
        """The engine as the manifest shows it, free of this machine's folders."""
        command = [_portable(part) for part in self.command]
        if self.source == "file" and Path(command[-1]).is_absolute():
            command[-1] = Path(command[-1]).name
        program = Path(self.command[0])
        return EngineEntry(
            name=self.name,
            command=command,
            source=self.source,
            sha256=sha256(self.files),
            program_sha256=sha256([program]) if program.is_file() else None,
        )


def find(root: Path = ROOT, folders: Sequence[Path] = ()) -> dict[str, Engine]:
    """All engines by name: of the rooms below `root`, of the current folder, of `folders`
    (`--engine-path`), of installed packages.

    Raises: UsageError if two have the same name, or if one of `folders` is not there.
    """
    found: dict[str, Engine] = {}
    for engine in [*_from_files(root, folders), *_from_entry_points()]:
        if engine.name in found:
            both = " and ".join(_portable(e.command[-1]) for e in (found[engine.name], engine))
            raise UsageError(f"two engines are called '{engine.name}': {both}; rename one.")
        found[engine.name] = engine
    return found


def able(engines: Sequence[Engine]) -> list[Engine]:
    """The engines that can run; one line on standard error for each that is left out.

    A program given by `--command` stays: that it is not there is an error of its trials.
    Raises: UsageError if nothing is left.
    """
    left_out = [e for e in engines if e.missing and e.source != "command"]
    told = [f"engine '{engine.name}' is left out: {engine.needs}" for engine in left_out]
    if len(left_out) == len(engines):
        raise UsageError("no engine can run here. " + "; ".join(told))
    for line in told:
        say(line)
    return [engine for engine in engines if engine not in left_out]


def choose(names: str | None, commands: Sequence[str], known: dict[str, Engine]) -> list[Engine]:
    """The engines of a run.

    Args:
        names: comma-separated, "all" for every one that can run; by default those of DEFAULT, or
            none of them where `commands` are given.
        commands: texts such as "mine=./engine --fast".
        known: as `find` returns them.
    Raises: UsageError naming what is wrong and what is allowed.
    """
    given = [parse_command(text) for text in commands]
    known = {**known, **{engine.name: engine for engine in given}}
    if names is None:
        wanted = [engine.name for engine in given] or list(DEFAULT)
    elif names == "all":
        wanted = [name for name, engine in known.items() if engine.can_run]
    else:
        # the file engine_myad_eager.py is the engine myad-eager; its file's spelling works too
        wanted = [_known_as(name.strip(), known) for name in names.split(",")]
        wanted += [engine.name for engine in given if engine.name not in wanted]
    if len(set(wanted)) != len(wanted):
        raise UsageError(f"--engines: '{names}' names an engine twice.")
    return [_pick(name, known) for name in wanted]


def parse_command(text: str) -> Engine:
    """An engine given as NAME='program args'; split as a shell would, never run by one.

    Raises: UsageError.
    """
    name, equals, line = text.partition("=")
    try:
        parts = split_command(line)
    except ValueError as error:
        raise UsageError(f"--command {text}: {error}.") from error
    if not equals or not parts:
        raise UsageError(f"--command {text}: expected NAME='program arguments'.")
    _check_name(name, "--command")
    program = shutil.which(parts[0])
    # relative paths are those of the user's folder, the engine runs in a folder of its own
    command = [str(Path(program).absolute()) if program else parts[0]]
    command += [str(Path(part).absolute()) if Path(part).is_file() else part for part in parts[1:]]
    files = tuple(Path(part) for part in command[1:] if Path(part).is_file())
    missing = () if program else (parts[0],)
    return Engine(name, tuple(command), "command", line, files, missing)


def split_command(line: str, *, windows: bool = os.name == "nt") -> list[str]:
    """Split as a shell does. On Windows a backslash is part of a path and escapes nothing.

    Raises: ValueError for a quotation without an end.
    """
    words = shlex.shlex(line, posix=True, punctuation_chars=False)
    words.whitespace_split, words.commenters = True, ""
    if windows:
        words.escape = ""
    return list(words)


def _known_as(name: str, known: dict[str, Engine]) -> str:
    return name if name in known else name.replace("_", "-")


def _pick(name: str, known: dict[str, Engine]) -> Engine:
    if name in known:
        return known[name]
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise UsageError(f"no engine '{name}'; allowed: {', '.join(sorted(known))}.{hint}")


def _check_name(name: str, where: str) -> None:
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{where}: engine name '{name}'; allowed are 1 to 40 of A-Z a-z 0-9 . _ -, "
            "the first a letter or digit."
        )


def _from_files(root: Path, folders: Sequence[Path]) -> list[Engine]:
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--engine-path {folder}: there is no such folder.")
    here = Path.cwd()
    engines, seen = [], set()
    for folder in (*(root / room for room in ROOMS), here, *folders):
        for path in sorted(folder.absolute().glob("engine_*.py")):
            name = path.stem.removeprefix("engine_").replace("_", "-")
            # what lies about where a person happens to be need not be an engine
            if path.resolve() in seen or (folder is here and not NAME.fullmatch(name)):
                continue
            seen.add(path.resolve())
            _check_name(name, path.name)
            summary, missing = read(path, root)
            files = tuple(sorted(sources(path, root)))
            command = (sys.executable, str(path))
            engines.append(Engine(name, command, "file", summary, files, missing))
    return engines


def _from_entry_points() -> list[Engine]:
    engines = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _check_name(point.name, f"entry point {ENTRY_POINTS}")
        top = point.module.partition(".")[0]
        spec = importlib.util.find_spec(top)
        missing = () if spec else (top,)
        package = f"module {point.module}" + (f" of {point.dist.name}" if point.dist else "")
        # -P: the folder a trial runs in is no place to import from
        command = (sys.executable, "-P", "-m", point.module)
        files = _package_files(spec)
        engines.append(Engine(point.name, command, "entry point", package, files, missing))
    return engines


def _package_files(spec: ModuleSpec | None) -> tuple[Path, ...]:
    """The sources of a top-level module or package, found without importing it."""
    if spec is None:
        return ()
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()]
    own = [Path(spec.origin)] if not folders and spec.origin else []
    return tuple(sorted([*own, *(file for folder in folders for file in folder.rglob("*.py"))]))


def _portable(part: str) -> str:
    """A command's part without what only this machine knows."""
    if part == sys.executable:
        return "python"
    path = Path(part)
    for folder, sign in ((ROOT, ""), (Path.cwd(), ""), (Path.home(), "~/")):
        if path != folder and path.is_relative_to(folder):
            return sign + path.relative_to(folder).as_posix()
    return part
