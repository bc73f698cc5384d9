"""The launcher by itself, and what it would do on macOS."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from harness.process import launcher, timeline
from harness.process.supervise import LAUNCHER
from tests.fakes.orders import launch, order

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the launcher of POSIX systems")


def test_answers(tmp_path):
    started, ended = launch(
        json.dumps(order(tmp_path, ["sh", "-c", "echo out; echo err >&2; exit 5"])).encode() + b"\n"
    )
    assert started["event"] == "started"
    assert (ended["event"], ended["exit_code"], ended["signal"]) == ("ended", 5, None)
    assert ended["end_ns"] > ended["start_ns"] == started["start_ns"]
    assert (tmp_path / "stdout.log").read_text() == "out\n"
    assert (tmp_path / "stderr.log").read_text() == "err\n"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc, which only Linux has")
def test_engine_does_not_get_the_channel_of_the_answers(tmp_path):
    _, ended = launch(
        json.dumps(order(tmp_path, ["sh", "-c", "ls -l /proc/self/fd; cat"])).encode() + b"\n"
    )
    assert ended["exit_code"] == 0
    lines = (tmp_path / "stdout.log").read_text().splitlines()[1:]
    numbers = sorted(int(line.split()[-3]) for line in lines)
    # the fourth is the folder that `ls` itself has open
    assert numbers == [0, 1, 2, 3]
    assert any(line.endswith("/dev/null") for line in lines)


def test_harness_that_died_at_once(tmp_path):
    process = subprocess.run(
        [sys.executable, "-I", "-S", str(LAUNCHER)], input=b"", capture_output=True, check=True
    )
    assert process.stdout == b""


def test_tail_of_a_long_log_is_kept(tmp_path):
    script = "for i in $(seq 30000); do echo line $i; done"
    _, ended = launch(json.dumps(order(tmp_path, ["sh", "-c", script])).encode() + b"\n")
    log = (tmp_path / "stdout.log").read_bytes()
    assert log.startswith(b"line 1\n")
    assert log.endswith(b"line 30000\n")
    kept = (
        len(log)
        - len(log.partition(b"\n[... ")[1] + log.partition(b"\n[... ")[2].partition(b"\n")[0])
        - 1
    )
    left_out = int(log.partition(b"[... ")[2].split()[0])
    assert kept + left_out == ended["stdout_bytes"]


def test_launcher_is_tiny(tmp_path):
    """A child's figure begins at its parent's size, so the launcher is the floor of every one."""
    _, ended = launch(json.dumps(order(tmp_path, ["true"])).encode() + b"\n")
    assert ended["max_rss"] < 14_000_000


def test_engine_is_in_its_group_from_the_start_and_the_launcher_is_not(tmp_path, memory_group):
    cgroup = {"own": str(memory_group.path), "home": str(memory_group.home)}
    procs = memory_group.path / "cgroup.procs"
    # an engine that is moved later has been charged elsewhere for what it touched until then
    script = f"grep -x $$ {procs}; while grep -qx $PPID {procs}; do sleep 0.01; done"
    text = json.dumps(order(tmp_path, ["sh", "-c", script], cgroup=cgroup)).encode() + b"\n"
    started, ended = launch(text)
    assert (ended["exit_code"], ended["stopped"]) == (0, None)
    assert (tmp_path / "stdout.log").read_text() == f"{started['pid']}\n"
    assert memory_group.peak().bytes > 100_000
    assert procs.read_text() == ""


def test_group_that_cannot_be_joined_stops_nothing(tmp_path):
    nowhere = {"own": str(tmp_path / "none"), "home": str(tmp_path / "none")}
    text = json.dumps(order(tmp_path, ["sleep", "60"], cgroup=nowhere, timeout_s=0.1)).encode()
    _, ended = launch(text + b"\n")
    assert (ended["stopped"], ended["signal"]) == ("timeout", 15)


# --- macOS ----------------------------------------------------------------------------------


def test_macos_has_no_subreaper_and_says_so(monkeypatch):
    monkeypatch.setattr(launcher, "ON_LINUX", False)
    assert "no subreaper" in launcher.become_subreaper()[0]


def test_macos_finds_descendants_with_ps(monkeypatch):
    monkeypatch.setattr(launcher, "ON_LINUX", False)
    here = os.getpid()
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in launcher.descendants(here)
    finally:
        child.kill()
        child.wait()


@pytest.mark.parametrize(("system", "bytes_"), [("darwin", 4096), ("linux", 4096 * 1024)])
def test_unit_of_the_peak(monkeypatch, system, bytes_):
    monkeypatch.setattr(sys, "platform", system)
    assert launcher.rss_bytes(SimpleNamespace(ru_maxrss=4096)) == bytes_


def test_sampling_without_proc(monkeypatch):
    monkeypatch.setattr(timeline, "ON_LINUX", False)
    monkeypatch.setattr(timeline, "HAS_CHILDREN", False)
    child = subprocess.Popen(["sleep", "60"])
    try:
        assert child.pid in timeline.tree(os.getpid())
        seen = timeline.look(child.pid)
        assert seen is not None
        assert seen.rss_bytes > 100_000
    finally:
        child.kill()
        child.wait()
    assert timeline.look(child.pid) is None
