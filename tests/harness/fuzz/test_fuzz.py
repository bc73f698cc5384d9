"""A few examples of every target; `make fuzz` runs as many as there is time for."""

import pytest

from tests.harness.fuzz.search import search
from tests.harness.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_ends_in_anything_but_a_typed_error(name):
    search(TARGETS[name], seed=0, examples=15)


def test_a_planted_mistake_is_found():
    def target(data):
        from hypothesis import strategies as st

        assert data.draw(st.integers(0, 100)) < 90

    with pytest.raises(AssertionError):
        search(target, seed=0, examples=100)
