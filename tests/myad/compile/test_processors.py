"""How many processors may be used: of the affinity mask, of control groups, and as asked."""

import os
import subprocess
import sys

import numpy as np
import pytest

import myad
from myad.compile.llvm import processors
from myad.compile.llvm.processors import quota, team_size
from myad.compiled import compile_predict, compile_training
from myad.errors import OptionError

# own groups, files under the mount and their text, processors granted
GROUPS = {
    "nothing there": (None, {}, None),
    "version 2, no limit": ("0::/", {"cpu.max": "max 100000"}, None),
    "version 2": ("0::/", {"cpu.max": "200000 100000"}, 2),
    "rounded up": ("0::/", {"cpu.max": "150000 100000"}, 2),
    "less than one": ("0::/", {"cpu.max": "5000 100000"}, 1),
    "a group inside": ("0::/a/b", {"cpu.max": "max 1", "a/b/cpu.max": "300000 100000"}, 3),
    "the one above grants less": (
        "0::/a/b", {"a/cpu.max": "200000 100000", "a/b/cpu.max": "800000 100000"}, 2
    ),
    "another's group": ("0::/a", {"b/cpu.max": "100000 100000"}, None),
    "in a container, its path outside": ("0::/docker/7f", {"cpu.max": "400000 100000"}, 4),
    "version 1": (
        "4:memory:/x\n3:cpu,cpuacct:/y",
        {"cpu/y/cpu.cfs_quota_us": "250000", "cpu/y/cpu.cfs_period_us": "100000"}, 3,
    ),
    "version 1, no limit": (
        "3:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None
    ),
    "own group not known": (None, {"cpu.max": "200000 100000"}, 2),
    "nonsense": ("0::/\n\nx\n::", {"cpu.max": "many"}, None),
    "no period": ("0::/", {"cpu.max": "100000 0"}, None),
}  # fmt: skip


@pytest.mark.parametrize(("own", "files", "granted"), GROUPS.values(), ids=GROUPS)
def test_a_quota_is_read_from_every_group_above(own, files, granted, tmp_path):
    for name, text in files.items():
        path = tmp_path / "mount" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="ascii")
    if own is not None:
        (tmp_path / "own").write_text(own + "\n", encoding="utf-8")
    assert quota(tmp_path / "mount", tmp_path / "own") == granted


@pytest.mark.parametrize(("granted", "wanted"), [(None, 8), (3, 3), (64, 8)])
def test_the_smaller_of_mask_and_quota_counts(granted, wanted, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(processors, "quota", lambda: granted)
    assert processors.available() == wanted
    assert [team_size(n) for n in (1, 2, np.int64(100))] == [1, 2, wanted]


@pytest.mark.parametrize("threads", [0, -1, 1.0, True, "2", None])
def test_threads_are_a_positive_integer(threads, data):
    images, labels = data()
    model = myad.Sequential([myad.Flatten(), myad.Dense(4, activation="softmax")], (7, 6, 2))
    loss = "sparse_categorical_crossentropy"
    for use in (
        lambda: myad.jit(lambda x: x, threads=threads),
        lambda: compile_predict(model, images, threads=threads),
        lambda: compile_training(model, loss, myad.SGD(), images, labels, threads=threads),
        lambda: myad.fit(model, images, labels, compiled=True, progress=False, threads=threads),
    ):
        with pytest.raises(
            OptionError, match=f"^threads: must be an integer >= 1, not {threads!r}"
        ):
            use()


PINNED = """
import os, threading
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, myad
function = myad.jit(lambda x: myad.tanh(x @ x), threads=4)
x = np.ones((64, 64))
assert function.lower(x).places.parts > 1
function(x)
print(function.threads, threading.active_count())
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity masks here")
def test_a_process_pinned_to_one_processor_starts_no_threads():
    done = subprocess.run(
        [sys.executable, "-c", PINNED], capture_output=True, text=True, timeout=300, check=False
    )
    assert (done.stdout, done.stderr) == ("1 1\n", "")
