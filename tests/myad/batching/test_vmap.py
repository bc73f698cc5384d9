"""`vmap` against a loop over the examples: every primitive, every nesting of transformations."""

import numpy as np
import pytest

import myad
from myad import errors
from myad.core import PRIMITIVES

RNG = np.random.default_rng(6)
X, W = RNG.standard_normal((4, 3)), RNG.standard_normal((3, 2))


def patterns(count):
    """Which inputs have a batch: all, and each alone."""
    yield (True,) * count
    if count > 1:
        yield from (tuple(n == m for m in range(count)) for n in range(count))


def test_every_primitive_on_batches_is_itself_on_each_example(case):
    static = {**(case.op.value.__kwdefaults__ or {}), **case.static}
    examples = [case.inputs(np.random.default_rng(n)) for n in range(3)]
    for pattern in patterns(len(case.makers)):

        def chosen(n, pattern=pattern):
            return [examples[n if own else 0][i] for i, own in enumerate(pattern)]

        with np.errstate(all="ignore"):
            wanted = np.stack([np.asarray(case.op.value(*chosen(n), **static)) for n in range(3)])
            given = [
                np.stack([e[i] for e in examples]) if own else examples[0][i]
                for i, own in enumerate(pattern)
            ]
            axes = tuple(0 if own else None for own in pattern)
            found = myad.vmap(lambda *xs: case.op(*xs, **static), in_axes=axes)(*given)
        assert np.asarray(found).dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def f(x, w):
    return myad.tanh(x @ w).sum()


def test_it_composes_with_derivatives_and_itself():
    each = np.stack([myad.grad(f, 1)(x, W) for x in X])
    np.testing.assert_allclose(myad.vmap(myad.grad(f, 1), (0, None))(X, W), each)
    np.testing.assert_allclose(
        myad.jit(lambda X, W: myad.vmap(myad.grad(f, 1), (0, None))(X, W))(X, W), each
    )
    # the batched function closes over what is differentiated
    found = myad.grad(lambda w: myad.vmap(lambda x: f(x, w))(X).sum())(W)
    np.testing.assert_allclose(found, each.sum(0))
    _, pushed = myad.jvp(lambda w: myad.vmap(lambda x: f(x, w))(X), (W,), (W,))
    np.testing.assert_allclose(pushed, (each * W).sum((1, 2)))
    np.testing.assert_allclose(
        myad.vmap(lambda x: myad.vmap(lambda y: (x * y).sum())(X))(X), X @ X.T
    )
    hessians = myad.vmap(myad.hessian(lambda x: (x**3).sum()))(X)
    np.testing.assert_allclose(hessians, [np.diag(6 * x) for x in X])
    second = myad.grad(lambda x: myad.vmap(myad.grad(lambda v: (v**3).sum()))(x).sum())(X)
    np.testing.assert_allclose(second, 6 * X)


def test_axes_and_trees():
    found = myad.vmap(lambda p, y: {"s": p["a"] + y}, in_axes=(1, None), out_axes=1)(
        {"a": X}, np.ones(4)
    )
    np.testing.assert_array_equal(found["s"], X + 1)
    np.testing.assert_array_equal(myad.vmap(lambda x: np.float64(2.0), in_axes=-1)(X), [2.0] * 3)


def looped(x):
    c, ys = myad.scan(lambda c, t: (myad.sin(c * t), c), x[0], x)
    return c + ys.sum()


def chosen(x):
    return myad.cond(x[0] > 0, lambda: myad.sin(x).sum(), lambda: (x * x).sum())


def counted(x):
    start = x[0], np.array(0)
    end, n = myad.while_loop(lambda c: c[0] < 2.0, lambda c: (c[0] + x[1] ** 2, c[1] + 1), start)
    return end + myad.cast(n, float)


@pytest.mark.parametrize("g", [looped, chosen, myad.checkpoint(looped)])
def test_loops_and_branches(g):
    np.testing.assert_allclose(myad.vmap(g)(X), [g(x) for x in X])
    np.testing.assert_allclose(myad.vmap(myad.grad(g))(X), [myad.grad(g)(x) for x in X])
    np.testing.assert_allclose(
        myad.grad(lambda X: myad.vmap(g)(X).sum())(X), [myad.grad(g)(x) for x in X]
    )


def test_each_example_turns_as_often_as_it_needs():
    np.testing.assert_allclose(myad.vmap(counted)(X), [counted(x) for x in X])
    tangents = np.stack([myad.jvp(counted, (x,), (x,))[1] for x in X])
    np.testing.assert_allclose(myad.jvp(myad.vmap(counted), (X,), (X,))[1], tangents)
    known = np.array(True)
    np.testing.assert_allclose(
        myad.vmap(lambda x: myad.cond(known, lambda: x * 2.0, lambda: x))(X), 2 * X
    )


def test_refusals():
    with pytest.raises(errors.ShapeError, match="one size of batch"):
        myad.vmap(lambda x, y: x)(X, W)
    with pytest.raises(errors.ShapeError, match="one size of batch"):
        myad.vmap(lambda x: x, in_axes=None)(X)
    with pytest.raises(errors.ShapeError, match="has no axis 2"):
        myad.vmap(lambda x: x, in_axes=2)(X)
    with pytest.raises(errors.OptionError, match="in_axes has 1 entries for 2"):
        myad.vmap(lambda x, y: x, in_axes=(0,))(X, W)

    @myad.primitive
    def unheard_of(x):
        """Nothing that has a batching rule."""
        return x + 1

    unheard_of.shape(lambda x: myad.Spec(x.shape, x.dtype))
    try:
        with pytest.raises(errors.OptionError, match="no batching rule for unheard_of; compose"):
            myad.vmap(unheard_of)(X)
    finally:
        del PRIMITIVES["unheard_of"]
