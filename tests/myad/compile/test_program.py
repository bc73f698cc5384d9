"""Tracing, the program's own checks, and the passes over it."""

import numpy as np
import pytest

import myad
from myad.compile.program.program import Program, Step
from myad.compile.program.simplify import fold_constants, merge_equal, remove_unread, simplify
from myad.compile.program.trace import trace
from myad.core import PRIMITIVES
from myad.errors import CompileError, ShapeError, TraceError

X = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


def names(program):
    return [step.op.name for step in program.steps]


def test_a_traced_function_prints_its_steps():
    program, _ = trace(lambda x, y: {"z": myad.exp(x) * y}, X, X, names=["x", "y"])
    assert str(program) == (
        "inputs  x:float64[2, 3], y:float64[2, 3]\n"
        "  v1:float64[2, 3] = exp(x)\n"
        "  v2:float64[2, 3] = multiply(v1, y)\n"
        "outputs v2"
    )


def test_a_program_runs_as_the_function_does():
    program, _ = trace(myad.grad(lambda x: (myad.tanh(x) * x).sum()), X)
    (got,) = program.run(X)
    np.testing.assert_allclose(got, myad.grad(lambda x: (myad.tanh(x) * x).sum())(X))


def test_a_branch_on_a_value_cannot_be_traced():
    with pytest.raises(TraceError, match="only shapes are known"):
        trace(lambda x: x if float(x.sum()) > 0 else -x, X)


def test_shapes_are_checked_while_tracing():
    with pytest.raises(ShapeError, match="matmul"):
        trace(lambda x, y: x @ y, X, X)


def test_an_argument_that_is_no_array_is_named():
    with pytest.raises(CompileError, match=r"argument settings\.name is not an array"):
        trace(lambda settings: settings, {"name": object()}, names=["settings"])


def test_a_result_that_is_no_array_is_named():
    with pytest.raises(CompileError, match=r"result\.1 is not an array"):
        trace(lambda x: (x, "text"), X)


def test_the_checker_finds_a_step_before_its_input():
    program, _ = trace(lambda x: myad.exp(x) * x, X)
    program.steps.reverse()
    with pytest.raises(CompileError, match="reads v1 before it exists"):
        program.check()


def test_the_checker_finds_a_wrong_shape():
    program, _ = trace(myad.exp, X)
    program.steps[0].output.shape = (7,)
    with pytest.raises(CompileError, match=r"should give float64\[2, 3\]"):
        program.check()


def test_variables_of_two_programs_do_not_mix():
    first, second = Program(), Program()
    x, y = first.input((2,), np.float64, "x"), second.input((2,), np.float64, "y")
    with pytest.raises(CompileError, match="another trace"):
        first.append(PRIMITIVES["add"], [x, y], {})


def test_what_nobody_reads_is_removed():
    program, _ = trace(lambda x: (myad.exp(x), x * 2.0)[1], X)
    assert names(remove_unread(program)) == ["multiply"]


def test_equal_steps_become_one():
    program, _ = trace(lambda x: myad.exp(x) * myad.exp(x), X)
    assert names(remove_unread(merge_equal(program))) == ["exp", "multiply"]


def test_constants_are_folded_and_neutral_steps_vanish():
    program, _ = trace(lambda x: (x * 1.0 + 0.0) * myad.exp(np.zeros(())), X)
    assert names(remove_unread(fold_constants(program))) == []


def test_subtraction_from_zero_is_not_neutral():
    program, _ = trace(lambda x: np.zeros((2, 3)) - x, X)
    (got,) = simplify(program).run(X)
    np.testing.assert_array_equal(got, -X)


def test_simplifying_keeps_the_meaning(rng):
    images = rng.standard_normal((2, 6, 6, 1))
    kernel = rng.standard_normal((3, 3, 1, 2))

    def loss(kernel, images):
        z = myad.relu(myad.conv2d(images, kernel, padding="same"))
        return myad.softmax(z.reshape((2, -1))).var()

    program, _ = trace(myad.value_and_grad(loss), kernel, images)
    before = program.run(kernel, images)
    after = simplify(program).run(kernel, images)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_the_gradient_of_the_images_is_never_computed():
    def loss(kernel, images):
        return myad.conv2d(images, kernel).sum()

    kernel, images = np.zeros((3, 3, 1, 1)), np.zeros((1, 6, 6, 1))
    program, _ = trace(lambda k, x: myad.grad(loss, (0, 1))(k, x)[0], kernel, images)
    assert "correlate2d_input_gradient" not in names(simplify(program))


def test_an_operation_without_a_kernel_is_refused_by_name():
    program, _ = trace(lambda x: myad.linalg.svd(x)[1], X)
    with pytest.raises(CompileError, match=r"no kernel rule for singular_.*train eagerly"):
        simplify(program)


def test_a_step_is_printed_with_its_static_parameters():
    program, _ = trace(lambda x: x.sum(axis=1), X, names=["x"])
    step = program.steps[0]
    assert isinstance(step, Step)
    assert str(step) == "v1:float64[2] = reduce_sum(x, axis=(1,), keepdims=False)"
