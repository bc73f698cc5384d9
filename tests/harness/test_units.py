import math

import pytest

from harness import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.2345, "1.23"),
        (0.012345, "0.0123"),
        (412.4, "412"),
        (5123.4, "5,120"),
        (99.96, "100"),  # rounding carries into a new digit
        (0.9996, "1.00"),
        (-0.5, "-0.500"),
        (1e-7, "0.000000100"),
        (math.nan, "–"),
        (math.inf, "–"),
    ],
)
def test_three_significant_digits_without_exponent(value, text):
    assert units.significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0 s"),
        (358.2, "358 s"),
        (0.41, "0.410 s"),
        (0.0412, "41.2 ms"),
        (0.000041, "41.0 µs"),
        (0.0000000412, "0.0412 µs"),
    ],
)
def test_seconds(value, text):
    assert units.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (12, "12 B"), (4_200, "4.20 kB"), (1.21e9, "1.21 GB"), (3e12, "3.00 TB")],
)
def test_bytes_in_powers_of_a_thousand(value, text):
    assert units.size(value) == text


def test_percentages_points_and_probabilities():
    assert units.percent(0.9032) == "90.32 %"
    assert units.points(-0.271) == "-0.27 points"
    assert units.points(-0.001) == "0.00 points"  # no negative zero
    assert units.probability(0.00196) == "0.0020"
    assert units.probability(1e-9) == "< 0.0001"
    assert units.span((0.98, 1.02)) == "0.980 to 1.02"
    assert units.counted(1, "block") == "1 block"
    assert units.counted(10_000, "trial") == "10,000 trials"
