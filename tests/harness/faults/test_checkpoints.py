"""Weights after each epoch: what the harness sees of them, and engines that leave wrong ones."""

import os
import sys
import threading
import time

import pytest

from harness.process import checkpoints
from harness.process.checkpoints import Folder, Watcher

TARGET = ("target={accuracy=0.5, max_epochs=2}",)
WRONG = {
    "few": ("contract_broken", "checkpoints: 1 of 2 appeared."),
    "backwards": ("contract_broken", "checkpoints: they did not appear in the order of epochs."),
    "other": ("contract_broken", "checkpoints: the last one is not the trained weights."),
    "garbage": ("bad_result", "not a readable .npz"),
    "link": ("bad_result", "checkpoints: 1.npz: a link, not a regular file."),
    "pipe": ("bad_result", "checkpoints: 1.npz: a named pipe, not a regular file."),
    "gone": ("bad_result", "checkpoints: their folder: No such file or directory."),
    "huge": ("bad_result", "checkpoints: 1.npz: larger than"),
}


def test_a_checkpoint_is_stamped_inside_the_process(trial):
    record = trial("ok", settings=TARGET)
    assert record.valid
    first, second = record.train.checkpoints
    assert (first.epoch, second.epoch) == (1, 2)
    assert 0 < first.seconds <= second.seconds < record.train.outer_wall_s + 0.1
    assert record.train.checkpoints_method == (
        "inotify" if sys.platform == "linux" else "polled every 5 ms"
    )


def test_without_a_target_there_are_none(trial):
    record = trial("ok")
    assert (record.train.checkpoints, record.train.checkpoints_method) == ([], None)


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_checkpoints_are_an_outcome(trial, kind):
    record = trial(f"checkpoints:{kind}", settings=TARGET)
    outcome, reason = WRONG[kind]
    assert record.train.outcome == outcome
    assert reason in record.train.reason
    assert not record.valid


def test_an_engine_of_protocol_1_refuses_in_its_own_words(trial):
    record = trial("older", settings=TARGET)
    assert record.train.outcome == "exit_nonzero"
    assert "protocol 2 is not spoken here" in record.failure


@pytest.mark.parametrize("told", [True, False], ids=["inotify", "polled"])
def test_what_was_renamed_is_read_before_the_clock(tmp_path, monkeypatch, told):
    if told and sys.platform != "linux":
        pytest.skip("inotify is Linux's")
    if not told:
        monkeypatch.setattr(checkpoints, "_inotify", lambda folder: None)
    folders = [tmp_path / "train" / "checkpoints", tmp_path / "kept"]
    for folder in folders:
        folder.mkdir(parents=True)
    with Watcher(Folder(*folders, epochs=3, cap=100)) as seen:
        appear(folders[0], "1.npz", b"first")
        wait_for(lambda: 1 in seen.at_ns)
        (folders[0] / "1.npz").write_bytes(b"changed later")
        appear(folders[0], "7.npz", b"none of the epochs")
        (folders[0] / "2.npz.tmp").write_bytes(b"not done")
        between = time.monotonic_ns()
        appear(folders[0], "2.npz", b"second")
        appear(folders[0], "3.npz", b"x" * 101)
    assert seen.at_ns[1] < between < seen.at_ns[2] <= time.monotonic_ns()
    assert seen.fault == "3.npz: larger than 100 bytes."
    kept = {path.name: path.read_bytes() for path in folders[1].iterdir()}
    assert kept == {"1.npz": b"first", "2.npz": b"second"}


def test_a_full_disk_ends_the_run_and_not_only_the_thread(tmp_path, monkeypatch):
    folder = tmp_path / "train" / "checkpoints"
    folder.mkdir(parents=True)

    def full(path, content):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(checkpoints.files, "replace", full)
    with (
        pytest.raises(OSError, match="No space left"),
        Watcher(Folder(folder, tmp_path, epochs=1, cap=100)),
    ):
        appear(folder, "1.npz", b"first")
    assert not any("_watch" in thread.name for thread in threading.enumerate())


def appear(folder, name, content):
    """A file, whole from the beginning."""
    (folder / "unfinished").write_bytes(content)
    os.replace(folder / "unfinished", folder / name)  # noqa: PTH105


def wait_for(condition):
    """Until it is so; a second is for ever."""
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)
