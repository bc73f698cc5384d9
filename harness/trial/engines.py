"""Finds engines without importing any: by file name, by entry point, or given as a command."""

import ast
import difflib
import hashlib
import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from harness.errors import UsageError
from harness.records.models import EngineEntry

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("engines", "tf_reference")
LIBRARIES = ("myad",)  # of the project, and part of an engine that imports them
ENTRY_POINTS = "bench.engines"
DEFAULT = ("myad", "tensorflow")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
# Without -P the folder of an engine's file would come first in its import path, and a module of
# the standard library with the name of a neighbour (`trace`) would be hidden.
PYTHON = (sys.executable, "-P")


@dataclass(frozen=True)
class Engine:
    """An engine that was found.

    command: argument list; `train --job JOB.json` is added to it. package: folder whose Python
    files make up the engine, hashed for the manifest. missing: what it needs and is not installed.
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

    def entry(self) -> EngineEntry:
        """The engine as the manifest shows it, free of this machine's folders."""
        return EngineEntry(
            name=self.name,
            command=[_portable(part) for part in self.command],
            source=self.source,
            sha256=_sha256(self.files),
        )


def find(root: Path = ROOT) -> dict[str, Engine]:
    """All engines in the rooms below `root` and in installed packages, by name.

    Raises: UsageError if two have the same name.
    """
    found: dict[str, Engine] = {}
    for engine in [*_from_files(root), *_from_entry_points()]:
        if engine.name in found:
            both = " and ".join(_portable(e.command[-1]) for e in (found[engine.name], engine))
            raise UsageError(f"two engines are called '{engine.name}': {both}; rename one.")
        found[engine.name] = engine
    return found


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
        parts = shlex.split(line)
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


def _from_files(root: Path) -> list[Engine]:
    engines = []
    for room in ROOMS:
        for path in sorted((root / room).glob("engine_*.py")):
            name = path.stem.removeprefix("engine_").replace("_", "-")
            _check_name(name, path.name)
            summary, missing = _read(path, root)
            files = tuple(sorted(_sources(path, root)))
            engines.append(Engine(name, (*PYTHON, str(path)), "file", summary, files, missing))
    return engines


def _from_entry_points() -> list[Engine]:
    engines = []
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _check_name(point.name, f"entry point {ENTRY_POINTS}")
        top = point.module.partition(".")[0]
        spec = importlib.util.find_spec(top)
        missing = () if spec else (top,)
        package = f"module {point.module}" + (f" of {point.dist.name}" if point.dist else "")
        engines.append(
            Engine(point.name, (*PYTHON, "-m", point.module), "entry point", package, (), missing)
        )
    return engines


def _read(path: Path, root: Path) -> tuple[str, tuple[str, ...]]:
    """First line of an engine file's docstring, and the modules it imports that are not there.

    What is imported lazily, inside functions, counts too: that is where engines import frameworks.
    Modules in the rooms of engines are followed, since a model often has its own file.
    """
    try:
        parsed = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, OSError) as error:
        return f"cannot be read: {error}", ("a readable file",)
    summary = (ast.get_docstring(parsed) or "").partition("\n")[0]
    rooms = [file for file in _sources(path, root) if file.parent.name in ROOMS]
    modules = set().union(*(_imported(file) for file in {path, *rooms}))
    tops = sorted({module.partition(".")[0] for module in modules} - {"harness", *ROOMS})
    return summary, tuple(top for top in tops if importlib.util.find_spec(top) is None)


def _sources(path: Path, root: Path) -> set[Path]:
    """The engine's file and what it imports of the project, however far: the engine's own code.

    In the rooms of engines file by file, so that one rival's change does not touch another's
    records; of a library in the project (`myad`) every file. `harness` is no part of an engine.
    """
    found, waiting = {path}, [path]
    while waiting:
        for module in _imported(waiting.pop()):
            top = module.partition(".")[0]
            if top in ROOMS:
                new = {root.joinpath(*module.split(".")).with_suffix(".py")}
            else:
                new = set((root / top).rglob("*.py")) if top in LIBRARIES else set()
            new = {file for file in new - found if file.is_file()}
            found |= new
            waiting += [file for file in new if top in ROOMS]
    return found


def _imported(path: Path) -> set[str]:
    """Names of the modules that a file imports; nothing for one that cannot be read."""
    try:
        parsed = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError, OSError):
        return set()
    names: set[str] = set()
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            # `from engines import model_jax` names a module, too
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def _sha256(files: Sequence[Path]) -> str | None:
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _portable(part: str) -> str:
    """A command's part without what only this machine knows."""
    if part == sys.executable:
        return "python"
    for folder, sign in ((ROOT, ""), (Path.cwd(), ""), (Path.home(), "~/")):
        below = _below(part, str(folder), os.sep)
        if below is not None:
            return sign + below
    return part


def _below(part: str, folder: str, separator: str) -> str | None:
    """The path below a folder, always with "/"; None where it is not below. Keeps a last slash."""
    for sign in {separator, "/"}:  # Windows knows both
        if part.startswith(folder + sign):
            return part[len(folder) + 1 :].replace(separator, "/")
    return None
