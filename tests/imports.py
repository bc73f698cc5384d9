"""Reads which file of the project imports which, from the sources alone: nothing is run.

An import counts wherever it stands: at the top, inside a function, under TYPE_CHECKING.
"""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Sources = dict[str, str]  # path from ROOT ("harness/units.py") -> text
Graph = dict[str, set[str]]  # path -> paths of the project's files that it imports


def packages() -> list[str]:
    """Folders of the project that hold a package, and `benchmarks`, which are scripts."""
    return sorted({path.parent.name for path in ROOT.glob("[a-z]*/__init__.py")} | {"benchmarks"})


@cache
def read_sources() -> Sources:
    """Every Python file of every package."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for package in packages()
        for path in sorted((ROOT / package).rglob("*.py"))
    }


@cache
def imported_names(text: str) -> frozenset[tuple[str, str]]:
    """(module, name) of each `from module import name`; (module, "") of each `import module`."""
    names: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            names |= {(module, alias.name) for alias in node.names}
    return frozenset(names)


def imported_packages(text: str) -> set[str]:
    """Names of the distributions' and the project's packages that a file imports: "numpy"."""
    return {module.partition(".")[0] for module, _ in imported_names(text)}


def import_graph(sources: Sources) -> Graph:
    """Which file imports which. A package's `__init__.py` counts where it is named itself.

    Raises: LookupError for a relative import, or one of a file that does not exist.
    """
    tops = {path.partition("/")[0] for path in sources}
    graph: Graph = {}
    for path, text in sources.items():
        graph[path] = set()
        for module, name in imported_names(text):
            if module.startswith("."):
                raise LookupError(f"{path}: relative import of '{module}'; name the room.")
            if module.partition(".")[0] in tops:
                graph[path].add(_file_of(module, name, sources, path))
    return graph


def _file_of(module: str, name: str, sources: Sources, path: str) -> str:
    place = module.replace(".", "/")
    for file in (f"{place}/{name}.py", f"{place}/{name}/__init__.py", f"{place}.py"):
        if file in sources and (name or file == f"{place}.py"):
            return file
    if f"{place}/__init__.py" in sources:
        return f"{place}/__init__.py"
    raise LookupError(f"{path}: imports '{module}', which is no file of the project.")


def room_of(path: str, ranks: dict[str, int]) -> str | None:
    """The longest entry of the table that a file's path begins with."""
    return max((entry for entry in ranks if path.startswith(entry)), key=len, default=None)


def wrong_imports(graph: Graph, ranks: dict[str, int]) -> list[str]:
    """Imports of a higher rank, or of another room of the same rank, each in one line."""
    wrong = []
    for path in sorted(graph):
        ours = room_of(path, ranks)
        for other in sorted(graph[path]):
            theirs = room_of(other, ranks)
            if ours is None or theirs is None or ours == theirs or ranks[theirs] < ranks[ours]:
                continue
            wrong.append(f"{path} (rank {ranks[ours]}) imports {other} (rank {ranks[theirs]})")
    return wrong


def circle(graph: Graph) -> list[str]:
    """Files that import each other in a circle, the first again as the last; [] without one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []
