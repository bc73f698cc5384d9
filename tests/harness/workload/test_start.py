"""Starting weights, orders, and weight files that are not what they should be."""

import zipfile

import numpy as np
import pytest

from harness.workload.format import load as load_workload
from harness.workload.shapes import resolve
from harness.workload.start import WeightsError, initial_weights, load, order, save

MODEL = resolve(load_workload("paper").document(), (28, 28, 1), 10)["model"]


def test_kernels_are_glorot_uniform_and_biases_zero():
    weights = initial_weights(MODEL, 0, "float32")
    limit = np.sqrt(6 / (169 + 10))
    assert 0.98 * limit < np.abs(weights["3.kernel"]).max() <= limit
    assert abs(weights["3.kernel"].mean()) < 0.02
    assert np.abs(weights["0.kernel"]).max() <= np.sqrt(6 / 18)
    assert not weights["3.bias"].any()
    assert {values.dtype for values in weights.values()} == {np.dtype("float32")}


def test_a_seed_gives_the_same_weights_in_both_number_types():
    single, double = (initial_weights(MODEL, 5, dtype) for dtype in ("float32", "float64"))
    other = initial_weights(MODEL, 6, "float32")
    for name, values in single.items():
        assert np.array_equal(values, double[name])
        assert double[name].dtype == np.float64
    assert not np.array_equal(single["3.kernel"], other["3.kernel"])


def test_an_order_is_a_permutation_per_epoch():
    found = order(3, 2, 50)
    assert found.dtype == np.int32
    assert np.array_equal(np.sort(found, axis=1), [np.arange(50)] * 2)
    assert not np.array_equal(found[0], found[1])
    assert np.array_equal(found, order(3, 2, 50))
    # fewer epochs are the first of them: learning curves hang on it
    assert np.array_equal(found[:1], order(3, 1, 50))


def test_a_file_is_read_back(tmp_path):
    weights = initial_weights(MODEL, 1, "float32")
    save(tmp_path / "w.npz", weights)
    found = load(tmp_path / "w.npz", MODEL)
    assert all(np.array_equal(found[name], values) for name, values in weights.items())
    assert [path.name for path in tmp_path.iterdir()] == ["w.npz"]


def replaced(**arrays) -> dict:
    changes = {name.replace("_", "."): values for name, values in arrays.items()}
    return {**initial_weights(MODEL, 1, "float32"), **changes}


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (replaced(k0_kernel=np.zeros(3)), "holds .*k0.kernel.*; expected 0.kernel, 0.bias"),
        ({}, "holds nothing; expected"),
        ({**replaced(), "0.kernel": np.zeros((3, 3, 1, 2))}, r"0.kernel is float64 \(3, 3, 1, 2\)"),
        ({**replaced(), "0.kernel": np.zeros((3, 3, 1, 1), int)}, "0.kernel is int64"),
        ({**replaced(), "3.bias": np.full(10, np.nan)}, "3.bias holds values that are not finite"),
        ({**replaced(), "3.bias": np.zeros(10**6)}, "3.bias unpacks to 8000128 bytes, more than"),
        ({**replaced(), "0.bias": np.array([{}])}, "holds object, and not plain numbers"),
    ],
)
def test_weights_of_another_kind_are_refused(tmp_path, weights, message):
    np.savez(tmp_path / "w.npz", **weights)
    with pytest.raises(WeightsError, match=message):
        load(tmp_path / "w.npz", MODEL)


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(100)])
def test_a_damaged_file_is_refused(tmp_path, content):
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights: w\.npz: "):
        load(tmp_path / "w.npz", MODEL)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("0.kernel", "0.bias", "3.kernel", "3.bias"):
            archive.writestr(f"{name}.npy", bytes(10_000_000))
    with pytest.raises(WeightsError, match=r"0\.kernel unpacks to 10000000 bytes"):
        load(tmp_path / "w.npz", MODEL)
