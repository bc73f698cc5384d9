"""The machine and the sources, as the manifest describes them."""

import subprocess

import pytest

from harness.machine import host


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
