"""The machine and the sources, as the manifest describes them."""

import subprocess

import pytest

from harness.machine import host
from harness.records.models import EngineEntry, Manifest


def test_host_knows_its_processor_and_memory():
    found = host.host()
    assert found["cpu"]
    assert found["logical_cores"] >= 1
    assert found["memory_bytes"] > 100_000_000


def test_host_on_another_system(monkeypatch):
    monkeypatch.setattr(host, "_cpuinfo", list)
    monkeypatch.setattr(host.sys, "platform", "darwin")
    monkeypatch.setattr(host, "_output", lambda *command: "Apple M9")
    monkeypatch.setattr(host.psutil, "cpu_freq", lambda: None)
    assert host.host()["cpu"] == "Apple M9"
    assert host.host()["max_frequency_mhz"] is None


def test_packages_and_versions():
    assert host.packages()["pydantic"]
    assert host.versions()["numpy"] == host.packages()["numpy"]
    assert "python" in host.versions()


@pytest.fixture
def checkout(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x@x", *arguments],
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    (tmp_path / "a.py").write_text("1\n")
    git("add", "a.py")
    git("commit", "-q", "-m", "x")
    return tmp_path


def test_git_state(checkout):
    clean = host.git_state(checkout)
    assert clean is not None
    assert (clean.dirty, clean.dirty_sha256) == (False, None)
    assert len(clean.commit) == 40
    hashes = set()
    for text in ("2\n", "3\n"):
        (checkout / "a.py").write_text(text)
        dirty = host.git_state(checkout)
        assert dirty is not None
        assert dirty.dirty
        hashes.add(dirty.dirty_sha256)
    assert len(hashes) == 2


def test_no_checkout_has_no_state(tmp_path):
    assert host.git_state(tmp_path) is None


def manifest(**changes):
    base = {
        "run": "r",
        "preset": "p",
        "created": "2026-01-01T00:00:00+00:00",
        "command_line": [],
        "workload": {"name": "p"},
        "engines": [EngineEntry(name="a", command=["python"], source="file", sha256="1")],
        "repeats": 1,
        "seeds": [0],
        "schedule": [],
        "host": {"cpu": "x"},
        "versions": {"python": "3.11"},
        "packages": {"numpy": "2"},
        "data": {"sha256": {"a": "1"}},
    }
    return Manifest(**{**base, **changes})


CHANGES = {
    "nothing": ({}, []),
    "created": ({"created": "2027-01-01T00:00:00+00:00"}, []),
    "cpu": ({"host": {"cpu": "y"}}, ["host.cpu: x → y"]),
    "package-gone": ({"packages": {}}, ["packages.numpy: 2 → None"]),
    "package-new": ({"packages": {"numpy": "2", "z": "1"}}, ["packages.z: None → 1"]),
    "variable": ({"environment": {"OMP_X": "1"}}, ["environment.OMP_X: None → 1"]),
    "engine": (
        {"engines": [EngineEntry(name="a", command=["python"], source="file", sha256="2")]},
        ["engine a: its source files have changed"],
    ),
    "command": (
        {"engines": [EngineEntry(name="a", command=["python", "-O"], source="file", sha256="1")]},
        ["engine a: its command has changed"],
    ),
}


@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_changes_are_named(change, expected):
    assert host.changes(manifest(), manifest(**change)) == expected
