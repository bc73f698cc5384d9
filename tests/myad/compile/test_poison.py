"""No run relies on what lies in memory: it may be filled with anything before."""

import numpy as np
import pytest

import myad
from myad.compile.build import build
from myad.compile.load import module_of
from myad.compile.program.trace import flatten, trace
from myad.compile.schedule.layout import Machine
from tests.myad.compile.test_training import LAYERS

MACHINES = {"avx512": Machine(64, 32), "avx2": Machine(32, 16), "sse": Machine(16, 16)}
FILLINGS = (None, 0x00, 0xFF, 0x7F)  # 0xFF… is NaN and −1, 0x7F… is large, or NaN
WITHOUT_KERNEL = {"symmetric_spectrum", "singular_spectrum"}


def runs(plan, values, filling, count=2):
    """The outputs of runs in a row, bit by bit."""
    module = module_of(plan, poison=filling)
    for place, value in zip(module.inputs, values, strict=True):
        module.write(place, np.asarray(value))
    found = []
    for _ in range(count):
        module.run()
        found += [module.read(place).tobytes() for place in module.outputs]
    return found


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_no_kernel_reads_what_was_not_written(case, dtype, machine, rng):
    if case.op.name in WITHOUT_KERNEL:
        return
    inputs = case.inputs(rng, np.dtype(dtype))
    program, _ = trace(lambda *xs: case.op(*xs, **case.static), *inputs)
    plan = build(program, machine)
    first, *others = [runs(plan, inputs, filling) for filling in FILLINGS]
    assert all(other == first for other in others)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_no_training_step_reads_what_was_not_written(layers, machine, data):
    images, labels = data(5)
    model = myad.Sequential(layers, (7, 6, 2), seed=1)
    optimizer = myad.Adam()
    step = myad.training_step(model, "sparse_categorical_crossentropy", optimizer)
    key = np.array([3, 0], np.uint32)
    state = model.parameters, optimizer.init({n: model.parameters[n] for n in model.trainable})
    arguments = [*state, images, labels, key]
    program, _ = trace(step, *arguments)
    count = len(flatten(state))
    plan = build(program, machine, state={n + 1: n for n in range(count)})
    values = [leaf for _, leaf in flatten(arguments)]
    first, *others = [runs(plan, values, filling) for filling in FILLINGS]
    assert all(other == first for other in others)


PADDED = {
    "a temporary times a constant": lambda x, c: (myad.exp(x) * c).sum(),
    "a temporary times an input": lambda x, c: myad.sin(myad.exp(x).sum() + x) @ c,
    "rows": lambda x, c: myad.exp(x.reshape((1, -1)) + c.reshape((-1, 1))) @ c,
    "border": lambda x, c: (myad.pad(myad.exp(x), ((2, 3),)) * myad.pad(c, ((3, 2),))).sum(),
}


@pytest.mark.parametrize("size", [7, 9, 13, 19])
@pytest.mark.parametrize("function", PADDED.values(), ids=PADDED)
def test_products_leave_out_what_lies_behind_a_row(function, size, rng):
    x, c = rng.standard_normal(size), rng.standard_normal(size)
    for dtype in ("f4", "f8"):
        inputs = [x.astype(dtype), c.astype(dtype)]
        program, _ = trace(function, *inputs)
        for machine in MACHINES.values():
            plan = build(program, machine)
            first, *others = [runs(plan, inputs, filling) for filling in FILLINGS]
            assert all(other == first for other in others)


def test_infinity_in_one_row_stays_there():
    """The row behind is not part of a sum, whatever its values."""
    x = np.ones((3, 7), "f4")
    x[1, 0], x[2, 0] = np.inf, np.nan
    w = np.ones((7, 5), "f4")
    for function in (lambda x, w: x @ w, lambda x, w: myad.relu(x) @ w, lambda x, w: (x * x) @ w):
        with np.errstate(all="ignore"):
            wanted = function(x, w)
        np.testing.assert_array_equal(myad.jit(function)(x, w), wanted)
