"""Transposed operands copied once, sums finished apart, and long sums in parts."""

import numpy as np
import pytest

import myad
from myad.compile.build import build
from myad.compile.kernels import pack, parts
from myad.compile.loops.steps import run_interpreted
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine

MACHINE = Machine(32, 16)


def planned(function, *arrays, machine=MACHINE, **how):
    """The plan of `function`, whose results are right."""
    program, _ = trace(function, *arrays)
    plan = build(program, machine, **how)
    if not how:
        found = run_interpreted(plan, dict(zip(plan.inputs, arrays, strict=True)))
        for one, other in zip(found, program.run(*arrays), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)
    return plan


def ones(*shape):
    return np.linspace(-1.0, 1.0, int(np.prod(shape))).reshape(shape)


def copies(plan):
    return [kernel for kernel in plan.kernels if kernel.name.startswith("pack_")]


def transposed(x, w):
    return x @ w.T


def test_a_transposed_operand_that_is_read_often_is_copied():
    plan = planned(transposed, ones(pack.REUSE, 3), ones(8, 3))
    assert len(copies(plan)) == 1
    (copy, product) = plan.kernels
    assert copy.output.shape == (3, 8)
    assert [load.buffer.shape for load in product.reads] == [(pack.REUSE, 3), (3, 8)]


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (transposed, [(pack.REUSE - 1, 3), (8, 3)]),  # read too seldom
        (transposed, [(pack.REUSE, 3), (pack.SHORT - 1, 3)]),  # too short to be gathered
        (lambda x, w: x @ w, [(pack.REUSE, 3), (3, 8)]),  # in order as it is
        (lambda x, w: myad.max(x[:, None, :] + w[None], axis=-1), [(pack.REUSE, 3), (8, 3)]),
    ],
    ids=["seldom", "short", "in order", "no sum"],
)
def test_others_are_not_copied(function, shapes):
    assert not copies(planned(function, *(ones(*shape) for shape in shapes)))


def test_a_temporary_with_one_reader_is_laid_out_instead():
    arrays = ones(pack.REUSE, 3), ones(8, 5), ones(3, 5)
    assert not copies(planned(lambda x, w, v: x @ (w @ v.T).T, *arrays))

    def two_readers(x, w, v):
        z = w @ v.T
        return x @ z.T, z @ x.T

    assert copies(planned(two_readers, *arrays))


def test_a_number_in_a_product_is_read_as_it_is():
    plan = planned(lambda x, w, s: (s * x) @ w.T, ones(pack.REUSE, 3), ones(8, 3), np.array(2.0))
    assert len(copies(plan)) == 1


def test_a_stream_is_never_copied():
    def function(w, images):
        return w @ (images * 1.0).T

    arrays = ones(pack.REUSE, 3), ones(8, 3)
    assert len(copies(planned(function, *arrays))) == 1
    assert not copies(planned(function, *arrays, streams=(1,)))


def test_a_long_sum_with_an_epilogue_is_finished_apart():
    def dense(x, w, b):
        return myad.relu(x @ w + b)

    small = Machine(32, 16, level1=1024)
    long = planned(dense, ones(4, pack.LONG), ones(pack.LONG, 9), ones(9), machine=small)
    sums, done = long.kernels
    assert sums.epilogue is None
    assert sums.output.shape == (4, 9)
    assert (done.combine, done.epilogue) == ("store", None)
    for shape, machine in (((4, pack.LONG - 1), small), ((4, pack.LONG), MACHINE)):
        short = planned(dense, ones(*shape), ones(shape[1], 9), ones(9), machine=machine)
        assert len(short.kernels) == 1
        assert short.kernels[0].epilogue is not None


def bias_gradient(x):
    return x.sum(axis=(0, 1)) * 0.5


def test_a_long_sum_with_few_results_is_made_in_parts(monkeypatch):
    monkeypatch.setattr(parts, "MANY", 4 * 32 * 3)
    plan = planned(bias_gradient, ones(4, 32, 3))
    first, second = plan.kernels
    assert first.output.shape == (16, 3)  # a part has two of the 32 rows
    assert first.epilogue is None
    assert second.epilogue is not None
    assert [axis.size for axis in second.reduced] == [16]


@pytest.mark.parametrize(
    ("shape", "count"), [((4, 32, 3), 16), ((4, 31, 3), None), ((4, 12, 3), 12), ((40, 6, 3), 6)]
)
def test_the_number_of_parts_hangs_on_shapes_alone(shape, count, monkeypatch):
    """It divides the rows; no number of at least four does that to 31 of them."""
    monkeypatch.setattr(parts, "MANY", 1)
    for machine in (MACHINE, Machine(16, 16, 256, 1024), Machine(64, 32)):
        kernels = planned(bias_gradient, ones(*shape), machine=machine).kernels
        assert len(kernels) == (1 if count is None else 2)
        assert kernels[0].output.shape[0] == (count or 3)


def test_sums_that_are_short_or_many_stay_whole(monkeypatch):
    assert len(planned(bias_gradient, ones(4, 32, 3)).kernels) == 1  # too few terms
    monkeypatch.setattr(parts, "MANY", 1)
    monkeypatch.setattr(parts, "FEW", 2)
    assert len(planned(bias_gradient, ones(4, 32, 3)).kernels) == 1  # enough results to share
