"""Threads that run native code together: the same bits, and nothing hangs."""

import gc
import signal
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import myad
from myad.compile.llvm import module as native
from myad.compile.llvm import processors
from myad.compile.llvm.team import together
from myad.compile.schedule import share
from myad.compiled import compile_predict, compile_training
from tests.myad.compile.conftest import make_data

LOSS = "sparse_categorical_crossentropy"
TEAMS = (1, 2, 3, 4, 7)
SHAPE = (14, 13, 3)
SOFTMAX = myad.Dense(5, activation="softmax")
NETWORKS = {
    "dropout": (
        [myad.Conv2D(8, 3, activation="relu"), myad.MaxPool2D(2), myad.Flatten(),
         myad.Dense(40, activation="relu"), myad.Dropout(0.4), SOFTMAX],
        myad.SGD(learning_rate=0.05, momentum=0.9),
    ),
    "strides": (
        [myad.Conv2D(12, 3, strides=2, padding="same", activation="tanh"),
         myad.AveragePooling2D(2, padding="same"), myad.Conv2D(9, 2, padding="same"),
         myad.Flatten(), SOFTMAX],
        myad.SGD(learning_rate=0.05),
    ),
    "adam": (
        [myad.Conv2D(7, 5, use_bias=False), myad.BatchNormalization(), myad.MaxPool2D(3),
         myad.Flatten(), myad.Dense(33, activation="relu"), SOFTMAX],
        myad.Adam(learning_rate=0.01),
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _small_kernels_are_shared(monkeypatch):
    """Networks of a test's size are shared, too."""
    monkeypatch.setattr(share, "WORTH", 4000.0)


@pytest.fixture(autouse=True)
def processors_enough(monkeypatch):
    """As many threads as asked for, whatever the machine has."""
    monkeypatch.setattr(processors, "available", lambda: 8)


@pytest.fixture
def used(monkeypatch):
    """The numbers of threads that native code is started with."""
    numbers = []

    def noted(work, threads):
        numbers.append(threads)
        return together(work, threads)

    monkeypatch.setattr(native, "together", noted)
    return numbers


def compiled(name, images, labels, threads, batch_size=32):
    layers, optimizer = NETWORKS[name]
    model = myad.Sequential(layers, SHAPE, seed=2)
    return compile_training(model, LOSS, optimizer, images, labels, batch_size=batch_size, seed=6,
                            threads=threads)  # fmt: skip


def bits(tree):
    return {name: np.asarray(value).tobytes() for name, value in tree.items()}


def state(training):
    return bits(training.parameters), bits(training.optimizer_state)


@pytest.mark.parametrize("name", NETWORKS)
def test_any_number_of_threads_trains_to_the_same_bits(name, used):
    images, labels = make_data(2 * 32 + 11, SHAPE, 5)
    orders = np.random.default_rng(8).permuted(np.tile(np.arange(len(images)), (2, 1)), axis=1)
    training = compiled(name, images, labels, 1)
    start = training._state
    assert sum(code.units >= 7 for code in training.plan.codes) >= 5
    found = []
    for threads in TEAMS:
        training.threads = threads
        training._write([*start[:2], np.array([6, 0], np.uint32)])
        losses = [training.epoch(images, labels, order) for order in orders]
        found.append((losses, *state(training)))
    assert set(used) == set(TEAMS) - {1}
    for threads, result in zip(TEAMS, found, strict=True):
        assert result == found[0], f"{threads} threads"


def test_fit_gives_the_same_bits(used):
    images, labels = make_data(75, SHAPE, 5)
    layers, _ = NETWORKS["dropout"]
    found = []
    for threads in (1, 3):
        model = myad.Sequential(layers, SHAPE, seed=2)
        history = myad.fit(model, images, labels, optimizer="adam", epochs=2, compiled=True,
                           progress=False, threads=threads)  # fmt: skip
        found.append((history.loss, bits(model.parameters), bits(history.optimizer_state)))
    assert found[0] == found[1]
    assert set(used) == {3}


def test_predictions_have_the_same_bits(used):
    images, _ = make_data(75, SHAPE, 5)
    model = myad.Sequential(NETWORKS["dropout"][0], SHAPE, seed=2)
    found = [compile_predict(model, images, batch_size=32, threads=n)(images) for n in TEAMS]
    assert used == [n for n in TEAMS if n > 1]
    for result in found[1:]:
        assert result.tobytes() == found[0].tobytes()
    np.testing.assert_allclose(found[0], myad.predict(model, images), rtol=1e-4, atol=1e-6)


@myad.value_and_grad
def energy(w, x):
    return (myad.tanh(x @ w) ** 2).sum() + myad.logsumexp(w)


def test_compiled_functions_give_the_same_bits(used, rng):
    w, x = rng.standard_normal((70, 90)), rng.standard_normal((110, 70))
    found = [myad.jit(energy, threads=threads)(w, x) for threads in TEAMS]
    assert used == [n for n in TEAMS if n > 1]
    value, gradient = energy(w, x)
    np.testing.assert_allclose(found[0][0], value)
    np.testing.assert_allclose(found[0][1], gradient, rtol=1e-9)
    for loss, slope in found[1:]:
        assert (loss.tobytes(), slope.tobytes()) == (found[0][0].tobytes(), found[0][1].tobytes())


def test_a_program_too_small_is_run_by_one(used, rng):
    function = myad.jit(lambda x: x * 2, threads=4)
    np.testing.assert_array_equal(function(np.arange(5.0)), 2 * np.arange(5.0))
    images, labels = make_data(6, (3, 3, 1), 4)
    model = myad.Sequential([myad.Flatten(), myad.Dense(4, activation="softmax")], (3, 3, 1))
    training = compile_training(model, LOSS, myad.SGD(), images, labels, batch_size=1, threads=4)
    training.epoch(images, labels)
    assert used == []


def test_many_callers_take_turns(used, rng):
    w, x = rng.standard_normal((70, 90)), rng.standard_normal((110, 70))
    function = myad.jit(energy, threads=2)
    wanted = [function(w + n, x) for n in range(4)]
    starting = threading.Barrier(4)

    def caller(n):
        starting.wait()
        return [function(w + n, x) for _ in range(20)]

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(caller, range(4)))
    assert used == [2] * 84
    for (value, gradient), found in zip(wanted, results, strict=True):
        for one, slope in found:
            assert one == value
            np.testing.assert_array_equal(slope, gradient)


class Halt(Exception):
    """What a handler of signals may raise."""


@pytest.fixture
def alarm():
    """`alarm(seconds, error)`: it is raised in the main thread then."""
    if not hasattr(signal, "setitimer"):
        pytest.skip("no interval timer here")

    def set_alarm(seconds, error=KeyboardInterrupt):
        def handler(number, frame):
            raise error

        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, seconds)

    before = signal.getsignal(signal.SIGALRM)
    yield set_alarm
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, Halt])
def test_training_is_interrupted_and_goes_on(error, alarm, used):
    images, labels = make_data(64, SHAPE, 5)
    training = compiled("adam", images, labels, 2)
    many, seen = 32 * 10**5, []  # minutes of work

    def done(examples):
        if not seen:
            alarm(0.1, error)
        seen.append(examples)

    with pytest.raises(error):
        training.epoch(images, labels, np.arange(many) % 64, done=done)
    assert seen[-1] < many / 10
    reached = training._read()
    training.epoch(images, labels)
    other = compiled("adam", images, labels, 1)
    other._write(reached)
    other.epoch(images, labels)
    assert state(training) == state(other)
    assert set(used) == {2}


@pytest.mark.parametrize("error", [KeyboardInterrupt, Halt])
def test_an_interrupt_at_any_moment_leaves_nobody_at_work(error, alarm):
    working = []

    def work(thread, sync):
        working.append(thread)
        time.sleep(1e-4)
        working.remove(thread)
        return float(thread == 0)

    interrupted = 0
    for delay in np.linspace(1e-5, 1e-3, 100):
        try:
            alarm(delay, error)
            for _ in range(20):
                together(work, 3)
            signal.setitimer(signal.ITIMER_REAL, 0)
        except error:
            interrupted += 1
            assert working == []
    assert interrupted > 50
    assert together(work, 3) == 1.0


def in_time(work, seconds=300.0):
    """What `work()` returns or raises; a failure, not a wait without end, if it hangs."""
    ended = []

    def run():
        try:
            ended.append((work(), None))
        except Exception as error:
            ended.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert ended, "hangs"
    result, error = ended[0]
    if error is not None:
        raise error
    return result


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_a_fault_in_one_thread_is_the_callers(failing):
    def work(thread, sync):
        if thread == failing:
            raise ValueError(f"thread {thread}")
        return 1.0

    with pytest.raises(ValueError, match=f"thread {failing}"):
        in_time(lambda: together(work, 3))
    assert in_time(lambda: together(lambda thread, sync: thread + 5.0, 3)) == 5.0


def test_nobody_waits_for_a_thread_that_failed(monkeypatch, rng):
    w, x = rng.standard_normal((70, 90)), rng.standard_normal((110, 70))
    function = myad.jit(energy, threads=3)
    value, gradient = function(w, x)

    def failing(work, threads):
        def one_fails(thread, sync):
            if thread == 1:
                raise MemoryError("no room for its arguments")
            return work(thread, sync)

        return together(one_fails, threads)

    monkeypatch.setattr(native, "together", failing)
    with pytest.raises(MemoryError, match="no room for its arguments"):
        in_time(lambda: function(w, x))
    monkeypatch.setattr(native, "together", together)
    again, slope = in_time(lambda: function(w, x))
    assert again == value
    np.testing.assert_array_equal(slope, gradient)


def test_what_has_run_is_not_kept_alive(rng):
    class Kept:
        pass

    kept = Kept()
    gone = weakref.ref(kept)
    together(lambda thread, sync, kept=kept: 0.0, 5)
    del kept
    for _ in range(100):  # the threads are on their way to where they wait
        gc.collect()
        if gone() is None:
            break
        time.sleep(0.02)
    assert gone() is None


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
