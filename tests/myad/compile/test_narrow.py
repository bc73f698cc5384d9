"""Elements that nobody reads are not computed."""

import numpy as np
import pytest

import myad
from myad.compile.build import build
from myad.compile.loops.steps import run_interpreted
from myad.compile.program.trace import trace
from myad.compile.schedule.layout import Machine

X = np.linspace(-1.0, 1.0, 9 * 8).reshape(9, 8)
W = np.linspace(0.5, -0.5, 8 * 7).reshape(8, 7)


def planned(function, *arrays):
    """The plan of `function`, whose results are right."""
    program, _ = trace(function, *arrays)
    plan = build(program, Machine(32, 16))
    found = run_interpreted(plan, dict(zip(plan.inputs, arrays, strict=True)))
    for one, other in zip(found, program.run(*arrays), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    return plan


def product(plan):
    """The kernel of the matrix product."""
    return next(kernel for kernel in plan.kernels if kernel.combine == "add")


# what reads the product, and what is computed of it
READ = {
    "box": (lambda z: myad.sin(z[2:5, 1:4]), (3, 3)),
    "every second row": (lambda z: myad.sin(z[1::2]), (4, 7)),
    "one column": (lambda z: myad.sin(z[:, 3]), (9, 1)),
    "all of it": (myad.sin, (9, 7)),
    "twice the same": (lambda z: z[1:3] * myad.sin(z[1:3]), (2, 7)),
    "twice, not the same": (lambda z: z[1:3] * myad.sin(z[2:4]), (9, 7)),
    "from the end": (lambda z: myad.sin(z[::-1]), (9, 7)),
    "overlapping windows": (
        lambda z: myad.max_pooling2d(z.reshape((1, 9, 7, 1)), 3, 1), (9, 7),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_computed_is_what_is_read(name):
    reader, shape = READ[name]
    kernel = product(planned(lambda x, w: reader(x @ w), X, W))
    sizes = [next((a.size for a in part.terms), 1) for part in kernel.index]
    # dimensions of the output that are split later have one index each
    assert int(np.prod(sizes)) == int(np.prod(shape))


def test_an_output_is_computed_whole():
    plan = planned(lambda x, w: (x @ w, myad.sin((x @ w)[:2])), X, W)
    assert product(plan).output.shape == (9, 7)


def test_a_chain_shrinks_from_its_end():
    plan = planned(lambda x, w, v: myad.sin(((x @ w) @ v)[1:3]), X, W, W.T.copy())
    assert [kernel.output.shape[0] for kernel in plan.kernels if kernel.combine == "add"] == [2, 2]


def test_several_readers_leave_it_whole():
    def function(x, w, v, u):
        z = x @ w
        return z[:2] @ v, z[3:6] @ u

    assert product(planned(function, X, W, W.T.copy(), W.T.copy())).output.shape == (9, 7)
