"""No pickle but that of our tasks is read; no file but a trial's is unpacked."""

import importlib
import os
import pickle
import zlib

import pytest

from harness.cluster import baggage, guard


class Trap:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def graph(function, *arguments):
    """A task as Dask sends it."""
    task_spec = pytest.importorskip("dask._task_spec")
    return pickle.dumps(task_spec.Task("key", function, *arguments))


def test_our_tasks_are_read():
    tasks = importlib.import_module("harness.cluster.tasks")
    found = guard.loads(graph(tasks.carry_out, "{}"))
    assert found.func is tasks.carry_out


@pytest.mark.parametrize("function", [os.system, eval, exec, print, getattr, __import__])
def test_no_other_function_is_named(function):
    with pytest.raises(pickle.UnpicklingError, match="only orders of bench are taken here"):
        guard.loads(graph(function, "echo"))


def test_nothing_runs_while_it_is_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.mkdir is refused"):
        guard.loads(pickle.dumps(Trap()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["carry_out.__globals__", "work", "ME", "__builtins__", "carry_out.__class__"]
)
def test_no_way_through_an_allowed_name(name):
    """Protocol 4 reads dotted names attribute by attribute."""
    parts = [pickle.PROTO, b"\x04"]
    for text in (guard.TASKS, name):
        parts += [pickle.SHORT_BINUNICODE, bytes([len(text)]), text.encode()]
    with pytest.raises(pickle.UnpicklingError, match="is refused"):
        guard.loads(b"".join([*parts, pickle.STACK_GLOBAL, pickle.STOP]))


def test_files_of_a_trial_travel(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for process in ("train", "test"):
        (here / process).mkdir(parents=True)
        (here / process / "report.jsonl").write_text(process)
    (here / "train" / "weights.npz").write_bytes(b"large")
    (here / "test" / "stdout.log").symlink_to("/etc/passwd")
    found = baggage.pack(here)
    assert set(found) == {"train/report.jsonl", "test/report.jsonl"}
    baggage.unpack(found, there)
    assert (there / "test" / "report.jsonl").read_text() == "test"


BAD = {
    "elsewhere": {"../../victim": zlib.compress(b"")},
    "absolute": {"/etc/passwd": zlib.compress(b"")},
    "weights": {"train/weights.npz": zlib.compress(b"")},
    "bomb": {"test/stdout.log": zlib.compress(bytes(baggage.CAP + 1))},
    "cut off": {"test/stdout.log": zlib.compress(b"much text" * 99)[:-8]},
    "no archive": {"test/stdout.log": b"text"},
    "text": {"test/stdout.log": "text"},
    "no table": [1, 2],
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_other_files_are_refused(tmp_path, content):
    with pytest.raises(ValueError, match=r"."):
        baggage.unpack(content, tmp_path / "run" / "trials" / "0-a")
    assert not (tmp_path / "victim").exists()


def test_too_large_files_stay_behind_and_the_others_come(tmp_path):
    folder = tmp_path / "trial"
    (folder / "test").mkdir(parents=True)
    (folder / "test" / "predictions.npy").write_bytes(b"small")
    (folder / "test" / "stdout.log").write_bytes(bytes(baggage.CAP + 1))
    for n, name in enumerate(("report.jsonl", "memory.csv")):
        noise = os.urandom(baggage.TOTAL - 1000 - n)
        (folder / "test" / name).write_bytes(noise)
    found = baggage.pack(folder)
    assert "test/predictions.npy" in found
    assert "test/stdout.log" not in found
    assert sum(map(len, found.values())) <= baggage.TOTAL
