"""What every test shares: what needs a framework that is not installed is skipped, by its name."""

import importlib.util
import os
from pathlib import Path

import pytest

from harness.machine.lock import LOCK_VARIABLE

# Compiled code is made anew: what is tested is the compiler, also where a test changes it.
os.environ["MYAD_CACHE"] = "0"

FRAMEWORKS = {"tensorflow": ("tensorflow", "keras")}  # marker: the modules it stands for


@pytest.fixture(scope="session", autouse=True)
def _own_surroundings(tmp_path_factory):
    """Tests neither wait for a measurement on this machine nor touch the user's own files."""
    folder = tmp_path_factory.mktemp("surroundings")
    with pytest.MonkeyPatch.context() as patch:
        if LOCK_VARIABLE not in os.environ:
            patch.setenv(LOCK_VARIABLE, str(folder / "host.lock"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that import a rival's framework come last: where JAX is imported, nothing may fork."""
    rivals = Path(__file__).parent / "engines"
    items.sort(key=lambda item: rivals in item.path.parents)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what is marked with a framework that is not installed."""
    for marker, modules in FRAMEWORKS.items():
        missing = [name for name in modules if importlib.util.find_spec(name) is None]
        if missing and item.get_closest_marker(marker):
            pytest.skip(f"{' and '.join(missing)} not installed (extra '{marker}')")
