"""The cache of converted data sets: atomic, checked, cut, never unpickled."""

import json
import threading

import numpy as np
import pytest

from harness.data import load as loading
from harness.data.cache import CACHE_VARIABLE, cut, load_array, open_dataset, store
from harness.errors import DataError


@pytest.fixture
def arrays(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (12, 4, 5, 3), np.uint8),
        "train_labels": np.arange(12, dtype=np.uint8) % 3,
        "test_images": rng.integers(0, 256, (6, 4, 5, 3), np.uint8),
        "test_labels": np.arange(6, dtype=np.uint8) % 3,
    }


def test_what_is_stored_is_opened(arrays):
    store("colours", arrays, classes=3, source="test")
    found = open_dataset("colours")
    assert (found.input_shape, found.classes) == ((4, 5, 3), 3)
    assert found.counts == {"train": 12, "test": 6}
    for key, expected in arrays.items():
        np.testing.assert_array_equal(load_array(found.paths[key]), expected)


def test_cut_keeps_the_first_images(arrays):
    whole = store("colours", arrays, classes=3, source="test")
    small = cut(whole, train=5, test=100)
    assert small.counts == {"train": 5, "test": 6}
    np.testing.assert_array_equal(
        load_array(small.paths["train_images"]), arrays["train_images"][:5]
    )
    assert small.paths["test_images"] == whole.paths["test_images"]
    small.paths["train_images"].write_bytes(b"damaged")
    again = cut(whole, train=5, test=None)
    assert again.sha256 == small.sha256


def test_changed_array_is_refused(arrays):
    found = store("colours", arrays, classes=3, source="test")
    content = bytearray(found.paths["test_labels"].read_bytes())
    content[-1] ^= 1
    found.paths["test_labels"].write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"test_labels.npy: changed since it was stored"):
        open_dataset("colours")


def test_half_a_data_set_is_not_there(arrays):
    found = store("colours", arrays, classes=3, source="test")
    (found.paths["test_labels"].parent / "dataset.json").unlink()
    with pytest.raises(DataError, match="data set 'colours': not in"):
        open_dataset("colours")
    with pytest.raises(DataError, match=r"data set 'colours' is not here; here are: .*mnist"):
        loading.load("colours")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": {}}', '{"files": {"train_images": 1}}'])
def test_damaged_description_is_refused(arrays, text):
    found = store("colours", arrays, classes=3, source="test")
    (found.paths["test_labels"].parent / "dataset.json").write_text(text)
    with pytest.raises(DataError, match="cannot be read"):
        open_dataset("colours")


WRONG = {
    "missing": ({"test_labels": None}, "has ['test_images', 'train_images', 'train_labels']"),
    "dtype": ({"train_images": np.zeros((12, 4, 5, 3))}, "train images are float64"),
    "flat": ({"train_images": np.zeros((12, 20), np.uint8)}, "expected uint8 (N, H, W, C)"),
    "empty": ({"train_images": np.zeros((0, 4, 5, 3), np.uint8)}, "train images are uint8 (0,"),
    "labels": ({"train_labels": np.zeros(11, np.uint8)}, "expected uint8 (12,)"),
    "range": ({"test_labels": np.full(6, 3, np.uint8)}, "test label 3, allowed 0 to 2"),
    "sizes": ({"test_images": np.zeros((6, 4, 4, 3), np.uint8)}, "differ in size"),
}


@pytest.mark.parametrize(("change", "complaint"), WRONG.values(), ids=WRONG)
def test_arrays_that_do_not_fit_are_refused(arrays, change, complaint):
    changed = {k: v for k, v in {**arrays, **change}.items() if v is not None}
    with pytest.raises(DataError) as caught:
        store("colours", changed, classes=3, source="test")
    assert complaint in str(caught.value)


def test_pickle_in_an_array_file_is_never_loaded(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="holds object, and not plain numbers"):
        load_array(tmp_path / "x.npy")


def test_two_at_once_store_the_same_data_set(arrays):
    threads = [
        threading.Thread(
            target=store, args=("both", arrays), kwargs={"classes": 3, "source": str(n)}
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = open_dataset("both")
    leftovers = [path for path in found.paths["test_labels"].parent.iterdir() if "tmp" in path.name]
    assert leftovers == []


def test_mnist_is_converted_once(arrays):
    first = loading.load("mnist", train_limit=100, test_limit=50)
    before = first.paths["train_images"].stat().st_mtime_ns
    second = loading.load("mnist", train_limit=100, test_limit=50)
    assert second.paths["train_images"].stat().st_mtime_ns == before
    assert second.counts == {"train": 100, "test": 50}
    meta = json.loads((first.paths["train_images"].parents[1] / "dataset.json").read_text())
    assert meta["classes"] == 10
    assert "mnist" in loading.available()
