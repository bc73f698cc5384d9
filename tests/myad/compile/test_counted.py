"""A counted build of the training loop: the same numbers, and the time of every kernel."""

import numpy as np
import pytest

import myad
from myad.compile.counted import REST
from myad.compiled import compile_training
from myad.recording import Origin

LAYERS = [
    {"type": "conv2d", "filters": 2, "kernel_size": 3, "activation": "relu"},
    {"type": "max_pooling2d", "pool_size": 2},
    {"type": "flatten"},
    {"type": "dense", "units": 5, "activation": "tanh"},
    {"type": "dense", "units": 4, "activation": "softmax"},
]


def training(**options):
    model = myad.Sequential(LAYERS, (8, 8, 1), seed=3)
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (24, 8, 8, 1), np.uint8)
    labels = rng.integers(0, 4, 24).astype(np.uint8)
    rule = myad.optim.optimizer_from("sgd", learning_rate=0.1)
    made = compile_training(
        model, "sparse_categorical_crossentropy", rule, images, labels, batch_size=4, **options
    )
    return made, images, labels


@pytest.fixture(scope="module")
def counted():
    made, images, labels = training(counted=True)
    made.loss = made.epoch(images, labels)
    return made


def test_a_counted_build_gives_the_same_bits(counted):
    plain, images, labels = training()
    assert plain.epoch(images, labels) == counted.loss
    for name, value in plain.parameters.items():
        np.testing.assert_array_equal(value, counted.parameters[name])


def test_other_builds_have_no_counter(counted):
    plain, *_ = training()
    assert plain.counters is None
    assert "counter" not in plain.ir
    without = [line for line in counted.ir.splitlines() if "@profile.count(" not in line]
    assert set(plain.ir.splitlines()) <= set(without)


def test_every_kernel_has_run_and_all_time_has_an_owner(counted):
    times = counted.counters.read()
    *kernels, rest = times
    assert [one.name for one in kernels] == [code.name for code in counted.plan.codes]
    assert rest.name == REST
    assert all(one.start is not None and one.start > 0 for one in times)
    row = counted.counters.ticks[0]
    sums = row[1 : 1 + counted.counters.rows.places]
    assert (sums >= 0).all()
    assert sums.sum() > 0
    counted.counters.reset()
    assert all(one.seconds == 0 and one.start is None for one in counted.counters.read())


def test_kernels_know_the_operations_they_came_from(counted):
    origins = [pair for kernel in counted.plan.kernels for pair in kernel.origins]
    assert {
        ("correlate2d", Origin(0, "correlate2d")),
        ("correlate2d_kernel_gradient", Origin(0, "correlate2d", 1)),
        ("max_pool2d", Origin(1, "max_pool2d")),
        ("max_pool2d_gradient", Origin(1, "max_pool2d", -1)),
        ("matmul", Origin(3, "matmul")),
        ("matmul", Origin(4, "matmul", 0)),
        ("matmul", Origin(4, "matmul", 1)),
        ("tanh", Origin(3, "tanh")),
    } <= set(origins)
    scopes = {origin.scope for _, origin in origins}
    assert scopes == {None, 0, 1, 2, 3, 4, "images", "loss", "update"}


def test_threads_count_in_rows_of_their_own():
    made, images, labels = training(counted=True, threads=2)
    assert len(made.counters.ticks) == made.threads
    made.epoch(images, labels)
    assert sum(one.seconds for one in made.counters.read()) > 0


def test_scopes_do_not_outlive_what_they_name():
    from myad.recording import thread_state

    training(counted=True)
    assert (thread_state.scope, thread_state.origin) == (None, None)
