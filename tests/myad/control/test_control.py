"""Loops and branches against the same code written out: values, derivatives, refusals."""

import numpy as np
import pytest

import myad
from myad import Tensor, check_gradient, errors

RNG = np.random.default_rng(4)
X = RNG.standard_normal((5, 3))
W = 0.4 * RNG.standard_normal((3, 3))
C = RNG.standard_normal(3)


def cell(w, c, x):
    new = myad.tanh(c @ w + x * c)
    return new, (new * x).sum()


def written_out(w, c, xs, reverse=False):
    ys = [None] * len(xs)
    for t in reversed(range(len(xs))) if reverse else range(len(xs)):
        c, ys[t] = cell(w, c, xs[t])
    return c, myad.stack(ys)


def scanned(w, c, xs, reverse=False):
    return myad.scan(lambda c, x: cell(w, c, x), c, xs, reverse=reverse)


def total(loop, reverse=False):
    def f(w, c, xs):
        end, ys = loop(w, c, xs, reverse)
        return (end * end).sum() + (ys * ys * ys).sum()

    return f


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_is_the_loop_written_out(reverse):
    for found, wanted in zip(scanned(W, C, X, reverse), written_out(W, C, X, reverse), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    loop, line = total(scanned, reverse), total(written_out, reverse)
    for n in range(3):
        np.testing.assert_allclose(
            myad.grad(loop, n)(W, C, X), myad.grad(line, n)(W, C, X), rtol=1e-11
        )
    tangents = W + 1, C - 1, X * X
    found = myad.jvp(loop, (W, C, X), tangents)[1]
    np.testing.assert_allclose(found, myad.jvp(line, (W, C, X), tangents)[1], rtol=1e-11)


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_of_scan_in_both_modes(order):
    check_gradient(total(scanned), [W, C, X], order=order, tolerance=1e-6)


def test_derivatives_nest_in_any_way():
    f, g = total(scanned), total(written_out)
    for twice in (
        lambda f: myad.jacobian(myad.grad(f, 1), 1)(W, C, X),
        lambda f: myad.jvp(lambda c: myad.grad(f, 0)(W, c, X), (C,), (C * C,))[1],
        lambda f: myad.grad(lambda c: myad.jvp(lambda w: f(w, c, X), (W,), (W,))[1])(C),
        lambda f: myad.jvp(lambda c: myad.jvp(lambda w: f(w, c, X), (W,), (W,))[1], (C,), (C,))[1],
    ):
        np.testing.assert_allclose(twice(f), twice(g), rtol=1e-10, atol=1e-12)


def test_what_the_body_closes_over_is_differentiated_and_the_rest_is_not():
    def f(w):
        def step(c, x):
            return c * w + myad.stop_gradient(w) * x, None

        return myad.scan(step, np.zeros(()), X[:, 0])[0]

    def g(w, still):
        c = 0.0
        for x in X[:, 0]:
            c = c * w + still * x
        return c

    w = np.array(0.7)
    np.testing.assert_allclose(myad.grad(f)(w), myad.grad(g)(w, 0.7), rtol=1e-12)
    inside = myad.grad(lambda w: myad.scan(lambda c, x: (c + w * w * x, None), 0.0, X[:, 0])[0])
    np.testing.assert_allclose(inside(w), 2 * w * X[:, 0].sum(), rtol=1e-12)
    leaf = Tensor(w, requires_grad=True)
    myad.scan(lambda c, x: (c + leaf * x, None), 0.0, X[:, 0])[0].backward()
    np.testing.assert_allclose(leaf.grad.value, X[:, 0].sum(), rtol=1e-12)


def test_carries_of_every_dtype_and_trees():
    def step(carry, x):
        count, key, total = carry["count"], carry["key"], carry["total"]
        key = myad.random_split(key)[0]
        new = {"count": count + 1, "key": key, "total": total + x * x}
        return new, (
            count,
            myad.greater(x, 0.0),
            myad.random_uniform(key, shape=(2,), dtype=X.dtype),
        )

    start = {"count": np.int32(0), "key": myad.random_key(5), "total": np.zeros(3)}
    end, (counts, positive, drawn) = myad.scan(step, start, X)
    assert (end["count"].dtype, counts.dtype, positive.dtype) == (np.int32, np.int32, bool)
    np.testing.assert_array_equal(counts, np.arange(5))
    np.testing.assert_array_equal(positive, X > 0)
    np.testing.assert_allclose(end["total"], (X * X).sum(0))
    assert len(np.unique(drawn)) == 10
    # integer carries are kept for reverse mode, too
    found = myad.grad(
        lambda x: myad.scan(
            lambda c, v: ((c[0] + 1, c[1] + v * myad.cast(c[0], float)), None), (0, 0.0), x
        )[0][1]
    )(X[:, 0])
    np.testing.assert_array_equal(found, np.arange(5.0))


def test_python_floats_take_the_type_beside_them():
    end, ys = myad.scan(lambda c, x: (c * 0.5 + x, c), 0.0, X[:, 0].astype("f4"))
    assert end.dtype == ys.dtype == np.float32
    start = (0.0, 0, np.ones(2, "f4"))
    end = myad.while_loop(lambda s: s[1] < 3, lambda s: (s[0] + s[2][0], s[1] + 1, s[2]), start)
    assert [z.dtype for z in end] == [np.float32, np.int64, np.float32]
    compiled = myad.jit(lambda x: myad.scan(myad.jit(lambda c, v: (c + v, c)), 0.0, x))
    np.testing.assert_allclose(compiled(X[:, 0])[0], X[:, 0].sum())


def test_scan_without_rows_and_of_no_turns():
    end, ys = myad.scan(lambda c, _: (c * 2.0, c), np.array(1.0), length=6)
    assert end == 64
    np.testing.assert_array_equal(ys, 2.0 ** np.arange(6))
    end, ys = myad.scan(lambda c, x: (c + x, c), np.array(1.0), np.zeros(0))
    assert (end, ys.shape) == (1.0, (0,))
    assert myad.grad(lambda c: myad.scan(lambda c, x: (c * x, c), c, np.zeros(0))[0])(2.0) == 1.0
    assert myad.fori_loop(2, 6, lambda i, v: v + i, np.int32(0)) == 14


def test_while_loop_turns_and_has_forward_derivatives():
    def newton(a):
        def far(s):
            return abs(s[0] * s[0] - a) > 1e-12

        return myad.while_loop(far, lambda s: ((s[0] + a / s[0]) * 0.5, s[1] + 1), (a, 0))

    root, count = newton(np.array(2.0))
    np.testing.assert_allclose(root, 2**0.5)
    assert count == 5
    slope = myad.jvp(lambda a: newton(a)[0], (2.0,), (1.0,))[1]
    np.testing.assert_allclose(slope, 0.5 / 2**0.5)
    bend = myad.jvp(lambda b: myad.jvp(lambda a: newton(a)[0], (b,), (1.0,))[1], (2.0,), (1.0,))[1]
    np.testing.assert_allclose(bend, -0.25 / 2**1.5, rtol=1e-8)
    with pytest.raises(errors.GraphError, match=r"while_loop: reverse mode .* use scan"):
        myad.grad(lambda a: newton(a)[0])(2.0)


def test_cond_computes_one_branch_and_differentiates_it():
    w = np.array(3.0)

    def f(p, x, w):
        return myad.cond(p, lambda y: myad.sin(y) * w, lambda y: y * y * y, x)

    yes, no = np.array(True), np.array(False)
    np.testing.assert_allclose(f(yes, 2.0, w), 3 * np.sin(2))
    np.testing.assert_allclose(f(no, 2.0, w), 8.0)
    np.testing.assert_allclose(myad.grad(f, (1, 2))(yes, 2.0, w), (3 * np.cos(2), np.sin(2)))
    np.testing.assert_allclose(myad.grad(f, (1, 2))(no, 2.0, w), (12.0, 0.0))
    for p in (yes, no):
        check_gradient(lambda x, w, p=p: f(p, x, w), [np.array(2.0), w], order=2)
    with np.errstate(all="raise"):  # the other branch is not computed
        assert myad.cond(no, lambda y: myad.log(y), lambda y: y, np.array(-1.0)) == -1.0


def test_custom_gradients():
    @myad.custom_vjp
    def clipped(x, limit):
        return x * 1.0

    clipped.defvjp(
        lambda x, limit: (x * 1.0, limit), lambda limit, d: (myad.clip(d, -limit, limit), None)
    )
    assert myad.grad(lambda x: clipped(x, 0.5) * 3.0)(2.0) == 0.5
    assert myad.jit(myad.grad(lambda x: clipped(x, 0.5) * 0.25))(np.array(2.0)) == 0.25

    @myad.custom_vjp
    def sine(x):
        raise AssertionError("the forward rule is called instead")

    sine.defvjp(lambda x: (myad.sin(x), x), lambda x, d: (d * myad.cos(x),))
    np.testing.assert_allclose(myad.grad(myad.grad(myad.grad(sine)))(0.3), -np.cos(0.3))

    @myad.custom_jvp
    def product(x, y):
        return x * y

    product.defjvp(lambda xs, ts: (xs[0] * xs[1], ts[0] * xs[1] * 3.0 + xs[0] * ts[1]))
    np.testing.assert_allclose(myad.grad(product, (0, 1))(2.0, 5.0), (15.0, 2.0))
    np.testing.assert_allclose(myad.jvp(product, (2.0, 5.0), (1.0, 0.0))[1], 15.0)
    np.testing.assert_allclose(myad.grad(lambda x: myad.grad(product)(x, x))(2.0), 3.0)

    def closing(x):
        inner = myad.custom_vjp(lambda y: x * y)
        inner.defvjp(lambda y: (x * y, None), lambda _, d: (d,))
        return inner(1.0)

    with pytest.raises(errors.GraphError, match="closes over a tensor"):
        myad.grad(closing)(2.0)


def test_checkpoint_has_the_derivatives_of_what_it_computes_again():
    calls = []

    def f(x, w):
        calls.append(None)
        return myad.tanh(x @ w) @ w

    kept = myad.checkpoint(f)
    check_gradient(kept, [X, W], order=2, tolerance=1e-6)
    for n in range(2):
        np.testing.assert_allclose(
            myad.grad(lambda x, w: (kept(x, w) ** 2).sum(), n)(X, W),
            myad.grad(lambda x, w: (f(x, w) ** 2).sum(), n)(X, W),
            rtol=1e-12,
        )
    x = Tensor(X, requires_grad=True)
    z = kept(x, W)
    held = [i for i in _record_of(z) if i is not x]
    assert sum(np.asarray(i.value).size for i in held) <= 2 * z.size  # the result and a view of it


def _record_of(z):
    found, waiting = [], list(z.inputs)
    while waiting:
        i = waiting.pop()
        if isinstance(i, Tensor):
            found.append(i)
            waiting += i.inputs
    return found


def test_hessian_is_the_jacobian_of_the_gradient():
    np.testing.assert_allclose(myad.hessian(lambda x: (x**3).sum())(C), np.diag(6 * C))
    (a, b), (c, d) = myad.hessian(lambda x, y: x * x * y, (0, 1))(2.0, 5.0)
    assert (a, b, c, d) == (10.0, 4.0, 4.0, 0.0)


def test_normal_draws_and_keys():
    keys = myad.random_split(myad.random_key(1), 1000)
    assert len(np.unique(keys, axis=0)) == 1000
    assert not np.array_equal(myad.random_split(keys[0]), myad.random_split(keys[1]))
    z = myad.random_normal(keys[0], shape=(200_000,), dtype=np.float64)
    np.testing.assert_allclose([z.mean(), z.var(), (z**3).mean()], [0, 1, 0], atol=0.02)
    np.testing.assert_allclose((z**4).mean(), 3, atol=0.06)
    compiled = myad.jit(lambda k: myad.random_normal(myad.random_split(k)[1], shape=(7, 3)))
    np.testing.assert_allclose(
        compiled(keys[2]), myad.random_normal(myad.random_split(keys[2])[1], shape=(7, 3)),
        rtol=1e-4, atol=1e-5,
    )  # fmt: skip


REFUSED = {
    "carry of another shape": (
        lambda: myad.scan(lambda c, x: (x, c), np.zeros(2), X), "ShapeError", "carry of shape"
    ),
    "carry of another dtype": (
        lambda: myad.scan(lambda c, x: (myad.cast(c, "f4"), x), C, X), "DTypeError", "comes back"
    ),
    "carry of another nesting": (
        lambda: myad.scan(lambda c, x: ((c, c), x), C, X), "TreeError", "the carry went in as"
    ),
    "no pair": (lambda: myad.scan(lambda c, x: c, C, X), "TreeError", "must return"),
    "unequal rows": (
        lambda: myad.scan(lambda c, x: (c, c), C, (X, X[1:])), "ShapeError", "number of turns"
    ),
    "no length": (lambda: myad.scan(lambda c, x: (c, c), C), "OptionError", "length must be"),
    "a number of rows": (lambda: myad.scan(lambda c, x: (c, c), C, 3.0), "ShapeError", "rows"),
    "a condition that is none": (
        lambda: myad.while_loop(lambda c: c, lambda c: c, C), "DTypeError", "one boolean"
    ),
    "a choice that is none": (
        lambda: myad.cond(1.0, lambda: C, lambda: C), "DTypeError", "one boolean"
    ),
    "branches that differ": (
        lambda: myad.cond(True, lambda: C, lambda: C[1:]), "DTypeError", "the branches return"
    ),
    "branches nested otherwise": (
        lambda: myad.cond(True, lambda: C, lambda: (C,)), "TreeError", "the branches return"
    ),
    "a value inside": (
        lambda: myad.scan(lambda c, x: (c if c.sum() > 0 else x, c), C, X), "TraceError", "traced"
    ),
    "no rule": (lambda: myad.custom_vjp(lambda x: x)(C), "OptionError", "no rules yet"),
    "no tangent rule": (lambda: myad.custom_jvp(lambda x: x)(C), "OptionError", "no rule yet"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), REFUSED.values(), ids=REFUSED)
def test_refusals(call, error, text):
    with pytest.raises(getattr(errors, error), match=text):
        call()
