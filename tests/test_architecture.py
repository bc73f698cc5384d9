"""Imports point one way: the folders are the architecture, and this table of ranks keeps it."""

import subprocess
import sys

import pytest

from tests.imports import (
    Sources,
    circle,
    import_graph,
    imported_names,
    imported_packages,
    packages,
    read_sources,
    room_of,
    wrong_imports,
)

# What a path begins with: its rank. The longest entry that fits a file counts, and is its room. A
# file imports files of its own room and of rooms of lower rank; rooms of equal rank do not know
# each other. A new file needs an entry only where it is to stand apart from its folder.
RANKS = {
    "harness/__init__.py": 0,
    "harness/errors.py": 0,
    "harness/units.py": 0,
    "harness/contract/": 0,
    "harness/safe/text.py": -1,  # errors are written with it
    "harness/safe/": 0,
    "harness/stats/": 1,
    "harness/records/": 2,
    "harness/workload/": 1,
    "harness/data/": 2,
    "harness/machine/": 3,
    "harness/analysis/": 3,
    "harness/process/": 4,
    "harness/trial/": 5,
    "harness/verify/": 6,
    "harness/profile/": 6,
    "harness/run/": 7,
    "harness/report/": 8,
    "harness/cluster/": 8,
    "harness/cli/": 9,
    "myad/errors.py": 0,
    "myad/loading.py": 0,
    "myad/memory.py": 0,
    "myad/recording.py": 0,
    "myad/tree.py": 1,
    "myad/constants.py": 1,
    "myad/core.py": 2,
    "myad/backward.py": 3,
    "myad/ops/": 4,
    "myad/linalg/": 5,
    "myad/boundary.py": 4,
    "myad/transforms.py": 5,
    "myad/gradcheck.py": 6,
    "myad/control/": 6,
    "myad/batching/": 7,
    "myad/init.py": 7,
    "myad/nn/": 8,
    "myad/losses.py": 9,
    "myad/optim.py": 9,
    "myad/schedules.py": 9,
    "myad/callbacks.py": 10,
    "myad/weights.py": 10,
    "myad/step.py": 11,
    "myad/compile/dtypes.py": 12,
    "myad/compile/identity.py": 12,
    "myad/compile/places.py": 13,
    "myad/compile/store.py": 12,
    "myad/compile/program/": 13,
    "myad/compile/kernels/": 14,
    "myad/compile/schedule/": 15,
    "myad/compile/loops/": 16,
    "myad/compile/llvm/": 17,
    "myad/compile/build.py": 18,
    "myad/compile/arguments.py": 18,
    "myad/compile/load.py": 19,
    "myad/compile/counted.py": 19,
    "myad/compile/function.py": 20,
    "myad/compile/training.py": 20,
    "myad/compile/__init__.py": 21,
    "myad/compiled.py": 22,
    "myad/train.py": 23,
    "myad/__init__.py": 24,
    # programs: what several of them share, then the programs themselves
    "engines/": 30,
    "engines/engine_": 31,
    "tf_reference/": 30,
    "tf_reference/engine_": 31,
    "benchmarks/": 40,
}

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
    "harness": {"myad", "tf_reference", "engines", "benchmarks"} | FRAMEWORKS,
    "myad": {"harness", "tf_reference", "engines", "benchmarks"} | FRAMEWORKS | TABLES,
    "tf_reference": {"myad", "engines", "benchmarks", "torch", "jax"} | TABLES,
    "engines": {"tf_reference", "benchmarks", "tensorflow", "keras"} | TABLES,
}
STANDARD_LIBRARY_ONLY = (
    "harness/contract/__init__.py",
    "harness/contract/job.py",
    "harness/contract/ops.py",
    "harness/contract/program.py",
    "harness/contract/report.py",
    "harness/contract/skeleton.py",
    "harness/process/launcher.py",
    "harness/process/launcher_windows.py",
    "harness/errors.py",
    "harness/safe/text.py",
)
# The compiler knows no model and no `fit`, although those stand below it.
COMPILER_IMPORTS = (
    "errors", "loading", "tree", "recording", "core", "backward", "ops", "transforms", "compile"
)  # fmt: skip


def files(package: str) -> Sources:
    """The sources of one package."""
    return {path: text for path, text in read_sources().items() if path.startswith(f"{package}/")}


def planted(**texts: str) -> Sources:
    """The project's sources with other texts in some files: harness_units="import ..."."""
    changed = {f"{name.replace('__', '/')}.py": text for name, text in texts.items()}
    return {**read_sources(), **changed}


def test_every_file_of_every_package_has_a_rank():
    without = [path for path in read_sources() if room_of(path, RANKS) is None]
    assert not without, f"give them a place in RANKS: {without}"


def test_every_entry_of_the_table_is_of_a_file():
    used = {room_of(path, RANKS) for path in read_sources()}
    assert set(RANKS) - used == set()


def test_no_import_goes_to_a_higher_rank_or_to_a_room_of_the_same():
    wrong = wrong_imports(import_graph(read_sources()), RANKS)
    assert not wrong, "\n".join(["", *wrong])


def test_no_files_import_each_other_in_a_circle():
    found = circle(import_graph(read_sources()))
    assert not found, " → ".join(found)


@pytest.mark.parametrize(
    ("file", "text", "refused"),
    [
        ("stats__describe", "from harness.report.page import render", "report/page.py (rank 8)"),
        ("stats__new", "def f():\n    import harness.run.loop", "run/loop.py (rank 7)"),
        (
            "records__models",
            "import typing\nif typing.TYPE_CHECKING:\n    from harness.trial import job",
            "trial/job.py (rank 5)",
        ),
        ("analysis__seeds", "from harness.machine import host", "machine/host.py (rank 3)"),
        ("units", "from harness import errors", "errors.py (rank 0)"),
    ],
)
def test_a_planted_wrong_import_is_refused(file, text, refused):
    before = set(wrong_imports(import_graph(read_sources()), RANKS))
    after = wrong_imports(import_graph(planted(**{f"harness__{file}": text})), RANKS)
    (found,) = set(after) - before
    assert found.startswith(f"harness/{file.replace('__', '/')}.py (rank ")
    assert found.endswith(f"imports harness/{refused}")


def test_a_planted_circle_is_found():
    sources = planted(
        harness__stats__describe="from harness.stats import verdict",
        harness__stats__verdict="def f():\n    from harness.stats.drift import drift",
        harness__stats__drift="from harness.stats.describe import summarize",
    )
    harness = {path: text for path, text in sources.items() if path.startswith("harness/")}
    found = circle(import_graph(harness))
    assert found[0] == found[-1]
    assert set(found) == {f"harness/stats/{name}.py" for name in ("describe", "verdict", "drift")}


def test_a_file_without_a_rank_and_an_import_of_nothing_are_seen():
    assert room_of("harness/util/new.py", RANKS) is None
    with pytest.raises(LookupError, match=r"harness/units.py: imports 'harness.nosuch'"):
        import_graph(planted(harness__units="import harness.nosuch"))
    with pytest.raises(LookupError, match=r"relative import of '.errors'; name the room"):
        import_graph(planted(harness__units="from .errors import BenchError"))


def test_every_package_is_looked_at():
    assert set(packages()) == {*FORBIDDEN, "benchmarks"}


@pytest.mark.parametrize("package", FORBIDDEN)
def test_package_does_not_import(package):
    for path, text in files(package).items():
        assert not imported_packages(text) & FORBIDDEN[package], path


@pytest.mark.parametrize("package", ["tf_reference", "engines"])
def test_engines_know_nothing_of_the_harness_but_the_contract(package):
    for path, text in files(package).items():
        harness = {m for m, _ in imported_names(text) if m.partition(".")[0] == "harness"}
        assert harness <= {"harness.contract", "harness.contract.ops"}, path


@pytest.mark.parametrize("path", STANDARD_LIBRARY_ONLY)
def test_module_needs_the_standard_library_alone(path):
    names = imported_names(read_sources()[path])
    own = ("harness.contract.", "harness.safe.text")
    outside = {module for module, _ in names if not module.startswith(own)}
    assert {module.partition(".")[0] for module in outside} <= set(sys.stdlib_module_names)


def test_llvmlite_stays_in_its_room_of_the_compiler():
    users = {path for path, text in files("myad").items() if "llvmlite" in imported_packages(text)}
    assert users
    assert all(path.startswith("myad/compile/llvm/") for path in users), users


def test_the_compiler_knows_no_model():
    allowed = tuple(f"myad/{name}" for name in COMPILER_IMPORTS)
    for path, imported in import_graph(read_sources()).items():
        if path.startswith("myad/compile/"):
            strangers = {other for other in imported if not other.startswith(allowed)}
            assert not strangers, path


def loaded_by(code: str) -> set[str]:
    """Packages outside the standard library that a fresh interpreter has loaded after `code`."""
    code += "; print(*sorted({m.partition('.')[0] for m in sys.modules}))"
    command = [sys.executable, "-c", f"import sys; {code}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split()) - set(sys.stdlib_module_names)


def test_importing_the_harness_imports_nothing_else():
    code = "import harness, sys; print(sorted(m for m in sys.modules if m.startswith('harness')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['harness']"


def test_contract_brings_no_package_along():
    assert loaded_by("import harness.contract") - loaded_by("pass") == {"harness"}


def test_help_of_bench_is_quick_to_import():
    """`bench --help` imports every command file; none may bring pandas, SciPy or a framework."""
    loaded = loaded_by("from harness.cli import build_app; build_app()")
    assert not loaded & (TABLES - {"typer", "rich"} | FRAMEWORKS | {"numpy"})


@pytest.mark.parametrize("room", ["process", "trial", "verify", "profile", "run"])
def test_measuring_loads_no_library_of_tables_and_plots(room):
    """What measures stays small: SciPy, pandas and seaborn belong to analysis and report."""
    modules = [
        path.removesuffix(".py").replace("/", ".")
        for path in files("harness")
        # the launchers are programs of their own, one of them for Windows alone
        if path.startswith(f"harness/{room}/") and "launcher" not in path
    ]
    assert len(modules) > 2
    loaded = loaded_by(f"import {', '.join(modules)}")
    assert not loaded & ({"scipy", "pandas", "seaborn", "matplotlib", "jinja2"} | FRAMEWORKS)
