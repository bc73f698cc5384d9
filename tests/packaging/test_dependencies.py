"""What the packages import is what the distribution declares; walks `ast`, runs nothing."""

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {"harness", "myad", "engines", "tf_reference", "tests"}
MODULES = {"pillow": "PIL"}  # distributions that are not called as their module
# Installed for what another package does with it, or run as a program; a reason each.
NOT_IMPORTED = {
    "pyarrow": "pandas writes and reads Parquet with it",
    "pyperf": "the tests run it as a program on what `bench export` writes",
}
FRAMEWORKS = ("tensorflow", "pytorch", "jax")


def names(requirements: list[str]) -> set[str]:
    """Distributions of a list of requirements, without the project's own extras."""
    found = {re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in requirements}
    return found - {PROJECT["name"]}


def modules(requirements: list[str]) -> set[str]:
    """The modules that a list of requirements brings."""
    wanted = names(requirements) - set(NOT_IMPORTED)
    return {MODULES.get(name, name.replace("-", "_")) for name in wanted}


def third_party(*folders: Path) -> set[str]:
    """Top-level modules that the files of some folders import, at the top or inside functions."""
    found = {name for folder in folders for path in folder.rglob("*.py") for name in imported(path)}
    return {name.partition(".")[0] for name in found} - set(sys.stdlib_module_names) - OURS


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def frameworks() -> list[str]:
    return [line for extra in FRAMEWORKS for line in EXTRAS[extra]]


def test_library_and_harness_import_what_every_install_brings():
    found = third_party(ROOT / "myad", ROOT / "harness") - names(EXTRAS["parquet"])
    assert found - modules(EXTRAS["cluster"]) == modules(PROJECT["dependencies"])


def test_only_the_room_of_clusters_imports_what_its_extra_brings():
    rooms = [room for room in (ROOT / "harness").iterdir() if room.is_dir()]
    users = {room.name for room in rooms if third_party(room) & modules(EXTRAS["cluster"])}
    assert users == {"cluster"}
    assert third_party(ROOT / "harness" / "cluster") >= modules(EXTRAS["cluster"])


def test_engines_import_what_the_frameworks_extras_bring():
    found = third_party(ROOT / "engines", ROOT / "tf_reference")
    found -= modules(PROJECT["dependencies"])
    assert found == modules(frameworks())


def test_tests_import_what_the_test_extra_brings():
    here = {path.stem for path in (ROOT / "tests").rglob("*.py")}  # the fakes are run as programs
    known = modules(PROJECT["dependencies"]) | modules(frameworks()) | names(EXTRAS["parquet"])
    assert third_party(ROOT / "tests") - known - here == modules(EXTRAS["test"])


def test_no_install_brings_a_framework_unless_asked():
    assert not names(PROJECT["dependencies"]) & (names(frameworks()) | names(EXTRAS["parquet"]))


def test_all_is_every_framework():
    assert EXTRAS["all"] == [f"{PROJECT['name']}[{','.join(FRAMEWORKS)}]"]


@pytest.mark.parametrize("extra", [None, *EXTRAS])
def test_every_requirement_has_one_floor_and_nothing_else(extra):
    """`make lowest` installs the floors; a ceiling would keep users from versions that work."""
    for line in PROJECT["dependencies"] if extra is None else EXTRAS[extra]:
        own = rf"{PROJECT['name']}\[[a-z,]+\]"
        assert re.fullmatch(rf"{own}|[A-Za-z0-9._-]+>=[0-9]+(\.[0-9]+)*", line), line


def test_a_planted_import_is_seen(tmp_path):
    text = "import sys\nimport harness.errors\ndef f():\n    from numba.core import types\n"
    (tmp_path / "planted.py").write_text(text, encoding="utf-8")
    assert third_party(tmp_path) == {"numba"}


def test_what_is_declared_but_not_imported_is_declared_at_all():
    assert set(NOT_IMPORTED) <= names([line for lines in EXTRAS.values() for line in lines])
