"""Data sets that need no download."""

import numpy as np
import pytest

from harness.data import synthetic
from harness.data.cache import CACHE_VARIABLE, load_array
from harness.data.load import available, load
from harness.data.local import from_system, local_names
from harness.data.sources import SOURCES
from harness.data.synthetic import synthetic_colour
from harness.errors import DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))


@pytest.fixture
def _small(monkeypatch):
    monkeypatch.setattr(synthetic, "COUNTS", {"train": 50, "test": 20})


@pytest.mark.usefixtures("_small")
def test_the_synthetic_set_is_the_same_each_time():
    first, again = synthetic_colour(), synthetic_colour()
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert first["train_images"].shape == (50, 32, 32, 3)
    assert first["train_images"].dtype == np.uint8
    assert set(first["train_labels"]) == set(range(10))


@pytest.mark.usefixtures("_small")
def test_it_is_made_when_a_workload_names_it():
    assert "synthetic-colour" in available()
    found = load("synthetic-colour", train_limit=7)
    assert found.counts == {"train": 7, "test": 20}
    assert load_array(found.paths["train_images"]).shape == (7, 32, 32, 3)


def test_fashion_mnist_of_the_system_package():
    source = SOURCES["fashion-mnist"]
    if "fashion-mnist" not in local_names():
        pytest.skip(f"the Debian package dataset-fashion-mnist is not installed: {source.folders}")
    found = from_system(source)
    assert found is not None
    assert found.counts == {"train": 60000, "test": 10000}
    assert load_array(found.paths["test_labels"])[:5].tolist() == [9, 2, 1, 1, 6]


def test_a_data_set_that_is_nowhere_names_what_is_here():
    with pytest.raises(DataError, match=r"'kmnist' is not here; here are: .*mnist, synthetic-"):
        load("kmnist")
