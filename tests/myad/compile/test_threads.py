"""Several threads at once, and memory that belongs to one result only."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import myad
from myad.compiled import compile_predict, compile_training
from myad.errors import ThreadError

THREADS = 8


def in_threads(work, count=THREADS * 25):
    """The results of `work(n)` from threads that start together."""
    barrier = threading.Barrier(THREADS)

    def one(first):
        barrier.wait()
        return [(n, work(n)) for n in range(first, count, THREADS)]

    with ThreadPoolExecutor(THREADS) as pool:
        return [pair for part in pool.map(one, range(THREADS)) for pair in part]


def test_a_compiled_function_may_be_called_from_threads():
    function = myad.jit(lambda x, n: (myad.tanh(x + n) @ (x - n)).sum(axis=0))
    x = np.linspace(-1.0, 1.0, 90 * 90).reshape(90, 90)
    wanted = {n: function(x, float(n)) for n in range(THREADS)}
    for n, found in in_threads(lambda n: function(x, float(n % THREADS))):
        np.testing.assert_array_equal(found, wanted[n % THREADS])


def test_prediction_may_be_called_from_threads(data):
    images, _ = data(200)
    model = myad.Sequential([myad.Conv2D(4, 3, activation="relu"), myad.Flatten(), myad.Dense(5)],
                            (7, 6, 2))  # fmt: skip
    predict = compile_predict(model, images, batch_size=9)
    wanted = predict(images)
    for n, found in in_threads(lambda n: predict(images[n : n + 50]), 100):
        np.testing.assert_array_equal(found, wanted[n : n + 50])


def test_arenas_are_used_again():
    function = myad.jit(lambda x: x * 2.0)
    module = function.lower(np.ones(3))
    for _ in range(5):
        function(np.ones(3))
    assert len(module._idle) == 1


def test_a_second_thread_in_a_training_is_told_so(data):
    images, labels = data()
    model = myad.Sequential([myad.Flatten(), myad.Dense(4, activation="softmax")], (7, 6, 2))
    training = compile_training(
        model, "sparse_categorical_crossentropy", myad.SGD(), images, labels, batch_size=4
    )
    faults, seen = [], []

    def second():
        uses = (lambda: training.epoch(images, labels), lambda: training.parameters,
                lambda: training.optimizer_state)  # fmt: skip
        for use in uses:
            try:
                use()
            except ThreadError as fault:
                faults.append(str(fault))

    def meanwhile(examples):
        if not seen:
            other = threading.Thread(target=second)
            other.start()
            other.join()
        seen.append(training.parameters)  # a callback of the thread that trains may look

    training.epoch(images, labels, done=meanwhile)
    assert len(faults) == 3
    assert "another thread is training" in faults[0]
    assert seen
    training.epoch(images, labels)  # and it goes on afterwards


def test_results_share_memory_with_nothing():
    x = np.arange(6.0).reshape(2, 3)
    constant = np.arange(3.0)
    function = myad.jit(lambda x: (x, x, x.T, constant, x.reshape((6,)), x * 1.0))
    first, second = function(x), function(x)
    arrays = [*first, *second, x, constant]
    for n, one in enumerate(arrays):
        assert not any(np.shares_memory(one, other) for other in arrays[n + 1 :])
    for result in first:
        result[...] = -1.0
    for one, two in zip(function(x), second, strict=True):
        np.testing.assert_array_equal(one, two)


def test_state_and_predictions_share_memory_with_nothing(data):
    images, labels = data()
    model = myad.Sequential([myad.Flatten(), myad.Dense(4, activation="softmax")], (7, 6, 2))
    training = compile_training(
        model, "sparse_categorical_crossentropy", myad.Adam(), images, labels, batch_size=4
    )
    before = training.parameters
    kept = {name: value.copy() for name, value in before.items()}
    training.epoch(images, labels)
    for name, value in before.items():
        np.testing.assert_array_equal(value, kept[name])
        value[...] = np.nan
        assert np.isfinite(training.parameters[name]).all()
        assert np.isfinite(model.parameters[name]).all()
    predict = compile_predict(model, images, batch_size=4)
    assert not np.shares_memory(predict(images), predict(images))
