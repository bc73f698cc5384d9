"""Accuracy of the vector functions over their whole range."""

import ctypes
import math

import numpy as np
import pytest

from myad.compile.llvm.native import NativeModule
from myad.compile.llvm.trigonometry import cos, sin
from myad.compile.llvm.vectormath import exp

LANES = 8


def native(function, values):
    dtype = {"float32": "f32", "float64": "f64"}[values.dtype.name]
    name, sources = function(dtype, LANES)
    kind = f"<{LANES} x {'float' if dtype == 'f32' else 'double'}>"
    caller = (
        f"define void @call(ptr %x, ptr %y) {{\n %a = load {kind}, ptr %x, align 4\n"
        f" %b = call {kind} {name}({kind} %a)\n store {kind} %b, ptr %y, align 4\n ret void\n}}"
    )
    module = NativeModule("\n".join([*sources.values(), caller, "attributes #0 = { nounwind }"]))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(module.address("call"))
    result = np.empty_like(values)
    for first in range(0, len(values), LANES):
        call(values[first:].ctypes.data, result[first:].ctypes.data)
    return result


@pytest.mark.parametrize(("dtype", "low", "high"), [("f4", -87, 88.7), ("f8", -708, 709.7)])
def test_exp_is_exact_to_two_units_in_the_last_place(dtype, low, high):
    x = np.linspace(low, high, 80_000).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    error = np.abs(native(exp, x) - exact) / np.spacing(exact.astype(dtype))
    assert error.max() <= 2


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_exp_keeps_nan_infinity_and_zero(dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0, 1000, -1000, 89, -0.0], dtype)
    got = native(exp, x)
    assert math.isnan(got[0])
    np.testing.assert_array_equal(got[[1, 2, 3, 4, 5, 7]], [np.inf, 0, 1, np.inf, 0, 1])


def test_exp_underflows_gradually():
    x = np.full(LANES, -100, "f4")
    np.testing.assert_allclose(native(exp, x), np.exp(x), rtol=0.05)


TRIGONOMETRY = {"sin": (sin, np.sin), "cos": (cos, np.cos)}


@pytest.mark.parametrize("name", TRIGONOMETRY)
@pytest.mark.parametrize(("dtype", "units"), [("f4", 1.5), ("f8", 2.5)])
def test_sine_and_cosine_are_exact_to_a_few_units_in_the_last_place(name, dtype, units, rng):
    function, reference = TRIGONOMETRY[name]
    quarters = (np.arange(-4000, 84_000, 3) * np.pi / 2).astype(dtype)  # there, one is nearly 0
    spread = [rng.uniform(-reach, reach, 20_000) for reach in (1, 100, 1e4, 2.0**17, 2.0**20)]
    tiny = np.finfo(dtype).tiny * rng.uniform(-4, 4, 800)  # some of them subnormal
    around = [quarters, np.nextafter(quarters, np.inf), np.nextafter(quarters, -np.inf)]
    x = np.concatenate([*around, *spread, tiny]).astype(dtype)
    x = x[: len(x) // LANES * LANES]
    exact = reference(x.astype(np.longdouble))
    error = np.abs(native(function, x) - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() <= units


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sine_keeps_the_sign_of_a_zero(dtype):
    x = np.tile(np.array([0.0, -0.0], dtype), LANES // 2)
    np.testing.assert_array_equal(np.signbit(native(sin, x)), np.signbit(x))
    np.testing.assert_array_equal(native(cos, x), np.ones_like(x))


@pytest.mark.parametrize("name", TRIGONOMETRY)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sine_and_cosine_of_what_is_far_or_no_number(name, dtype):
    function, reference = TRIGONOMETRY[name]
    x = np.array(
        [
            1e30,
            -1e7,
            np.nan,
            np.inf,
            -np.inf,
            0,
            1e-40,
            2.0**20,
            3e38,
            -3e38,
            131072.01,
            -131071.99,
            131072,
            1e-45,
            0.5,
            140_000,
        ],
        dtype,
    )
    got = native(function, x)
    assert np.isnan(got[2:5]).all()
    rest = np.delete(np.arange(len(x)), [2, 3, 4])  # they take neighbours along to the library
    np.testing.assert_allclose(got[rest], reference(x[rest]), rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", TRIGONOMETRY)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_sine_and_cosine_of_a_number_do_not_hang_on_its_neighbours(name, dtype, rng):
    function = TRIGONOMETRY[name][0]
    x = rng.uniform(-100, 100, 4096).astype(dtype)
    beside = x.copy()
    beside[::LANES] = np.nan
    kept = np.arange(len(x)) % LANES != 0
    np.testing.assert_array_equal(native(function, x)[kept], native(function, beside)[kept])
