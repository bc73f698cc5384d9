"""Where infinities or overflow meet in a sum the checker takes NumPy's value or the sum's own; and
what is wrong beside it is found as ever."""

import numpy as np
import pytest

from tests.myad.random_programs import check as checker
from tests.myad.random_programs.check import check
from tests.myad.random_programs.program import Line, RandomProgram

BIG = np.float32(3e38)


def program(*texts, **inputs):
    """Lines v0, v1, … of float32 inputs; all are results."""
    names = [*inputs, *[f"v{n}" for n in range(len(texts))]]
    lines = [
        Line(f"v{n}", text, tuple(name for name in names if name in text), text)
        for n, text in enumerate(texts)
    ]
    arrays = {name: np.array(x, np.float32) for name, x in inputs.items()}
    return RandomProgram(seed=0, inputs=arrays, constants={}, lines=lines,
                         outputs=[line.name for line in lines])  # fmt: skip


PERMITTED = {
    # NumPy: -inf · (1 + 2 - 1); term by term: -inf and +inf
    "einsum takes a factor out": program(
        "myad.einsum('ab,abk->b', x, y)", x=[[-np.inf, 2]], y=[[[1, 2, -1], [1, 2, 3]]]
    ),
    # eager: inf - inf; fused: 3e38·2 - inf and the like
    "a fused product does not overflow": program(
        "x * y", "y * -x", "v0 + v1", x=[BIG, 1], y=[2, 2]
    ),
    "through a longer sum": program(
        "x * y", "v0 + x", "x * z", "v1 + v2", x=[BIG, 1], y=[2, 2], z=[-1.5, 1]
    ),
    "a product of matrices overflows on its way": program(
        "x @ y", x=[[BIG, BIG, 1], [1, 2, 3]], y=[[2], [-2], [1]]
    ),
    "sums of infinities": program(
        "(x * y).sum(axis=1)", x=[[BIG, -BIG, 1], [1, 2, 3]], y=[[2, 2, 1], [1, 1, 1]]
    ),
}  # fmt: skip


def with_native(monkeypatch, change):
    """Machine code whose results are changed."""
    right = checker.Function.native

    def native(self):
        run = right(self)
        return lambda *given: change([np.array(v) for v in run(*given)])

    monkeypatch.setattr(checker.Function, "native", native)


def special(results):
    """A result for each: a NaN in its first number, which is where infinities met."""
    results[-1].flat[0] = np.nan
    return results


@pytest.mark.parametrize("name", PERMITTED)
def test_what_the_sum_gives_in_another_order_is_right(name, monkeypatch):
    assert not check(PERMITTED[name]).failed
    with_native(monkeypatch, special)
    assert not check(PERMITTED[name]).failed


@pytest.mark.parametrize("wrong", [np.nan, np.inf, 7.001])
@pytest.mark.parametrize("name", PERMITTED)
def test_a_fault_beside_it_is_found(name, wrong, monkeypatch):
    def change(results):
        results[-1].flat[1] = wrong
        return results

    with_native(monkeypatch, change)
    last = len(PERMITTED[name].outputs) - 1
    assert f"native: result {last}: 1 of 2 elements; at [1" in check(PERMITTED[name]).failed


@pytest.mark.parametrize("wrong", [np.nan, BIG, -np.inf])
def test_a_product_that_no_sum_takes_overflows(wrong, monkeypatch):
    def change(results):
        results[0][0] = wrong
        return results

    with_native(monkeypatch, change)
    overflows = PERMITTED["a fused product does not overflow"]
    assert "native: result 0: 1 of 2 elements; at [0]" in check(overflows).failed


@pytest.mark.parametrize("wrong", [np.nan, 1.0, -np.inf])
def test_an_infinity_that_meets_no_other_stays(wrong, monkeypatch):
    def change(results):
        results[0][0] = wrong
        return results

    with_native(monkeypatch, change)
    infinite = program("x @ y", x=[[np.inf, 1], [1, 2]], y=[[1], [2]])
    assert "native: result 0: 1 of 2 elements; at [0" in check(infinite).failed


def test_blas_may_leave_out_a_product_with_zero(monkeypatch):
    nothing = program("x @ y", x=[[0.0]], y=[[-np.inf, 1, 2]])
    assert not check(nothing).failed
    with_native(monkeypatch, lambda results: [np.array([[np.nan, 0, 1]], np.float32)])
    assert "1 of 3 elements; at [0, 2]" in check(nothing).failed
