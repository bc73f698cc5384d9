"""Accuracy of the vector functions over their whole range."""

import ctypes
import math

import numpy as np
import pytest

from myad.compile.llvm.native import NativeModule, object_code
from myad.compile.llvm.trigonometry import cos, sin
from myad.compile.llvm.vectormath import exp, log, tanh

LANES = 8


def native(function, values, lanes=LANES):
    dtype = {"float32": "f32", "float64": "f64"}[values.dtype.name]
    name, sources = function(dtype, lanes)
    kind = "float" if dtype == "f32" else "double"
    kind = kind if lanes == 1 else f"<{lanes} x {kind}>"
    caller = (
        f"define void @call(ptr %x, ptr %y) {{\n %a = load {kind}, ptr %x, align 4\n"
        f" %b = call {kind} {name}({kind} %a)\n store {kind} %b, ptr %y, align 4\n ret void\n}}"
    )
    text = "\n".join([*sources.values(), caller, "attributes #0 = { nounwind }"])
    module = NativeModule(object_code(text))
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)(module.address("call"))
    result = np.empty_like(values)
    for first in range(0, len(values), lanes):
        call(values[first:].ctypes.data, result[first:].ctypes.data)
    return result


REGISTERS = pytest.mark.parametrize("lanes", [1, 4, 8, 16])  # up to the widest of every machine


@REGISTERS
@pytest.mark.parametrize(("dtype", "low", "high"), [("f4", -87, 88.7), ("f8", -708, 709.7)])
def test_exp_is_exact_to_two_units_in_the_last_place(dtype, low, high, lanes):
    x = np.linspace(low, high, 20_000).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    error = np.abs(native(exp, x, lanes) - exact) / np.spacing(exact.astype(dtype))
    assert error.max() <= 2


@REGISTERS
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_exp_keeps_nan_infinity_and_zero(dtype, lanes):
    x = np.array([np.nan, np.inf, -np.inf, 0, 1000, -1000, 89, -0.0] * 2, dtype)
    got = native(exp, x, lanes)[-8:]
    assert math.isnan(got[0])
    np.testing.assert_array_equal(got[[1, 2, 3, 4, 5, 7]], [np.inf, 0, 1, np.inf, 0, 1])


@REGISTERS
@pytest.mark.parametrize(("dtype", "low", "high"), [("f4", -103, -87), ("f8", -744, -708)])
def test_exp_underflows_gradually(dtype, low, high, lanes):
    x = np.linspace(low, high, 160).astype(dtype)
    smallest = float(np.finfo(dtype).smallest_subnormal)
    np.testing.assert_allclose(native(exp, x, lanes), np.exp(x), rtol=1e-6, atol=smallest)


LOGARITHM_AND_TANGENT = {"log": (log, np.log), "tanh": (tanh, np.tanh)}


def spread(name, dtype, rng):
    """Numbers of every size that `name` has values for, dense where its pieces meet."""
    limits = np.finfo(dtype)
    sizes = np.exp(rng.uniform(np.log(limits.tiny), np.log(limits.max), 40_000))
    if name == "log":
        near = [rng.uniform(*ends, 20_000) for ends in ((0.5, 2), (0.999, 1.001), (0.7, 0.71))]
        subnormal = rng.uniform(0, 1, 8000) * float(limits.tiny)
        return np.concatenate([sizes, *near, subnormal]).astype(dtype)
    near = [rng.uniform(-reach, reach, 20_000) for reach in (0.01, 0.7, 2, 25)]
    return np.concatenate([sizes, -sizes, 0.625 + near[0], *near]).astype(dtype)


@pytest.mark.parametrize("name", LOGARITHM_AND_TANGENT)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_logarithm_and_tangent_are_exact_to_two_units_in_the_last_place(name, dtype, rng):
    function, reference = LOGARITHM_AND_TANGENT[name]
    x = spread(name, dtype, rng)
    got, exact = native(function, x), reference(x.astype(np.longdouble))
    error = np.abs(got - exact) / np.spacing(np.abs(exact).astype(dtype))
    assert error.max() <= (1 if name == "log" else 2)


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 5e-324, 1e-45, -1e-45, -1e300, 1e300]


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("name", LOGARITHM_AND_TANGENT)
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_special_values_are_those_of_numpy(name, dtype, lanes):
    function, reference = LOGARITHM_AND_TANGENT[name]
    with np.errstate(all="ignore"):
        x = np.array(SPECIAL).astype(dtype)
        wanted = reference(x)
    got = native(function, x, lanes)
    np.testing.assert_allclose(got, wanted, rtol=2 * np.finfo(dtype).eps)
    numbers = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(wanted[numbers]))


@pytest.mark.parametrize("function", [exp, log, tanh])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_nan_of_every_kind_stays_nan(function, dtype):
    bits = np.random.default_rng(1).integers(1, 2**22, 64)
    whole = np.array(np.nan, dtype).view(f"u{np.dtype(dtype).itemsize}")
    x = (whole | bits.astype(whole.dtype)).view(dtype)
    assert np.isnan(x).all()
    assert np.isnan(native(function, x)).all()
    assert np.isnan(native(function, -x)).all()


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
