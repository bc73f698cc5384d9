"""What the wheel takes along, and the pins that the checks install; nothing is built here."""

import importlib.util
import re
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
PACKAGES = ("myad", "harness", "engines", "tf_reference")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def pins():
    """The script .ci/pins.py as a module."""
    spec = importlib.util.spec_from_file_location("pins", ROOT / ".ci/pins.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sources(package: str) -> list[Path]:
    """Every file of a package that Python did not write itself."""
    found = [path for path in (ROOT / package).rglob("*") if path.is_file()]
    return [path for path in found if "__pycache__" not in path.parts]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_data_file_is_declared_for_the_wheel(package):
    patterns = TOOLS["package-data"].get(package, [])
    taken = {path for pattern in patterns for path in (ROOT / package).glob(pattern)}
    left = [path for path in sources(package) if path.suffix != ".py" and path not in taken]
    assert left == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_lies_in_a_package_that_the_wheel_finds(package):
    assert f"{package}*" in TOOLS["packages"]["find"]["include"]
    folders = {path.parent for path in sources(package) if path.suffix == ".py"}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_lowest_pins_are_the_floors_without_frameworks(pins):
    lowest = pins.lowest()
    assert "typer==0.27.2" in lowest
    named = {line.partition("==")[0] for line in lowest}
    assert {"numpy", "llvmlite", "pyarrow", "pytest"} <= named
    assert not named & {"tensorflow", "keras", "torch", "jax", "jaxlib", "ruff"}


def test_a_requirement_without_a_floor_is_named(pins):
    with pytest.raises(SystemExit, match=r"'numpy<3' declares no floor; write NAME>=VERSION"):
        pins._pin("numpy<3")


def test_locked_pins_are_all_of_the_lock_without_hashes(pins):
    locked = pins.locked()
    assert len(locked) == len(re.findall(r"^[A-Za-z0-9._-]+==", LOCK, re.MULTILINE))
    assert not any("hash" in line or "\\" in line for line in locked)
    assert "colorama==0.4.6 ; sys_platform == 'win32'" in locked


def test_lock_holds_no_address():
    for word in ("://", "\n--index-url", "\n--extra-index-url", "\n--find-links"):
        assert word not in LOCK


def test_lock_pins_every_direct_requirement():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["tensorflow"], *extras["dev"], *extras["test"]]
    for line in [*wanted, *extras["parquet"]]:
        name, _, floor = line.partition(">=")
        if name.startswith(f"{project['name']}["):
            continue
        pinned = re.search(rf"^{re.escape(name)}==([0-9.]+)", LOCK, re.MULTILINE)
        assert pinned is not None, name
        assert numbers(pinned[1]) >= numbers(floor), name


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def test_python_that_runs_the_tests_is_one_the_project_takes():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert sys.version_info[:2] >= numbers(project["requires-python"].removeprefix(">="))
