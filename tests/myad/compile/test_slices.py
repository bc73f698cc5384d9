"""Batches in slices: the same results as whole, in memory as large as a slice."""

import numpy as np
import pytest

import myad
from myad.compile.build import build
from myad.compile.kernels import slices
from myad.compile.load import module_of
from myad.compile.loops.plan import groups
from myad.compile.loops.steps import run_interpreted
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine

SMALL = Machine(vector_bytes=32, registers=16, level1=1 << 10, level2=1 << 14)
ROOMY = Machine(vector_bytes=32, registers=16, level1=1 << 16, level2=1 << 26)
LAYERS = {
    "conv-pool-dense": [
        myad.Conv2D(3, 3, activation="relu"), myad.MaxPool2D(2), myad.Flatten(),
        myad.Dense(4, activation="softmax"),
    ],
    "same-strided-dropout": [
        myad.Conv2D(2, 3, strides=2, padding="same", activation="tanh"), myad.Flatten(),
        myad.Dropout(0.25), myad.Dense(4, activation="softmax"),
    ],
    "overlapping average pools": [
        myad.Conv2D(2, 2), myad.AveragePooling2D(3, strides=1), myad.Flatten(),
        myad.Dense(4, activation="softmax"),
    ],
}  # fmt: skip


def step_of(layers, optimizer, batch):
    """Program, state, streams and arguments of one training step on 7x6x2 images."""
    model = myad.Sequential(layers, (7, 6, 2), seed=1)
    step = myad.training_step(model, "sparse_categorical_crossentropy", optimizer)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (batch, 7, 6, 2)).astype(np.uint8)
    labels = rng.integers(0, 4, batch).astype(np.uint8)
    state = optimizer.init({name: model.parameters[name] for name in model.trainable})
    given = model.parameters, state, images, labels, np.array([3, 0], np.uint32)
    program, _ = trace(step, *given, names=["w", "o", "images", "labels", "key"])
    names = [variable.name for variable in program.inputs]
    places = {n + 1: n for n in range(len(program.outputs) - 1)}
    streams = names.index("images"), names.index("labels")
    return program, places, streams, given, step


def planned(case, machine, **options):
    program, places, streams, *_ = case
    return build(program, machine, state=places, streams=streams, **options)


def results(plan, case):
    """By the interpreter and by machine code, each of one step."""
    _, _places, streams, given, _ = case
    leaves = [leaf for _, leaf in myad.compile.program.trace.flatten(given)]
    arrays = [np.asarray(leaves[n]) for n in streams]
    rows = np.random.default_rng(2).permutation(len(arrays[0])).astype(np.int32)
    pairs = enumerate(zip(plan.inputs, leaves, strict=True))
    values = {b: np.asarray(leaf) for n, (b, leaf) in pairs if n not in streams}
    yield run_interpreted(plan, values, arrays, rows)
    for poison, threads in ((0, 1), (0xFF, 1), (0, 3)):
        module = module_of(plan, poison=poison)
        for n, place in enumerate(module.inputs):
            if n not in streams:
                module.write(place, np.asarray(leaves[n]))
        module.run(arrays, rows, threads=threads)
        yield [module.read(place) for place in module.outputs]


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
@pytest.mark.parametrize(
    "optimizer", [myad.SGD(0.1, momentum=0.9), myad.Adam(0.01)], ids=["sgd", "adam"]
)
def test_a_step_in_slices_is_the_step(layers, optimizer):
    case = step_of(layers, optimizer, 48)
    plan, whole = planned(case, SMALL), planned(case, SMALL, without=("slices",))
    assert any(count == 3 for _, count in groups([code.slice for code in plan.codes]))
    wanted = next(results(whole, case))
    for found in results(plan, case):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_what_a_group_hands_on_is_as_large_as_a_slice():
    case = step_of(LAYERS["conv-pool-dense"], myad.SGD(0.1), 64)
    plan, whole = planned(case, SMALL), planned(case, SMALL, without=("slices",))
    assert plan.size < 0.6 * whole.size


def test_a_batch_that_fits_the_cache_stays_whole():
    case = step_of(LAYERS["conv-pool-dense"], myad.SGD(0.1), 48)
    plan = planned(case, ROOMY)
    assert [count for _, count in groups([code.slice for code in plan.codes])] == [1]


@pytest.mark.parametrize(
    ("batch", "each", "count"),
    [
        (32, 100, None), (64, 100, 32), (1024, 100, 32), (1021, 100, None), (48, 900, 16),
        (48, 2000, None),
    ],
)  # fmt: skip
def test_slices_fit_the_cache_and_divide_the_batch(batch, each, count):
    """A quarter of 16 KiB holds 40 examples of 100 bytes; 16 of 900 bytes fit the whole of it."""
    assert slices._slice_of(batch, each, 1 << 14) == count


def test_weights_that_fill_the_cache_are_not_read_for_every_slice():
    wide = [myad.Flatten(), myad.Dense(300, activation="relu"), myad.Dense(4, activation="softmax")]
    plan = planned(step_of(wide, myad.SGD(0.1), 64), SMALL)
    for kernel in plan.kernels:
        if kernel.slice is not None:
            read = {load.buffer for load in kernel.reads}
            assert all(buffer.shape[-1] != 300 or 84 not in buffer.shape for buffer in read)
