"""What the harness's tests share: a small data set, fake engines, and a look for leftovers."""

import os
import secrets
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.data.cache import CACHE_VARIABLE, store
from harness.machine.cgroup import fresh_group
from harness.machine.lock import LOCK_VARIABLE
from harness.run.options import RunOptions

FAKE = Path(__file__).parent.parent / "fakes" / "engine.py"
MARK = "MYAD_TEST_MARK"
TRAIN, TEST = 40, 20
TINY = """
name = "tiny"
[model]
layers = [{ type = "flatten" }, { type = "dense", units = 10, activation = "softmax" }]
[data]
dataset = "tiny"
[training]
optimizer = "sgd"
learning_rate = 0.01
epochs = 2
batch_size = 4
"""


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory):
    """A cache folder that holds the data set "tiny": 4x4 images, ten classes."""
    folder = tmp_path_factory.mktemp("cache")
    rng = np.random.default_rng(7)
    arrays = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 4, 4, 1), np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 10).astype(np.uint8)
    before = os.environ.get(CACHE_VARIABLE)
    os.environ[CACHE_VARIABLE] = str(folder)
    try:
        store("tiny", arrays, classes=10, source="made for the tests")
    finally:
        os.environ.pop(CACHE_VARIABLE)
        if before is not None:
            os.environ[CACHE_VARIABLE] = before
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch, tiny_cache):
    """A folder of its own with the workload `tiny.toml`, the data set and a lock of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tiny_cache))
    monkeypatch.setenv(LOCK_VARIABLE, str(tmp_path / "host.lock"))
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def fake_command(behaviour: str) -> str:
    """The `--command` text behind NAME= for a fake engine."""
    return shlex.join([sys.executable, "-I", "-S", str(FAKE), behaviour])


@pytest.fixture
def fakes(home):
    """Options of a run of fake engines: fakes("a=ok", "b=segfault", repeats=2); no warm-ups."""

    def options(*engines: str, **more) -> RunOptions:
        pairs = (engine.partition("=") for engine in engines)
        commands = tuple(f"{name}={fake_command(behaviour)}" for name, _, behaviour in pairs)
        chosen = {"repeats": 1, "warmups": 0, "name": "r", "results": home / "results"}
        chosen |= {"verify": False, **more}  # fakes do no work that could be compared
        return RunOptions(preset=str(home / "tiny.toml"), commands=commands, **chosen)

    return options


@pytest.fixture
def memory_group():
    """A real memory group; where the system lets this process have none, the test is skipped."""
    with fresh_group() as group:
        if group is None:
            # told without the harness: that it finds no group may be what is broken
            assert not _may_have_group(), "a memory group can be made here, and none was"
            pytest.skip("this system lets the user make no memory group (cgroup v1 or v2)")
        yield group


def _may_have_group():
    """Whether the usual place of the own group, or for v2 the one above it, hands out memory."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except FileNotFoundError:  # not Linux
        return False
    for _, controllers, name in (line.split(":", 2) for line in lines):
        if "memory" in controllers.split(","):
            return os.access(f"/sys/fs/cgroup/memory{name}", os.W_OK)
        own = Path(f"/sys/fs/cgroup{name}")
        for place in (own, own.parent) if not controllers else ():
            enabled = place / "cgroup.subtree_control"
            writable = os.access(place, os.W_OK) and os.access(place / "cgroup.procs", os.W_OK)
            if writable and enabled.is_file() and "memory" in enabled.read_text().split():
                return True
    return False


@pytest.fixture
def leftovers(monkeypatch):
    """PIDs of living processes that were started since the test began, without this one.

    They are known by a variable in the environment they were started with. A zombie has none.
    """
    value = secrets.token_hex(8)
    monkeypatch.setenv(MARK, value)
    wanted = f"{MARK}={value}".encode()

    def find() -> list[int]:
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal() or int(folder.name) == os.getpid():
                continue
            try:
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue  # it ended meanwhile
        return found

    if sys.platform != "linux":
        pytest.skip("looks for leftovers in /proc, which only Linux has")
    return find
