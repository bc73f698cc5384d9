import pytest

from harness.stats import holm


def test_holm_by_hand():
    # sorted 0.01 0.03 0.04, times 3 2 1: 0.03 0.06 0.04, and never below its predecessor
    assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06], rel=1e-12)


def test_what_could_not_be_compared_does_not_count():
    assert holm([None, 0.02, None]) == [None, 0.02, None]
    assert holm([]) == []


def test_no_p_exceeds_one():
    assert holm([0.9, 0.8]) == [1.0, 1.0]
