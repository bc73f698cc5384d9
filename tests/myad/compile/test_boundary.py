"""Arguments are read where they lie and results written where they are returned, whatever either is
like; a copy is made only where it pays."""

import numpy as np
import pytest

import myad
from myad.compile.build import build
from myad.compile.llvm import pointer
from myad.compile.load import module_of
from myad.compile.program.trace import trace
from myad.compile.schedule import search
from myad.compile.schedule.layout import Machine
from myad.ops.pool import max_pool2d
from tests.myad.compile.test_kernels import MACHINES, WITHOUT_KERNEL


def f(x, y):
    return (x * 2.0 + y).sum(axis=0), x - y


WHOLE = np.arange(7 * 24, dtype="f4").reshape(7, 24)


def misaligned(array):
    raw = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = raw.view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


FORMS = {
    "contiguous": WHOLE[:, :12].copy(),
    "rows of a longer array": WHOLE[:, :12],
    "every second": WHOLE[:, ::2],
    "backwards": WHOLE[::-1, 11::-1],
    "column by column": np.asfortranarray(WHOLE[:, :12]),
    "misaligned": misaligned(WHOLE[:, :12]),
    "in foreign byte order": WHOLE[:, :12].astype(">f4"),
    "read-only": read_only(WHOLE[:, :12]),
    "the same row again": np.broadcast_to(WHOLE[0, :12], (7, 12)),
    "a matrix": np.ones((7, 12), "f4").view(np.matrix),
    "off a cache line": np.arange(7 * 12 + 1, dtype="f4")[1:].reshape(7, 12),
}


@pytest.mark.parametrize("form", FORMS)
def test_arguments_of_every_form(form):
    x = FORMS[form]
    before = np.array(x)
    y = np.linspace(0, 1, 12).astype("f4")
    for found, wanted in zip(myad.jit(f)(x, y), f(np.array(x), y), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_array_equal(x, before)


def test_one_array_may_be_several_arguments_and_overlap_another():
    x = np.arange(40.0)
    for y in (x, x[:], x[::-1], x.copy()):
        first, second = myad.jit(f)(x, y)
        assert first == (x * 2 + y).sum()
        np.testing.assert_array_equal(second, x - y)
    pair = x[:-1], x[1:]
    np.testing.assert_array_equal(myad.jit(f)(*pair)[1], -np.ones(39))


def test_nothing_of_the_size_of_the_arguments_is_kept():
    x = np.ones((1000, 1000), "f4")
    module = myad.jit(lambda x: ((x * 2.0).sum(), x + 1.0)).lower(x)
    assert module.plan.size < 1000
    assert {buffer.kind for buffer in module.plan.arrays} == {"argument", "result"}


def test_results_are_written_whole_into_memory_that_held_something():
    """Borders that no kernel writes are the caller's to see, and he gets memory freed before."""
    x = np.ones((60, 70))
    zeros = myad.jit(lambda x: myad.pad(x, ((1, 2), (3, 4))))
    pool = {"pool_size": (3, 3), "strides": (2, 2)}
    overlapping = myad.jit(myad.grad(lambda x: max_pool2d(x, **pool).sum()))
    image = np.random.default_rng(0).standard_normal((2, 30, 31, 3))
    wanted = np.pad(x, ((1, 2), (3, 4))), overlapping(image)
    for _ in range(5):
        for shape in (wanted[0].shape, wanted[1].shape):
            np.full(shape, np.nan)
        np.testing.assert_array_equal(zeros(x), wanted[0])
        np.testing.assert_array_equal(overlapping(image), wanted[1])


def test_a_small_matrix_that_is_read_across_is_copied_into_another_order(rng):
    x, w = rng.standard_normal((512, 64)), rng.standard_normal((64, 64))
    function = myad.jit(lambda x, w: x @ w.T)
    plan = function.lower(x, w).plan
    assert plan.kernels[0].name == "pack_arg1"
    for buffer in plan.arrays:
        order = [dim for dim in plan.layouts[buffer].order if buffer.shape[dim] > 1]
        assert order == sorted(order)
    np.testing.assert_allclose(function(x, w), x @ w.T, rtol=1e-12)


def test_a_result_that_is_made_in_another_order_is_copied_out(rng, monkeypatch):
    monkeypatch.setattr(search, "RELAID_COST", 0.0)
    given = list(rng.standard_normal((4, 48, 40)))
    function = myad.jit(lambda w, x, y, z: w.T * x.T + y.T * z.T)
    *_, last = function.lower(*given).plan.kernels
    assert last.name.startswith("copy")
    assert last.output.kind == "result"
    w, x, y, z = given
    np.testing.assert_allclose(function(*given), (w * x + y * z).T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_every_primitive_reads_and_writes_the_callers_arrays(case, machine, rng):
    if case.op.name in WITHOUT_KERNEL:
        return
    inputs = case.inputs(rng, np.dtype("float32"))
    program, _ = trace(lambda *xs: case.op(*xs, **case.static), *inputs)
    wanted = np.asarray(case.op(*inputs, **case.static))
    (found,) = module_of(build(program, machine, arrays=True), poison=0xFF).call(inputs)
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6 * scale)
    assert found.dtype == wanted.dtype
    assert not any(np.shares_memory(found, x) for x in inputs)


def test_large_arrays_are_computed_twice_rather_than_stored():
    small, large = (np.ones(n, "f4") for n in (1000, 2_000_000))
    function = myad.jit(lambda x: (myad.exp(x).sum(), myad.exp(x) * 2.0))
    assert len(function.lower(small).plan.kernels) == 3
    plan = function.lower(large).plan
    assert len(plan.kernels) == 2
    assert plan.size < 1000


@pytest.mark.parametrize("find", [pointer.address, pointer._asked])
def test_addresses_are_those_that_numpy_gives(find):
    base = np.arange(64)
    for array in (base, base[3:], base.reshape(8, 8)[2:4, 1], np.empty(0), np.array(2.0)):
        assert find(array) == array.__array_interface__["data"][0]


def test_machines_have_one_kind_of_rows_for_the_callers_arrays():
    """Vectors of every width over rows that no padding follows."""
    rng = np.random.default_rng(2)
    for size in (1, 3, 7, 15, 17, 33):
        x = rng.standard_normal((5, size)).astype("f4")
        program, _ = trace(lambda x: (myad.exp(x) @ x.T, x * x), x)
        for machine in (Machine(64, 32), Machine(32, 16), Machine(16, 16)):
            product, square = module_of(build(program, machine, arrays=True)).call([x])
            np.testing.assert_allclose(product, np.exp(x) @ x.T, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(square, x * x)
