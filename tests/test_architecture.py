"""Imports point one way (the folders are the architecture); walks `ast`, runs nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FRAMEWORKS = {"tensorflow", "keras", "torch", "jax", "flax"}
TABLES = {
    "pandas",
    "seaborn",
    "matplotlib",
    "scipy",
    "psutil",
    "typer",
    "rich",
    "pydantic",
    "jinja2",
}
FORBIDDEN = {
    "harness": {"myad", "tf_reference", "engines"} | FRAMEWORKS,
    "myad": {"harness", "tf_reference", "engines"} | FRAMEWORKS | TABLES,
    "tf_reference": {"myad", "engines", "torch", "jax"} | TABLES,
    "engines": {"tf_reference", "tensorflow", "keras"} | TABLES,
}
# module: what it may import besides itself and the standard library; None stands for anything
STANDARD_LIBRARY_ONLY = (
    "harness/contract/__init__.py",
    "harness/contract/job.py",
    "harness/contract/program.py",
    "harness/contract/report.py",
    "harness/contract/skeleton.py",
    "harness/process/launcher.py",
    "harness/process/launcher_windows.py",
    "harness/errors.py",
)
# numbers of a layer: a module of myad imports from its own layer or from lower ones
LAYERS = {"errors": 0, "core": 1, "tree": 1, "backward": 2, "ops": 3}


def imported_modules(path: Path) -> set[str]:
    """Names of all modules that a file imports, at its top or inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; name the room"
            names.add(node.module or "")
    return names


def files(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", FORBIDDEN)
def test_room_does_not_import(room):
    assert files(room), room
    for path in files(room):
        tops = {name.partition(".")[0] for name in imported_modules(path)}
        assert not tops & FORBIDDEN[room], path


@pytest.mark.parametrize("room", ["tf_reference", "engines"])
def test_engines_know_nothing_of_the_harness_but_the_contract(room):
    for path in files(room):
        harness = {n for n in imported_modules(path) if n.partition(".")[0] == "harness"}
        assert harness <= {"harness.contract"}, path


@pytest.mark.parametrize("name", STANDARD_LIBRARY_ONLY)
def test_module_needs_the_standard_library_alone(name):
    modules = {m for m in imported_modules(ROOT / name) if not m.startswith("harness.contract.")}
    assert {module.partition(".")[0] for module in modules} <= set(sys.stdlib_module_names)


def test_llvmlite_stays_in_the_compiler():
    for path in files("myad"):
        if "llvmlite" in {name.partition(".")[0] for name in imported_modules(path)}:
            assert "compile" in path.parts, path


def test_lower_layers_of_myad_do_not_import_higher_ones():
    for path in files("myad"):
        layer = LAYERS.get(path.relative_to(ROOT / "myad").parts[0].removesuffix(".py"))
        if layer is None:
            continue
        for name in imported_modules(path):
            parts = name.split(".")
            if parts[0] == "myad" and len(parts) > 1:
                assert LAYERS.get(parts[1], 99) <= layer, f"{path} imports {name}"


def test_importing_the_harness_imports_nothing_else():
    code = "import harness, sys; print(sorted(m for m in sys.modules if m.startswith('harness')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['harness']"


def test_contract_brings_no_package_along():
    code = (
        "import sys; before = set(sys.modules); import harness.contract; "
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before} "
        "- set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['harness']"


def test_help_of_bench_is_quick_to_import():
    """`bench --help` imports every command file; none may bring pandas, SciPy or a framework."""
    code = (
        "import sys; from harness.cli import build_app; build_app(); "
        "print(sorted({m.partition('.')[0] for m in sys.modules} & "
        "{'pandas', 'scipy', 'seaborn', 'matplotlib', 'tensorflow', 'torch', 'jax', 'numpy'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
