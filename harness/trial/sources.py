"""What an engine's file is made of: its own code and what it needs, read with `ast`, never run."""

import ast
import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from harness.safe import files as safe

ROOMS = ("engines", "tf_reference")
LIBRARIES = ("myad",)  # of the project, and part of an engine that imports them
CONTRACT = "harness"  # of the project, and part of no engine
SOURCE_CAP = 10_000_000  # bytes of a file of Python that is read for what it imports
CHUNK = 1 << 20
UNREADABLE = (SyntaxError, ValueError, OSError, RecursionError, MemoryError)


def read(path: Path, root: Path) -> tuple[str, tuple[str, ...]]:
    """First line of an engine file's docstring, and the modules it imports that are not there.

    What is imported lazily, inside functions, counts too: that is where engines import frameworks.
    Files beside it and in the rooms of engines are followed, as a model often has its own file.
    """
    try:
        parsed = _parsed(path)
    except UNREADABLE as error:
        return f"cannot be read: {error}", ("a readable file",)
    summary = (ast.get_docstring(parsed) or "").partition("\n")[0]
    files = [f for f in sources(path, root) if root / LIBRARIES[0] not in f.parents]
    modules = set().union(*(_imported(file) for file in files))
    tops = {module.partition(".")[0] for module in modules} - {"", CONTRACT, *ROOMS}
    away = {top for top in tops if not _beside((top,), path.parent)}
    return summary, tuple(sorted(top for top in away if not _is_installed(top, path)))


def sources(path: Path, root: Path) -> set[Path]:
    """The engine's file and what it imports of its folder and of the project, however far.

    In the rooms of engines file by file, so that one rival's change does not touch another's
    records; of a library in the project (`myad`) every file. `harness` is no part of an engine.
    """
    found, waiting = {path}, [path]
    while waiting:
        file = waiting.pop()
        for module in _imported(file):
            parts = tuple(module.split("."))
            if parts[0] in LIBRARIES and (root / parts[0]).is_dir():
                found |= set((root / parts[0]).rglob("*.py"))
                continue
            new = _files_of(parts, file, path.parent, root) - found
            found |= new
            waiting += new
    return found


def sha256(files: Sequence[Path]) -> str | None:
    """One hash over names and contents; None for no files.

    A file that cannot be read, or is none, counts as what is wrong with it.
    """
    if not files:
        return None
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.name.encode(errors="surrogateescape") + b"\0")
        try:
            with safe.open_regular(path, follow=True) as file:
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
        except OSError as error:
            digest.update(str(error.strerror).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _files_of(parts: tuple[str, ...], file: Path, folder: Path, root: Path) -> set[Path]:
    """The files of a module that `file` imports; an engine's own folder is `folder`."""
    if parts[0] == "":  # relative: one empty part per dot
        dots = next((i for i, part in enumerate(parts) if part), len(parts))
        return _beside(parts[dots:], file.parents[min(dots, len(file.parents)) - 1])
    if parts[0] == CONTRACT:
        return set()
    if parts[0] in ROOMS:
        return _beside(parts, root) - {root / parts[0] / "__init__.py"}
    return _beside(parts, folder)


def _beside(parts: tuple[str, ...], folder: Path) -> set[Path]:
    """The files of a module in a folder: its own, and those of the packages it lies in."""
    places = [folder.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1)]
    candidates = [f for place in places for f in (place.with_suffix(".py"), place / "__init__.py")]
    return {file for file in candidates if file.is_file()}


def _is_installed(top: str, path: Path) -> bool:
    if (path.parent / top).is_dir():  # a package without an __init__.py
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


def _parsed(path: Path) -> ast.Module:
    return ast.parse(safe.read_text(path, SOURCE_CAP, follow=True))


def _imported(path: Path) -> set[str]:
    """Names of the modules that a file imports, a relative one with its dots in front; nothing for
    a file that cannot be read."""
    try:
        parsed = _parsed(path)
    except UNREADABLE:
        return set()
    names: set[str] = set()
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            joint = base if base.endswith(".") else f"{base}."
            # `from engines import model_jax` names a module, too
            names |= {base, *(joint + alias.name for alias in node.names)} - {"." * node.level}
    return names - {""}
