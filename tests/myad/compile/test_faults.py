"""Indices out of bounds: found wherever they are, whoever runs the code, and only if it is run."""

import threading
from unittest import mock

import numpy as np
import pytest

import myad
from myad.compile import load as loading
from myad.compile.schedule.layout import Machine
from myad.compile.training import CompiledTraining
from myad.errors import BoundsError
from tests.myad.random_programs.small import SMALL, small_thresholds

RNG = np.random.default_rng(3)
TOPS = np.array([np.inf, 3.0])


def counted(x, i):
    """A loop that ends only if the index is right: at the place of a wrong one is infinity."""
    top = myad.take(x, i)
    return myad.while_loop(lambda s: s < top, lambda s: s + 1.0, np.zeros(()))


def asked(x, i):
    """The same, where the loop looks for its end in every turn."""
    return myad.while_loop(lambda s: s < myad.take(x, i), lambda s: s + 1.0, np.zeros(()))


LOOPS = {
    "before a loop": lambda x, i: counted(x, i[1]),
    "in the condition of a loop": lambda x, i: asked(x, i[1]),
    "in a loop of loops": lambda x, i: myad.scan(
        lambda c, k: (c + counted(x, k), None), np.zeros(()), i
    )[0],
    "in a branch": lambda x, i: myad.cond(i[0] == 1, lambda: asked(x, i[1]), lambda: x[1]),
    "in all of a batch": lambda x, i: myad.vmap(lambda k: asked(x, k))(i),
}


@pytest.mark.parametrize("name", LOOPS)
def test_what_comes_of_a_wrong_index_ends(name):
    f = LOOPS[name]
    for call in (f, myad.jit(f)):
        with pytest.raises(BoundsError, match="index 5 is out of bounds for axis 0 with size 2"):
            call(TOPS, np.array([1, 5]))
    np.testing.assert_array_equal(myad.jit(f)(TOPS, np.array([1, -1])), f(TOPS, np.array([1, -1])))


LAZY = {
    "the other branch": lambda x, i: myad.cond(i < 2, lambda: myad.take(x, i), lambda: x[0]),
    "a branch with an endless loop": lambda x, i: myad.cond(
        i < 2, lambda: asked(x, i * 0), lambda: x[0]
    ),
    "a loop that never turns": lambda x, i: myad.while_loop(
        lambda s: s[1] < 0, lambda s: (myad.take(x, i), s[1]), (x[0], 0)
    )[0],
    "no turns": lambda x, i: myad.scan(
        lambda c, _: (myad.take(x, i), None), x[0] * 1.0, np.zeros((0, 2))
    )[0],
    "its derivative": lambda x, i: myad.grad(
        lambda x: myad.cond(i < 2, lambda: myad.take(x, i) ** 2, lambda: x[1])
    )(x),
}


@pytest.mark.parametrize("name", LAZY)
def test_what_is_not_reached_does_not_fail(name):
    f, wrong = LAZY[name], np.array(7)
    wanted = np.array([0.0, 1.0]) if "derivative" in name else np.inf
    for call in (f, myad.jit(f), lambda x, i: f(myad.Tensor(x), myad.Tensor(i)).value):
        np.testing.assert_array_equal(call(TOPS, wrong), wanted)
    constant = myad.jit(lambda x: f(x, wrong))
    np.testing.assert_array_equal(constant(TOPS), wanted)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("into", ["i4", "i8"])
def test_an_index_made_of_nan_is_out_of_bounds(dtype, into):
    f = myad.jit(lambda x, y: myad.take(x, myad.cast(y, np.dtype(into))))
    assert f(TOPS, np.array([1.0], dtype)) == 3.0
    with pytest.raises(BoundsError, match=r"index -\d+ is out of bounds"):
        f(TOPS, np.array([0.0, np.nan], dtype))


def test_arrays_without_elements():
    nothing, empty = np.zeros((0, 3)), np.zeros(0, int)
    for call in (myad.take, myad.jit(myad.take)):
        assert np.shape(call(nothing, empty)) == (0, 3)
        with pytest.raises(BoundsError, match="index 0 is out of bounds for axis 0 with size 0"):
            call(nothing, np.array([0]))
    for update in ("set", "add"):
        f = lambda x, i, u=update: getattr(myad.at(x)[i], u)(2.0)  # noqa: E731 (both ways alike)
        np.testing.assert_array_equal(myad.jit(f)(TOPS, empty), TOPS)


def shared(x, i, w):
    rows = myad.take(myad.tanh(x @ w), i)
    end, sums = myad.scan(lambda c, r: (myad.tanh(c @ w + r), c.sum()), np.zeros(8), rows)
    return (myad.exp(rows) @ w).sum(), end, sums


@pytest.fixture
def small():
    """A machine on which the least work is shared among threads, and nothing is kept."""
    with (
        small_thresholds(),
        mock.patch.object(loading, "host", return_value=SMALL),
        mock.patch.object(loading, "store", return_value=None),
    ):
        yield


def test_threads_and_callers_each_have_their_faults(small):
    x, w, right = (
        RNG.standard_normal((40, 8)),
        RNG.standard_normal((8, 8)),
        RNG.integers(-40, 40, 30),
    )
    wrong = right.copy()
    wrong[[7, 9]] = 77, 99
    module = myad.jit(shared).lower(x, right, w)
    assert module.places.parts > 1
    first = module.call([x, right, w])
    for z, z0 in zip(first, shared(x, right, w), strict=True):
        np.testing.assert_allclose(z, z0, rtol=1e-9)
    failures = []

    def calls(threads):
        for turn in range(20):
            try:
                found = module.call([x, (right, wrong)[turn % 2], w], threads)
            except BoundsError as error:
                if turn % 2 == 0 or "index 77 is" not in str(error):
                    failures.append(error)
                continue
            if turn % 2 or any(
                a.tobytes() != b.tobytes() for a, b in zip(found, first, strict=True)
            ):
                failures.append(turn)

    callers = [threading.Thread(target=calls, args=(n,)) for n in (1, 1, 2, 3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not failures


@pytest.mark.parametrize("threads", [1, 2])
def test_routines_between_slices_of_a_batch(small, threads):
    """Rows of a stream as indices; what is picked of the whole batch goes on slice by slice."""
    n, d, batch = 256, 6, 64
    ids, xs = RNG.integers(0, 10, n).astype("u1"), RNG.standard_normal((n, d))
    state = {"e": RNG.standard_normal((10, d)), "h": RNG.standard_normal((d, d)) * 0.3}

    def loss(p, x, i):
        a = myad.exp(myad.tanh(myad.tanh(x) @ p["h"]) * 0.1)
        mixed = myad.tanh(myad.take(p["e"], i) * a + x) + myad.take(a, np.arange(batch)[::-1])
        kept = myad.scan(lambda c, r: (myad.tanh(c * 0.5 + r), r * c), np.zeros(d), mixed)[1]
        return ((myad.tanh(kept * x) * a) ** 2).mean()

    def step(p, _, x, i, key=None):
        value, slope = myad.value_and_grad(loss)(p, x, i)
        return value, {k: p[k] - slope[k] * 0.1 for k in p}, {}

    machine = Machine(32, 16, level1=4096, level2=1 << 14)
    with mock.patch.object(loading, "host", return_value=machine):
        training = CompiledTraining(step, state, {}, xs, ids, batch_size=batch)
    training.threads = threads
    assert any(kernel.slice is not None for kernel in training.plan.kernels)
    assert any(code.units for code in training.plan.codes)
    training.epoch(xs, ids)
    for first in range(0, n, batch):
        rows = slice(first, first + batch)
        state = step(state, {}, xs[rows], ids[rows])[1]
    for name, value in state.items():
        np.testing.assert_allclose(training.parameters[name], value, rtol=1e-10, atol=1e-12)
    wrong = ids.copy()
    wrong[100] = 200
    with pytest.raises(BoundsError, match="index 200 is out of bounds for axis 0 with size 10"):
        training.epoch(xs, wrong)
