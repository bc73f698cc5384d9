"""Deviations and the plain mistakes that explain them."""

import numpy as np
import pytest

from harness.verify.deviation import FAR, explain, largest, relative

RNG = np.random.default_rng(5)
KERNEL = RNG.standard_normal((3, 3, 2, 4))
DENSE = RNG.standard_normal((6, 4))


def test_relative_to_the_largest_value():
    expected = np.array([0.0, 4.0, -8.0])
    assert relative(expected + np.array([0.2, 0.0, -0.4]), expected) == pytest.approx(0.05)
    assert relative(expected, expected) == 0.0
    assert relative(np.zeros(3), np.zeros(3)) == 0.0
    assert relative(np.ones(3), np.zeros(3)) == FAR
    assert relative(np.array([np.nan, 0, 0]), expected) == FAR


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        (1.01 * KERNEL, KERNEL, "1.01 times what is expected"),
        (-KERNEL, KERNEL, "-1 times what is expected"),
        (KERNEL.swapaxes(0, 1), KERNEL, "axes 0 and 1 exchanged"),
        (DENSE.T.reshape(6, 4), DENSE, "axes 0 and 1 exchanged"),
        (KERNEL[::-1, ::-1], KERNEL, "kernel flipped"),
        (DENSE[::-1], DENSE, "reversed along axis 0"),
        (0 * DENSE, DENSE, "all zero"),
        (DENSE * np.inf, DENSE, "values that are not finite"),
        (RNG.standard_normal((6, 4)), DENSE, ""),
    ],
)
def test_a_plain_mistake_is_named(found, expected, words):
    assert explain(found, expected, 1e-4) == words


def test_the_largest_of_several_is_the_one_that_is_told():
    expected = {"a": DENSE, "b": KERNEL}
    deviation = largest({"a": DENSE * (1 + 1e-6), "b": 1.01 * KERNEL}, expected, 1e-4)
    assert deviation.where == "b"
    assert deviation.size == pytest.approx(0.01)
    assert "1.01 times" in deviation.hint
    assert largest({"a": DENSE, "b": KERNEL * (1 + 1e-6)}, expected, 1e-4).hint == ""
