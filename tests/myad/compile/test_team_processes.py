"""Threads that share native code, and processes: forks, idling."""

import subprocess
import sys

import pytest

START = """
import os, sys, time
import numpy as np, myad
from myad.compile.llvm import processors
processors.available = lambda: 2
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (64, 14, 14, 3)).astype(np.uint8)
labels = rng.integers(0, 5, 64)
def train(threads):
    layers = [myad.Conv2D(8, 3, activation="relu"), myad.Flatten(),
              myad.Dense(5, activation="softmax")]
    model = myad.Sequential(layers, (14, 14, 3))
    myad.fit(model, images, labels, compiled=True, progress=False, threads=threads)
    return b"".join(value.tobytes() for value in model.parameters.values())
def used():
    from myad.compile.llvm.team import _teams
    return list(_teams) == [2]
"""
FORK = """
wanted = train(2)
assert used()
child = os.fork()
if child == 0:
    found = train(2)
    os._exit(0 if found == wanted and used() else 1)
_, status = os.waitpid(child, 0)
assert train(2) == wanted
print(os.waitstatus_to_exitcode(status), train(1) == wanted)
"""
IDLE = """
train(2)
assert used()
time.sleep(0.05)
before = time.process_time()
time.sleep(0.5)
print(time.process_time() - before < 0.1)
"""


def run_script(text):
    done = subprocess.run([sys.executable, "-W", "ignore::DeprecationWarning", "-c", START + text],
                          capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
    assert not done.stderr, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="nothing forks here")
def test_a_forked_child_has_threads_of_its_own():
    assert run_script(FORK) == "0 True\n"


def test_threads_that_wait_for_work_take_no_time():
    assert run_script(IDLE) == "True\n"
