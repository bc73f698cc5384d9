"""Two versions of one engine, as two engines of one run: old and new, side by side in every block.

A version is a commit (its tree is laid out once in the cache folder), a folder with a tree, an
environment (a folder with `bin/python`, or an interpreter), or a command.
"""

import io
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from harness.data.cache import cache_folder
from harness.errors import UsageError
from harness.trial import from_tree
from harness.trial.engines import ROOT, find

SIDES = ("old", "new")


def command(side: str, text: str, engine: str) -> str:
    """One version as `bench run --command` takes it: "old=python ... engine_myad.py".

    Args:
        side: "old" or "new". text: what the person gave. engine: the engine's name.
    Raises: UsageError if it is nothing of the kind, or has no such engine.
    """
    parts = _parts(text, engine)
    return f"{side}={shlex.join(parts)}"


def _parts(text: str, engine: str) -> list[str]:
    path = Path(text).expanduser()
    if path.is_dir():
        python = _interpreter(path)
        return _of_environment(python, engine) if python else _of_tree(path.resolve(), engine, text)
    if path.is_file() and path.name.startswith("python"):
        return _of_environment(path.absolute(), engine)
    commit = _commit(text)
    if commit:
        return _of_tree(laid_out(commit), engine, text)
    words = shlex.split(text)
    if words and shutil.which(words[0]):
        return words
    raise UsageError(
        f"ab {text}: no commit of this repository, no folder, no environment (a folder with "
        "bin/python) and no command."
    )


def _interpreter(folder: Path) -> Path | None:
    """The Python of a virtual environment, as it is called: behind the link is another one."""
    places = (folder / "bin" / "python", folder / "Scripts" / "python.exe")
    return next((place.absolute() for place in places if place.is_file()), None)


def _of_tree(tree: Path, engine: str, text: str) -> list[str]:
    name = f"engine_{engine.replace('-', '_')}.py"
    for folder in (tree, *(tree / room for room in ("engines", "tf_reference"))):
        if (folder / name).is_file():
            return [sys.executable, "-P", from_tree.__file__, str(tree), str(folder / name)]
    raise UsageError(f"ab {text}: there is no {name} in it.")


def _of_environment(python: Path, engine: str) -> list[str]:
    """The engine that is installed there, else this tree's file run by that interpreter."""
    module = f"engines.engine_{engine.replace('-', '_')}"
    asked = f"import importlib.util as u, sys; sys.exit(0 if u.find_spec('{module}') else 9)"
    try:
        code = subprocess.run(
            [python, "-P", "-c", asked], capture_output=True, timeout=60, cwd=tempfile.gettempdir()
        ).returncode
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"ab {python}: {error}.") from error
    if code == 0:
        return [str(python), "-P", "-m", module]
    known = find()
    if engine not in known or known[engine].source != "file":
        raise UsageError(f"ab {python}: no engine file '{engine}'; there are {', '.join(known)}.")
    return [str(python), "-P", from_tree.__file__, str(ROOT), known[engine].command[-1]]


def _commit(text: str) -> str:
    """The full hash of a commit of the repository of the current folder; "" if it is none."""
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
    return found.stdout.decode().strip() if found.returncode == 0 else ""


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(["git", *arguments], capture_output=True, check=False)
    except OSError:
        return subprocess.CompletedProcess(arguments, 127, b"", b"git is not installed")


def laid_out(commit: str, archive: Callable[[str], bytes] | None = None) -> Path:
    """The folder with the files of a commit; made once, and whole or not at all."""
    place = cache_folder() / "commits" / commit
    if place.is_dir():
        return place
    content = (archive or _archive)(commit)
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as folder:
        tree = Path(folder) / "tree"
        with tarfile.open(fileobj=io.BytesIO(content)) as packed:
            packed.extractall(tree, filter=_inside)
        try:
            os.replace(tree, place)  # noqa: PTH105 (its error tells of another that was first)
        except OSError:
            if not place.is_dir():
                raise
    return place


def _inside(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """What stays inside the tree; a link that leads out of it is left out."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        return None


def _archive(commit: str) -> bytes:
    top = _git("rev-parse", "--show-toplevel").stdout.decode().strip()
    found = _git("-C", top, "archive", "--format=tar", commit)
    if found.returncode != 0:
        raise UsageError(f"ab {commit}: git archive failed: {found.stderr.decode().strip()}.")
    return found.stdout
