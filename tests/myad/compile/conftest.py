"""Data for the tests of compiled training."""

import warnings

import numpy as np
import pytest


@pytest.fixture
def numpy_may_overflow():
    """No warnings of NumPy's: what overflows is compared, too."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)
        yield


@pytest.fixture(scope="session")
def data():
    """A function that makes images of bytes and their labels."""
    return make_data


def make_data(count=40, shape=(7, 6, 2), classes=4):
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (count, *shape)).astype(np.uint8)
    return images, rng.integers(0, classes, count).astype(np.uint8)
