"""Learning-rate schedules: the rates of every step, worked out by hand."""

import numpy as np
import pytest

from harness.workload import shapes
from harness.workload.format import load
from harness.workload.rates import learning_rates


def training(schedule, **settings):
    """Training of a resolved workload: 2 epochs of 5 images in batches of 2, so 6 steps."""
    document = load("smoke", [f"training.schedule={schedule}"]).document()
    document["training"] |= {"learning_rate": 1.0, "epochs": 2, "batch_size": 2, **settings}
    return shapes.resolve(document, (28, 28, 1), 10)["training"]


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (
            "{type='piecewise', boundaries=[1, 1.5], factors=[1, 0.5, 0.25]}",
            [1, 1, 1, 0.5, 0.5, 0.25],
        ),
        ("cosine", [1, 0.9045085, 0.6545085, 0.3454915, 0.0954915, 0]),  # (1 + cos(πt/5))/2
        ("{type='cosine', end_factor=0.5}", [1, 0.9522542, 0.8272542, 0.6727458, 0.5477458, 0.5]),
        (
            "{type='one_cycle', warm_up=0.4, start_factor=0.2, end_factor=0.1}",
            [0.2, 0.6, 1, 0.7, 0.4, 0.1],
        ),
        (
            "{type='one_cycle', warm_up=0.4, start_factor=0, end_factor=0, anneal='cosine'}",
            [0, 0.5, 1, 0.75, 0.25, 0],
        ),
        ("{type='one_cycle', warm_up=0, end_factor=0.5}", [1, 0.9, 0.8, 0.7, 0.6, 0.5]),
    ],
)
def test_a_schedule_is_one_rate_per_step(schedule, expected):
    rates = learning_rates(training(schedule), 5)
    assert rates.shape == (2, 3)
    assert rates.dtype == np.float32
    np.testing.assert_allclose(rates.ravel(), expected, atol=1e-7)


def test_rates_are_of_the_workloads_number_type_and_times_its_rate():
    found = learning_rates(training("cosine", learning_rate=0.3, dtype="float64"), 5)
    assert found.dtype == np.float64
    assert found[0, 0] == 0.3


def test_a_constant_rate_is_no_array():
    assert learning_rates(training("constant"), 5) is None
    assert learning_rates({"learning_rate": 1.0, "epochs": 2, "batch_size": 2}, 5) is None


def test_a_job_of_fewer_epochs_has_the_first_rates_of_the_whole():
    whole = training("one_cycle")
    np.testing.assert_array_equal(
        learning_rates({**whole, "epochs": 1}, 5), learning_rates(whole, 5)[:1]
    )


def test_training_beyond_a_schedule_goes_on_with_its_last_rate():
    short = training("{type='one_cycle', epochs=1, end_factor=0.125}")
    assert learning_rates(short, 5)[1].tolist() == [0.125] * 3


def test_a_schedule_of_one_step_is_its_first_rate():
    one = training("cosine", epochs=1, batch_size=8)
    assert learning_rates(one, 5).tolist() == [[1.0]]
