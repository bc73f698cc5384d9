"""Places that data decide, loops and branches, as native code."""

import numpy as np
import pytest

import myad
from myad import errors
from myad.compile.build import build
from myad.compile.dtypes import DTYPES
from myad.compile.load import module_of
from myad.compile.loops.steps import run_interpreted
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine

RNG = np.random.default_rng(12)
W, C, X = 0.3 * RNG.standard_normal((5, 5)), RNG.standard_normal(5), RNG.standard_normal((7, 5))


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_gather_and_scatter_of_every_dtype(dtype):
    x = RNG.integers(0, 5, (6, 3)).astype(dtype)
    for kind in (np.int8, np.int32, np.int64, np.uint8, np.uint64):
        i = np.array([[0, 5], [3, 3]]).astype(kind)
        np.testing.assert_array_equal(myad.jit(lambda x, i: myad.take(x, i))(x, i), x[i])
        added = np.zeros((6, 2), dtype)
        np.add.at(added, (i[0],), x[:2, :2])
        found = myad.jit(lambda x, i: myad.at(np.zeros((6, 2), dtype))[i[0]].add(x[:2, :2]))(x, i)
        np.testing.assert_array_equal(found, added)
        assert found.dtype == dtype


@pytest.mark.parametrize("update", ["take", "set", "add"])
def test_an_index_out_of_bounds_is_numpys_error_and_is_forgotten(update):
    def f(x, i):
        if update == "take":
            return myad.take(x, i, 1)
        return getattr(myad.at(myad.transpose(x))[i], update)(1.0)

    compiled = myad.jit(f)
    for wrong in (5, -6, 2**40):
        i = np.array([0, wrong])
        for call in (f, compiled):
            with pytest.raises(IndexError, match=f"index {wrong} is out of bounds for axis 0 with"):
                call(X, i)
        right = np.array([-5, 4])
        np.testing.assert_array_equal(compiled(X, right), f(X, right))
    with pytest.raises(errors.BoundsError):
        compiled(X, np.array([7]))


def test_an_index_out_of_bounds_inside_of_a_loop():
    def f(x, i):
        return myad.scan(lambda c, k: (c + myad.take(x, k), None), np.zeros(5), i)[0]

    compiled = myad.jit(lambda x, i: myad.cond(i[0] >= 0, lambda: f(x, i), lambda: x[0]))
    np.testing.assert_allclose(compiled(X, np.array([1, 2])), X[1] + X[2])
    with pytest.raises(IndexError, match="index 7 is out of bounds for axis 0 with size 7"):
        compiled(X, np.array([1, 7, 2]))
    np.testing.assert_allclose(compiled(X, np.array([1, 2, 6])), X[1] + X[2] + X[6])


def scanned(w, c, xs, reverse=False):
    def step(c, x):
        new = myad.tanh(c @ w + x * c)
        return new, ((new * x).sum(), new[::2])

    return myad.scan(step, c, xs, reverse=reverse)


def total(w, c, xs):
    end, (ys, halves) = scanned(w, c, xs)
    return (end * end).sum() + (ys**3).sum() + (halves * halves).sum()


def agree(f, *arrays, tolerance=1e-10):
    wanted, found = f(*arrays), myad.jit(f)(*arrays)
    leaves = myad.tree.leaves
    for z, w in zip(leaves(found), leaves(wanted), strict=True):
        assert z.dtype == w.dtype
        scale = max(1.0, float(np.abs(w).max(initial=0)))
        np.testing.assert_allclose(z, w, rtol=tolerance, atol=tolerance * scale)


DERIVATIVES = {
    "value": scanned,
    "reverse": lambda w, c, xs: scanned(w, c, xs, reverse=True),
    "gradient": myad.grad(total, (0, 1, 2)),
    "forward": lambda w, c, xs: myad.jvp(total, (w, c, xs), (w, c, xs)),
    "forward over reverse": lambda w, c, xs: myad.jvp(
        lambda c: myad.grad(total, 0)(w, c, xs), (c,), (c,)
    ),
    "reverse over reverse": lambda w, c, xs: myad.grad(
        lambda w: (myad.grad(total, 1)(w, c, xs) ** 2).sum()
    )(w),
    "batched": lambda w, c, xs: myad.vmap(total, (None, 0, None))(w, myad.stack([c, c * 2]), xs),
    "kept no more than once": lambda w, c, xs: (scanned(w, c, xs), myad.grad(total)(w, c, xs)),
}


@pytest.mark.parametrize("name", DERIVATIVES)
def test_scan_and_its_derivatives(name):
    agree(DERIVATIVES[name], W, C, X)
    agree(DERIVATIVES[name], *(a.astype("f4") for a in (W, C, X)), tolerance=1e-5)


@pytest.mark.parametrize("machine", [Machine(64, 32), Machine(16, 16)])
@pytest.mark.parametrize("poison", [0x00, 0xFF, 0x7F])
def test_loops_on_memory_full_of_anything_are_the_interpreters(machine, poison):
    program, _ = trace(myad.grad(total), W, C, X)
    plan = build(program, machine)
    (wanted,) = run_interpreted(plan, dict(zip(plan.inputs, (W, C, X), strict=True)))
    np.testing.assert_allclose(wanted, myad.grad(total)(W, C, X), rtol=1e-12)
    module = module_of(plan, poison=poison)
    for _ in range(2):
        for place, value in zip(module.inputs, (W, C, X), strict=True):
            module.write(place, value)
        module.run()
        np.testing.assert_allclose(module.read(module.outputs[0]), wanted, rtol=1e-12)


def rows_summed(w, c, xs):
    return myad.scan(lambda c, x: (myad.tanh(c + x @ w), c.sum()), c, xs)[1].sum()


def one_side(w, c, xs):
    return myad.cond(c[0, 0] > 0.0, lambda: (xs @ w).sum(), lambda: c.sum())


@pytest.mark.parametrize("f", [rows_summed, one_side])
def test_gradients_that_nobody_asks_for_are_not_computed(f):
    """For the weights there is a product more than for the carry, for the rows one more still."""
    c, xs = RNG.standard_normal((4, 5)), RNG.standard_normal((7, 4, 5))
    plans = [myad.jit(myad.grad(f, by)).lower(W, c, xs).plan for by in (1, (0, 1), (0, 1, 2))]
    products = [str(plan.loops).count(": for") for plan in plans]
    assert products[0] < products[1] < products[2]


def test_a_loop_is_a_loop():
    """The code of a thousand turns is as long as that of ten, but for how results are cut out."""
    sizes = [len(myad.jit(scanned).lower(W, C, np.zeros((turns, 5))).ir) for turns in (10, 1000)]
    assert sizes[1] < 1.2 * sizes[0]


def test_carries_of_several_dtypes():
    def f(x):
        def step(carry, v):
            count, seen, key, total = carry
            key = myad.random_split(key)[1]
            noise = myad.random_uniform(key, shape=(2,), dtype=np.dtype("f4"))
            new = count + 1, myad.logical_or(seen, v[0] > 1.0), key, total + v
            return new, (count, noise, v > 0.0)

        start = np.int8(0), np.array(False), myad.random_key(1), np.zeros(3)
        return myad.scan(step, start, x)

    agree(f, X[:, :3])


def test_loops_without_turns_and_with_empty_rows():
    agree(lambda c: myad.scan(lambda c, x: (c * x, c), c, np.zeros((0, 5))), C)
    agree(lambda c: myad.scan(lambda c, x: (c * 2.0, x), c, np.zeros((3, 0))), C)
    agree(myad.grad(lambda c: myad.scan(lambda c, _: (c * 2.0, c), c, None, 4)[1].sum()), C)


def collatz(n):
    def turn(v):
        m, count = v
        odd = m % 2 == 1
        half = myad.cast(myad.floor(myad.cast(m, float) * 0.5), int)
        return myad.where(odd, m * 3 + 1, half), count + 1

    return myad.while_loop(lambda v: v[0] > 1, turn, (n, np.array(0)))


def newton(a):
    def far(s):
        return abs(s[0] * s[0] - a) > 1e-12

    return myad.while_loop(far, lambda s: ((s[0] + a / s[0]) * 0.5, s[1] + 1), (a, 0))


def test_while_loops_turn_as_often_as_data_say():
    for n in (1, 6, 27):
        agree(collatz, np.array(n))
    assert myad.jit(collatz)(np.array(27))[1] == 111
    agree(newton, np.array(2.0))
    agree(lambda a: myad.jvp(lambda a: newton(a)[0], (a,), (np.ones(()),)), np.array(3.0))
    agree(lambda a: myad.vmap(newton)(a), np.array([2.0, 3.0, 1e4]))


def branched(p, x, w):
    return myad.cond(p, lambda y: (myad.sin(y) @ w, y.sum()), lambda y: (y * 2.0, (y * w).sum()), x)


@pytest.mark.parametrize("p", [True, False])
def test_branches_and_their_derivatives(p):
    p = np.array(p)
    agree(branched, p, C, W)

    def f(x, w):
        a, b = branched(p_traced, x, w)
        return (a * a).sum() * b

    for transform in (lambda f: myad.grad(f, (0, 1)), lambda f: myad.hessian(f)):

        def g(q, x, w, transform=transform):
            nonlocal p_traced
            p_traced = q
            return transform(f)(x, w)

        p_traced = p
        agree(g, p, C, W)


def test_loops_inside_of_loops_and_branches():
    def f(w, xs):
        def outer(c, x):
            def inner(d, y):
                return myad.cond(y > 0.0, lambda: d * y, lambda: myad.sin(d)), None

            end = myad.scan(inner, c, x)[0]
            turns = myad.while_loop(lambda s: s < 3.0, lambda s: s * 1.5 + 1.0, abs(end.sum()))
            return myad.tanh(end @ w), myad.stop_gradient(turns)

        end, ys = myad.scan(outer, C, xs)
        return end.sum() + ys.sum()

    agree(f, W, X)
    agree(myad.grad(f, (0, 1)), W, X)


def test_a_custom_gradient_stands_where_it_is_called():
    @myad.custom_vjp
    def f(x):
        return myad.sin(x)

    f.defvjp(lambda x: (myad.sin(x), (x, myad.argmax(x))), lambda r, d: (d * r[0] * 3.0,))
    agree(lambda x: (f(x), myad.grad(lambda x: (f(x) * C).sum())(x)), C)
    agree(myad.grad(lambda x: (myad.checkpoint(lambda y: myad.exp(y) * y)(x) * C).sum()), C)


def test_training_through_places_of_data_keeps_state_in_place():
    """An embedding: rows of a table, trained by what is added up at their places."""
    table, ids = RNG.standard_normal((6, 3)), RNG.integers(0, 6, (5, 4))

    def loss(table, ids):
        end, _ = myad.scan(lambda c, e: (myad.tanh(c + e.sum(0)), None), np.zeros(3), table[ids])
        return (end * end).sum()

    def step(table, ids):
        value, slope = myad.value_and_grad(loss)(table, ids)
        return table - slope * 0.1, value

    program, _ = trace(step, table, ids)
    plan = build(program, Machine(32, 16), state={0: 0})
    module = module_of(plan)
    module.write(module.inputs[0], table)
    module.write(module.inputs[1], ids)
    for _ in range(3):
        table, value = step(table, ids)
        module.run()
        np.testing.assert_allclose(module.read(module.outputs[0]), table, rtol=1e-12)
        np.testing.assert_allclose(module.read(module.outputs[1]), value, rtol=1e-12)


def test_loops_are_printed_with_what_is_inside():
    text = myad.jit(scanned).lower(W, C, X).plan.loops
    assert "nested(" in text
    assert "body 0:" in text
    assert "tanh" in text
