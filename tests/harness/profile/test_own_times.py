"""Each instant of an epoch belongs to one operation, or is shared, so that the sum closes."""

import numpy as np
import pytest

from harness.contract.ops import BETWEEN, Op, Span, nearest, own_times

CONV, LOSS = Op("conv", "convolution", "forward", 0), Op("loss", "loss")
WAIT = Op("executor", "dispatch")


def seconds(spans, begin=0.0, end=10.0):
    found = own_times(spans, begin, end)
    return {
        Op(*(op[k] for k in Op._fields)): pytest.approx(op["seconds"])
        for op in found.ops()
        if op["seconds"]
    }


def test_the_innermost_of_nested_spans_counts():
    spans = [Span(WAIT, 0, 10), Span(CONV, 2, 8), Span(LOSS, 3, 4)]
    assert seconds(spans) == {WAIT: 4.0, CONV: 5.0, LOSS: 1.0}


def test_threads_that_work_at_once_share_an_instant():
    assert seconds([Span(CONV, 0, 10, "a"), Span(LOSS, 4, 6, "b")]) == {CONV: 9.0, LOSS: 1.0}


def test_a_thread_that_waits_has_no_share_while_another_works():
    spans = [Span(WAIT, 0, 10, "main"), Span(CONV, 1, 9, "worker")]
    assert seconds(spans) == {WAIT: 2.0, CONV: 8.0}


def test_what_nobody_did_lies_between_operations_and_what_is_outside_is_cut_off():
    assert seconds([Span(CONV, -5, 3), Span(LOSS, 8, 50)]) == {CONV: 3.0, LOSS: 2.0, BETWEEN: 5.0}


def test_calls_are_counted_and_slices_lie_in_the_epoch():
    tally = own_times([Span(CONV, 101, 102), Span(CONV, 103, 105)], 100, 110)
    (found,) = [op for op in tally.ops() if op["name"] == "conv"]
    assert found["calls"] == 2
    assert found["slices"] == [(1, 1), (3, 2)]


def test_the_sum_is_the_epoch_whatever_overlaps():
    rng = np.random.default_rng(3)
    kinds = [CONV, LOSS, WAIT]
    for _ in range(30):
        spans = []
        for _ in range(40):
            start, length = rng.uniform(0, 10), rng.exponential(1.5)
            spans.append(Span(kinds[rng.integers(3)], start, start + length, rng.integers(3)))
        assert sum(op["seconds"] for op in own_times(spans, 1, 9).ops()) == pytest.approx(8)


def test_the_nearest_label_is_found_in_steps():
    users = {"a": ["b", "c"], "b": ["d"], "c": ["e"], "e": ["a"]}
    assert nearest("a", users, {"d": 1, "e": 2}.get) == 1
    assert nearest("c", users, {"d": 1}.get) == 1
    assert nearest("d", users, {"a": 1}.get) is None
